"""The agent registry: identity and keys, what agents may be called, signs of life, places and the line for them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from acting import ADA, join, pass_time, reopened

from core.agent_model import Actor, ActorKind, Admission, AgentStatus
from core.agentfs.agentfs import AgentFS
from core.agentfs.policy import AgentPolicy
from core.errors import InvalidInput, NotAdmitted, NotFound
from core.model import JSONObject, JSONValue
from tests.agentfs.canaries import new_canary

TWO_PLACES = AgentPolicy(max_agents=2)


def names_of(agentfs: AgentFS, admission: Admission) -> list[str]:
    """The names of all agents with that admission, the waiting ones in the order of the line."""
    agents = [overview.agent for overview in agentfs.agents.all(retired=True)]
    chosen = [agent for agent in agents if agent.admission is admission]
    return [agent.name for agent in sorted(chosen, key=lambda agent: agent.place or 0)]


# Identity and keys


def test_nothing_that_is_declared_holds_a_secret(agentfs: AgentFS) -> None:
    canary = new_canary()
    declared: list[JSONObject] = [
        {"note": canary},
        {"note": f"x\n{canary}"},
        {"note": 'Fernet("Ophd6vBrQfWzgx05bardENOwcG-4XgW53C5bLMViBeZ=")'},
        {"deep": [{canary: 1}]},
    ]
    for capabilities in declared:
        with pytest.raises(InvalidInput, match="holds a secret"):
            agentfs.agents.register("nia", "research", capabilities, owner="ada", by=ADA)
    with pytest.raises(InvalidInput, match="The client's name holds a secret"):
        agentfs.agents.register("nia", "research", owner="ada", by=ADA, client=canary)
    assert agentfs.agents.all() == []


def test_registering_again_keeps_id_and_key_and_notes_what_is_new(agentfs: AgentFS) -> None:
    first = agentfs.agents.register("nia", "research", {"tools": ["search"]}, owner="ada", by=ADA, client="one")
    key = agentfs.agents.read_key(first.agent.id)
    agentfs.agents.heartbeat("nia", by=ADA, tool="search")
    again = agentfs.agents.register("nia", "validation", {"tools": {"run": {}}}, owner="ada", by=ADA, client="two")
    assert (first.created, again.created) == (True, False)
    assert again.agent.id == first.agent.id
    assert again.key_path == first.key_path
    assert agentfs.agents.read_key(first.agent.id) == key
    assert (again.agent.type, again.agent.tools, again.agent.client) == ("validation", ("run",), "two")
    assert (again.agent.status, again.agent.current_tool) == (AgentStatus.ACTIVE, "")
    assert again.agent.created_at == first.agent.created_at
    assert len(agentfs.agents.all()) == 1


def test_registering_again_without_capabilities_keeps_those_declared(agentfs: AgentFS) -> None:
    agentfs.agents.register("nia", "research", {"responsibilities": ["src/**"]}, owner="ada", by=ADA, client="one")
    again = agentfs.agents.register("nia", "research", owner="ada", by=ADA).agent
    assert again.responsibilities == ("src/**",)
    assert again.client == "one"


def test_an_identity_outlives_the_process(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy()) as agentfs:
        nia = join(agentfs, "nia")
        key = agentfs.agents.read_key(nia.id)
    with reopened(tmp_path, AgentPolicy()) as agentfs:
        assert join(agentfs, "nia") == nia
        assert agentfs.agents.verify_key(nia.id, key)


def test_a_key_file_belongs_to_its_owner_alone(agentfs: AgentFS) -> None:
    registration = agentfs.agents.register("nia", "research", owner="ada", by=ADA)
    path = Path(registration.key_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.read_text().strip() == agentfs.agents.read_key(registration.agent.id)


def test_only_an_agents_own_key_is_accepted(agentfs: AgentFS) -> None:
    nia, sam = join(agentfs, "nia"), join(agentfs, "sam")
    key = agentfs.agents.read_key(nia.id)
    assert len(key) >= 32
    assert agentfs.agents.verify_key(nia.id, key)
    for wrong in ("", key[:-1], key + "x", "é", agentfs.agents.read_key(sam.id)):
        assert not agentfs.agents.verify_key(nia.id, wrong)
    assert not agentfs.agents.verify_key("nobody", key)
    assert not agentfs.agents.verify_key(agentfs.agents.person_id("ada"), "")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(agentfs: AgentFS, mode: int) -> None:
    nia = join(agentfs, "nia")
    agentfs.agents.key_path(nia.id).chmod(mode)
    with pytest.raises(InvalidInput, match="Others may read") as refusal:
        agentfs.agents.read_key(nia.id)
    assert refusal.value.hint == f"chmod 600 {agentfs.agents.key_path(nia.id)}"


def test_a_lost_key_is_made_anew_when_its_agent_registers_again(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    lost = agentfs.agents.read_key(nia.id)
    agentfs.agents.key_path(nia.id).unlink()
    assert agentfs.agents.read_key(nia.id) == ""
    assert join(agentfs, "nia") == nia
    made = agentfs.agents.read_key(nia.id)
    assert agentfs.agents.verify_key(nia.id, made)
    assert not agentfs.agents.verify_key(nia.id, lost)
    assert stat.S_IMODE(agentfs.agents.key_path(nia.id).stat().st_mode) == 0o600


@pytest.mark.parametrize("held", [b"", b"another\n", b"\xff\xfe"])
def test_a_key_file_that_does_not_fit_is_made_anew_too(agentfs: AgentFS, held: bytes) -> None:
    nia = join(agentfs, "nia")
    agentfs.agents.key_path(nia.id).write_bytes(held)
    join(agentfs, "nia")
    assert agentfs.agents.verify_key(nia.id, agentfs.agents.read_key(nia.id))


# Names, types, capabilities


@pytest.mark.parametrize("name", ["nia", "Nia 2", "résumé", "a.b+c-d_e", "日本", "x" * 64])
def test_usable_names(agentfs: AgentFS, name: str) -> None:
    agentfs.agents.register(name, "research", owner="ada", by=ADA)
    assert agentfs.agents.get(name).name == name


@pytest.mark.parametrize(
    "name", ["", " nia", "-nia", "a/b", "a\nb", "nia\n", "x" * 65, "type:x", "person", "Everyone", "all", "\ud800"]
)
def test_unusable_names(agentfs: AgentFS, name: str) -> None:
    with pytest.raises(InvalidInput):
        agentfs.agents.register(name, "research", owner="ada", by=ADA)
    assert agentfs.agents.all() == []


@pytest.mark.parametrize("kind", ["", "Research", "a b", "1st", "person", "x" * 33, "research\n"])
def test_unusable_types(agentfs: AgentFS, kind: str) -> None:
    with pytest.raises(InvalidInput, match="type"):
        agentfs.agents.register("nia", kind, owner="ada", by=ADA)


def nested(depth: int) -> JSONObject:
    value: dict[str, JSONValue] = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "capabilities",
    [
        {"tools": "search"},
        {"responsibilities": "src/**"},
        {"responsibilities": {"src/**": True}},
        {"load": float("nan")},
        {"note": "\ud800"},
        {"much": "x" * 70_000},
        nested(5000),
    ],
    ids=["tools", "text", "object", "nan", "surrogate", "large", "deep"],
)
def test_unusable_capabilities(agentfs: AgentFS, capabilities: JSONObject) -> None:
    with pytest.raises(InvalidInput, match="capabilities"):
        agentfs.agents.register("nia", "research", capabilities, owner="ada", by=ADA)
    assert agentfs.agents.all() == []


def test_an_unknown_agent_is_refused_naming_those_that_are_here(agentfs: AgentFS) -> None:
    with pytest.raises(NotFound, match="There is no agent sam") as refusal:
        agentfs.agents.get("sam")
    assert "register" in refusal.value.hint
    join(agentfs, "nia")
    with pytest.raises(NotFound) as refusal:
        agentfs.agents.get("sam")
    assert refusal.value.hint == "Here are: nia."


# Signs of life


def test_status_follows_heartbeats(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    assert agentfs.agents.get("nia").status is AgentStatus.ACTIVE
    busy = agentfs.agents.heartbeat("nia", by=nia, tool="search", note="reading")
    assert (busy.status, busy.current_tool, busy.note, busy.door) == (AgentStatus.BUSY, "search", "reading", "mcp")
    failed = agentfs.agents.heartbeat("nia", by=nia, status=AgentStatus.ERROR, note="no disk")
    assert (failed.status, failed.current_tool, failed.note) == (AgentStatus.ERROR, "", "no disk")
    assert agentfs.agents.heartbeat(nia.id, by=nia).status is AgentStatus.ACTIVE


def test_status_follows_calls(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    call = agentfs.sessions.begin_call("nia", "search", by=nia)
    busy = agentfs.agents.get("nia")
    assert (busy.status, busy.current_tool) == (AgentStatus.BUSY, "search")
    agentfs.states.put("nia", "k", 1, by=nia)
    assert agentfs.agents.get("nia").status is AgentStatus.BUSY
    agentfs.sessions.finish_call(call, by=nia, error="It broke.")
    failed = agentfs.agents.get("nia")
    assert (failed.status, failed.current_tool, failed.note) == (AgentStatus.ERROR, "", "It broke.")
    agentfs.states.put("nia", "k", 2, by=nia)
    assert agentfs.agents.get("nia").status is AgentStatus.ACTIVE


def test_an_agent_without_a_sign_of_life_is_inactive_until_the_next(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    agentfs.agents.heartbeat("nia", by=nia, tool="search")
    pass_time(agentfs.database, 119)
    assert agentfs.agents.get("nia").status is AgentStatus.BUSY
    pass_time(agentfs.database, 2)
    silent = agentfs.agents.get("nia")
    assert (silent.status, silent.current_tool, silent.admission) == (AgentStatus.INACTIVE, "", Admission.ADMITTED)
    agentfs.states.put("nia", "k", 1, by=nia)
    assert agentfs.agents.get("nia").status is AgentStatus.BUSY


def test_the_policy_says_when_silence_counts(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(idle_seconds=5)) as agentfs:
        join(agentfs, "nia")
        pass_time(agentfs.database, 6)
        assert agentfs.agents.get("nia").status is AgentStatus.INACTIVE


def test_a_list_counts_what_waits_and_what_is_held(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    session = agentfs.sessions.start("nia", by=nia)
    agentfs.messages.send("person", "nia", "one", by=ADA)
    read = agentfs.messages.send("person", "nia", "two", by=ADA)
    agentfs.messages.mark("nia", [read.id], read.status.READ, by=nia)
    agentfs.leases.take("nia", "src/**", by=nia)
    agentfs.leases.take("nia", "docs", by=nia, seconds=1)
    agentfs.states.put("nia", "kept", 1, by=nia)
    agentfs.states.put("nia", "deleted", 1, by=nia)
    agentfs.states.delete("nia", "deleted", by=nia)
    agentfs.states.put("nia", "expired", 1, by=nia, expires_in=1)
    pass_time(agentfs.database, 2)
    (overview,) = agentfs.agents.all()
    assert (overview.unread, overview.leases, overview.states) == (1, 1, 1)
    assert overview.session_id == session.id


# Places and the line


def test_places_are_given_in_the_order_of_coming(tmp_path: Path) -> None:
    with reopened(tmp_path, TWO_PLACES) as agentfs:
        for name in ("a", "b", "c", "d"):
            join(agentfs, name)
        assert names_of(agentfs, Admission.ADMITTED) == ["a", "b"]
        assert names_of(agentfs, Admission.WAITING) == ["c", "d"]
        waiting = agentfs.agents.get("d")
        assert (waiting.place, waiting.reason) == (2, "this machine allows 2 agents at once.")
        assert (agentfs.agents.get("a").place, agentfs.agents.get("a").reason) == (None, "")


def test_who_waits_is_refused_with_its_place(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(max_agents=1)) as agentfs:
        join(agentfs, "a")
        join(agentfs, "b")
        waiting = join(agentfs, "c")

        def put() -> object:
            return agentfs.states.put("c", "k", 1, by=waiting)

        def send() -> object:
            return agentfs.messages.send("c", "a", "hello", by=waiting)

        def take() -> object:
            return agentfs.leases.take("c", "src", by=waiting)

        for write in (put, send, take):
            with pytest.raises(NotAdmitted, match=r"c waits for a place, 2 in line: this machine allows 1 agent") as no:
                write()
            assert no.value.facts == {"place": 2}
            assert no.value.hint
        assert agentfs.states.all("c") == []
        assert agentfs.messages.count() == 0
        assert agentfs.leases.held() == []


def test_registering_again_keeps_the_place_in_line(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(max_agents=1)) as agentfs:
        for name in ("a", "b", "c", "b"):
            join(agentfs, name)
        assert names_of(agentfs, Admission.WAITING) == ["b", "c"]


def test_a_retired_agent_frees_its_place_and_the_next_hears_of_it(tmp_path: Path) -> None:
    with reopened(tmp_path, TWO_PLACES) as agentfs:
        a, _, c, d = (join(agentfs, name) for name in ("a", "b", "c", "d"))
        agentfs.agents.retire("a", by=ADA)
        assert names_of(agentfs, Admission.ADMITTED) == ["b", "c"]
        assert agentfs.agents.get("d").place == 1
        (told,) = agentfs.messages.inbox("c", by=c)
        assert (told.type, told.sender, told.sender_id) == ("agent.admitted", "bailiwick", None)
        assert agentfs.messages.inbox("d", by=d) == []
        agentfs.states.put("c", "k", 1, by=c)
        with pytest.raises(InvalidInput, match="retired"):
            agentfs.states.put("c", "k", 1, by=a)


def test_who_gets_a_place_at_once_is_not_written_to(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    assert agentfs.messages.inbox("nia", by=nia) == []


def test_an_idle_agent_yields_its_place_only_when_another_waits(tmp_path: Path) -> None:
    with reopened(tmp_path, TWO_PLACES) as agentfs:
        a, b = join(agentfs, "a"), join(agentfs, "b")
        pass_time(agentfs.database, 60)
        agentfs.agents.heartbeat("b", by=b)
        pass_time(agentfs.database, 61)
        agentfs.agents.places.admit_waiting()
        assert names_of(agentfs, Admission.ADMITTED) == ["a", "b"]
        c = join(agentfs, "c")
        assert names_of(agentfs, Admission.ADMITTED) == ["b", "c"]
        assert agentfs.agents.get("a").place == 1
        with pytest.raises(NotAdmitted):
            agentfs.states.put("a", "k", 1, by=a)
        agentfs.agents.retire("c", by=ADA)
        agentfs.agents.heartbeat("a", by=a)
        assert names_of(agentfs, Admission.ADMITTED) == ["a", "b"]
        assert [message.type for message in agentfs.messages.inbox("a", by=a)] == ["agent.admitted"]
        assert c.id not in {overview.agent.id for overview in agentfs.agents.all()}


def test_who_waits_without_a_sign_of_life_is_passed_over_but_not_forgotten(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(max_agents=1)) as agentfs:
        a, b, c = (join(agentfs, name) for name in ("a", "b", "c"))
        pass_time(agentfs.database, 121)
        agentfs.agents.heartbeat("a", by=a)
        agentfs.agents.heartbeat("c", by=c)
        assert names_of(agentfs, Admission.WAITING) == ["c", "b"]
        agentfs.agents.retire("a", by=ADA)
        assert names_of(agentfs, Admission.ADMITTED) == ["c"]
        agentfs.agents.retire("c", by=ADA)
        assert names_of(agentfs, Admission.ADMITTED) == []
        agentfs.agents.heartbeat("b", by=b)
        assert names_of(agentfs, Admission.ADMITTED) == ["b"]


def test_a_larger_machine_lets_in_those_who_wait(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(max_agents=1)) as agentfs:
        for name in ("a", "b", "c"):
            join(agentfs, name)
    with reopened(tmp_path, TWO_PLACES) as agentfs:
        agentfs.agents.places.admit_waiting()
        assert names_of(agentfs, Admission.ADMITTED) == ["a", "b"]


def test_people_take_no_place_and_are_in_no_list(tmp_path: Path) -> None:
    with reopened(tmp_path, AgentPolicy(max_agents=1)) as agentfs:
        first = join(agentfs, "a")
        agentfs.messages.send("person", "a", "hello", by=ADA)
        agentfs.messages.send("a", "person", "hello", by=first)
        assert [overview.agent.name for overview in agentfs.agents.all(retired=True)] == ["a"]
        agentfs.agents.retire("a", by=ADA)
        join(agentfs, "b")
        assert names_of(agentfs, Admission.ADMITTED) == ["b"]
        with pytest.raises(NotFound) as refusal:
            agentfs.agents.get("c")
        assert refusal.value.hint == "Here are: b."


def test_a_person_cannot_be_replaced_retired_or_kept_alive_like_an_agent(agentfs: AgentFS) -> None:
    join(agentfs, "nia")
    agentfs.messages.send("person", "nia", "hello", by=ADA)
    with pytest.raises(InvalidInput, match="person's own name"):
        join(agentfs, "ada")
    with pytest.raises(InvalidInput, match="person"):
        agentfs.agents.retire("ada", by=ADA)
    with pytest.raises(InvalidInput, match="person"):
        agentfs.agents.heartbeat("ada", by=ADA)
    agentfs.messages.send("nia", "person", "still here", by=join(agentfs, "nia"))
    assert agentfs.messages.unread("person", user_id="ada") == 1


def test_a_person_with_an_agents_name_is_told_apart(agentfs: AgentFS) -> None:
    eve = Actor(ActorKind.PERSON, "eve", "cli")
    agentfs.agents.register("ada", "research", owner="eve", by=eve)
    join(agentfs, "nia")
    message = agentfs.messages.send("person", "nia", "hello", by=ADA)
    assert message.sender == "ada (person)"
    assert agentfs.agents.get("ada").type == "research"


# Retiring


def test_retiring_ends_leases_and_sessions_and_frees_the_name(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    session = agentfs.sessions.start("nia", by=nia)
    agentfs.leases.take("nia", "src/**", by=nia)
    agentfs.states.put("nia", "k", 1, by=nia)
    retired = agentfs.agents.retire("nia", by=ADA, reason="its work is done")
    assert (retired.admission, retired.status, retired.note) == (
        Admission.RETIRED,
        AgentStatus.INACTIVE,
        "its work is done",
    )
    assert retired.retired_at is not None
    assert agentfs.leases.held() == []
    assert agentfs.sessions.get(session.id).ended_at is not None
    assert not agentfs.agents.key_path(nia.id).exists()
    assert agentfs.agents.all() == []
    for refused in (agentfs.agents.heartbeat, agentfs.agents.retire):
        with pytest.raises(InvalidInput, match=r"nia was retired \(its work is done\)"):
            refused(nia.id, by=ADA)
    successor = agentfs.agents.register("nia", "poc", owner="ada", by=ADA)
    assert successor.created
    assert successor.agent.id != nia.id
    assert agentfs.agents.get("nia").id == successor.agent.id
    assert agentfs.states.all("nia") == []
    assert agentfs.states.get(nia.id, "k").value == 1
    assert [overview.agent.id for overview in agentfs.agents.all(retired=True)] == [successor.agent.id, nia.id]


def test_a_call_that_ends_after_its_agent_was_retired_changes_nothing_about_it(agentfs: AgentFS) -> None:
    nia = join(agentfs, "nia")
    call = agentfs.sessions.begin_call("nia", "search", by=nia)
    agentfs.agents.retire("nia", by=ADA, reason="its work is done")
    finished = agentfs.sessions.finish_call(call, by=nia)
    assert finished.completed_at is not None
    retired = agentfs.agents.get(nia.id)
    assert (retired.status, retired.note) == (AgentStatus.INACTIVE, "its work is done")


def test_nobody_who_never_registered_can_write(agentfs: AgentFS) -> None:
    join(agentfs, "nia")
    stranger = Actor(ActorKind.AGENT, "stranger", "mcp")
    with pytest.raises(NotFound, match="There is no agent stranger"):
        agentfs.states.put("nia", "k", 1, by=stranger)
