"""What nothing names is taken away, and never what somebody is about to name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from machines import opened_pair, user

from core.disclosure.sharing import share
from core.remote.folder import FolderStore
from core.remote.store import ObjectInfo
from core.sync import failpoints
from core.sync.area_sync import AreaSync
from core.sync.garbage import Collected, collect, reclaimable, sweep_temporary
from core.sync.joining import JoinWay
from core.sync.verify import verify
from core.sync_model import Area, AreaKind
from tests.sync.test_service import opened, read, write

SHARED = Area(AreaKind.SHARED)
OLD = timedelta(hours=80).total_seconds()


class Devices:
    """Two devices of one user, one of which collects; what they share lies plainly, so that its keys come again."""

    def __init__(self, made: Path, folder: Path) -> None:
        self.remote = folder / "remote"
        self.writer, self.collector = opened_pair(made, folder, ("writer", "collector"))
        self.hot = (made / "hot").read_text()

    def say(self, text: str) -> None:
        write(self.writer, "notes/heat", text * 100)

    def level(self) -> None:
        for each in (self.writer, self.collector):
            assert each.sync.sync_now("a test").problem == ""

    def blobs(self) -> set[str]:
        folder = self.remote / ".bailiwick/blobs/shared"
        return {path.relative_to(self.remote).as_posix() for path in folder.rglob("*") if path.is_file()}

    def age(self, key: str) -> None:
        path = self.remote / key
        moment = path.stat().st_mtime - OLD
        os.utime(path, (moment, moment))

    def area(self) -> AreaSync:
        with self.collector.sync._link.using() as store:
            return next(each for each in self.collector.sync._link.area_syncs(store) if each.area == SHARED)

    def collect(self, *, grace_hours: float = 72.0) -> Collected:
        return collect(FolderStore(self.remote), self.area(), grace_hours=grace_hours)

    def require_whole(self) -> None:
        self.level()
        self.level()
        for each in (self.writer, self.collector):
            damages = verify(each.agentfs, FolderStore(self.remote), [SHARED], sample=1.0).damages
            assert damages == ()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two devices, closed, to be copied for each test; what was shared was changed since, and its key is in ``hot``."""
    folder = tmp_path_factory.mktemp("made")
    remote = folder / "remote"
    remote.mkdir()
    with user():
        with closing(opened(folder / "writer")) as writer, closing(opened(folder / "collector")) as collector:
            code = writer.sync.set_remote(str(remote)).recovery_code
            collector.sync.join(str(remote), JoinWay.RECOVERY_CODE, code)
            write(writer, "notes/heat", "hot" * 100)
            share(writer.agentfs, "notes/heat", "public", by=writer.person)
            writer.sync.sync_now("a test")
            (hot,) = (path for path in (remote / ".bailiwick/blobs/shared").rglob("*") if path.is_file())
            (folder / "hot").write_text(hot.relative_to(remote).as_posix())
            write(writer, "notes/heat", "cold" * 100)
            for each in (writer, collector):
                assert each.sync.sync_now("a test").problem == ""
        yield folder


@pytest.fixture
def devices(made: Path, tmp_path: Path) -> Iterator[Devices]:
    copied = Devices(made, tmp_path)
    with closing(copied.writer), closing(copied.collector):
        yield copied


@contextmanager
def at(point: str, act: Callable[[], object]) -> Iterator[list[str]]:
    """Do something once, in between: when the writer comes to ``point`` of its sync."""
    done: list[str] = []

    def reached(name: str) -> None:
        if name == point and not done:
            done.append(name)
            act()

    failpoints.on_reached = reached
    try:
        yield done
    finally:
        failpoints.on_reached = None


def test_what_is_still_young_is_left_alone_and_so_is_what_is_named(devices: Devices) -> None:
    left = reclaimable(FolderStore(devices.remote), devices.area())
    assert (left.objects, left.ready, left.next_at) == (1, 0, None)
    assert left.bytes == (devices.remote / devices.hot).stat().st_size
    for key in devices.blobs() - {devices.hot}:
        devices.age(key)
    assert devices.collect().announced == 0
    assert len(devices.blobs()) == 2


def test_what_was_announced_is_deleted_after_its_grace_alone(devices: Devices) -> None:
    devices.age(devices.hot)
    first = devices.collect()
    assert (first.announced, first.deleted, first.left.ready) == (1, 0, 0)
    assert first.left.next_at is not None
    again = devices.collect()
    assert (again.announced, again.deleted) == (0, 0)
    last = devices.collect(grace_hours=0)
    assert (last.announced, last.deleted, last.left.objects) == (0, 1, 0)
    assert devices.hot not in devices.blobs()
    devices.require_whole()


@pytest.mark.parametrize("point", ["blobs-sent", "before-commit", "after-scan"])
def test_what_is_taken_away_while_it_is_used_again_is_sent_anew(devices: Devices, point: str) -> None:
    """The writer found its content there and sent nothing; before it commits, that is announced and deleted."""
    devices.age(devices.hot)

    def take_away() -> None:
        assert devices.collect().announced == 1
        assert devices.collect(grace_hours=0).deleted == 1

    devices.say("hot")
    with at(point, take_away) as done:
        assert devices.writer.sync.sync_now("a test").problem == ""
    assert done
    assert devices.hot not in devices.blobs()
    devices.require_whole()
    assert read(devices.collector, "notes/heat") == "hot" * 100


def test_what_was_announced_is_never_used_again(devices: Devices) -> None:
    """The announcement was read, but not carried out yet: that may happen at any moment."""
    devices.age(devices.hot)
    assert devices.collect().announced == 1
    devices.level()
    devices.say("hot")
    with at("after-commit", lambda: devices.collect(grace_hours=0)):
        assert devices.writer.sync.sync_now("a test").problem == ""
    assert devices.hot not in devices.blobs()
    devices.require_whole()
    assert read(devices.collector, "notes/heat") == "hot" * 100


def test_a_device_that_loses_the_race_looks_anew_what_nothing_names(devices: Devices) -> None:
    """The collector marked an object; before its announcement is committed, the writer names it again."""
    devices.age(devices.hot)

    def name_it_again() -> None:
        devices.say("hot")
        assert devices.writer.sync.sync_now("a test").problem == ""

    with at("before-commit", name_it_again) as done:
        collected = devices.collect()
    assert done
    assert collected.announced == 0
    assert devices.hot in devices.blobs()
    devices.collect(grace_hours=0)
    devices.require_whole()
    assert read(devices.collector, "notes/heat") == "hot" * 100


def test_other_areas_are_not_touched(devices: Devices) -> None:
    strange = devices.remote / ".bailiwick/blobs/team-harbour/aa"
    strange.mkdir(parents=True)
    (strange / ("aa" * 32)).write_bytes(b"of a team that this device does not belong to")
    os.utime(strange / ("aa" * 32), (1, 1))
    devices.collect(grace_hours=0)
    devices.collect(grace_hours=0)
    assert (strange / ("aa" * 32)).exists()


def test_clocks_that_differ_keep_from_what_needs_ages_and_from_nothing_else(devices: Devices) -> None:
    class Ahead(FolderStore):
        """A store whose clock is ten minutes ahead."""

        def head(self, key: str) -> ObjectInfo | None:
            found = super().head(key)
            if found is None:
                return None
            return ObjectInfo(found.key, found.size, found.modified + timedelta(minutes=10), found.sha256)

    devices.age(devices.hot)
    store = Ahead(devices.remote)
    assert "differ by" in reclaimable(store, devices.area()).waits
    collected = collect(store, devices.area())
    assert (collected.announced, collected.deleted) == (0, 0)
    (devices.remote / "temp").mkdir(exist_ok=True)
    (devices.remote / "temp/old").write_bytes(b"x")
    os.utime(devices.remote / "temp/old", (1, 1))
    assert sweep_temporary(store) == 0
    devices.require_whole()


def test_a_wrong_announcement_is_harmless(devices: Devices) -> None:
    """A device that names what is in use: it is in use, so nobody deletes it."""
    devices.age(devices.hot)
    devices.collect()
    named = devices.blobs() - {devices.hot}
    tables = devices.area().tables
    with tables.database.transaction() as connection:
        tables.note_collected(connection, SHARED.id, named)
    devices.collect(grace_hours=0)
    assert named <= devices.blobs()
    devices.require_whole()


def test_the_service_collects_and_sweeps_old_requests_to_join(devices: Devices) -> None:
    requests = devices.remote / ".bailiwick/requests"
    requests.mkdir(exist_ok=True)
    (requests / "old").write_bytes(b"{}")
    os.utime(requests / "old", (1, 1))
    devices.age(devices.hot)
    done: tuple[Collected, ...] = devices.collector.sync.collect()
    assert sum(each.announced for each in done) == 1
    assert not (requests / "old").exists()
