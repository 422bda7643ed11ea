"""What a worker process has counted, where its supervisor finds it however the process ends.

Both have one file in memory open. A process that is killed takes nothing along that stands there.
"""

from __future__ import annotations

import logging
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator

import msgspec

from rqueue.config import KIB, Buckets
from rqueue.worker.scale import Scale
from rqueue.worker.tally import Histogram, QueueTally, Tally, TaskTally

logger = logging.getLogger("rqueue")

_HALF = 512 * KIB
_WORD = struct.Struct("Q")
"""Which half is in force, and where it ends."""
_HALF_SHIFT = 32
_LENGTH = struct.Struct("!I")
_SIZE = _WORD.size + 2 * _HALF
_encode = msgspec.msgpack.Encoder().encode


class SeriesCounts(msgspec.Struct, array_like=True):
    """One task in one queue.

    Attributes:
        place: queue and task.
        queue: under which name its queue is counted.
        task: all but its durations.
        run: what attempts took, in the buckets of a ``Scale``.
        wait: how long its jobs waited, likewise.
    """

    place: tuple[str, str]
    queue: str
    task: TaskTally
    run: Histogram
    wait: Histogram


class Counted(msgspec.Struct, array_like=True):
    """All that was counted, or what has changed of it.

    Attributes:
        buckets: in which durations are shown.
        series: each as it stands now.
        queues: likewise; all but how long jobs waited.
        rest: what is counted of the whole process.
    """

    buckets: Buckets
    series: list[SeriesCounts]
    queues: dict[str, QueueTally]
    rest: Tally


_decode = msgspec.msgpack.Decoder(Counted).decode


class Journal:
    """Where a process writes. Everything that was counted comes first, then what changes.

    There are two halves: one is in force while the other is written anew.

    Args:
        descriptor: of a file of ``create``; it is closed.
    """

    def __init__(self, descriptor: int) -> None:
        self._file = mmap.mmap(descriptor, _SIZE)
        # Written in one piece, as a process may be killed at any time; struct clears it before.
        self._word = memoryview(self._file)[: _WORD.size].cast("Q")
        os.close(descriptor)  # no process that a job starts shall hold it
        self._half = self._end = 0
        self._is_out_of_use = False

    def restart(self, all_of_it: Counted) -> None:
        """Begin anew with everything."""
        if self._is_out_of_use:  # counts only grow
            return
        self._half, self._end = 1 - self._half, 0
        if not self._append(all_of_it):
            logger.warning(
                "metrics: %d series are more than fit where they outlive this process; if it is "
                "killed, what it counted in its last second is lost",
                len(all_of_it.series),
            )
            self._is_out_of_use = True
            self._word[0] = 0  # what stands there is older than what is reported

    def add(self, changed: Counted) -> bool:
        """Write down what has changed; False = there is no room left: begin anew."""
        return self._is_out_of_use or self._append(changed)

    def _append(self, counted: Counted) -> bool:
        told = _encode(counted)
        begin = self._end
        end = begin + _LENGTH.size + len(told)
        if end > _HALF:
            return False
        start = _WORD.size + self._half * _HALF
        self._file[start + begin : start + end] = _LENGTH.pack(len(told)) + told
        self._end = end
        self._word[0] = self._half << _HALF_SHIFT | end
        return True


def create() -> int:
    """The descriptor of an empty journal; who has called closes it.

    Raises:
        OSError: no memory, or no descriptor is left.
    """
    try:
        descriptor = os.memfd_create("rqueue-journal")  # needs no folder to write to
    except (AttributeError, OSError):  # not Linux, or forbidden
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, _SIZE)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def read(descriptor: int) -> Tally | None:
    """What was counted up to the last batch; None = nothing stands there.

    Raises:
        ValueError: something else has written there (or struct.error).
    """
    counts = list(_entries(os.pread(descriptor, _SIZE, 0)))
    return _summed(counts) if counts else None


def _entries(data: bytes) -> Iterator[Counted]:
    word = _WORD.unpack_from(data)[0]
    begin = _WORD.size + (word >> _HALF_SHIFT) * _HALF
    end = begin + (word & ((1 << _HALF_SHIFT) - 1))
    while begin < end:
        text = begin + _LENGTH.size
        begin = text + _LENGTH.unpack_from(data, begin)[0]
        yield _decode(data[text:begin])


def _summed(counts: list[Counted]) -> Tally:
    """The last that is told of each is how it stands."""
    series = {one.place: one for counted in counts for one in counted.series}
    queues = {name: one for counted in counts for name, one in counted.queues.items()}
    buckets, rest = counts[-1].buckets, counts[-1].rest
    run, wait = Scale(buckets.run), Scale(buckets.wait)
    for one in series.values():
        one.task.run = run.shown([one.run])
    for name, queue in queues.items():
        queue.wait = wait.shown([one.wait for one in series.values() if one.queue == name])
    tasks = {place: one.task for place, one in series.items()}
    return Tally(tasks, queues, rest.stalls, rest.trips, rest.troubles, rest.reconnects)
