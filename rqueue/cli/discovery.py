"""Finding the app: by its name, by the nearest pyproject.toml, or in the usual files."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from rqueue.app import App
from rqueue.errors import ConfigError
from rqueue.suggestion import did_you_mean

FILES = ("app.py", "main.py", "tasks.py", "worker.py")
"""Looked at in the current folder when nothing names an app."""

_FRAMES_SHOWN = 3
_OURS = str(Path(__file__).parents[1])


class AppNotFound(ConfigError):
    """No app; says what was tried.

    Attributes:
        is_absent: nothing was there to be tried, as opposed to something broken.
    """

    def __init__(self, message: str, *, is_absent: bool = False) -> None:
        super().__init__(message)
        self.is_absent = is_absent


@dataclass(frozen=True)
class Found:
    """An app, and the name that finds it again from the same folder."""

    app: App
    spec: str

    @property
    def has_code(self) -> bool:
        """Whether the app was found, as opposed to made for want of one."""
        return bool(self.spec)


def find_app(spec: str | None) -> Found:
    """The app that is named, or else the one that is there.

    Raises:
        AppNotFound: there is none, or more than one; every place that was tried is named.
    """
    _put_on_path(Path.cwd())
    if spec:
        return Found(load(spec), spec)
    tried = ["-A/--app and RQUEUE_APP: not given"]
    spec = _configured(tried)
    if spec:
        return Found(load(spec), spec)
    is_absent = True
    for name in FILES:
        try:
            found = _in_file(Path(name))
        except AppNotFound as error:
            tried.append(f"{name}: {error}")
            is_absent = is_absent and error.is_absent
        else:
            return found
    places = "\n".join(f"  {place}" for place in tried)
    raise AppNotFound(
        f"no app was found. Tried, in this order:\n{places}\n"
        "Name it with -A module:attr, such as -A tasks:app",
        is_absent=is_absent,
    )


def load(spec: str) -> App:
    """The app that ``module:attr``, ``module:factory()`` or ``module`` names.

    Raises:
        AppNotFound: it names none; says what is there instead.
    """
    module_name, _, path = spec.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        right = f"{dotted}:{path}" if path else dotted
        raise AppNotFound(f"{spec!r} names a file; name the module, as in -A {right}")
    module = _import(module_name)
    if not path:
        return _only_app(module)
    is_factory = path.endswith("()")
    found = _attribute(module, path.removesuffix("()"))
    if is_factory:
        found = _made(spec, found)
    if isinstance(found, App):
        return found
    kind = type(cast("object", found)).__name__
    hint = f"; if it makes one, write {spec}()" if callable(found) and not is_factory else ""
    raise AppNotFound(f"{spec!r} is no App but a {kind}{hint}.{_apps_hint(module)}")


def _in_file(file: Path) -> Found:
    """The app in a file of the current folder; one that does not speak of rqueue is not run."""
    if not file.is_file():
        raise AppNotFound("not there", is_absent=True)
    if "rqueue" not in file.read_text(encoding="utf-8", errors="replace"):
        raise AppNotFound("does not use rqueue", is_absent=True)
    module = _import(file.stem)
    return Found(_only_app(module), _spec_of(module))


def _configured(tried: list[str]) -> str | None:
    """``[tool.rqueue] app`` of the nearest pyproject.toml, whose folder can then be imported."""
    import tomllib

    here = Path.cwd()
    for folder in (here, *here.parents):
        file = folder / "pyproject.toml"
        if not file.is_file():
            continue
        try:
            settings: Any = tomllib.loads(file.read_text(encoding="utf-8"))
            spec = settings.get("tool", {}).get("rqueue", {}).get("app")
        except (ValueError, AttributeError) as error:
            tried.append(f"{file}: cannot be read: {error}")
            return None
        if isinstance(spec, str):
            _put_on_path(folder)
            return spec
        tried.append(f"{file}: has no [tool.rqueue] app")
        return None
    tried.append("pyproject.toml: not there")
    return None


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise AppNotFound(
                f"there is no module {error.name!r} on sys.path, which begins with "
                f"{sys.path[0]!r}{_module_hint(name)}"
            ) from None
        raise _broken(name, error) from error
    except (Exception, SystemExit) as error:
        raise _broken(name, error) from error


def _broken(name: str, error: BaseException) -> AppNotFound:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and not frame.filename.startswith(_OURS)
    ]
    where = " -> ".join(f"{frame.filename}:{frame.lineno}" for frame in frames[-_FRAMES_SHOWN:])
    if isinstance(error, SyntaxError):
        where = f"{error.filename}:{error.lineno}"
    what = "".join(traceback.format_exception_only(error)[-1:]).strip()
    return AppNotFound(f"module {name!r} cannot be imported: {what} (at {where or name})")


def _module_hint(name: str) -> str:
    return did_you_mean(name, (path.stem for path in Path.cwd().glob("*.py")))


def _attribute(module: ModuleType, path: str) -> Any:
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            hint = did_you_mean(part, dir(found), ".")
            raise AppNotFound(f"{module.__name__!r} has no {path!r}{hint}{_apps_hint(module)}")
        found = getattr(found, part)
    return found


def _made(spec: str, factory: Callable[[], Any]) -> Any:
    try:
        return factory()
    except Exception as error:
        what = f"{type(error).__name__}: {error}"
        raise AppNotFound(f"{spec!r} cannot be called: {what}") from error


def _only_app(module: ModuleType) -> App:
    apps = _apps(module)
    if "app" in apps:
        return apps["app"]
    if len({id(app) for app in apps.values()}) == 1:
        return next(iter(apps.values()))
    if not apps:
        raise AppNotFound(f"module {module.__name__!r} has no App")
    choices = ", ".join(f"{module.__name__}:{name}" for name in apps)
    raise AppNotFound(f"module {module.__name__!r} has several apps; name one: {choices}")


def _spec_of(module: ModuleType) -> str:
    app = _only_app(module)
    name = next(name for name, one in _apps(module).items() if one is app)
    return f"{module.__name__}:{name}"


def _apps(module: ModuleType) -> dict[str, App]:
    return {name: value for name, value in vars(module).items() if isinstance(value, App)}


def _apps_hint(module: ModuleType) -> str:
    apps = _apps(module)
    return f" Apps in it: {', '.join(apps)}." if apps else ""


def _put_on_path(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
