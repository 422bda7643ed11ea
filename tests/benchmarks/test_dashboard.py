from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.dashboard import draw, expressions, in_unit, panels
from benchmarks.prometheus import Series, sooner
from benchmarks.shift import Look

LABELS = {"queue": "mail", "task": "send", "instance": "a", "job": "w", "le": "0.1"}


def test_every_panel_is_drawn_and_one_without_anything_says_so(tmp_path: Path) -> None:
    line = Series(LABELS, [(100.0, 1.0), (101.0, math.nan), (109.0, 3.0)])
    (dead,) = [one for one in panels() if one["title"] == "Dead"]
    found: dict[str, Sequence[Series]] = {expression: [line] for expression in expressions()}
    found[dead["targets"][0]["expr"]] = []

    draw(Look(100, 110, 1, found), tmp_path / "a.svg")

    texts = re.findall(r"<!-- (.*?) -->", (tmp_path / "a.svg").read_text())
    assert [one["title"] for one in panels() if one["title"] not in texts] == []
    assert texts.count("No data") == 1
    assert {"mail in", "mail out", "send", "a busy"} <= {*texts}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0 s"),
        (0.0042, "s", "4.2 ms"),
        (90.0, "s", "1.5 min"),
        (0.25, "percentunit", "25%"),
        (3 << 20, "bytes", "3 MiB"),
        (12_300.0, "short", "12.3K"),
        (7.0, "ops", "7 ops/s"),
        (math.nan, "s", "nan"),
    ],
)
def test_numbers_are_written_in_their_units(value: float, unit: str, text: str) -> None:
    assert in_unit(value, unit) == text


def test_sooner_is_every_duration_and_no_other_number() -> None:
    told = 'for: 2m, interval: 15s, rate5m, age > 300, rate(x_total[1h]), le="0.5", p95_5m'

    assert sooner(told, 30) == (
        'for: 4000ms, interval: 500ms, rate5m, age > 300, rate(x_total[120000ms]), le="0.5", p95_5m'
    )
