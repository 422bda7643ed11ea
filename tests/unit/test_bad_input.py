"""Bad envelopes and arguments, by name: refused at once with one kind of error.

The same ones attack a running worker in ``tests/faults/test_hostile.py``.
"""

from __future__ import annotations

from time import thread_time
from typing import Any

import pytest

from rqueue.envelope import open_envelope
from rqueue.errors import CodecError
from rqueue.signature import Signature
from rqueue.worker.protecting import LARGEST_ENVELOPE
from tests.faults.hostile import ARGUMENTS, DECODE

FITTING_BUT_FOR_THE_POLICY = "a wrong policy"


async def work(ms: int, note: str = "") -> int:
    return ms + len(note)


async def take(data: Any) -> Any:
    return data


@pytest.mark.parametrize("name", DECODE)
def test_an_envelope_that_is_none_is_refused_at_once(name: str) -> None:
    began = thread_time()

    with pytest.raises(CodecError):
        open_envelope(DECODE[name], LARGEST_ENVELOPE)

    assert thread_time() - began < 1


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {FITTING_BUT_FOR_THE_POLICY}))
def test_arguments_that_do_not_fit_are_refused_at_once(name: str) -> None:
    opened = open_envelope(ARGUMENTS[name], LARGEST_ENVELOPE)
    args, kwargs = opened.envelope.args, opened.envelope.kwargs
    began = thread_time()

    with pytest.raises(CodecError, match="arguments do not fit"):
        Signature(work).decode(args, kwargs, is_json=opened.is_json)

    assert thread_time() - began < 1


@pytest.mark.parametrize(
    "data",
    [
        b"\x91\x81\x01\x02",
        b"\x91\x81\xc0\x02",
        b"\x91\xd4\x2a\x00",
        b"\x91\xa2\xff\xfe",
        b"\x91\x81\xa2\xff\xfe\x00",
        b"\x91\xc7\x0c\xff" + 12 * b"\xff",
        b"\x91" * 200 + b"\x00",
    ],
    ids=repr,
)
def test_what_a_task_without_annotations_gets_is_read_or_refused(data: bytes) -> None:
    try:
        (placed, _) = Signature(take).decode(data, b"\x80")
    except CodecError:
        return
    assert len(placed) == 1


def test_of_two_fields_of_one_name_the_last_counts() -> None:
    data = b"\x82\xa4task\xa1a\xa4task\xa1b"

    assert open_envelope(data).envelope.task == "b"
    assert open_envelope(b'{"task": "a", "task": "b"}').envelope.task == "b"
