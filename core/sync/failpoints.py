"""Named points between two steps at which a test lets the process die; elsewhere they cost one comparison.

``BAILIWICK_FAILPOINT=NAME:COUNT`` ends the process without ceremony when NAME is reached for the COUNTth time.
"""

from __future__ import annotations

import os
from collections.abc import Callable

VARIABLE = "BAILIWICK_FAILPOINT"


class _ExitAt:
    def __init__(self, told: str) -> None:
        self.name, _, count = told.partition(":")
        self.left = int(count or 1)

    def __call__(self, name: str) -> None:
        if name == self.name:
            self.left -= 1
            if self.left == 0:
                os._exit(86)


on_reached: Callable[[str], None] | None = _ExitAt(os.environ[VARIABLE]) if VARIABLE in os.environ else None
"""What a test has called with the name of each point that is reached; what it raises goes through."""


def reached(name: str) -> None:
    """This point was reached."""
    if on_reached is not None:
        on_reached(name)
