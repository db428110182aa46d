"""Sharing single items, taking that back, and opting out of what is shared by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.agent_model import Actor, ActorKind, Admission
from core.agentfs.agentfs import AgentFS
from core.disclosure.finding import audience_name, find_audience, find_item
from core.errors import AccessDenied, InvalidInput
from core.model import Item
from core.privacy import EVERY_TEAM, Action, Audience, AudienceKind, Decision, Purpose, Share, decide


@dataclass(frozen=True, slots=True)
class Shared:
    """What sharing did, or with ``dry_run`` would do: in which form ``audience`` gets the item from now on."""

    item: Item
    audience: str
    decision: Decision
    changed: bool
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Unshared:
    """What unsharing did: who lost it, and the teams it is kept from, since its kind is shared by itself."""

    item: Item
    removed: tuple[str, ...]
    opted_out: tuple[str, ...]


def share(
    agentfs: AgentFS, target: str, audience: str, *, by: Actor, in_full: bool = False, dry_run: bool = False
) -> Shared:
    """Share an item with ``team:NAME``, ``agent:NAME`` or ``public``.

    What the owner opted out of before holds no longer for that team, and for the public not at all. Raises
    InvalidInput, with the rule, when the rules would refuse it all the same (then nothing is noted), and for an agent
    that is retired; AccessDenied when ``by`` is not its owner, or an agent that would undo what another opted out of;
    NotFound.
    """
    item, whom = find_item(agentfs, target), find_audience(agentfs, audience)
    _require_owner(agentfs, item, by)
    subject = agentfs.permissions.subject(item)
    wanted = Share(whom.kind, whom.name, in_full)
    if whom.kind is AudienceKind.AGENT and agentfs.agents.get(whom.name).admission is Admission.RETIRED:
        raise InvalidInput(f"{agentfs.agents.get(whom.name).name} is retired: it reads nothing any more.")
    lifted = _lifted(agentfs, item, whom, by)
    opt_outs = tuple(each for each in subject.opt_outs if each not in lifted)
    others = tuple(each for each in subject.shares if (each.audience, each.name) != (whom.kind, whom.name))
    decision = decide(
        agentfs.guard.rules, replace(subject, shares=(*others, wanted), opt_outs=opt_outs), whom, Purpose.SHARE
    )
    named = audience_name(agentfs, whom.kind, whom.name)
    if decision.action is Action.REFUSE:
        raise InvalidInput(
            f"This may not be shared with {named}. {decision.reason}",
            "`bailiwick privacy explain ITEM` shows every rule.",
            {"rule": decision.rule},
        )
    changed = not dry_run and agentfs.shares.put(
        item.id, whom.kind.value, whom.name, by=by, in_full=in_full, lifted=lifted
    )
    return Shared(item, named, decision, changed, dry_run)


def _lifted(agentfs: AgentFS, item: Item, whom: Audience, by: Actor) -> tuple[str, ...]:
    """The teams whose opt-outs sharing with ``whom`` ends: that from every team stays, the named one is excepted."""
    if whom.kind is AudienceKind.AGENT:
        return ()
    kept = [each for each in agentfs.shares.of(item.id) if each.opted_out]
    if whom.kind is AudienceKind.TEAM:
        kept = [each for each in kept if each.name in (whom.name, EVERY_TEAM)]
    if by.kind is ActorKind.AGENT and any(each.shared_by != by.id for each in kept):
        raise AccessDenied(
            "Its owner opted out of sharing it so, and only its owner takes that back.",
            f"{item.owner} may share it.",
            {"reason": "Private resource"},
        )
    public = whom.kind is AudienceKind.PUBLIC
    return tuple(each.name for each in kept if public or each.name != EVERY_TEAM)


def unshare(agentfs: AgentFS, target: str, audience: str = "", *, by: Actor) -> Unshared:
    """Take back what was shared, with one audience or with all, and opt out of what is shared by itself.

    Raises AccessDenied when ``by`` is not its owner, NotFound, and InvalidInput when there is nothing to take back.
    """
    item = find_item(agentfs, target)
    _require_owner(agentfs, item, by)
    whom = find_audience(agentfs, audience) if audience else None
    kind, name = (whom.kind.value, whom.name) if whom is not None else ("", "")
    present = [each for each in agentfs.shares.of(item.id) if not each.opted_out]
    removed = tuple(
        audience_name(agentfs, each.audience, each.name)
        for each in present
        if not kind or (each.audience, each.name) == (kind, name)
    )
    agentfs.shares.remove(item.id, kind, name, by=by)
    opted_out = _opt_out(agentfs, item, whom, by)
    if not removed and not opted_out:
        raise InvalidInput("This is not shared so.", "`bailiwick privacy explain ITEM` shows who gets it.")
    return Unshared(item, removed, opted_out)


def _opt_out(agentfs: AgentFS, item: Item, whom: Audience | None, by: Actor) -> tuple[str, ...]:
    """Keep the item from the teams that would get it by themselves; answers their names."""
    if whom is not None and whom.kind is not AudienceKind.TEAM:
        return ()
    team = whom.name if whom is not None else EVERY_TEAM
    asked = Audience.team(team, member=True)
    if decide(agentfs.guard.rules, agentfs.permissions.subject(item), asked, Purpose.SHARE).action is Action.REFUSE:
        return ()
    agentfs.shares.put(item.id, AudienceKind.TEAM.value, team, by=by, opted_out=True)
    return (audience_name(agentfs, AudienceKind.TEAM, team),)


def _require_owner(agentfs: AgentFS, item: Item, by: Actor) -> None:
    if by.kind is ActorKind.PERSON and by.id == item.owner:
        return
    if by.kind is ActorKind.AGENT and by.verified and by.id == item.agent_id:
        return
    raise AccessDenied(
        "Only its owner says who gets an item.", f"{item.owner} may share it.", {"reason": "Private resource"}
    )
