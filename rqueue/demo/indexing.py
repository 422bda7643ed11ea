"""What is to be known of a Python file. Pure: bytes in, numbers out."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator

import msgspec

_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef
_UNPARSABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
"""A NUL byte is a ValueError; what is nested too deep is one of the last two."""


class FileIndex(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file.

    Attributes:
        path: where it is.
        sha256: of its bytes.
        lines: how many it has.
        functions: how many it defines, methods included.
        classes: how many it defines.
        imports: top-level names of what it imports, each once; its own package is not among them.
        problem: why it could not be parsed; "" when it could.
    """

    path: str
    sha256: str = ""
    lines: int = 0
    functions: int = 0
    classes: int = 0
    imports: tuple[str, ...] = ()
    problem: str = ""


def index_source(path: str, source: bytes) -> FileIndex:
    """Parse, compile, walk and hash.

    A file that is no Python (the standard library has some on purpose, to test the parser) is
    an index with a problem, not a failure: trying again would not mend it.
    """
    digest, lines = hashlib.sha256(source).hexdigest(), len(source.splitlines())
    try:
        tree = ast.parse(source, path)
        compile(tree, path, "exec", dont_inherit=True)
    except _UNPARSABLE as error:
        problem = f"{type(error).__name__}: {error}"
        return FileIndex(path=path, sha256=digest, lines=lines, problem=problem)
    nodes = list(ast.walk(tree))
    return FileIndex(
        path=path,
        sha256=digest,
        lines=lines,
        functions=sum(isinstance(node, _FUNCTIONS) for node in nodes),
        classes=sum(isinstance(node, ast.ClassDef) for node in nodes),
        imports=tuple(sorted({name for node in nodes for name in _imported(node)})),
    )


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name.partition(".")[0]
    elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        yield node.module.partition(".")[0]
