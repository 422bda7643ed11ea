"""No room grows too large; a room that must is listed here, with its own limit and the reason."""

from __future__ import annotations

import ast

from tests.house.limits import Allowed, complaints
from tests.house.source import Class, Function, classes, functions, sources

# Each key is a place: "rqueue/app.py" for a file, "rqueue/app.py::App.task" for what is in it.
LONG_FILES: dict[str, Allowed] = {
    "rqueue/errors.py": Allowed(
        330, "every exception in one list, under the tree of what to catch"
    ),
}
LONG_FUNCTIONS: dict[str, Allowed] = {}
LARGE_CLASSES: dict[str, Allowed] = {
    "rqueue/app.py::App": Allowed(
        21, "the public face: a word of the API each, with a blocking twin; they only pass on"
    ),
}
MANY_PARAMETERS: dict[str, Allowed] = {
    "rqueue/app.py::App.__init__": Allowed(7, "settings that stand alone, each a keyword"),
}
LONG_TEST_FILES: dict[str, Allowed] = {}


def test_a_file_has_at_most_300_lines() -> None:
    measured = {source.path: source.line_count for source in sources("rqueue")}

    assert complaints(measured, 300, LONG_FILES) == []


def test_a_function_has_at_most_40_lines() -> None:
    measured = {one.where: line_count(one) for one in all_functions()}

    assert complaints(measured, 40, LONG_FUNCTIONS) == []


def test_a_class_has_at_most_12_public_methods() -> None:
    measured = {
        one.where: public_method_count(one)
        for source in sources("rqueue")
        for one in classes(source)
    }

    assert complaints(measured, 12, LARGE_CLASSES) == []


def test_a_function_has_at_most_6_parameters() -> None:
    measured = {one.where: parameter_count(one) for one in all_functions()}

    assert complaints(measured, 6, MANY_PARAMETERS) == []


def test_a_test_file_has_at_most_400_lines() -> None:
    measured = {source.path: source.line_count for source in sources("tests")}

    assert complaints(measured, 400, LONG_TEST_FILES) == []


def all_functions() -> list[Function]:
    return [one for source in sources("rqueue") for one in functions(source)]


def line_count(function: Function) -> int:
    """Lines from ``def`` to the end; decorators are not counted."""
    return (function.node.end_lineno or 0) - function.node.lineno + 1


def public_method_count(one: Class) -> int:
    """Different public names: a property with a setter or an overloaded method counts once."""
    names = {
        node.name
        for node in one.node.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    return sum(not name.startswith("_") for name in names)


def parameter_count(function: Function) -> int:
    """Parameters that a caller sees: not ``self`` or ``cls``; ``*args`` counts as one."""
    arguments = function.node.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    gathered = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return len(named) + len(gathered) - takes_self(function)


def takes_self(function: Function) -> bool:
    decorators = {node.id for node in function.node.decorator_list if isinstance(node, ast.Name)}
    return function.is_method and "staticmethod" not in decorators
