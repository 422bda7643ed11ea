"""Holds every call to the keys it declares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis import Redis

from rqueue.config import StoreConfig
from rqueue.store.call import Call
from rqueue.store.transport import Transport


class NarrowTransport(Transport):
    """Makes each trip as a user who may touch no key but those that the calls declare.

    A script that reaches for another key is refused by Redis, as it would be in a cluster while
    that key moves: after its earlier writes.
    """

    def __init__(self, url: str, namespace: str, admin: Redis) -> None:
        self._admin = admin
        self._user = f"narrow-{namespace}"
        self._set("reset", "on", "nopass", "+@all", "allchannels")
        credentials = f"unix://{self._user}:any@"
        super().__init__(StoreConfig(url=url.replace("unix://", credentials), namespace=namespace))

    def _exchange(self, calls: Sequence[Call[Any]]) -> list[Any]:
        keys = {key for call in calls for key in call.keys}
        self._set("resetkeys", *(f"~{key}" for key in keys))
        return super()._exchange(calls)

    def denied(self) -> list[Any]:
        """The keys that were touched without being declared."""
        log = self._admin.acl_log()
        return [row["object"] for row in log if row["username"] == self._user]

    def close(self) -> None:
        super().close()
        self._admin.acl_deluser(self._user)

    def _set(self, *rules: str) -> None:
        words: Iterable[str] = ("ACL", "SETUSER", self._user, *rules)
        self._admin.execute_command(*words)
