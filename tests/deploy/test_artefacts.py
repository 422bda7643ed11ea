"""Containers, units and configuration that are shipped: sound, and what can be run is run."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from rqueue.app import App
from rqueue.cli import COMMANDS, main
from rqueue.cli.options import duration
from rqueue.config import StoreConfig
from rqueue.store.serverfacts import ask_server, facts_of, problems_of
from rqueue.store.transport import Transport
from tests.cli.commands import PATIENCE_S, TASKS, Project, Running
from tests.support.pages import read
from tests.support.servers import Server
from tests.support.tools import said, tool
from tests.support.waiting import within

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
COMPOSE = DEPLOY / "docker" / "compose.yaml"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VALKEY = DEPLOY / "redis" / "valkey.conf"


def beside_python(name: str) -> str:
    """A program that a package brought along."""
    return str(Path(sys.executable).parent / name)


def services() -> dict[str, dict[str, Any]]:
    """Those of compose.yaml that run rqueue."""
    found = yaml.safe_load(COMPOSE.read_text())["services"]
    return {name: one for name, one in found.items() if one.get("command", [""])[0] in COMMANDS}


def of_dockerfile(word: str) -> Any:
    """The last instruction of this kind; its JSON form as a list."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    told = [line for line in text.splitlines() if line.startswith(word)][-1]
    _, bracket, rest = told.partition("[")
    return json.loads(bracket + rest) if bracket else told.removeprefix(word).strip()


def of_unit(unit: Path, key: str) -> str:
    (told,) = re.findall(rf"^{key}=(.*)$", unit.read_text(), re.MULTILINE)
    return told


def words_of(unit: Path) -> list[str]:
    program, *words = shlex.split(of_unit(unit, "ExecStart"))
    assert Path(program).name == "rqueue"
    return words


def understood(words: list[str]) -> dict[str, Any]:
    """What a command makes of its words, or an error of click."""
    command = main.get_command(click.Context(main), words[0])
    assert command is not None
    return command.make_context(words[0], words[1:]).params


def test_the_container_is_built_as_it_should_be() -> None:
    said([beside_python("hadolint"), str(DOCKERFILE)])

    assert of_dockerfile("USER").split(":")[0].isdigit(), "orchestrators refuse a name"


def test_compose_is_sound_and_its_commands_are_ours() -> None:
    checker = beside_python("check-jsonschema")
    said([checker, "--builtin-schema", "vendor.compose-spec", str(COMPOSE)])

    assert sorted(services()) == ["exporter", "scheduler", "worker"]
    for one in services().values():
        understood(one["command"])


def test_whoever_stops_a_worker_waits_for_longer_than_it_waits_for_its_jobs() -> None:
    grace = understood(services()["worker"]["command"])["grace"]
    (unit,) = (one for one in UNITS if one.name.startswith("rqueue-worker"))

    assert duration(services()["worker"]["stop_grace_period"]) >= grace + 15
    assert duration(of_unit(unit, "TimeoutStopSec")) >= understood(words_of(unit))["grace"] + 15


def test_a_worker_that_has_done_enough_is_started_again_and_roles_may_differ() -> None:
    assert {unit.name: of_unit(unit, "Restart") for unit in UNITS} == {
        "rqueue-worker@.service": "always",
        "rqueue-scheduler.service": "on-failure",
        "rqueue-exporter.service": "on-failure",
    }
    told = {unit.name: re.findall("File=-/etc/rqueue/(.*)", unit.read_text()) for unit in UNITS}
    assert told == {
        "rqueue-worker@.service": ["worker-%i.env"],
        "rqueue-scheduler.service": ["scheduler.env"],
        "rqueue-exporter.service": ["exporter.env"],
    }
    urls = {name: one["environment"]["RQUEUE_URL"] for name, one in services().items()}
    usual = "${RQUEUE_URL:-redis://valkey:6379/0}"
    assert urls == {
        "worker": usual,
        "scheduler": f"${{RQUEUE_SCHEDULER_URL:-{usual}}}",
        "exporter": f"${{RQUEUE_EXPORTER_URL:-{usual}}}",
    }


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_sound(unit: Path, tmp_path: Path) -> None:
    here = tmp_path / unit.name
    program = of_unit(unit, "ExecStart").split()[0]
    here.write_text(unit.read_text().replace(program, "/bin/true"))
    told = said([tool("systemd-analyze"), "verify", str(here)])

    assert [line for line in told.splitlines() if unit.name.partition("@")[0] in line] == []
    understood(words_of(unit))


def test_units_are_started_and_stopped_together_and_may_do_little(tmp_path: Path) -> None:
    for one in DEPLOY.glob("systemd/*"):
        (tmp_path / one.name).write_text(one.read_text())
    told = said([tool("systemd-analyze"), "verify", "--man=no", str(tmp_path / "rqueue.target")])

    assert "rqueue.target" not in told
    for unit in UNITS:
        said([tool("systemd-analyze"), "security", "--offline=true", "--threshold=40", str(unit)])
    together = {(of_unit(unit, "PartOf"), of_unit(unit, "WantedBy")) for unit in UNITS}
    assert together == {("rqueue.target", "rqueue.target")}


def test_grafana_finds_the_dashboard_and_prometheus_where_compose_has_put_them() -> None:
    found = yaml.safe_load(COMPOSE.read_text())["services"]
    (board,) = DEPLOY.glob("grafana/provisioning/dashboards/*.yaml")
    (provider,) = yaml.safe_load(board.read_text())["providers"]
    (source,) = DEPLOY.glob("grafana/provisioning/datasources/*.yaml")
    (prometheus,) = yaml.safe_load(source.read_text())["datasources"]
    volumes: list[str] = found["grafana"]["volumes"]
    mounts = {there: here for here, there in (one.split(":")[:2] for one in volumes)}

    dashboard = mounts[f"{provider['options']['path']}/rqueue.json"]
    assert (COMPOSE.parent / dashboard).resolve() == DEPLOY / "grafana" / "rqueue.json"
    provisioning = (COMPOSE.parent / mounts["/etc/grafana/provisioning"]).resolve()
    assert provisioning == DEPLOY / "grafana" / "provisioning"
    assert prometheus["url"] == "http://prometheus:9090"
    assert found["prometheus"]["ports"] == ["9090:9090"]


def test_yaml_is_written_as_it_should_be() -> None:
    files = [one for one in DEPLOY.rglob("*.yaml") if "templates" not in one.parts]
    rules = "{extends: default, rules: {line-length: {max: 140}, document-start: disable}}"

    said([beside_python("yamllint"), "--strict", "-d", rules, *map(str, files)])


def test_what_ci_runs_is_sound() -> None:
    said([beside_python("shellcheck"), str(DEPLOY.parent / ".ci" / "run")])


@pytest.fixture
def project(tmp_path: Path, valkey_url: str, namespace: str) -> Project:
    (tmp_path / "tasks.py").write_text(TASKS)
    return Project(tmp_path, valkey_url, namespace)


@pytest.fixture
def producer(valkey_url: str, namespace: str) -> Iterator[App]:
    app = App(valkey_url, namespace=namespace)
    yield app
    app.close_sync()


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_the_command_of_a_unit_runs_and_ends_when_it_is_told_to(
    unit: Path, project: Project, producer: App
) -> None:
    words = words_of(unit)
    does = {
        "worker": lambda _: producer.remote("add").enqueue_sync(1, 2).result_sync(PATIENCE_S) == 3,
        "scheduler": lambda _: _is_promoted(producer),
        "exporter": lambda running: read(f"http://127.0.0.1:{port_of(running)}", "/livez"),
    }
    told = words + (["--port", "0"] if words[0] == "exporter" else [])
    with project.start(*told, env={"RQUEUE_APP": "tasks:app"}) as running:
        assert does[words[0]](running)
        running.send(signal.SIGTERM)
        assert running.ends() == 0
    assert all(json.loads(line) for line in running.lines if line.startswith("{"))


def _is_promoted(producer: App) -> bool:
    job = producer.remote("add").options(delay=0.1).enqueue_sync(1, 2)
    return bool(within(PATIENCE_S, lambda: job.info_sync().state == "queued"))


def port_of(worker: Running) -> int:
    return int(worker.says("/metrics").rpartition("/metrics")[0].rpartition(":")[2])


def test_the_container_runs_jobs_and_is_found_to_be_alive(project: Project, producer: App) -> None:
    words = [*of_dockerfile("ENTRYPOINT"), *of_dockerfile("CMD")]
    assert words[0] == "rqueue"
    served = re.search(r"RQUEUE_WORKER_METRICS_PORT=(\d+)", DOCKERFILE.read_text())
    assert served
    assert f"EXPOSE {served[1]}" in DOCKERFILE.read_text()
    env = {"RQUEUE_WORKER_METRICS_PORT": "0"}
    with project.start(*words[1:], env=env) as worker:
        port = port_of(worker)
        _, _, probe = of_dockerfile("HEALTHCHECK")
        within(PATIENCE_S, lambda: read(f"http://127.0.0.1:{port}", "/livez").status == 200)
        said([sys.executable, "-c", probe.replace(served[1], str(port))])
        assert producer.remote("add").enqueue_sync(1, 2).result_sync(PATIENCE_S) == 3


def settings() -> dict[str, str]:
    lines = (line.strip() for line in VALKEY.read_text().splitlines())
    pairs = (line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
    return dict(pairs)


@pytest.mark.parametrize("flavour", ["valkey9", "redis7", "redis62"])
def test_a_server_so_set_breaks_no_promise(flavour: str, tmp_path: Path) -> None:
    with Server(flavour, data_dir=tmp_path, config=settings()) as server:
        transport = Transport(StoreConfig(url=server.url))
        facts = facts_of(transport.send_many(ask_server()))
        transport.close()

    assert [one.text for one in problems_of(facts) if one.level == "refuse"] == []
    assert (facts.policy, facts.has_aof) == ("noeviction", True)
