"""What somebody probably meant who named something that is not there."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], count: int = 1) -> list[str]:
    """The names that look most like it, the likeliest first; maybe none."""
    from difflib import get_close_matches

    return get_close_matches(name, list(known), count)


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The end of a message: the likeliest name as a question, or ``otherwise``."""
    near = nearest(name, known)
    return f"; did you mean {near[0]!r}?" if near else otherwise
