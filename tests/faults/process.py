"""A process of a scenario as its stage sees it: started, killed, frozen, told to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.faults.stage import Stage

ROOT = Path(__file__).parents[2]


class Actor:
    """One process of ours."""

    def __init__(self, stage: Stage, told: dict[str, Any], env: dict[str, str]) -> None:
        self.name: str = told["name"]
        self.role: str = told["role"]
        self._told = told
        self._env = env
        self._stage = stage
        self.log = stage.folder / f"{self.name}.log"
        module = told.pop("module", "tests.faults.actor")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, json.dumps(told)],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **env},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self.is_frozen = False
        self.is_told_to_end = False
        self.is_replaced = False
        self.settings: dict[str, Any] = {}

    @property
    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def ready(self) -> Self:
        """Wait until it works."""

        def look() -> Any:
            has_ended = self.has_ended  # first: a short life may end between the two
            return self._stage.history.of("ready", name=self.name) or has_ended

        found = self._stage.until(look)
        assert found is not True, f"{self.name} ended: {self.log.read_text()[-2000:]}"
        return self

    def kill(self) -> None:
        self.is_replaced = True
        self._stage.history.write("killed", name=self.name)
        self.process.kill()
        self.process.wait()

    def freeze(self) -> None:
        self.is_frozen = True
        self._stage.history.write("frozen", name=self.name)
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._stage.history.write("thawed", name=self.name)
        self.process.send_signal(signal.SIGCONT)
        self.is_frozen = False

    def ask_to_end(self) -> None:
        self.is_told_to_end = True
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds: float = 30) -> int:
        return self.process.wait(seconds)
