"""Switching tracing on and off, as OpenTelemetry's tools do it."""

from __future__ import annotations

from collections.abc import Collection
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.instrumentation.instrumentor import BaseInstrumentor
from opentelemetry.trace import TracerProvider

from rqueue.contrib.otel.conventions import SCHEMA
from rqueue.contrib.otel.settings import Propagation, Settings
from rqueue.contrib.otel.tracing import OpenTelemetry, current_ids, current_trace
from rqueue.errors import ConfigError
from rqueue.events import Observers
from rqueue.tracing import lines

if TYPE_CHECKING:
    from rqueue.app import App


_KNOWN = ("tracer_provider", "propagation", "create_spans")


class RqueueInstrumentor(BaseInstrumentor):
    """Traces every app of this process, or single ones.

    ``RqueueInstrumentor().instrument()``, before or after apps are made; or, without a line of
    code, ``opentelemetry-instrument``. It takes ``tracer_provider``, ``propagation`` and
    ``create_spans``, as ``instrument_app``; ``uninstrument()`` takes it back.
    """

    def instrumentation_dependencies(self) -> Collection[str]:
        """What is instrumented."""
        return ("rqueue",)

    @staticmethod
    def instrument_app(
        app: App,
        *,
        tracer_provider: TracerProvider | None = None,
        propagation: Propagation | None = None,
        create_spans: int | None = None,
    ) -> None:
        """Trace one app, whatever is said for the others.

        Args:
            app: which one.
            tracer_provider: where its spans go; by default, to the global one.
            propagation: ``parent`` or ``link``; by default as ``RQUEUE_TRACE_PROPAGATION`` says,
                else ``parent``.
            create_spans: largest batch whose jobs have a span each; by default as
                ``RQUEUE_TRACE_CREATE_SPANS`` says, else 100.

        Raises:
            ConfigError: a value is not allowed.
        """
        app.observers.tracing = _tracing(tracer_provider, propagation, create_spans)

    @staticmethod
    def uninstrument_app(app: App) -> None:
        """Trace this app no more, also if the others are traced."""
        app.observers.tracing = None

    def _instrument(self, **kwargs: Any) -> None:
        unknown = [name for name in kwargs if name not in _KNOWN and not name.endswith("_provider")]
        if unknown:  # providers of metrics and logs are given to all instrumentations alike
            raise ConfigError(
                f"instrument() has no option {unknown[0]!r}; it takes {', '.join(_KNOWN)}"
            )
        Observers.tracing = _tracing(
            kwargs.get("tracer_provider"), kwargs.get("propagation"), kwargs.get("create_spans")
        )

    def _uninstrument(self, **kwargs: Any) -> None:  # noqa: ARG002 - the shape of its base
        Observers.tracing = None


def _tracing(
    provider: TracerProvider | None, propagation: Propagation | None, create_spans: int | None
) -> OpenTelemetry:
    settings = Settings.of(propagation, create_spans)
    tracer = trace.get_tracer("rqueue", version("rqueue"), provider, SCHEMA)
    lines.ids, lines.trace = current_ids, current_trace
    return OpenTelemetry(tracer, settings)
