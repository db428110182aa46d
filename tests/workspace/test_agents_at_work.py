"""Agents in an open workspace: changes of other processes are heard, time is kept, and every act leaves a record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engines import idle, opened, until, without_model

from core.agent_model import Actor, ActorKind
from core.config import with_flag
from core.engine import Duties
from core.events import AgentsChanged, AuditGrew, Event, MessagesChanged
from core.search.query import Query
from core.workspace import Workspace

OTHER = """
import sys
from pathlib import Path
from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
agentfs = AgentFS(Path(sys.argv[1]))
agent = agentfs.agents.register("scout", "research", owner="ada", by=Actor(ActorKind.PERSON, "ada", "cli")).agent
by = Actor(ActorKind.AGENT, agent.id, "cli")
agentfs.states.put("scout", "plan", {"step": 1}, by=by)
agentfs.messages.send("scout", "person", "hello", by=by)
agentfs.close()
"""


def actions(workspace: Workspace) -> list[str]:
    return [record.action for record in workspace.agentfs.audit.page(1, 10_000)]


def test_what_another_process_does_is_heard(tmp_path: Path) -> None:
    heard: list[Event] = []
    with opened(tmp_path / "w") as workspace:
        workspace.bus.subscribe(heard.append)
        subprocess.run([sys.executable, "-c", OTHER, str(tmp_path / "w")], check=True)
        until(lambda: any(isinstance(event, MessagesChanged) and event.count == 1 for event in heard), "the message")
        until(lambda: any(isinstance(event, AgentsChanged) for event in heard), "the agent")
        newest = workspace.agentfs.audit.head()[0]
        until(lambda: any(isinstance(event, AuditGrew) and event.position >= newest for event in heard), "the records")


def test_an_engine_ends_what_has_run_out_and_signs_the_head(tmp_path: Path) -> None:
    with opened(tmp_path / "w") as workspace:
        agentfs = workspace.agentfs
        agentfs.agents.register("scout", "research", owner=workspace.person.id, by=workspace.person)
        agentfs.states.put("scout", "hint", 1, by=workspace.person, expires_in=0.01)
        agentfs.leases.take("scout", "src/**", by=workspace.person, seconds=1)
        until(lambda: "state.expire" in actions(workspace), "the expiry")
        until(lambda: "lease.expire" in actions(workspace), "the lease's end")
        until(lambda: (tmp_path / "w" / "audit-head.json").exists(), "the signature")
    signed = json.loads((tmp_path / "w" / "audit-head.json").read_text())["head"]
    with opened(tmp_path / "w", duties=None) as workspace:
        assert (signed["position"], signed["hash"]) == workspace.agentfs.audit.head()
        assert workspace.agentfs.audit_check.verify().whole


def test_every_act_of_the_person_leaves_a_record(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kettle.md").write_text("# Kettle\n\nIt boils water.\n")
    root = tmp_path / "w"
    with opened(root) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        workspace.record_search(workspace.search(Query("kettle")))
        workspace.settings.put("theme", "light")
        workspace.remove(str(folder))
        records = workspace.agentfs.audit.page(1, 1000)
    person = {record.action for record in records if record.actor_kind is ActorKind.PERSON}
    assert {
        "source.add",
        "search.run",
        "setting.put",
        "document.delete",
        "source.remove",
        "configuration.change",
    } <= person
    assert any(record.action == "document.put" and record.actor_kind is ActorKind.ENGINE for record in records)
    assert "kettle" not in json.dumps([dict(record.details) for record in records])


def test_a_changed_setting_is_recorded_once(tmp_path: Path) -> None:
    root = tmp_path / "w"
    changed = with_flag(without_model(root), "search.limit", 7)
    for settings in (without_model(root), without_model(root), changed, changed):
        with opened(root, settings=settings):
            pass
    with opened(root, duties=None) as workspace:
        records = [each for each in workspace.agentfs.audit.page(1, 1000) if each.action == "configuration.change"]
    assert len(records) == 2
    digests = records[1].details["value_sha256"]
    assert isinstance(digests, dict)
    assert list(digests) == ["search.limit"]


def test_states_do_not_disturb_the_index(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kettle.md").write_text("# Kettle\n\nIt boils water.\n")
    with opened(tmp_path / "w", duties=Duties.WORK) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        workspace.agentfs.agents.register("scout", "research", owner="ada", by=workspace.person)
        agent = workspace.agentfs.agents.get("scout")
        by = Actor(ActorKind.AGENT, agent.id)
        for number in range(50):
            workspace.agentfs.states.put("scout", "n", number, by=by)
        idle(workspace)
        assert workspace.counts().documents == 1
        assert workspace.search(Query("kettle")).hits
