"""Durations are counted once, in buckets of which two kinds of coarser ones are made."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

from rqueue.history import BOUNDS_S
from rqueue.worker.tally import Histogram


class Scale:
    """The bounds of those that a worker shows, and of those that the history keeps, in one list.

    Who counts in these buckets counts in both at once: what is shown may be set, and what is kept
    must be the same in all workers.

    Attributes:
        bounds: all of them, seconds, ascending.
    """

    def __init__(self, shown: Sequence[float]) -> None:
        self.bounds = tuple(sorted({*shown, *BOUNDS_S}))
        self._size = len(shown) + 1
        self._shown = _places(self.bounds, shown)
        self._kept = _places(self.bounds, BOUNDS_S)

    def shown(self, counted: Iterable[Histogram]) -> Histogram:
        """All of these together, in the buckets that a worker shows."""
        found = Histogram([0] * self._size)
        for one in counted:
            found.sum += one.sum
            for place, count in zip(self._shown, one.counts, strict=True):
                found.counts[place] += count
            for fine, exemplar in list(one.exemplars.items()):
                found.show(self._shown[fine], exemplar)
        return found

    def kept(self, counted: Histogram) -> dict[int, int]:
        """The same in the buckets that the history keeps; those that are empty are left out."""
        found: dict[int, int] = {}
        for place, count in zip(self._kept, counted.counts, strict=True):
            if count:
                found[place] = found.get(place, 0) + count
        return found


def _places(fine: Sequence[float], coarse: Sequence[float]) -> list[int]:
    """For each of the fine buckets the coarse one that it lies in."""
    return [*(bisect_left(coarse, bound) for bound in fine), len(coarse)]
