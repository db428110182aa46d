"""The one door's pure part: who may get an item, in which form, and the rule that says so.

Every rule says by itself how much it lets through for this item, audience and purpose; the most private answer wins,
and of equal answers the first rule is named. So a rule can never widen what another one narrowed, and adding a private
pattern, a secret or a more private level can only narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from core.model import Kind, Level
from core.privacy.boundaries import CONTROLLED_KINDS, PrivacyRules, Sharing, SharingControl
from core.privacy.findings import NOTHING_FOUND, Summary

EVERY_TEAM = "*"


class Action(StrEnum):
    """What may happen to the item: it leaves as it is, without secrets and personal data, only sealed, or not."""

    ALLOW = "allow"
    REDACT = "redact"
    SEAL = "seal"
    REFUSE = "refuse"


class Openness(IntEnum):
    """The order of the actions: the lower, the more private."""

    REFUSE = 0
    SEAL = 1
    REDACT = 2
    ALLOW = 3


class Purpose(StrEnum):
    """Why it would leave. ``sync`` publishes nothing; ``log`` never gets more than a log does."""

    SYNC = "sync"
    PUSH = "push"
    SHARE = "share"
    ANSWER = "answer"
    LOG = "log"


class AudienceKind(StrEnum):
    """Who would get it, from the narrowest to the widest, then the two that only hold words about items."""

    OWN_DEVICES = "own_devices"
    AGENT = "agent"
    TEAM = "team"
    PUBLIC = "public"
    LOG = "log"
    ERROR_MESSAGE = "error_message"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who would get it.

    ``name`` is the agent's or the team's; ``user`` the one an agent works for and ``teams`` those that user is in;
    ``member`` whether the receiver and the item's owner are both in the team. Use the class methods.
    """

    kind: AudienceKind
    name: str = ""
    user: str = ""
    member: bool = False
    teams: frozenset[str] = frozenset()

    @classmethod
    def own_devices(cls) -> Audience:
        """Other devices of the item's owner, which hold the owner's key."""
        return cls(AudienceKind.OWN_DEVICES)

    @classmethod
    def agent(cls, name: str, user: str, teams: frozenset[str] = frozenset()) -> Audience:
        """Agent ``name`` of this workspace, working for ``user``, who is in ``teams``."""
        return cls(AudienceKind.AGENT, name, user, teams=teams)

    @classmethod
    def team(cls, name: str, member: bool) -> Audience:
        """Somebody of team ``name``; ``member``: it is a team of the item's owner."""
        return cls(AudienceKind.TEAM, name, member=member)

    @classmethod
    def public(cls) -> Audience:
        """Everybody."""
        return cls(AudienceKind.PUBLIC)

    @classmethod
    def log(cls) -> Audience:
        """A log file, an event or a traceback of this machine."""
        return cls(AudienceKind.LOG)

    @classmethod
    def error_message(cls) -> Audience:
        """The text of an error that a person or a program gets to see."""
        return cls(AudienceKind.ERROR_MESSAGE)


@dataclass(frozen=True, slots=True)
class Share:
    """Its owner shared the item explicitly: with an agent, a team or the public (then ``name`` is empty).

    ``in_full`` asks for the whole item where its kind is anonymous by default; the control must allow it.
    """

    audience: AudienceKind
    name: str = ""
    in_full: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """An item as the door sees it: never its content.

    ``agent`` is the agent whose own it is, empty for what belongs to the user; ``findings`` sums up its classification;
    ``opt_outs`` are the teams its owner opted out of, ``*`` for every team but those it is shared with by name.
    ``critical`` is carried for those who show the decision: no rule of privacy depends on it.
    """

    path: str
    kind: Kind
    level: Level
    owner: str
    critical: bool = False
    agent: str = ""
    findings: Summary = NOTHING_FOUND
    shares: tuple[Share, ...] = ()
    opt_outs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer; ``rule`` is the name of the rule that decided, ``reason`` one sentence for a person."""

    action: Action
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Considered:
    """One rule with what it lets through by itself; ``decided`` marks the one that the decision names."""

    rule: str
    action: Action
    reason: str
    decided: bool = False


@dataclass(frozen=True, slots=True)
class _Case:
    rules: PrivacyRules
    item: Subject
    audience: Audience
    purpose: Purpose

    @property
    def is_own_device(self) -> bool:
        return self.audience.kind is AudienceKind.OWN_DEVICES

    @property
    def is_own_agent(self) -> bool:
        """The very agent the item belongs to, or for the user's own items any agent that works for the user."""
        who = self.audience
        if who.kind is not AudienceKind.AGENT or who.user != self.item.owner:
            return False
        return self.item.agent in ("", who.name)

    @property
    def works_for_owner(self) -> bool:
        """Any agent of the owner's: with it nothing leaves the owner's own hands."""
        return self.audience.kind is AudienceKind.AGENT and self.audience.user == self.item.owner

    @property
    def is_record(self) -> bool:
        return self.audience.kind in (AudienceKind.LOG, AudienceKind.ERROR_MESSAGE) or self.purpose is Purpose.LOG

    @property
    def shares(self) -> tuple[Share, ...]:
        """The explicit shares that include this audience: those with it and those with a wider one."""
        return tuple(share for share in self.item.shares if self._includes(share))

    @property
    def is_named_in_share(self) -> bool:
        """Whether it was shared with this very team: then that was said after an opt-out from every team."""
        return any(
            share.audience is self.audience.kind and share.name == self.audience.name for share in self.item.shares
        )

    def _includes(self, share: Share) -> bool:
        who = self.audience
        if share.audience is AudienceKind.PUBLIC:
            return who.kind in (AudienceKind.AGENT, AudienceKind.TEAM, AudienceKind.PUBLIC)
        if share.audience is AudienceKind.TEAM and who.kind is AudienceKind.AGENT:
            return share.name in who.teams
        if share.audience is AudienceKind.TEAM:
            return who.kind is AudienceKind.TEAM and who.name == share.name
        return share.audience is AudienceKind.AGENT is who.kind and who.name == share.name


Answer = tuple[Action, str]


def decide(rules: PrivacyRules, item: Subject, audience: Audience, purpose: Purpose) -> Decision:
    """What may happen to ``item`` for ``audience`` and ``purpose``, and the rule that decided. Pure and thread-safe."""
    deciding = next(each for each in explain(rules, item, audience, purpose) if each.decided)
    return Decision(deciding.action, deciding.rule, deciding.reason)


def explain(rules: PrivacyRules, item: Subject, audience: Audience, purpose: Purpose) -> tuple[Considered, ...]:
    """Every rule in the order of consideration, with what each lets through and the one that decided. Pure."""
    case = _Case(rules, item, audience, purpose)
    answers = [(name, *answer) for name, rule in _RULES if (answer := rule(case)) is not None]
    deciding = min(range(len(answers)), key=lambda place: Openness[answers[place][1].name])
    return tuple(
        Considered(name, action, reason, place == deciding) for place, (name, action, reason) in enumerate(answers)
    )


def _secret(case: _Case) -> Answer | None:
    if not case.item.findings.has_secret:
        return None
    return _sensitive(case, "A secret was found in its content")


def _pattern(case: _Case) -> Answer | None:
    matching = case.rules.matching_patterns(case.item.path)
    if not matching:
        return None
    origin = f" ({matching[0].origin})" if matching[0].origin else ""
    return _sensitive(case, f"Its path matches the private pattern {matching[0].text!r}{origin}")


def _sensitive(case: _Case, why: str) -> Answer:
    if case.is_own_device:
        return Action.SEAL, f"{why}: it leaves only sealed, to its owner's devices."
    if case.is_own_agent and case.item.agent:
        return Action.ALLOW, f"{why}, but it is this agent's own."
    return Action.REFUSE, f"{why}: nobody but its owner gets it."


def _opt_out(case: _Case) -> Answer | None:
    outs, who = case.item.opt_outs, case.audience
    if who.kind is AudienceKind.TEAM and (who.name in outs or (EVERY_TEAM in outs and not case.is_named_in_share)):
        return Action.REFUSE, f"Its owner opted out of sharing it with team {who.name}."
    if who.kind is AudienceKind.PUBLIC and outs:
        return Action.REFUSE, "Its owner opted out of sharing it with a team, so the public does not get it either."
    return None


def _level(case: _Case) -> Answer:
    level, who = case.item.level, case.audience
    if case.is_own_device:
        private = level is Level.PRIVATE
        return (
            (Action.SEAL, "It is private: it leaves only sealed.")
            if private
            else (Action.ALLOW, f"It is at level {level}.")
        )
    if who.kind in (AudienceKind.LOG, AudienceKind.ERROR_MESSAGE):
        return _record_of(level)
    if case.is_own_agent:
        return Action.ALLOW, "It is this agent's own." if case.item.agent else "The agent works for its owner."
    if case.shares:
        return Action.ALLOW, "Its owner shared it explicitly."
    if who.kind is AudienceKind.PUBLIC:
        return Action.REFUSE, "Nobody shared it with the public."
    if who.kind is AudienceKind.TEAM and not who.member:
        return Action.REFUSE, f"Team {who.name} is not its owner's, and it was not shared with it."
    if level is Level.PRIVATE:
        return Action.REFUSE, "It is private and was not shared."
    return Action.ALLOW, f"It is at level {level}."


def _control(case: _Case) -> Answer | None:
    control = case.rules.controls.get(case.item.kind)
    if control is None:
        return None
    name = f"{CONTROLLED_KINDS[case.item.kind]} are {control.default}"
    if case.is_own_device:
        narrow = control.default in (Sharing.PRIVATE, Sharing.ANONYMOUS)
        return Action.SEAL if narrow else Action.ALLOW, f"{name}: the owner's devices get it whole."
    if case.audience.kind in (AudienceKind.LOG, AudienceKind.ERROR_MESSAGE):
        refused = control.default is Sharing.PRIVATE
        return (Action.REFUSE if refused else Action.REDACT), f"{name}: a record holds no more of it."
    if case.is_own_agent:
        return Action.ALLOW, f"{name}, but the agent's own or its user's."
    return _opted_in(case, control, name) or _by_default(case, control, name)


def _opted_in(case: _Case, control: SharingControl, name: str) -> Answer | None:
    if not case.shares or not control.allow_opt_in:
        return None
    if control.default is Sharing.ANONYMOUS and not any(share.in_full for share in case.shares):
        return None
    return Action.ALLOW, f"{name}, and its owner opted in by sharing it."


def _by_default(case: _Case, control: SharingControl, name: str) -> Answer:
    if control.default is not Sharing.PRIVATE and case.works_for_owner:
        return Action.ALLOW, f"{name}, and the agent works for its owner."
    if control.default is Sharing.ANONYMOUS:
        return Action.REDACT, f"{name}: it leaves without secrets and personal data."
    inside = case.audience.kind is AudienceKind.AGENT or case.audience.member
    if control.default is not Sharing.PRIVATE and inside:
        return Action.ALLOW, f"{name}: the team may have it."
    barred = " and explicit sharing may not go further" if case.shares else ""
    return Action.REFUSE, f"{name}{barred}."


def _purpose(case: _Case) -> Answer | None:
    if case.purpose is Purpose.SYNC and case.audience.kind is AudienceKind.PUBLIC:
        return Action.REFUSE, "Sync publishes nothing: use push or share."
    return None


def _record(case: _Case) -> Answer | None:
    """What goes into a log for whomever is a log's content."""
    if not case.is_record or case.audience.kind in (AudienceKind.LOG, AudienceKind.ERROR_MESSAGE):
        return None
    return _record_of(case.item.level)


def _record_of(level: Level) -> Answer:
    if level is Level.PRIVATE:
        return Action.REFUSE, "It is private: logs and messages name it without its content."
    return Action.REDACT, "Logs and messages hold nothing personal."


_RULES: tuple[tuple[str, Callable[[_Case], Answer | None]], ...] = (
    ("secret_found", _secret),
    ("private_pattern", _pattern),
    ("opt_out", _opt_out),
    ("purpose", _purpose),
    ("record", _record),
    ("level", _level),
    ("sharing_control", _control),
)
