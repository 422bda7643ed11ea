"""What is shipped for Kubernetes: sound, ours, and with time to end."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import crds
from tests.deploy.test_artefacts import understood
from tests.deploy.test_prometheus import RULES
from tests.support.tools import said, tool

HERE = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
SCALING = HERE.parents[1] / "docs" / "scaling.md"


def objects(folder: str) -> Iterator[dict[str, Any]]:
    for file in sorted((HERE / folder).rglob("*.yaml")):
        if file.name != "kustomization.yaml":
            yield from yaml.safe_load_all(file.read_text())


def deployments() -> dict[str, dict[str, Any]]:
    return {
        one["metadata"]["name"]: one["spec"]["template"]["spec"]
        for one in objects("base")
        if one["kind"] == "Deployment"
    }


def validate(files: list[Path]) -> None:
    checker = str(Path(sys.executable).parent / "kubernetes-validate")
    said([checker, "--strict", *map(str, files)])


@pytest.mark.parametrize("folder", ["base", "hpa"])
def test_every_object_is_one_that_kubernetes_knows(folder: str) -> None:
    validate([file for file in (HERE / folder).glob("*.yaml") if file.name != "kustomization.yaml"])


def test_the_cluster_s_own_autoscaler_scales_the_workers_by_a_metric_that_there_is() -> None:
    (scaler,) = objects("hpa")
    (metric,) = scaler["spec"]["metrics"]

    assert scaler["spec"]["scaleTargetRef"]["name"] in deployments()
    (told,) = yaml.safe_load(block(SCALING, "yaml"))["externalRules"]
    (asked,) = [
        trigger["metadata"]["query"]
        for one in objects("keda/prometheus")
        for trigger in one["spec"]["triggers"]
    ]
    name = metric["external"]["metric"]["name"]
    assert (told["name"]["as"], told["metricsQuery"].partition("(")[0]) == (name, "max")
    assert asked == f'max({name}{{queue="default"}})'


def block(document: Path, kind: str) -> str:
    """The one block of this kind in a document."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", document.read_text(), re.DOTALL)
    return found


@pytest.mark.parametrize(
    "folder", [str(file.parent.relative_to(HERE)) for file in HERE.rglob("kustomization.yaml")]
)
def test_a_kustomization_names_all_that_lies_beside_it_and_no_file_elsewhere(folder: str) -> None:
    told = yaml.safe_load((HERE / folder / "kustomization.yaml").read_text())
    beside = {file.name for file in (HERE / folder).glob("*.yaml")} - {"kustomization.yaml"}

    assert {name for name in told["resources"] if "/" not in name} == beside
    elsewhere = [HERE / folder / name for name in told["resources"] if "/" in name]
    assert all((one / "kustomization.yaml").is_file() for one in elsewhere)


@pytest.mark.parametrize(
    "folder", [str(file.parent.relative_to(HERE)) for file in HERE.rglob("kustomization.yaml")]
)
def test_kustomize_makes_objects_of_it_that_kubernetes_knows(folder: str, tmp_path: Path) -> None:
    made = said([tool("kubectl"), "kustomize", str(HERE / folder)])
    (tmp_path / "all.yaml").write_text(made)

    validate([tmp_path / "all.yaml"])
    assert [one["kind"] for one in yaml.safe_load_all(made)]


def test_the_example_of_production_puts_its_own_in_place_of_what_stands_there() -> None:
    made = said([tool("kubectl"), "kustomize", str(HERE / "overlays" / "production")])
    pods = {
        one["metadata"]["name"]: one["spec"]
        for one in yaml.safe_load_all(made)
        if one["kind"] == "Deployment"
    }

    images = {
        container["image"]
        for one in pods.values()
        for container in one["template"]["spec"]["containers"]
    }
    assert images == {"registry.example.com/app:1"}
    assert {name: "replicas" in one for name, one in pods.items()} == {
        "rqueue-worker": False, "rqueue-scheduler": True, "rqueue-exporter": True,
    }  # fmt: skip


def test_pods_are_what_a_cautious_cluster_asks_for() -> None:
    assert sorted(deployments()) == ["rqueue-exporter", "rqueue-scheduler", "rqueue-worker"]
    for pod in deployments().values():
        is_cautious(pod)


def is_cautious(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["enableServiceLinks"] is False, "a service's variable would be our option"
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"].keys() == {"memory"}, "a limit of processors stalls"


def test_their_commands_are_ours_and_they_have_time_to_end() -> None:
    for pod in deployments().values():
        is_ours(pod)


def is_ours(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    params = understood(container["args"])
    assert pod["terminationGracePeriodSeconds"] >= params.get("grace", 0) + 15
    port = params.get("metrics_port") or params.get("port")
    told = {one["containerPort"] for one in container.get("ports", ())}
    assert told == ({port} if port else set())


def test_a_worker_ends_by_itself_before_the_kernel_ends_it() -> None:
    (container,) = deployments()["rqueue-worker"]["containers"]
    limit = container["resources"]["limits"]["memory"]

    assert understood(container["args"])["max_memory"] < int(limit.removesuffix("Mi")) << 20


def test_probes_ask_pages_that_are_served() -> None:
    (worker,) = deployments()["rqueue-worker"]["containers"]
    (scheduler,) = deployments()["rqueue-scheduler"]["containers"]
    (exporter,) = deployments()["rqueue-exporter"]["containers"]
    asked = [
        {one[kind]["httpGet"]["path"] for kind in one if kind.endswith("Probe")}
        for one in (worker, scheduler, exporter)
    ]

    assert asked == [*[{"/livez", "/readyz", "/startupz"}] * 2, {"/livez", "/readyz"}]


def operated() -> list[dict[str, Any]]:
    """What Kubernetes itself knows nothing of."""
    folders = ("keda", "overlays/production")
    return [one for folder in folders for one in objects(folder) if crds.is_of_an_operator(one)]


@pytest.mark.parametrize("one", operated(), ids=lambda one: one["kind"])
def test_an_operator_takes_its_object(one: dict[str, Any]) -> None:
    assert crds.faults(one) == []


def test_each_way_to_scale_is_there_and_scales_the_workers() -> None:
    scaled = list(objects("keda"))

    assert {one["spec"]["scaleTargetRef"]["name"] for one in scaled} == {"rqueue-worker"}
    assert set.union(*map(crds.triggers, scaled)) == crds.TRIGGERS.keys()


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("advanced", "horizontalPodAutoscalerConfig", "behaviour"), {}),
        (("fallback", "replicas"), "4"),
        (("triggers",), []),
        (("triggers", 0, "metadata", "targetValue"), 1),
        (("triggers", 0, "metadata", "valueLocaton"), "desired"),
        (("triggers", 0, "type"), "cron"),
    ],
)
def test_what_an_operator_would_not_take_is_found(place: tuple[Any, ...], value: object) -> None:
    (one,) = objects("keda/metrics-api")
    *path, last = ("spec", *place)
    inner: Any = one
    for step in path:
        inner = inner[step]
    inner[last] = value

    assert len(crds.faults(one)) == 1


def test_the_alerts_are_those_of_prometheus() -> None:
    by_kind = {one["kind"]: one for one in objects("overlays/production")}

    groups = yaml.safe_load(RULES.read_text())["groups"]
    assert by_kind["PrometheusRule"]["spec"] == {"groups": groups}
