"""A job as it is shown: for people and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from rqueue.app import App
from rqueue.cli.output import as_json, one_line, print_facts, print_json
from rqueue.clock import from_ms
from rqueue.codec import PROTECTED, decode
from rqueue.envelope import OpenedEnvelope, open_envelope
from rqueue.errors import CodecError
from rqueue.job import AttemptError, JobInfo
from rqueue.sensitive import Place, covered


def show(info: JobInfo, app: App, *, is_json: bool) -> None:
    """Print a job: as one line of JSON, or as facts.

    A call that is larger than the app may send is not opened: decoded it may take 64 times as much.
    """
    if is_json:
        print_json(job_record(info, app))
    else:
        print_facts(job_facts(info, app))


def job_facts(info: JobInfo, app: App) -> dict[str, object]:
    """A job as lines for people."""
    return {
        "id": info.id,
        "task": info.task,
        "version": version if (version := version_of(info, app)) != 1 else "",
        "arguments": _call_text(info, app),
        "queue": f"{info.queue} ({info.priority})" if info.priority else info.queue,
        "state": info.state + (", to be cancelled" if info.cancel_requested else ""),
        "reason": info.reason,
        "attempts": info.attempts,
        "crashes": info.crashes or "",
        "created": ago(info.created_at),
        "due": ago(info.due_at),
        **{name: ago(moment) for name, moment in limits(info, app).items()},
        "started": ago(info.started_at),
        "finished": ago(info.finished_at),
        "worker": info.worker,
        "unique": info.unique,
        "result": _result_text(info),
        "errors": "\n".join(_error_text(one) for one in info.errors),
    }


def job_record(info: JobInfo, app: App) -> dict[str, Any]:
    """A job as JSON; what is encoded inside it is opened."""
    args, kwargs = arguments(info, app)
    record: dict[str, Any] = msgspec.structs.asdict(info)
    del record["envelope"]
    record["args"], record["kwargs"] = args, kwargs
    record["version"] = version_of(info, app)
    record |= {f"{name}_at": moment for name, moment in limits(info, app).items()}
    record["result"] = None if info.result is None else _opened(info.result)
    record["protected"] = list(info.protected)
    record["errors"] = [
        {**msgspec.structs.asdict(one), "at": from_ms(one.at)} for one in info.errors
    ]
    return record


def arguments(info: JobInfo, app: App) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a job as they may be shown; none if its envelope cannot be read.

    Its producer said which to hide if it had the task; if we have the task, we know as well.
    """
    opened = _open(info, app)
    if opened is None:
        return [], {}
    try:
        read = msgspec.json.decode if opened.is_json else msgspec.msgpack.decode
        args = read(opened.envelope.args, type=list[Any])
        kwargs = read(opened.envelope.kwargs, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return [], {}
    hidden: list[Place] = list(opened.envelope.hidden)
    task = app.tasks.find(opened.envelope.task)
    if task is not None:
        upgrade = task.upgrades.find(opened.envelope.version)
        knowing = [task.signature, *([upgrade.signature] if upgrade is not None else [])]
        hidden += [one for known in knowing for one in known.hidden.places(len(args), kwargs)]
    return covered(hidden, args, kwargs)


def version_of(info: JobInfo, app: App) -> int | None:
    """Which version of its task's arguments a job has; None if its envelope cannot be read."""
    opened = _open(info, app)
    return None if opened is None else opened.envelope.version


def limits(info: JobInfo, app: App) -> dict[str, datetime | None]:
    """Beyond what a job is not started, and beyond what it does not run, while that is known."""
    opened = _open(info, app)
    told = (0, 0) if opened is None else (opened.envelope.expires, opened.envelope.deadline)
    expires, deadline = (from_ms(ms) if ms else None for ms in told)
    return {"expires": expires, "deadline": deadline}


def ago(moment: datetime | None) -> str:
    """A time, and how long ago or hence it is."""
    if moment is None:
        return ""
    return f"{moment.isoformat(timespec='milliseconds')} ({span(moment)})"


def span(moment: datetime) -> str:
    """How long ago or hence a time is."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    size = abs(seconds)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if size >= 2 * length:
            text = f"{size / length:.0f} {unit}"
            break
    else:
        text = f"{size:.1f} s"
    return f"{text} ago" if seconds >= 0 else f"in {text}"


def _call_text(info: JobInfo, app: App) -> str:
    if "envelope" in info.protected:
        return PROTECTED
    largest = app.store.max_payload
    if info.envelope is not None and len(info.envelope) > largest:
        return f"(not opened: {len(info.envelope):,} bytes, max_payload here is {largest:,})"
    args, kwargs = arguments(info, app)
    named = [f"{name}={as_json(value)}" for name, value in kwargs.items()]
    return one_line(", ".join([*map(as_json, args), *named]), 1000)


def _open(info: JobInfo, app: App) -> OpenedEnvelope | None:
    if info.envelope is None:
        return None
    try:
        return open_envelope(info.envelope, app.store.max_payload)
    except CodecError:
        return None


def _result_text(info: JobInfo) -> str:
    if "result" in info.protected:
        return PROTECTED
    return "" if info.result is None else as_json(_opened(info.result))


def _opened(data: bytes) -> Any:
    try:
        return decode(data)
    except CodecError:
        return repr(data)


def _error_text(error: AttemptError) -> str:
    head = f"attempt {error.attempt}, {ago(from_ms(error.at))}, worker {error.worker}"
    body = error.traceback.strip() or f"{error.type}: {error.message}"
    return f"{head}\n{body}"
