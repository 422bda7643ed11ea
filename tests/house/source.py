"""The source tree as the house tests see it: files, parsed, with their dotted names."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Source:
    """One Python file, read and parsed once."""

    path: str
    name: str
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        return self.path.endswith("/__init__.py")

    @property
    def line_count(self) -> int:
        return len(self.text.splitlines())


@dataclass(frozen=True)
class Function:
    """A function or method, and where it stands: ``rqueue/app.py::App.task``."""

    where: str
    node: FunctionNode
    is_method: bool


@dataclass(frozen=True)
class Class:
    """A class, and where it stands."""

    where: str
    node: ast.ClassDef


@cache
def sources(folder: str) -> tuple[Source, ...]:
    """Every Python file under a folder of the checkout; none when the folder is not there."""
    return tuple(_read(path) for path in sorted((ROOT / folder).rglob("*.py")))


def functions(source: Source) -> list[Function]:
    """Every function of a file, nested ones and methods included."""
    return [found for found in _definitions(source) if isinstance(found, Function)]


def classes(source: Source) -> list[Class]:
    """Every class of a file, nested ones included."""
    return [found for found in _definitions(source) if isinstance(found, Class)]


def _read(path: Path) -> Source:
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = path.read_text(encoding="utf-8")
    return Source(relative.as_posix(), name, text, ast.parse(text, filename=str(relative)))


def _definitions(source: Source) -> list[Function | Class]:
    found: list[Function | Class] = []

    def walk(parent: ast.AST, path: tuple[str, ...]) -> None:
        for node in ast.iter_child_nodes(parent):
            if not isinstance(node, ast.ClassDef | FunctionNode):
                walk(node, path)
                continue
            inner = (*path, node.name)
            where = f"{source.path}::{'.'.join(inner)}"
            if isinstance(node, ast.ClassDef):
                found.append(Class(where, node))
            else:
                found.append(Function(where, node, isinstance(parent, ast.ClassDef)))
            walk(node, inner)

    walk(source.tree, ())
    return found
