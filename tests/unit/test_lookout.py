"""Who of a process looks at the leases of which queue."""

from __future__ import annotations

import pytest

from rqueue.app import App
from rqueue.worker import lookout as lookouts
from rqueue.worker.lookout import Lookout, lookout_of


def test_a_worker_that_looks_often_enough_looks_for_its_scheduler_too() -> None:
    lookout, worker = Lookout(), object()
    lookout.watch(worker, "mail", 2.0)

    assert lookout.is_watched("mail", 2.0)
    assert not lookout.is_watched("mail", 1.9)
    assert not lookout.is_watched("other", 2.0)
    lookout.leave(worker)
    assert not lookout.is_watched("mail", 2.0)


def test_a_queue_is_served_until_its_scheduler_leaves() -> None:
    lookout, one, other = Lookout(), object(), object()
    lookout.serve(one, "mail")
    lookout.serve(other, "mail")

    lookout.leave(one)
    assert (lookout.is_served("mail"), lookout.is_served("other")) == (True, False)
    lookout.leave(other)
    assert not lookout.is_served("mail")


def test_a_fork_takes_nobody_along(monkeypatch: pytest.MonkeyPatch) -> None:
    lookout, one = Lookout(), object()
    lookout.watch(one, "mail", 1.0)
    lookout.serve(one, "mail")

    monkeypatch.setattr(lookouts.os, "getpid", lambda: 1)

    assert not lookout.is_watched("mail", 1.0)
    assert not lookout.is_served("mail")


def test_apps_have_nothing_to_do_with_each_other() -> None:
    one, other = App(), App()

    assert lookout_of(one) is lookout_of(one) is not lookout_of(other)
