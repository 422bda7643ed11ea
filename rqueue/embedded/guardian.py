"""The guardian: a small process that lets a server live no longer than the one who wants it.

Run as a script with ``python -I -S``. It is the server's parent, and leaves when its standard
input ends or when its own parent is no longer the one that started it; a forked copy of that
parent holds the pipe open, so the end of the input alone would not do.

    arguments  PARENT HOME BINARY [DATA_DIR]
    input      start | stop | kill | quit            one word a line; the end means quit
    output     ready | refused WHY | started PID | exited STATUS

Each ``started`` is followed by one ``exited``, whoever ended the server.
"""

# pathlib and shutil take longer to import than the server takes to start.
# ruff: noqa: PTH102, PTH104, PTH106, PTH108

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from collections.abc import Callable

HOME_LOCK = "guardian.lock"
DATA_LOCK = ".rqueue.lock"
CONFIG = "server.conf"
LOG = "server.log"

_PARENT_CHECK_MS = 200
_STOP_SECONDS = 5.0
_LOCK_SECONDS = 1.0
"""Long enough for the server of a parent that was killed just now to let go of its data."""
_LEAVE = frozenset((signal.SIGTERM, signal.SIGINT, signal.SIGHUP))


class Guardian:
    """One home, one server at a time."""

    def __init__(self, parent: int, home: str, binary: str, data_dir: str | None) -> None:
        self._parent = parent
        self._home = home
        self._binary = binary
        self._data_dir = data_dir
        self._server = 0
        self._die_with_me = _parent_death_signal()
        self._signals = _signal_pipe()

    def run(self) -> None:
        """Make the home, serve until it is time to leave, and remove the home."""
        os.umask(0o077)
        try:
            os.mkdir(self._home)
        except OSError as error:
            _tell(f"refused {error}")
            return
        try:
            self._move_in()
            _tell("ready")
            self._serve()
        except OSError as error:
            _tell(f"refused {error}")
        finally:
            self._end_server(gently=self._data_dir is not None)
            _remove(self._home)

    def _move_in(self) -> None:
        os.chdir(self._home)
        # Under its final name the lock is never seen free while this process lives.
        _lock(self._home, "lock", 0)
        os.rename("lock", HOME_LOCK)
        log = os.open(LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 2)
        if self._data_dir is not None:
            lock = _lock(self._data_dir, DATA_LOCK, _LOCK_SECONDS)
            os.ftruncate(lock, 0)
            os.write(lock, b"%d\n" % self._parent)

    def _serve(self) -> None:
        poller = select.poll()
        poller.register(0, select.POLLIN)
        poller.register(self._signals, select.POLLIN)
        while os.getppid() == self._parent:
            ready = {fd for fd, _ in poller.poll(_PARENT_CHECK_MS)}
            if self._signals in ready and _LEAVE.intersection(os.read(self._signals, 64)):
                return
            self._reap(os.WNOHANG)
            if 0 in ready and not self._obey(os.read(0, 64).split()):
                return

    def _obey(self, words: list[bytes]) -> bool:
        for word in words:
            if word == b"start" and not self._server:
                self._start_server()
            elif word in (b"stop", b"kill"):
                self._end_server(gently=word == b"stop")
        return bool(words) and b"quit" not in words

    def _start_server(self) -> None:
        guardian = os.getpid()
        self._server = os.fork()
        if self._server == 0:
            self._become_server(guardian)
        _tell(f"started {self._server}")

    def _become_server(self, guardian: int) -> None:
        try:
            os.setpgid(0, 0)
            self._die_with_me()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(2, 1)
            # Had the guardian died before the line above, nobody would ever send that signal.
            if os.getppid() == guardian:
                os.execv(self._binary, [self._binary, f"{self._home}/{CONFIG}"])  # noqa: S606
        except OSError as error:
            os.write(2, f"{self._binary}: {error}\n".encode())
        finally:
            os._exit(127)

    def _end_server(self, *, gently: bool) -> None:
        if self._server and gently:
            os.kill(self._server, signal.SIGTERM)
            os.kill(self._server, signal.SIGCONT)  # a frozen server would not hear the other
            deadline = time.monotonic() + _STOP_SECONDS
            while not self._reap(os.WNOHANG) and time.monotonic() < deadline:
                time.sleep(0.002)
        if self._server:
            try:
                # The group: with it go children that rewrite the append-only file.
                os.killpg(self._server, signal.SIGKILL)
            except OSError:
                os.kill(self._server, signal.SIGKILL)
            self._reap(0)

    def _reap(self, options: int) -> bool:
        """Collect the server if it has ended, or wait for it; say whether none is running."""
        if self._server:
            pid, status = os.waitpid(self._server, options)
            if pid:
                self._server = 0
                _tell(f"exited {os.waitstatus_to_exitcode(status)}")
        return not self._server


def _lock(folder: str, name: str, patience_seconds: float) -> int:
    """Lock a file until this process and the server that inherits the lock have both ended."""
    lock = os.open(f"{folder}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(lock, fcntl.F_SETFD, 0)  # the server inherits it
    deadline = time.monotonic() + patience_seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.read(lock, 20).decode(errors="replace").strip() or "unknown"
                raise OSError(f"{folder} is in use by the server of process {holder}") from None
            time.sleep(0.02)
        else:
            return lock


def _parent_death_signal() -> Callable[[], object]:
    """Return what a new server calls to be killed when the guardian is; Linux only."""
    try:
        import ctypes  # noqa: PLC0415 - slow, and missing from some builds of Python

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return lambda: None
    pr_set_pdeathsig = 1
    return lambda: prctl(pr_set_pdeathsig, int(signal.SIGKILL), 0, 0, 0)


def _signal_pipe() -> int:
    """Return a pipe that yields the numbers of arriving signals as bytes."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable, warn_on_full_buffer=False)
    for number in (*_LEAVE, signal.SIGCHLD):
        signal.signal(number, _pass)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # the parent's mask came along
    return readable


def _pass(number: int, frame: object) -> None:
    """Do nothing: the number comes out of the pipe; only an ignored signal would not."""


def _remove(folder: str) -> None:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    _remove(entry.path)
                else:
                    os.unlink(entry.path)
        os.rmdir(folder)
    except OSError:  # what is left is for a sweep
        return


def _tell(line: str) -> None:
    try:
        os.write(1, f"{line}\n".encode())
    except OSError:  # nobody is left to hear it; the loop notices by itself
        return


if __name__ == "__main__":
    parent, home, binary, *data_dir = sys.argv[1:]
    Guardian(int(parent), home, binary, data_dir[0] if data_dir else None).run()
