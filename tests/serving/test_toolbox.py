"""The tools of agents, without any protocol: what each does, who may do it, and that nothing is half done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tools_at_work import Bench, bench

from core.agent_model import Actor, ActorKind, AuditFilters
from core.serving.caller import Identity
from core.serving.tool_calls import tools
from core.serving.toolbox import Toolbox
from tests.agentfs.canaries import new_canary

TOOLS = [
    "register", "heartbeat", "state_get", "state_put", "state_list", "send", "inbox", "lease", "search", "show", "note",
    "session", "conflicts", "rule_conflict",
]  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One workspace for all tests here: each uses agents of its own."""
    with bench(tmp_path_factory.mktemp("toolbox") / "w") as opened:
        yield opened


def retire(work: Bench, *names: str) -> None:
    for name in names:
        work.workspace.agentfs.agents.retire(name, by=work.workspace.person)


def test_there_are_exactly_fourteen_and_their_list_is_short() -> None:
    assert list(tools()) == TOOLS
    listed = [
        {"name": each.name, "description": each.description, "inputSchema": each.takes, "outputSchema": each.answers}
        for each in tools().values()
    ]
    assert len(json.dumps(listed, separators=(",", ":"))) < 7_000
    assert all(each.description and each.answers["properties"] for each in tools().values())


def test_no_tool_needs_the_protocols_library() -> None:
    heavy = {"mcp", "mcp_types", "pydantic", "starlette", "uvicorn", "duckdb", "numpy", "tantivy", "detect_secrets"}
    program = f"import sys, core.serving.tool_calls, tui.commands.mcp; print(sorted(set(sys.modules) & {heavy}))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"


def test_an_agent_registers_and_is_known_again(work: Bench) -> None:
    connection = work.connect()
    connection.caller.introduce("claude-code", "2.1")
    assert connection.refused("state_list")["error"] == "No agent speaks on this connection yet."
    first = connection.told("register", name="nia", type="research", tools=["grep"], responsibilities=["src/**"])
    assert (first["created"], first["verified"], first["type"]) == (True, True, "research")
    assert connection.refused("register", name="other")["error"].startswith("This connection speaks for nia")
    again = work.connect().told("register", name="nia", tools=["find"])
    assert (again["id"], again["created"], again["type"]) == (first["id"], False, "research")
    agent = work.workspace.agentfs.agents.get("nia")
    assert (agent.door, agent.client) == ("mcp", "claude-code 2.1")
    assert (agent.tools, agent.responsibilities) == (("find",), ("src/**",))
    retire(work, "nia")
    assert connection.refused("state_list")["error"] == "nia was retired."
    assert connection.told("register", name="nia")["id"] != first["id"]
    retire(work, "nia")


def test_states_are_written_under_compare_and_set(work: Bench) -> None:
    scout = work.agent("scout")
    assert scout.told("state_put", key="plan", value={"step": 1}, expect=0) == {"key": "plan", "version": 1}
    lost = scout.refused("state_put", key="plan", value={"step": 2}, expect=0)
    assert (lost["version"], lost["value"]) == (1, {"step": 1})
    assert scout.told("state_put", key="plan", value=None, expect=1, expires_seconds=60)["version"] == 2
    got = scout.told("state_get", key="plan")
    assert (got["agent"], got["value"], got["version"]) == ("scout", None, 2)
    assert got["expires_at"]
    scout.told("state_put", key="plans/b", value=1)
    first = scout.told("state_list", limit=1)
    assert [each["key"] for each in first["states"]] == ["plan"]
    assert [each["key"] for each in scout.told("state_list", after=first["after"])["states"]] == ["plans/b"]
    assert scout.refused("state_get", key="nothing")["error"] == "scout has no state nothing."
    retire(work, "scout")


def got_id(work: Bench, name: str) -> str:
    return work.workspace.agentfs.agents.get(name).id


def test_another_agents_private_state_is_refused_and_a_shared_kind_is_read(work: Bench) -> None:
    scout, critic = work.agent("scout"), work.agent("critic")
    scout.told("state_put", key="plan", value="mine")
    denied = critic.refused("state_get", agent="scout", key="plan")
    assert (denied["reason"], denied["rule"]) == ("Private resource", "level")
    assert critic.told("state_list", agent="scout")["states"] == []
    noted = scout.told("note", title="Cache", text="The cache is cold after a start.", kind="research_finding")
    assert noted["key"].startswith("findings/cache")
    read = critic.told("state_get", agent="scout", key=noted["key"])
    assert read["value"] == {"title": "Cache", "text": "The cache is cold after a start."}
    assert read["kind"] == "research_finding"
    assert "redacted" not in read
    retire(work, "scout", "critic")


def test_a_redacted_value_says_so(work: Bench) -> None:
    tom = Actor(ActorKind.PERSON, "tom", "cli")
    toms = work.workspace.agentfs.agents.register("visitor", "research", owner="tom", by=tom).agent
    visitor, scout = work.connect(Identity(toms.id, work.key_of("visitor"))), work.agent("scout")
    visitor.told("state_put", key="findings/who", value={"text": "ask mara@lighthouse.dev"})
    read = scout.told("state_get", agent="visitor", key="findings/who")
    assert (read["value"], read["redacted"]) == ({"text": "ask <email-1>"}, True)
    assert scout.told("state_list", agent="visitor")["states"][0]["key"] == "findings/who"
    retire(work, "scout", "visitor")


def test_messages_come_until_they_are_marked(work: Bench) -> None:
    scout, critic = work.agent("scout"), work.agent("critic", type="validation")
    sent = scout.told("send", to="type:validation", content="look at src/cache.py", importance="high")
    scout.told("send", to="critic", content={"file": "b.py"}, reply_to=sent["id"])
    assert critic.told("heartbeat")["unread"] == 2
    found = critic.told("inbox", limit=1)
    assert found["unread"] == 2
    assert found["messages"][0] | {"sent_at": ""} == {
        "id": sent["id"], "sender": "scout", "type": "note", "content": "look at src/cache.py", "sent_at": "",
        "status": "delivered", "importance": "high",
    }  # fmt: skip
    rest = critic.told("inbox", ack=[sent["id"]])
    assert [each["content"] for each in rest["messages"]] == [{"file": "b.py"}]
    assert rest["messages"][0]["thread"] == sent["thread"]
    assert critic.told("inbox", read=[rest["messages"][0]["id"]]) == {"messages": [], "unread": 0}
    assert len(critic.told("inbox", all=True)["messages"]) == 2
    assert critic.refused("inbox", read=["nothing"])["error"].endswith("was sent no message nothing.")
    assert scout.refused("send", to="nobody", content="x")["error"] == "There is no agent nobody."
    retire(work, "scout", "critic")


def test_a_lease_keeps_others_off(work: Bench) -> None:
    scout, critic = work.agent("scout"), work.agent("critic")
    taken = scout.told("lease", action="take", resource="src/**", seconds=60, reason="a rename")
    assert taken["leases"][0] | {"seconds_left": 60} == {
        "resource": "src/**", "agent": "scout", "mode": "exclusive", "seconds_left": 60, "reason": "a rename",
    }  # fmt: skip
    held = critic.refused("lease", action="take", resource="src/a.py")
    assert held["holder"] == "scout"
    assert held["seconds_left"] <= 60
    assert critic.refused("lease", action="renew", resource="src/**")["error"] == "You hold no lease on src/**."
    assert scout.told("lease", action="renew", resource="src/**", seconds=500)["leases"][0]["seconds_left"] > 400
    assert len(critic.told("lease", action="list")["leases"]) == 1
    assert scout.told("lease", action="release", resource="src/**")["leases"][0]["seconds_left"] == 0
    assert critic.told("lease", action="take", resource="src/a.py", shared=True)["leases"][0]["mode"] == "shared"
    assert critic.refused("lease", action="take")["error"] == "No resource is named."
    retire(work, "scout", "critic")


def test_a_note_is_found_at_once_and_replaced_under_its_title(work: Bench) -> None:
    scout, critic = work.agent("scout"), work.agent("critic")
    told = {"title": "Retry policy", "library": "kettle", "version": "2.1", "language": "python"}
    noted = scout.told("note", text="# How\n\nWaterfall retries thrice.\n\n# Why\n\nPipes drop.", **told)
    work.settle()
    found = critic.told("search", query="waterfall", version="2.1", library="kettle")
    assert [(each["title"], each["text"]) for each in found["hits"]] == [
        ("Retry policy › How", "Waterfall retries thrice.")
    ]
    assert found["hits"][0]["matched"] == "exact"
    whole = critic.told("show", id=noted["id"])
    assert [each["title"] for each in whole["shown"]] == ["Retry policy › How", "Retry policy › Why"]
    assert (whole["passages"], whole["library"], whole["version"]) == (2, "kettle", "2.1")
    assert [each["text"] for each in critic.told("show", id=f"{noted['id']}:1")["shown"]] == ["Pipes drop."]
    assert critic.told("show", id=noted["id"], start=1, count=1)["shown"][0]["id"] == f"{noted['id']}:1"
    again = scout.told("note", text="Waterfall retries twice.", **told)
    assert (again["id"], again["version"]) == (noted["id"], 2)
    work.settle()
    hits = critic.told("search", query="waterfall retries")["hits"]
    assert [each["text"] for each in hits] == ["Waterfall retries twice."]
    assert scout.refused("note", title="Empty", text="<!-- nothing -->")["error"].startswith("The note holds no text")
    searches = work.workspace.agentfs.audit.matching(AuditFilters(actor=got_id(work, "critic"), action="search"))
    assert len(searches) == 2
    retire(work, "scout", "critic")


def test_a_secret_note_is_sealed_and_given_to_no_other_agent(work: Bench) -> None:
    scout, critic = work.agent("scout"), work.agent("critic")
    canary = new_canary()
    noted = scout.told("note", title="Deploying", text=f"Zeppelin deploys with {canary} alone.")
    assert (noted["sealed"], noted["sensitive"]) == (True, "secret")
    assert canary in scout.told("show", id=noted["id"])["shown"][0]["text"]
    assert critic.refused("show", id=noted["id"])["rule"] == "secret_found"
    work.settle()
    assert critic.told("search", query="zeppelin deploys")["hits"] == []
    finding = scout.told("note", title="Key", text=canary, kind="research_finding")
    assert finding["sealed"]
    assert critic.refused("state_get", agent="scout", key=finding["key"])["reason"] == "Private resource"
    assert "names are never sealed" in scout.refused("note", title=canary, text="x")["error"]
    assert canary not in json.dumps(scout.refused("show", id=canary))
    scout.told("note", title="Deploying", text="Zeppelin deploys with a key from the vault.")
    work.settle()
    assert len(critic.told("search", query="zeppelin deploys")["hits"]) == 1
    assert canary.encode() not in (work.workspace.root / "agentfs.db").read_bytes()
    retire(work, "scout", "critic")


def test_a_session_counts_what_is_done_in_it(work: Bench) -> None:
    scout = work.agent("scout")
    assert scout.refused("session", action="show")["error"] == "No session is open on this connection."
    begun = scout.told("session", action="start", title="the morning")
    scout.told("state_put", key="plan", value=1)
    assert scout.told("session", action="show")["states"] == 1
    other = scout.told("session", action="start", title="the evening")
    assert work.workspace.agentfs.sessions.get(begun["id"]).ended_at is not None
    assert scout.told("session", action="end")["ended_at"]
    scout.refused("session", action="show")
    third = scout.told("session", action="start")
    scout.caller.leave()
    ended = [work.workspace.agentfs.sessions.get(each["id"]).ended_at is not None for each in (other, third)]
    assert ended == [True, True]
    retire(work, "scout")


def test_who_shows_no_key_is_marked_and_reads_nothing_private(work: Bench) -> None:
    scout, critic = work.agent("scout", type="research"), work.agent("critic")
    scout.told("state_put", key="plan", value="mine")
    critic.told("send", to="scout", content="for your eyes")
    claiming = work.connect(Identity("scout"))
    assert claiming.refused("state_get", key="plan")["reason"] == "The agent showed no key"
    claiming.refused("inbox")
    registered = claiming.told("register", name="scout", type="poc", tools=["everything"])
    assert (registered["verified"], registered["type"], registered["unread"]) == (False, "research", 0)
    assert work.workspace.agentfs.agents.get("scout").tools == ()
    claiming.told("send", to="critic", content="trust me")
    message = critic.told("inbox")["messages"][0]
    assert (message["sender"], message["verified"]) == ("scout", False)
    claiming.told("state_put", key="plan", value="forged")
    trail = work.workspace.agentfs.audit
    written = trail.at(list(trail.matching(AuditFilters(actor=got_id(work, "scout"), action="state.put"))))
    assert [each.verified for each in written] == [True, False]
    assert claiming.refused("note", title="A note", text="by nobody")["rule"] == "verified"
    retire(work, "scout", "critic")


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        (Identity("scout", "a wrong key"), "The key shown is not the one of scout."),
        (Identity("scout", "a wrong key", own_files=True), "The key shown is not the one of scout."),
        (Identity("nobody", "a key"), "There is no agent nobody."),
        (Identity("nobody"), "There is no agent nobody."),
        (Identity("ada", own_files=True), "ada is the person's own name here."),
    ],
)
def test_a_forged_identity_gets_nothing(work: Bench, identity: Identity, said: str) -> None:
    scout = work.agent("scout")
    forging = work.connect(identity)
    for tool, arguments in (("state_list", {}), ("send", {"to": "scout", "content": "x"}), ("search", {"query": "x"})):
        assert forging.refused(tool, **arguments)["error"] == said
    assert scout.told("inbox")["messages"] == []
    retire(work, "scout")


def test_the_person_is_no_agent(work: Bench) -> None:
    work.agent("scout").told("send", to="person", content="hello")
    assert work.connect(Identity("ada", own_files=True)).refused("inbox")["error"].startswith("ada is the person here")
    assert work.connect().refused("register", name="ada")["error"].startswith("ada is the person's own name")
    retire(work, "scout")


def test_a_connection_without_memory_binds_no_agent(work: Bench) -> None:
    fleeting = work.connect(Identity(lasting=False))
    assert "remembered" in fleeting.refused("register", name="scout")["error"]
    scout = work.agent("scout")
    scout.told("state_put", key="plan", value=1)
    by_key = work.connect(Identity(got_id(work, "scout"), work.key_of("scout"), lasting=False))
    assert by_key.told("state_get", key="plan")["value"] == 1
    assert by_key.told("register", name="scout")["verified"] is True
    retire(work, "scout")


def test_who_waits_for_a_place_is_told_which(work: Bench) -> None:
    names = [f"worker {number}" for number in range(8)]
    for name in names:
        work.agent(name)
    waiting = work.connect()
    told = waiting.told("register", name="late")
    assert told["place"] == 1
    assert "8 agents" in told["waits"]
    assert waiting.refused("state_put", key="plan", value=1)["place"] == 1
    assert waiting.told("heartbeat")["place"] == 1
    retire(work, "late", *names)


def test_arguments_that_do_not_fit_are_told_in_a_sentence(work: Bench) -> None:
    scout = work.agent("scout")
    assert scout.refused("state_put", key="k")["error"] == "The call does not fit: state_put lacks value."
    assert "takes no 'colour'" in scout.refused("state_list", colour="red")["error"]
    assert "limit must be of type int" in scout.refused("search", query="x", limit="five")["error"]
    assert "must be one of take, renew, release, list" in scout.refused("lease", action="grab")["error"]
    assert scout.told("search", query="x", library=None, limit=None)["hits"] == []
    retire(work, "scout")


WORDS = st.sampled_from(
    [
        "fuzz",
        "",
        "plan",
        "src/**",
        "resource:db",
        "everyone",
        "type:",
        "person",
        "ada",
        "a\0b",
        "\ud800",
        "../x",
        "x" * 600,
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A call of some tool: of its own arguments most, each with the right type about every other time."""
    shape = tools()[draw(st.sampled_from(TOOLS))]
    arguments: dict[str, Any] = {}
    for name, schema in shape.takes["properties"].items():
        if name in shape.takes.get("required", ()) or draw(st.booleans()):
            fitting = {
                "string": st.sampled_from(schema["enum"]) if "enum" in schema else WORDS | st.text(max_size=20),
                "integer": st.integers(-1, 300) | st.integers(),
                "number": st.floats(),
                "boolean": st.booleans(),
                "array": st.lists(WORDS, max_size=3),
            }.get(schema["type"] if isinstance(schema["type"], str) else "", VALUES)
            arguments[name] = draw(fitting | VALUES)
    if draw(st.integers(0, 9)) == 0:
        arguments[draw(st.text(max_size=5))] = draw(VALUES)
    return shape.name, arguments


@settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(call=calls())
def test_whatever_is_asked_for_is_done_or_refused_whole(work: Bench, call: tuple[str, dict[str, Any]]) -> None:
    fuzz = work.connect(Identity("fuzz", own_files=True))
    fuzz.told("heartbeat")
    agentfs = work.workspace.agentfs
    before = agentfs.items.position(), agentfs.messages.count()
    outcome = fuzz(call[0], **call[1])
    json.dumps(outcome.document)
    assert "Something broke" not in outcome.text
    if outcome.failed:
        assert (agentfs.items.position(), agentfs.messages.count()) == before
        assert "\n" not in outcome.document["error"]


def test_the_tools_are_the_public_methods() -> None:
    assert [name for name, each in vars(Toolbox).items() if not name.startswith("_") and callable(each)] == TOOLS
