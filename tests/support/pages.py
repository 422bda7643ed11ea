"""Pages of a small HTTP server of ours."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import NamedTuple


class Page(NamedTuple):
    """What was answered."""

    status: int
    kind: str
    text: str


def read(url: str, path: str, method: str = "GET", accept: str = "") -> Page:
    """One page of a server at ``http://host:port``."""
    connection = HTTPConnection(url.removeprefix("http://"))
    try:
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        return Page(answer.status, kind, answer.read().decode())
    finally:
        connection.close()
