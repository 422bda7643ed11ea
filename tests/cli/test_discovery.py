"""Finding the app, and saying what was tried."""

from __future__ import annotations

from pathlib import Path

import pytest

from rqueue.app import App
from rqueue.cli.discovery import AppNotFound, find_app, load

ONE = "from rqueue import App\napp = App()\n"


def write(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def refusal(spec: str | None) -> str:
    with pytest.raises(AppNotFound) as refused:
        find_app(spec)
    return str(refused.value)


@pytest.mark.parametrize("spec", ["d_one:app", "d_one", "d_one:nested.inner", "d_one:make()"])
def test_an_app_is_found_by_its_name(modules: Path, spec: str) -> None:
    text = f"{ONE}class nested: inner = app\ndef make(): return App()\n"
    write(modules, "d_one.py", text)

    assert isinstance(find_app(spec).app, App)


def test_a_module_in_a_package_is_found(modules: Path) -> None:
    write(modules, "d_pkg/__init__.py", "")
    write(modules, "d_pkg/queue.py", "from rqueue import App\nmine = App()\n")

    assert isinstance(find_app("d_pkg.queue").app, App)


def test_pyproject_names_the_app_also_from_a_folder_below(
    modules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(modules, "pyproject.toml", '[tool.rqueue]\napp = "d_above:app"\n')
    write(modules, "d_above.py", ONE)
    (modules / "below").mkdir()
    monkeypatch.chdir(modules / "below")

    assert find_app(None).spec == "d_above:app"


def test_without_a_name_the_usual_files_are_searched(modules: Path) -> None:
    write(modules, "app.py", "import os  # somebody else's\n")
    write(modules, "worker.py", "from rqueue import App\nmine = App()\n")

    assert find_app(None).spec == "worker:mine"


def test_a_file_that_does_not_use_rqueue_is_not_run(modules: Path) -> None:
    write(modules, "main.py", "raise SystemExit('this was run')\n")

    assert "main.py: does not use rqueue" in refusal(None)


def test_without_anything_every_place_is_named(modules: Path) -> None:
    write(modules, "pyproject.toml", "[project]\nname = 'x'\n")
    write(modules, "tasks.py", "from rqueue import nonsense\n")

    said = refusal(None)

    assert "-A/--app and RQUEUE_APP: not given" in said
    assert f"{modules / 'pyproject.toml'}: has no [tool.rqueue] app" in said
    assert "app.py: not there" in said
    assert "tasks.py: module 'tasks' cannot be imported" in said
    assert "ImportError" in said
    assert f"{modules / 'tasks.py'}:1" in said
    assert "-A tasks:app" in said


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("d_nosuch:app", "there is no module 'd_nosuch'"),
        ("d_tw:app", "did you mean 'd_two'?"),
        ("d_two:ap", "did you mean 'app2'? Apps in it: app1, app2."),
        ("d_two:add", "'d_two:add' is no App but a function; if it makes one, write d_two:add()"),
        ("d_two:add()", "cannot be called: TypeError"),
        ("d_two:number", "is no App but a int. Apps in it: app1, app2"),
        ("d_two", "has several apps; name one: d_two:app1, d_two:app2"),
        ("d_two.py:app1", "names a file; name the module, as in -A d_two:app1"),
        ("./sub/d_two.py", "as in -A sub.d_two"),
        ("d_none", "has no App"),
        ("d_needs", "No module named 'd_absent'"),
        ("d_syntax", "SyntaxError"),
        ("d_exits", "SystemExit: 3"),
    ],
)
def test_an_error_says_what_is_wrong_and_what_is_there(
    modules: Path, spec: str, words: str
) -> None:
    two = "from rqueue import App\napp1 = App()\napp2 = App()\nnumber = 3\ndef add(a): ...\n"
    write(modules, "d_two.py", two)
    write(modules, "d_none.py", "x = 1\n")
    write(modules, "d_needs.py", "import d_absent\n")
    write(modules, "d_syntax.py", "def (\n")
    write(modules, "d_exits.py", "raise SystemExit(3)\n")

    assert words in refusal(spec)


def test_of_several_apps_the_one_named_app_is_taken(modules: Path) -> None:
    write(modules, "d_both.py", f"{ONE}other = App()\n")

    assert find_app("d_both").app is load("d_both:app")


def test_what_fails_within_rqueue_is_told_by_the_line_that_called_it(modules: Path) -> None:
    write(modules, "d_wrong.py", "from rqueue import App\n\napp = App(max_payload=0)\n")

    said = refusal("d_wrong")

    assert "max_payload" in said
    assert said.endswith(f"(at {modules / 'd_wrong.py'}:3)")


def test_one_app_under_two_names_is_one_app(modules: Path) -> None:
    write(modules, "d_alias.py", "from rqueue import App\nmine = App()\nalso = mine\n")

    find_app("d_alias")

    assert load("d_alias") is load("d_alias:also")
