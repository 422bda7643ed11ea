"""Families of samples from counts that are kept elsewhere."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import (
    CounterMetricFamily,
    Exemplar,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from rqueue.worker import tally
from rqueue.worker.tally import Histogram

Labels = tuple[str, ...]


def gauge(name: str, text: str, value: float) -> Metric:
    """One value."""
    return GaugeMetricFamily(name, text, value=value)


def gauges(name: str, text: str, labels: Labels, values: Mapping[Labels, float]) -> Metric:
    """A value for each of several."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for which, value in values.items():
        family.add_metric(which, value)
    return family


def counters(
    name: str, text: str, labels: Labels, values: Iterable[tuple[Labels, float]]
) -> Metric:
    """A count for each of several; ``name`` without its ``_total``."""
    family = CounterMetricFamily(name, text, labels=labels)
    for which, value in values:
        family.add_metric(which, value)
    return family


def histograms(
    name: str,
    text: str,
    labels: Labels,
    bounds: Sequence[float],
    values: Iterable[tuple[Labels, Histogram]],
) -> Metric:
    """Durations of each of several."""
    family = HistogramMetricFamily(name, text, labels=labels)
    ends = [*(repr(float(bound)) for bound in bounds), "+Inf"]
    for which, one in values:
        counts, exemplars = accumulate(list(one.counts)), dict(one.exemplars)
        buckets = [
            (end, count, _exemplar(exemplars[place])) if place in exemplars else (end, count)
            for place, (end, count) in enumerate(zip(ends, counts, strict=True))
        ]
        family.add_metric(which, buckets=buckets, sum_value=one.sum)
    return family


def _exemplar(one: tally.Exemplar) -> Exemplar:
    return Exemplar({"trace_id": one.trace_id}, one.seconds, one.at)


def build_info() -> Metric:
    """Which release this is."""
    labels = ("version", "python")
    here = (version("rqueue"), platform.python_version())
    return gauges("rqueue_build_info", "Which release this is; always 1.", labels, {here: 1})
