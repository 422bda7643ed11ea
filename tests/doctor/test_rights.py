"""What a user may not ask for is unknown; which roles it can be is told. Nothing is an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rqueue.app import App
from rqueue.doctor.connection import CHECKS
from rqueue.doctor.report import Report
from rqueue.doctor.roles import NEEDED, example
from rqueue.doctor.verdict import Status
from tests.doctor.patient import SOUND, Patient, ailments, finding, reached
from tests.support.clients import client
from tests.support.servers import FLAVOURS, Server

FILE = Path(__file__).resolve().parents[2] / "deploy" / "redis" / "users.acl"
RULES = {
    words[1].removeprefix("rqueue-"): words[2:]
    for words in map(str.split, FILE.read_text().splitlines())
    if words[1] != "default"
}
with_dryrun = pytest.mark.parametrize("server", ["valkey9", "redis7"], indirect=True)
"""Redis 6.2 cannot be asked what a user may."""
ROLES = [role for role in RULES if role in NEEDED]


@contextmanager
def user_of(server: Server, patient: Patient, *rules: str) -> Iterator[Patient]:
    """The same server, seen by a user with these rules."""
    patient.redis.execute_command("ACL", "SETUSER", "me", "reset", "on", ">secret", *rules)
    app = App(server.url.replace("unix://", "unix://me:secret@"))
    yield Patient(app, patient.redis)
    app.close_sync()


def untold(report: Report) -> set[str]:
    return {one.id for one in report.findings if one.status is Status.UNKNOWN}


def test_the_roles_are_those_of_the_acl_file() -> None:
    given = {role: {word[1:] for word in RULES[role] if word.startswith("+")} for role in ROLES}

    assert given == {role: set(needed) for role, needed in NEEDED.items()}


def test_the_user_of_the_doctor_is_told_everything(server: Server, patient: Patient) -> None:
    patient.app.remote("send", "mail").options(delay=60).enqueue_sync()
    with user_of(server, patient, *(one for one in RULES["doctor"] if one[0] != ">")) as me:
        patient.redis.execute_command("ACL", "LOG", "RESET")
        report = me.report(pause_s=10.0)

    untold_here = {"connection.rights"} if server.flavour == "redis62" else set[str]()
    assert untold(report) == untold_here
    assert ailments(report) == dict.fromkeys(untold_here, "unknown")
    refused: list[object] = patient.redis.execute_command("ACL", "LOG")  # pyright: ignore[reportAssignmentType]
    assert refused == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_recognised_and_what_it_lacks_for_others_is_told(
    server: Server, patient: Patient, role: str
) -> None:
    rules = [one for one in RULES[role] if one[0] != ">"]
    with user_of(server, patient, *rules, "+acl|dryrun", "+acl|whoami") as me:
        report = me.report()
        demanding = me.report(roles=[role])
        other = "exporter" if role == "worker" else "worker"
        wrong = me.report(roles=[other])

    found = finding(report, "connection.rights")
    if server.flavour == "redis62":
        assert found.status is Status.UNKNOWN
        return
    assert found.status is Status.OK
    assert role in found.found.partition("me can be ")[2].partition(";")[0].split(", ")
    assert finding(demanding, "connection.rights").status is Status.OK
    lacks = sorted(NEEDED[other] - NEEDED[role])
    refused = finding(wrong, "connection.rights")
    assert (refused.status, refused.about) == (Status.FAILURE, [other])
    assert refused.fix == f"ACL SETUSER me {' '.join(f'+{one}' for one in lacks)}"


@with_dryrun
def test_what_mends_missing_rights_does_mend_them(server: Server, patient: Patient) -> None:
    rules = ("~rqueue:*", "&rqueue:*", "-@all", "+ping", "+acl|dryrun", "+acl|whoami", "+time")
    with user_of(server, patient, *rules, "+client|setname") as me:
        fix = finding(me.report(roles=["worker"]), "connection.rights").fix
        patient.redis.execute_command(*fix.split())
        assert finding(me.report(roles=["worker"]), "connection.rights").status is Status.OK


def test_a_user_who_may_do_nothing_gets_a_report_and_no_error(
    server: Server, patient: Patient
) -> None:
    with user_of(server, patient, "-@all", "+ping", "+time", "+client|setname") as me:
        report = me.report(pause_s=10.0)

    well = {"connection.transport", "connection.latency", "connection.clock"}
    assert {one.id for one in report.findings if one.status is Status.OK} == well
    assert untold(report) == {one.id for one in report.findings} - well
    assert report.status is Status.UNKNOWN
    assert (report.memory.families, report.memory.refused) == ([], "MEMORY USAGE")


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_managed_server_without_config_is_examined_as_far_as_it_tells(flavour: str) -> None:
    hidden = {"rename-command": 'CONFIG ""', **SOUND}
    with Server(flavour, config=hidden) as server, client(server.url) as redis:
        app = App(server.url)
        report = Patient(app, redis).report()
        app.close_sync()

    assert untold(report) - {"connection.rights"} == {
        "server.timeout", "server.buffers", "memory.nodes",
    }  # fmt: skip


@with_dryrun
def test_an_example_of_each_command_is_one_that_servers_take(
    server: Server, patient: Patient
) -> None:
    for command in sorted({one for some in NEEDED.values() for one in some}):
        words = example(command, "rqueue")
        assert patient.redis.execute_command("ACL", "DRYRUN", "default", *words) == b"OK"


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("redis://me:pw@10.0.0.1:6379/0", "warning"),
        ("redis://10.0.0.1:6379/0", "warning"),
        ("rediss://10.0.0.1:6379/0", "notice"),
        ("rediss://me:pw@10.0.0.1:6379/0", "ok"),
        ("redis://localhost:6379/0", "ok"),
        ("redis://127.0.0.9:6379/0", "ok"),
        ("redis://[::1]:6379/0", "ok"),
        ("unix:///run/redis.sock", "ok"),
    ],
)
def test_plain_text_over_the_network_is_told(url: str, status: str) -> None:
    (check,) = (one for one in CHECKS if one.id == "connection.transport")
    assert check.judge(reached(url)).status == status
