"""The tools of an agent, fourteen, as plain functions: each method is one, its docstring what the agent reads of it.

Adding a tool is adding a public method with type hints; ``core.serving.tool_calls`` makes the schema and checks calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Protocol

from core.agent_model import Actor, AgentStatus, Importance, LeaseMode, MessageStatus
from core.agentfs.agentfs import AgentFS
from core.agentfs.globs import normalised
from core.agentfs.leases import DEFAULT_SECONDS, RESOURCE_PREFIX
from core.conflicts.claiming import Claiming
from core.conflicts.service import ConflictService
from core.conflicts.state_races import StateRaces
from core.errors import EngineGone, InvalidInput, NotFound
from core.library.catalogue import StoredDocument
from core.library.notes import Note, add_note, check_note, slug
from core.model import MODEL_LOADING, Answer, Filters, JSONObject, JSONValue, Kind, SearchMode
from core.search.query import Query
from core.serving import tool_answers as answers
from core.serving.agent_conflicts import AgentConflicts, Take
from core.serving.caller import Caller

MOST_LISTED = 200
ATTEMPTS = 3
# An index may be at work for hours; only what the agent wrote itself, and an engine that begins, is waited for longer.
CATCH_UP_SECONDS = 2.0
OWN_CATCH_UP_SECONDS = 15.0
MODEL_SECONDS = 8.0
_LOOK_SECONDS = 0.1
_SHOWN = 20


class Desk(Protocol):
    """What the tools need of an open workspace; they say in ``by`` who asks."""

    @property
    def agentfs(self) -> AgentFS: ...
    @property
    def conflicts(self) -> ConflictService: ...
    @property
    def claiming(self) -> Claiming: ...
    @property
    def state_races(self) -> StateRaces: ...
    def search(self, query: Query, *, by: Actor) -> Answer: ...
    def record_search(self, answer: Answer, *, by: Actor) -> None: ...
    def document(self, identifier: str, *, by: Actor) -> StoredDocument: ...
    def wait_until_searchable(self, should_stop: Callable[[], bool]) -> bool: ...
    def model_state(self) -> str: ...


class EngineNeed(Protocol):
    """Has an engine run when one is needed."""

    def ensure(self) -> bool:
        """Have one run; says whether it was started only now. Raises Unreachable."""
        ...


class LeaseAction(StrEnum):
    TAKE = "take"
    RENEW = "renew"
    RELEASE = "release"
    LIST = "list"


class SessionAction(StrEnum):
    START = "start"
    END = "end"
    SHOW = "show"


class NoteKind(StrEnum):
    """What can be noted, in the words of ``Kind``."""

    DOCUMENT = Kind.DOCUMENT.value
    RESEARCH_FINDING = Kind.RESEARCH_FINDING.value
    CODE_EXAMPLE = Kind.CODE_EXAMPLE.value
    IMPLEMENTATION_LOG = Kind.IMPLEMENTATION_LOG.value
    ASSUMPTION = Kind.ASSUMPTION.value
    DECISION = Kind.DECISION.value


_FOLDERS = {
    NoteKind.RESEARCH_FINDING: "findings",
    NoteKind.CODE_EXAMPLE: "examples",
    NoteKind.IMPLEMENTATION_LOG: "logs",
    NoteKind.ASSUMPTION: "assumptions",
    NoteKind.DECISION: "decisions",
}


class Toolbox:
    """The tools of one connection. Safe from any thread; every method raises BailiwickError."""

    def __init__(self, desk: Desk, caller: Caller, engine: EngineNeed, *, default_mode: SearchMode) -> None:
        """``default_mode`` is how a search is answered that does not say."""
        self._desk = desk
        self._agentfs = desk.agentfs
        self._engine = engine
        self._default_mode = default_mode
        self._caller = caller
        self._has_noted = False
        # What a transport tells of the connection itself.
        self.introduce = caller.introduce
        self.leave = caller.leave

    def register(
        self,
        name: str,
        type: Annotated[str | None, "research, poc, validation, coding …"] = None,  # noqa: A002 - the column's name
        tools: list[str] | None = None,
        responsibilities: Annotated[list[str] | None, "paths or topics you own"] = None,
    ) -> answers.Registered:
        """Say who you are, once, before all else. A name you had before brings back its states and messages."""
        agent, created = self._caller.register(name, type, self._capabilities(name, tools, responsibilities))
        actor = self._caller.actor()
        agent = self._agentfs.agents.get(agent.id)
        return answers.registered(agent, created=created, verified=actor.verified, unread=self._unread(actor))

    def heartbeat(
        self,
        status: AgentStatus | None = None,
        tool: str = "",
        note: Annotated[str, "what went wrong"] = "",
    ) -> answers.Alive:
        """Sign of life in long work: renews your leases, keeps your place; tells of unread messages."""
        by = self._caller.actor()
        agent = self._agentfs.agents.heartbeat(by.id, by=by, status=status, tool=tool, note=note)
        return answers.alive(agent, self._agentfs.leases.held(by.id), self._unread(by))

    def state_get(self, key: str, agent: Annotated[str, "default: you"] = "") -> answers.StateValue:
        """Read a state of yours, or one that another agent shares."""
        by = self._caller.actor()
        state = self._agentfs.states.get(agent or self._own_name(), key, by=by)
        return answers.state_value(self._agentfs.agents.get(state.agent_id).name, state)

    def state_put(
        self,
        key: str,
        value: Annotated[Any, "any JSON"],
        expect: Annotated[int | None, "write only if this version is current; 0: if there is none"] = None,
        expires_seconds: float | None = None,
        keep: Annotated[bool, "do not lose it if `expect` fails: merge it, or open a conflict"] = False,
    ) -> answers.StateWritten:
        """Write a state of yours, as a new version."""
        by = self._caller.actor()
        if keep:
            if expect is None:
                raise InvalidInput("Nothing says which version it was made of.", "Give `expect` with `keep`.")
            kept = self._desk.state_races.put(by.id, key, value, by=by, expect=expect, expires_in=expires_seconds)
            return answers.state_kept(key, kept)
        state = self._agentfs.states.put(by.id, key, value, by=by, expect=expect, expires_in=expires_seconds)
        return answers.state_written(state)

    def state_list(
        self, prefix: str = "", agent: Annotated[str, "default: you"] = "", after: str = "", limit: int = 50
    ) -> answers.StateLines:
        """List keys, without values."""
        _check_count(limit)
        by = self._caller.actor()
        whose = self._agentfs.agents.get(agent or by.id)
        states = self._agentfs.states.all(whose.id, prefix, after=after, limit=limit, by=by)
        return answers.state_lines(whose.name, states, limit)

    def send(
        self,
        to: Annotated[str, "agent, type:T, everyone or person"],
        content: str | dict[str, Any] | list[Any],
        type: str = "note",  # noqa: A002 - the column's name
        importance: Importance = Importance.NORMAL,
        reply_to: Annotated[str | None, "message id"] = None,
    ) -> answers.Sent:
        """Send a message."""
        by = self._caller.actor()
        message = self._agentfs.messages.send(
            by.id, to, content, by=by, type=type, importance=importance, reply_to=reply_to
        )
        return answers.Sent(message.id, message.recipient, message.thread_id)

    def inbox(
        self,
        read: Annotated[list[str] | None, "ids you have dealt with"] = None,
        ack: Annotated[list[str] | None, "ids to acknowledge"] = None,
        all: Annotated[bool, "those you have read too"] = False,  # noqa: A002 - the agent's word
        limit: int = 20,
    ) -> answers.Incomings:
        """Mark messages read or acknowledged, then get the oldest unread ones."""
        _check_count(limit)
        by = self._caller.actor()
        store = self._agentfs.messages
        for identifiers, status in ((read, MessageStatus.READ), (ack, MessageStatus.ACKNOWLEDGED)):
            if identifiers:
                store.mark(self._own_name(), identifiers, status, by=by)
        found = store.inbox(by.id, by=by, limit=limit, unread_only=not all)
        return answers.Incomings(tuple(map(answers.incoming, found)), store.unread(by.id))

    def lease(
        self,
        action: LeaseAction,
        resource: Annotated[str, "path, glob or resource:NAME"] = "",
        seconds: int = DEFAULT_SECONDS,
        shared: bool = False,
        reason: str = "",
    ) -> answers.Leases:
        """Claim what you are about to change, so that others keep off; a refusal names the holder."""
        by = self._caller.actor()
        store = self._agentfs.leases
        if action is LeaseAction.LIST:
            return answers.Leases(answers.lease_lines(store.held()))
        if not resource:
            raise InvalidInput("No resource is named.", "Name a path, a glob such as src/**, or resource:NAME.")
        if action is LeaseAction.RELEASE:
            return answers.Leases(answers.lease_lines([store.release(self._own_name(), resource, by=by)]))
        if action is LeaseAction.RENEW and not self._holds(by, resource):
            raise NotFound(f"You hold no lease on {resource}.", "Take it, if it is free.")
        mode = LeaseMode.SHARED if shared else LeaseMode.EXCLUSIVE
        taken = self._desk.claiming.take(by.id, resource, by=by, mode=mode, seconds=seconds, reason=reason)
        return answers.Leases(answers.lease_lines([taken]))

    def search(
        self,
        query: str,
        library: str = "",
        version: Annotated[str, "nearest if absent; see matched"] = "",
        language: str = "",
        limit: int = 5,
        mode: SearchMode | None = None,
    ) -> answers.Hits:
        """Search documentation and notes by meaning and words."""
        by = self._caller.actor()
        asked = Query(query, Filters(language, library, version), mode or self._default_mode, limit)
        answer = self._ask(asked, by)
        self._desk.record_search(answer, by=by)
        return answers.hits(answer)

    def show(
        self,
        id: Annotated[str, "of a hit or a document"],  # noqa: A002 - the agent's word
        start: Annotated[int | None, "first passage"] = None,
        count: int | None = None,
    ) -> answers.Document:
        """Read a passage, or a document from its beginning."""
        by = self._caller.actor()
        stored = self._desk.document(id, by=by)
        first = start if start is not None else stored.ordinal or 0
        most = count if count is not None else 1 if stored.ordinal is not None and start is None else _SHOWN
        _check_count(most)
        if first < 0:
            raise InvalidInput("The first passage has the number 0.")
        return answers.document(stored, first, most)

    def note(
        self,
        title: str,
        text: Annotated[str, "Markdown"],
        kind: NoteKind = NoteKind.DOCUMENT,
        library: str = "",
        version: str = "",
        language: str = "",
    ) -> answers.Noted:
        """Keep what you learned: documents are found by every agent's search, other kinds are states of yours."""
        note = Note(title, text, language, library, version)
        by = self._caller.actor()
        if kind is NoteKind.DOCUMENT:
            item = add_note(self._agentfs, self._caller.agent(), note, by=by)
            self._has_noted = True
            return answers.noted_document(item)
        check_note(note)
        told = {"title": title, "text": text, "language": language, "library": library, "version": version}
        value: JSONValue = {name: each for name, each in told.items() if each}
        key = f"{_FOLDERS[kind]}/{slug(title)}"
        return answers.noted_state(self._agentfs.states.put(by.id, key, value, by=by, kind=Kind(kind.value)))

    def session(self, action: SessionAction, title: str = "") -> answers.SessionLine:
        """Group what you do from now on under a title, until you end it."""
        if action is SessionAction.START:
            return answers.session_line(self._caller.begin_session(title))
        by = self._caller.actor()
        if by.session_id is None:
            raise NotFound("No session is open on this connection.", "Start one.")
        ended = self._caller.end_session() if action is SessionAction.END else None
        return answers.session_line(ended or self._agentfs.sessions.get(by.session_id))

    def conflicts(self, limit: int = 20) -> answers.Conflicts:
        """List open conflicts about your states and claims, and those you are asked to rule on, with each side."""
        _check_count(limit)
        by = self._caller.actor()
        return answers.Conflicts(self._conflicts().all(self._caller.agent(), by, limit))

    def rule_conflict(
        self,
        id: str,  # noqa: A002 - the agent's word
        take: Take,
        why: Annotated[str, "one sentence"],
    ) -> answers.Ruled:
        """Rule on a conflict that you are asked to rule on; the person may overrule it."""
        by = self._caller.actor()
        return self._conflicts().rule(id, take, why, self._caller.agent(), by)

    # What the tools have in common

    def _conflicts(self) -> AgentConflicts:
        return AgentConflicts(self._agentfs, self._desk.conflicts)

    def _capabilities(self, name: str, tools: list[str] | None, patterns: list[str] | None) -> JSONObject | None:
        """What is declared; what is not said of an agent that is here stays as it was."""
        told: dict[str, JSONValue] = {}
        if tools is not None:
            told["tools"] = list[JSONValue](tools)
        if patterns is not None:
            told["responsibilities"] = list[JSONValue](patterns)
        if not told:
            return None
        try:
            return {**self._agentfs.agents.get(name).capabilities, **told}
        except NotFound:
            return told

    def _unread(self, by: Actor) -> int:
        return self._agentfs.messages.unread(by.id) if by.verified else 0

    def _own_name(self) -> str:
        return self._caller.agent().name

    def _holds(self, by: Actor, resource: str) -> bool:
        wanted = resource if resource.startswith(RESOURCE_PREFIX) else normalised(resource)
        return any(wanted == each.resource for each in self._agentfs.leases.held(by.id))

    def _ask(self, query: Query, by: Actor) -> Answer:
        for attempt in range(ATTEMPTS):
            try:
                return self._ask_engine(query, by)
            except EngineGone:
                # It was another process, which ended just now.
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _ask_engine(self, query: Query, by: Actor) -> Answer:
        started = self._engine.ensure()
        patience = OWN_CATCH_UP_SECONDS if started or self._has_noted else CATCH_UP_SECONDS
        if self._desk.wait_until_searchable(_after(patience)):
            self._has_noted = False
        answer = self._desk.search(query, by=by)
        if started and query.mode is not SearchMode.TEXT and answer.path == "text":
            # The model is being loaded for this very question: better a moment later than by words alone.
            too_late = _after(MODEL_SECONDS)
            while (state := self._desk.model_state()) == MODEL_LOADING and not too_late():
                time.sleep(_LOOK_SECONDS)
            return answer if state else self._desk.search(query, by=by)
        return answer


def _after(seconds: float) -> Callable[[], bool]:
    deadline = time.monotonic() + seconds
    return lambda: time.monotonic() > deadline


def _check_count(limit: int) -> None:
    if not 1 <= limit <= MOST_LISTED:
        raise InvalidInput(f"The number must be between 1 and {MOST_LISTED}.")
