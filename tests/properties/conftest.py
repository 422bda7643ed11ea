"""No deadline for an example (the machine may be busy), and fewer of them than the default."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "rqueue", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("rqueue")
