"""Upgrades: functions that lift the calls of an older release to a task's present arguments.

An envelope stays as it was sent: it is lifted at each attempt, so that an older worker may still
take its next one, and a faulty upgrade can be mended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction, isfunction, isgeneratorfunction, ismethod
from itertools import islice
from typing import Any, TypeAlias, cast

import msgspec

from rqueue.codec import encode
from rqueue.envelope import OpenedEnvelope
from rqueue.errors import ConfigError
from rqueue.redaction import Redact
from rqueue.signature import Bound, Signature

_FEW = 5
"""Missing versions that an error names."""


class Arguments:
    """Arguments by position and by name, for an upgrade that needs both: ``Arguments(1, b=2)``."""

    __slots__ = ("args", "kwargs")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args = args
        self.kwargs = kwargs


Lifted: TypeAlias = Mapping[str, Any] | tuple[Any, ...] | Arguments
"""What an upgrade returns: arguments by name, by position, or both."""


class Upgrade:
    """What lifts calls of one version of a task to the next.

    Args:
        version: which version it lifts.
        fn: has the parameters that the task had in that version.
    """

    def __init__(self, version: int, fn: Callable[..., Lifted]) -> None:
        self.version = version
        self.fn = fn
        self.signature = Signature(fn, has_result=False)

    def lift(self, opened: OpenedEnvelope) -> OpenedEnvelope:
        """The same call with the arguments of the next version.

        Raises:
            CodecError: the old arguments do not fit its parameters, or the new ones cannot travel.
            Exception: whatever the function raises.
        """
        old, is_json = opened.envelope, opened.is_json
        args, kwargs = self.signature.decode(old.args, old.kwargs, is_json=is_json)
        placed, named = _arguments(self.fn(*args, **kwargs))
        # As they travelled, for these may have to go to a child process.
        secrets = self.signature.hidden.values((old.args, old.kwargs), old.hidden, is_json=is_json)
        lifted = msgspec.structs.replace(
            old,
            args=msgspec.Raw(encode(placed)),
            kwargs=msgspec.Raw(encode(named)),
            hidden=[],
            version=self.version + 1,
        )
        return OpenedEnvelope(lifted, is_json=False, secrets=(*opened.secrets, *secrets))

    def redactor(self, opened: OpenedEnvelope) -> Redact:
        """What takes sensitive arguments out of what is told when it fails."""
        old, secrets = opened.envelope, opened.secrets
        encoded = (old.args, old.kwargs)
        return self.signature.redactor(encoded, old.hidden, is_json=opened.is_json, secrets=secrets)


class Upgrades:
    """All that lifts calls of older versions of one task.

    Args:
        task: its name, for errors.
        version: its present version.
    """

    def __init__(self, task: str, version: int) -> None:
        self._task = task
        self._version = version
        self._by_version: dict[int, Upgrade] = {}

    def add(self, version: int, fn: Callable[..., Lifted]) -> None:
        """Register what lifts a version.

        Raises:
            ConfigError: it is not an older version, is lifted already, or ``fn`` is no plain
                function without a context.
        """
        where = f"@upgrade({version!r:.20}) of task {self._task!r}"
        if type(version) is not int or not 1 <= version < self._version:
            raise ConfigError(
                f"{where}: the task is declared with version={self._version}, and only older "
                "versions are lifted. Say which version the old arguments were, and declare "
                "the task with a newer one: @app.task(version=...)"
            )
        if version in self._by_version:
            raise ConfigError(f"{where}: that version is lifted already; keep one of the two")
        if not _is_plain(fn):
            raise ConfigError(f"{where} takes a plain function written with def, not {fn!r:.80}")
        upgrade = Upgrade(version, fn)
        if upgrade.signature.takes_context:
            raise ConfigError(f"{where}: an upgrade gets no Context, only the old arguments")
        self._by_version[version] = upgrade

    def find(self, version: int) -> Upgrade | None:
        """What lifts a version, or None."""
        return self._by_version.get(version)

    def get(self, version: int) -> Upgrade:
        """What lifts a version.

        Raises:
            ConfigError: nothing does.
        """
        found = self.find(version)
        if found is None:
            raise self._missing([version])
        return found

    def check(self) -> None:
        """Make sure that every older version is lifted.

        Raises:
            ConfigError: names those that are not.
        """
        missing = (one for one in range(1, self._version) if one not in self._by_version)
        first = list(islice(missing, _FEW + 1))
        if first:
            raise self._missing(first)

    def _missing(self, versions: list[int]) -> ConfigError:
        named = ", ".join(map(str, versions[:_FEW])) + (", ..." if len(versions) > _FEW else "")
        return ConfigError(
            f"task {self._task!r} has version {self._version}, and nothing lifts calls of version "
            f"{named}, which may still wait, or be dead and come back. Write a function for each: "
            f"@task.upgrade({versions[0]}); for calls that nobody wants any more it may raise "
            "Discard"
        )


def _is_plain(fn: object) -> bool:
    """Whether it can be called and answers at once."""
    is_late = iscoroutinefunction(fn) or isgeneratorfunction(fn)
    return (isfunction(fn) or ismethod(fn)) and not is_late


def _arguments(lifted: object) -> Bound:
    """What an upgrade returned; the error does not show it, for it may hold secrets."""
    if isinstance(lifted, Arguments):
        return lifted.args, lifted.kwargs
    if isinstance(lifted, Mapping):
        return (), dict(cast("Mapping[str, Any]", lifted))
    if isinstance(lifted, tuple):
        return cast("tuple[Any, ...]", lifted), {}
    raise TypeError(
        f"the upgrade returned a {type(lifted).__name__}; it must return the new arguments: a dict "
        "by name, a tuple by position, or rqueue.Arguments for both"
    )
