"""Numbers as people read them."""

from __future__ import annotations

_STEPS = ((1024**3, "GB"), (1024**2, "MB"), (1024, "kB"))
_SPANS = ((86_400, "days"), (3600, "h"), (60, "min"))


def size(count: float) -> str:
    """Bytes: ``512 B``, ``1.5 MB``."""
    for step, name in _STEPS:
        if abs(count) >= step:
            return f"{count / step:,.1f} {name}"
    return f"{count:,.0f} B"


def span(seconds: float) -> str:
    """A time: ``0.5 s``, ``3.2 h``."""
    for step, name in _SPANS:
        if seconds >= 2 * step:
            return f"{seconds / step:,.1f} {name}"
    return f"{seconds:,.1f} s"


def percent(part: float) -> str:
    """A part of a whole: ``85 %``."""
    return f"{part * 100:,.0f} %"
