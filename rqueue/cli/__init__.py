"""The command line. Every command is imported when it is called, and imports what it needs then."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from rqueue.cli.exits import Exit, code_of, show_error
from rqueue.errors import RqueueError

COMMANDS = {
    "worker": ("worker:worker", "Run jobs."),
    "scheduler": ("scheduler:scheduler", "Promote due jobs, recover and clean up, for all queues."),
    "exporter": ("exporter:exporter", "Serve what Redis knows of the queues to Prometheus."),
    "dev": ("dev:dev", "Run a server, a worker and a scheduler that reload."),
    "demo": ("demo:demo", "See it work: index a source tree, kill a worker, count the jobs."),
    "enqueue": ("enqueue:enqueue", "Send a job."),
    "job": ("job:job", "Look at one job, wait for it, cancel or reschedule it."),
    "queues": ("queues:queues", "List, cap, pause and resume queues."),
    "schedules": ("schedules:schedules", "List, run, pause and check schedules; when they tick."),
    "workers": ("workers:workers", "List the workers that are there, and stop them."),
    "stats": ("stats:stats", "What became of jobs lately: rates, failures, times."),
    "scale": ("scale:scale", "How many worker replicas there should be."),
    "dead": ("dead:dead", "List, show, retry and discard dead jobs."),
    "doctor": ("doctor:doctor", "Examine the server, the queues and the memory; say what to mend."),
    "ping": ("ping:ping", "Ask Redis whether it is there."),
}
"""Name of a command -> where it is, under this package, and its line in ``rqueue --help``."""

_EPILOG = """\b
Every option can also be set as an environment variable; the help of a command names them.
Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 not found, 4 Redis unreachable, 5 timed out,
6 refused."""


class LazyGroup(click.Group):
    """A group that imports a command only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click names it
        """The names, in the order of the help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click names it
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        found: Any = getattr(import_module(f"rqueue.cli.{module}"), attribute)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click names it
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; rqueue's own errors are told in one paragraph."""
        try:
            return super().invoke(ctx)
        except RqueueError as error:
            show_error(error)
            ctx.exit(code_of(error))
        except KeyboardInterrupt:
            ctx.exit(Exit.INTERRUPTED)


@click.group(
    cls=LazyGroup,
    epilog=_EPILOG,
    context_settings={
        "auto_envvar_prefix": "RQUEUE",
        "help_option_names": ["-h", "--help"],
        "max_content_width": 100,
        "show_default": True,
    },
)
@click.version_option(package_name="rqueue", message="%(package)s %(version)s")
def main() -> None:
    """A distributed task queue on Redis and Valkey."""
