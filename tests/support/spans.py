"""Spans as tests compare them: who is whose parent, what is linked to what."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

VOLATILE = frozenset({"server.address", "server.port", "messaging.client.id", "rqueue.wait_ms"})


class Seen(NamedTuple):
    """A span, the others by their names: ``kind name < parent -> linked ones``."""

    line: str
    told: dict[str, Any]


class Lines(SpanExporter):
    """Writes each span as a line of JSON into a folder, to a file of its process."""

    def __init__(self, folder: Path, name: str) -> None:
        self._file = folder / f"{name}.spans"

    def export(self, spans: Any) -> SpanExportResult:
        with self._file.open("a") as file:
            file.writelines(span.to_json(indent=None) + "\n" for span in spans)
        return SpanExportResult.SUCCESS


def provider_of(exporter: SpanExporter) -> TracerProvider:
    """Hands each span over as it ends."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


def written(folder: Path) -> list[dict[str, Any]]:
    """All spans that were written there."""
    files = sorted(folder.glob("*.spans"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def kept(exporter: InMemorySpanExporter) -> list[dict[str, Any]]:
    """All spans of an exporter in memory, in the order in which they ended."""
    return [as_json(span) for span in exporter.get_finished_spans()]


def as_json(span: ReadableSpan) -> dict[str, Any]:
    return json.loads(span.to_json())


def seen(spans: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """Spans with names instead of ids, in the order given."""
    spans = list(spans)
    names = {span["context"]["span_id"]: _name(span) for span in spans}
    return [_seen(span, names) for span in spans]


def drawn(spans: Iterable[Mapping[str, Any]]) -> list[str]:
    """The same, one line each, sorted."""
    return sorted(one.line for one in seen(spans))


def traces(spans: Iterable[Mapping[str, Any]]) -> int:
    """How many traces there are."""
    return len({span["context"]["trace_id"] for span in spans})


def events(span: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is told of exceptions, without tracebacks."""
    return [
        {k: v for k, v in event["attributes"].items() if k != "exception.stacktrace"}
        for event in span["events"]
    ]


def _seen(span: Mapping[str, Any], names: Mapping[str, str]) -> Seen:
    line = f"{span['kind'].removeprefix('SpanKind.')} {_name(span)}"
    if span["parent_id"] is not None:
        line += f" < {names.get(span['parent_id'], 'elsewhere')}"
    if span["links"]:
        linked = sorted(
            names.get(link["context"]["span_id"], "elsewhere") for link in span["links"]
        )
        line += f" -> {', '.join(linked)}"
    attributes: Mapping[str, Any] = span["attributes"]
    return Seen(line, {k: v for k, v in attributes.items() if k not in VOLATILE})


def _name(span: Mapping[str, Any]) -> str:
    """Its name, and of an attempt which one it is."""
    attempt = span["attributes"].get("rqueue.attempt", 0)
    return f"{span['name']} #{attempt}" if attempt else span["name"]
