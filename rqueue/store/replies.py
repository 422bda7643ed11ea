"""Raw replies -> values; words that mean an error -> that error."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rqueue.errors import CorruptKey
from rqueue.job import Delivery
from rqueue.names import PRIORITIES

# The same rule stands in the scripts: an id that breaks it is none, and the entry is named by its
# place. Otherwise two ids of broken UTF-8 would read as one.
_NAME = re.compile(r"[~A-Za-z0-9][A-Za-z0-9._:@/+=-]{0,127}\Z")

_MOST_DIGITS = 15
_FIRST = [b"i", b"m", b"t"]
"""The fields of a job's first entry, as the script writes them; most are read with these."""


def word(reply: Any) -> str:
    """A status word; ``corrupt`` is raised."""
    text = _text(reply)
    if text == "corrupt":
        raise CorruptKey("a key of this queue")
    return text


def words(reply: Any) -> list[str]:
    """Several status words; every one is for the caller to judge."""
    return [_text(item) for item in reply]


def texts(reply: Any) -> list[str]:
    """A list of strings."""
    return [_text(item) for item in reply or ()]


def number(reply: Any) -> int:
    """A whole number, absent counts as 0."""
    return int(reply or 0)


def mapping(reply: Any) -> dict[str, bytes]:
    """A flat list of field, value, ... as a dict; values stay bytes."""
    return {_text(reply[n]): reply[n + 1] for n in range(0, len(reply), 2)}


def scores(reply: Any) -> list[tuple[str, float]]:
    """A sorted set ``WITHSCORES``, in its order."""
    return [(_text(reply[n]), float(reply[n + 1])) for n in range(0, len(reply), 2)]


def delivery(queue: str, lane: str, worker: str, entry: Sequence[Any]) -> Delivery | None:
    """A stream entry as a worker gets it; None for one that was deleted while it was pending."""
    if not entry[1]:
        return None
    written = entry[1]
    if written[::2] == _FIRST and lane in PRIORITIES:
        entry_id, named = entry[0].decode(), written[1].decode("utf-8", "replace")
        return Delivery(
            queue=queue,
            lane=lane,
            entry_id=entry_id,
            job_id=named if _NAME.match(named) else f"{lane}-{entry_id}",
            envelope=written[3],
            worker=worker,
            token=1 if written[5] == b"1" else whole(written[5]),
            priority=lane,
        )
    fields: dict[bytes, bytes] = dict(zip(written[::2], written[1::2], strict=True))
    entry_id = _text(entry[0])
    named = _text(fields.get(b"i", b""))
    return Delivery(
        queue=queue,
        lane=lane,
        entry_id=entry_id,
        job_id=named if _NAME.match(named) else f"{lane}-{entry_id}",
        envelope=fields.get(b"m", b""),
        worker=worker,
        attempts=_count(fields, b"a"),
        crashes=_count(fields, b"n"),
        token=_count(fields, b"t"),
        first_ready_ms=_count(fields, b"q"),
        is_foreign=b"t" not in fields,
        priority=_priority(fields, lane),
    )


def _priority(fields: Mapping[bytes, bytes], lane: str) -> str:
    named = _text(fields[b"p"]) if b"p" in fields else lane
    if named in PRIORITIES:
        return named
    return lane if lane in PRIORITIES else "normal"


def _count(fields: Mapping[bytes, bytes], name: bytes) -> int:
    return whole(fields[name]) if name in fields else 0


def whole(text: bytes) -> int:
    """A count as Redis holds it; what strangers may have written instead counts as 0.

    The scripts have the same rule. Larger numbers than 15 digits cannot be counted with there, nor
    be encoded here.
    """
    return int(text) if len(text) <= _MOST_DIGITS and text.isdigit() else 0


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
