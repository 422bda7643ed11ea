"""Values of options, variables of the environment, and text from strangers."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from rqueue.cli import COMMANDS, main
from rqueue.cli.enqueue import parse
from rqueue.cli.logs import TextFormatter
from rqueue.cli.options import duration, moment, size
from rqueue.cli.output import as_json, clean, one_line
from rqueue.cli.queues import cap
from tests.cli.commands import Ran


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("5m", 300),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        ("500ms", 0.5),
        ("1.5", 1.5),
    ],
)
def test_durations_have_units(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "-1s", "5 m", "5w", "1e3"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="10s, 5m, 1h30m or 1d"):
        duration(text)


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("none", 0), ("20", 20)])
def test_a_cap_is_a_number_or_none(text: str, number: int) -> None:
    assert cap(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1_000", "many", "٣"])
def test_what_is_no_cap_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="the word none lifts the cap"):
        cap(text)


@pytest.mark.parametrize(
    ("text", "number"),
    [("0", 0), ("123", 123), ("500MB", 500_000_000), ("2g", 2 * 10**9), ("512 Mi", 512 << 20)],
)
def test_sizes_have_units(text: str, number: int) -> None:
    assert size(text) == number


@pytest.mark.parametrize("text", ["", "MB", "-1", "1.5GB", "1TB", "ib", "1 i"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="500MB"):
        size(text)


def test_a_time_needs_its_offset() -> None:
    assert moment("2030-01-31T08:00Z") == datetime(2030, 1, 31, 8, tzinfo=UTC)
    with_offset = datetime(2030, 1, 31, 8, tzinfo=timezone(timedelta(hours=2)))
    assert moment("2030-01-31T08:00+02:00") == with_offset
    with pytest.raises(click.BadParameter, match=r"write 2030-01-31T08:00:00Z"):
        moment("2030-01-31T08:00")
    with pytest.raises(click.BadParameter, match="is no time"):
        moment("tomorrow")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("1.5", 1.5),
        ("true", True),
        ("null", None),
        ('"1"', "1"),
        ('{"a": [1]}', {"a": [1]}),
        ("hello", "hello"),
        ("NaN", "NaN"),
        ("Infinity", "Infinity"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_an_argument_is_json_or_text(text: str, value: object) -> None:
    assert parse(text) == value


def test_every_option_is_a_variable_of_the_environment_and_says_so() -> None:
    hidden = {"help", "version", "name", "parent_fd", "journal_fd"}
    context = click.Context(main)
    missing = [
        f"{name} {parameter.name}"
        for name in COMMANDS
        for command in leaves(main.get_command(context, name))
        for parameter in command.params
        if isinstance(parameter, click.Option)
        and parameter.name not in hidden
        and not parameter.show_envvar
    ]

    assert missing == []
    assert main.context_settings["auto_envvar_prefix"] == "RQUEUE"


def leaves(command: click.Command | None) -> list[click.Command]:
    if isinstance(command, click.Group):
        return [leaf for one in command.commands.values() for leaf in leaves(one)]
    return [command] if command else []


def test_a_flag_wins_over_the_environment(
    cli: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RQUEUE_JSON", "1")

    assert cli("ping").data["server"] == "Valkey"
    assert cli("ping", "--url", "redis://localhost:1/0").code == 4


def test_redis_url_is_used_when_rqueue_url_is_not_set(
    cli: Callable[..., Ran], valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://localhost:1/0")
    assert cli("ping").code == 0

    env = {"RQUEUE_URL": None, "REDIS_URL": valkey_url, "RQUEUE_NAMESPACE": "x"}
    assert CliRunner().invoke(main, ["ping"], env=env).exit_code == 0


def test_the_demo_is_run_as_it_was_asked_for(
    cli: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def run(directory: Path | None, **settings: Any) -> int:
        asked.append((directory, settings))
        return 1

    monkeypatch.setattr("rqueue.demo.run_demo", run)

    codes = [cli("demo").code, cli("demo", str(tmp_path), "--lease", "3s", "--workers", "4").code]

    assert codes == [1, 1]
    assert asked == [
        (None, {"lease": 2.0, "workers": 2}),
        (tmp_path, {"lease": 3.0, "workers": 4}),
    ]


def test_text_of_strangers_cannot_drive_a_terminal() -> None:
    assert clean("a\x1b[31mb\x07\x9bc\u202ed\r\te\n") == "a[31mbcd\te\n"
    assert one_line("a\n b\x1b", 10) == "a b"
    assert one_line("x" * 20, 10) == "x" * 9 + "…"


def test_json_takes_what_json_lacks() -> None:
    assert as_json(
        {
            1: b"\xff",
            "at": datetime(2030, 1, 1, tzinfo=UTC),
            "odd": {
                2,
            },
        }
    ) == ('{"1":"/w==","at":"2030-01-01T00:00:00Z","odd":[2]}')


def test_a_text_in_the_log_cannot_pass_for_lines_of_the_log() -> None:
    forged = "no such user\n2026-01-01 00:00:00,000 ERROR 1 all is lost\r\n\x1b[2Jand more"
    record = logging.LogRecord("rqueue", logging.ERROR, "", 0, "bury\n%s", (forged,), None)

    first, *rest = TextFormatter().format(record).splitlines()

    assert first.endswith(" bury")
    assert rest == [
        "  no such user", "  2026-01-01 00:00:00,000 ERROR 1 all is lost", "  [2Jand more",
    ]  # fmt: skip
