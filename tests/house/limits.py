"""How a limit is held: nothing above it but named exceptions, and no exception without need."""

from __future__ import annotations

from typing import NamedTuple


class Allowed(NamedTuple):
    """An exception: a limit of its own, and why there is one."""

    limit: int
    reason: str


def complaints(measured: dict[str, int], limit: int, exceptions: dict[str, Allowed]) -> list[str]:
    """What is too large, and which exceptions are no longer needed."""
    too_large = [
        f"{where} has {size}, at most {allowed}"
        for where, size in measured.items()
        if size > (allowed := exceptions[where].limit if where in exceptions else limit)
    ]
    needless = [
        f"{where} needs no exception any more"
        for where in exceptions
        if measured.get(where, 0) <= limit
    ]
    return too_large + needless
