"""Values that do not show all that they hold: a ``repr`` ends up in logs and in error reports."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, ClassVar


class Veiled:
    """What makes a struct show some of its fields by their size only: stands before ``Struct``."""

    __slots__ = ()
    __struct_fields__: ClassVar[tuple[str, ...]]
    veiled: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        """Its fields, as those of any struct."""
        told = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({told})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """The same for printers: msgspec's own would tell them everything."""
        shown = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, _Veil(one) if name in self.veiled else one) for name, one in shown]


class _Veil:
    """What stands for a value."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        if isinstance(self._value, bytes):
            return f"<{len(self._value)} bytes>"
        if isinstance(self._value, Sized):
            return f"<{len(self._value)}>"
        return "None" if self._value is None else "<...>"
