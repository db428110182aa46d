"""The SQLite truth: migrations, refusals, transactions."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.errors import StorageFull, WorkspaceUnusable
from core.model import Kind


def write(path: str, data: bytes) -> ItemWrite:
    return ItemWrite(path=path, kind=Kind.DOCUMENT, owner="ada", data=data)


def put(agentfs: AgentFS, path: str, data: bytes) -> str:
    with agentfs.database.transaction() as connection:
        return agentfs.items.put(connection, write(path, data)).item_id


def test_a_new_workspace_belongs_to_its_owner_alone(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path / "new" / "workspace")
    assert stat.S_IMODE((tmp_path / "new" / "workspace").stat().st_mode) == 0o700
    agentfs.close()


def test_reopening_keeps_what_was_committed(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    item_id = put(agentfs, "a/b", b"hello")
    agentfs.close()
    again = AgentFS(tmp_path)
    item = again.items.get(item_id)
    assert item is not None
    assert again.contents.read(item.sha256) == b"hello"
    again.close()


def test_a_transaction_that_raises_leaves_nothing(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)

    def fail() -> None:
        with agentfs.database.transaction() as connection:
            agentfs.items.put(connection, write("a", b"x"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert agentfs.items.at_path("a") is None
    assert agentfs.items.position() == 0
    agentfs.close()


def test_a_newer_schema_is_refused_with_both_numbers(tmp_path: Path) -> None:
    AgentFS(tmp_path).close()
    with sqlite3.connect(tmp_path / "agentfs.db") as connection:
        connection.execute("PRAGMA user_version = 999")
    with pytest.raises(WorkspaceUnusable, match="newer Bailiwick") as refusal:
        AgentFS(tmp_path)
    assert "999" in refusal.value.message


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "agentfs.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(WorkspaceUnusable, match="damaged"):
        AgentFS(tmp_path)


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkspaceUnusable, match="not a folder"):
        AgentFS(tmp_path / "file")


def test_a_full_disk_is_a_sentence_and_nothing_is_half_written(tmp_path: Path) -> None:
    program = f"""
import resource, signal
from pathlib import Path
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.errors import StorageFull
from core.model import Kind
agentfs = AgentFS(Path({str(tmp_path)!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
for number in range(1000):
    try:
        with agentfs.database.transaction() as connection:
            agentfs.items.put(connection, ItemWrite(str(number), Kind.DOCUMENT, "ada", bytes([number % 256]) * 50_000))
    except StorageFull:
        print("full", number)
        break
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert result.stdout.startswith("full"), result.stderr
    kept = int(result.stdout.split()[1])
    agentfs = AgentFS(tmp_path)
    assert agentfs.items.count(Kind.DOCUMENT) == kept
    assert agentfs.database.connection().execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert agentfs.contents.damaged() == []
    agentfs.close()


def test_a_full_disk_refuses_a_large_file_whole(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)
    blocked = tmp_path / "files"
    program = f"""
import resource, signal
from pathlib import Path
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.errors import StorageFull
from core.model import Kind
agentfs = AgentFS(Path({str(tmp_path)!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with agentfs.database.transaction() as connection:
        agentfs.items.put(connection, ItemWrite("big", Kind.DOCUMENT, "ada", b"x" * 1_000_000))
except StorageFull as error:
    print("full", error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert "full The disk is full" in result.stdout, result.stderr
    assert [path for path in blocked.rglob("*") if path.is_file()] == []
    assert agentfs.items.at_path("big") is None
    agentfs.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give itself a read-only mount")
def test_a_read_only_workspace_is_named(tmp_path: Path) -> None:
    AgentFS(tmp_path).close()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this machine allows no mounts")
    try:
        with pytest.raises(WorkspaceUnusable, match="cannot be written"):
            AgentFS(tmp_path)
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    agentfs = AgentFS(tmp_path)

    def work(name: int) -> None:
        for number in range(20):
            put(agentfs, f"{name}/{number}", f"{name} {number}".encode())

    threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert agentfs.items.count(Kind.DOCUMENT) == 120
    positions = [item.position for item in agentfs.items.changes_since(0, 1000)]
    assert positions == sorted(set(positions))
    agentfs.close()


def test_a_killed_writer_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.model import Kind
agentfs = AgentFS(Path({str(tmp_path)!r}))
for number in range(100_000):
    with agentfs.database.transaction() as connection:
        agentfs.items.put(connection, ItemWrite(str(number), Kind.DOCUMENT, "ada", str(number).encode() * 9000))
    print(number, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline()) for _ in range(25)][-1]
    process.kill()
    rest = process.stdout.read().split()
    process.wait()
    last = int(rest[-1]) if rest else acknowledged
    agentfs = AgentFS(tmp_path)
    for number in range(last + 1):
        item = agentfs.items.at_path(str(number))
        assert item is not None
        assert agentfs.contents.read(item.sha256) == str(number).encode() * 9000
    assert agentfs.contents.damaged() == []
    agentfs.close()


def test_the_error_names_are_for_people() -> None:
    assert str(StorageFull("The disk is full.", "Free some space.")) == "The disk is full. Free some space."
