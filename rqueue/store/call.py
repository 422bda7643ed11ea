"""A trip to Redis as a value: described here, made by a transport."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Generic, TypeVar

from rqueue.clock import held
from rqueue.store.scripts import Script

T = TypeVar("T")
Arg = bytes | str | int
Flow = Generator["Call[Any] | Sequence[Call[Any]]", Any, T]
"""Several trips, each depending on the one before: yields a call (or several, sent as one
pipeline), receives the answer (or their list), returns a value. Written once, driven by both
transports."""


class Call(Generic[T]):
    """One trip to Redis, described but not yet made.

    Attributes:
        script: a script, or the words of a plain command.
        keys: every key the script touches.
        args: its arguments.
        parse: raw reply -> value, or raises.
        parse_repeat: the same for an answer that came after a lost one, where it differs.
        absent: the raw reply that stands for a stream or group that is not there, or a key of a
            wrong type; None = that is an error.
        refused: the raw reply that stands for a command that the user may not use, or that the
            server does not have; None = that is an error.
        refusal: an error reply's text -> value, or raises; None = that is an error of the store.
        wait_s: for a command that waits and answers for those before it on its connection: how
            long Redis may take beyond the usual. 0 = it is none.
        repeatable: running it twice is the same as once, so a lost answer may be asked again.
    """

    __slots__ = (
        *("absent", "args", "keys", "parse", "parse_repeat", "refusal", "refused"),
        *("repeatable", "script", "wait_s"),
    )

    def __init__(
        self,
        script: Script | tuple[str, ...],
        keys: Sequence[str],
        args: Sequence[Arg],
        parse: Callable[[Any], T],
        *,
        repeatable: bool = True,
    ) -> None:
        self.script = script
        self.keys = keys
        self.args = args
        self.parse = parse
        self.parse_repeat = parse
        self.repeatable = repeatable
        self.absent: Any = None
        self.refused: Any = None
        self.refusal: Callable[[str], T] | None = None
        self.wait_s = 0.0

    def or_absent(self, reply: Any) -> Call[T]:
        """This call, with ``reply`` standing for a stream or group that is not there.

        So does a key of a wrong type: it must not keep the other lanes from being seen.
        """
        self.absent = reply
        return self

    def or_refused(self, reply: Any) -> Call[T]:
        """This call, with ``reply`` standing for a command that is not allowed or not there."""
        self.refused = reply
        return self

    def on_repeat(self, parse: Callable[[Any], T]) -> Call[T]:
        """This call, parsed by ``parse`` when an earlier try got no answer."""
        self.parse_repeat = parse
        return self

    def on_refusal(self, parse: Callable[[str], T]) -> Call[T]:
        """This call, with ``parse`` reading the text of an error; not of one that passes."""
        self.refusal = parse
        return self

    def waiting(self, seconds: float) -> Call[T]:
        """This call, which waits this long and answers for what its connection wrote before."""
        self.wait_s = seconds
        return self

    def words(self) -> tuple[Any, ...]:
        """The command as it is sent; a script by its hash."""
        if isinstance(self.script, Script):
            args = self.args
            if held.ms is not None and self.script.is_clocked and args[0] == "":
                args = (held.ms, *args[1:])
            return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *args)
        return (*self.script, *self.keys, *self.args)

    def words_with_source(self) -> tuple[Any, ...]:
        """The command for a server that does not have the script yet."""
        words = self.words()
        if isinstance(self.script, Script):
            return ("EVAL", self.script.source, *words[2:])
        return words
