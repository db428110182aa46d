"""Finding conflicts by what a person calls them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.message_log import PERSON
from core.conflicts.drafts import versions_hash
from core.conflicts.records import ConflictStatus
from core.disclosure.finding import readable_path
from core.errors import InvalidInput
from core.model import Kind
from tui.commands.acting import Acting
from tui.commands.nouns import Opened, opened_agentfs
from tui.commands.options import Invocation

if TYPE_CHECKING:
    from core.conflicts.arbitration import Arbitration
    from core.conflicts.service import ConflictService
    from core.conflicts.summaries import ConflictSummary

KINDS = (*(each.value for each in Kind), "agent", "claim")


@dataclass(frozen=True, slots=True)
class Ruling:
    """The conflicts of one call."""

    opened: Opened
    service: ConflictService

    @property
    def agentfs(self) -> AgentFS:
        """Where they lie."""
        return self.opened.agentfs

    def person(self, acting: Acting) -> Actor:
        """The person, who alone rules here; raises InvalidInput where an agent would."""
        if acting.named not in ("", PERSON):
            raise InvalidInput("A ruling on the command line is yours, not an agent's.", "Say --as person.")
        return self.opened.person

    def find(self, text: str) -> str:
        """The id of the conflict that ``text`` names: the id or its beginning, or what the conflict is about.

        Raises NotFound, Locked, and InvalidInput where that names several.
        """
        about = [each for each in self.service.all() if text in names_of(self.agentfs, each.path)]
        found = [each for each in about if each.status is ConflictStatus.OPEN] or about
        if len(found) > 1:
            ids = " or ".join(each.id for each in found)
            raise InvalidInput(f"{text} names {len(found)} conflicts.", f"Say {ids}.")
        return found[0].id if found else self.service.record(text).id

    def matching(self, status: ConflictStatus | None, kind: str, pattern: str) -> list[ConflictSummary]:
        """Those of a status and kind whose path, as it is or as a person says it, matches a glob."""
        found = [each for each in self.service.all(status) if kind in ("", each.kind)]
        if not pattern:
            return found
        return [
            each
            for each in found
            if any(fnmatch.fnmatchcase(name, pattern) for name in names_of(self.agentfs, each.path))
        ]


@contextmanager
def ruling(invocation: Invocation) -> Iterator[Ruling]:
    """The conflicts of this call's workspace."""
    # Imported here: with it comes all of merging, which --help does not need.
    from core.conflicts.service import ConflictService

    with opened_agentfs(invocation) as opened:
        yield Ruling(opened, ConflictService(opened.agentfs, opened.settings.user.id))


def names_of(agentfs: AgentFS, path: str) -> tuple[str, ...]:
    """A path as it is, with its agent's name, and of a state as AGENT/KEY."""
    readable = readable_path(agentfs, path)
    agent, _, key = readable.removeprefix("agents/").partition("/state/")
    return (path, readable, f"{agent}/{key}") if key else (path, readable)


def expectation(shown: Arbitration) -> str:
    """What is the same as long as the three versions are: `resolve --expect` refuses where they are not."""
    return versions_hash(shown.versions)[:12]
