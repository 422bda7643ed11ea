"""Helm in a process of its own, as ``python -m tests.deploy.helm``: tests here fork, Go does not.

Input and output are JSON: values in, ``{"objects": {template: text}}`` or ``{"refused": why}`` out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy" / "helm" / "rqueue"
IMAGE = {"repository": "registry.example.com/app", "tag": "1"}


def asked(what: str, values: dict[str, Any], chart: Path = CHART, release: str = "rqueue") -> Any:
    """What Helm answers: ``lint``, ``render`` or ``package``."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.deploy.helm", what, str(chart), release],
        cwd=ROOT, input=json.dumps(values), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def rendered(values: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    """The objects of the chart with these values and an image."""
    answer = asked("render", {"image": IMAGE, **values}, **more)
    assert "objects" in answer, answer["refused"]
    return list(_objects(answer["objects"]))


def refused(values: dict[str, Any]) -> str:
    """Why the chart does not take these values."""
    answer = asked("render", {"image": IMAGE, **values})
    assert "refused" in answer, f"{values} were taken"
    return answer["refused"]


def _objects(texts: dict[str, str]) -> Iterator[dict[str, Any]]:
    for name, text in texts.items():
        if name.endswith(".yaml"):
            yield from filter(None, yaml.safe_load_all(text))


def _main(what: str, chart: str, release: str) -> Any:
    from helm_python import HelmError  # noqa: PLC0415 - not into the process of the tests
    from helm_python.chart import Chart, lint, package  # noqa: PLC0415 - the same

    values = json.load(sys.stdin)
    if what == "lint":
        return lint(chart, values, strict=True)
    if what == "package":
        return package(chart, destination=values["folder"])
    try:
        with Chart.load(chart) as loaded:
            loaded.validate_schema(values)
            return {"objects": loaded.render(values, name=release, namespace="jobs")}
    except HelmError as error:
        return {"refused": str(error)}


if __name__ == "__main__":
    json.dump(_main(*sys.argv[1:]), sys.stdout)
