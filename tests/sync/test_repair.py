"""Kinds of damage, named by verify and mended by a device that has the bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from machines import opened_pair, user

from core.remote.folder import FolderStore
from core.sync.garbage import sweep_temporary
from core.sync.joining import JoinWay
from core.sync_model import Area, AreaKind, DamageKind
from core.workspace import Workspace
from tests.sync.test_service import opened, read, write

AREA = Area(AreaKind.USER, "mara")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two devices that are level after three commits, closed, to be copied for each test."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "remote").mkdir()
    with user():
        with closing(opened(folder / "laptop")) as laptop, closing(opened(folder / "desk")) as desk:
            founded = laptop.sync.set_remote(str(folder / "remote"))
            for number in range(3):
                write(laptop, f"notes/{number}", f"note {number} " + "x" * 100)
                laptop.sync.sync_now("a test")
            desk.sync.join(str(folder / "remote"), JoinWay.RECOVERY_CODE, founded.recovery_code)
            desk.sync.sync_now("a test")
        yield folder


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Iterator[tuple[Workspace, Workspace]]:
    laptop, desk = opened_pair(made, tmp_path, ("laptop", "desk"))
    yield laptop, desk
    laptop.close()
    desk.close()


def blob(remote: Path) -> Path:
    return min(path for path in (remote / ".bailiwick/blobs").rglob("*") if path.is_file())


def log(remote: Path, seq: int) -> Path:
    return remote / f".bailiwick/log/u-mara/{seq:012d}"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES: dict[str, tuple[Callable[[Path], None], DamageKind]] = {
    "a blob is changed": (lambda remote: flip(blob(remote)), DamageKind.DAMAGED),
    "a blob is missing": (lambda remote: blob(remote).unlink(), DamageKind.MISSING),
    "a commit is changed": (lambda remote: flip(log(remote, 2)), DamageKind.DAMAGED),
    "the log is rolled back": (lambda remote: log(remote, 3).unlink(), DamageKind.ROLLED_BACK),
    "a stranger's commit": (lambda remote: log(remote, 4).write_bytes(b"anything"), DamageKind.DAMAGED),
    "a commit is replayed": (
        lambda remote: log(remote, 4).write_bytes(log(remote, 1).read_bytes()),
        DamageKind.FOREIGN,
    ),
    "the mark is missing": (lambda remote: (remote / ".bailiwick/format").unlink(), DamageKind.MISSING),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damage_is_named_and_mended(pair: tuple[Workspace, Workspace], tmp_path: Path, what: str) -> None:
    laptop, desk = pair
    remote = tmp_path / "remote"
    assert desk.sync.verify().damages == ()
    do, kind = DAMAGES[what]
    do(remote)
    from core.sync.verify import verify

    found = verify(desk.agentfs, FolderStore(remote), [AREA], sample=1.0).damages
    assert kind in {each.kind for each in found}, found
    assert all(each.cure for each in found)
    repaired = desk.sync.repair()
    assert repaired.left == ()
    assert verify(laptop.agentfs, FolderStore(remote), [AREA], sample=1.0).damages == ()
    write(laptop, "notes/after", "all is well")
    assert laptop.sync.sync_now("a test").problem == ""
    assert desk.sync.sync_now("a test").problem == ""
    assert read(desk, "notes/after") == "all is well"


def test_a_cut_off_audit_trail_is_named_by_the_other(pair: tuple[Workspace, Workspace]) -> None:
    laptop, desk = pair
    with laptop.agentfs.database.transaction() as connection:
        connection.execute("DROP TRIGGER audit_refuses_delete")
        connection.execute("DELETE FROM audit WHERE position > 3")
    write(laptop, "notes/later", "x")
    laptop.sync.sync_now("a test")
    desk.sync.sync_now("a test")
    (problem,) = [each.problem for each in desk.sync.status().devices if each.problem]
    assert "audit trail was" in problem
    assert DamageKind.AUDIT in {each.kind for each in desk.sync.verify().damages}


def test_temporary_objects_are_swept(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.put("temp/old/part", b"x")
    store.put("temp/new/part", b"x")
    os.utime(tmp_path / "temp/old/part", (1, 1))
    assert sweep_temporary(store) == 1
    assert [each.key for each in store.list("temp/")] == ["temp/new/part"]
