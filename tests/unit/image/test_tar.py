"""The tar reader and writer, against each other, GNU tar and Python's tarfile."""

from __future__ import annotations

import io
import itertools
import os
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.errors import InvalidArgument
from shoal.image.tar.header import (
    CHARACTER,
    DIRECTORY,
    FIFO,
    GNU_SPARSE,
    HARD_LINK,
    PAX_GLOBAL,
    PAX_LOCAL,
    REGULAR,
    SYMLINK,
    TarEntry,
    pack_header,
    parse_number,
    split_name,
)
from shoal.image.tar.pax import format_records, format_time, parse_records, parse_time
from shoal.image.tar.reader import TarReader
from shoal.image.tar.writer import TarWriter

Members = list[tuple[TarEntry, bytes]]


def read(archive: bytes, *, chunk: int = 1000) -> Members:
    """All entries of `archive` with their stored data, read in pieces of `chunk` bytes."""
    reader = TarReader(pieces(archive, chunk))
    return [(entry, b"".join(bytes(piece) for piece in reader.data())) for entry in reader]


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """`data` cut into pieces."""
    return (data[start : start + size] for start in range(0, len(data), size))


def write(members: Members) -> bytes:
    """The archive of `members`."""
    out = io.BytesIO()
    writer = TarWriter(out.write)
    for entry, data in members:
        writer.add(entry, (data,) if data else ())
    writer.close()
    return out.getvalue()


def facts(entry: TarEntry) -> dict[str, object]:
    """Everything about an entry that must survive."""
    return {name: getattr(entry, name) for name in TarEntry.__slots__ if name != "xattrs"} | {
        "xattrs": entry.xattrs or {}
    }


_name = st.binary(min_size=1, max_size=300).filter(lambda name: b"\0" not in name and not name.startswith(b"/"))
_xattrs = st.dictionaries(st.from_regex(rb"user\.[a-z]{1,10}", fullmatch=True), st.binary(max_size=600), max_size=2)


@st.composite
def entries(draw: st.DrawFn) -> tuple[TarEntry, bytes]:
    """Any entry that a file system can hold."""
    kind = draw(st.sampled_from([REGULAR, HARD_LINK, SYMLINK, CHARACTER, DIRECTORY, FIFO]))
    data = draw(st.binary(max_size=1500)) if kind == REGULAR else b""
    name = draw(_name)
    entry = TarEntry(
        name.rstrip(b"/") + b"/" if kind == DIRECTORY else name,
        kind,
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(st.integers(0, 2**32 - 2)),
        gid=draw(st.integers(0, 2**32 - 2)),
        size=len(data),
        mtime_ns=draw(st.integers(-(2**62), 2**62)),
        linkname=draw(_name) if kind in (HARD_LINK, SYMLINK) else b"",
        major=draw(st.integers(0, 4095)) if kind == CHARACTER else 0,
        minor=draw(st.integers(0, 2**20 - 1)) if kind == CHARACTER else 0,
        xattrs=draw(_xattrs),
    )
    return entry, data


@settings(max_examples=150)
@given(members=st.lists(entries(), max_size=4), chunk=st.integers(1, 3000))
def test_round_trip_any_entries_are_kept(members: Members, chunk: int) -> None:
    """Whatever the writer takes, the reader gives back, in whatever pieces the stream arrives."""
    back = read(write(members), chunk=chunk)
    assert [facts(entry) for entry, _ in back] == [facts(entry) for entry, _ in members]
    assert [data for _, data in back] == [data for _, data in members]


@settings(max_examples=60)
@given(members=st.lists(entries(), max_size=4), chunk=st.integers(1, 3000))
def test_reader_tap_and_data_are_the_whole_stream(members: Members, chunk: int) -> None:
    """Tapped bytes and data together, in order, are the archive: nothing is lost or doubled."""
    archive = write(members) + bytes(1234)
    seen: list[bytes] = []
    reader = TarReader(pieces(archive, chunk), tap=lambda data: seen.append(bytes(data)))
    for index, _ in enumerate(reader):
        if index % 2:  # every other entry's data is left to the reader to skip
            seen.extend(bytes(piece) for piece in reader.data())
    reader.drain()
    assert b"".join(seen) == archive


@given(data=st.binary(max_size=2048))
def test_reader_any_bytes_give_entries_or_invalid_argument(data: bytes) -> None:
    """Garbage never makes the reader fail in another way."""
    try:
        read(data)
    except InvalidArgument:
        pass


@settings(max_examples=200)
@given(members=st.lists(entries(), min_size=1, max_size=3), where=st.integers(0, 10**6), what=st.integers(0, 255))
def test_reader_damaged_archive_gives_entries_or_invalid_argument(members: Members, where: int, what: int) -> None:
    """One wrong byte anywhere is found, or harmless, but no crash."""
    archive = bytearray(write(members))
    archive[where % len(archive)] = what
    try:
        read(bytes(archive))
    except InvalidArgument:
        pass


@settings(max_examples=40)
@given(members=st.lists(entries(), max_size=4))
def test_writer_output_is_read_by_tarfile(members: Members) -> None:
    """Python's tarfile reads the same names, kinds, owners and data from our archives."""
    with tarfile.open(fileobj=io.BytesIO(write(members)), errors="surrogateescape") as archive:
        found = archive.getmembers()
        assert [os.fsencode(member.name).rstrip(b"/") for member in found] == [
            entry.name.rstrip(b"/") for entry, _ in members
        ]
        for member, (entry, data) in zip(found, members, strict=True):
            assert (member.type, member.mode, member.uid, member.gid) == (entry.kind, entry.mode, entry.uid, entry.gid)
            if member.isreg():
                extracted = archive.extractfile(member)
                assert extracted is not None
                assert extracted.read() == data


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reader_takes_tarfiles_formats(form: int) -> None:
    """Archives that Python's tarfile writes in its three formats are read, long names included."""
    long = "d" * 90 + "/" + "f" * 95 if form == tarfile.USTAR_FORMAT else "d" * 200 + "/" + "ü" * 100
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        member = tarfile.TarInfo(long)
        member.size, member.mtime, member.mode, member.uid = 5, 1700000000, 0o640, 1000
        archive.addfile(member, io.BytesIO(b"hello"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "x" * (100 if form == tarfile.USTAR_FORMAT else 250)
        archive.addfile(link)
    (file, data), (symlink, _) = read(out.getvalue())
    assert (file.name, data, file.mode, file.uid) == (os.fsencode(long), b"hello", 0o640, 1000)
    assert file.mtime_ns == 1700000000 * 10**9
    assert symlink.linkname == os.fsencode(link.linkname)


def _tar(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["tar", *arguments], check=True, capture_output=True, **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("form", ["gnu", "pax", "ustar", "oldgnu", "v7"])
def test_reader_takes_gnu_tars_formats(tmp_path: Path, form: str) -> None:
    """Archives of GNU tar in each of its formats are read: names, data, links."""
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "file").write_bytes(b"x" * 70000)
    (tree / "link").symlink_to("sub/file")
    os.link(tree / "sub" / "file", tree / "hard")
    long = "n" * (60 if form == "v7" else 90)
    (tree / long).write_bytes(b"long")
    archive = _tar(f"--format={form}", "--sort=name", "-C", str(tree), "-cf", "-", ".").stdout
    found = {entry.name.strip(b"./"): (entry, data) for entry, data in read(archive)}
    assert found[long.encode()][1] == b"long"
    assert found[b"link"][0].linkname == b"sub/file"
    assert {found[b"hard"][0].kind, found[b"sub/file"][0].kind} == {REGULAR, HARD_LINK}
    assert b"x" * 70000 in (found[b"hard"][1], found[b"sub/file"][1])
    assert found[b"sub"][0].kind == DIRECTORY


@pytest.mark.parametrize(
    "options", [["--format=gnu"], *(["--format=pax", f"--sparse-version={v}"] for v in ("0.0", "0.1", "1.0"))]
)
def test_reader_takes_gnu_tars_sparse_files(tmp_path: Path, options: list[str]) -> None:
    """Sparse files in the GNU form and in the three pax forms come with their map, and the parts at their places."""
    content = bytearray(4 << 20)
    with open(tmp_path / "holes", "wb") as file:
        for index in range(40):  # more parts than fit into the first header
            file.seek(index * 100_000 // 4096 * 4096)
            part = bytes([index + 1]) * 4096
            content[file.tell() : file.tell() + 4096] = part
            file.write(part)
        file.truncate(4 << 20)
    archive = _tar(*options, "-S", "-C", str(tmp_path), "-cf", "-", "holes").stdout
    ((entry, data),) = read(archive)
    assert (entry.name, entry.size) == (b"holes", 4 << 20)
    assert entry.sparse is not None
    rebuilt = bytearray(entry.size)
    for offset, length in entry.sparse:
        rebuilt[offset : offset + length], data = data[:length], data[length:]
    assert (rebuilt, data) == (content, b"")


def extended(kind: bytes, data: bytes) -> bytes:
    """One extended header with its data."""
    header = pack_header(TarEntry(b"x", kind, size=len(data)), b"", b"x")
    return header + data + bytes(-len(data) % 512)


def sparse_1_0(count: int, lines: bytes) -> bytes:
    """An archive of one sparse file in pax form 1.0 whose map announces `count` parts."""
    data = b"%d\n" % count + lines
    data += bytes(-len(data) % 512)
    records = format_records([(b"GNU.sparse.major", b"1"), (b"GNU.sparse.realsize", b"%d" % (1 << 40))])
    header = pack_header(TarEntry(b"s", REGULAR, size=len(data)), b"", b"s")
    return extended(PAX_LOCAL, records) + header + data + bytes(1024)


def test_reader_long_sparse_map_takes_time_in_proportion() -> None:
    """A map of pax form 1.0 with 100,000 empty parts is read once, not again for each of its blocks."""
    lines = b"".join(b"%d\n0\n" % (offset * 4096) for offset in range(100_000))
    started = time.process_time()
    ((entry, _),) = read(sparse_1_0(100_000, lines))
    assert entry.sparse is not None
    assert len(entry.sparse) == 100_000
    assert time.process_time() - started < 5


def test_reader_endless_sparse_maps_are_refused() -> None:
    """Neither form of a map may fill the memory: a count without end, a number without end, a chain of maps."""
    with pytest.raises(InvalidArgument, match="map"):
        read(sparse_1_0(1 << 40, b"0\n" * 1000))
    with pytest.raises(InvalidArgument, match="map"):
        read(sparse_1_0(3, b"1" * 5000))
    pair = b"00000000000\0" * 2
    block = bytearray(pack_header(TarEntry(b"s", GNU_SPARSE), b"", b"s"))
    block[386:482] = pair * 4
    block[482] = 1
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    chained = pair * 21 + b"\1" + bytes(7)
    reader = TarReader(iter([bytes(block), *itertools.repeat(chained, (1 << 20) // 21 + 2)]))
    with pytest.raises(InvalidArgument, match="map"):
        next(iter(reader))


def test_reader_headers_without_end_are_refused() -> None:
    """Extended headers are kept until their entry comes, global ones for good: both have a limit."""
    local = extended(PAX_LOCAL, format_records([(b"comment", b"c" * 900_000)]))
    with pytest.raises(InvalidArgument, match="extended headers"):
        read(local * 20)
    keys = [(b"key.%d" % number, b"v") for number in range(1000)]
    with pytest.raises(InvalidArgument, match="global"):
        read(extended(PAX_GLOBAL, format_records(keys)))


def test_reader_many_xattrs_take_time_in_proportion() -> None:
    """The xattrs of one entry are gathered in one dictionary."""
    records = format_records([(b"SCHILY.xattr.user.%d" % number, b"") for number in range(30_000)])
    started = time.process_time()
    ((entry, _),) = read(extended(PAX_LOCAL, records) + write([(TarEntry(b"a"), b"")]))
    assert len(entry.xattrs or {}) == 30_000
    assert time.process_time() - started < 2


def test_writer_output_is_read_by_gnu_tar(tmp_path: Path) -> None:
    """GNU tar unpacks our archive: long names, odd bytes, links, times to the nanosecond."""
    long = b"directory/" + b"n" * 220
    members: Members = [
        (TarEntry(b"directory/", DIRECTORY, mode=0o755), b""),
        (TarEntry(long, mode=0o600, size=6, mtime_ns=1700000000123456789), b"inside"),
        (TarEntry(b"hard", HARD_LINK, linkname=long), b""),
        (TarEntry(b"soft", SYMLINK, linkname=b"t" * 300), b""),
        (TarEntry(b"pipe", FIFO, mode=0o644), b""),
    ]
    _tar("--no-same-owner", "-C", str(tmp_path), "-xf", "-", input=write(members))
    file = tmp_path / os.fsdecode(long)
    assert file.read_bytes() == b"inside"
    assert file.stat().st_mtime_ns == 1700000000123456789
    assert file.samefile(tmp_path / "hard")
    assert os.readlink(tmp_path / "soft") == "t" * 300
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("cut", [100, 512, 700, 1100])
def test_reader_truncated_archive_is_unexpected_eof(cut: int) -> None:
    """An archive that ends inside a header or inside data is told from a whole one."""
    archive = write([(TarEntry(b"a", size=600), b"x" * 600), (TarEntry(b"b", size=600), b"x" * 600)])
    with pytest.raises(InvalidArgument) as caught:
        read(archive[:cut])
    assert caught.value.what == "unexpected EOF"


def test_reader_wrong_checksum_is_refused() -> None:
    """A header whose checksum is wrong is no header."""
    archive = bytearray(write([(TarEntry(b"a"), b"")]))
    archive[0] ^= 1
    with pytest.raises(InvalidArgument, match="wrong checksum"):
        read(bytes(archive))


def test_parse_number_octal_and_base_256() -> None:
    """Numbers are octal with any padding, or base-256 of either sign."""
    assert parse_number(b"0000644\0") == 0o644
    assert parse_number(b"   644 \0") == 0o644
    assert parse_number(b"\0" * 8) == 0
    assert parse_number(b"\x80" + (2**40).to_bytes(11, "big")) == 2**40
    assert parse_number(b"\xff" * 12) == -1
    with pytest.raises(InvalidArgument):
        parse_number(b"12x4567\0")


@given(name=st.binary(min_size=1, max_size=300).filter(lambda n: b"\0" not in n))
def test_split_name_joined_again_is_the_name(name: bytes) -> None:
    """A split, where there is one, keeps to the ustar limits and loses nothing."""
    prefix, rest = split_name(name)
    if rest is not None:
        assert (prefix + b"/" + rest if prefix else rest) == name
        assert len(prefix) <= 155
        assert 1 <= len(rest) <= 100


@given(st.lists(st.tuples(st.from_regex(rb"[a-zA-Z.]{1,30}", fullmatch=True), st.binary(max_size=1200)), max_size=5))
def test_pax_records_round_trip(records: list[tuple[bytes, bytes]]) -> None:
    """Records of any value are read back, newlines and equal signs in them included."""
    assert list(parse_records(format_records(records))) == records


@given(st.integers(-(2**70), 2**70))
def test_pax_time_round_trip(time_ns: int) -> None:
    """Times keep their nanoseconds and their sign."""
    assert parse_time(format_time(time_ns)) == time_ns
