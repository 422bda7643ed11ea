"""A mutant: one mechanism less, and how to take it out of a script or of a module."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from msgspec.structs import force_setattr

from rqueue.store.scripts import Script

ANY = "any"
"""Some invariant, whichever: chaos decides what is seen first."""


@dataclass(frozen=True)
class Mutant:
    """One mechanism less.

    Attributes:
        mechanism: what is taken out.
        apply: takes it out of this process.
        red: tests, or ``F2`` and the like, that must fail then.
        sign: what the failure must say, "" = anything; of chaos the invariant that must be broken,
            or ``ANY``.
    """

    mechanism: str
    apply: Callable[[], None]
    red: str
    sign: str = ""

    @property
    def is_in_chaos(self) -> bool:
        """Whether a scenario of the fault list must notice it, not a test of that moment."""
        return self.red.startswith("F")


def without(*scripts_: Script, old: str, new: str = "") -> Callable[[], None]:
    """Change the text of scripts; a text that is not there is an error."""

    def apply() -> None:
        for script in scripts_:
            assert old in script.source, f"{script.name} has no {old!r}"
            source = script.source.replace(old, new)
            force_setattr(script, "source", source)
            force_setattr(script, "sha", sha1(source.encode()).hexdigest())  # noqa: S324

    return apply


def patched(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def several(*changes: Callable[[], None]) -> Callable[[], None]:
    def apply() -> None:
        for change in changes:
            change()

    return apply
