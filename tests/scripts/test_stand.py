"""stand: which of the releases that run side by side declares the schedules of a queue."""

from __future__ import annotations

import pytest

from rqueue.errors import CorruptKey
from rqueue.store.calls import releases
from tests.support.bench import Bench
from tests.support.queue_state import NOW, QueueState

LIFE = 90_000


def stand(queue: Bench, release: str, now: int = NOW) -> str:
    return queue.send(releases.stand(queue.keys, release, LIFE, str(now)))


def test_the_only_one_stands(queue: Bench) -> None:
    assert [stand(queue, "a"), stand(queue, "a", NOW + 5)] == ["stands"] * 2

    assert queue.state() == QueueState(releases={"a": f"{NOW} {NOW + 5 + LIFE}"})


def test_the_later_one_stands_as_long_as_it_runs_and_the_earlier_one_yields(queue: Bench) -> None:
    stand(queue, "old")

    assert stand(queue, "new", NOW + 1) == "stands"
    assert stand(queue, "old", NOW + 2) == "yields"
    assert stand(queue, "new", NOW + 3) == "stands"

    later = NOW + 4 + LIFE
    assert stand(queue, "old", later) == "stands"
    assert queue.state() == QueueState(releases={"old": f"{later} {later + LIFE}"})


def test_a_release_that_comes_back_is_the_latest(queue: Bench) -> None:
    stand(queue, "old")
    stand(queue, "new", NOW + LIFE + 1)

    assert stand(queue, "old", NOW + LIFE + 2) == "stands"
    assert stand(queue, "new", NOW + LIFE + 3) == "yields"


def test_of_two_that_came_at_once_one_stands(queue: Bench) -> None:
    for release in "ab":
        stand(queue, release)

    assert [stand(queue, "a"), stand(queue, "b")] == ["yields", "stands"]


def test_what_a_stranger_wrote_there_is_forgotten(queue: Bench) -> None:
    queue.client.hset(queue.keys.releases, "x", "nonsense")

    assert stand(queue, "a") == "stands"
    assert list(queue.state().releases) == ["a"]


def test_a_key_of_a_wrong_type_leaves_everything_as_it_is(queue: Bench) -> None:
    queue.client.set(queue.keys.releases, "of a wrong type")
    before = queue.exact()

    with pytest.raises(CorruptKey):
        stand(queue, "a")

    assert queue.exact() == before
