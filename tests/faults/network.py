"""A network that can be made bad: a proxy in front of a server, with faults to switch on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlparse

from tests.support.aside import Aside


@dataclass
class Weather:
    """What the network does to every connection.

    Attributes:
        delay_s: (least, most) seconds that each piece is held up, each way.
        bytes_per_s: how much passes each way; 0 = as much as comes.
        is_black: takes everything and passes nothing on; nobody is told.
        is_cut: no connection stands and none is made.
        is_half_closed: answers end, but the connection stays open for requests.
    """

    delay_s: tuple[float, float] = (0.0, 0.0)
    bytes_per_s: int = 0
    is_black: bool = False
    is_cut: bool = False
    is_half_closed: bool = False


class Network(Aside):
    """``with Network(host, port) as network``: clients connect to ``network.port``."""

    def __init__(self, server_url: str, seed: int = 0) -> None:
        super().__init__()
        self._server = urlparse(server_url)
        self.weather = Weather()
        self.lost = Counter[bytes]()
        self._chance = random.Random(seed)
        self._losing: list[bytes] = []
        self._asked: dict[asyncio.Event, set[bytes]] = {}

    @property
    def url(self) -> str:
        """The server's address with ours in place of its own; credentials are kept."""
        user, at, _ = self._server.netloc.rpartition("@")
        return f"redis://{user}{at}127.0.0.1:{self.port}/0"

    def lose_answers_to(self, *words: bytes) -> None:
        """The next request that contains each of these is carried out, its answer is cut off."""
        self._losing += words

    def lose_no_more(self) -> None:
        """Forget what was still to be lost."""
        self._losing.clear()

    def drop_all(self) -> None:
        """Reset every connection that stands."""
        self._loop.call_soon_threadsafe(self._drop)

    def cut(self) -> None:
        self.weather.is_cut = True
        self.drop_all()

    def mend(self) -> None:
        """Fair weather again; connections that lost something are dropped."""
        spoilt = self.weather != Weather()
        self.weather = Weather()
        if spoilt:
            self.drop_all()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far: asyncio.StreamWriter | None = None
        try:
            if self.weather.is_cut:
                return
            host, port = self._server.hostname, self._server.port
            answers, far = await asyncio.open_connection(host, port)
            self._writers.add(far)
            losing = asyncio.Event()
            ways = [
                asyncio.create_task(self._pass(reader, far, lambda data: self._ask(data, losing))),
                asyncio.create_task(self._pass(answers, writer, lambda _: self._reply(losing))),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):  # at the end all are cancelled
            return
        finally:
            for one in (writer, far):
                if one is not None:
                    self._writers.discard(one)
                    with suppress(OSError):
                        one.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        may_pass: Callable[[bytes], bool],
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                if not may_pass(data):
                    if self.weather.is_half_closed:
                        await asyncio.Event().wait()
                    return
                weather = self.weather
                if weather.delay_s[1]:
                    await asyncio.sleep(self._chance.uniform(*weather.delay_s))
                if weather.bytes_per_s:
                    await asyncio.sleep(len(data) / weather.bytes_per_s)
                if self.weather.is_black:
                    continue
                writer.write(data)
                await writer.drain()

    def _ask(self, data: bytes, losing: asyncio.Event) -> bool:
        found = {words for words in self._losing if words in data}
        for words in found:  # several requests may come at once, and all their answers go
            self._losing.remove(words)
        if found:
            self._asked.setdefault(losing, set()).update(found)
            losing.set()
        return True

    def _reply(self, losing: asyncio.Event) -> bool:
        if losing.is_set():
            self.lost.update(self._asked.pop(losing, ()))
            return False
        return not self.weather.is_half_closed
