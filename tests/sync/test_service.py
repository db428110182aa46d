"""Two workspaces of one user over a folder, as the doors use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.agentfs.items import ItemWrite
from core.config import load_settings, with_flag
from core.engine import Duties
from core.errors import InvalidInput, NotFound
from core.events import Event, SyncChanged
from core.model import Kind
from core.sync.joining import JoinWay
from core.sync_model import SyncActivity, SyncStrategy
from core.workspace import Workspace
from tests.workspace.engines import until


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("BAILIWICK_USER_ID", "mara")
    (tmp_path / "remote").mkdir()
    yield tmp_path


def opened(root: Path, duties: Duties | None = None) -> Workspace:
    return Workspace(root, load_settings(root), role="a test", duties=duties)


def write(workspace: Workspace, path: str, text: str) -> None:
    with workspace.agentfs.database.transaction() as connection:
        workspace.agentfs.items.put(connection, ItemWrite(path, Kind.ASSUMPTION, "mara", text.encode()))


def read(workspace: Workspace, path: str) -> str | None:
    item = workspace.agentfs.items.at_path(path)
    return workspace.agentfs.items.content(item).decode() if item is not None else None


def test_a_remote_is_founded_joined_and_synchronised(homes: Path) -> None:
    laptop, desk = opened(homes / "laptop"), opened(homes / "desk")
    assert laptop.sync.status().activity is SyncActivity.NO_REMOTE
    with pytest.raises(NotFound, match="no remote"):
        laptop.sync.sync_now("a test")
    founded = laptop.sync.set_remote(str(homes / "remote"))
    write(laptop, "notes/heat", "hot")
    plan = laptop.sync.plan()
    assert [each.path for each in plan.changes if each.path.startswith("notes")] == ["notes/heat"]
    run = laptop.sync.sync_now("a test")
    assert (run.problem, run.sent) == ("", 1)
    assert run.operations.class_a <= plan.operations.class_a
    assert run.operations.class_b <= plan.operations.class_b
    with pytest.raises(InvalidInput, match="already holds a workspace"):
        desk.sync.set_remote(str(homes / "remote"))
    desk.sync.join(str(homes / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
    assert desk.sync.sync_now("a test").received == 1
    assert read(desk, "notes/heat") == "hot"
    status = desk.sync.status()
    assert {each.is_this for each in status.devices} == {True, False}
    assert [each.waiting for each in status.areas] == [0, 0]
    assert status.choice is not None
    assert status.choice.strategy is SyncStrategy.ADAPTIVE
    laptop.close()
    desk.close()


def test_an_engine_synchronises_by_itself_and_a_pause_holds(homes: Path) -> None:
    laptop, desk = opened(homes / "laptop", Duties.ALL), opened(homes / "desk")
    heard: list[Event] = []
    laptop.bus.subscribe(heard.append)
    founded = laptop.sync.set_remote(str(homes / "remote"))
    laptop.sync.choose(SyncStrategy.REALTIME)
    desk.sync.join(str(homes / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
    write(desk, "notes/heat", "hot")
    desk.sync.sync_now("a test")
    until(lambda: read(laptop, "notes/heat") == "hot", "the note")
    assert any(isinstance(each, SyncChanged) for each in heard)
    laptop.sync.pause()
    until(lambda: laptop.sync.status().activity is SyncActivity.PAUSED, "the pause")
    laptop.close()
    again = opened(homes / "laptop", Duties.ALL)
    assert again.sync.paused
    again.sync.resume()
    write(again, "notes/cold", "cold")
    until(lambda: bool(desk.sync.sync_now("a test")) and read(desk, "notes/cold") == "cold", "the note")
    again.close()
    desk.close()


def test_a_budget_stops_before_it_is_passed(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.sync_model import Operations

    laptop = opened(homes / "laptop")
    laptop.sync.set_remote(str(homes / "remote"))
    laptop.config = with_flag(laptop.config, "sync.budget_cents", 1)
    laptop.sync._settings = laptop.config
    monkeypatch.setattr(laptop.sync, "_remote", lambda: replace(type(laptop.sync)._remote(laptop.sync), kind="s3"))
    laptop.sync._history.count(Operations(class_a=3000))
    assert laptop.sync.spending().stopped
    with pytest.raises(InvalidInput, match="budget is"):
        laptop.sync.sync_now("a test")
    laptop.close()
