"""`./dev bench`: measure, and print a table. It never fails on a number, only when shoald itself can't be measured."""

from __future__ import annotations

import argparse
import contextlib
import shutil

from tests.engines.engine import DOCKER
from tests.perf import (
    builds,
    commands,
    copies,
    crowd,
    images,
    measures,
    names,
    network,
    ports,
    report,
    runtimes,
    streams,
    subjects,
)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="./dev bench", description="Measure shoal beside dockerd and Podman.")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 20 containers instead of 100")
    parser.add_argument(
        "--thousand", action="store_true", help="also start 1,000 containers on shoald, and exec in each"
    )
    parser.add_argument("--starts", action="store_true", help="measure run, exec, ps and many containers, nothing else")
    parser.add_argument("--streams", action="store_true", help="measure logs and attached output, and nothing else")
    parser.add_argument("--names", action="store_true", help="measure names in users' networks, and nothing else")
    parser.add_argument("--crowd", action="store_true", help="measure 50 clients at once, and nothing else")
    parser.add_argument("--copies", action="store_true", help="measure `cp` of 500 MiB beside tar, and nothing else")
    parser.add_argument(
        "--network", action="store_true", help="measure throughput, connections and networks, nothing else"
    )
    parser.add_argument("--ports", action="store_true", help="measure published ports, and nothing else")
    parser.add_argument("--images", action="store_true", help="measure pull, push, load, save, unpacking, nothing else")
    parser.add_argument("--build", action="store_true", help="measure builds beside the classic builder, nothing else")
    parser.add_argument("--clients", action="store_true", help="measure `shoal` beside `docker`, and nothing else")
    parser.add_argument(
        "--runtimes", action="store_true", help="measure shoal-runtime beside runc and crun, and nothing else"
    )
    parser.add_argument("--only", metavar="NAME", help="measure shoald, dockerd or podman alone")
    return parser.parse_args()


def print_clients(clients: list[commands.Command], rows: list[measures.Row]) -> None:
    """Prints the table of the two commands on one shoald."""
    print(report.table(rows, [client.name for client in clients], [client.version() for client in clients]))
    print()


def part_rows(options: argparse.Namespace, engines: list[subjects.Subject]) -> list[measures.Row]:
    """The rows that can be had alone: those that were asked for, or else what each full report has."""
    if options.crowd:
        return crowd.crowd_rows(engines, 15 if options.quick else 60)
    if options.copies:
        return copies.copy_rows(engines, 100 if options.quick else 500, 3)
    if options.network:
        return network.network_rows(engines, 5 if options.quick else 20)
    if options.build:
        return builds.build_rows(engines, *((1, 4_000) if options.quick else (5, 20_000)))
    if options.images:
        return images.image_rows(engines, is_quick=options.quick)
    if options.ports:
        return ports.port_rows(engines, 5 if options.quick else 20)
    rows = [] if options.names else streams.stream_rows(engines, 256 if options.quick else 512)
    return rows if options.streams else rows + names.name_rows(engines)


def main() -> None:
    """Measure and print."""
    options = arguments()
    rounds, count = (5, 20) if options.quick else (20, 100)
    if options.runtimes:
        print(f"{runtimes.table(rounds)}\n\n{report.taken_on()}")
        return
    if shutil.which("docker") is None:
        measures.note("the docker command is not installed: shoald is driven by `shoal`")
    with contextlib.ExitStack() as stack:
        measured = []
        for subject in subjects.installed("shoald" if options.clients else options.only, in_memory=options.images):
            stack.callback(subject.close)
            measured.append(subject)
        clients = commands.commands(measured[0]) if options.only in (None, "shoald") else []
        parts = (
            options.streams,
            options.names,
            options.crowd,
            options.copies,
            options.ports,
            options.network,
            options.images,
            options.build,
        )
        is_part = any(parts)
        client_rows = commands.command_rows(clients, rounds) if clients and not (is_part or options.starts) else []
        if options.clients:
            print_clients(clients, client_rows)
            return
        engines = [subject for subject in measured if subject.runs_containers]
        rows = [] if options.starts else part_rows(options, engines)
        if not is_part:
            rows = measures.quick_rows(measured, rounds) + measures.many_rows(engines, count) + rows
        if not (is_part or options.starts):
            rows += ports.port_rows(engines, rounds) + network.network_rows(engines, rounds)
        titles, versions = [s.name for s in measured], [s.version() for s in measured]
        sentences = measures.thousand(measured[0]) if options.thousand else []
    print()
    print(report.table(rows, titles, versions))
    print()
    if client_rows:
        print_clients(clients, client_rows)
    if options.only is None and not (is_part or options.starts):
        print(f"{runtimes.table(rounds)}\n")
    print(report.taken_on())
    print(*sentences, sep="\n")
    if DOCKER and "podman" in titles:
        print("dockerd and shoald are driven by the stock docker command, Podman by its own.")


if __name__ == "__main__":
    main()
