"""Everything has a name that says what it is, and what is public says what it is for."""

from __future__ import annotations

import dataclasses
import importlib
import inspect

from tests.house.source import sources

DRAWERS = {"utils", "common", "helpers", "base", "misc", "manager"}


def test_no_file_is_a_junk_drawer() -> None:
    everything = [*sources("rqueue"), *sources("tests"), *sources("benchmarks")]

    assert [source.path for source in everything if is_drawer(source.name)] == []


def test_every_public_name_has_a_docstring() -> None:
    rqueue = importlib.import_module("rqueue")
    public = {name: getattr(rqueue, name) for name in rqueue.__all__}

    assert public
    assert [name for name, value in public.items() if not is_documented(value)] == []


def is_drawer(module: str) -> bool:
    last = module.rpartition(".")[2].strip("_")
    return last in DRAWERS or last.removesuffix("s") in DRAWERS or f"{last}s" in DRAWERS


def is_documented(value: object) -> bool:
    """Whether somebody wrote a docstring; values and type aliases cannot have one."""
    if not (inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value)):
        return True
    written = (value.__doc__ or "").strip()
    # A dataclass without a docstring is given its signature as one.
    is_dataclass = isinstance(value, type) and dataclasses.is_dataclass(value)
    generated = is_dataclass and written.startswith(f"{value.__name__}(")
    return bool(written) and not generated
