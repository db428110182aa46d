"""Conflicts as an agent has them: those about its own states and claims, and ruling while it is asked to."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from core.agent_model import Actor, Agent
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, to_text
from core.agentfs.readable import without_secrets
from core.conflicts.arbitration import Arbitration, SideLabel, is_change
from core.conflicts.asking import require_asked
from core.conflicts.merging.decisions import Choice
from core.conflicts.records import ConflictStatus
from core.conflicts.service import ConflictService
from core.conflicts.summaries import ConflictSummary, Moved
from core.errors import AccessDenied, BailiwickError, InvalidInput
from core.serving.tool_answers import ConflictLine, ConflictSide, Ruled

LONGEST_SIDE = 1200


class Take(StrEnum):
    LOCAL = Choice.LOCAL.value
    REMOTE = Choice.REMOTE.value
    BASE = Choice.BASE.value
    BOTH = "both"


_CHOICES = {
    Take.LOCAL: Choice.LOCAL,
    Take.REMOTE: Choice.REMOTE,
    Take.BASE: Choice.BASE,
    Take.BOTH: Choice.BOTH_REMOTE_FIRST,
}


class AgentConflicts:
    """Safe from any thread."""

    def __init__(self, agentfs: AgentFS, service: ConflictService) -> None:
        self._agentfs = agentfs
        self._service = service

    def all(self, agent: Agent, by: Actor, limit: int) -> tuple[ConflictLine, ...]:
        """The open conflicts about what is the agent's own, and those that it is asked to rule on, the oldest first.

        Raises AccessDenied where it showed no key.
        """
        _require_key(by)
        moment = now()
        found: list[ConflictLine] = []
        for each in self._service.all(ConflictStatus.OPEN):
            asked = each.asked
            may_rule = asked is not None and asked.agent == agent.name and asked.until > moment and not each.reserved
            if (agent.id in each.agents or may_rule) and len(found) < limit:
                found.append(self._line(each, by, rule_until=to_text(asked.until) if asked and may_rule else ""))
        return tuple(found)

    def rule(self, identifier: str, take: Take, why: str, agent: Agent, by: Actor) -> Ruled:
        """Take a side at everything that no rule decided, as the supervisor agent that was asked to.

        Raises InvalidInput where it is not asked, its time is over, the person alone decides, or no reason is given.
        """
        _require_key(by)
        require_asked(self._service.record(identifier), agent, now())
        if not (reason := " ".join(without_secrets(why).split())):
            raise InvalidInput("A ruling needs a reason.", "Say why in a sentence.")
        arbitration = self._service.open(identifier)
        numbers = [n for n, each in enumerate(arbitration.decisions) if is_change(each) and not each.auto]
        applied = self._service.apply(arbitration.choose(numbers, _CHOICES[take]), by=by, why=reason)
        if isinstance(applied, Moved):
            raise InvalidInput("A side was changed at the same moment.", "Look at it again with `conflicts`.")
        return Ruled(applied.id, applied.outcome.took.value, applied.changed)

    def _line(self, summary: ConflictSummary, by: Actor, *, rule_until: str) -> ConflictLine:
        place = summary.path.partition("/state/")[2] or summary.path.partition("/")[2] or summary.path
        sides: tuple[ConflictSide, ...] = ()
        if not summary.is_sealed:
            try:
                sides = tuple(_sides(self._service.open(summary.id)))
            except BailiwickError:
                # It cannot be opened now; that it is there is told all the same.
                sides = ()
        if sides and rule_until:
            self._agentfs.audit.record(by, "conflict.show", summary.id, {"asked": True})
        return ConflictLine(
            summary.id,
            place,
            summary.kind,
            to_text(summary.opened_at),
            sides,
            reserved=summary.reserved,
            sealed=summary.is_sealed,
            rule_until=rule_until,
        )


def _sides(arbitration: Arbitration) -> Iterator[ConflictSide]:
    labels: tuple[SideLabel | None, ...] = (arbitration.base, arbitration.local, arbitration.remote)
    for label, content in zip(labels, arbitration.versions, strict=True):
        if label is not None and (content is not None or label.name != "base"):
            yield ConflictSide(label.name, label.who, _shown(content), stands=label.stands)


def _shown(content: bytes | None) -> str | None:
    if content is None:
        return None
    text = content.decode("utf-8", "replace")
    return text if len(text) <= LONGEST_SIDE else f"{text[:LONGEST_SIDE]}… ({len(text):,} characters)"


def _require_key(by: Actor) -> None:
    if not by.verified:
        raise AccessDenied("The agent showed no key: conflicts are not shown to it.", "Show it.")
