"""What an import would change: what a file gives, beside what is here."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from core.agent_model import Actor, State, ToolCall
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_json, translated
from core.crypto.secret import HOW_TO_UNLOCK
from core.errors import InvalidInput, Locked
from core.interchange.agentfs_reading import ForeignContents
from core.interchange.foreign_calls import of_agent, read_call
from core.interchange.foreign_states import ReadState, Skipped, read_states

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Given:
    """What a file gives: states, calls, and what cannot be taken in."""

    states: tuple[ReadState, ...]
    calls: tuple[ToolCall, ...]
    skipped: tuple[Skipped, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What differs from what is here. ``new`` are the keys that have no value here; ``ended`` are calls of here."""

    writes: tuple[ReadState, ...]
    new: frozenset[str]
    made: tuple[ToolCall, ...]
    ended: tuple[ToolCall, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing differs."""
        return not (self.writes or self.made or self.ended)


def read_given(agentfs: AgentFS, contents: ForeignContents) -> Given:
    """What ``contents`` give to any agent; scans all of it."""
    read = list(read_states(agentfs, contents))
    states = tuple(each for each in read if isinstance(each, ReadState))
    skipped = [each for each in read if isinstance(each, Skipped)]
    calls = []
    for foreign in contents.calls:
        try:
            calls.append(read_call(foreign, contents.noted_calls))
        except InvalidInput as error:
            skipped.append(Skipped("call", f"{foreign.id} {foreign.name}", error.message.rstrip(".")))
    if contents.older_calls:
        older = f"{contents.older_calls:,} before {min(call.id for call in contents.calls)}"
        skipped.append(Skipped("calls", older, f"the newest {len(contents.calls):,} are taken in"))
    return Given(states, tuple(calls), tuple(skipped))


def planned(agentfs: AgentFS, given: Given, agent_id: str, *, by: Actor) -> Plan:
    """What differs for the agent; within a transaction nothing changes between this and what follows.

    An ``agent_id`` that is not here has nothing. Raises Locked when a value to compare with is sealed and the keys are
    locked.
    """
    here = _states_here(agentfs, agent_id, by)
    writes = []
    for read in given.states:
        state = here.get(read.key)
        if state is not None and state.locked:
            raise Locked(f"{read.key} is sealed here, and the keys are locked.", HOW_TO_UNLOCK)
        if state is None or to_json(state.value) != read.text:
            writes.append(read)
    # What gives room comes first, so that an import that fits in the end is never over the quota on its way.
    writes.sort(key=lambda read: len(read.text) - (here[read.key].size if read.key in here else 0))
    made, ended = _new_calls(agentfs, given.calls, agent_id)
    return Plan(tuple(writes), frozenset(read.key for read in writes if read.key not in here), made, ended)


def _states_here(agentfs: AgentFS, agent_id: str, by: Actor) -> dict[str, State]:
    here: dict[str, State] = {}
    after = ""
    while agent_id and (page := agentfs.states.all(agent_id, after=after, limit=_PAGE, by=by)):
        here |= {state.key: state for state in page}
        after = page[-1].key
    return here


def _new_calls(
    agentfs: AgentFS, calls: tuple[ToolCall, ...], agent_id: str
) -> tuple[tuple[ToolCall, ...], tuple[ToolCall, ...]]:
    """The calls that are not here, and those that are and had not ended."""
    own_ids = [of_agent(call, agent_id, id_is_anothers=True).id for call in calls]
    here = _calls_here(agentfs, [*(call.id for call in calls), *own_ids])
    made: dict[str, ToolCall] = {}
    ended: dict[str, ToolCall] = {}
    for call in calls:
        found = here.get(call.id)
        own = of_agent(call, agent_id, id_is_anothers=found is not None and found["agent_id"] != agent_id)
        known = here.get(own.id)
        if known is None:
            made.setdefault(own.id, own)
        elif known["completed_at"] is None and own.completed_at is not None:
            ended[own.id] = own
    return tuple(made.values()), tuple(ended.values())


def _calls_here(agentfs: AgentFS, names: list[str]) -> dict[str, sqlite3.Row]:
    with translated(agentfs.database.path):
        rows = agentfs.database.connection().execute(
            "SELECT id, agent_id, completed_at FROM tool_calls WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(names),),
        )
        return {row["id"]: row for row in rows}
