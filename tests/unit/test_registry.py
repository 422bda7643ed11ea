"""Registry: tasks by name."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from rqueue.app import App
from rqueue.errors import ConfigError, UnknownTask


@pytest.fixture
def app() -> App:
    app = App()

    @app.task
    async def send_email() -> None:
        """Never run."""

    @app.task(name="reports.build")
    def build() -> None:
        """Never run."""

    return app


def test_a_task_is_found_by_its_name(app: App) -> None:
    assert (app.tasks.has("send_email"), app.tasks.has("build")) == (True, False)
    assert app.tasks.get("reports.build").fn.__name__ == "build"
    assert app.tasks.names() == ["reports.build", "send_email"]
    assert [task.name for task in app.tasks] == app.tasks.names()
    assert len(app.tasks) == 2


def test_a_name_that_is_nearly_right_is_recognized(app: App) -> None:
    with pytest.raises(UnknownTask, match=r"no task is named 'send_mail'. Did you mean send_email"):
        app.tasks.get("send_mail")


def test_a_name_that_is_not_even_nearly_right_is_no_guess(app: App) -> None:
    with pytest.raises(UnknownTask) as refused:
        app.tasks.get("zzz")

    assert "Did you mean" not in str(refused.value)
    assert "imports=" in str(refused.value)


def test_two_functions_cannot_have_one_name(app: App) -> None:
    with pytest.raises(ConfigError, match=r"two tasks are named 'send_email': .* and .*Give one"):

        @app.task(name="send_email")
        async def other() -> None:
            """Never run."""


def test_a_function_that_is_declared_again_replaces_itself(app: App) -> None:
    def declare(queue: str) -> None:
        @app.task(queue=queue)
        async def report() -> None:
            """Never run."""

    declare("a")
    declare("b")

    assert app.tasks.get("report").declared.queue == "b"


def test_a_task_keeps_the_docstring_of_its_function(app: App) -> None:
    assert app.tasks.get("send_email").__doc__ == "Never run."
    assert repr(app.tasks.get("send_email")) == "<Task send_email queue=default>"


@pytest.mark.parametrize("what", [functools.partial(print, 1), print, str, 7, "send", lambda: 1])
def test_what_is_no_named_function_of_python_is_refused_by_name(app: App, what: Any) -> None:
    with pytest.raises(ConfigError):
        app.task(what)


def test_a_module_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(ConfigError, match=r"App\(imports=\['no.such.module'\]\)"):
        App(imports=["no.such.module"]).load()


def test_a_remote_task_is_the_declared_one_if_it_is_here(app: App) -> None:
    assert app.remote("send_email") is app.tasks.get("send_email")
    assert app.remote("elsewhere", queue="mail").declared.queue == "mail"
    assert not app.tasks.has("elsewhere")


@pytest.mark.parametrize("wrong", [("no spaces", "default"), ("ok", "a}{b")])
def test_a_remote_task_has_checked_names(app: App, wrong: Any) -> None:
    with pytest.raises(ConfigError):
        app.remote(*wrong)
