"""A task's signature as a codec: binds, encodes, decodes and checks arguments and results.

The producer runs the very decode that the worker will run, so what it accepts, the worker accepts.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from rqueue.annotations import hints_of, is_context, is_plain, travelling
from rqueue.codec import check_depth, encode
from rqueue.errors import CodecError, InvalidArguments
from rqueue.redaction import Redact
from rqueue.sensitive import Hidden, Place

Bound = tuple[tuple[Any, ...], dict[str, Any]]
_BY_POSITION = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_PLACE = re.compile(r"`\$\[(\d+)\]")
_NOT_SENT = msgspec.UNSET
_NO_KWARGS = b"\x80"
_NOTHING = object()


class Signature:
    """The parameters and the result of one function.

    Args:
        function: annotations are resolved now; one that cannot travel is a ``ConfigError``.
        has_result: whether what it returns travels, too.
    """

    def __init__(self, function: Callable[..., Any], *, has_result: bool = True) -> None:
        self._name = getattr(function, "__qualname__", repr(function))
        hints = {"return": Any, **hints_of(function, self._name)}
        parameters = list(inspect.signature(function).parameters.values())
        self.takes_context = bool(parameters) and is_context(hints.get(parameters[0].name))
        if self.takes_context:
            parameters = parameters[1:]
        self._signature = inspect.Signature(parameters)
        self._positional = [p.name for p in parameters if p.kind in _BY_POSITION]
        self._shiftable = {
            p.name for p in parameters if p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        }
        self._required = {
            p.name
            for p in parameters
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        }
        keyword_only = self._required - set(self._positional)
        self._fewest = sys.maxsize if keyword_only else len(self._required)
        types = {p.name: travelling(self._name, p.name, hints.get(p.name, Any)) for p in parameters}
        rest = {p.kind: types[p.name] for p in parameters}
        self._rest_name = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        self._rest = rest.get(inspect.Parameter.VAR_POSITIONAL, _NOT_SENT)
        self._more = rest.get(inspect.Parameter.VAR_KEYWORD, _NOT_SENT)
        named = [p.name for p in parameters if p.kind in _BY_NAME]
        self._named = set(named)
        self._args_type = _struct("Args", self._positional, types, array_like=True)
        self._kwargs_type = _struct("Kwargs", named, types, array_like=False)
        self._types = types
        self._returns = travelling(self._name, "return", hints["return"] if has_result else Any)
        self.hidden = Hidden(parameters, types)
        self._shown = self._name + self.hidden.shown(self._signature)
        self._decoders: dict[tuple[Any, bool], Any] = {}
        self._result_decoder = msgspec.msgpack.Decoder(self._returns)
        self._plain_return = self._returns if is_plain(self._returns) else _NOTHING
        is_usual = self._rest is _NOT_SENT and self._fewest <= len(self._positional)
        self._usual = _ByPosition([types[p] for p in self._positional]) if is_usual else None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bound:
        """Arguments in canonical order: by position as far as possible, the rest by name.

        Raises:
            InvalidArguments: the function cannot be called like this.
        """
        if not kwargs and self._fewest <= len(args) <= len(self._positional):
            return args, kwargs
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InvalidArguments(f"{self._shown}: {error}") from None
        placed, named = list(args), dict(kwargs)
        for name in self._positional[len(args) :]:
            if name not in named or name not in self._shiftable:
                break
            placed.append(named.pop(name))
        return tuple(placed), named

    def encode(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[bytes, bytes]:
        """Bound arguments as two pieces of msgpack, checked against the annotations.

        Raises:
            InvalidArguments: an argument cannot be encoded, or does not fit its annotation.
        """
        try:
            if not kwargs and self._usual is not None and self._usual.fits(args):
                return encode(args, is_shallow=True), _NO_KWARGS
            pieces = encode(args), encode(kwargs)
            self.decode(*pieces)
        except CodecError as error:
            message = f"{self._name}: {self.hidden.of(args, kwargs)(str(error))}"
            if not self.hidden:
                raise InvalidArguments(message) from error
        else:
            return pieces
        # Out here no chain of exceptions leads to the value; `from None` would only not show it.
        raise InvalidArguments(message)

    def decode(self, args: Any, kwargs: Any, *, is_json: bool = False) -> Bound:
        """Encoded arguments as the function takes them.

        Raises:
            CodecError: they do not fit the annotations; names the parameter.
        """
        if self._usual is not None and not is_json and bytes(kwargs) == _NO_KWARGS:
            placed = self._usual.decode(args)
            if placed is not None:
                return placed, {}
        return self._decode_any(args, kwargs, is_json=is_json)

    def _decode_any(self, args: Any, kwargs: Any, *, is_json: bool) -> Bound:
        try:
            placed = self._decode_args(args, is_json=is_json)
            named = self._decode_kwargs(kwargs, is_json=is_json)
            check_depth(placed)
            check_depth(named)
        except Exception as error:  # a type of the task's own may raise anything
            told = self.redactor((args, kwargs), is_json=is_json)(self._told(error))
            if not self.hidden:
                raise CodecError(f"arguments do not fit {self._shown}: {told}") from error
        else:
            by_place, by_name = set(self._positional[: len(placed)]), self._named & named.keys()
            missing = self._required - by_place - by_name
            if not (missing or by_place & by_name):
                return tuple(placed), named
            told = f"missing {', '.join(sorted(missing))}" if missing else "one is given twice"
        raise CodecError(f"arguments do not fit {self._shown}: {told}")

    def redactor(
        self,
        encoded: tuple[Any, Any],
        also: Iterable[Place] = (),
        *,
        is_json: bool = False,
        secrets: Iterable[Any] = (),
    ) -> Redact:
        """What takes sensitive arguments out of texts about their call.

        ``also`` names more of them, ``secrets`` are more values to take out.
        """

        def typed() -> tuple[list[Any], dict[str, Any]]:
            args, kwargs = encoded
            placed = self._decode_args(args, is_json=is_json)
            return placed, self._decode_kwargs(kwargs, is_json=is_json)

        return self.hidden.redactor(encoded, typed, also, is_json=is_json, secrets=secrets)

    def encode_result(self, value: Any) -> bytes:
        """A return value, checked against its annotation.

        Raises:
            CodecError: it cannot be encoded, or does not fit.
        """
        is_plain = type(value) is self._plain_return
        data = encode(value, is_shallow=is_plain)
        if not is_plain:
            self.decode_result(data)
        return data

    def decode_result(self, data: bytes) -> Any:
        """An encoded return value by the return annotation.

        Raises:
            CodecError: it does not fit; another version of the task may have written it.
        """
        try:
            return self._result_decoder.decode(data)
        except Exception as error:  # a type of the task's own may raise anything
            message = f"the result does not fit {self._name} -> {self._returns}: {error}"
            raise CodecError(message) from error

    def _decode_args(self, data: Any, *, is_json: bool) -> list[Any]:
        if self._rest is _NOT_SENT:
            struct = self._decoder(self._args_type, is_json=is_json).decode(data)
            return [value for value in astuple(struct) if value is not _NOT_SENT]
        raw = self._decoder(list[msgspec.Raw], is_json=is_json).decode(data)
        names = [*self._positional, *[self._rest_name] * (len(raw) - len(self._positional))]
        pairs = zip(names[: len(raw)], raw, strict=True)
        return [self._decode_one(name, self._types[name], r, is_json=is_json) for name, r in pairs]

    def _decode_kwargs(self, data: Any, *, is_json: bool) -> dict[str, Any]:
        if self._more is _NOT_SENT:
            if bytes(data) == _NO_KWARGS:
                return {}
            struct = self._decoder(self._kwargs_type, is_json=is_json).decode(data)
            values = ((name, getattr(struct, name)) for name in struct.__struct_fields__)
            return {name: value for name, value in values if value is not _NOT_SENT}
        raw = self._decoder(dict[str, msgspec.Raw], is_json=is_json).decode(data)
        return {
            name: self._decode_one(name, self._type_of(name), value, is_json=is_json)
            for name, value in raw.items()
        }

    def _type_of(self, keyword: str) -> Any:
        return self._types[keyword] if keyword in self._named else self._more

    def _decode_one(self, name: str, kind: Any, data: Any, *, is_json: bool) -> Any:
        try:
            return self._decoder(kind, is_json=is_json).decode(data)
        except msgspec.ValidationError as error:
            message = str(error)
            place = (
                message.replace("`$", f"`{name}") if "`$" in message else f"{error} - at `{name}`"
            )
            raise msgspec.ValidationError(place) from None

    def _decoder(self, kind: Any, *, is_json: bool) -> Any:
        key = (kind, is_json)
        try:
            return self._decoders[key]
        except KeyError:
            made = (msgspec.json if is_json else msgspec.msgpack).Decoder(kind)
            return self._decoders.setdefault(key, made)
        except TypeError:  # an annotation that cannot be hashed, such as Literal[[...]]
            return (msgspec.json if is_json else msgspec.msgpack).Decoder(kind)

    def _told(self, error: Exception) -> str:
        def name(found: re.Match[str]) -> str:
            place = int(found[1])
            known = place < len(self._positional)
            return f"`{self._positional[place]}" if known else found[0]

        return _PLACE.sub(name, str(error)).replace("`$.", "`")


class _ByPosition:
    """Calls with every argument by position and none by name: the usual ones, done quickly.

    Args:
        hints: the annotation of each argument.
    """

    def __init__(self, hints: list[Any]) -> None:
        self._hints = tuple(hints)
        self._is_plain = all(map(is_plain, hints))
        self._decoder = msgspec.msgpack.Decoder(tuple[self._hints])

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Whether what they are encoded to is known to fit."""
        return self._is_plain and tuple(map(type, args)) == self._hints

    def decode(self, data: Any) -> tuple[Any, ...] | None:
        """The arguments; None when they are others, or do not fit."""
        try:
            args: tuple[Any, ...] = self._decoder.decode(data)
            if not self._is_plain:
                check_depth(args)
        except Exception:  # the long way finds out what is wrong, and says so
            return None
        return args


def _struct(name: str, fields: list[str], types: Mapping[str, Any], *, array_like: bool) -> Any:
    return msgspec.defstruct(
        name,
        [(field, _or_unset(types[field]), _NOT_SENT) for field in fields],
        array_like=array_like,
        forbid_unknown_fields=True,
    )


def _or_unset(hint: Any) -> Any:
    return hint if hint is Any else hint | msgspec.UnsetType
