"""The pages for Prometheus and for probes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.registry import Collector

from rqueue.errors import ConfigError
from rqueue.metrics import Endpoint
from tests.support.pages import Page, read


@pytest.fixture
def reasons() -> list[str]:
    return [""]


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Gauge("answers", "Of everything.", registry=registry).set(42)
    return registry


@pytest.fixture
def endpoint(registry: CollectorRegistry, reasons: list[str]) -> Iterator[Endpoint]:
    with Endpoint(registry, {"/readyz": lambda: reasons[-1]}) as endpoint:
        yield endpoint


def test_metrics_are_told_in_the_format_that_is_asked_for(endpoint: Endpoint) -> None:
    wanted = "application/openmetrics-text"
    plain = read(endpoint.url, "/metrics")
    modern = read(endpoint.url, "/metrics?x=1", accept=f"{wanted}; version=1.0.0")

    assert (plain.status, plain.kind, plain.text.splitlines()[-1]) == (
        200, "text/plain", "answers 42.0",
    )  # fmt: skip
    assert (modern.status, modern.kind, modern.text.splitlines()[-1]) == (200, wanted, "# EOF")


def test_a_probe_says_no_with_its_reason(endpoint: Endpoint, reasons: list[str]) -> None:
    assert read(endpoint.url, "/readyz") == Page(200, "text/plain", "ok\n")
    reasons.append("Redis is away")

    assert read(endpoint.url, "/readyz") == Page(503, "text/plain", "Redis is away\n")


def test_another_page_is_not_there_and_names_those_that_are(endpoint: Endpoint) -> None:
    assert read(endpoint.url, "/") == Page(200, "text/plain", "/metrics\n/readyz\n")
    assert read(endpoint.url, "/nonsense") == Page(404, "text/plain", "/metrics\n/readyz\n")


def test_a_head_request_has_no_content_and_others_are_refused(endpoint: Endpoint) -> None:
    assert read(endpoint.url, "/metrics", "HEAD")[::2] == (200, "")
    assert [read(endpoint.url, "/metrics", method).status for method in ("POST", "DELETE")] == [
        501, 501,
    ]  # fmt: skip


def test_a_page_that_fails_is_a_500_and_in_the_log(
    registry: CollectorRegistry, endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Collector):
        def describe(self) -> list[object]:
            return []

        def collect(self) -> list[object]:
            raise OSError("broken")

    registry.register(Broken())

    assert read(endpoint.url, "/metrics")[::2] == (500, "failed; see the log\n")
    assert "the page /metrics failed" in caplog.text


def test_an_address_that_is_taken_is_named(endpoint: Endpoint) -> None:
    port = int(endpoint.url.rpartition(":")[2])

    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port} for metrics"):
        Endpoint(CollectorRegistry(), {}, port=port)


def test_it_listens_on_ipv6_too() -> None:
    with Endpoint(CollectorRegistry(), {}, host="::1") as endpoint:
        assert read(endpoint.url, "/")[::2] == (200, "/metrics\n")
