"""rqueue and its rivals side by side, on the same server, in turns. See ``--help``."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.drains import Numbers
from benchmarks.measures import MEASURES
from benchmarks.peers import LIMIT, PEERS, RIVALS, RQUEUE, Peer
from benchmarks.report import Run, Sample, report
from benchmarks.stand import Stand

ROUNDS = 3


def main() -> None:
    chosen = _arguments()
    names = [one.name for one in RIVALS] if chosen.rivals == "all" else chosen.rivals.split(",")
    peers = [RQUEUE, LIMIT, *(PEERS[name] for name in names if name)]
    for peer in peers:
        peer.install()
    out = Path(chosen.out)
    out.mkdir(parents=True, exist_ok=True)
    with Stand(chosen.server) as stand:
        date = time.strftime("%Y-%m-%d")
        run = Run(stand.version, platform.python_version(), date, stand.machine)
        measures = [name for name in MEASURES if chosen.only in ("", name)]
        for turn in range(1 if chosen.quick else ROUNDS):
            for name in measures:
                measure = MEASURES[name]
                act = measure.quick if chosen.quick else measure.run
                if act is None or (measure.once and turn):
                    continue
                for peer in peers:
                    if measure.needs in peer.abilities:
                        _measure(run, name, peer, turn, partial(act, stand, peer))
                # It takes half an hour: what is measured so far shall not be lost.
                (out / "results.json").write_text(json.dumps(run.as_json(), indent=1))
    text = report(run)
    (out / "results.md").write_text(text)
    draw(run, out / "results.svg")
    print(text)


def _measure(run: Run, name: str, peer: Peer, turn: int, act: Callable[[], Numbers]) -> None:
    try:
        numbers = act()
    except (RuntimeError, TimeoutError) as error:
        run.failures.append(f"{name}, {peer.name}: {error}")
        print(f"{name}, {peer.name}: {error}", file=sys.stderr)
        return
    run.samples.append(Sample(name, peer.name, turn, numbers))
    told = ", ".join(f"{what} {value:,.1f}" for what, value in numbers.items())
    print(f"{name}, {peer.name}: {told}", file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure rqueue beside its rivals."
    )
    parser.add_argument("--quick", action="store_true", help="once, not three times")
    parser.add_argument("--rivals", default="all", help="names with commas between them; none: ''")
    parser.add_argument("--server", default="redis", choices=["redis", "valkey"])
    parser.add_argument("--out", default="benchmark-results", help="a folder")
    parser.add_argument("--only", default="", choices=["", *MEASURES], help="one measure")
    return parser.parse_args()


if __name__ == "__main__":
    main()
