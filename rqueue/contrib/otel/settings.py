"""How jobs are traced: what is said in code, or else in the environment."""

from __future__ import annotations

import os
from typing import Literal, cast, get_args

import msgspec

from rqueue.config import check_range
from rqueue.errors import ConfigError

Propagation = Literal["parent", "link"]

CREATE_SPANS = 100
"""Largest batch whose jobs have a span each, unless something else is said."""
_MOST = 10_000
_ENV_PROPAGATION = "RQUEUE_TRACE_PROPAGATION"
_ENV_CREATE_SPANS = "RQUEUE_TRACE_CREATE_SPANS"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How jobs are traced.

    Attributes:
        propagation: ``parent``: the work of a job is part of the trace that sent it, where the two
            belong together; ``link``: it is a trace of its own, with a link to that one.
        create_spans: largest batch whose jobs have a span each; 0 = none has.
    """

    propagation: Propagation = "parent"
    create_spans: int = CREATE_SPANS

    @classmethod
    def of(cls, propagation: object = None, create_spans: object = None) -> Settings:
        """Check what was said; what was not, the environment says.

        Raises:
            ConfigError: a value is not allowed; names it, and what is.
        """
        if propagation is None:
            name, propagation = _ENV_PROPAGATION, os.environ.get(_ENV_PROPAGATION, "parent")
        else:
            name = "propagation"
        if propagation not in get_args(Propagation):
            allowed = ", ".join(get_args(Propagation))
            raise ConfigError(f"{name} {propagation!r:.80} is not one of {allowed}")
        return cls(
            propagation=cast("Propagation", propagation), create_spans=_create_spans(create_spans)
        )


def _create_spans(said: object) -> int:
    if said is not None:
        return int(check_range(cast("int", said), "create_spans", 0, _MOST, whole=True))
    text = os.environ.get(_ENV_CREATE_SPANS, str(CREATE_SPANS))
    if not text.isdecimal():
        raise ConfigError(f"{_ENV_CREATE_SPANS} {text!r:.80} is no number of jobs")
    return int(check_range(int(text), _ENV_CREATE_SPANS, 0, _MOST, whole=True))
