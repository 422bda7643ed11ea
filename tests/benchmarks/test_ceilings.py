from __future__ import annotations

from benchmarks.ceilings import ANYWHERE, KINDS, Line, Place, Recorded, judged, read, renewed
from benchmarks.counts import BARE, MEASURES

HERE = Place("Redis 7.0", "Python 3.11")
RECORDED: Recorded = {
    ANYWHERE: {"drain": {"all commands": 4.0}},
    "Redis 7.0": {"drain": {"left bytes": 300.0}},
    "Python 3.11": {"drain": {"all calls": 190.0}},
}


def test_a_count_within_its_margin_passes() -> None:
    lines = list(judged(RECORDED, HERE, {"drain": {"all commands": 4.08, "left bytes": 306.0}}))

    assert lines == [
        Line("drain", "all commands", 4.08, 4.0),
        Line("drain", "left bytes", 306.0, 300.0),
    ]
    assert [line.has_grown for line in lines] == [False, False]


def test_a_count_beyond_its_margin_has_grown() -> None:
    lines = judged(RECORDED, HERE, {"drain": {"all commands": 4.09, "left bytes": 306.1}})

    assert [line.has_grown for line in lines] == [True, True]


def test_a_tenth_of_a_command_for_each_job_has_grown_however_few_there_were() -> None:
    line = Line("drain", "client commands", 0.115, 0.015)

    assert line.has_grown


def test_batches_of_half_the_size_have_grown() -> None:
    line = Line("enqueue many", "client commands", 0.004, 0.002)

    assert line.has_grown


def test_a_count_that_differs_from_run_to_run_has_a_wider_margin_where_it_does() -> None:
    drained = Line("drain", "client commands", 0.0415, 0.0365)
    sent = Line("enqueue many", "client commands", 0.0415, 0.0365)

    assert [drained.has_grown, sent.has_grown] == [False, True]


def test_a_count_that_fell_beyond_its_margin_is_told_and_passes() -> None:
    lines = list(judged(RECORDED, HERE, {"drain": {"all commands": 3.0, "left bytes": 299.0}}))

    assert [(line.has_grown, line.has_fallen) for line in lines] == [(False, True), (False, False)]


def test_memory_is_not_judged_by_another_server_and_calls_not_by_another_python() -> None:
    elsewhere = Place("Valkey 9.1", "Python 3.12")
    counts = {"all commands": 9.0, "left bytes": 900.0, "all calls": 900.0}

    lines = list(judged(RECORDED, elsewhere, {"drain": counts}))

    assert [line.recorded for line in lines] == [4.0, None, None]
    assert [line.has_grown for line in lines] == [True, False, False]


def test_a_renewed_record_keeps_what_was_counted_elsewhere() -> None:
    elsewhere = Place("Valkey 9.1", "Python 3.11")
    counts = {"all commands": 3.0, "left bytes": 310.0, "all calls": 170.00001}

    assert renewed(RECORDED, elsewhere, {"drain": counts}) == {
        ANYWHERE: {"drain": {"all commands": 3.0}},
        "Redis 7.0": {"drain": {"left bytes": 300.0}},
        "Valkey 9.1": {"drain": {"left bytes": 310.0}},
        "Python 3.11": {"drain": {"all calls": 170.0}},
    }
    assert RECORDED[ANYWHERE] == {"drain": {"all commands": 4.0}}


def test_the_record_names_every_measure_and_only_counts_that_have_a_margin() -> None:
    recorded = read()
    measures = {measure for known in recorded.values() for measure in known}
    names = {name for known in recorded.values() for counts in known.values() for name in counts}

    assert measures == MEASURES.keys() - {BARE}
    assert names == KINDS.keys()
