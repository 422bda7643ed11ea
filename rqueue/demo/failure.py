"""The demo's own exception."""

from __future__ import annotations


class DemoFailed(Exception):
    """The demo cannot go on; the text is for its reader.

    Args:
        message: what went wrong, and what to do about it where there is something.
        exit_code: what the command ends with.
    """

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
