"""``agentfs import``: what an AgentFS file holds becomes an agent's states and calls, in one transaction."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path

from core.agent_model import Actor, ActorKind, Admission, Agent
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.agentfs.kinds import kind_of
from core.agentfs.readable import without_secrets
from core.agentfs.registration import check_registration
from core.agentfs.scratch_folder import scratch_folder
from core.agentfs.sessions import IMPORTED
from core.agentfs.state_log import state_path
from core.agentfs.whole_file import refuse_own
from core.errors import InvalidInput, NotFound, Unreachable
from core.interchange.agent_rights import require_own
from core.interchange.agentfs_reading import ForeignContents, read_contents
from core.interchange.foreign_copy import opened_copy
from core.interchange.foreign_states import Skipped
from core.interchange.foreign_tables import valid_text
from core.interchange.import_plan import Given, Plan, planned, read_given
from core.model import JSONObject, Operation

_LONGEST_TITLE = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or with ``dry_run`` would do.

    ``states`` are new ones, ``changed`` got a new version, ``unchanged`` were here with the same value; ``files`` says
    how many of all these are files. ``calls`` are new, ``calls_ended`` had not ended here. ``sealed`` of the states
    written are sealed. ``sha256`` is of the file; ``session_id`` is the session of the new calls.
    """

    path: Path
    sha256: str
    agent_id: str
    agent: str
    created: bool
    states: int
    changed: int
    unchanged: int
    files: int
    calls: int
    calls_ended: int
    sealed: int
    skipped: tuple[Skipped, ...]
    session_id: str | None
    dry_run: bool


def import_agent(
    agentfs: AgentFS,
    source: Path,
    agent: str,
    *,
    by: Actor,
    type: str = "",  # noqa: A002 - the column's name in strategy.md
    files: bool = True,
    dry_run: bool = False,
) -> Imported:
    """Take what the AgentFS file ``source`` holds into ``agent``, all of it or nothing; ``source`` is only copied.

    Keys become states; a state whose value differs here gets a new version, its history keeps the old one, an equal one
    is left alone, and none is deleted. With ``files`` each file becomes a state too, ``files/PATH`` (``file_states``);
    empty folders do not. New tool calls become a session that is over; of parameters and results hashes are kept. What
    cannot be one of ours (a value that is not JSON, a file too large for a state) is told in ``skipped``. Everything is
    judged and sealed as if ``by`` had written it, who the history names. A second import of the same file changes
    nothing.

    Only the agent's owner and the agent itself may. Where there is no such agent, the person's import makes it, with
    ``type``, else with the type that an export of Bailiwick names. Raises AccessDenied, NotFound, QuotaExceeded, Locked
    when something has to be sealed and the keys are locked, Unreachable while ``source`` is being written, and
    InvalidInput when it is no AgentFS file, damaged, or holds what no program of that format writes.
    """
    chosen = _chosen(agentfs, agent, by)
    refuse_own(agentfs.root, source)
    with (
        translated(agentfs.database.path),
        scratch_folder(agentfs.root, ".import-") as folder,
        opened_copy(source, folder) as copy,
    ):
        contents = read_contents(copy, source, agentfs.agents.policy.value_bytes, files=files)
    agent_type = chosen.type if chosen is not None else _type(agentfs, agent, type, contents, by)
    given = read_given(agentfs, contents)
    whole = _Import(agentfs, source, copy.sha256, given, chosen.name if chosen is not None else agent, agent_type, by)
    plan = planned(agentfs, given, chosen.id if chosen is not None else "", by=by)
    if dry_run or (plan.is_empty and chosen is not None):
        return whole.outcome(plan, chosen, dry_run=dry_run)
    return whole.written(chosen)


def _chosen(agentfs: AgentFS, agent: str, by: Actor) -> Agent | None:
    """The agent to import into; ``None`` where the person may make it."""
    try:
        chosen = agentfs.agents.get(agent)
    except NotFound:
        if by.kind is not ActorKind.PERSON:
            raise
        return None
    if chosen.admission is Admission.RETIRED and chosen.id != agent and by.kind is ActorKind.PERSON:
        return None
    require_own(agentfs, chosen, by, Operation.WRITE)
    if chosen.admission is Admission.RETIRED:
        raise InvalidInput(f"{chosen.name} is retired.", "Import into another agent.")
    return chosen


def _type(agentfs: AgentFS, agent: str, given: str, contents: ForeignContents, by: Actor) -> str:
    noted = contents.described.get("type", (None,))[0]
    chosen = given or (noted if isinstance(noted, str) else "")
    if not chosen:
        raise NotFound(f"There is no agent {agent}.", "--type T makes it; `bailiwick agents list` shows who is here.")
    check_registration(agent, chosen, None, by.id)
    return chosen


@dataclass(frozen=True, slots=True)
class _Import:
    """One import, ready to be written into the agent called ``name``."""

    agentfs: AgentFS
    source: Path
    sha256: str
    given: Given
    name: str
    type: str
    by: Actor

    def outcome(
        self,
        plan: Plan,
        agent: Agent | None,
        *,
        sealed: int | None = None,
        session_id: str | None = None,
        dry_run: bool,
    ) -> Imported:
        return Imported(
            path=self.source,
            sha256=self.sha256,
            agent_id=agent.id if agent is not None else "",
            agent=self.name,
            created=agent is None,
            states=len(plan.new),
            changed=len(plan.writes) - len(plan.new),
            unchanged=len(self.given.states) - len(plan.writes),
            files=sum(read.is_file for read in self.given.states),
            calls=len(plan.made),
            calls_ended=len(plan.ended),
            sealed=self._to_be_sealed(plan, agent) if sealed is None else sealed,
            skipped=tuple(map(_shown, self.given.skipped)),
            session_id=session_id,
            dry_run=dry_run,
        )

    def written(self, agent: Agent | None) -> Imported:
        """Register the agent if need be, and write what differs, in one transaction."""
        agents, created = self.agentfs.agents, ""
        try:
            with self.agentfs.database.transaction() as connection:
                if agent is None:
                    created = self._registered(connection)
                chosen = agents.get(agents.acting(connection, agent.id if agent is not None else created, self.by))
                plan = planned(self.agentfs, self.given, chosen.id, by=self.by)
                sealed = self._put_states(connection, chosen.id, plan)
                session_id = self.agentfs.sessions.import_within(
                    connection, chosen.id, self._title(), plan.made, plan.ended, by=self.by
                )
                done = self.outcome(plan, chosen, sealed=sealed, session_id=session_id, dry_run=False)
                self.agentfs.audit.append(connection, self.by, "agent.import", chosen.id, _told(done))
        except BaseException:
            if created:
                agents.key_path(created).unlink(missing_ok=True)
            raise
        return replace(done, created=bool(created))

    def _registered(self, connection: sqlite3.Connection) -> str:
        agent_id, is_new = self.agentfs.agents.register_within(
            connection, self.name, self.type, owner=self.by.id, by=self.by, client=IMPORTED
        )
        if not is_new:
            raise Unreachable(f"{self.name} was registered at this very moment.", "Import it again.")
        return agent_id

    def _put_states(self, connection: sqlite3.Connection, agent_id: str, plan: Plan) -> int:
        sealed = 0
        for read in plan.writes:
            state = self.agentfs.states.put_within(
                connection,
                agent_id,
                read.key,
                read.text,
                by=self.by,
                found=read.found,
                kind=read.kind,
                critical=read.critical,
                expires_at=read.expires_at,
            )
            sealed += state.sealed
        return sealed

    def _to_be_sealed(self, plan: Plan, agent: Agent | None) -> int:
        guard, agent_id = self.agentfs.guard, agent.id if agent is not None else ""
        return sum(
            guard.judge(
                state_path(agent_id, read.key), read.kind or kind_of(read.key, self.type), "", found=read.found
            ).seal
            for read in plan.writes
        )

    def _title(self) -> str:
        plain = "".join(letter if letter.isprintable() else "?" for letter in valid_text(self.source.name))
        return without_secrets(f"imported from {plain}")[:_LONGEST_TITLE]


def _shown(skipped: Skipped) -> Skipped:
    return replace(skipped, name=without_secrets(valid_text(skipped.name))[:_LONGEST_TITLE])


def _told(done: Imported) -> JSONObject:
    return {
        "sha256": done.sha256,
        "states": done.states,
        "changed": done.changed,
        "unchanged": done.unchanged,
        "calls": done.calls,
        "calls_ended": done.calls_ended,
        "skipped": len(done.skipped),
    }
