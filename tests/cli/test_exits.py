"""What errors of rqueue become on the command line."""

from __future__ import annotations

import pytest

from rqueue.cli.exits import Exit, code_of, show_error
from rqueue.errors import StoreUnavailable


def test_a_job_in_doubt_is_told_with_the_id_that_makes_it_safe_to_send_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    error = StoreUnavailable("no answer")
    error.job_ids = ("mine",)

    show_error(error)

    assert code_of(error) == Exit.UNREACHABLE
    said = capsys.readouterr().err
    assert said == (
        "Error: no answer. Which Redis is meant is said by -u/--url, RQUEUE_URL, REDIS_URL or the "
        "app. Sent again with --id mine it makes no second job\n"
    )


def test_a_question_without_an_answer_names_no_job(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(StoreUnavailable("no answer"))

    assert capsys.readouterr().err.endswith("REDIS_URL or the app\n")
