"""What the privacy pane and its dialogs read and do; everything here runs beside the screen's thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from core.agent_model import AuditFilters
from tui.locking import read_status

if TYPE_CHECKING:
    from core.agent_model import Actor
    from core.agentfs.agentfs import AgentFS
    from core.agentfs.items import ItemCounts
    from core.agentfs.shares import ShareRecord
    from core.crypto.secret import Secret
    from core.crypto.workspace_keys import KeyStatus
    from core.disclosure.report import Preview, Refusal, Rules
    from core.model import Item
    from core.privacy import Audience, Decision, Purpose

MOST_REFUSALS = 500
STEP = 250
"""After so many items a preview tells how far it is."""


class Section(StrEnum):
    """The parts of the privacy pane."""

    RULES = "rules"
    LEAVES = "leaves"
    SHARED = "shared"
    REFUSALS = "refusals"


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The rules with what they catch, and how the keys stand; ``None`` where there are none.

    ``places`` names the files of the boundaries by their paths, ``names`` agents by their ids.
    """

    rules: Rules
    keys: KeyStatus | None
    places: Mapping[str, str]
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Receiver:
    """Somebody who could get something. ``text`` is what the doors understand as this audience.

    ``can_lose``: what it gets can be taken back from it.
    """

    audience: Audience
    purpose: Purpose
    name: str
    text: str
    can_lose: bool


@dataclass(frozen=True, slots=True)
class Leaving:
    """What would leave for ``receiver``; ``rows`` are the first items that it gets, with their paths for people."""

    receiver: Receiver
    preview: Preview
    rows: tuple[tuple[Item, Decision, str], ...]


@dataclass(frozen=True, slots=True)
class SharedItem:
    """One share or opt-out; ``receiver`` is what a person calls the audience, ``text`` what the doors understand."""

    record: ShareRecord
    path: str
    receiver: str
    text: str

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return f"{self.record.item_id}:{self.text}"


@dataclass(frozen=True, slots=True)
class Overview:
    """What the card tells; ``refusal`` is the newest."""

    counts: ItemCounts
    keys: KeyStatus | None
    refusal: Refusal | None


def read_boundaries(agentfs: AgentFS) -> Boundaries:
    """The rules and what they catch; reads every path."""
    from core.config import defaults_folder, user_config_folder
    from core.disclosure.report import rules_report
    from core.privacy import PRIVACY_FILE

    folders = {"defaults": defaults_folder(), "your file": user_config_folder(), "workspace": agentfs.root}
    places = {str(folder / PRIVACY_FILE): name for name, folder in folders.items()}
    names = {each.agent.id: each.agent.name for each in agentfs.agents.all(retired=True)}
    return Boundaries(rules_report(agentfs), read_status(agentfs), places, names)


def read_receivers(agentfs: AgentFS) -> tuple[Receiver, ...]:
    """Everyone who could get something, the narrowest first."""
    from core.disclosure.finding import audience_name, audience_text
    from core.disclosure.report import audiences
    from core.privacy import AudienceKind

    losing = (AudienceKind.AGENT, AudienceKind.TEAM, AudienceKind.PUBLIC)
    return tuple(
        Receiver(
            whom,
            purpose,
            audience_name(agentfs, whom.kind, whom.name),
            audience_text(agentfs, whom.kind, whom.name),
            whom.kind in losing,
        )
        for whom, purpose in audiences(agentfs)
    )


def read_leaving(
    agentfs: AgentFS, receiver: Receiver, progress: Callable[[int, int], object], should_stop: Callable[[], bool]
) -> Leaving:
    """What ``receiver`` would get of everything here; ``progress`` hears how many of how many were looked at."""
    from core.disclosure.finding import display_path
    from core.disclosure.report import preview

    total, seen = agentfs.items.counts().items, 0

    def stop() -> bool:
        nonlocal seen
        seen += 1
        if seen % STEP == 0:
            progress(seen, total)
        return should_stop()

    told = preview(agentfs, receiver.audience, receiver.purpose, stop)
    rows = tuple((item, decision, display_path(agentfs, item)) for item, decision in told.first)
    return Leaving(receiver, told, rows)


def read_shared(agentfs: AgentFS) -> tuple[SharedItem, ...]:
    """Every share and opt-out of a living item, the newest first."""
    from core.disclosure.finding import audience_name, audience_text, display_path

    found = []
    for record in agentfs.shares.all():
        item = agentfs.items.get(record.item_id)
        if item is not None and not item.deleted:
            found.append(
                SharedItem(
                    record,
                    display_path(agentfs, item),
                    audience_name(agentfs, record.audience, record.name),
                    audience_text(agentfs, record.audience, record.name),
                )
            )
    return tuple(found)


def read_refusals(agentfs: AgentFS) -> tuple[Refusal, ...]:
    """The newest refusals, the newest first."""
    from core.disclosure.report import refusals

    return tuple(refusals(agentfs, MOST_REFUSALS))


def read_overview(agentfs: AgentFS, before: Overview | None, since: int) -> tuple[Overview, int]:
    """What the card tells, and up to which audit position; ``before`` told all up to ``since``."""
    position = agentfs.audit.head()[0]
    newest = before.refusal if before is not None else None
    if before is None or "access" in agentfs.audit.nouns_since(since):
        newest = _newest_refusal(agentfs)
    return Overview(agentfs.items.counts(), read_status(agentfs), newest), position


def _newest_refusal(agentfs: AgentFS) -> Refusal | None:
    if not agentfs.audit.matching(AuditFilters(action="access.deny")):
        return None
    # Imported here: the rules of privacy take a megabyte, and most workspaces refuse nobody anything.
    from core.disclosure.report import refusals

    return next(iter(refusals(agentfs, 1)), None)


def take_back(agentfs: AgentFS, person: Actor, target: str, audience: str) -> None:
    """Unshare an item, or keep it from a team that gets it by itself."""
    from core.disclosure.sharing import unshare

    unshare(agentfs, target, audience, by=person)


def make_recovery_code(agentfs: AgentFS, person: Actor) -> Secret:
    """Make a recovery code for the workspace, which is kept nowhere; raises Locked."""
    from core.crypto.openers import add_recovery_code

    keys = agentfs.keys.keys
    slot, code = add_recovery_code(keys.slots, keys.identity)
    agentfs.audit.record(person, "keys.add", slot.id, {"kind": "recovery_code"})
    return code
