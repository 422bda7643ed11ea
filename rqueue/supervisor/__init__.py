"""The supervisor: keeps worker processes running, fences the dead, and tells how all fare."""

from __future__ import annotations

from rqueue.supervisor.child import ChildProcess
from rqueue.supervisor.supervisor import Supervisor, fence

__all__ = ["ChildProcess", "Supervisor", "fence"]
