"""``bailiwick conflicts`` on a workspace in which two sides differ."""

from __future__ import annotations

from pathlib import Path

import pytest
from commanding import Shell, shell_on

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.conflicts.records import ConflictStore, Side
from core.model import Sensitivity


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    AgentFS(tmp_path / "w").close()
    return shell_on(tmp_path / "w", capsys, monkeypatch)


def differ(shell: Shell) -> str:
    agentfs = AgentFS(shell.root)
    sides = Side("a", b"warm"), Side("b", b"hot", who="mara"), Side("c", b"cold", who="otto")
    with agentfs.database.transaction() as connection:
        record = ConflictStore(agentfs).open_within(
            connection,
            "notes/heat",
            "decision",
            *sides,
            owner="ada",
            found=Sensitivity.NONE,
            by=Actor(ActorKind.ENGINE, agentfs.device, "sync"),
        )
    agentfs.close()
    return record.id


def test_open_conflicts_are_listed_and_exit_1(shell: Shell) -> None:
    assert shell.told("conflicts", "list") == ["Nothing is in conflict."]
    conflict = differ(shell)
    code, out, _ = shell("conflicts", "list")
    assert code == 1
    assert conflict in out
    assert "notes/heat" in out


def test_every_version_of_a_conflict_is_shown(shell: Shell) -> None:
    versions = shell.json("conflicts", "show", differ(shell))["versions"]
    assert {name: side["content"] for name, side in versions.items()} == {
        "base": "warm",
        "local": "hot",
        "remote": "cold",
    }
    assert "There is no conflict" in shell.refused("conflicts", "show", "none")["error"]
