"""From the options of a command to an app that talks to the right Redis."""

from __future__ import annotations

import msgspec

from rqueue.app import App
from rqueue.cli.discovery import AppNotFound, Found, find_app
from rqueue.cli.options import Target
from rqueue.cli.output import note

_RETRY_S = 2.0


def app_with_code(target: Target) -> Found:
    """The app with its tasks, for commands that run them.

    Raises:
        ConfigError: there is none, or one of its modules cannot be imported.
    """
    found = find_app(target.app)
    found.app.use(url=target.url, namespace=target.namespace)
    found.app.load()
    return found


def app_for_questions(target: Target) -> App:
    """An app to ask Redis with. Code is needed only to learn what the options do not say.

    Raises:
        ConfigError: the app that was named, or is needed for its URL, cannot be had.
    """
    return _impatient(_aimed(_found_or_made(target), target).app)


def app_to_send(target: Target, *, is_by_name: bool) -> Found:
    """An app to send jobs with: with its tasks if its code is there, else with none.

    Here the code is wanted even if all the options are given: only the task knows its queue.

    Raises:
        ConfigError: the app that was named, or that is there, cannot be had.
    """
    if is_by_name:
        return Found(app_for_questions(target), "")
    try:
        found = app_with_code(target)
    except AppNotFound as error:
        if target.app is not None or not error.is_absent:
            raise
        return Found(app_for_questions(target), "")
    _impatient(found.app)
    return found


def _impatient(app: App) -> App:
    # Somebody waits at a terminal: what is not there within seconds is not there.
    app.store = msgspec.structs.replace(app.store, retry_s=_RETRY_S)
    return app


def app_to_serve(target: Target) -> Found:
    """An app for a scheduler: the one that is found, with all its modules, or one without code.

    It needs no task, but it declares the schedules in the code, and would take away those of a
    module that is not imported.

    Raises:
        ConfigError: the app that was named, or is needed for its URL, cannot be had, or one of its
            modules cannot be imported.
    """
    try:
        found = find_app(target.app)
        found.app.load()
    except AppNotFound as error:
        if target.app is not None or not (error.is_absent or target.url):
            raise
        if not error.is_absent:
            note(f"Note: no schedules are declared and the namespace is not read, because {error}")
        found = Found(App(), "")
    return _aimed(found, target)


def _aimed(found: Found, target: Target) -> Found:
    found.app.use(url=target.url, namespace=target.namespace)
    return found


def _found_or_made(target: Target) -> Found:
    made = Found(App(), "")
    if target.app is None and target.url and target.namespace:
        return made
    try:
        return find_app(target.app)
    except AppNotFound as error:
        if target.app is None and error.is_absent:
            return made
        if target.app is None and target.url:
            note(f"Note: the namespace is 'rqueue', because {error}")
            return made
        raise
