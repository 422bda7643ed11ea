"""A network that is slow, loses answers, or swallows everything."""

from __future__ import annotations

import signal
from collections.abc import Callable
from os import kill

from rqueue.store import scripts
from tests.faults.chaos import Fault, kill_a_worker, rage
from tests.faults.network import Network, Weather
from tests.faults.scenario import ALL, scenario, times
from tests.faults.stage import Stage
from tests.faults.ticks import EachSecond, i8_ticks_stand_in_order
from tests.faults.timing import BACK_WITHIN_S, PROBE

_LOADED = (
    scripts.ENQUEUE, scripts.FETCH, scripts.FINISH, scripts.DUE, scripts.PROMOTE, scripts.RENEW,
    scripts.REGISTER, scripts.FENCE, scripts.REAP, scripts.RETIRE, scripts.PENDING,
    scripts.FIRE,
)  # fmt: skip
"""What workers, schedulers and producers say by themselves; of every script, one lost answer at a
time: ``tests/scripts/test_lost_answers.py``."""

_MOST_ROUSED = 20


@scenario(
    "F7",
    ALL,
    spared={"i10_no_delayed_job_is_late": "the answer that moved it may be lost"},
    also=(i8_ticks_stand_in_order,),
)
def answers_are_lost(stage: Stage) -> None:
    """The answer to each script is lost after the script has run."""
    stage.start_server()
    network = stage.between()
    stage.schedulers(1)
    stage.workers(3)
    schedule = EachSecond(stage)
    stage.produce(600, rate=40)

    shas = [one.sha.encode() for one in _LOADED]

    def lose(stage: Stage) -> None:
        network.lose_answers_to(*shas)

    rage(
        stage,
        [
            Fault(lose, (2, 4), times=times(stage, 5)),
            Fault(kill_a_worker, (2, 3), times=times(stage, 6)),
        ],
    )
    # An answer that a killed worker did not wait for was not lost on it.
    for _ in range(_MOST_ROUSED):
        missing = [one for one in shas if network.lost[one] < times(stage, 5)]
        if not missing:
            break
        network.lose_answers_to(*missing)
        _rouse(stage, network)
    named = {one.sha.encode(): one.name for one in _LOADED}
    assert not missing, f"too few were lost: {[named[one] for one in missing]}"
    network.lose_no_more()
    schedule.over()
    stage.drain()
    stage.notes["answers_lost"] = network.lost.total()


def _rouse(stage: Stage, network: Network) -> None:
    """Give every script something to do: more jobs than slots, a worker that dies, and readers that
    must look at what they hold."""
    network.drop_all()
    stage.produce(60 / stage.size, rate=200)
    kill_a_worker(stage)
    stage.pause(1)


@scenario("F8", spared={"i10_no_delayed_job_is_late": "every trip is late"})
def the_network_is_slow(stage: Stage) -> None:
    """Two hundred milliseconds and more each way, 64 kB a second, stalls of three seconds."""
    stage.lease_s = 10.0
    stage.start_server()
    network = stage.between()
    stage.schedulers(1)
    stage.workers(3, concurrency=20)
    slow = Weather(delay_s=(0.0, 0.4), bytes_per_s=64_000)
    network.weather = slow
    stage.produce(300, rate=10)

    def stall(stage: Stage) -> None:
        stage.history.write("stall")
        network.weather = Weather(delay_s=(3.0, 3.0))
        stage.pause(0.2)
        network.weather = slow

    rage(stage, [Fault(stall, (8, 12), times=times(stage, 3))])
    stage.drain(120)
    network.weather = Weather()
    assert not stage.history.of("WorkerFenced"), "a lease was lost to a slow network"


@scenario(
    "F10-ways",
    spared={"i10_no_delayed_job_is_late": "the network is bad most of the time"},
)
def connections_end_in_every_way(stage: Stage) -> None:
    """Connections are reset, are refused for a while, or are closed on one side only."""
    stage.start_server()
    network = stage.between()
    stage.cast(jobs=450, rate=30, workers=3)

    def refuse(stage: Stage) -> Callable[[], None]:
        stage.history.write("cut")
        network.cut()
        return network.mend

    def close_one_side(stage: Stage) -> Callable[[], None]:
        stage.history.write("half closed")
        network.weather = Weather(is_half_closed=True)
        return network.mend

    rage(
        stage,
        [
            Fault(lambda _: network.drop_all(), (0.5, 1.5), times=times(stage, 8)),
            Fault(refuse, (3, 5), lasts_s=(0.5, 2), times=times(stage, 2)),
            Fault(close_one_side, (3, 5), lasts_s=(1, 3), times=times(stage, 2)),
        ],
    )
    network.mend()
    stage.drain()


@scenario("F9")
def the_network_swallows_everything(stage: Stage) -> None:
    """Nothing passes and nobody is told, for ten seconds; once the network, once the server."""
    stage.start_server()
    network = stage.between()
    stage.schedulers(1)
    stage.workers(2)
    stage.produce(300, rate=10)
    for turn in range(times(stage, 2)):
        stage.pause(2)
        stage.history.write("black")
        if turn % 2:
            kill(stage.server.pid, signal.SIGSTOP)
            stage.pause(10)
            kill(stage.server.pid, signal.SIGCONT)
        else:
            network.weather = Weather(is_black=True)
            stage.pause(10)
            network.weather = Weather()
        stage.history.write("light")
        began = stage.send((f"{PROBE}{turn}", "work", [0]))
        (end,) = stage.until(lambda t=turn: stage.history.of("end", job=f"{PROBE}{t}"))
        took = end["at"] - began
        stage.notes.setdefault("back after, s", []).append(round(took, 2))
        assert took < BACK_WITHIN_S, f"the readers came back only after {took:.1f} s"
    stage.drain()
