"""What is shipped for Prometheus and Grafana: it is sound, and asks only for what is told."""

from __future__ import annotations

import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rqueue import App
from rqueue.metrics import QueueMetrics, WorkerMetrics
from rqueue.worker.readings import Readings
from tests.support.tools import said, tool

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus" / "rqueue.rules.yaml"
TESTS = DEPLOY / "prometheus" / "rqueue.test.yaml"
DASHBOARD = DEPLOY / "grafana" / "rqueue.json"
NAME = re.compile(r"\b(?:rqueue|process)[a-z0-9_:]+")
_OF_HISTOGRAM = ("_bucket", "_sum", "_count")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads(DASHBOARD.read_text())["panels"]


def expressions() -> Iterator[str]:
    """Those of the dashboard, as Prometheus gets them."""
    for panel in panels():
        for target in panel.get("targets", ()):
            text = target["expr"].replace("$__rate_interval", "5m")
            yield re.sub(r"\$\w+", ".*", text)


def scalers() -> Iterator[str]:
    """What is asked for the number of workers, by KEDA and by what serves metrics to Kubernetes."""
    keda = (DEPLOY / "kubernetes" / "keda" / "prometheus" / "scaledobject.yaml").read_text()
    yield from (
        trigger["metadata"]["query"] for trigger in yaml.safe_load(keda)["spec"]["triggers"]
    )
    (rule,) = re.findall(r"metricsQuery: (.*)", (DEPLOY.parent / "docs" / "scaling.md").read_text())
    yield rule.replace("<<.Series>>", "rqueue_autoscale_desired_replicas")


@pytest.fixture
def told(app: App) -> set[str]:
    """Every name that a worker or an exporter serves, or a rule records."""
    app.remote("work").enqueue_sync()
    found = [
        *QueueMetrics(app).collect(),
        *WorkerMetrics(Readings, with_errors=True).collect(),
    ]
    names = {rule.get("record", "") for rule in rules()}
    for metric in found:
        ends = {"counter": ("_total",), "histogram": _OF_HISTOGRAM}.get(metric.type, ("",))
        names |= {metric.name + end for end in ends}
    return names


def test_the_rules_are_sound_and_every_alert_does_what_it_should() -> None:
    promtool = tool("promtool")

    said([promtool, "check", "rules", str(RULES)])
    said([promtool, "check", "config", str(RULES.parent / "prometheus.yaml")])
    said([promtool, "test", "rules", str(TESTS)])


def test_every_alert_is_tested_silent_firing_and_silent_again() -> None:
    seen: dict[str, list[bool]] = defaultdict(list)
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for moment in test.get("alert_rule_test", ()):
            seen[moment["alertname"]].append("exp_alerts" in moment)
    ways = {name: (found[0], any(found), found[-1]) for name, found in seen.items()}

    alerts = [rule["alert"] for rule in rules() if "alert" in rule]
    assert ways == dict.fromkeys(alerts, (False, True, False))


def test_every_alert_says_what_it_means_and_how_bad_it_is() -> None:
    for rule in rules():
        if "alert" in rule:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
            assert sorted(rule["annotations"]) == ["description", "summary"], rule["alert"]


def test_rules_and_dashboard_ask_only_for_what_is_told(told: set[str]) -> None:
    asked = " ".join([*(rule["expr"] for rule in rules()), *expressions(), *scalers()])
    used = {name for name in NAME.findall(asked) if not name.endswith("rqueue_")}

    assert used - told == set()


_SUMMED = re.compile(
    r"\b(?:sum|avg|count|group|stddev)\s*(?:(?:by|without)\s*\([^)]*\)\s*)?"
    r"\(\s*(?:\w+\(\s*)*rqueue_(\w+)"
)


def summed_over_exporters(text: str) -> list[str]:
    """What every exporter tells alike, and this adds up: with two of them it would be double."""
    redis = ("redis_up", "redis_latency", "redis_memory", "redis_evicted", "redis_info")
    cluster = ("queue_", "schedule_", "autoscale_", "workers", *redis)
    return [name for name in _SUMMED.findall(text) if name.startswith(cluster)]


@pytest.mark.parametrize(
    "text",
    [
        "sum(rqueue_queue_jobs)",
        "sum by (queue) (rqueue_queue_jobs)",
        "sum(rqueue_queue_jobs) by (queue)",
        "avg without (instance) (rate(rqueue_queue_enqueued_jobs_total[5m]))",
        "1 + count( rqueue_workers )",
    ],
)
def test_a_sum_over_exporters_is_found_however_it_is_written(text: str) -> None:
    assert len(summed_over_exporters(text)) == 1


def test_what_every_exporter_tells_alike_is_never_summed_over_them() -> None:
    for text in (*(rule["expr"] for rule in rules()), *expressions(), *scalers()):
        assert summed_over_exporters(text) == [], text


def test_the_dashboard_is_the_one_that_is_written_down() -> None:
    made = said([sys.executable, str(DASHBOARD.parent / "dashboard.py")])

    assert json.loads(made) == json.loads(DASHBOARD.read_text())


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    ids = [panel["id"] for panel in panels()]
    cells: list[tuple[int, int]] = []
    for panel in panels():
        at = panel["gridPos"]
        cells += [
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        ]
        assert at["x"] + at["w"] <= 24

    assert len(ids) == len(set(ids))
    assert len(cells) == len(set(cells))


def test_prometheus_understands_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    promtool = tool("promtool")
    written = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    file = tmp_path / "dashboard.rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": written}]}))

    assert f"{len(written)} rules found" in said([promtool, "check", "rules", str(file)])
