"""Damaged, deleted, foreign and half-written index files are replaced; a killed writer loses nothing it said."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from indexing import document, fill, open_index

from core.errors import BailiwickError
from core.index.documents import DocumentIndex

WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from indexing import document, fill, open_index
index = open_index(Path(sys.argv[1]))
number = index.position
while True:
    number += 1
    index.apply([document(f"d{number % 7}", f"text {number}", "constant")], [f"d{(number + 3) % 7}"], number)
    if number % 3 == 0:
        fill(index)
    print(number, flush=True)
"""


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "foreign", "newer"])
def test_an_unusable_file_is_moved_aside_and_started_anew(tmp_path: Path, damage: str) -> None:
    index = open_index(tmp_path)
    index.apply([document("a", *(f"text {number}" for number in range(200)))], [], 5)
    fill(index)
    index.close()
    path = tmp_path / "documents.duckdb"
    if damage == "garbage":
        path.write_bytes(os.urandom(50_000))
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.unlink()
        duckdb.connect(str(path)).execute("CREATE TABLE theirs (x INT)").close()
    else:
        with duckdb.connect(str(path)) as connection:
            connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema_version'")
    fresh = DocumentIndex(path, threads=1, memory_mb=256)
    assert fresh.rebuilt_reason
    assert (fresh.position, fresh.counts().passages) == (0, 0)
    assert list(tmp_path.glob("documents.duckdb.damaged-*"))
    fresh.apply([document("a", "again")], [], 1)
    fresh.close()
    again = DocumentIndex(path, threads=1, memory_mb=256)
    assert (again.rebuilt_reason, again.position) == ("", 1)
    again.close()


def test_a_file_that_was_closed_well_is_never_taken_for_damaged(tmp_path: Path) -> None:
    number = 0
    for batches in (2, 1, 3, 1, 4, 2, 2):
        index = open_index(tmp_path)
        assert (index.rebuilt_reason, index.position) == ("", number)
        for _ in range(batches):
            number += 1
            index.apply(
                [document(f"d{(number + part) % 40}", f"text {number} {part}") for part in range(8)], [], number
            )
            fill(index)
        index.close()


def test_only_one_damaged_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "documents.duckdb"
    for _ in range(3):
        path.write_bytes(b"garbage" * 1000)
        DocumentIndex(path, threads=1, memory_mb=256).close()
    assert len(list(tmp_path.glob("documents.duckdb.damaged-*"))) == 1


def test_a_killed_writer_leaves_a_whole_file(tmp_path: Path) -> None:
    generator = random.Random(3)
    acknowledged = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for _ in range(generator.randint(1, 12)):
            acknowledged = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split()
        process.wait()
        acknowledged = int(rest[-1]) if rest else acknowledged
        index = open_index(tmp_path)
        assert index.rebuilt_reason == ""
        assert index.position >= acknowledged
        last = index.position
        expected = {f"d{number % 7}": number for number in range(1, last + 1)}
        gone = {f"d{(number + 3) % 7}": number for number in range(1, last + 1)}
        alive = {name for name, number in expected.items() if number > gone.get(name, 0)}
        assert index.counts().documents == len(alive)
        assert index.counts().passages == 2 * len(alive)
        fill(index)
        index.close()


def test_a_full_disk_is_one_sentence_and_the_old_state_stays(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    index.apply([document("a", "one")], [], 1)
    index.close()
    program = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from core.errors import StorageFull
from indexing import document, open_index
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
index = open_index(Path(sys.argv[1]))
limit = (Path(sys.argv[1]) / "documents.duckdb").stat().st_size + 300_000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
import os
for number in range(2, 400):
    try:
        index.apply([document(f"d{number}", *(os.urandom(3000).hex() for _ in range(40)))], [], number)
    except StorageFull as error:
        print("full", number, error)
        break
os._exit(0)
"""
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.stdout.startswith("full"), result.stdout + result.stderr
    refused = int(result.stdout.split()[1])
    again = open_index(tmp_path)
    assert again.position == refused - 1
    again.close()


def test_a_folder_in_its_place_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "documents.duckdb").mkdir()
    with pytest.raises(BailiwickError) as refusal:
        DocumentIndex(tmp_path / "documents.duckdb", threads=1, memory_mb=256)
    assert "documents.duckdb" in refusal.value.message
