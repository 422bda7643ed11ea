"""The Helm chart: kustomize's objects in groups, and no value that it does not know."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import crds
from tests.deploy.helm import CHART, ROOT, asked, refused, rendered
from tests.deploy.test_artefacts import understood
from tests.deploy.test_kubernetes import (
    deployments,
    is_cautious,
    is_ours,
    objects,
    validate,
)
from tests.deploy.test_prometheus import DASHBOARD, RULES
from tests.support.tools import package

RICH: dict[str, Any] = {
    "image": {"repository": "registry.example.com/app", "digest": "sha256:" + "0" * 64},
    "imagePullSecrets": [{"name": "pull"}],
    "app": "shop.tasks:make()",
    "namespace": "shop",
    "redis": {"existingSecret": "redis", "key": "address"},
    "log": {"format": "console", "level": "debug"},
    "extraEnv": [{"name": "REGION", "value": "eu"}],
    "extraEnvFrom": [{"configMapRef": {"name": "settings"}}],
    "workers": {
        "fast": {
            "queues": ["high:3", "default:1"],
            "concurrency": 200,
            "keda": {"enabled": True, "maxReplicas": 9},
            "podLabels": {"team": "shop"},
            "podAnnotations": {"note": "fast"},
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "high",
        },
        "slow": {
            "queues": ["reports"],
            "replicas": 0,
            "graceSeconds": 300,
            "processes": 2,
            "maxMemory": "900Mi",
            "existingSecret": "slow",
            "extraArgs": ["--max-jobs", 1000],
            "extraEnv": [{"name": "REPORTS", "value": "/reports"}],
            "extraVolumes": [{"name": "reports", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "reports", "mountPath": "/reports"}],
            "resources": {"limits": {"memory": "2Gi"}},
            "podDisruptionBudget": {"maxUnavailable": "50%"},
        },
        "idle": {"maxMemory": "", "podDisruptionBudget": {"enabled": False}},
    },
    "exporter": {"replicas": 2, "port": 9000, "extraArgs": ["--hold", "10m"]},
    "serviceAccount": {"annotations": {"role": "jobs"}},
    "networkPolicy": {
        "redis": [{"ipBlock": {"cidr": "10.0.0.0/8"}}],
        "redisPort": 6380,
        "extraEgress": [{"ports": [{"port": 443}]}],
    },
    "podMonitor": {"enabled": True, "interval": "30s", "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "grafanaDashboard": {"enabled": True, "annotations": {"folder": "Jobs"}},
}


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    package("helm_python")


@pytest.fixture(scope="module")
def plain() -> list[dict[str, Any]]:
    """With nothing set but the image."""
    return rendered({})


@pytest.fixture(scope="module")
def rich() -> list[dict[str, Any]]:
    """With everything set."""
    return rendered(RICH)


def pods(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in found
        if one["kind"] == "Deployment"
    }


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in found if one["kind"] == kind]


def names(found: list[dict[str, Any]], kind: str) -> list[str]:
    return sorted(one["metadata"]["name"] for one in of_kind(found, kind))


@pytest.mark.parametrize("values", [{}, RICH], ids=["plain", "rich"])
def test_helm_finds_no_fault_in_it(values: dict[str, Any]) -> None:
    report = asked("lint", values)

    assert report["errors"] == []
    assert [one["error"] for one in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("values", [{}, RICH], ids=["plain", "rich"])
def test_every_object_is_one_that_kubernetes_knows(values: dict[str, Any], tmp_path: Path) -> None:
    found = rendered(values)
    core = [one for one in found if not crds.is_of_an_operator(one)]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(core))

    validate([tmp_path / "all.yaml"])
    assert [
        crds.faults(one) for one in found if crds.is_of_an_operator(one) and crds.faults(one)
    ] == []


@pytest.mark.parametrize("values", [{}, RICH], ids=["plain", "rich"])
def test_pods_are_cautious_and_have_time_to_end(values: dict[str, Any]) -> None:
    found = rendered(values)

    for pod in pods(found).values():
        is_cautious(pod)
        is_ours(pod)
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] in names(found, "ServiceAccount")
    assert [one["automountServiceAccountToken"] for one in of_kind(found, "ServiceAccount")] == [
        False, False, False,
    ]  # fmt: skip


def test_with_nothing_set_its_pods_are_those_of_kustomize(plain: list[dict[str, Any]]) -> None:
    mine, theirs = pods(plain), deployments()
    mine["rqueue-worker"] = mine.pop("rqueue-worker-default")

    assert mine.keys() == theirs.keys()
    for name, pod in theirs.items():
        assert heart(mine[name]) == heart(pod)


def heart(pod: dict[str, Any]) -> dict[str, Any]:
    """All but whose image it is and which pods are alike."""
    (container,) = pod["containers"]
    spread = [
        {key: value for key, value in one.items() if key != "labelSelector"}
        for one in pod["topologySpreadConstraints"]
    ]
    left_out = {"containers", "topologySpreadConstraints", "automountServiceAccountToken"}
    told = {key: value for key, value in container.items() if not key.startswith("image")}
    return {
        **{key: value for key, value in pod.items() if key not in left_out},
        "spread": spread,
        "container": {**told, "args": (container["args"][0], understood(container["args"]))},
    }


def test_with_nothing_set_its_other_objects_are_those_of_kustomize(
    plain: list[dict[str, Any]],
) -> None:
    base = list(objects("base"))
    (policy,), (theirs) = of_kind(plain, "NetworkPolicy"), of_kind(base, "NetworkPolicy")[0]
    for one in (policy, theirs):
        del one["spec"]["podSelector"]
        for rule in one["spec"]["ingress"]:
            rule["ports"].sort(key=lambda told: told["port"])

    assert policy["spec"] == theirs["spec"]
    assert (
        of_kind(plain, "Service")[0]["spec"]["ports"]
        == (of_kind(base, "Service")[0]["spec"]["ports"])
    )
    assert names(plain, "ServiceAccount") == names(base, "ServiceAccount")
    replicas = [
        {one["metadata"]["name"].removesuffix("-default"): one["spec"]["replicas"] for one in found}
        for found in (of_kind(plain, "Deployment"), of_kind(base, "Deployment"))
    ]
    assert replicas[0] == replicas[1]
    kinds = {one["kind"] for one in plain}
    assert kinds == {one["kind"] for one in base}, "what needs definitions of others is asked for"


def test_what_picks_pods_picks_those_of_its_own_role_and_group(rich: list[dict[str, Any]]) -> None:
    labels = {
        one["metadata"]["name"]: one["spec"]["template"]["metadata"]["labels"]
        for one in of_kind(rich, "Deployment")
    }
    picked = {
        (one["kind"], one["metadata"]["name"]): [
            name for name, told in labels.items() if selector(one).items() <= told.items()
        ]
        for kind in ("Deployment", "PodDisruptionBudget", "Service")
        for one in of_kind(rich, kind)
    }

    assert all(found == [name] for (_, name), found in picked.items()), picked
    assert names(rich, "PodDisruptionBudget") == [
        "rqueue-scheduler", "rqueue-worker-fast", "rqueue-worker-slow",
    ]  # fmt: skip
    (policy,) = of_kind(rich, "NetworkPolicy")
    assert all(selector(policy).items() <= told.items() for told in labels.values())


def selector(one: dict[str, Any]) -> dict[str, str]:
    spec = one["spec"]
    told = spec.get("selector") or spec["podSelector"]
    return told.get("matchLabels", told)


def test_a_group_is_run_as_it_says(rich: list[dict[str, Any]]) -> None:
    found = pods(rich)
    args = {name: pod["containers"][0]["args"] for name, pod in found.items()}

    logs = ["--log-format", "console", "--log-level", "debug"]
    assert args == {
        "rqueue-worker-fast": [
            "worker", "--grace", "25s", "--metrics-port", "9808", "--queues", "high:3,default:1",
            "--concurrency", "200", "--max-memory", "400Mi", *logs,
        ],
        "rqueue-worker-slow": [
            "worker", "--grace", "300s", "--metrics-port", "9808", "--queues", "reports",
            "--processes", "2", "--max-memory", "900Mi", *logs, "--max-jobs", "1000",
        ],
        "rqueue-worker-idle": ["worker", "--grace", "25s", "--metrics-port", "9808", *logs],
        "rqueue-scheduler": ["scheduler", "--metrics-port", "9808", *logs],
        "rqueue-exporter": ["exporter", "--port", "9000", *logs, "--hold", "10m"],
    }  # fmt: skip
    assert found["rqueue-worker-slow"]["terminationGracePeriodSeconds"] == 315
    replicas = {
        one["metadata"]["name"]: one["spec"].get("replicas") for one in of_kind(rich, "Deployment")
    }
    assert replicas == {
        "rqueue-worker-fast": None,
        "rqueue-worker-slow": 0,
        "rqueue-worker-idle": 2,
        "rqueue-scheduler": 2,
        "rqueue-exporter": 2,
    }


def test_the_url_comes_from_the_secret_that_is_nearest(rich: list[dict[str, Any]]) -> None:
    secrets: dict[str, Any] = {}
    for name, pod in pods(rich).items():
        env = {one["name"]: one for one in pod["containers"][0]["env"]}
        secrets[name] = env["RQUEUE_URL"]["valueFrom"]["secretKeyRef"]
        assert env["RQUEUE_APP"]["value"] == "shop.tasks:make()"
        assert env["RQUEUE_NAMESPACE"]["value"] == "shop"
        assert env["REGION"]["value"] == "eu"

    redis = {"name": "redis", "key": "address"}
    others = ("rqueue-worker-fast", "rqueue-worker-idle", "rqueue-scheduler", "rqueue-exporter")
    assert secrets == {
        **dict.fromkeys(others, redis),
        "rqueue-worker-slow": {"name": "slow", "key": "address"},
    }


def url_of(scaled: dict[str, Any]) -> str:
    (trigger,) = scaled["spec"]["triggers"]
    return trigger["metadata"]["url"]


def test_a_group_is_scaled_by_what_the_exporter_says_of_its_queues(
    rich: list[dict[str, Any]],
) -> None:
    (scaled,) = of_kind(rich, "ScaledObject")

    assert crds.triggers(scaled) == {"metrics-api"}
    assert scaled["spec"]["scaleTargetRef"]["name"] == "rqueue-worker-fast"
    assert scaled["spec"]["maxReplicaCount"] == 9
    assert url_of(scaled) == "http://rqueue-exporter.jobs.svc:9000/scale/high,default?slots=200"
    (theirs,) = objects("keda/metrics-api")
    usual = {"keda": {"enabled": True}, "queues": ["default"], "processes": 3, "maxMemory": "9Mi"}
    (default,) = of_kind(rendered({"workerDefaults": usual}), "ScaledObject")
    assert url_of(default).endswith("/scale/default")
    for one in (default, theirs):
        del one["spec"]["scaleTargetRef"], one["spec"]["triggers"][0]["metadata"]["url"]
    assert default["spec"] == theirs["spec"]


def test_alerts_and_dashboard_are_those_that_are_shipped(rich: list[dict[str, Any]]) -> None:
    (rule,), (monitor,) = of_kind(rich, "PrometheusRule"), of_kind(rich, "PodMonitor")
    (shown,) = of_kind(rich, "ConfigMap")

    assert rule["spec"] == yaml.safe_load(RULES.read_text())
    assert json.loads(shown["data"]["rqueue.json"]) == json.loads(DASHBOARD.read_text())
    assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"
    watched = {
        one for want in monitor["spec"]["selector"]["matchExpressions"] for one in want["values"]
    }
    assert watched == {"rqueue", "rqueue-worker", "rqueue-scheduler", "rqueue-exporter"}


def test_a_package_of_it_holds_all_that_it_shows(
    rich: list[dict[str, Any]], tmp_path: Path
) -> None:
    archive = asked("package", {"folder": str(tmp_path)})

    assert rendered(RICH, chart=Path(archive)) == rich


def test_two_releases_share_no_name(rich: list[dict[str, Any]]) -> None:
    others = rendered(RICH, release="shop")

    taken = {(one["kind"], one["metadata"]["name"]) for one in rich}
    assert not taken & {(one["kind"], one["metadata"]["name"]) for one in others}
    assert "shop-rqueue-worker-fast" in names(others, "Deployment")


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"image": {"repository": ""}}, "image.repository is not set"),
        ({"podMonitr": {}}, "additional properties 'podMonitr' not allowed"),
        ({"workers": {"a": {"queus": []}}}, "'/workers/a': additional properties 'queus'"),
        ({"workers": {"A_b": {}}}, "invalid propertyName 'A_b'"),
        ({"workers": {"a": {"queues": "mail"}}}, "/workers/a/queues': got string, want array"),
        ({"workers": {"a": {"queues": ["a b"]}}}, "/workers/a/queues/0': 'a b' does not match"),
        ({"workers": {"a": {"graceSeconds": "25s"}}}, "graceSeconds': got string, want integer"),
        ({"workers": {"a": {"concurrency": 0}}}, "/workers/a/concurrency': minimum"),
        ({"workers": {"a": {"maxMemory": "1 GB"}}}, "/workers/a/maxMemory': '1 GB' does not match"),
        ({"workers": {"a": {"maxMemory": "1Gi"}}}, "below the memory limit 512Mi"),
        ({"workers": {"a": {"processes": 2}}}, "2 process(es) of maxMemory 400Mi do not fit"),
        ({"app": "tasks.py"}, "'/app': 'tasks.py' does not match"),
        ({"redis": {"url": "redis://x"}}, "'/redis': additional properties 'url'"),
        ({"log": {"format": "xml"}}, "'/log/format': value must be one of 'json', 'console'"),
        ({"exporter": {"port": 99999}}, "'/exporter/port': maximum"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name is not set"),
        ({"workers": {"a": {"keda": {"enabled": True}}}}, "workers.a.queues names none"),
        (
            {"exporter": {"enabled": False}, "workers": {"a": {"keda": {"enabled": True}}}},
            "workers.a.keda asks the exporter",
        ),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused(values: dict[str, Any], why: str) -> None:
    assert why in refused(values)


def test_it_says_of_which_version_it_is() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert chart["appVersion"] == project["version"]


def test_what_the_documents_show_can_be_installed() -> None:
    text = (ROOT / "docs" / "deploy.md").read_text().partition("## Helm")[2]
    values = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])

    found = rendered(values)

    assert {"rqueue-worker-fast", "rqueue-worker-slow"} < {*names(found, "Deployment")}
    assert names(found, "ScaledObject") == ["rqueue-worker-fast"]


def test_every_value_has_a_form_and_a_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert described(schema, schema["definitions"]) - told(values) == {"global"}
    assert told(values) <= described(schema, schema["definitions"])


def told(values: dict[str, Any], above: str = "") -> set[str]:
    """Paths of the values, down to what Kubernetes spells."""
    found: set[str] = set()
    for name, value in values.items():
        path = f"{above}{name}"
        found.add(path)
        if isinstance(value, dict) and not path.endswith(FREE):
            found |= told(value, f"{path}.")
    return found


FREE = ("resources", "labels", "SecurityContext", "annotations")


def described(schema: dict[str, Any], shared: dict[str, Any], above: str = "") -> set[str]:
    found: set[str] = set()
    for name, one in schema.get("properties", {}).items():
        path = f"{above}{name}"
        found.add(path)
        if "$ref" in one:
            one = shared[one["$ref"].rpartition("/")[2]]  # noqa: PLW2901 - the same, spelled out
        if not path.endswith(FREE):
            found |= described(one, shared, f"{path}.")
    return found
