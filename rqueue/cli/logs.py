"""Log lines on stderr: text for people, JSON for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from functools import partial

from rqueue.cli.options import Logging
from rqueue.cli.output import clean
from rqueue.logs import JobFilter, set_up


class TextFormatter(logging.Formatter):
    """One line and, indented below it, what more there is; nothing in it drives a terminal."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(process)d %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record; what a job says begins no line, or it could pass for ours."""
        text = super().format(record)
        job_id = getattr(record, "job_id", "")
        if job_id and not record.name.startswith("rqueue"):  # ours say it themselves
            text += f"  [task={getattr(record, 'task', '')} job={job_id}]"
        return clean(text).replace("\n", "\n  ")


class JsonFormatter(logging.Formatter):
    """One JSON object on each line."""

    def format(self, record: logging.LogRecord) -> str:
        """The object of a record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            line["stack"] = self.formatStack(record.stack_info)
        line |= {name: value for name, value in _more(record).items() if name not in line}
        try:
            return json.dumps(line, default=repr)
        except (TypeError, ValueError):  # a key that is no text, a value within itself
            return json.dumps({name: _plain(value) for name, value in line.items()})


_USUAL = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


def _more(record: logging.LogRecord) -> dict[str, object]:
    """The fields of its job, and what else somebody has given a record."""
    found = vars(record)
    more = {name: found[name] for name in found.keys() - _USUAL}
    return {name: value for name, value in more.items() if not (type(value) is str and not value)}


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | None) else repr(value)


def log_to_stderr(logs: Logging) -> None:
    """Send every log line of this process, and of a worker's children, to stderr."""
    set_up(partial(_log_to_stderr, logs))


def _log_to_stderr(logs: Logging) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(JobFilter())
    handler.setFormatter(JsonFormatter() if logs.log_format == "json" else TextFormatter())
    logging.basicConfig(level=logs.log_level.upper(), handlers=[handler], force=True)
    logging.getLogger("rqueue.jobs").setLevel("NOTSET" if logs.log_jobs else "WARNING")
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
