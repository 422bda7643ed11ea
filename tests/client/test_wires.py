"""Many trips on one connection: each gets its own answers, whatever becomes of the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import pytest
from redis import Redis

from rqueue.config import StoreConfig
from rqueue.errors import StoreUnavailable
from rqueue.store.call import Call
from rqueue.store.keys import queue_keys
from rqueue.store.transport import AsyncTransport, Transport
from tests.support.tls import Tls
from tests.support.waiting import PATIENCE_S, eventually

HASTY_S = 0.2


def echo(word: str) -> Call[bytes]:
    return Call(("ECHO",), (word,), (), bytes)


def own_id() -> Call[int]:
    return Call(("CLIENT", "ID"), (), (), int)


@asynccontextmanager
async def transport_to(url: str, timeout_s: float = PATIENCE_S) -> AsyncGenerator[AsyncTransport]:
    transport = AsyncTransport(StoreConfig(url=url, timeout_s=timeout_s, retry_s=0.0))
    yield transport
    await transport.close()


class Scripted:
    """A server of one's own making: it greets as Redis does, and answers as it is told.

    Attributes:
        answer: what to write for a command that came; None = nothing.
        connections: how many were made.
        reads: whether it takes in what is sent.
    """

    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self.answer = answer
        self.connections = 0
        self.url = ""
        self.writers: list[asyncio.StreamWriter] = []
        self.reads = asyncio.Event()
        self.reads.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1024)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self.writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while (head := await reader.readline()).startswith(b"*"):
            words: list[bytes] = []
            for _ in range(int(head[1:])):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2])
                await self.reads.wait()
            reply = b"+OK\r\n" if words[0] == b"CLIENT" else self.answer(words[-1])
            if reply is not None:
                writer.write(reply)


async def test_concurrent_trips_share_a_connection_and_get_their_own_answers(url: str) -> None:
    async with transport_to(url) as transport:
        words = [f"word-{n}" for n in range(200)]

        said = await asyncio.gather(*(transport.send(echo(word)) for word in words))
        ids = set(await asyncio.gather(*(transport.send(own_id()) for _ in range(50))))

        assert (said, len(ids)) == ([word.encode() for word in words], 1)


async def test_a_cancelled_trip_leaves_the_connection_in_step(url: str) -> None:
    async with transport_to(url) as transport:
        before = await transport.send(own_id())
        trips = [asyncio.create_task(transport.send(echo(f"{n}"))) for n in range(20)]
        await asyncio.sleep(0)  # they are under way
        for trip in trips[::2]:
            trip.cancel()

        said = await asyncio.gather(*trips, return_exceptions=True)

        assert [type(one) for one in said[::2]] == [asyncio.CancelledError] * 10
        assert said[1::2] == [f"{n}".encode() for n in range(1, 20, 2)]
        assert await transport.send(own_id()) == before


async def test_who_is_cancelled_while_it_connects_leaves_the_connection_to_the_others(
    url: str,
) -> None:
    async with transport_to(url) as transport:
        first = asyncio.create_task(transport.send(echo("first")))
        second = asyncio.create_task(transport.send(echo("second")))
        await asyncio.sleep(0)  # both wait for the one that connects
        first.cancel()

        assert await second == b"second"
        assert first.cancelled()


async def test_who_waits_for_a_connection_is_told_of_the_close_and_not_cancelled() -> None:
    async with Scripted(lambda _: None) as server:
        server.reads.clear()  # the greeting is never answered
        transport = AsyncTransport(StoreConfig(url=server.url, timeout_s=PATIENCE_S, retry_s=0.0))
        waiting = asyncio.create_task(transport.send(echo("late")))
        await eventually(lambda: server.connections)

        await transport.close()

        with pytest.raises(StoreUnavailable, match="the connections were closed"):
            await waiting


async def test_a_connection_that_was_lent_while_all_were_closed_is_closed_when_it_comes_back(
    url: str,
) -> None:
    async with transport_to(url) as transport:
        blocking = Transport(StoreConfig(url=url))
        async with transport._wires.own() as lent:
            await transport.close()
        with blocking._wires.own() as lent_to_thread:
            blocking.close()

        assert (lent.is_lost, transport._wires._idle) == (True, [])
        assert (lent_to_thread._socket.fileno(), blocking._wires._idle) == (-1, [])


async def test_what_makes_its_connection_wait_keeps_nobody_else_waiting(
    url: str, namespace: str, redis: Redis
) -> None:
    async with transport_to(url) as transport:
        key = queue_keys(namespace, "default").meta
        blocked = Call(("BLPOP",), (key,), (0,), list).waiting(PATIENCE_S)
        waiting = asyncio.create_task(transport.send(blocked))
        await eventually(lambda: redis.info("clients")["blocked_clients"])  # pyright: ignore[reportIndexIssue]

        assert await transport.send(echo("meanwhile")) == b"meanwhile"

        redis.rpush(key, "over")
        assert await waiting == [key.encode(), b"over"]


async def test_silence_ends_every_trip_of_the_connection_and_the_next_one_makes_another() -> None:
    answers = {b"loud": b"+loud\r\n"}
    async with Scripted(answers.get) as server, transport_to(server.url, HASTY_S) as transport:
        trips = [transport.send(echo(word)) for word in ("quiet", "still", "mute")]

        ended = await asyncio.gather(*trips, return_exceptions=True)

        assert [type(one) for one in ended] == [StoreUnavailable] * 3
        assert "no answer within 0.2 s" in str(ended[0])
        assert await transport.send(echo("loud")) == b"loud"
        assert server.connections == 2


async def test_a_loop_that_was_blocked_does_not_take_itself_for_silence(url: str) -> None:
    async with transport_to(url, HASTY_S) as transport:
        before = await transport.send(own_id())
        trip = asyncio.create_task(transport.send(own_id()))
        await asyncio.sleep(0)  # it is under way

        time.sleep(2 * HASTY_S)  # noqa: ASYNC251 - this is what blocks the loop

        assert await trip == before


async def test_a_word_nobody_asked_for_ends_the_connection() -> None:
    answers = {b"one": b"+one\r\n+another\r\n", b"two": b"+two\r\n"}
    async with Scripted(answers.get) as server, transport_to(server.url) as transport:
        assert await transport.send(echo("one")) == b"one"

        assert await transport.send(echo("two")) == b"two"
        assert server.connections == 2


async def test_what_does_not_speak_as_redis_does_is_told_so() -> None:
    async with (
        Scripted({b"one": b"HTTP/1.1 400 Bad Request\r\n\r\n"}.get) as server,
        transport_to(server.url, HASTY_S) as transport,
    ):
        with pytest.raises(StoreUnavailable, match="does not speak as Redis does"):
            await transport.send(echo("one"))


async def test_a_connection_that_ends_is_replaced_before_the_next_trip(
    url: str, redis: Redis
) -> None:
    async with transport_to(url, HASTY_S) as transport:
        first = await transport.send(own_id())

        redis.client_kill_filter(_id=str(first))
        await eventually(lambda: transport._wires.open is None)

        assert await transport.send(own_id()) != first


async def test_while_one_connection_is_held_up_others_use_another() -> None:
    async with (
        Scripted(lambda word: b"$%d\r\n%b\r\n" % (len(word), word)) as server,
        transport_to(server.url) as transport,
    ):
        assert await transport.send(echo("hello")) == b"hello"
        server.reads.clear()
        large = asyncio.create_task(transport.send(echo("x" * 20_000_000)))
        await eventually(lambda: transport._wires.open is None)
        server.reads.set()

        assert await transport.send(echo("small")) == b"small"
        assert (len(await large), server.connections) == (20_000_000, 2)


async def test_errors_are_answers_of_their_own_trip_only(url: str) -> None:
    async with transport_to(url) as transport:
        wrong = Call[Any](("ECHO",), (), (), bytes).on_refusal(str)

        said = await asyncio.gather(
            transport.send(echo("before")), transport.send(wrong), transport.send(echo("after"))
        )

        assert said[::2] == [b"before", b"after"]
        assert "wrong number of arguments" in said[1]


async def test_a_blocking_connection_that_ended_is_replaced_before_the_next_trip(
    url: str, redis: Redis
) -> None:
    transport = Transport(StoreConfig(url=url, retry_s=0.0))
    first = transport.send(own_id())

    redis.client_kill_filter(_id=str(first))

    assert transport.send(own_id()) != first
    transport.close()


async def test_threads_share_connections_and_get_their_own_answers(url: str) -> None:
    transport = Transport(StoreConfig(url=url))
    with ThreadPoolExecutor(8) as threads:
        words = [f"word-{n}" for n in range(400)]

        said = list(threads.map(lambda word: transport.send(echo(word)), words))
        ids = set(threads.map(lambda _: transport.send(own_id()), range(100)))

    assert said == [word.encode() for word in words]
    assert len(ids) <= 8
    transport.close()


async def test_a_blocking_connection_whose_answer_failed_is_not_used_again() -> None:
    answers = {b"loud": b"+loud\r\n"}
    async with Scripted(answers.get) as server:
        transport = Transport(StoreConfig(url=server.url, timeout_s=HASTY_S, retry_s=0.0))

        with pytest.raises(StoreUnavailable):
            await asyncio.to_thread(transport.send, echo("quiet"))

        assert await asyncio.to_thread(transport.send, echo("loud")) == b"loud"
        assert server.connections == 2
        transport.close()


async def test_through_tls_trips_are_made_alike(valkey_url: str, tmp_path: Path) -> None:
    with Tls(valkey_url, tmp_path) as tls:
        async with transport_to(tls.url) as transport:
            words = [f"word-{n}" * 1000 for n in range(50)]
            said = await asyncio.gather(*(transport.send(echo(word)) for word in words))
            ids = {await transport.send(own_id()) for _ in range(3)}
        blocking = Transport(StoreConfig(url=tls.url))
        ids_of_thread = {await asyncio.to_thread(blocking.send, own_id()) for _ in range(3)}
        blocking.close()

    assert said == [word.encode() for word in words]
    assert (len(ids), len(ids_of_thread)) == (1, 1)


@pytest.mark.parametrize(
    ("address", "trusts", "why"),
    [
        ("127.0.0.1", False, "self.signed certificate"),
        ("10.1.2.3", True, "IP address mismatch"),
    ],
)
async def test_a_server_that_cannot_show_who_it_is_gets_no_word(
    valkey_url: str, tmp_path: Path, address: str, trusts: bool, why: str
) -> None:
    with Tls(valkey_url, tmp_path, address) as tls:
        config = StoreConfig(url=tls.url if trusts else tls.untrusting_url, retry_s=0.0)
        blocking, transport = Transport(config), AsyncTransport(config)
        with pytest.raises(StoreUnavailable, match=why):
            await asyncio.to_thread(blocking.send, echo("secret"))
        with pytest.raises(StoreUnavailable, match=why):
            await transport.send(echo("secret"))
        blocking.close()
        await transport.close()
