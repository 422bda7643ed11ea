"""The golden vectors, read once. They are part of the protocol: never change one, only add."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("vectors.json").read_text("utf-8"))


def by_name(vector: dict[str, Any]) -> str:
    """How a test of one vector is called."""
    return str(vector.get("name") or vector["id"])


def raw(fields: dict[str, str]) -> dict[str, bytes]:
    """Fields as Redis holds them: text, or ``hex:`` and bytes."""
    return {
        name: bytes.fromhex(value[4:]) if value.startswith("hex:") else value.encode()
        for name, value in fields.items()
    }
