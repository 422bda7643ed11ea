"""OpenTelemetry: a span where a job is sent, one for each attempt, and one trace for both.

Needs ``pip install "rqueue[otel]"``; ``docs/tracing.md`` says how it is switched on.
"""

from rqueue.contrib.otel.instrumentor import RqueueInstrumentor

__all__ = ["RqueueInstrumentor"]
