"""The private directory of one embedded server: where it is, what is in it, when it may go."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rqueue.embedded import guardian

_PREFIX = "rqueue-"
_SOCKET_PATH_BYTES = 103
"""The longest path of a unix socket on macOS; Linux takes four more."""
_TAIL_BYTES = 8192


@dataclass(frozen=True)
class Home:
    """A directory that the guardian makes and removes; naming it here makes nothing."""

    path: Path

    @classmethod
    def choose(cls) -> Home:
        """Name a new home in the temporary directory, or in /tmp where that path is too long."""
        name = _PREFIX + secrets.token_hex(4)
        home = cls(Path(tempfile.gettempdir(), name))
        if len(os.fsencode(home.socket)) <= _SOCKET_PATH_BYTES:
            return home
        return cls(Path("/tmp", name))  # noqa: S108 - the guardian makes it 0700 or fails

    @property
    def socket(self) -> Path:
        """The unix socket; also there when the URL names a port."""
        return self.path / "server.sock"

    @property
    def config(self) -> Path:
        """The file of directives."""
        return self.path / guardian.CONFIG

    @property
    def log(self) -> Path:
        """What the server, and a failing guardian, had to say."""
        return self.path / guardian.LOG


def sweep(base: Path) -> None:
    """Remove what guardians that were killed have left in a temporary directory."""
    for path in base.glob(_PREFIX + "*"):
        remove_abandoned(path)


def remove_abandoned(path: Path) -> bool:
    """Remove a home whose guardian and server have both ended; say whether none is left.

    Both hold the lock in it, so a free lock is certain where a recorded pid may have been given
    to another process, or belong to another container that shares the directory.
    """
    if not os.path.lexists(path):
        return True
    try:
        if not _is_private(path):
            return False
        lock = os.open(path / guardian.HOME_LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True


def tail(log: Path, start: int = 0, lines: int = 20) -> str:
    """Return the last lines of a log from an offset on, indented; "" when there is none."""
    text = b""
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - _TAIL_BYTES))
        text = file.read()
    return "".join(
        f"\n  {line}" for line in text.decode(errors="replace").strip().splitlines()[-lines:]
    )


def _is_private(path: Path) -> bool:
    found = path.lstat()
    shared = stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not shared
