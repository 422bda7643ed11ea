"""Durations as people write them: ``90s``, ``10m``, ``1h30m``, ``2d``, ``500ms``."""

from __future__ import annotations

import re

from rqueue.errors import ConfigError

_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_PART = r"\d+(?:\.\d+)?(?:ms|[smhd])"
_WHOLE = re.compile(rf"(?:{_PART})+\Z|\d+(?:\.\d+)?\Z")
_PARTS = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])?")


def parse_duration(text: str) -> float:
    """Seconds from ``10s``, ``5m``, ``1h30m``, ``1d`` or ``500ms``; a number alone counts seconds.

    Raises:
        ConfigError: it is none.
    """
    if not _WHOLE.match(text):
        raise ConfigError(f"{text!r:.80} is no duration; write it like 10s, 5m, 1h30m or 1d")
    return sum(float(number) * _UNITS[unit or "s"] for number, unit in _PARTS.findall(text))
