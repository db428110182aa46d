"""What comes from a log: one path's newest operation, what is wanted of it, and what was made of it all."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.sync.commit import Operation
from core.sync.origin import Origin

PUBLISHED = "library"
"""The kind of the operations that tell of files of published libraries."""


@dataclass(slots=True)
class Pulled:
    """What pulling did. ``own`` are the ids of this device's commits that were read back; ``problems`` sentences.

    ``lacking`` says by its path why something that the log tells of is not here.
    """

    commits: int = 0
    own: set[str] = field(default_factory=set)
    received: int = 0
    conflicts: int = 0
    problems: list[str] = field(default_factory=list)
    lacking: dict[str, str] = field(default_factory=dict)

    def ended(self) -> Pulled:
        """This, with a problem for everything that is lacking still."""
        self.problems += [f"{path}: {why}" for path, why in sorted(self.lacking.items())]
        self.lacking.clear()
        return self


@dataclass(frozen=True, slots=True)
class Incoming:
    """The newest operation of one path, where it came from, and the version that an edit here is an edit of."""

    operation: Operation
    origin: Origin
    seq: int
    own: bool
    base: str | None


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What content moves by itself: all of it, or only what is at most so many bytes.

    ``at_most`` bounds what comes, of what is not here yet; ``sends_at_most`` what goes.
    """

    at_most: int | None = None
    sends_at_most: int | None = None

    def sends(self, size: int) -> bool:
        """Whether content of ``size`` bytes is sent now."""
        return self.sends_at_most is None or size <= self.sends_at_most

    def takes(self, incoming: Incoming) -> bool:
        """Whether content that is not here yet is fetched now."""
        return self.at_most is None or incoming.operation.size <= self.at_most


EVERYTHING = FetchPolicy()
