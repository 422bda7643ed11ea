"""One transition, one script: its contract stands above it and it keeps to what we allow."""

from __future__ import annotations

import re

from rqueue.store.scripts import ALL
from tests.house.limits import Allowed, complaints
from tests.house.source import ROOT

LONG_SCRIPTS = {
    "enqueue": Allowed(76, "every reason to refuse a job stands before its first write"),
    "fire": Allowed(64, "an enqueue, behind what may keep a tick from its job, before its mark"),
    "book": Allowed(80, "counts are kept as short texts, which have to be read to be added up"),
    "finish": Allowed(
        117,
        "every ending of a batch stands behind one fence and one check; the usual one asks less",
    ),
    "reap": Allowed(
        62, "what a dead worker held goes on, ends or is none, each counted by its verb"
    ),
    "_shared": Allowed(133, "fifteen small functions that would stand in several scripts each"),
}

# What the loader puts in front of every script; it is no script, so it has no contract.
SHARED = "_shared"

# Not on every server or fake, or able to open what must stay closed to Lua: the envelope.
FORBIDDEN_NAMES = re.compile(r"\b(?:(?:cjson|cmsgpack|bit|struct)\s*[.\[]|loadstring\b)")

# BLOCK has no meaning in a script; claiming and trimming would take jobs from their owner or
# drop them; DELCONSUMER drops what is pending with it.
FORBIDDEN_WORDS = ("BLOCK", "XCLAIM", "XAUTOCLAIM", "XTRIM", "MAXLEN", "MINID", "DELCONSUMER")
MAY_DELETE_CONSUMERS = {"retire"}

COMMENT = re.compile(r"--\[(=*)\[.*?\]\1\]|--[^\n]*", re.DOTALL)
STRING = re.compile(r"""(["'])(.*?)\1""")
INDEX = re.compile(r"\b(KEYS|ARGV)\s*\[\s*(\d+)\s*\]")
DEFINED = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)
DOCUMENTED = re.compile(r"\b(KEYS|ARGV)\[([^\]]+)\]")


def test_a_script_has_at_most_60_lines_of_code() -> None:
    measured = {name: code_line_count(text) for name, text in lua_files().items()}

    assert complaints(measured, 60, LONG_SCRIPTS) == []


def test_a_script_begins_with_its_contract() -> None:
    assert [
        f"{name} lacks {part}"
        for name, text in scripts().items()
        for part in missing_parts(name, text)
    ] == []


def test_a_script_uses_only_the_keys_and_arguments_of_its_contract() -> None:
    assert [
        f"{name} uses {array}[{index}], which its header does not name"
        for name, text in scripts().items()
        for array, index in sorted(undocumented(text))
    ] == []


def test_a_script_asks_for_the_time_by_its_first_argument() -> None:
    asked = {
        name: set(re.findall(r"now_ms\((.*?)\)", text))
        for name, text in scripts().items()
        if "now_ms(" in text
    }

    assert asked == {name: {"ARGV[1]"} for name in asked}
    assert set(asked) == {script.name for script in ALL if script.is_clocked}


def test_a_script_never_opens_a_payload_or_loads_code() -> None:
    assert [
        f"{name} uses {match.group()}"
        for name, text in lua_files().items()
        for match in FORBIDDEN_NAMES.finditer(code(text))
    ] == []


def test_a_script_never_claims_trims_or_blocks() -> None:
    assert [
        f"{name} says {word}"
        for name, text in lua_files().items()
        for word in forbidden_words(name, text)
    ] == []


def test_a_script_is_sent_with_what_it_uses_of_the_shared_part_and_nothing_else() -> None:
    defined = [re.findall(r"\w+", names) for names in DEFINED.findall(lua_files()[SHARED])]
    wrong: list[str] = []
    for script in ALL:
        carried = [re.findall(r"\w+", names) for names in DEFINED.findall(script.source)]
        for names in defined:
            uses = len(re.findall(rf"\b(?:{'|'.join(names)})\b", script.source))
            if uses != 0 and (names not in carried or uses == len(names)):
                wrong.append(f"{script.name}: {names}")

    assert wrong == []
    assert len(defined) > 20


def scripts() -> dict[str, str]:
    return {name: text for name, text in lua_files().items() if name != SHARED}


def lua_files() -> dict[str, str]:
    """Name (without suffix) and text of every file; none before there is one."""
    folder = ROOT / "rqueue" / "store" / "lua"
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.lua"))}


def code(text: str) -> str:
    return COMMENT.sub("", text)


def code_line_count(text: str) -> int:
    return sum(bool(line.strip()) for line in code(text).splitlines())


def header(text: str) -> str:
    lines: list[str] = []
    for line in text.splitlines():
        if not line.startswith("--"):
            break
        lines.append(line)
    return "\n".join(lines)


def missing_parts(name: str, text: str) -> list[str]:
    contract = header(text)
    return [
        part
        for part, is_there in {
            f"a first line '-- {name}: …'": contract.startswith(f"-- {name}: "),
            "KEYS[…]": "KEYS[" in contract,
            "ARGV[…]": "ARGV[" in contract or "ARGV" not in code(text),
            "Returns": re.search(r"^-- Returns\b", contract, re.MULTILINE),
        }.items()
        if not is_there
    ]


def undocumented(text: str) -> set[tuple[str, int]]:
    """Literal indexes in the body that no ``KEYS[2]``, ``KEYS[2..4]`` or ``ARGV[5..]`` covers."""
    covered: set[tuple[str, int]] = set()
    for array, index in DOCUMENTED.findall(header(text)):
        first, dots, last = index.partition("..")
        if not first.strip().isdigit():
            continue
        end = last.strip(". ")
        until = int(end) if end.isdigit() else 99
        covered |= {(array, i) for i in range(int(first), (until if dots else int(first)) + 1)}
    used = {(array, int(index)) for array, index in INDEX.findall(code(text))}
    return used - covered


def forbidden_words(name: str, text: str) -> list[str]:
    said = {match[2].upper() for match in STRING.finditer(code(text))}
    may_delete = bool(MAY_DELETE_CONSUMERS & set(name.split("_")))
    return [
        word
        for word in FORBIDDEN_WORDS
        if word in said and not (word == "DELCONSUMER" and may_delete)
    ]
