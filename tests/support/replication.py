"""A primary and its replica, and between them a link that can be cut or stalled."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Self

from tests.support.clients import client
from tests.support.proxy import Proxy
from tests.support.servers import Server
from tests.support.waiting import PATIENCE_S, within


class Pair:
    """Two servers of one flavour: ``with Pair("redis7") as pair``; linked when it is entered."""

    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        config = {"repl-diskless-sync-delay": "0"}
        self.primary = self._stack.enter_context(Server(self.flavour, tcp=True, config=config))
        self.link = self._stack.enter_context(Proxy(self.primary.url))
        host, _, port = self.link.url.removeprefix("redis://").removesuffix("/0").partition(":")
        following = {"replicaof": f"{host} {port}"}
        self.replica = self._stack.enter_context(Server(self.flavour, tcp=True, config=following))
        self.to_primary = self._stack.enter_context(client(self.primary.url))
        self.to_replica = self._stack.enter_context(client(self.replica.url))
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def cut(self) -> None:
        """Break the link; the primary knows it."""
        self.link.cut()
        within(PATIENCE_S, lambda: self._told("connected_slaves") == 0)

    def stall(self) -> None:
        """Let nothing through the link any more; nobody knows it yet."""
        self.link.stall()

    def mend(self) -> None:
        """Link the two, and let the replica catch up."""
        self.link.mend()
        within(PATIENCE_S, lambda: self._told("connected_slaves") == 1)
        within(PATIENCE_S, lambda: self.to_primary.execute_command("WAIT", 1, 100) == 1)

    def fail_over(self) -> None:
        """Kill the primary and promote the replica."""
        self.primary.kill()
        self.to_replica.execute_command("REPLICAOF", "NO", "ONE")

    def _told(self, field: str) -> Any:
        told: Any = self.to_primary.info("replication")
        return told[field]
