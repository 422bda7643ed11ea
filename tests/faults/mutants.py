"""Each mechanism taken out, one at a time, to see that a test turns red.

``RQUEUE_FAULTS_MUTANT`` names the one that is in force, in the tests' process and in all that they
start. As a plugin of pytest (``-p tests.faults.mutants``) this module puts it in force.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha1
from typing import Any

from msgspec.structs import force_setattr

from rqueue.store import scripts
from rqueue.store.reader import BlockingReader
from rqueue.store.scripts import Script
from rqueue.worker.fetcher import Fetcher
from rqueue.worker.lease import QueueLease
from rqueue.worker.running import Running
from rqueue.worker.watch import Watch

MUTANT = "RQUEUE_FAULTS_MUTANT"


@dataclass(frozen=True)
class Mutant:
    """One mechanism less.

    Attributes:
        mechanism: what is taken out.
        apply: takes it out of this process.
        red: tests, or ``F2`` and the like, that must fail then.
        sign: what the failure must say; "" = anything.
    """

    mechanism: str
    apply: Callable[[], None]
    red: str
    sign: str = ""


def without(*scripts_: Script, old: str, new: str = "") -> Callable[[], None]:
    """Change the text of scripts; a text that is not there is an error."""

    def apply() -> None:
        for script in scripts_:
            assert old in script.source, f"{script.name} has no {old!r}"
            source = script.source.replace(old, new)
            force_setattr(script, "source", source)
            force_setattr(script, "sha", sha1(source.encode()).hexdigest())  # noqa: S324

    return apply


def patched(owner: Any, name: str, value: Any) -> Callable[[], None]:
    return lambda: setattr(owner, name, value)


def several(*changes: Callable[[], None]) -> Callable[[], None]:
    def apply() -> None:
        for change in changes:
            change()

    return apply


def no_gaps() -> None:
    real = Watch.__init__

    def patched(self: Watch, lease_s: float, gap_s: float) -> None:
        real(self, lease_s, float("inf"))

    Watch.__init__ = patched


async def no_reconcile(self: Fetcher) -> None:
    """Leave what a lost answer has delivered."""


def forget_all(self: Running) -> int:
    """Stop as if fenced: nothing is given back."""
    attempts = list(self._attempts.values())
    for attempt in attempts:
        attempt.stop("fenced")
    return len(attempts)


def patient_reads() -> None:
    """What redis-py does with a timeout of a read's own: None, and the connection is kept."""
    real = BlockingReader._connect

    async def connect(self: BlockingReader) -> None:
        await real(self)
        connection = self._connection
        if hasattr(connection, "really_read"):
            return
        connection.really_read = connection.read_response

        async def read(**told: Any) -> Any:
            return await connection.really_read(timeout=connection.socket_timeout, **told)

        connection.read_response = read

    BlockingReader._connect = connect


LEASE_CHECK = without(
    scripts.FINISH, old="if not redis.call('ZSCORE', leases, worker) then return 'fenced' end"
)
ENTRY_CHECK = without(
    scripts.FINISH,
    old="if known and record[1] == entry then\n    if record[2]",
    new="if known then\n    if record[1] == entry and record[2]",
)
XACK_CHECK = without(
    scripts.FINISH,
    old="if redis.call('XACK', source, GROUP, entry) == 0 then return 'lost' end",
    new="redis.call('XACK', source, GROUP, entry)",
)
STATE_CHECK = without(scripts.FINISH, old="if record[2] ~= 'queued' then return 'already' end")
NO_REFUSAL = several(
    LEASE_CHECK,
    XACK_CHECK,
    without(scripts.FINISH, old="if refused then return refused end"),
    without(
        scripts.FINISH,
        old="if verb ~= 'complete' and not from then return 'lost' end",
        new="from = from or {m = '', t = '1'}",
    ),
)
NO_IDS = without(
    scripts.ENQUEUE,
    old="if record[2] then return {record[1] == digest and 'duplicate' or 'conflict'} end",
)
SCRIPTS = "tests/scripts"

MUTANTS: dict[str, Mutant] = {
    "finish-lease": Mutant(
        "lease check in finish", LEASE_CHECK, f"{SCRIPTS}/test_finish_fences.py"
    ),
    "finish-entry": Mutant(
        "record entry check in finish", ENTRY_CHECK, f"{SCRIPTS}/test_finish_fences.py"
    ),
    "finish-xack": Mutant(
        "XACK as compare-and-set", XACK_CHECK, f"{SCRIPTS}/test_finish_fences.py"
    ),
    "finish-state": Mutant("an end stands", STATE_CHECK, f"{SCRIPTS}/test_finish_fences.py"),
    "gap-rule": Mutant("the reaper's gap rule", no_gaps, "tests/faults/test_direct.py"),
    "gap-rule-chaos": Mutant("the reaper's gap rule", no_gaps, "F5", "I17"),
    "reconcile": Mutant(
        "own pending entries are started",
        patched(Fetcher, "_reconcile", no_reconcile),
        "tests/worker/test_fetching.py::test_entries_of_a_lost_answer_are_started_by_the_worker"
        "_they_were_given_to",
    ),
    "oom-renewal": Mutant(
        "renewal survives a full memory",
        without(scripts.RENEW, old="redis.call('ZREM', leases, '')"),
        f"{SCRIPTS}/test_out_of_memory.py",
    ),
    "xclaim": Mutant(
        "requeue instead of XCLAIM",
        without(
            scripts.REAP,
            old="  take(entry)\n  reaped = reaped + 1",
            new="  redis.call('XCLAIM', source, GROUP, 'me', 0, entry)\n"
            "  if entry then return 'suspect' end\n  reaped = reaped + 1",
        ),
        f"{SCRIPTS}/test_reap.py",
    ),
    "idempotent-id": Mutant("an id makes one job", NO_IDS, "tests/client/test_lost_answers.py"),
    "idempotent-id-chaos": Mutant("an id makes one job", NO_IDS, "F7", "I"),
    "declared-keys": Mutant(
        "every key is declared",
        without(
            scripts.FINISH,
            old="local record = redis.pcall('HMGET', job, 'e', 's', 'g', 'o', 'u')",
            new="redis.call('DEL', job .. ':more')\n"
            "  local record = redis.pcall('HMGET', job, 'e', 's', 'g', 'o', 'u')",
        ),
        f"{SCRIPTS}/test_finish_complete.py",
    ),
    "suspect-lane": Mutant(
        "suspects have a lane of their own",
        without(
            scripts.REAP,
            old="add_entry(goes == 'last' and last or suspect, id, from)",
            new="add_entry(source, id, from)",
        ),
        f"{SCRIPTS}/test_reap.py",
    ),
    "last-lane": Mutant(
        "who is one crash from the cap runs alone",
        without(
            scripts.REAP,
            old="local goes = crashes >= cap - 1 and 'last' or 'suspect'",
            new="local goes = 'suspect'",
        ),
        f"{SCRIPTS}/test_reap.py",
    ),
    "shutdown-release": Mutant(
        "a stopping worker gives back",
        patched(Running, "stop_all", forget_all),
        "tests/worker/test_stopping.py",
    ),
    "start-deadline": Mutant(
        "a resumed zombie starts nothing",
        patched(QueueLease, "may_start", lambda self: not self.is_fenced),
        "tests/faults/test_direct.py",
    ),
    "lock-release": Mutant(
        "the ending script opens the lock",
        without(
            scripts.FINISH,
            scripts.CANCEL,
            scripts.REAP,
            old="unlock(lock, job, id)\n  redis",
            new="redis",
        ),
        f"{SCRIPTS}/test_unique.py",
    ),
    "late-answers": Mutant(
        "a read that took too long hangs up", patient_reads, "tests/worker/test_reading.py"
    ),
    "no-fencing-chaos": Mutant("all layers of finish", NO_REFUSAL, "F2", "I"),
    "reap-loses-chaos": Mutant(
        "reap moves",
        without(
            scripts.REAP,
            old="local new = add_entry(goes == 'last' and last or suspect, id, from)",
            new="local new = '1-1'",
        ),
        "F1",
        "I1",
    ),
    "promote-copies-chaos": Mutant(
        "promote moves",
        without(
            scripts.PROMOTE,
            old="  redis.call('ZREM', schedule, id)\n  local from",
            new="  local from",
        ),
        "F22",
        "I2",
    ),
    "early-chaos": Mutant(
        "the server's clock promotes",
        several(
            without(
                scripts.PROMOTE,
                old="if not due or tonumber(due) > now then return 'early' end",
                new="if not due then return 'early' end",
            ),
            without(
                scripts.DUE,
                old="'-inf', digits(now), 'LIMIT'",
                new="'-inf', digits(now + 500), 'LIMIT'",
            ),
        ),
        "F22",
        "I10",
    ),
}


def apply_from_environment() -> None:
    name = os.environ.get(MUTANT)
    if name:
        MUTANTS[name].apply()


def pytest_configure() -> None:
    apply_from_environment()
