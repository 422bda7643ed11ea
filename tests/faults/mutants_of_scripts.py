"""What the scripts do, taken out one at a time."""

from __future__ import annotations

from rqueue.store import scripts
from tests.faults.mutant import ANY, Mutant, several, without

LEASE_CHECK = without(
    scripts.FINISH, old="if not redis.call('ZSCORE', leases, worker) then return 'fenced' end"
)
ENTRY_CHECK = without(
    scripts.FINISH,
    old="if stands and not MOVED_ON[record[2]] then",
    new="if known and (record[1] ~= entry or not MOVED_ON[record[2]]) then",
)
XACK_CHECK = without(
    scripts.FINISH,
    old="if redis.call('XACK', source, GROUP, entry) == 0 then\n"
    "    if new then redis.call('XDEL', lanes[lane], new) end\n    return 'lost'\n  end",
    new="redis.call('XACK', source, GROUP, entry)",
)
STATE_CHECK = without(
    scripts.FINISH,
    old="if stands and not MOVED_ON[record[2]] then",
    new="if stands then",
)
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
NO_MARK = without(scripts.FIRE, old="if p[2] ~= ARGV[4] then return {'beaten'} end")
NO_IDS = without(
    scripts.ENQUEUE,
    old="if record[2] then return {record[1] == digest and 'duplicate' or 'conflict'} end",
)
TWINS = without(
    scripts.ENQUEUE,
    old="    wake_if_first(schedule, id, at, wake)",
    new="    redis.call('XADD', streams[priority], '*', 'i', id, 'm', envelope, 't', '1')\n"
    "    wake_if_first(schedule, id, at, wake)",
)
SCRIPTS = "tests/scripts"

MUTANTS: dict[str, Mutant] = {
    "finish-lease": Mutant(
        "lease check in finish",
        LEASE_CHECK,
        f"{SCRIPTS}/test_finish_fences.py::test_a_worker_that_lost_its_lease_can_record_nothing",
    ),
    "finish-entry": Mutant(
        "record entry check in finish",
        ENTRY_CHECK,
        f"{SCRIPTS}/test_finish_fences.py::test_a_copy_of_a_job_that_moved_on_is_removed_and_nothing_else",
    ),
    "finish-xack": Mutant(
        "XACK as compare-and-set",
        XACK_CHECK,
        f"{SCRIPTS}/test_finish_fences.py::test_an_entry_that_is_not_pending_is_not_recorded",
    ),
    "finish-state": Mutant(
        "an end stands",
        STATE_CHECK,
        f"{SCRIPTS}/test_finish_fences.py::test_a_job_that_has_ended_with_this_entry_is_not_recorded_again",
    ),
    "oom-renewal": Mutant(
        "renewal survives a full memory",
        without(scripts.RENEW, old="redis.call('ZREM', leases, '')"),
        f"{SCRIPTS}/test_out_of_memory.py::test_a_worker_joins_stays_and_fetches",
    ),
    "xclaim": Mutant(
        "requeue instead of XCLAIM",
        without(
            scripts.REAP,
            old="  take(entry)\n  counts.reap = counts.reap + 1",
            new="  redis.call('XCLAIM', source, GROUP, 'me', 0, entry)\n"
            "  if entry then return 'suspect' end\n  counts.reap = counts.reap + 1",
        ),
        f"{SCRIPTS}/test_reap.py::test_what_a_dead_worker_held_is_suspect",
    ),
    "idempotent-id": Mutant(
        "an id makes one job",
        NO_IDS,
        "tests/client/test_lost_answers.py::test_a_lost_answer_to_an_enqueue_makes_one_job",
    ),
    "caps": Mutant(
        "a full queue takes nothing",
        without(scripts.ENQUEUE, old="if is_capped(place) then", new="if false then"),
        f"{SCRIPTS}/test_enqueue_caps.py::test_a_batch_is_let_in_until_the_cap_is_reached",
    ),
    "payload-cap": Mutant(
        "a queue takes nothing that is larger than its cap",
        without(scripts.ENQUEUE, old="if largest and", new="if false and"),
        f"{SCRIPTS}/test_enqueue_caps.py",
        "test_an_envelope_above_its_cap",
    ),
    "tick-mark": Mutant(
        "a tick is compared with the mark, and set, at once",
        NO_MARK,
        f"{SCRIPTS}/test_fire.py",
        "test_two_schedulers_that_read_the_same_fire_once",
    ),
    "tick-clock": Mutant(
        "Redis' clock says when a tick is due",
        without(scripts.FIRE, old="if wait > 0 then", new="if false then"),
        f"{SCRIPTS}/test_fire.py",
        "test_a_tick_before_its_time_is_early",
    ),
    "tick-mark-chaos": Mutant(
        "a tick is compared with what stands there, and set, at once",
        several(
            NO_MARK, without(scripts.FIRE, old=" or (p[4] or '') ~= ARGV[5] then", new=" then")
        ),
        "F21",
        "I8",
    ),
    "release-order": Mutant(
        "the release that came last declares",
        without(scripts.STAND, old="then return 'yields' end", new="then end"),
        f"{SCRIPTS}/test_stand.py",
        "test_the_later_one_stands",
    ),
    "twins-chaos": Mutant("a delayed job waits in one place", TWINS, "F22", "I5"),
    "idempotent-id-chaos": Mutant("an id makes one job", NO_IDS, "F7", ANY),
    "declared-keys": Mutant(
        "every key is declared",
        without(
            scripts.FINISH,
            old="local record = redis.pcall('HMGET', job,",
            new="redis.call('DEL', job .. ':more')\n  local record = redis.pcall('HMGET', job,",
        ),
        f"{SCRIPTS}/test_finish_complete.py::test_a_completed_job_leaves_its_record_with_the_result",
    ),
    "suspect-lane": Mutant(
        "suspects have a lane of their own",
        without(
            scripts.REAP,
            old="add_entry(goes == 'last' and last or suspect, id, from, entry)",
            new="add_entry(source, id, from, entry)",
        ),
        f"{SCRIPTS}/test_reap.py::test_what_a_dead_worker_held_is_suspect",
    ),
    "last-lane": Mutant(
        "who is one crash from the cap runs alone",
        without(
            scripts.REAP,
            old="local goes, new = crashes >= cap - 1 and 'last' or 'suspect', nil",
            new="local goes, new = 'suspect', nil",
        ),
        f"{SCRIPTS}/test_reap.py::test_a_job_one_crash_from_the_cap_goes_to_the_last_lane",
    ),
    "lock-release": Mutant(
        "the ending script opens the lock",
        without(
            scripts.FINISH,
            scripts.CANCEL,
            scripts.REAP,
            old="unlock(lock, job, id)\n  if",
            new="if",
        ),
        f"{SCRIPTS}/test_unique.py::test_every_ending_opens_the_lock",
    ),
    "reschedule-moves": Mutant(
        "what is pushed back leaves its stream",
        without(scripts.RESCHEDULE, old="  redis.call('XDEL', source, entry)\n", new=""),
        f"{SCRIPTS}/test_reschedule.py::test_a_queued_job_is_taken_out_of_its_stream",
    ),
    "reschedule-spares": Mutant(
        "what runs is not pushed back",
        without(scripts.RESCHEDULE, old="then return 'running' end", new="then end"),
        f"{SCRIPTS}/test_reschedule.py::test_a_job_that_runs_stays_with_its_worker",
    ),
    "no-fencing-chaos": Mutant("all layers of finish", NO_REFUSAL, "F2", ANY),
    "reap-loses-chaos": Mutant(
        "reap moves",
        without(
            scripts.REAP,
            old="new = add_entry(goes == 'last' and last or suspect, id, from, entry)",
            new="new = '1-1'",
        ),
        "F1",
        "I1",
    ),
    "promote-copies-chaos": Mutant(
        "promote moves",
        without(
            scripts.PROMOTE,
            old="  gone[#gone + 1] = id\n  promoted",
            new="  promoted",
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
