"""Checks of the way to the server: who one is there, what one may, how long it takes."""

from __future__ import annotations

from ipaddress import ip_address
from statistics import median
from urllib.parse import urlsplit

from rqueue.config import shown
from rqueue.doctor.exam import Exam
from rqueue.doctor.units import span
from rqueue.doctor.verdict import (
    Check,
    Verdict,
    failure,
    notice,
    ok,
    unknown,
    warning,
)

SLOW_MS = 10.0
"""A median trip above this makes workers wait more than they work."""
STALL_MS = 100.0
"""One trip above this: the network, or something that holds the server up."""
SLOW_SCRIPT_MS = 2.0
"""An empty script takes some 0.05 ms more than an empty trip."""
CLOCK_S = 1.0
"""Clocks that differ by more make ``run_at`` and ``expires`` late or early by as much."""
BAD_CLOCK_S = 60.0
_LOOPBACK_NAMES = {"", "localhost"}


def _user(exam: Exam) -> Verdict:
    contact = exam.contact
    if contact.user is None:
        return unknown("ACL WHOAMI", "+acl|whoami")
    return ok(f"{contact.user} at {shown(contact.url)}")


def _rights(exam: Exam) -> Verdict:
    lacking = exam.contact.lacking
    if lacking is None:
        return unknown("ACL DRYRUN, which came with Redis 7", "+acl|dryrun +acl|whoami")
    short = [f"{role} lacks {', '.join(some)}" for role, some in lacking.items() if some]
    roles = [role for role, some in lacking.items() if not some]
    found = f"{exam.contact.user} can be {', '.join(roles) or 'none of the roles'}"
    if short:
        found += f"; {'; '.join(short)}"
    missed = {one for role in exam.roles for one in lacking[role]}
    wanted = [role for role in exam.roles if lacking[role]]
    if missed:
        rules = " ".join(f"+{one}" for one in sorted(missed))
        return failure(found, f"ACL SETUSER {exam.contact.user} {rules}", wanted)
    if roles:
        return ok(found)
    return warning(found, "Give it the rules of a role: deploy/redis/users.acl")


def _transport(exam: Exam) -> Verdict:
    url = urlsplit(exam.contact.url)
    has_password = bool(url.password) or "password=" in url.query
    if url.scheme == "unix" or _is_here(url.hostname or ""):
        return ok("the server is on this machine")
    if url.scheme == "rediss":
        if has_password:
            return ok("encrypted, with a password")
        return notice(
            "encrypted, but without a password: whoever reaches the port is let in, unless the "
            "server wants certificates of its clients",
            "Give each role a user of its own: deploy/redis/users.acl",
        )
    if has_password:
        return warning(
            "jobs, and the password itself, go over the network in plain text",
            "Turn on TLS in the server (tls-port) and use a rediss:// URL",
        )
    return warning(
        "plain text over the network, and no password",
        "Give each role a user (deploy/redis/users.acl), turn on TLS, use a rediss:// URL",
    )


def _is_here(host: str) -> bool:
    if host in _LOOPBACK_NAMES:
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _latency(exam: Exam) -> Verdict:
    trips, scripts = exam.contact.trips_ms, exam.contact.scripts_ms
    found = f"{len(trips)} trips: {median(trips):.2f} ms in the median, {max(trips):.2f} at most"
    if scripts is not None:
        found += f"; an empty script {median(scripts):.2f}"
    is_slow = median(trips) > SLOW_MS
    is_held = scripts is not None and median(scripts) - median(trips) > SLOW_SCRIPT_MS
    if is_slow or is_held:
        return warning(found, "Run workers near the server; then redis-cli --intrinsic-latency 10")
    if max(trips) > STALL_MS:
        return notice(found, "Something held one up: rqueue doctor again, SLOWLOG GET 10")
    return ok(found)


def _clock(exam: Exam) -> Verdict:
    ahead, blur = exam.contact.ahead_s, exam.contact.blur_s
    side = "ahead of" if ahead > 0 else "behind"
    found = f"this machine is {span(abs(ahead))} {side} the server (+- {blur * 1000:.1f} ms)"
    least = abs(ahead) - blur
    if least > BAD_CLOCK_S:
        return failure(found, "Let NTP set both clocks: timedatectl status")
    if least > CLOCK_S:
        return warning(found, "Let NTP set both clocks: timedatectl status")
    return ok(found)


CHECKS = (
    Check("connection.user", "What follows was seen as this user.", _user),
    Check(
        "connection.rights",
        "A command that is refused in the middle of a job's life leaves it lying: a script that is "
        "cut short keeps its first writes.",
        _rights,
    ),
    Check(
        "connection.transport",
        "Who reads the wire reads jobs; who reaches the port can enqueue and delete.",
        _transport,
    ),
    Check(
        "connection.latency",
        "Each fetch, each ending and each awaited enqueue takes a trip.",
        _latency,
    ),
    Check(
        "connection.clock",
        "run_at, expires and deadline are told by producers' clocks and kept by the server's. "
        "Leases compare no clocks.",
        _clock,
    ),
)
