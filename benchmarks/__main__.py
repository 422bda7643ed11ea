"""rqueue and its rivals side by side, on the same server, in turns. See ``--help``."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.drains import Numbers
from benchmarks.measures import MEASURES
from benchmarks.peers import LIMIT, LONGEST, PEERS, RIVALS, ROOT, RQUEUE, Peer, node
from benchmarks.report import Run, Sample, report
from benchmarks.stand import Stand

ROUNDS = 3


def main() -> None:
    chosen = _arguments()
    names = _rivals(chosen.rivals)
    peers = [RQUEUE, LIMIT, *(PEERS[name] for name in names)]
    for peer in peers:
        peer.install()
    if chosen.quick:
        peers = [replace(one, drained=one.drained // 2, sent=one.sent // 2) for one in peers]
    out = Path(chosen.out)
    out.mkdir(parents=True, exist_ok=True)
    with Stand(chosen.server) as stand:
        date = time.strftime("%Y-%m-%d")
        run = Run(stand.version, platform.python_version(), date, stand.machine)
        run.versions = ", ".join(_versions(peers))
        run.commit = _commit()
        measures = [name for name in MEASURES if chosen.only in ("", name)]
        for turn in range(1 if chosen.quick else ROUNDS):
            for name in measures:
                measure = MEASURES[name]
                act = measure.quick if chosen.quick else measure.run
                if act is None:
                    continue
                for peer in (*peers[turn:], *peers[:turn]):  # nobody is always the first
                    is_due = not (measure.once and turn) or peer.longest >= LONGEST
                    if is_due and measure.needs in peer.abilities:
                        _measure(run, name, peer, turn, partial(act, stand, peer))
                # It takes half an hour: what is measured so far shall not be lost.
                (out / "results.json").write_text(json.dumps(run.as_json(), indent=1))
    text = report(run)
    (out / "results.md").write_text(text)
    draw(run, out / "results.svg")
    print(text)


def _rivals(chosen: str) -> list[str]:
    known = [one.name for one in RIVALS]
    names = known if chosen == "all" else [name for name in chosen.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        message = f"there is no rival {', '.join(unknown)}; there are {', '.join(known)}"
        raise SystemExit(message)
    return names


def _versions(peers: list[Peer]) -> Iterator[str]:
    """What rqueue runs with, and Node.js; what rivals run with is fixed."""
    for name in ("redis", "hiredis", "msgspec", "uvloop"):
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"
    if any(one.is_node for one in peers):
        told = subprocess.run([node(), "--version"], capture_output=True, text=True, check=True)
        yield f"Node.js {told.stdout.strip().removeprefix('v')}"


def _commit() -> str:
    """What is measured, if it is a checkout; with a mark if something in it was changed."""
    asked = ["git", "describe", "--always", "--dirty"]
    with suppress(OSError, subprocess.CalledProcessError):
        told = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        return told.stdout.strip()
    return ""


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
    parser.add_argument("--quick", action="store_true", help="once, with half as many jobs")
    parser.add_argument("--rivals", default="all", help="names with commas between them; none: ''")
    parser.add_argument("--server", default="redis", choices=["redis", "valkey"])
    parser.add_argument("--out", default="benchmark-results", help="a folder")
    parser.add_argument("--only", default="", choices=["", *MEASURES], help="one measure")
    return parser.parse_args()


if __name__ == "__main__":
    main()
