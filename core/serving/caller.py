"""Who speaks on one connection of an agent's client: which agent, and whether it showed its key."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from core.agent_model import PERSON_TYPE, Actor, ActorKind, Admission, Agent, Session
from core.agentfs.agentfs import AgentFS
from core.agentfs.identification import is_verified, open_session, sign_of_life
from core.agentfs.readable import without_secrets
from core.errors import InvalidInput, NotFound
from core.model import JSONObject

DOOR = "mcp"
DEFAULT_TYPE = "coding"
BEAT_SECONDS = 5.0
_LONGEST_CLIENT = 80


@dataclass(frozen=True, slots=True)
class Identity:
    """What a connection says of itself.

    ``agent`` is the name or id it claims, ``key`` the key it shows, ``peer`` the address it comes from. With
    ``own_files`` it is a process of the user's own, and an agent's key file that only this user can read counts as
    shown. ``lasting`` says that one call remembers what another said.
    """

    agent: str = ""
    key: str = ""
    peer: str = ""
    own_files: bool = False
    lasting: bool = True
    session: str = ""


class Caller:
    """The agent on one connection, known from the beginning or since it registered. Safe from any thread."""

    def __init__(self, agentfs: AgentFS, identity: Identity) -> None:
        self._agentfs = agentfs
        self._identity = identity
        self._lock = threading.RLock()
        self._agent_id = ""
        self._key = identity.key
        self._session_id: str | None = None
        self._begun: Actor | None = None
        self._looked_for_session = not identity.session
        self._beat_at = -BEAT_SECONDS
        self._client = ""

    @property
    def client(self) -> str:
        """The program that the agent runs in, as it named itself; empty until it did."""
        return self._client

    def introduce(self, name: str, version: str = "") -> None:
        """Note what the client calls itself."""
        told = " ".join(f"{name} {version}".split())[:_LONGEST_CLIENT]
        if told != self._client and told.isprintable():
            self._client = without_secrets(told)

    def agent(self) -> Agent:
        """The agent that speaks; the one that this connection was opened for is made when it first does.

        Raises InvalidInput when none is known yet or it is retired, NotFound when there is none of that name.
        """
        with self._lock:
            if not self._agent_id:
                self._agent_id = self._named().id
            agent = self._agentfs.agents.get(self._agent_id)
        if agent.admission is Admission.RETIRED:
            raise InvalidInput(f"{agent.name} was retired.", "Call `register` to begin anew.")
        return agent

    def actor(self) -> Actor:
        """Who does what is called now, and a sign of life of that agent. Raises as ``agent``, and for a wrong key."""
        with self._lock:
            agent = self.agent()
            verified = self._is_verified(agent)
            actor = Actor(ActorKind.AGENT, agent.id, DOOR, verified, self._session(agent), self._identity.peer)
            if (moment := time.monotonic()) - self._beat_at >= BEAT_SECONDS:
                self._beat_at = moment
                sign_of_life(self._agentfs, agent.id, by=actor, client=self._client)
            return actor

    def register(self, name: str, type: str | None, capabilities: JSONObject | None) -> tuple[Agent, bool]:  # noqa: A002 - the column's name
        """Speak as the agent ``name`` from now on; the answer says too whether it is new.

        One that is here already keeps its type and capabilities where none are given, and in any case where its key
        is not shown or lies in no file of its own: registering would make it a new one. Raises InvalidInput for
        another name than that of this connection.
        """
        with self._lock:
            self._check_free_for(name)
            existing = self._living(name)
            if existing is not None and not self._may_change(existing):
                self._agent_id = existing.id
                return existing, False
            kind = type or (existing.type if existing is not None else DEFAULT_TYPE)
            registration = self._agentfs.agents.register(
                name,
                kind,
                capabilities,
                owner=self._agentfs.guard.settings.user,
                by=self._registering(existing),
                client=self._client,
            )
            agent = registration.agent
            self._agent_id = agent.id
            if registration.created and not self._identity.own_files:
                # Nobody else can have been it before, so this connection holds its key.
                self._key = self._agentfs.agents.read_key(agent.id)
            return agent, registration.created

    def begin_session(self, title: str) -> Session:
        """Count what is done from now on to a new session; one that was begun here before ends."""
        by = self.actor()
        with self._lock:
            begun = self._agentfs.sessions.start(by.id, by=by, title=title, client=self._client)
            self.leave()
            self._session_id = begun.id
            self._begun = replace(by, session_id=begun.id)
            return begun

    def end_session(self) -> Session | None:
        """End the session that what is done counts to, if there is one."""
        by = self.actor()
        with self._lock:
            self._session_id = self._begun = None
            return self._agentfs.sessions.end(by.session_id, by=by) if by.session_id is not None else None

    def leave(self) -> None:
        """End the session that was begun here, as when the connection ends."""
        with self._lock:
            begun, self._begun, self._session_id = self._begun, None, None
            if begun is not None and begun.session_id is not None:
                self._agentfs.sessions.end(begun.session_id, by=begun)

    def _named(self) -> Agent:
        name = self._identity.agent
        if not name:
            raise InvalidInput("No agent speaks on this connection yet.", "Call `register` with a name first.")
        agents = self._agentfs.agents
        try:
            agent = agents.get(name)
        except NotFound:
            if self._key or not self._identity.own_files:
                raise
            return self.register(name, None, None)[0]
        if agent.type == PERSON_TYPE:
            raise InvalidInput(f"{name} is the person here, not an agent.", "Name an agent.")
        return agent

    def _check_free_for(self, name: str) -> None:
        if not self._identity.lasting and not self._identity.agent:
            raise InvalidInput(
                "Nothing is remembered here from one call to the next, so no agent can be bound to it.",
                "Send the agent's key as the bearer token, or its name in the header Bailiwick-Agent.",
            )
        known = self._agent_id or self._identity.agent
        if not known:
            return
        try:
            present = self._agentfs.agents.get(known)
        except NotFound:
            present_name = known
        else:
            if present.admission is Admission.RETIRED and not self._key:
                return
            present_name = present.name
        if present_name != name:
            raise InvalidInput(
                f"This connection speaks for {present_name}: an agent acts for itself alone.",
                "Connect anew to be another.",
            )

    def _living(self, name: str) -> Agent | None:
        try:
            agent = self._agentfs.agents.get(name)
        except NotFound:
            return None
        is_living = agent.admission is not Admission.RETIRED and agent.type != PERSON_TYPE and agent.name == name
        return agent if is_living else None

    def _may_change(self, agent: Agent) -> bool:
        if not self._key:
            return self._identity.own_files
        try:
            return self._is_verified(agent) and self._agentfs.agents.read_key(agent.id) == self._key
        except OSError:
            return False

    def _registering(self, existing: Agent | None) -> Actor:
        if existing is not None and self._is_verified(existing):
            return Actor(ActorKind.AGENT, existing.id, DOOR, peer=self._identity.peer)
        return Actor(ActorKind.PERSON, self._agentfs.guard.settings.user, DOOR, peer=self._identity.peer)

    def _is_verified(self, agent: Agent) -> bool:
        if not self._key and not self._identity.own_files:
            return False
        return is_verified(self._agentfs.agents, agent, self._key)

    def _session(self, agent: Agent) -> str | None:
        if not self._looked_for_session:
            self._looked_for_session = True
            # One that is over or gone by now is no reason to refuse the agent's work.
            with suppress(InvalidInput):
                self._session_id = open_session(self._agentfs, agent, self._identity.session, demanded=False)
        return self._session_id
