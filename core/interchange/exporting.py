"""``agentfs export``: an agent's states and tool calls as one new AgentFS file, which leaves our protection."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core import __version__
from core.agent_model import Actor, Agent, State
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import Database, now, to_json, translated
from core.agentfs.state_log import state_path
from core.agentfs.whole_file import refuse_own, whole_file
from core.crypto.secret import HOW_TO_UNLOCK
from core.errors import InvalidInput, Locked
from core.ids import sha256_hex
from core.interchange.agent_rights import require_own
from core.interchange.agentfs_writing import AgentFSWriter
from core.interchange.file_states import StoredFile, file_of
from core.interchange.judging import found_in
from core.model import JSONObject, Sensitivity

_PAGE = 1000
_LEFT_BEHIND = ("-wal", "-journal")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export holds: ``states`` as keys, ``files`` as files, ``calls``.

    ``sensitive`` are the keys whose values are sealed or sensitive here and stand in the file in plain; ``left_out``
    says how many such values are not in it. ``sha256`` and ``size`` are of the file.
    """

    path: Path
    size: int
    sha256: str
    agent_id: str
    agent: str
    states: int
    files: int
    calls: int
    sensitive: tuple[str, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class _Held:
    """What an agent holds at one moment; ``created`` are Unix seconds by key."""

    states: list[State]
    created: dict[str, int]
    calls: list[sqlite3.Row]


def export_agent(
    agentfs: AgentFS,
    agent: str,
    target: Path,
    *,
    by: Actor,
    with_sensitive: bool = False,
    replace: bool = False,
) -> Exported:
    """Write what ``agent`` holds to ``target``, in the AgentFS file format 0.4, mode 0600, complete or not at all.

    Living states become keys with their present value; those that came from files (``file_states``) become files again.
    Tool calls keep name, times and error: of parameters and results only hashes are kept here. History, messages and
    leases stay. What is sealed, or sensitive by a judgement made now, is left out, unless ``with_sensitive``.

    Only the agent's owner and the agent itself, with its key, may: raises AccessDenied, after recording it. Raises
    Locked when sealed values are asked for and the keys are locked, NotFound, and InvalidInput when ``target`` exists
    and is not to be replaced, is in the workspace or cannot be written.
    """
    chosen = agentfs.agents.get(agent)
    require_own(agentfs, chosen, by, shows_key=True)
    refuse_own(agentfs.root, target)
    _refuse_left_behind(target)
    held = _held(agentfs, chosen, by)
    plain, sensitive = _parted(agentfs, held.states)
    if with_sensitive and any(state.locked for state in sensitive):
        raise Locked(f"Some of what {chosen.name} holds is sealed, and the keys are locked.", HOW_TO_UNLOCK)
    leaving = sorted(plain + sensitive if with_sensitive else plain, key=lambda state: state.key)
    data, files = _written(chosen, leaving, held)
    exported = Exported(
        path=target,
        size=len(data),
        sha256=sha256_hex(data),
        agent_id=chosen.id,
        agent=chosen.name,
        states=len(leaving) - files,
        files=files,
        calls=len(held.calls),
        sensitive=tuple(state.key for state in sensitive) if with_sensitive else (),
        left_out=0 if with_sensitive else len(sensitive),
    )
    with whole_file(target, replace=replace) as file:
        file.write(data)
        # Recorded before it appears: nothing leaves without its record.
        agentfs.audit.record(by, "agent.export", chosen.id, _told(exported, sensitive if with_sensitive else []))
    return exported


def _held(agentfs: AgentFS, agent: Agent, by: Actor) -> _Held:
    states: list[State] = []
    with _one_moment(agentfs.database) as connection:
        while page := agentfs.states.all(agent.id, after=states[-1].key if states else "", limit=_PAGE, by=by):
            states += page
        calls = connection.execute(
            "SELECT * FROM tool_calls WHERE agent_id = ? ORDER BY started_at, rowid", (agent.id,)
        ).fetchall()
        created = {
            row["id"]: row["at"]
            for row in connection.execute(
                "SELECT s.id, CAST(strftime('%s', i.created_at) AS INTEGER) AS at FROM agent_states s"
                " JOIN items i ON i.id = s.id WHERE s.agent_id = ?",
                (agent.id,),
            )
        }
    return _Held(states, {state.key: created[state.id] for state in states}, calls)


@contextmanager
def _one_moment(database: Database) -> Iterator[sqlite3.Connection]:
    """Everything that this thread reads within the block is of one moment."""
    connection = database.connection()
    with translated(database.path):
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")


def _parted(agentfs: AgentFS, states: list[State]) -> tuple[list[State], list[State]]:
    """The states that may leave by themselves, and those that are sealed or sensitive, by a judgement made now."""
    plain: list[State] = []
    sensitive: list[State] = []
    for state in states:
        held_back = state.sealed or state.sensitive is not Sensitivity.NONE or _is_sensitive(agentfs, state)
        (sensitive if held_back else plain).append(state)
    return plain, sensitive


def _is_sensitive(agentfs: AgentFS, state: State) -> bool:
    found = found_in(agentfs.guard, to_json(state.value), file_of(state.key, state.value))
    path = state_path(state.agent_id, state.key)
    judged = agentfs.guard.judge(path, state.kind, "", found=found, level=state.level)
    return judged.seal or judged.sensitive is not Sensitivity.NONE


def _written(agent: Agent, states: list[State], held: _Held) -> tuple[bytes, int]:
    """The bytes of the file, and how many of the states are files in it."""
    files = _files(states)
    with closing(AgentFSWriter(now())) as writer:
        writer.describe({"format": "1", "agent": agent.name, "type": agent.type, "bailiwick": __version__})
        for state in states:
            writer.add_state(state)
            if (file := files.get(state.key)) is not None:
                writer.add_file(file, state.updated_at)
            else:
                writer.add_key(state, held.created[state.key])
        for call in held.calls:
            writer.add_call(call)
        return writer.finished(), len(files)


def _files(states: list[State]) -> dict[str, StoredFile]:
    """The states that are files, by key. One at whose path others need a folder stays a key."""
    files = {state.key: file for state in states if (file := file_of(state.key, state.value)) is not None}
    paths = [file.path.split("/") for file in files.values()]
    folders = {"/".join(parts[:count]) for parts in paths for count in range(1, len(parts))}
    return {key: file for key, file in files.items() if file.path not in folders}


def _told(exported: Exported, sensitive: list[State]) -> JSONObject:
    return {
        "sha256": exported.sha256,
        "size": exported.size,
        "states": exported.states,
        "files": exported.files,
        "calls": exported.calls,
        "left_out": exported.left_out,
        "sensitive": [state.id for state in sensitive],
    }


def _refuse_left_behind(target: Path) -> None:
    """SQLite would take what another database of that name left beside it for a part of the new one."""
    for suffix in _LEFT_BEHIND:
        beside = target.with_name(target.name + suffix)
        if beside.is_file() and beside.stat().st_size:
            raise InvalidInput(
                f"{beside} belongs to another database of that name, which is open or was not closed.",
                "Close what has it open, or name another file.",
            )
