"""Watch: a worker that renews within a lease is never condemned, a dead one always is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rqueue.worker.watch import Watch

LEASE, GAP = 6.0, 2.0
# How a reaper looks: the pause before each look, and how long its answer takes.
LOOKS = st.lists(st.tuples(st.floats(0.01, 30), st.floats(0, 5)), min_size=1, max_size=60)
STEADY = st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0, 0.9)), min_size=60, max_size=60)


@given(LOOKS, st.floats(0.01, LEASE), st.floats(0, LEASE), st.data())
def test_a_worker_that_renews_within_a_lease_is_never_condemned(
    looks: list[tuple[float, float]], period: float, phase: float, data: st.DataObject
) -> None:
    """Whatever the looks do: outages, slow answers, a paused reaper."""
    watch, now = Watch(LEASE, GAP), 0.0
    for pause, slow in looks:
        sent = now + pause
        now = sent + slow
        # Redis answers at some moment between the two; it tells what was renewed until then.
        answered = data.draw(st.floats(sent, now))
        counter = (answered + phase) // period

        assert watch.look({"w": counter}, sent, now) == []


@given(STEADY, st.floats(0, 20))
def test_a_worker_that_died_is_condemned_within_a_lease_of_its_last_sign_and_two_looks(
    looks: list[tuple[float, float]], death: float
) -> None:
    watch, now, period = Watch(LEASE, GAP), 0.0, LEASE / 3
    for pause, slow in looks:
        sent = now + pause
        now = sent + slow
        dead = watch.look({"w": min(sent, death) // period}, sent, now)
        assert not dead or sent - death >= LEASE - period - GAP
        if dead:
            return
        assert now - death < LEASE + 2 * GAP + 2 * period


@given(st.floats(0, 10), st.floats(GAP + 1.1, 60), st.floats(0.01, LEASE))
def test_an_outage_that_hits_everyone_condemns_nobody(
    begins: float, length: float, first_renewal: float
) -> None:
    """Redis is away: no renewal, no look. The worker is heard again within a lease of the end."""
    watch, now, ends = Watch(LEASE, GAP), 0.0, begins + length
    while now < ends + 4 * LEASE:
        if begins <= now < ends:
            now = ends
        renewals = min(now, begins) // (LEASE / 3)
        renewals += max(0.0, (now - ends - first_renewal) // (LEASE / 3) + 1)

        assert watch.look({"w": renewals}, now, now) == []
        now += 1.0


@given(
    st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3)), min_size=1, max_size=30)
)
def test_only_those_that_hold_a_lease_now_are_condemned(seen: list[dict[str, int]]) -> None:
    watch = Watch(LEASE, GAP)
    for second, leases in enumerate(seen):
        dead = watch.look(leases, second, second)

        assert set(dead) <= set(leases.items())
