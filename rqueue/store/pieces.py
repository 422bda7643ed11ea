"""A call that stands in a record: in pieces.

A value of more than 64 bytes makes a table of the small list that a record is, which takes twice
the memory (``hash-max-listpack-value``). A call that would need too many is kept whole. The scripts
have the same rule.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rqueue.store.keys import Field

PIECE_BYTES = 64
FIELDS = (Field.ENVELOPE, *(f"{Field.ENVELOPE}{number}" for number in range(1, 8)))


def pieces_of(call: bytes) -> Iterator[str | bytes]:
    """Fields and values of a call, in turns."""
    size = PIECE_BYTES if len(call) <= PIECE_BYTES * len(FIELDS) else len(call)
    for field, at in zip(FIELDS, range(0, max(len(call), 1), size), strict=False):
        yield field
        yield call[at : at + size]


def call_of(record: Mapping[str, bytes]) -> bytes | None:
    """The call that stands in a record, if one does."""
    if Field.ENVELOPE not in record:
        return None
    return b"".join(record[field] for field in FIELDS if field in record)
