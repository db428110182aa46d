"""Several agents' states, messages and leases beside a plain model of them, over any course of events."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from acting import ADA, pass_time
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.agent_model import Actor, ActorKind, LeaseMode, Message, MessageStatus, StateOperation
from core.agentfs.agentfs import AgentFS
from core.errors import BailiwickError, InvalidInput, LeaseHeld, NotFound, StateConflict
from core.model import JSONValue

NAMES = ("nia", "sam", "kim")
TYPES = {"nia": "poc", "sam": "poc", "kim": "research"}
RESOURCES = ("src/**", "src/a", "src/*/b", "docs/a", "resource:db")
CLASHES = {("src/**", "src/a"), ("src/**", "src/*/b")} | {(each, each) for each in RESOURCES}
STEPS = list(MessageStatus)
CHARGED = """
SELECT state_bytes AS charged, (SELECT coalesce(sum(size), 0) FROM agent_states s WHERE s.agent_id = a.id) AS held
FROM agents a
"""

names, keys, resources = st.sampled_from(NAMES), st.sampled_from(["a", "b"]), st.sampled_from(RESOURCES)
values: st.SearchStrategy[JSONValue] = st.sampled_from([None, 1, 1.0, "x", [True], {"a": {}}])
# The model's clock moves by two hundreds; what takes real time while a test runs never makes up for the fifty between.
lifetimes = st.sampled_from([None, 150, 350])


@dataclass
class Kept:
    """A state: every version's operation and value, and when the newest one ends."""

    versions: list[tuple[StateOperation, JSONValue]] = field(default_factory=list)
    there: bool = False
    ends: float | None = None

    def alive(self, clock: float) -> bool:
        return self.there and (self.ends is None or self.ends > clock)

    def current(self, clock: float) -> int:
        return len(self.versions) if self.alive(clock) else 0

    def end_if_expired(self, clock: float) -> bool:
        if not self.there or self.alive(clock):
            return False
        self.versions.append((StateOperation.EXPIRE, None))
        self.there, self.ends = False, None
        return True

    def write(self, operation: StateOperation, value: JSONValue, clock: float, lifetime: float | None = None) -> None:
        self.end_if_expired(clock)
        self.versions.append((operation, value))
        self.there = operation is not StateOperation.DELETE
        self.ends = clock + lifetime if lifetime is not None else None


@dataclass
class Claim:
    id: str
    name: str
    resource: str
    mode: LeaseMode
    seconds: int
    ends: float


@dataclass
class Sent:
    id: str
    content: JSONValue
    reached: dict[str, MessageStatus]


class Machine(RuleBasedStateMachine):
    """What is done to AgentFS and to the model; refusals must be the same, and so must everything that can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="bailiwick-machine-"))
        self.agentfs = AgentFS(self.root)
        self.clock = 0.0
        self.ids: dict[str, str] = {}
        self.states: dict[tuple[str, str], Kept] = {}
        self.claims: list[Claim] = []
        self.log: list[Sent] = []

    def teardown(self) -> None:
        try:
            verdict = self.agentfs.audit_check.verify()
            assert (verdict.integrity, verdict.completeness) == ((), ())
            for row in self.agentfs.database.connection().execute(CHARGED):
                assert row["charged"] == row["held"]
        finally:
            self.agentfs.close()
            shutil.rmtree(self.root)

    def acting(self, name: str) -> Actor:
        return Actor(ActorKind.AGENT, self.ids[name], "mcp")

    def kept(self, name: str, key: str) -> Kept:
        return self.states.setdefault((self.ids[name], key), Kept())

    @initialize()
    def begin(self) -> None:
        for name in NAMES:
            self.come(name)

    def come(self, name: str) -> None:
        registration = self.agentfs.agents.register(name, TYPES[name], owner="ada", by=ADA)
        assert registration.created is (name not in self.ids)
        self.ids[name] = registration.agent.id

    @rule(name=names)
    def register_again(self, name: str) -> None:
        self.come(name)

    @rule(name=names)
    def retire_and_succeed(self, name: str) -> None:
        old = self.ids.pop(name)
        self.agentfs.agents.retire(name, by=ADA)
        self.claims = [claim for claim in self.claims if claim.name != name]
        self.come(name)
        assert self.ids[name] != old

    @rule()
    def time_passes(self) -> None:
        pass_time(self.agentfs.database, 200)
        self.clock += 200

    # States

    @rule(
        name=names,
        key=keys,
        value=values,
        lifetime=lifetimes,
        expect=st.sampled_from(["nothing", "the current", "another"]),
    )
    def put(self, name: str, key: str, value: JSONValue, lifetime: int | None, expect: str) -> None:
        kept = self.kept(name, key)
        current = kept.current(self.clock)
        expected = {"nothing": None, "the current": current, "another": current + 1}[expect]
        by = self.acting(name)
        if expect == "another":
            with pytest.raises(StateConflict) as lost:
                self.agentfs.states.put(name, key, value, by=by, expect=expected, expires_in=lifetime)
            held = kept.versions[-1][1] if current else None
            assert lost.value.facts == {"version": current, "value": held}
            return
        state = self.agentfs.states.put(name, key, value, by=by, expect=expected, expires_in=lifetime)
        kept.write(StateOperation.PUT, value, self.clock, lifetime)
        assert state.version == len(kept.versions)

    @rule(name=names, key=keys)
    def delete(self, name: str, key: str) -> None:
        kept = self.kept(name, key)
        if not kept.alive(self.clock):
            with pytest.raises(NotFound):
                self.agentfs.states.delete(name, key, by=self.acting(name))
            return
        kept.write(StateOperation.DELETE, None, self.clock)
        assert self.agentfs.states.delete(name, key, by=self.acting(name)) == len(kept.versions)

    @rule(name=names, key=keys, version=st.integers(1, 6))
    def restore(self, name: str, key: str, version: int) -> None:
        kept = self.kept(name, key)
        there = version <= len(kept.versions) and kept.versions[version - 1][0] in (
            StateOperation.PUT,
            StateOperation.RESTORE,
        )
        if not there:
            with pytest.raises(NotFound):
                self.agentfs.states.restore(name, key, version, by=ADA)
            return
        kept.write(StateOperation.RESTORE, kept.versions[version - 1][1], self.clock)
        restored = self.agentfs.states.restore(name, key, version, by=ADA)
        assert (restored.version, restored.value) == (len(kept.versions), kept.versions[-1][1])

    @rule()
    def expire(self) -> None:
        assert self.agentfs.states.expire() == sum(kept.end_if_expired(self.clock) for kept in self.states.values())

    # Messages

    @rule(name=names, to=st.sampled_from([*NAMES, "everyone", "type:poc", "type:poet"]), content=values)
    def send(self, name: str, to: str, content: JSONValue) -> None:
        others = [each for each in NAMES if each != name]
        receivers = {
            "everyone": others,
            "type:poc": [each for each in others if TYPES[each] == "poc"],
            "type:poet": [],
        }.get(to, [to])
        if not receivers:
            with pytest.raises(NotFound):
                self.agentfs.messages.send(name, to, content, by=self.acting(name))
            return
        message = self.agentfs.messages.send(name, to, content, by=self.acting(name))
        self.log.append(Sent(message.id, content, {self.ids[each]: MessageStatus.QUEUED for each in receivers}))
        assert message.sequence == len(self.log)

    def tell(self, claim: Claim) -> None:
        text = f"Your lease on {claim.resource} has run out."
        content: JSONValue = {"resource": claim.resource, "lease": claim.id, "text": text}
        sequence = len(self.log) + 1
        (message,) = self.agentfs.messages.page(sequence, sequence)
        self.log.append(Sent(message.id, content, {self.ids[claim.name]: MessageStatus.QUEUED}))

    @rule(name=names, limit=st.integers(1, 4), unread_only=st.booleans())
    def inbox(self, name: str, limit: int, unread_only: bool) -> None:
        mine = self.ids[name]
        given = [
            sent
            for sent in self.log
            if mine in sent.reached and not (unread_only and STEPS.index(sent.reached[mine]) >= 2)
        ][:limit]
        for sent in given:
            if sent.reached[mine] is MessageStatus.QUEUED:
                sent.reached[mine] = MessageStatus.DELIVERED
        got = self.agentfs.messages.inbox(name, by=self.acting(name), limit=limit, unread_only=unread_only)
        assert [message.id for message in got] == [sent.id for sent in given]

    @precondition(lambda self: self.log)
    @rule(name=names, which=st.integers(0, 100), status=st.sampled_from(STEPS))
    def mark(self, name: str, which: int, status: MessageStatus) -> None:
        mine, sent = self.ids[name], self.log[which % len(self.log)]
        refused: type[BailiwickError] | None = None
        if status is MessageStatus.QUEUED:
            refused = InvalidInput
        elif mine not in sent.reached:
            refused = NotFound
        if refused is not None:
            with pytest.raises(refused):
                self.agentfs.messages.mark(name, [sent.id], status, by=self.acting(name))
            return
        sent.reached[mine] = max(sent.reached[mine], status, key=STEPS.index)
        self.agentfs.messages.mark(name, [sent.id], status, by=self.acting(name))

    # Leases

    def end_claims(self) -> int:
        """What has run out ends in the order in which it was written down, and its holders hear of it."""
        ended = [claim for claim in self.claims if claim.ends <= self.clock]
        told = [message.content for message in self.told()]
        order = [content["lease"] for content in told if isinstance(content, dict)]
        for claim in sorted(ended, key=lambda each: order.index(each.id)):
            self.tell(claim)
        self.claims = [claim for claim in self.claims if claim not in ended]
        return len(ended)

    def told(self) -> list[Message]:
        """The notices that are in the log and not yet in the model."""
        return [
            message
            for message in self.agentfs.messages.page(len(self.log) + 1, self.agentfs.messages.count())
            if message.type == "lease.expired"
        ]

    @rule(name=names, resource=resources, mode=st.sampled_from(LeaseMode), seconds=st.sampled_from([150, 350]))
    def take(self, name: str, resource: str, mode: LeaseMode, seconds: int) -> None:
        held = [claim for claim in self.claims if claim.ends > self.clock]
        clash = any(
            claim.name != name
            and LeaseMode.EXCLUSIVE in (claim.mode, mode)
            and ({(claim.resource, resource), (resource, claim.resource)} & CLASHES)
            for claim in held
        )
        if clash:
            with pytest.raises(LeaseHeld):
                self.agentfs.leases.take(name, resource, by=self.acting(name), mode=mode, seconds=seconds)
            return
        lease = self.agentfs.leases.take(name, resource, by=self.acting(name), mode=mode, seconds=seconds)
        self.end_claims()
        own = next((claim for claim in held if (claim.name, claim.resource) == (name, resource)), None)
        if own is not None:
            assert lease.id == own.id
            own.mode, own.seconds, own.ends = mode, seconds, self.clock + seconds
        else:
            self.claims.append(Claim(lease.id, name, resource, mode, seconds, self.clock + seconds))

    @rule(name=names, resource=resources)
    def release(self, name: str, resource: str) -> None:
        own = [
            claim
            for claim in self.claims
            if (claim.name, claim.resource) == (name, resource) and claim.ends > self.clock
        ]
        if not own:
            with pytest.raises(NotFound):
                self.agentfs.leases.release(name, resource, by=self.acting(name))
            return
        self.agentfs.leases.release(name, resource, by=self.acting(name))
        self.end_claims()
        self.claims.remove(own[0])

    @rule(name=names)
    def heartbeat(self, name: str) -> None:
        self.agentfs.agents.heartbeat(name, by=self.acting(name))
        for claim in self.claims:
            if claim.name == name and claim.ends > self.clock:
                claim.ends = self.clock + claim.seconds

    @rule()
    def end_expired(self) -> None:
        count = self.agentfs.leases.end_expired()
        assert count == self.end_claims()

    # What can be read

    @invariant()
    def states_are_those_of_the_model(self) -> None:
        for name, agent_id in self.ids.items():
            expected = {
                key: (len(kept.versions), repr(kept.versions[-1][1]))
                for (owner, key), kept in self.states.items()
                if owner == agent_id and kept.alive(self.clock)
            }
            held = self.agentfs.states.all(name)
            assert {state.key: (state.version, repr(state.value)) for state in held} == expected
        for (agent_id, key), kept in self.states.items():
            if kept.versions:
                history = self.agentfs.states.history(agent_id, key)
                assert [entry.operation for entry in reversed(history)] == [each for each, _ in kept.versions]

    @invariant()
    def the_log_is_that_of_the_model(self) -> None:
        messages = self.agentfs.messages.page(1, len(self.log) + 1)
        slowest = [min(sent.reached.values(), key=STEPS.index) for sent in self.log]
        assert [(message.id, message.content) for message in messages] == [(sent.id, sent.content) for sent in self.log]
        assert [message.status for message in messages] == slowest
        for overview in self.agentfs.agents.all():
            unread = sum(STEPS.index(sent.reached.get(overview.agent.id, STEPS[-1])) < 2 for sent in self.log)
            assert overview.unread == unread

    @invariant()
    def leases_are_those_of_the_model(self) -> None:
        held = {lease.id: (lease.agent, lease.resource, lease.mode) for lease in self.agentfs.leases.held()}
        expected = {
            claim.id: (claim.name, claim.resource, claim.mode) for claim in self.claims if claim.ends > self.clock
        }
        assert held == expected


TestStatesMessagesAndLeases = Machine.TestCase
TestStatesMessagesAndLeases.settings = settings(max_examples=120, stateful_step_count=50, deadline=None)
