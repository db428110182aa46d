"""``check_access`` of strategy.md, over users, teams, agents and owners.

Its two refusals keep their words, "No team access" and "Private resource". It compares the asking user with the owner
of the resource, where strategy.md's code compares with the owner of the asker's permissions. What an agent gets of
another one's items is what the one door of privacy says, so that a redacted answer is possible too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from core.model import Level, Operation
from core.privacy import EVERY_TEAM, Action, Audience, AudienceKind, PrivacyRules, Purpose, Subject, decide

NO_TEAM_ACCESS = "No team access"
PRIVATE_RESOURCE = "Private resource"
NOT_VERIFIED = "The agent showed no key"
RETIRED = "The agent is retired"
NOT_ITS_OWNER = "Only its owner and its owner's agents change it."


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: a user, or with ``agent`` (its id) an agent that works for the user.

    ``verified`` says that an agent showed its key, ``retired`` that it has ended; ``teams`` are the teams the user is
    in.
    """

    user: str
    agent: str = ""
    verified: bool = True
    teams: frozenset[str] = frozenset()
    retired: bool = False


@dataclass(frozen=True, slots=True)
class AccessDecision:
    """The answer: ``action`` is allow, redact or refuse; ``reason`` names it in a few words, ``rule`` what decided."""

    action: Action
    reason: str
    rule: str

    @property
    def is_allowed(self) -> bool:
        """Whether anything is given at all."""
        return self.action is not Action.REFUSE

    @property
    def redacts(self) -> bool:
        """Whether it is given without secrets and personal data."""
        return self.action is Action.REDACT


def check_access(
    rules: PrivacyRules, asker: Asker, resource: Subject, operation: Operation = Operation.READ
) -> AccessDecision:
    """Whether ``asker`` may do ``operation`` with ``resource``. Pure and thread-safe.

    Who was given something by a share may read it; what may be written does not depend on shares.
    """
    if asker.retired:
        return AccessDecision(Action.REFUSE, RETIRED, "retired")
    if operation is Operation.WRITE:
        if asker.user != resource.owner:
            return AccessDecision(Action.REFUSE, NOT_ITS_OWNER, "owner")
        resource = replace(resource, shares=())
    if not asker.agent:
        return _of_user(rules, asker, resource)
    own = asker.user == resource.owner and resource.agent == asker.agent
    # Who writes in a name without its key is marked, and seen by all; what is read cannot be taken back.
    if own and (asker.verified or operation is Operation.WRITE):
        return AccessDecision(Action.ALLOW, "Its own", "owner")
    if not asker.verified:
        return AccessDecision(Action.REFUSE, NOT_VERIFIED, "verified")
    return _of_agent(rules, asker, resource)


def _of_user(rules: PrivacyRules, asker: Asker, resource: Subject) -> AccessDecision:
    if asker.user == resource.owner:
        return AccessDecision(Action.ALLOW, "Its owner", "owner")
    if is_sensitive(rules, resource):
        return AccessDecision(Action.REFUSE, PRIVATE_RESOURCE, "sensitive")
    if resource.level is Level.PUBLIC:
        return AccessDecision(Action.ALLOW, "Public resource", "level")
    if resource.level is Level.PRIVATE:
        return AccessDecision(Action.REFUSE, PRIVATE_RESOURCE, "level")
    named = {share.name for share in resource.shares if share.audience is AudienceKind.TEAM}
    teams = asker.teams & named if named or EVERY_TEAM in resource.opt_outs else asker.teams
    if teams.difference(resource.opt_outs):
        return AccessDecision(Action.ALLOW, "Team access", "level")
    return AccessDecision(Action.REFUSE, NO_TEAM_ACCESS, "level")


def _of_agent(rules: PrivacyRules, asker: Asker, resource: Subject) -> AccessDecision:
    if asker.user != resource.owner and not (allowed := _of_user(rules, asker, resource)).is_allowed:
        return allowed
    answer = decide(rules, resource, Audience.agent(asker.agent, asker.user, asker.teams), Purpose.ANSWER)
    if answer.action in (Action.ALLOW, Action.REDACT):
        return AccessDecision(answer.action, answer.reason, answer.rule)
    return AccessDecision(Action.REFUSE, PRIVATE_RESOURCE, answer.rule)


def is_sensitive(rules: PrivacyRules, resource: Subject) -> bool:
    """Whether a secret or a private pattern keeps ``resource`` with its owner."""
    return resource.findings.has_secret or bool(rules.matching_patterns(resource.path))
