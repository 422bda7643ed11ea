"""Who of a process looks at the leases of which queue: a worker's looks serve its scheduler too."""

from __future__ import annotations

import os
from weakref import WeakKeyDictionary

Post = tuple[object, str, int]
"""Who, which queue, in which process: after a fork nobody stands there any more."""


class Lookout:
    """What the workers and schedulers of one app tell each other. Threads may share it."""

    def __init__(self) -> None:
        self._watched: dict[Post, float] = {}
        self._served: dict[Post, None] = {}

    def watch(self, who: object, queue: str, every_s: float) -> None:
        """A worker looks at the leases of a queue, about so often."""
        self._watched[who, queue, os.getpid()] = every_s

    def serve(self, who: object, queue: str) -> None:
        """A scheduler answers for a queue: whoever looks at it acts at once."""
        self._served[who, queue, os.getpid()] = None

    def leave(self, who: object) -> None:
        """Neither any more."""
        for posts in (self._watched, self._served):
            for post in [post for post in list(posts) if post[0] is who]:
                del posts[post]

    def is_watched(self, queue: str, every_s: float) -> bool:
        """Whether a worker of this process looks at a queue at least so often."""
        pid, posts = os.getpid(), list(self._watched.items())
        return any(post[1:] == (queue, pid) and often <= every_s for post, often in posts)

    def is_served(self, queue: str) -> bool:
        """Whether a scheduler of this process answers for a queue."""
        pid = os.getpid()
        return any(post[1:] == (queue, pid) for post in list(self._served))


_LOOKOUTS: WeakKeyDictionary[object, Lookout] = WeakKeyDictionary()


def lookout_of(app: object) -> Lookout:
    """The one of this app."""
    return _LOOKOUTS.setdefault(app, Lookout())
