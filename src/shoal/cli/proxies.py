"""Proxies that DIR/config.json names for containers: `"proxies": {"default": {"httpProxy": …}}`, or by engine address.

The variables are given to containers and builds by the command, as `docker` does it, in both spellings.
"""

from __future__ import annotations

import json
import os

from shoal.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_KEYS = {
    "HTTP_PROXY": "httpProxy",
    "HTTPS_PROXY": "httpsProxy",
    "NO_PROXY": "noProxy",
    "FTP_PROXY": "ftpProxy",
    "ALL_PROXY": "allProxy",
}


def proxy_variables(directory: str, address: str, given: Iterable[str]) -> list[str]:
    """The variables, as NAME=VALUE, for what runs on the engine at `address`, without those that are `given`.

    Raises: InvalidArgument for a file that can't be read.
    """
    path = os.path.join(directory, "config.json")
    try:
        with open(path, "rb") as file:
            raw = file.read()
    except OSError:
        return []
    if b'"proxies"' not in raw:
        return []
    try:
        document = json.loads(raw)
    except ValueError as error:
        raise InvalidArgument(f"cannot read {path}", why=str(error)) from None
    proxies = document.get("proxies") if isinstance(document, dict) else None
    chosen = (proxies.get(address) or proxies.get("default")) if isinstance(proxies, dict) else None
    if not isinstance(chosen, dict):
        return []
    known = {variable.partition("=")[0] for variable in given}
    values = {name: chosen.get(key) for name, key in _KEYS.items()}
    return [
        f"{spelled}={value}"
        for name, value in values.items()
        for spelled in (name, name.lower())
        if isinstance(value, str) and value and spelled not in known
    ]
