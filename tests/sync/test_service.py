"""Two workspaces of one user over a folder, as the doors use them."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from core.agent_model import AuditFilters
from core.agentfs.items import ItemWrite
from core.config import load_settings
from core.content_format import encode as encode_document
from core.engine import Duties
from core.errors import InvalidInput, NotFound, RemoteUnreachable
from core.events import Event, Notice, SyncChanged
from core.model import DocumentContent, Kind, Passage
from core.serving.wire import decode, encode
from core.sync.history import SyncHistory
from core.sync.joining import JoinWay
from core.sync_model import NetworkQuality, Operations, SyncActivity, SyncStatus, SyncStrategy
from core.workspace import Workspace
from tests.remote.s3_server import Bucket, bucket, s3_server
from tests.workspace.engines import until

__all__ = ["bucket", "s3_server"]


@pytest.fixture
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("BAILIWICK_USER_ID", "mara")
    (tmp_path / "remote").mkdir()
    return tmp_path


def opened(root: Path, duties: Duties | None = None) -> Workspace:
    return Workspace(root, load_settings(root), role="a test", duties=duties)


def write(workspace: Workspace, path: str, text: str) -> None:
    with workspace.agentfs.database.transaction() as connection:
        workspace.agentfs.items.put(connection, ItemWrite(path, Kind.ASSUMPTION, "mara", text.encode()))


def waiting(status: SyncStatus) -> int:
    return sum(each.waiting for each in status.areas)


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


def test_a_sync_whose_plan_would_pass_the_budget_does_not_begin(
    homes: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("BAILIWICK_SYNC_BUDGET_CENTS", "1")
    monkeypatch.setattr("core.sync.budget.UNDER_WAY", Operations(class_a=4))
    for module in ("sending", "planning"):
        monkeypatch.setattr(f"core.sync.{module}.SMALL", 1000)
    with contextlib.closing(opened(homes / "laptop")) as laptop:
        laptop.sync.set_remote(bucket.url)
        founding = laptop.sync.spending()
        # Trying the store is not for nothing either.
        assert founding.operations.class_a > 12
        # Earlier in the month, by another process: so much that fewer than 16 requests are left.
        SyncHistory(laptop.agentfs.database).count(Operations(class_a=2205 - founding.operations.class_a))
        for number in range(16):
            write(laptop, f"notes/{number}", random.Random(number).randbytes(2000).hex())
        run = laptop.sync.sync_now("a test")
        assert "This sync would cost about" in run.problem
        assert "sync.budget_cents" in run.cure
        assert run.sent == 0
        assert not [key for key in bucket.contents() if "/blobs/" in key]
        status = laptop.sync.status()
        assert (status.activity, status.problem) == (SyncActivity.STOPPED, run.problem)
        SyncHistory(laptop.agentfs.database).count(Operations(class_a=60))
        with pytest.raises(InvalidInput, match="This month's requests cost"):
            laptop.sync.sync_now("a test")
    monkeypatch.setenv("BAILIWICK_SYNC_BUDGET_CENTS", "2")
    with contextlib.closing(opened(homes / "laptop")) as again:
        spent = again.sync.spending().operations
        assert spent.class_a >= 2205 + 60
        plan, run = again.sync.plan(), again.sync.sync_now("a test")
        assert (run.problem, run.sent) == ("", 16)
        assert run.operations.class_a <= plan.operations.class_a
        used = again.sync.spending()
        assert used.operations.class_a == spent.class_a + run.operations.class_a
        assert used.stored_bytes > 16 * 2000
        assert again.sync.status().activity is SyncActivity.IDLE


def test_by_itself_small_things_move_at_once_and_large_ones_when_it_is_quiet(homes: Path) -> None:
    large = random.Random(1).randbytes(120_000).hex()
    with contextlib.closing(opened(homes / "laptop")) as laptop, contextlib.closing(opened(homes / "desk")) as desk:
        founded = laptop.sync.set_remote(str(homes / "remote"))
        desk.sync.join(str(homes / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
        write(laptop, "notes/small", "s")
        write(laptop, "notes/large", large)
        assert laptop.sync.by_itself.has_changes()
        assert laptop.sync.by_itself.sync(changed=True).run.sent == 1
        assert not laptop.sync.by_itself.has_changes()
        assert [each.path for each in laptop.sync.queue(9)] == ["notes/large"]
        moved = laptop.sync.by_itself.move_large()
        assert moved is not None
        assert (moved.run.sent, laptop.sync.queue(9)) == (1, ())
        assert laptop.sync.by_itself.move_large() is None

        assert desk.sync.by_itself.sync(changed=False).run.received == 1
        assert (read(desk, "notes/small"), read(desk, "notes/large")) == ("s", None)
        assert desk.sync.elsewhere("notes/large") == "notes/large"
        assert sum(each.not_fetched for each in desk.sync.status().areas) == 1
        fetched = desk.sync.by_itself.move_large()
        assert fetched is not None
        assert (fetched.run.received, read(desk, "notes/large")) == (1, large)
        assert not desk.sync.elsewhere("notes/large")
        assert [each.why for each in desk.sync.status().runs] == ["large files", "poll"]


def test_a_look_that_finds_nothing_writes_nothing(homes: Path) -> None:
    with contextlib.closing(opened(homes / "laptop")) as laptop:
        laptop.sync.set_remote(str(homes / "remote"))
        write(laptop, "notes/small", "s")
        laptop.sync.by_itself.sync(changed=True)
        laptop.sync.by_itself.sync(changed=False)
        heard: list[Event] = []
        laptop.bus.subscribe(heard.append)
        with contextlib.closing(sqlite3.connect(homes / "laptop" / "agentfs.db")) as other:
            before = other.execute("PRAGMA data_version").fetchone()
            requests = laptop.sync.spending().operations
            for _ in range(3):
                assert laptop.sync.by_itself.sync(changed=False).error is None
            assert other.execute("PRAGMA data_version").fetchone() == before
        assert heard == []
        # One request for each area, and each is counted.
        assert laptop.sync.spending().operations - requests == Operations(class_b=6)


def test_a_plan_is_an_upper_bound_and_names_what_lacks(homes: Path) -> None:
    with contextlib.closing(opened(homes / "laptop")) as laptop, contextlib.closing(opened(homes / "desk")) as desk:
        founded = laptop.sync.set_remote(str(homes / "remote"))
        desk.sync.join(str(homes / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
        with laptop.agentfs.database.transaction() as connection:
            for number in range(520):
                content = random.Random(number).randbytes(60_000 if number < 2 else 20)
                item = ItemWrite(f"notes/{number}", Kind.ASSUMPTION, "mara", content.hex().encode())
                laptop.agentfs.items.put(connection, item)
        for workspace, everything in ((laptop, False), (desk, False), (desk, True)):
            plan = workspace.sync.plan()
            run = workspace.sync.sync_now("a test", everything=everything)
            assert run.problem == ""
            if not everything:
                assert len(plan.changes) == run.sent + run.received + workspace.sync.status().areas[-1].not_fetched
                assert run.operations.class_a <= plan.operations.class_a
                assert run.operations.class_b <= plan.operations.class_b
        assert read(desk, "notes/1") == read(laptop, "notes/1")


def test_on_demand_fetches_what_is_asked_for(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_SYNC_SMALL_KB", "1")
    with contextlib.closing(opened(homes / "laptop")) as laptop, contextlib.closing(opened(homes / "desk")) as desk:
        founded = laptop.sync.set_remote(str(homes / "remote"))
        desk.sync.join(str(homes / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
        write(laptop, "notes/large", "l" * 5000)
        laptop.sync.sync_now("a test")
        desk.sync.choose(SyncStrategy.ON_DEMAND)
        desk.sync.sync_now("a test")
        assert read(desk, "notes/large") is None
        with pytest.raises(NotFound):
            desk.sync.fetch("notes/other")
        desk.sync.fetch("notes/large")
        assert read(desk, "notes/large") == "l" * 5000


def test_a_document_that_is_elsewhere_comes_when_it_is_opened(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_SYNC_SMALL_KB", "1")
    passages = (Passage("Lamp", ("Lamp",), "The lighthouse is lit. " * 200, 1),)
    content = encode_document(DocumentContent("Lamp", "en", "", "", "", passages, {}))
    with contextlib.closing(opened(homes / "laptop")) as laptop, contextlib.closing(opened(homes / "desk")) as desk:
        founded = laptop.sync.set_remote(str(homes / "remote"))
        desk.sync.join(str(homes / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
        with laptop.agentfs.database.transaction() as connection:
            laptop.agentfs.items.put(connection, ItemWrite("docs/lamp.md", Kind.DOCUMENT, "mara", content))
        laptop.sync.sync_now("a test")
        desk.sync.choose(SyncStrategy.ON_DEMAND)
        desk.sync.sync_now("a test")
        assert desk.agentfs.items.at_path("docs/lamp.md") is None
        with pytest.raises(NotFound):
            desk.document("docs/bell.md")
        away = (homes / "remote").rename(homes / "away")
        with pytest.raises(RemoteUnreachable):
            desk.document("docs/lamp.md")
        away.rename(homes / "remote")
        assert desk.document("docs/lamp.md").content == laptop.document("docs/lamp.md").content
        away = (homes / "remote").rename(homes / "away")
        assert desk.document("docs/lamp.md").content.title == "Lamp"


def test_every_change_of_the_strategy_is_kept_with_its_reason(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_USER_TIER", "pro")
    with contextlib.closing(opened(homes / "laptop")) as laptop:
        heard: list[Event] = []
        laptop.bus.subscribe(heard.append)
        laptop.sync.set_remote(str(homes / "remote"))
        assert laptop.sync.choice().reason.startswith("Tier pro on a good network")
        laptop.sync.sync_now("a test")
        excellent = laptop.sync.choice()
        assert (excellent.strategy, excellent.network) == (SyncStrategy.REALTIME, NetworkQuality.EXCELLENT)
        laptop.sync.choose(SyncStrategy.ON_DEMAND)
        forced = laptop.sync.status().choice
        assert forced is not None
        assert (forced.strategy, forced.forced, forced.reason) == (SyncStrategy.ON_DEMAND, True, "You chose it.")
        laptop.sync.choose(None)
        shown = laptop.sync.status()
        assert [each.strategy for each in shown.choices] == [
            SyncStrategy.REALTIME,
            SyncStrategy.ON_DEMAND,
            SyncStrategy.REALTIME,
            SyncStrategy.ADAPTIVE,
        ]
        assert shown.choice == shown.choices[0]
        told = [each.message for each in heard if isinstance(each, Notice)]
        assert "Synchronising is realtime now. Tier pro on an excellent network: everything moves at once." in told
        assert len(laptop.agentfs.audit.matching(AuditFilters(action="sync.strategy"))) == 4
        # Whoever only looks writes nothing.
        before = laptop.agentfs.audit.head()
        laptop.sync.status()
        assert laptop.agentfs.audit.head() == before


def test_a_remote_that_goes_away_is_noticed_and_found_again(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.sync.schedule.OFFLINE_SECONDS", 0.05)
    monkeypatch.setenv("BAILIWICK_SYNC_ADAPTIVE_BATCH_SECONDS", "1")
    with contextlib.closing(opened(homes / "laptop", Duties.ALL)) as laptop:
        laptop.sync.set_remote(str(homes / "remote"))
        until(lambda: bool(laptop.sync.status().network), "a first look")
        (homes / "remote").rename(homes / "away")
        write(laptop, "notes/heat", "hot")
        until(lambda: laptop.sync.status().activity is SyncActivity.OFFLINE, "the remote to be missed")
        status = laptop.sync.status()
        assert status.choice is not None
        assert status.choice.strategy is SyncStrategy.ON_DEMAND
        assert "not there" in status.problem or "gone" in status.problem
        assert waiting(status) == 1
        (homes / "away").rename(homes / "remote")
        until(lambda: waiting(laptop.sync.status()) == 0, "the note to be sent")
        until(lambda: laptop.sync.status().activity is SyncActivity.IDLE, "rest")
        assert laptop.sync.status().problem == ""


def test_a_pause_in_one_process_ends_what_moves_in_another(homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_SYNC_BANDWIDTH_KB", "20")
    with contextlib.closing(opened(homes / "laptop", Duties.ALL)) as laptop:
        laptop.sync.set_remote(str(homes / "remote"))
        laptop.sync.choose(SyncStrategy.REALTIME)
        write(laptop, "notes/large", random.Random(1).randbytes(300_000).hex())
        with contextlib.closing(opened(homes / "laptop")) as viewer:
            until(lambda: bool(viewer.sync.status().transfers), "the transfer to be seen")
            moving = viewer.sync.status()
            assert moving.activity is SyncActivity.SYNCING
            assert moving.transfers[0].area == "u-mara"
            viewer.sync.pause()
            until(lambda: viewer.sync.status().activity is SyncActivity.PAUSED, "the pause")
            assert waiting(viewer.sync.status()) == 1
            decoded = decode(SyncStatus, json.loads(json.dumps(encode(moving))))
            assert decoded == moving


def test_without_a_remote_nothing_of_synchronising_is_loaded(homes: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from core.config import load_settings
from core.engine import Duties
from core.events import AuditGrew
from core.workspace import Workspace

root = Path(sys.argv[1])
workspace = Workspace(root, load_settings(root), role="a test", duties=Duties.ALL)
heard = threading.Event()
workspace.bus.subscribe(lambda event: heard.set() if isinstance(event, AuditGrew) else None)
workspace.agentfs.audit.record(workspace.person, "note", "a change, which the engine hears of")
assert heard.wait(30)
workspace.close()
rooms = ("core.sync.", "core.remote", "core.sync_model", "boto", "zstandard")
print([name for name in sys.modules if name.startswith(rooms)])
"""
    command = [sys.executable, "-c", script, str(homes / "laptop")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "[]"
