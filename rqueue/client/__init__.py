"""The producer's side: sends jobs, waits for them, looks at them, cancels them."""

from __future__ import annotations

from rqueue.client.client import Client

__all__ = ["Client"]
