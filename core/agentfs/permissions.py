"""Who may have which item here: every decision in one place, and each that crosses a boundary in the audit trail."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from core.agent_model import Actor, ActorKind, Admission
from core.agentfs.audit import AuditTrail
from core.agentfs.database import Database, now, translated
from core.agentfs.guard import Guard
from core.agentfs.shares import ShareStore
from core.errors import AccessDenied, BailiwickError, NotFound
from core.ids import sha256_hex
from core.model import Item, JSONValue, Kind, Operation, Sensitivity

if TYPE_CHECKING:
    from core.access import AccessDecision, Asker
    from core.privacy import Subject

ALLOW_RECORD_SECONDS = 600.0
_DONE = {Operation.READ: "read", Operation.WRITE: "changed"}
_MOST_REMEMBERED = 4096
_NO_SHARE = "A share lets others read, not change: send its agent or its owner a message."
_SHARE = "Its owner may share it: `bailiwick share ITEM`; `bailiwick privacy explain ITEM` names the rule."


class Permissions:
    """Applies ``check_access`` to the items of this workspace. Safe from any thread.

    Every refusal is recorded before it is answered. What is allowed is recorded where it crosses a boundary or opens
    something sensitive, once in ten minutes for the same asker, item and answer; a look at one's own plain things is
    not, for it would bury the others.
    """

    def __init__(self, database: Database, audit: AuditTrail, guard: Guard, shares: ShareStore) -> None:
        self._database = database
        self._audit = audit
        self._guard = guard
        self._shares = shares
        self._owners: dict[str, str] = {}
        self._recorded: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def is_own(self, by: Actor, owner: str, agent_id: str) -> bool:
        """Whether ``by`` is the owner, or the very agent whose own the item is and that showed its key; no record."""
        if by.kind is ActorKind.AGENT:
            return by.id == agent_id and by.verified
        return by.kind is ActorKind.ENGINE or by.id == owner

    def require(self, by: Actor, item: Item, operation: Operation = Operation.READ) -> bool:
        """Raise AccessDenied unless ``by`` may read (or write) the item; says whether it must be redacted first."""
        if self.is_own(by, item.owner, item.agent_id):
            if item.sensitive and by.kind is not ActorKind.ENGINE and operation is Operation.READ:
                self._note_own(by, item)
            return False
        decision = self.decision(by, item, operation)
        hint = f"It is {item.owner}'s, and you are {by.id}: `user.id` says so."
        if by.kind is ActorKind.AGENT:
            hint = _SHARE if operation is Operation.READ else _NO_SHARE
        self.record(by, item.id, item.path, operation, decision, hint)
        return decision.redacts

    def require_own(self, by: Actor, item: Item) -> None:
        """Raise AccessDenied unless the item is ``by``'s own: for what it was before, whoever may read what it is."""
        if self.is_own(by, item.owner, item.agent_id):
            self.require(by, item)
            return
        hint = "Its present value may be shared; what it was before is for its owner and its own agent."
        self.refuse(by, item, Operation.READ, "history", "Private resource", hint)

    def refuse(self, by: Actor, item: Item, operation: Operation, rule: str, reason: str, hint: str = "") -> NoReturn:
        """Record that ``rule`` keeps ``by`` from the operation, and raise AccessDenied with the reason."""
        from core.access import AccessDecision
        from core.privacy import Action

        self.record(by, item.id, item.path, operation, AccessDecision(Action.REFUSE, reason, rule), hint)
        raise AssertionError("recording a refusal raises it")

    def decision(self, by: Actor, item: Item, operation: Operation = Operation.READ) -> AccessDecision:
        """What ``check_access`` answers, without a record of it: for lists that leave out what may not be seen."""
        from core.access import check_access

        return check_access(self._guard.rules, self._asker(by), self.subject(item), operation)

    def may_read(self, by: Actor, item: Item) -> bool:
        """Whether ``by`` may read the item in any form; without a record."""
        return self.is_own(by, item.owner, item.agent_id) or self.decision(by, item).is_allowed

    def record(
        self,
        by: Actor,
        subject: str,
        resource: str,
        operation: Operation,
        decision: AccessDecision,
        hint: str = "",
    ) -> None:
        """Leave the record of a decision, strategy.md's AuditEvent; raises AccessDenied when it is a refusal."""
        told: dict[str, JSONValue] = {
            "resource_sha256": sha256_hex(resource.encode()),
            "operation": operation.value,
            "decision": decision.action.value,
            "rule": decision.rule,
        }
        if by.peer:
            told["peer"] = by.peer
        if decision.is_allowed:
            # A write that is allowed leaves the record of the change itself.
            if operation is Operation.READ and self._is_due(by, subject, decision.action.value):
                self._audit.record(by, "access.allow", subject, told)
            return
        self._audit.record(by, "access.deny", subject, {**told, "reason": decision.reason})
        told_reason = decision.reason
        raise AccessDenied(
            told_reason if told_reason.endswith(".") else f"{told_reason}: this may not be {_DONE[operation]} here.",
            hint or _SHARE,
            {"reason": decision.reason, "rule": decision.rule},
        )

    def refuse_peer(self, peer: str, rule: str, reason: str) -> None:
        """Record that somebody was turned away at the engine's door."""
        told: dict[str, JSONValue] = {
            "resource_sha256": sha256_hex(b"door"),
            "operation": Operation.READ.value,
            "decision": "refuse",
            "rule": rule,
            "reason": reason,
            "peer": peer,
        }
        self._audit.record(Actor(ActorKind.PERSON, "unknown", "door", verified=False), "access.deny", "door", told)

    def subject(self, item: Item) -> Subject:
        """The item as the rules of privacy see it."""
        from core.privacy import AudienceKind, FindingKind, Share, Subject, Summary

        shares = self._shares.of(item.id)
        secret = item.sensitive in (Sensitivity.SECRET, Sensitivity.UNKNOWN)
        return Subject(
            path=item.path,
            kind=item.kind,
            level=item.level,
            owner=item.owner,
            critical=item.critical,
            agent=item.agent_id,
            findings=Summary(((FindingKind.SECRET, 1),) if secret else ()),
            shares=tuple(
                Share(AudienceKind(each.audience), each.name, each.in_full) for each in shares if not each.opted_out
            ),
            opt_outs=tuple(each.name for each in shares if each.opted_out),
        )

    def not_yet(self, path: str, kind: Kind, owner: str, agent_id: str) -> Item:
        """What an item that is not there yet would be, to ask whether ``path`` may be written."""
        level = self._guard.rules.initial_level(kind, path)
        moment = now()
        return Item(
            "", path, kind, owner, level, "", None, False, 0, {}, moment, moment, 0, False, 0, Sensitivity.NONE,
            False, agent_id,
        )  # fmt: skip

    def _asker(self, by: Actor) -> Asker:
        from core.access import Asker

        if by.kind is not ActorKind.AGENT:
            return Asker(by.id, teams=self.teams_of(by.id))
        owner = self.owner_of(by.id)
        if not owner:
            raise NotFound(f"There is no agent {by.id}.", "`bailiwick agents list` shows who is here.")
        return Asker(owner, by.id, by.verified, self.teams_of(owner), self._is_retired(by.id))

    def teams_of(self, user: str) -> frozenset[str]:
        """The teams ``user`` is known to be in: those in the settings are of the user who works here."""
        return self._guard.settings.teams if user == self._guard.settings.user else frozenset()

    def _is_retired(self, agent_id: str) -> bool:
        with translated(self._database.path):
            connection = self._database.connection()
            row = connection.execute("SELECT admission FROM agents WHERE id = ?", (agent_id,)).fetchone()
        return row is None or row["admission"] == Admission.RETIRED

    def owner_of(self, agent_id: str) -> str:
        """The user an agent works for, for ever the same; empty for one that is not here."""
        owner = self._owners.get(agent_id)
        if owner is None:
            with translated(self._database.path):
                row = (
                    self._database.connection().execute("SELECT owner FROM agents WHERE id = ?", (agent_id,)).fetchone()
                )
            if row is None:
                return ""
            owner = self._owners[agent_id] = str(row["owner"])
        return owner

    def _note_own(self, by: Actor, item: Item) -> None:
        if not self._is_due(by, item.id, "own"):
            return
        told: dict[str, JSONValue] = {
            "resource_sha256": sha256_hex(item.path.encode()),
            "operation": Operation.READ.value,
            "decision": "allow",
            "rule": "owner",
        }
        # One's own must open even where nothing can be written any more.
        with contextlib.suppress(BailiwickError):
            self._audit.record(by, "access.allow", item.id, told)

    def _is_due(self, by: Actor, *what: str) -> bool:
        key = (by.kind.value, by.id, by.peer, *what)
        moment = time.monotonic()
        with self._lock:
            last = self._recorded.get(key)
            if last is not None and moment - last < ALLOW_RECORD_SECONDS:
                return False
            if len(self._recorded) >= _MOST_REMEMBERED:
                self._recorded.clear()
            self._recorded[key] = moment
        return True
