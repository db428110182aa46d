"""Claims: who wants what an agent holds, and who holds it, as the sides of a conflict, and giving it to one of them.

A claim conflict is about ``claims/<resource>``: a lease in force, or a file that two agents changed at the same time
without any. It belongs to the machine on which the agents live.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from core.agent_model import Actor, ActorKind, Admission, Importance, Lease, LeaseMode
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_json, to_text, translated
from core.agentfs.leases import DEFAULT_SECONDS, checked_resource
from core.agentfs.readable import without_secrets
from core.agentfs.settings import recall_within, remember_within
from core.errors import InvalidInput
from core.ids import stable_id
from core.model import JSONValue

if TYPE_CHECKING:
    from core.conflicts.objects import Present
    from core.conflicts.records import ConflictRecord

FOLDER = "claims/"
RULED = "claim.ruled"
"""The type of the message by which both agents hear of a ruling."""
OPEN = "claim.open"
"""The type of the message by which an agent hears that what it does is contested."""
_FILES = "claims.files"
_BY_ITSELF = ";"
_UNPLAIN = frozenset('%;\\"')


@dataclass(frozen=True, slots=True)
class Claim:
    """One agent's claim on a resource. ``agent`` is its id; ``file`` the SHA-256 of a path where it is no lease."""

    agent: str
    name: str
    type: str
    resource: str
    mode: LeaseMode
    reason: str
    seconds: int
    device: str
    file: str = ""

    @property
    def content(self) -> bytes:
        """The claim as a side of a conflict holds it: one line of JSON."""
        told = asdict(self)
        if not self.file:
            del told["file"]
        return to_json(told).encode()

    @property
    def version(self) -> str:
        """The same for each attempt of the same agent at the same thing."""
        return stable_id("claim", self.device, self.agent, self.mode, self.file or self.resource)


@dataclass(frozen=True, slots=True)
class Standing:
    """The claim that stands at a path, with its lease, or the ``base`` of the conflict where it is a file's."""

    claim: Claim
    base: str
    at: datetime
    lease: Lease | None = None


def read_claim(content: bytes) -> Claim:
    """What ``Claim.content`` gave; raises InvalidInput for anything else, which two claims mixed are too."""
    try:
        told: Any = json.loads(content)
        texts = {name: told[name] for name in ("agent", "name", "type", "resource", "reason", "device")}
        texts["file"] = told.get("file", "")
        if not all(isinstance(each, str) for each in texts.values()) or type(told["seconds"]) is not int:
            raise TypeError
        return Claim(mode=LeaseMode(told["mode"]), seconds=told["seconds"], **texts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise InvalidInput("A claim is taken as it is, or not at all.", "Choose one of the two sides.") from None


def claim_path(resource: str, by_itself: str = "") -> str:
    """Where the claim on a resource lies; ``by_itself`` tells it from others on the same resource."""
    plain = "".join(
        letter
        if letter.isprintable() and letter not in _UNPLAIN
        else "".join(f"%{each:02X}" for each in letter.encode())
        for letter in resource
    )
    plain = f"%2F{plain[1:]}" if plain.startswith("/") else plain
    return f"{FOLDER}{plain}{_BY_ITSELF}{by_itself}" if by_itself else f"{FOLDER}{plain}"


def lease_claim_path(lease: Lease) -> str:
    """Where the claim of a lease lies. Several may share one resource, so each of those has a place by itself."""
    return claim_path(lease.resource, lease.id if lease.mode is LeaseMode.SHARED else "")


def _resource_of(path: str) -> tuple[str, str]:
    """The resource of a claim's path, and what tells it from others."""
    plain, _, by_itself = path.removeprefix(FOLDER).partition(_BY_ITSELF)
    pieces = plain.split("%")
    try:
        told = pieces[0].encode() + b"".join(bytes.fromhex(each[:2]) + each[2:].encode() for each in pieces[1:])
        return told.decode(), by_itself
    except ValueError:
        return plain, by_itself


class Claims:
    """Safe from any thread and process. What ends in ``_within`` belongs to the caller's transaction."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def present(self, path: str) -> Present:
        """Who holds what ``path`` names now."""
        from core.conflicts.objects import Present

        with translated(self._agentfs.database.path):
            standing = self.standing_within(self._agentfs.database.connection(), path)
        if standing is None:
            return Present(None)
        return Present(standing.claim.content, standing.at, standing.claim.name)

    def standing_within(self, connection: sqlite3.Connection, path: str) -> Standing | None:
        """The claim that stands at ``path``; ``None`` where nobody holds it any more."""
        entry = self._files(connection).get(path)
        if entry is not None:
            return _standing(entry)
        resource, lease_id = _resource_of(path)
        leases = self._agentfs.leases
        held = leases.in_force_within(connection, lease_id=lease_id) if lease_id else []
        held = held or leases.in_force_within(connection, resource=resource)
        # After a ruling it may be a part of it, or more.
        held = held or leases.blocking_within(connection, "", resource, LeaseMode.EXCLUSIVE)
        return self.of_lease_within(connection, held[0]) if held else None

    def of_lease_within(self, connection: sqlite3.Connection, lease: Lease) -> Standing:
        """The claim that a lease is."""
        claim = self.claim_within(connection, lease.agent_id, lease.resource, lease.mode, lease.reason, lease.seconds)
        return Standing(claim, lease.id, lease.acquired_at, lease)

    def claim_within(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        resource: str,
        mode: LeaseMode = LeaseMode.EXCLUSIVE,
        reason: str = "",
        seconds: int = DEFAULT_SECONDS,
        file: str = "",
    ) -> Claim:
        """The claim of an agent that is known here."""
        row = connection.execute("SELECT name, type FROM agents WHERE id = ?", (agent_id,)).fetchone()
        return Claim(agent_id, row["name"], row["type"], resource, mode, reason, seconds, self._agentfs.device, file)

    def check_here(self, record: ConflictRecord) -> None:
        """Raise InvalidInput when the agents of a claim conflict live on another device."""
        if record.local.device != self._agentfs.device:
            raise InvalidInput(
                "These agents work on another device, and leases stay there: it is ruled on there.",
                "Open it on that device, or send its person a message.",
            )

    # Giving it to somebody

    def write_within(
        self, connection: sqlite3.Connection, path: str, content: bytes | None, *, by: Actor, why: str = ""
    ) -> list[str]:
        """Give what ``path`` names to the claim in ``content``; with ``None`` nobody is to hold it.

        Leases in its way end, and every agent that gains or loses something is told, with the reason. Raises
        InvalidInput for what is no claim, for one of another device, and for an agent that is not here any more.
        """
        standing = self.standing_within(connection, path)
        if content is None:
            if standing is not None:
                self.take_away_within(connection, path, standing, None, by=by, why=why)
            return []
        claim = read_claim(content)
        if claim.device != self._agentfs.device:
            raise InvalidInput(f"{claim.name} works on another device: leases stay there.", "It is ruled on there.")
        self._check_agent(connection, claim)
        if claim.file:
            self._give_file(connection, path, claim, standing, by, why)
        else:
            self._give_lease(connection, path, claim, standing, by, why)
        return []

    def rule_within(
        self, connection: sqlite3.Connection, record: ConflictRecord, content: bytes | None, *, by: Actor, why: str = ""
    ) -> None:
        """As ``write_within``, of the result of a conflict; everyone who claimed it is told.

        Raises InvalidInput besides where the claims were made on another device.
        """
        self.check_here(record)
        standing = self.standing_within(connection, record.path)
        self.write_within(connection, record.path, content, by=by, why=why)
        winner = read_claim(content) if content is not None else None
        if winner is not None and standing is not None and winner.version == standing.claim.version:
            self.tell_given_within(connection, winner, by=by, why=why)
        told = {each for each in (winner and winner.agent, standing and standing.claim.agent) if each}
        for claim in (read_claim(each.content) for each in record.sides if each.content is not None):
            if claim.agent not in told:
                told.add(claim.agent)
                goes = f"leave {claim.resource} to {winner.name}." if winner is not None else f"leave {claim.resource}."
                self.tell_within(connection, claim.agent, claim.resource, f"{_ruler(by)} ruled: {goes}", why)

    def _give_lease(
        self,
        connection: sqlite3.Connection,
        path: str,
        claim: Claim,
        standing: Standing | None,
        by: Actor,
        why: str,
    ) -> None:
        leases = self._agentfs.leases
        if standing is not None and standing.claim.version == claim.version:
            return
        wanted = checked_resource(claim.resource, claim.seconds)
        for lease in leases.blocking_within(connection, claim.agent, wanted, claim.mode):
            self.take_away_within(connection, path, self.of_lease_within(connection, lease), claim, by=by, why=why)
        leases.grant_within(
            connection, claim.agent, wanted, by=by, mode=claim.mode, seconds=claim.seconds, reason=claim.reason
        )
        self.tell_given_within(connection, claim, by=by, why=why)

    def _give_file(
        self,
        connection: sqlite3.Connection,
        path: str,
        claim: Claim,
        standing: Standing | None,
        by: Actor,
        why: str,
    ) -> None:
        if standing is not None and standing.claim.version == claim.version:
            return
        if standing is not None:
            self.take_away_within(connection, path, standing, claim, by=by, why=why)
        base = standing.base if standing is not None else claim.file
        self.stand_within(connection, path, Standing(claim, base, now()))
        self.tell_given_within(connection, claim, by=by, why=why)

    def tell_given_within(self, connection: sqlite3.Connection, claim: Claim, *, by: Actor, why: str) -> None:
        """Tell an agent that its claim was ruled for."""
        given = f"go on with {claim.resource}."
        if not claim.file:
            given = f"you hold {claim.resource} ({claim.mode}) for {claim.seconds} s."
        self.tell_within(connection, claim.agent, claim.resource, f"{_ruler(by)} ruled for you: {given}", why)

    def take_away_within(
        self,
        connection: sqlite3.Connection,
        path: str,
        standing: Standing,
        winner: Claim | None,
        *,
        by: Actor,
        why: str,
    ) -> None:
        """End the claim that stands at ``path`` and tell its agent."""
        resource = standing.claim.resource
        ended = f"leave {resource} to {winner.name}." if winner is not None else f"nobody holds {resource} now."
        if standing.lease is not None:
            self._agentfs.leases.rule_out_within(connection, standing.lease, by=by)
            gone = f"{winner.name} has {winner.resource}" if winner is not None else "nobody holds it"
            ended = f"your lease on {resource} has ended, {gone} now."
        else:
            self._forget_file(connection, path)
        self.tell_within(connection, standing.claim.agent, resource, f"{_ruler(by)} ruled: {ended}", why)

    def tell_within(
        self,
        connection: sqlite3.Connection,
        agent_id: str,
        resource: str,
        text: str,
        why: str = "",
        type: str = RULED,  # noqa: A002 - the column's name in strategy.md
    ) -> None:
        """Have an agent that is still here hear of it; its hook hands the message over."""
        if not self._is_here(connection, agent_id):
            return
        text = f"{text} {without_secrets(why)}".strip()
        content: JSONValue = {"text": text, "resource": resource}
        messages = self._agentfs.messages
        if not messages.tell(connection, agent_id, content, type=type, importance=Importance.HIGH):
            self._agentfs.audit.append(
                connection, self._agentfs.agents.engine, "message.skip", agent_id, {"type": type}
            )

    def _check_agent(self, connection: sqlite3.Connection, claim: Claim) -> None:
        row = connection.execute("SELECT name, type FROM agents WHERE id = ?", (claim.agent,)).fetchone()
        if row is None or row["name"] != claim.name:
            raise InvalidInput("A claim is taken as it is, or not at all.", "Choose one of the two sides.")
        if not self._is_here(connection, claim.agent):
            raise InvalidInput(f"{claim.name} was retired: it is given nothing any more.", "Choose the other side.")

    @staticmethod
    def _is_here(connection: sqlite3.Connection, agent_id: str) -> bool:
        row = connection.execute("SELECT admission, device FROM agents WHERE id = ?", (agent_id,)).fetchone()
        return row is not None and row["admission"] != Admission.RETIRED and not row["device"]

    # Files that are changed without a lease

    def file_within(self, connection: sqlite3.Connection, file: str) -> tuple[str, Standing] | None:
        """The path of the claim on a file, whose path has that hash, and who holds it; where somebody does."""
        for path, entry in self._files(connection).items():
            standing = _standing(entry)
            if standing is not None and standing.claim.file == file:
                return path, standing
        return None

    def stand_within(self, connection: sqlite3.Connection, path: str, standing: Standing) -> None:
        """Have a claim on a file stand at ``path`` until its seconds from now are over."""
        entry: dict[str, JSONValue] = {
            "claim": standing.claim.content.decode(),
            "base": standing.base,
            "at": to_text(standing.at),
            "until": to_text(now() + timedelta(seconds=standing.claim.seconds)),
        }
        self._keep(connection, {**self._files(connection), path: entry})

    def _forget_file(self, connection: sqlite3.Connection, path: str) -> None:
        self._keep(connection, {key: each for key, each in self._files(connection).items() if key != path})

    @staticmethod
    def _files(connection: sqlite3.Connection) -> dict[str, JSONValue]:
        told = recall_within(connection, _FILES)
        return told if isinstance(told, dict) else {}

    @staticmethod
    def _keep(connection: sqlite3.Connection, files: Mapping[str, JSONValue]) -> None:
        living: dict[str, JSONValue] = {path: entry for path, entry in files.items() if _standing(entry) is not None}
        remember_within(connection, _FILES, living)


def _standing(entry: JSONValue) -> Standing | None:
    """The claim on a file as it is kept; ``None`` once its time is over."""
    told: Any = entry
    if from_text(told["until"]) <= now():
        return None
    return Standing(read_claim(told["claim"].encode()), told["base"], from_text(told["at"]))


def _ruler(by: Actor) -> str:
    return {ActorKind.PERSON: "The person", ActorKind.AGENT: "The supervisor agent"}.get(by.kind, "The supervisor")
