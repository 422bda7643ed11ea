"""A private Prometheus: the real program on a free port of the loopback, with nothing kept."""

from __future__ import annotations

import http.client
import json
import re
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

_LOOK_S = 0.02
_PATIENCE_S = 30.0
_END_S = 10.0
_DURATION = re.compile(r"(?<![\w.])(\d+)(ms|s|m|h)\b")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


class Series(NamedTuple):
    """A line of a picture.

    Attributes:
        labels: all but the name, unless nothing else is there.
        points: seconds since the epoch, and values.
    """

    labels: dict[str, str]
    points: list[tuple[float, float]]


def sooner(text: str, times: int) -> str:
    """A configuration, rules or a query with every duration so many times shorter."""

    def shorter(found: re.Match[str]) -> str:
        return f"{int(found[1]) * _MILLISECONDS[found[2]] // times}ms"

    return _DURATION.sub(shorter, text)


class Prometheus:
    """One that scrapes as its configuration says; ``with`` it.

    Args:
        program: the binary.
        folder: for its configuration and its data; must be empty.
        config: of Prometheus, as YAML.
        rules: files that the configuration names, by their names.
    """

    def __init__(self, program: str, folder: Path, config: str, rules: Mapping[str, str]) -> None:
        for name, text in {"prometheus.yaml": config, **rules}.items():
            (folder / name).write_text(text)
        self._words = [
            program,
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            "--log.level=warn",
        ]
        self._log = folder / "log"
        self._port = 0

    def __enter__(self) -> Self:
        self._port = _free_port()
        words = [*self._words, f"--web.listen-address=127.0.0.1:{self._port}"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise RuntimeError(f"Prometheus did not start:\n{self._log.read_text()}")
            time.sleep(_LOOK_S)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def targets(self) -> dict[str, str]:
        """Health by job, of jobs with one target; ``unknown`` until it was scraped."""
        active = self._ask("targets", state="active")["activeTargets"]
        return {one["labels"]["job"]: one["health"] for one in active}

    def firing(self) -> set[tuple[str, str]]:
        """Alerts that fire: name and severity."""
        return {
            (one["labels"]["alertname"], one["labels"]["severity"])
            for one in self._ask("alerts")["alerts"]
            if one["state"] == "firing"
        }

    def value(self, query: str) -> float | None:
        """The largest number that a query gives now; None if it gives none."""
        found = self._ask("query", query=query)["result"]
        values = [float(one["value"][1]) for one in found]
        return max((value for value in values if not isnan(value)), default=None)

    def range(self, query: str, begin: float, end: float, step_s: float) -> Sequence[Series]:
        """What a query gave over time."""
        told = {"query": query, "start": begin, "end": end, "step": step_s}
        return [
            Series(
                {key: text for key, text in one["metric"].items() if key != "__name__"},
                [(at, float(value)) for at, value in one["values"]],
            )
            for one in self._ask("query_range", **told)["result"]
        ]

    def _ask(self, page: str, **words: Any) -> Any:
        status, text = self._page(f"/api/v1/{page}?{urlencode(words)}")
        answer = json.loads(text)
        if answer["status"] != "success":
            raise RuntimeError(f"Prometheus: {status} {answer['error']}: {words}")
        return answer["data"]

    def _is_ready(self) -> bool:
        try:
            return self._page("/-/ready")[0] == http.HTTPStatus.OK
        except OSError:
            return False

    def _page(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
