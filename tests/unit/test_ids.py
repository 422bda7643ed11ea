"""Ids: UUIDv7 outside, 23 characters inside Redis, and no two ids with one spelling."""

from __future__ import annotations

import os
import re
from uuid import UUID

import pytest

from rqueue.clock import now_ms
from rqueue.ids import is_generated, lengthen, made_ms, new_id, new_ids, shorten
from rqueue.names import check_job_id


def test_a_new_id_is_a_uuid_of_version_7() -> None:
    made = UUID(new_id())

    assert (made.version, made.variant) == (7, "specified in RFC 4122")


def test_a_new_id_is_written_as_uuids_are() -> None:
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", new_id())


def test_a_new_id_begins_with_the_milliseconds_it_was_made_in() -> None:
    before = now_ms()

    made = UUID(new_id()).int >> 80

    assert before <= made <= now_ms()


def test_ids_of_one_millisecond_differ() -> None:
    assert len({new_id() for _ in range(10_000)}) == 10_000


def test_every_random_bit_is_used() -> None:
    made = [UUID(new_id()).int & ((1 << 80) - 1) for _ in range(400)]
    ones = zeros = 0
    for one in made:
        ones |= one
        zeros |= ~one & ((1 << 80) - 1)

    # Set in every id: the version, 0111, and the first bit of the variant, 10.
    always = ((1 << 80) - 1) & ~zeros
    never = ((1 << 80) - 1) & ~ones
    assert (always, never) == ((0x7 << 76) | (0b10 << 62), (0x8 << 76) | (0b01 << 62))


def test_an_id_made_with_its_short_form_is_the_one_that_this_stands_for() -> None:
    made = [new_ids() for _ in range(20)]

    assert [shorten(job_id) for job_id, _ in made] == [short for _, short in made]


@pytest.mark.parametrize(
    "job_id",
    [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "01a20160-4c5a-7835-bbec-a58123e27e38",
    ],
)
def test_a_uuid_takes_23_characters_inside_redis_and_comes_back(job_id: str) -> None:
    short = shorten(job_id)

    assert (len(short), short[0], lengthen(short)) == (23, "~", job_id)


@pytest.mark.parametrize(
    "job_id",
    [
        "a",
        "order:17",
        "01A20160-4C5A-7835-BBEC-A58123E27E38",
        "01a20160-4c5a-7835-bbec-a58123e27e3",
        "01a20160_4c5a_7835_bbec_a58123e27e38",
        "x" * 23,
        "x" * 36,
    ],
)
def test_any_other_id_stays_as_it_is(job_id: str) -> None:
    assert (shorten(job_id), lengthen(job_id)) == (job_id, job_id)


def test_no_id_of_a_caller_can_look_like_the_short_form_of_another() -> None:
    short = shorten(new_id())

    with pytest.raises(ValueError, match="is not allowed"):
        check_job_id(short)


@pytest.mark.parametrize("hostile", ["", "~", "~" + "é" * 22, "~" + "!" * 22, "~" + "\0" * 22])
def test_ids_of_strangers_are_shown_whatever_they_are(hostile: str) -> None:
    assert isinstance(lengthen(hostile), str)


def test_only_uuids_count_as_generated() -> None:
    assert [is_generated(shorten(one)) for one in (new_id(), "order:17")] == [True, False]


@pytest.mark.parametrize("short", ["~" + "." * 22, "~AAAA" + "." * 18, "~AAAAAAAA" + ":" * 14])
def test_what_only_looks_like_a_short_id_tells_no_time(short: str) -> None:
    """Strangers write ids as well; these pass for names, and are no base64."""
    assert made_ms(short) == 0


@pytest.mark.parametrize(
    ("job_id", "made"),
    [
        ("01a20160-4c5a-7835-bbec-a58123e27e38", 0x01A201604C5A),
        ("01a20160-4c5a-4835-bbec-a58123e27e38", 0),  # version 4: random throughout
        ("order:17", 0),
    ],
)
def test_only_an_id_of_version_seven_tells_when_it_was_made(job_id: str, made: int) -> None:
    assert made_ms(shorten(job_id)) == made


def test_ids_drawn_in_a_forked_child_are_not_its_parents() -> None:
    new_id()  # so that some are drawn and unused
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, "".join(new_id() for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(read, 20 * 36).decode()

    ours = {new_id()[14:] for _ in range(400)}

    assert not ours & {theirs[n + 14 : n + 36] for n in range(0, len(theirs), 36)}
