"""``docs/glossary.md`` uses the words that the code uses."""

from __future__ import annotations

import re

from rqueue.job import JobState
from rqueue.outcome import Outcome
from rqueue.store.keys import LANES
from rqueue.store.scripts import ALL
from tests.protocol.document import DOCS, code, section, tables

GLOSSARY = (DOCS / "glossary.md").read_text("utf-8")
LIFECYCLE = (DOCS / "lifecycle.md").read_text("utf-8")


def words_of(heading: str) -> list[str]:
    (rows,) = tables(section(heading, GLOSSARY))
    return [word for row in rows for word in re.findall(r"\*\*([^*]+)\*\*", row[0])]


def test_its_states_are_those_of_a_job() -> None:
    (states,) = tables(section("States", GLOSSARY))

    assert [row[0] for row in states] == [str(state) for state in JobState]


def test_the_lifecycle_has_the_same_states() -> None:
    states = tables(LIFECYCLE)[0]

    assert [row[0] for row in states] == [str(state) for state in JobState]


def test_the_final_states_are_the_last_ones() -> None:
    assert "The last four are final." in GLOSSARY
    assert [state.is_final for state in JobState] == [False] * 4 + [True] * 4


def test_every_outcome_is_a_verb() -> None:
    verbs = {kind.verb for kind in Outcome.__subclasses__()}

    assert verbs <= set(words_of("Verbs"))


def test_every_script_that_is_named_exists_and_changing_ones_are_named() -> None:
    (rows,) = tables(section("Verbs", GLOSSARY))
    named = {name for row in rows for name in code(row[2])}

    assert named <= {script.name for script in ALL}
    assert {script.name for script in ALL} - named == {"due"}


def test_the_lanes_are_named() -> None:
    (rows,) = tables(section("Nouns", GLOSSARY))
    (lane,) = (row[1] for row in rows if row[0] == "**lane**")

    assert code(lane) == list(LANES[:3])


def test_no_word_is_explained_twice() -> None:
    nouns, verbs = words_of("Nouns"), words_of("Verbs")

    assert len(set(nouns)) == len(nouns)
    assert len(set(verbs)) == len(verbs)
