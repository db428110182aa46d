"""Claiming what another agent holds: refused as ever, and a conflict that the supervisor rules on at once if it can."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from core.agent_model import Actor, ActorKind, Lease, LeaseMode
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.agentfs.leases import DEFAULT_SECONDS, checked_resource, refusal
from core.agentfs.readable import without_secrets
from core.conflicts.arising import Arising
from core.conflicts.claims import OPEN, Claim, Claims, Standing, lease_claim_path
from core.conflicts.ended_claims import settle_ended
from core.conflicts.merging.forms import CLAIM
from core.conflicts.outcomes import Outcome
from core.conflicts.records import (
    FOLDER,
    ConflictRecord,
    ConflictStatus,
    Side,
    conflict_id,
    read_record,
)
from core.errors import LeaseHeld, Locked
from core.model import Sensitivity


@dataclass(frozen=True, slots=True)
class Contested:
    """One claim against another. ``is_new``: nobody had heard of it; ``wins``: the supervisor ruled for it just now.

    ``ruling`` is what was ruled between these two, ``None`` while that is open.
    """

    record: ConflictRecord
    is_new: bool
    wins: bool
    ruling: Outcome | None


class Claiming:
    """Safe from any thread and process."""

    def __init__(self, agentfs: AgentFS, arising: Arising) -> None:
        self._agentfs = agentfs
        self._arising = arising
        self._claims = Claims(agentfs)

    def take(
        self,
        agent: str,
        resource: str,
        *,
        by: Actor,
        mode: LeaseMode = LeaseMode.EXCLUSIVE,
        seconds: int = DEFAULT_SECONDS,
        reason: str = "",
    ) -> Lease:
        """As ``LeaseStore.take``; what another's lease refuses is a conflict besides, one for each lease.

        Where the supervisor rules for the claimant, the leases in its way end and it gets its own; both are told. Else
        LeaseHeld says what was ruled, or that somebody is asked; its ``facts`` hold ``conflict`` and ``ruling``.
        """
        leases = self._agentfs.leases
        try:
            return leases.take(agent, resource, by=by, mode=mode, seconds=seconds, reason=reason)
        except LeaseHeld:
            # Who shows no key could be anybody, and takes nothing from others.
            if by.kind is ActorKind.AGENT and not by.verified:
                raise
        wanted, reason = checked_resource(resource, seconds), without_secrets(reason)
        with self._agentfs.database.transaction() as connection:
            agent_id = self._agentfs.agents.acting(connection, agent, by)
            claim = self._claims.claim_within(connection, agent_id, wanted, mode, reason, seconds)
            lost, contested = self._contest_all(connection, claim, by)
            if lost is None:
                granted = leases.grant_within(
                    connection, agent_id, wanted, by=by, mode=mode, seconds=seconds, reason=reason
                )
        if lost is not None:
            raise _refused(resource, lost, contested)
        # What others claimed of the leases that ended is no question any more.
        settle_ended(self._agentfs)
        return granted

    def _contest_all(
        self, connection: sqlite3.Connection, claim: Claim, by: Actor
    ) -> tuple[Lease | None, Contested | None]:
        """Contest every lease in the way. Where all are won, they end; else the answer is one that is not."""
        leases = self._agentfs.leases.blocking_within(connection, claim.agent, claim.resource, claim.mode)
        standing = [self._claims.of_lease_within(connection, lease) for lease in leases]
        lost: Standing | None = None
        # Nobody loses a lease for what is not got in the end.
        with suppress(_NotWon), _part(connection):
            why = ""
            for each in standing:
                contested = self._contest(connection, claim, each, by)
                if contested is None or not contested.wins:
                    lost = each
                    raise _NotWon
                why = contested.ruling.why if contested.ruling is not None else ""
                path = contested.record.path
                self._claims.take_away_within(connection, path, each, claim, by=self._supervisor, why=why)
            if standing:
                self._claims.tell_given_within(connection, claim, by=self._supervisor, why=why)
        if lost is None:
            return None, None
        return lost.lease, self._contest(connection, claim, lost, by)

    def _contest(self, connection: sqlite3.Connection, claim: Claim, standing: Standing, by: Actor) -> Contested | None:
        """As ``contest_within``; ``None`` where the conflict would have to be sealed and the keys are locked."""
        assert standing.lease is not None
        with suppress(Locked), _part(connection):
            return self.contest_within(connection, lease_claim_path(standing.lease), claim, standing, by=by)
        return None

    def contest_within(
        self, connection: sqlite3.Connection, path: str, claim: Claim, standing: Standing, *, by: Actor
    ) -> Contested:
        """Have the conflict arise between a claim and the one that stands; what is known of already stays as it is.

        Where it is settled for the claim, the caller gives it what it claims. Raises Locked.
        """
        local = _side(claim, now())
        known = self._known(path, standing.base, local)
        if known is not None:
            ruling = known.outcome if known.status is ConflictStatus.RESOLVED else None
            return Contested(known, is_new=False, wins=False, ruling=ruling)
        arisen = self._arising.arise_within(
            connection,
            path,
            CLAIM,
            Side(standing.base),
            local,
            _side(standing.claim, standing.at),
            owner=self._agentfs.guard.settings.user or self._agentfs.acting.id,
            found=self._found(claim, standing.claim),
            critical=False,
            by=by,
            agents=(claim.agent, standing.claim.agent),
        )
        return Contested(arisen.record, is_new=True, wins=arisen.writes, ruling=arisen.outcome)

    def _known(self, path: str, base: str, local: Side) -> ConflictRecord | None:
        """The conflict, where the same claim was made in it before."""
        item = self._agentfs.items.at_path(f"{FOLDER}/{conflict_id(path, base)}")
        if item is None:
            return None
        record = read_record(self._agentfs.items.content(item))
        return record if any(each.version == local.version for each in record.sides) else None

    def _found(self, *claims: Claim) -> Sensitivity:
        rules = self._agentfs.guard.rules
        named = any(rules.matching_patterns(each.resource) for each in claims)
        return Sensitivity.PATTERN if named else Sensitivity.NONE

    # What hooks tell

    def cross_within(
        self, connection: sqlite3.Connection, path: str, claim: Claim, standing: Standing, *, by: Actor
    ) -> None:
        """An agent works on what another claims, without asking: as ``contest_within``, and what is new is told.

        Where it is settled for who came later, that agent gets what it claims.
        """
        contested = self.contest_within(connection, path, claim, standing, by=by)
        if not contested.is_new:
            return
        holder, ruling = standing.claim, contested.ruling
        if contested.wins:
            why = ruling.why if ruling is not None else ""
            self._claims.write_within(connection, path, claim.content, by=self._supervisor, why=why)
        elif ruling is not None:
            text = f"The supervisor ruled: leave {holder.resource} to {holder.name}."
            self._claims.tell_within(connection, claim.agent, holder.resource, text, ruling.why)
        else:
            asked = f"Conflict {contested.record.id} is open: {_asked(contested.record)}."
            text = f"{holder.name} works on {holder.resource}, which you change too. {asked}"
            self._claims.tell_within(connection, claim.agent, holder.resource, text, type=OPEN)
            if holder.file:
                text = f"{claim.name} works on {holder.resource}, which you change too. {asked}"
                self._claims.tell_within(connection, holder.agent, holder.resource, text, type=OPEN)

    @property
    def _supervisor(self) -> Actor:
        return self._agentfs.agents.engine


class _NotWon(Exception):
    """Not every lease in the way was won."""


@contextmanager
def _part(connection: sqlite3.Connection) -> Iterator[None]:
    """A part of a transaction that is taken back where it raises."""
    connection.execute("SAVEPOINT claiming")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK TO claiming")
        raise
    finally:
        connection.execute("RELEASE claiming")


def _side(claim: Claim, at: datetime) -> Side:
    return Side(claim.version, claim.content, None, claim.name, claim.device, at)


def _refused(resource: str, held: Lease, contested: Contested | None) -> LeaseHeld:
    """The refusal, with what became of the conflict."""
    plain = refusal(resource, held)
    if contested is None:
        return plain
    record = contested.record
    facts: dict[str, object] = {**plain.facts, "conflict": record.id}
    ruling = contested.ruling
    if ruling is not None:
        return LeaseHeld(
            f"{plain.message} Ruled for {held.agent}: {ruling.why}", plain.hint, {**facts, "ruling": ruling.why}
        )
    return LeaseHeld(f"{plain.message} Conflict {record.id} is open: {_asked(record)}.", plain.hint, facts)


def _asked(record: ConflictRecord) -> str:
    return f"{record.asked.agent if record.asked is not None else 'the person'} is asked to rule"
