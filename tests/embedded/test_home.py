"""Where an embedded server lives, and who may clear it away."""

from __future__ import annotations

from pathlib import Path

import pytest

from rqueue.embedded import EmbeddedServer
from rqueue.embedded.guardian import HOME_LOCK
from rqueue.embedded.home import Home, sweep


def abandoned(base: Path) -> Path:
    """A home as a killed guardian leaves it."""
    home = base / "rqueue-0badcafe"
    (home / "appendonlydir").mkdir(parents=True)
    home.chmod(0o700)
    (home / HOME_LOCK).touch()
    (home / "server.log").write_text("the end")
    return home


def test_an_abandoned_home_is_swept(tmp_path: Path) -> None:
    home = abandoned(tmp_path)

    sweep(tmp_path)

    assert not home.exists()


def test_starting_a_server_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = abandoned(tmp_path)

    with EmbeddedServer() as server:
        assert not home.exists()
        assert server.directory.exists()


def test_a_home_that_is_lived_in_is_not_swept() -> None:
    with EmbeddedServer() as server:
        sweep(server.directory.parent)

        assert server.directory.exists()


@pytest.mark.parametrize("reason", ["no lock", "open to others", "a link", "another name"])
def test_what_is_not_surely_a_home_of_ours_is_not_swept(tmp_path: Path, reason: str) -> None:
    home = abandoned(tmp_path)
    if reason == "no lock":
        (home / HOME_LOCK).unlink()
    elif reason == "open to others":
        home.chmod(0o755)
    elif reason == "a link":
        home.symlink_to(home.rename(tmp_path / "elsewhere"))
    else:
        home = home.rename(tmp_path / "rq-0badcafe")

    sweep(tmp_path)

    assert (home / "server.log").exists()


def test_a_path_too_long_for_a_socket_is_avoided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))

    assert Home.choose().path.parent == Path("/tmp")
    with EmbeddedServer() as server:
        assert server.directory.exists()
