"""``rqueue doctor``: what is wrong with the live server, its queues and its memory."""

from __future__ import annotations

from collections.abc import Sequence

import click

from rqueue.cli.options import Target, duration, option, with_json, with_target

_ROLES = ("producer", "worker", "scheduler", "exporter", "admin")


@click.command()
@option(
    "--trend", type=duration, default="10s", metavar="TIME",
    help="Look twice, so far apart: 10s, 1m; 0 = one look.",
)  # fmt: skip
@option(
    "--role", "roles", multiple=True, type=click.Choice(_ROLES),
    help="What this user must be able to be; may be given several times.",
)  # fmt: skip
@option("--strict", is_flag=True, help="Warnings, and what is not told, are failures too.")
@option("--all", "shows_all", is_flag=True, help="Say of each check that is ok why it matters.")
@with_target
@with_json
def doctor(
    roles: Sequence[str], target: Target, *, trend: float, strict: bool, shows_all: bool,
    is_json: bool,
) -> None:  # fmt: skip
    """Examine the server, the queues and the memory; say what is wrong and what mends it.

    It only reads, and little: at most 20,000 keys are listed and 2,000 weighed in a look, for at
    most a second, beside a few keys of each of at most 100 queues. What this user may not ask for,
    or a managed server does not tell, is "unknown".

    Exit code 0: no failure; 1: a failure, with --strict also a warning or an unknown; 4: the
    server does not answer.
    """
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.doctorview import print_report
    from rqueue.cli.exits import Exit
    from rqueue.cli.output import note, print_json
    from rqueue.doctor.exam import examine
    from rqueue.doctor.report import report_of
    from rqueue.doctor.verdict import Status
    from rqueue.worker.servercheck import wants_fsync

    app = app_for_questions(target)
    transport, fsyncs = app.connections.blocking(), wants_fsync(app)
    exam = examine(transport, pause_s=trend, roles=roles, wants_fsync=fsyncs, say=note)
    report = report_of(exam)
    app.close_sync()
    if is_json:
        print_json(report)
    else:
        print_report(report, shows_all=shows_all)
    bad = {Status.FAILURE, Status.WARNING, Status.UNKNOWN} if strict else {Status.FAILURE}
    if any(one.status in bad for one in report.findings):
        raise click.exceptions.Exit(Exit.FAILED)
