"""What the boundaries come to: who would get an item and why, what each pattern catches, who was refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from core.agent_model import ActorKind, AuditFilters
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.agentfs.shares import ShareRecord
from core.disclosure.finding import (
    agent_audience,
    audience_name,
    audience_text,
    display_path,
    find_item,
    find_receiver,
)
from core.model import Item, Kind, Sensitivity
from core.privacy import (
    Action,
    Audience,
    Considered,
    Decision,
    PatternReport,
    PrivacyRules,
    Purpose,
    decide,
    explain,
    report,
)

_PAGE = 500
PATHS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """What one audience gets of an item, and every rule that had a say.

    ``name`` is what a person calls the audience, ``text`` what ``find_receiver`` understands as it.
    """

    audience: Audience
    name: str
    text: str
    decision: Decision
    considered: tuple[Considered, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """One item with who gets it in which form; ``path`` has its agent's name."""

    item: Item
    path: str
    shares: tuple[ShareRecord, ...]
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """The boundaries, what each pattern catches here, and how many items are sensitive because of what."""

    rules: PrivacyRules
    patterns: tuple[PatternReport, ...]
    items: int
    sensitive: Counter[Sensitivity]
    sealed: int
    shares: tuple[ShareRecord, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What an audience would get today: how many items in which form, and the first of those it gets."""

    name: str
    text: str
    counts: Counter[Action]
    first: tuple[tuple[Item, Decision], ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal of the audit trail; ``path`` is empty when the item is not here any more."""

    at: datetime
    who: str
    verified: bool
    path: str
    operation: str
    rule: str
    reason: str
    peer: str


def explanation(agentfs: AgentFS, target: str, audience: str = "") -> Explanation:
    """Who gets the item that ``target`` names: everyone who could, or the ``audience`` named as for ``find_receiver``.

    Raises NotFound, and InvalidInput for an audience that is none.
    """
    return explained(agentfs, find_item(agentfs, target), audience)


def explained(agentfs: AgentFS, item: Item, audience: str = "") -> Explanation:
    """As ``explanation``, of an item at hand."""
    subject = agentfs.permissions.subject(item)
    rules = agentfs.guard.rules
    answers = []
    for whom, purpose in [find_receiver(agentfs, audience)] if audience else audiences(agentfs):
        considered = explain(rules, subject, whom, purpose)
        decision = decide(rules, subject, whom, purpose)
        text = audience_text(agentfs, whom.kind, whom.name)
        answers.append(Answer(whom, _name(agentfs, whom), text, decision, considered))
    return Explanation(item, display_path(agentfs, item), tuple(agentfs.shares.of(item.id)), tuple(answers))


def audiences(agentfs: AgentFS) -> list[tuple[Audience, Purpose]]:
    """Everyone who could get something here, the narrowest first, each with the purpose it would be for."""
    agents = [(agent_audience(agentfs, each.agent), Purpose.ANSWER) for each in agentfs.agents.all()]
    teams = [(Audience.team(name, member=True), Purpose.SYNC) for name in sorted(agentfs.guard.settings.teams)]
    return [
        (Audience.own_devices(), Purpose.SYNC),
        *agents,
        *teams,
        (Audience.public(), Purpose.PUSH),
        (Audience.log(), Purpose.LOG),
    ]


def rules_report(agentfs: AgentFS) -> Rules:
    """The boundaries and what they catch. Reads every path."""
    with translated(agentfs.database.path):
        connection = agentfs.database.connection()
        paths = [row["path"] for row in connection.execute("SELECT path FROM items WHERE deleted = 0 ORDER BY path")]
    rules, counted = agentfs.guard.rules, agentfs.items.counts()
    return Rules(
        rules,
        report(rules, paths),
        len(paths),
        counted.sensitive,
        counted.sealed,
        tuple(agentfs.shares.all()),
    )


def preview(
    agentfs: AgentFS, audience: Audience, purpose: Purpose, should_stop: Callable[[], bool] = lambda: False
) -> Preview:
    """What ``audience`` would get of everything here; ends early when ``should_stop`` says so."""
    counts: Counter[Action] = Counter()
    first: list[tuple[Item, Decision]] = []
    rules = agentfs.guard.rules
    for item in _living(agentfs):
        if should_stop():
            break
        decision = decide(rules, agentfs.permissions.subject(item), audience, purpose)
        counts[decision.action] += 1
        if decision.action is not Action.REFUSE and len(first) < PATHS_SHOWN:
            first.append((item, decision))
    shown = tuple(sorted(first, key=lambda each: each[0].path))
    return Preview(_name(agentfs, audience), audience_text(agentfs, audience.kind, audience.name), counts, shown)


def refusals(agentfs: AgentFS, limit: int = 200) -> list[Refusal]:
    """The newest refusals, the newest first."""
    positions = list(agentfs.audit.matching(AuditFilters(action="access.deny")))[-limit:]
    names = {each.agent.id: each.agent.name for each in agentfs.agents.all(retired=True)}
    found = []
    for record in reversed(agentfs.audit.at(positions)):
        item = agentfs.items.get(record.subject) if record.subject else None
        who = names.get(record.actor, record.actor) if record.actor_kind is ActorKind.AGENT else record.actor
        told = {name: str(record.details.get(name, "")) for name in ("operation", "rule", "reason", "peer")}
        path = display_path(agentfs, item) if item is not None else ""
        found.append(Refusal(record.at, who, record.verified, path, **told))
    return found


def _living(agentfs: AgentFS) -> Iterator[Item]:
    position = 0
    while page := agentfs.items.changes_since(position, _PAGE):
        yield from (item for item in page if not item.deleted and item.kind is not Kind.SESSION)
        position = page[-1].position


def _name(agentfs: AgentFS, audience: Audience) -> str:
    return audience_name(agentfs, audience.kind, audience.name)
