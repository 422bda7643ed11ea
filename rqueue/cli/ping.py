"""``rqueue ping``."""

from __future__ import annotations

import click

from rqueue.cli.options import Target, with_json, with_target


@click.command()
@with_target
@with_json
def ping(target: Target, *, is_json: bool) -> None:
    """Ask Redis whether it is there; exit code 0 if it is, 4 if it is not."""
    from rqueue.cli.connecting import app_for_questions
    from rqueue.cli.output import note, print_facts, print_json
    from rqueue.clock import monotonic
    from rqueue.config import shown
    from rqueue.store.call import Call
    from rqueue.store.serverfacts import ask_server, facts_of, problems_of
    from rqueue.worker.servercheck import wants_fsync

    app = app_for_questions(target)
    transport = app.connections.blocking()
    facts = facts_of(transport.send_many(ask_server()))
    sent = monotonic()
    transport.send(Call(("PING",), (), (), bytes))
    latency_ms = round((monotonic() - sent) * 1000, 2)
    app.close_sync()
    for problem in problems_of(facts, wants_fsync=wants_fsync(app)):
        note(f"{'Note' if problem.level == 'note' else 'Warning'}: {problem.text}")
    answer = {
        "url": shown(app.store.url),
        "namespace": app.store.namespace,
        "server": facts.product,
        "version": facts.version,
        "maxmemory_policy": facts.policy,
        "latency_ms": latency_ms,
    }
    (print_json if is_json else print_facts)(answer)
