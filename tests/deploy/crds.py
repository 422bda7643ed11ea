"""What the operators of KEDA and Prometheus take, as far as it is used here.

Offline nothing knows their objects: whatever is not written down here is refused.
"""

from __future__ import annotations

from typing import Any

from jsonschema import Draft202012Validator

Schema = dict[str, Any]

TEXT: Schema = {"type": "string", "minLength": 1}
SPAN: Schema = {"type": "string", "pattern": r"^\d+(ms|s|m|h|d)$"}
NUMBER: Schema = {"type": "string", "pattern": r"^\d+(\.\d+)?$"}
COUNT: Schema = {"type": "integer", "minimum": 0}
LABELS: Schema = {"type": "object", "additionalProperties": TEXT}


def closed(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    """An object with these properties and no others."""
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


def several(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def trigger(name: str, metadata: Schema) -> Schema:
    return closed({"type": {"const": name}, "metadata": metadata})


TRIGGERS = {
    "metrics-api": closed(
        {
            "url": {"type": "string", "pattern": "^https?://"},
            "valueLocation": TEXT,
            "targetValue": NUMBER,
        },
        {"format": {"enum": ["json"]}, "activationTargetValue": NUMBER},
    ),
    "prometheus": closed(
        {
            "serverAddress": {"type": "string", "pattern": "^https?://"},
            "query": TEXT,
            "threshold": NUMBER,
        },
        {"activationThreshold": NUMBER, "ignoreNullValues": {"enum": ["true", "false"]}},
    ),
    "redis-streams": closed(
        {"addressFromEnv": TEXT, "stream": TEXT, "streamLength": NUMBER},
        {"usernameFromEnv": TEXT, "passwordFromEnv": TEXT},
    ),
}
"""The metadata of each kind of trigger; all of it is text."""

_BEHAVIOR = closed({}, {"scaleDown": closed({"stabilizationWindowSeconds": COUNT})})
SCALED_OBJECT = closed(
    {
        "scaleTargetRef": closed({"name": TEXT}),
        "triggers": several({"oneOf": [trigger(*one) for one in TRIGGERS.items()]}),
    },
    {
        "pollingInterval": COUNT,
        "cooldownPeriod": COUNT,
        "minReplicaCount": COUNT,
        "maxReplicaCount": COUNT,
        "fallback": closed({"failureThreshold": COUNT, "replicas": COUNT}),
        "advanced": closed({"horizontalPodAutoscalerConfig": closed({"behavior": _BEHAVIOR})}),
    },
)
POD_MONITOR = closed(
    {
        "selector": closed(
            {},
            {
                "matchLabels": LABELS,
                "matchExpressions": several(
                    closed(
                        {
                            "key": TEXT,
                            "operator": {"enum": ["In", "NotIn"]},
                            "values": several(TEXT),
                        }
                    )
                ),
            },
        ),
        "podMetricsEndpoints": several(closed({"port": TEXT}, {"interval": SPAN})),
    },
    {"jobLabel": TEXT},
)
_ALERT = closed(
    {"alert": TEXT, "expr": TEXT}, {"for": SPAN, "labels": LABELS, "annotations": LABELS}
)
_RECORD = closed({"record": TEXT, "expr": TEXT}, {"labels": LABELS})
PROMETHEUS_RULE = closed(
    {
        "groups": several(
            closed(
                {"name": TEXT, "rules": several({"oneOf": [_ALERT, _RECORD]})}, {"interval": SPAN}
            )
        )
    }
)
KINDS = {
    ("keda.sh/v1alpha1", "ScaledObject"): SCALED_OBJECT,
    ("monitoring.coreos.com/v1", "PodMonitor"): POD_MONITOR,
    ("monitoring.coreos.com/v1", "PrometheusRule"): PROMETHEUS_RULE,
}


def is_of_an_operator(one: dict[str, Any]) -> bool:
    """Whether Kubernetes itself does not know it."""
    return one["apiVersion"].startswith(("keda.sh/", "monitoring.coreos.com/"))


def faults(one: dict[str, Any]) -> list[str]:
    """What its operator would not take."""
    whole = closed(
        {
            "apiVersion": TEXT,
            "kind": TEXT,
            "metadata": closed({"name": TEXT}, {"labels": LABELS, "namespace": TEXT}),
            "spec": KINDS[one["apiVersion"], one["kind"]],
        }
    )
    return [error.message for error in Draft202012Validator(whole).iter_errors(one)]


def triggers(one: dict[str, Any]) -> set[str]:
    """The kinds of triggers of a ScaledObject."""
    return {told["type"] for told in one["spec"]["triggers"]}
