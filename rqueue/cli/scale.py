"""``rqueue scale``: how many worker replicas there should be."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rqueue.cli.options import Target, option, with_json, with_target

_COLUMNS = ("queue", "desired", "ready", "due", "running", "oldest", "target", "workers", "slots")


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE]...")
@option(
    "--slots", type=click.IntRange(1, 1_000_000),
    help="Jobs that a replica runs at a time.  [default: as the workers say that are there]",
)  # fmt: skip
@with_target
@with_json
def scale(queues: Sequence[str], slots: int | None, target: Target, *, is_json: bool) -> None:
    """How many replicas each queue should have, or these; mail,default are served together.

    It is one look: whoever acts on it should let replicas go only when the number has been lower
    for some minutes, as `rqueue exporter` does under /scale/QUEUE.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import print_json, print_table

    app = app_for_questions(target)
    inspector = app.inspector_sync
    groups = queues or [one.name for one in inspector.queues()]
    found = [inspector.demand(*group.split(","), slots=slots) for group in groups]
    app.close_sync()
    if is_json:
        print_json(found)
        return
    print_table(
        _COLUMNS,
        [
            (one.queue, one.desired, one.ready, one.due, one.running, f"{one.oldest_age_s:.1f}s",
             "" if one.target_s is None else f"{one.target_s:g}s", one.workers, one.slots)
            for one in found
        ],
    )  # fmt: skip
