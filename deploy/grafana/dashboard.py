"""The dashboard, written down: ``python deploy/grafana/dashboard.py > deploy/grafana/rqueue.json``.

What is imported into Grafana is the JSON beside this file; a test holds that the two agree.
``python -m benchmarks.dashboard`` draws it, with numbers of a real Prometheus.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WHERE = 'namespace=~"$namespace", job=~"$job"'
QUEUE = f'{WHERE}, queue=~"$queue"'
TASK = f'{QUEUE}, task=~"$task"'
LIVE = f'{QUEUE}, state!="dead"'
READY, RUNNING, DEAD = (f'{QUEUE}, state="{state}"' for state in ("ready", "running", "dead"))
WELL = f'{TASK}, outcome="succeeded"'
WIDTH, HEIGHT = 24, 7


class Panel(NamedTuple):
    """One picture.

    Attributes:
        title: above it.
        queries: expression, and how a line is named.
        unit: as Grafana names it.
        kind: of panel.
        width: of 24.
        text: what it tells, for who points at it.
        is_stacked: lines upon each other.
        floor: where the scale begins; None = at the least value.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    text: str = ""
    is_stacked: bool = False
    floor: float | None = 0.0


def of_queue(metric: str, labels: str = QUEUE, by: str = "queue") -> str:
    """What every exporter tells alike."""
    return f"max by ({by}) ({metric}{{{labels}}})"


def of_schedule(what: str) -> str:
    """When something was or will be, seconds since the epoch."""
    return of_queue(f"rqueue_schedule_{what}_timestamp_seconds", WHERE, "schedule")


def rate(metric: str, labels: str, by: str) -> str:
    """What each worker counts."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def rate_of_queue(metric: str, labels: str = QUEUE, by: str = "queue") -> str:
    """What Redis counts."""
    return f"max by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def quantile(of: float, metric: str, labels: str, by: str) -> str:
    """Of a histogram, while it counts anything: a line of nothing would only crowd the legend."""
    return f"histogram_quantile({of}, {rate(metric + '_bucket', labels, by)}) >= 0"


def failing(metric: str, labels: str, by: str) -> str:
    """What each worker counts of what should not be; where it never was there is no line."""
    return f"{rate(metric, labels, by)} and sum by ({by}) ({metric}{{{labels}}}) > 0"


def stat(title: str, expr: str, unit: str = "short", text: str = "") -> Panel:
    """One number."""
    return Panel(title, ((expr, ""),), unit, "stat", 4, text)


OUT = rate_of_queue("rqueue_queue_processed_jobs_total", by="queue, outcome")
IN_TIME = (rate(f"rqueue_job_slo{met}_total", QUEUE, "queue") for met in ("_met", ""))
ROWS: dict[str, tuple[Panel, ...]] = {
    "Now": (
        stat("Ready", f"sum({of_queue('rqueue_queue_jobs', READY)})"),
        stat("Running", f"sum({of_queue('rqueue_queue_jobs', RUNNING)})"),
        stat(
            "Oldest ready",
            f"max(rqueue_queue_oldest_ready_age_seconds{{{QUEUE}}})",
            "s",
            "How long the job has waited that waits longest: the best single signal.",
        ),
        stat(
            "Attempts that succeed",
            f"sum(rate(rqueue_attempts_total{{{WELL}}}[$__rate_interval]))"
            f" / sum(rate(rqueue_attempts_total{{{TASK}}}[$__rate_interval])) >= 0",
            "percentunit",
        ),
        stat(
            "Workers",
            f"count(rqueue_worker_slots{{{WHERE}}})",
            text="That are scraped: a supervisor of several processes is one.",
        ),
        stat(
            "Slots in use",
            f"sum(rqueue_worker_slots_busy{{{WHERE}}}) / sum(rqueue_worker_slots{{{WHERE}}})",
            "percentunit",
        ),
    ),
    "Queues": (
        Panel(
            "In and out, jobs a second",
            (
                (rate_of_queue("rqueue_queue_enqueued_jobs_total"), "{{queue}} in"),
                (
                    f"-sum by (queue) ({OUT})",
                    "{{queue}} out",
                ),
            ),
            "ops",
            floor=None,
        ),
        Panel(
            "Jobs that wait or run",
            ((of_queue("rqueue_queue_jobs", LIVE, "queue, state"), "{{queue}} {{state}}"),),
            text="The dead have a panel of their own: they stay for long, and would hide the rest.",
            is_stacked=True,
        ),
        Panel(
            "Oldest ready, and what was aimed at",
            (
                (of_queue("rqueue_queue_oldest_ready_age_seconds"), "{{queue}}"),
                (f"{of_queue('rqueue_queue_slo_wait_seconds')} > 0", "{{queue}} target"),
            ),
            "s",
        ),
    ),
    "Times": (
        Panel(
            "Wait",
            (
                (quantile(0.95, "rqueue_job_wait_seconds", QUEUE, "queue, le"), "{{queue}} p95"),
                (quantile(0.5, "rqueue_job_wait_seconds", QUEUE, "le"), "all p50"),
                (quantile(0.99, "rqueue_job_wait_seconds", QUEUE, "le"), "all p99"),
            ),
            "s",
            text="From when a job could run until it began; neither delay nor backoff.",
        ),
        Panel(
            "Run, p95 by task",
            ((quantile(0.95, "rqueue_job_run_seconds", TASK, "task, le"), "{{task}}"),),
            "s",
        ),
        Panel(
            "Wait, as a heat map",
            ((rate("rqueue_job_wait_seconds_bucket", QUEUE, "le"), "{{le}}"),),
            "s",
            "heatmap",
        ),
        Panel(
            "From first to last, p95",
            ((quantile(0.95, "rqueue_job_total_seconds", QUEUE, "queue, le"), "{{queue}}"),),
            "s",
            text="From when a job first could run until its end, with all retries.",
        ),
        Panel(
            "Began in time",
            (
                (
                    " / ".join(IN_TIME) + " >= 0",
                    "{{queue}}",
                ),
            ),
            "percentunit",
            text="Of the jobs in queues that have a target.",
        ),
        Panel(
            "Longest that runs",
            ((f"max by (queue) (rqueue_job_longest_running_seconds{{{QUEUE}}})", "{{queue}}"),),
            "s",
        ),
    ),
    "Failures": (
        Panel(
            "Failed attempts by task, a second",
            (
                (
                    failing(
                        "rqueue_attempts_total",
                        TASK + ', outcome=~"failed|timeout"',
                        "task, outcome",
                    ),
                    "{{task}} {{outcome}}",
                ),
            ),
            "ops",
        ),
        Panel(
            "Retries, a second",
            ((failing("rqueue_retries_total", TASK, "task, reason"), "{{task}} {{reason}}"),),
            "ops",
        ),
        Panel(
            "Dead",
            ((of_queue("rqueue_queue_jobs", DEAD), "{{queue}}"),),
        ),
        Panel(
            "Top errors",
            (
                (
                    f"topk(10, {failing('rqueue_errors_total', TASK, 'task, error')})",
                    "{{task}} {{error}}",
                ),
            ),
            "ops",
            text="Of workers with --metrics-errors.",
        ),
        Panel(
            "Rejected, a second",
            (
                (
                    failing("rqueue_jobs_rejected_total", QUEUE, "queue, reason"),
                    "{{queue}} {{reason}}",
                ),
            ),
            "ops",
        ),
        Panel(
            "Taken from dead workers, a second",
            ((rate_of_queue("rqueue_queue_reclaimed_jobs_total"), "{{queue}}"),),
            "ops",
        ),
    ),
    "Workers": (
        Panel(
            "Slots",
            (
                (f"sum by (instance) (rqueue_worker_slots_busy{{{WHERE}}})", "{{instance}} busy"),
                (f"sum(rqueue_worker_slots{{{WHERE}}})", "all"),
            ),
        ),
        Panel(
            "Event loop late by",
            (
                (
                    f"max by (instance) (rqueue_worker_event_loop_lag_seconds{{{WHERE}}})",
                    "{{instance}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Children started anew, a second",
            (
                (
                    rate("rqueue_worker_child_restarts_total", WHERE, "instance, reason"),
                    "{{instance}} {{reason}}",
                ),
            ),
            "ops",
        ),
        Panel(
            "Memory",
            ((f"rqueue_worker_memory_bytes{{{WHERE}}}", "{{instance}}"),),
            "bytes",
            text="Of workers; of a supervisor that of its children together.",
        ),
        Panel(
            "Replicas wanted, and processes",
            (
                (of_queue("rqueue_autoscale_desired_replicas"), "{{queue}} wanted"),
                (of_queue("rqueue_queue_workers"), "{{queue}} processes"),
            ),
            text="And the worker processes that serve each queue; one may serve several.",
        ),
        Panel(
            "Leases lost, a second",
            ((rate("rqueue_worker_fenced_total", QUEUE, "queue"), "{{queue}}"),),
            "ops",
        ),
    ),
    "Schedules": (
        Panel(
            "Next run in",
            (
                (
                    f"{of_schedule('next_run')} - time()",
                    "{{schedule}}",
                ),
            ),
            "s",
            width=12,
            text="Below 0 it is late.",
            floor=None,
        ),
        Panel(
            "Last success, ago",
            (
                (
                    f"time() - {of_schedule('last_success')}",
                    "{{schedule}}",
                ),
            ),
            "s",
            width=12,
        ),
    ),
    "Redis": (
        Panel(
            "Memory",
            (
                (of_queue("rqueue_redis_memory_used_bytes", WHERE, "job"), "{{job}} used"),
                (f"{of_queue('rqueue_redis_memory_max_bytes', WHERE, 'job')} > 0", "{{job}} most"),
            ),
            "bytes",
        ),
        Panel(
            "Answer takes",
            ((of_queue("rqueue_redis_latency_seconds", WHERE, "job"), "{{job}}"),),
            "s",
        ),
        Panel(
            "Keys thrown away, a second",
            ((rate_of_queue("rqueue_redis_evicted_keys_total", WHERE, "job"), "{{job}}"),),
            "ops",
            text="Anything but 0 is lost jobs.",
        ),
    ),
}


def dashboard() -> dict[str, Any]:
    """The whole, in Grafana's classic JSON model."""
    return {
        "title": "rqueue",
        "uid": "rqueue",
        "tags": ["rqueue"],
        "editable": True,
        "schemaVersion": 39,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "graphTooltip": 1,
        "templating": {"list": list(_variables())},
        "panels": list(_panels()),
    }


def _variables() -> Iterator[dict[str, Any]]:
    yield {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Source"}
    for name, metric in (
        ("namespace", "rqueue_build_info"),
        ("job", "rqueue_build_info"),
        ("queue", "rqueue_queue_jobs"),
        ("task", "rqueue_attempts_total"),
    ):
        query = f"label_values({metric}, {name})"
        yield {
            "name": name,
            "label": name.capitalize(),
            "type": "query",
            "datasource": SOURCE,
            "query": {"query": query, "refId": name},
            "definition": query,
            "refresh": 2,
            "includeAll": True,
            "allValue": ".*",
            "multi": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        }


def _panels() -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for title, panels in ROWS.items():
        number += 1
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        yield {"id": number, "type": "row", "title": title, "gridPos": place, "panels": []}
        top, left = top + 1, 0
        for panel in panels:
            number += 1
            height = 4 if panel.kind == "stat" else HEIGHT
            if left + panel.width > WIDTH:
                top, left = top + height, 0
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            yield {"id": number, "gridPos": place, **_shown(panel)}
            left += panel.width
        top += height


def _shown(panel: Panel) -> dict[str, Any]:
    form = {"format": "heatmap"} if panel.kind == "heatmap" else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, **_scaled(panel)}, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": name,
                **form,
            }
            for n, (expr, name) in enumerate(panel.queries)
        ],
    }


def _scaled(panel: Panel) -> dict[str, Any]:
    if panel.kind == "stat":
        # Without any, Grafana shows whatever is above 80 in red.
        return {"thresholds": {"mode": "absolute", "steps": [{"color": "green", "value": None}]}}
    if panel.kind == "heatmap":
        return {}
    shape = {"lineWidth": 1, "fillOpacity": 20 if panel.is_stacked else 0}
    stacking = {"stacking": {"mode": "normal" if panel.is_stacked else "none"}}
    least = {} if panel.floor is None else {"min": panel.floor}
    most = {"max": 1} if panel.unit == "percentunit" else {}
    return {"custom": shape | stacking, **least, **most}


_OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {},
    "timeseries": {"tooltip": {"mode": "multi", "sort": "desc"}},
    "heatmap": {"calculate": False, "yAxis": {"unit": "s"}, "cellValues": {"unit": "ops"}},
}


if __name__ == "__main__":
    json.dump(dashboard(), sys.stdout, indent=2)
    sys.stdout.write("\n")
