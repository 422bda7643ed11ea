"""A wall clock of a process' own, which can be stepped: a library put in front of libc's."""

from __future__ import annotations

import mmap
import shutil
import struct
import subprocess
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("clock_shim.c")


class Clock:
    """``env`` makes a process use it; ``step`` moves it, also while the process runs."""

    def __init__(self, folder: Path, name: str) -> None:
        file = folder / f"{name}.clock"
        file.write_bytes(struct.pack("q", 0))
        self.env = {"LD_PRELOAD": str(built(folder)), "RQUEUE_FAULTS_CLOCK": str(file)}
        with file.open("r+b") as opened:
            self._offset = mmap.mmap(opened.fileno(), 8)

    def step(self, seconds: float) -> None:
        """Show the true time plus so much."""
        self._offset[:] = struct.pack("q", round(seconds * 1000))


@cache
def built(folder: Path) -> Path:
    """The library, compiled."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "the clock faults need a C compiler: apt-get install gcc libc6-dev"
    library = folder / "clock_shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library
