"""The Lua scripts, read once at import: one transition, one file, one verb."""

from __future__ import annotations

import re
from hashlib import sha1
from importlib.resources import files

import msgspec

_FOLDER = files("rqueue.store").joinpath("lua")
_WORD = re.compile(r"\w+")
_DEFINED = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)


class Script(msgspec.Struct, frozen=True):
    """One script.

    Attributes:
        name: its verb.
        source: what is sent: what it uses of the shared part first.
        sha: the name Redis caches it under.
        is_clocked: whether its first argument is the time, "" for Redis' own.
    """

    name: str
    source: str
    sha: str
    is_clocked: bool = False


def _load(name: str) -> Script:
    body = _strip(_FOLDER.joinpath(f"{name}.lua").read_text("utf-8"))
    source = _with_shared(body)
    sha = sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, sha, is_clocked="now_ms(ARGV[1])" in body)


def _with_shared(source: str) -> str:
    """Behind the shared definitions that it uses, and those that they use.

    Redis makes each of them anew whenever the script runs: all of them took a tenth of its time for
    an enqueue that is awaited alone.
    """
    used = _words(source)
    for part, names, words in reversed(_SHARED):
        if names & used:
            source, used = part + source, used | words
    return source


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text))


def _strip(text: str) -> str:
    """Without whole-line comments: they are for readers, Redis would keep them in memory."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return "".join(line + "\n" for line in lines if line.strip())


_SHARED = [
    (part, _words("".join(_DEFINED.findall(part))), _words(part))
    for part in re.split(
        r"^(?=local )",
        _strip(_FOLDER.joinpath("_shared.lua").read_text("utf-8")),
        flags=re.MULTILINE,
    )
]
"""Each definition: its text, the names that it makes, and all words in it."""

ENQUEUE = _load("enqueue")
FETCH = _load("fetch")
FINISH = _load("finish")
MARK = _load("mark")
PENDING = _load("pending")
DUE = _load("due")
PROMOTE = _load("promote")
CANCEL = _load("cancel")
RESCHEDULE = _load("reschedule")
REQUEUE = _load("requeue")
DISCARD = _load("discard")
RECORD = _load("record")
AWAIT = _load("await")
REGISTER = _load("register")
RENEW = _load("renew")
FENCE = _load("fence")
REAP = _load("reap")
RETIRE = _load("retire")
DISMISS = _load("dismiss")
PAUSE = _load("pause")
RESUME = _load("resume")
PLAN = _load("plan")
FIRE = _load("fire")
FORGET = _load("forget")
STAND = _load("stand")
BOOK = _load("book")

ALL = (
    ENQUEUE, FETCH, FINISH, MARK, PENDING, DUE, PROMOTE, CANCEL, RESCHEDULE, REQUEUE, DISCARD,
    RECORD, AWAIT, REGISTER, RENEW, FENCE, REAP, RETIRE, DISMISS, PAUSE, RESUME, PLAN, FIRE, FORGET,
    STAND, BOOK,
)  # fmt: skip
