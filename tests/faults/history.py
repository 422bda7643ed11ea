"""What happened, outside Redis: lines of JSON that every process appends to one file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

Line = dict[str, Any]


class History:
    """An append-only log. One ``write`` a line with ``O_APPEND``: lines of several processes stay
    whole, and stand in the order in which they were written.

    ``at`` is the machine's monotonic clock in seconds, which all processes share and no fault of
    ours touches; ``wall`` is the process' own idea of the time, in milliseconds.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, event: str, **told: Any) -> None:
        line = {"event": event, "at": time.monotonic(), "wall": time.time_ns() // 10**6, **told}
        os.write(self._file, (json.dumps(line) + "\n").encode())

    def read(self) -> list[Line]:
        """Every line that stands; the last one may just be written, and only half be there."""
        whole, _, _ = self.path.read_bytes().rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    def of(self, event: str, **told: Any) -> list[Line]:
        """The lines of one kind with these values."""
        wanted = {"event": event, **told}.items()
        return [line for line in self.read() if wanted <= line.items()]

    def close(self) -> None:
        os.close(self._file)
