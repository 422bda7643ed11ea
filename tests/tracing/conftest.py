from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from rqueue.app import App
from rqueue.contrib.otel import RqueueInstrumentor
from rqueue.tracing import lines
from tests.support.apps import app, valkey_app
from tests.support.spans import provider_of

__all__ = ["app", "valkey_app"]


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = provider_of(spans)
    yield provider
    provider.shutdown()
    lines.ids = lines.trace = None


@pytest.fixture
def traced(app: App, provider: TracerProvider) -> App:
    """An app on every flavour of server, whose spans are kept."""
    RqueueInstrumentor.instrument_app(app, tracer_provider=provider)
    return app


@pytest.fixture
def valkey_traced(valkey_app: App, provider: TracerProvider) -> App:
    """The same, for a test to which the flavour makes no difference."""
    RqueueInstrumentor.instrument_app(valkey_app, tracer_provider=provider)
    return valkey_app
