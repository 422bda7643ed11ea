"""What the modules do, taken out one at a time."""

from __future__ import annotations

from typing import Any

from rqueue import protection, sensitive
from rqueue.client import client
from rqueue.config import StoreConfig
from rqueue.envelope import OpenedEnvelope, open_envelope
from rqueue.job import Delivery
from rqueue.redaction import unchanged
from rqueue.store.wire import Wire
from rqueue.worker import executor
from rqueue.worker.fetcher import Fetcher
from rqueue.worker.lease import QueueLease
from rqueue.worker.prepared import Prepared
from rqueue.worker.running import Running
from rqueue.worker.watch import Watch
from tests.faults.mutant import Mutant, patched


def no_gaps() -> None:
    real = Watch.__init__

    def patient(self: Watch, lease_s: float, gap_s: float) -> None:
        real(self, lease_s, float("inf"))

    Watch.__init__ = patient


async def no_reconcile(self: Fetcher) -> None:
    """Leave what a lost answer has delivered."""


def forget_all(self: Running) -> int:
    """Stop as if fenced: nothing is given back."""
    attempts = list(self._attempts.values())
    for attempt in attempts:
        attempt.stop("fenced")
    return len(attempts)


def patient_reads() -> None:
    """Take silence for an empty answer, and keep the connection."""
    end = Wire._end

    def keep(self: Wire, kind: type[Exception], text: str) -> None:
        if kind is not TimeoutError:
            end(self, kind, text)
            return
        self._trips.popleft().done.set_result([None])

    Wire._end = keep


def accept_plain(self: Any, *keys: Any, current: str, accept_plain: bool = False) -> None:
    """Take what is not protected, too, whatever was said."""
    del accept_plain
    really_made(self, *keys, current=current, accept_plain=True)


really_made = protection._Keyed.__init__


def no_place(head: bytes, what: str, *_place: str) -> bytes:
    """Check what the bytes are, but not where they stand."""
    return head + what.encode()


def open_and_fail(delivery: Delivery, store: StoreConfig) -> OpenedEnvelope:
    """Let an error of hostile bytes through."""
    sealed = store.protection.open(delivery.envelope, "call", delivery.queue, delivery.job_id)
    return open_envelope(sealed)


MUTANTS: dict[str, Mutant] = {
    "signature": Mutant(
        "signatures are compared",
        patched(protection, "compare_digest", lambda *_: True),
        "tests/unit/test_protection.py",
        "DID NOT RAISE",
    ),
    "signature-wanted": Mutant(
        "what is not signed is refused where there are keys",
        patched(protection._Keyed, "__init__", accept_plain),
        "tests/worker/test_unprotected.py"
        "::test_an_unprotected_job_is_refused_and_the_worker_goes_on",
        "+ succeeded",
    ),
    "signature-place": Mutant(
        "a signature holds for one job of one queue",
        patched(protection, "_context", no_place),
        "tests/worker/test_unprotected.py"
        "::test_a_call_that_is_moved_to_another_id_or_queue_is_refused",
    ),
    "redaction": Mutant(
        "sensitive values are taken out of texts",
        patched(sensitive, "redacting", lambda _values: unchanged),
        "tests/worker/test_sensitive.py::test_an_error_is_told_everywhere_without_the_value",
        "canary-4711",
    ),
    "redaction-cli": Mutant(
        "the command line hides what is sensitive",
        patched(sensitive, "covered", lambda _places, args, kwargs: (args, kwargs)),
        "tests/cli/test_secrets.py",
        "canary-4711",
    ),
    "durable": Mutant(
        "who is not told of enough copies is told so",
        patched(client, "_check_copies", lambda *_: None),
        "tests/client/test_durability.py"
        "::test_fewer_replicas_than_wished_are_told_with_the_job_in_doubt",
        "DID NOT RAISE",
    ),
    "hostile-bytes": Mutant(
        "an error of hostile bytes is an ending of their job",
        patched(executor, "open_call", open_and_fail),
        "tests/unit/test_bad_input.py",
        "CodecError",
    ),
    "gap-rule": Mutant(
        "the reaper's gap rule",
        no_gaps,
        "tests/faults/test_direct.py::test_a_look_before_the_renewals_after_an_outage_condemns_nobody",
    ),
    "gap-rule-chaos": Mutant("the reaper's gap rule", no_gaps, "F5", "I17"),
    "reconcile": Mutant(
        "own pending entries are started",
        patched(Fetcher, "_reconcile", no_reconcile),
        "tests/worker/test_fetching.py::test_entries_of_a_lost_answer_are_started_by_the_worker"
        "_they_were_given_to",
    ),
    "shutdown-release": Mutant(
        "a stopping worker gives back",
        patched(Running, "stop_all", forget_all),
        "tests/worker/test_stopping.py::test_a_job_that_does_not_end_within_grace_goes_back_uncharged_and_runs_elsewhere",
    ),
    "start-deadline": Mutant(
        "a resumed zombie starts nothing",
        patched(QueueLease, "may_start", lambda self: not self.is_fenced),
        "tests/faults/test_direct.py::test_a_worker_that_could_not_renew_begins_nothing_before_it_has",
    ),
    "deadline": Mutant(
        "an attempt ends at the deadline",
        patched(Prepared, "cut", lambda self, left_s: None),  # noqa: ARG005 - as it is called
        "tests/worker/test_deadlines.py::test_an_attempt_ends_at_the_deadline_and_there_is_no_other",
    ),
    "deadline-start": Mutant(
        "no attempt begins after the deadline",
        patched(executor, "too_late", lambda envelope, delivery: None),  # noqa: ARG005 - as it is called
        "tests/worker/test_deadlines.py::test_expires_judges_every_start_also_that_of_a_retry",
    ),
    "late-retries": Mutant(
        "no attempt begins when it is too late for retries",
        patched(executor, "too_late_to_retry", lambda *_: None),
        "tests/worker/test_deadlines.py::test_no_attempt_begins_when_it_is_too_late_for_retries",
    ),
    "late-answers": Mutant(
        "a read that took too long hangs up",
        patient_reads,
        "tests/worker/test_reading.py::test_an_answer_that_comes_too_late_is_not_taken_for_the_next_ones",
    ),
}
