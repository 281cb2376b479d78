"""What a stage has come to: layers, configuration and history, and the variables that its instructions see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from shoal.oci.digest import Digest, sha256_of
from shoal.oci.documents import changed
from shoal.oci.image_spec import History, ImageConfig, ImageDocument, RootFS, encode_image, rfc3339
from shoal.oci.platform import Platform

DEFAULT_SHELL = ("/bin/sh", "-c")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class State:
    """A stage between two of its instructions; what is long to make of it is made once, therefore it has no slots.

    `arguments` are the ARGs that have a value here; `time_ns` is the moment that everything is said to be made at.
    `command_set` and `entrypoint_set` say whether this stage has a CMD and an ENTRYPOINT of its own.
    """

    platform: Platform
    time_ns: int
    chain_ids: tuple[Digest, ...] = ()
    diff_ids: tuple[str, ...] = ()
    config: ImageConfig = field(default_factory=ImageConfig)
    history: tuple[History, ...] = ()
    os_version: str = ""
    author: str = ""
    arguments: Mapping[str, str] = field(default_factory=dict)
    command_set: bool = False
    based_on: Digest | None = None
    base_layers: int = 0  # how many layers there were before the first step
    steps: tuple[tuple[str, int], ...] = ()  # the keys of the steps so far, and how many layers each came to

    @classmethod
    def of_image(cls, id: Digest, chain_ids: Sequence[Digest], document: ImageDocument, time_ns: int) -> State:
        """The state that FROM begins with."""
        rootfs = document.rootfs
        return cls(
            platform=Platform(document.os, document.architecture, document.variant),
            time_ns=time_ns,
            chain_ids=tuple(chain_ids),
            diff_ids=tuple((rootfs.diff_ids or ()) if rootfs else ()),
            config=document.config or ImageConfig(),
            history=tuple(document.history or ()),
            os_version=document.os_version,
            author=document.author,
            based_on=id,
            base_layers=len(chain_ids),
        )

    @cached_property
    def variables(self) -> dict[str, str]:
        """The environment of the image."""
        return {name: value for name, _, value in (item.partition("=") for item in self.config.env or ())}

    @property
    def environment(self) -> dict[str, str]:
        """What variables of the file mean here: ENV counts before ARG."""
        return {**self.arguments, **self.variables}

    @property
    def shell(self) -> tuple[str, ...]:
        """What the shell forms of RUN, CMD and ENTRYPOINT are given to."""
        return tuple(self.config.shell or DEFAULT_SHELL)

    @property
    def top(self) -> str:
        """The name of the file system."""
        return self.chain_ids[-1] if self.chain_ids else "scratch"

    def with_config(self, **fields: object) -> State:
        """With another configuration."""
        return replace(self, config=changed(self.config, **fields))

    def with_path(self) -> State:
        """With a PATH in the environment, which every image that was built has."""
        if "PATH" in self.variables:
            return self
        return self.with_config(env=[*(self.config.env or ()), f"PATH={DEFAULT_PATH}"])

    def after(self, created_by: str, layer: tuple[Digest, str] | None = None) -> State:
        """After a step, in the history; `layer` is the chainID and the diffID of what it added, if it added any."""
        step = History(created=rfc3339(self.time_ns), created_by=created_by, empty_layer=layer is None)
        history = (*self.history, step)
        if layer is None:
            return replace(self, history=history)
        chain_id, diff_id = layer
        chain_ids = (*self.chain_ids, chain_id)
        return replace(self, history=history, chain_ids=chain_ids, diff_ids=(*self.diff_ids, diff_id))

    def noted(self, key: str) -> State:
        """With the step of this key, which has just been done."""
        return replace(self, steps=(*self.steps, (key, len(self.chain_ids))))

    def document(self) -> bytes:
        """The image's configuration document."""
        return encode_image(
            ImageDocument(
                architecture=self.platform.architecture,
                variant=self.platform.variant,
                os=self.platform.os,
                os_version=self.os_version,
                created=rfc3339(self.time_ns),
                author=self.author,
                config=self.config,
                rootfs=RootFS(diff_ids=list(self.diff_ids)),
                history=list(self.history),
            )
        )

    def opened(self) -> State:
        """The same for a shell that looks around: it sees the arguments too, and nothing else is started."""
        hidden = self.variables
        seen = [f"{name}={value}" for name, value in sorted(self.arguments.items()) if name not in hidden]
        env = [*(self.config.env or ()), *seen]
        return self.with_config(env=env, entrypoint=None, cmd=[self.shell[0]], healthcheck=None)

    @cached_property
    def image_id(self) -> str:
        """The id of the image that this is; "" where there is none yet."""
        return sha256_of(self.document()) if self.history else (self.based_on or "")
