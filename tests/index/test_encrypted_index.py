"""The encrypted index file: no byte can be read, it answers like a plain one, and what does not fit is replaced."""

from __future__ import annotations

import os
import threading
import traceback
from pathlib import Path

import duckdb
import numpy as np
import pytest
from indexing import MODEL, digest_of, document, fill, vector_of

from core.crypto.secret import Secret
from core.errors import Locked
from core.index.documents import DocumentIndex
from core.index.encryption import CATALOG, Encryption, connect_encrypted
from core.index.storage_errors import IndexClosed, IndexDamaged
from core.model import Filters

CANARY = "zanzibarquokka"


def open_sealed(folder: Path, key: Secret) -> DocumentIndex:
    index = DocumentIndex(folder / "sealed.duckdb", threads=1, memory_mb=128, encryption=Encryption(key))
    index.use_model(MODEL)
    return index


def bytes_below(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.fixture
def key() -> Secret:
    return Secret(os.urandom(32))


def test_no_byte_of_it_is_readable_while_open_and_closed(tmp_path: Path, key: Secret) -> None:
    index = open_sealed(tmp_path, key)
    index.apply([document(f"{CANARY}-title", f"text {CANARY}", *(f"filling {CANARY} {n}" for n in range(200)))], [], 1)
    vectors = fill(index)
    digest = digest_of(f"{CANARY}-title.part0", f"text {CANARY}")
    assert digest in vectors
    wanted = [CANARY.encode(), digest.encode(), vectors[digest].tobytes()[:32]]
    wanted += [key.reveal(), key.reveal().hex().encode()]
    files = {file.name for file in tmp_path.iterdir()}
    assert files == {"sealed.duckdb", "sealed.duckdb.wal"}
    while_open = bytes_below(tmp_path)
    assert len(while_open) > 100_000
    assert [each for each in wanted if each in while_open] == []
    index.close()
    assert [each for each in wanted if each in bytes_below(tmp_path)] == []
    with pytest.raises(duckdb.Error):
        duckdb.connect(str(tmp_path / "sealed.duckdb"))


def test_what_is_spilled_is_encrypted(tmp_path: Path, key: Secret) -> None:
    connection = connect_encrypted(tmp_path / "sealed.duckdb", Encryption(key))
    connection.execute("SET threads = 1")
    connection.execute("SET memory_limit = '40MB'")
    connection.execute(
        "CREATE TABLE t AS SELECT ? || hash(i)::TEXT || repeat(?, 8) AS s FROM range(200000) r(i)", [CANARY, CANARY]
    )
    rows = connection.execute("SELECT s FROM t ORDER BY hash(s)").fetchmany(10)
    assert CANARY in rows[0][0]
    spilled = [file for file in (tmp_path / "sealed.duckdb.tmp").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in spilled) > 1_000_000
    assert CANARY.encode() not in bytes_below(tmp_path)
    connection.close()


def test_it_answers_like_a_plain_one(tmp_path: Path, key: Secret) -> None:
    sealed = open_sealed(tmp_path, key)
    plain = DocumentIndex(tmp_path / "plain.duckdb", threads=1, memory_mb=128)
    plain.use_model(MODEL)
    for index in (sealed, plain):
        for number in range(6):
            library = f"lib{number % 2}"
            index.apply([document(f"d{number}", f"one {number}", f"two {number}", library=library)], [], number + 1)
        index.apply([document("d1", "again")], ["d2"], 7)
        fill(index)
    for filters in (Filters(), Filters(library="lib1"), Filters(where=(("library", "lib1"),))):
        expected = plain.rank_exact(vector_of("q"), MODEL.key, filters, 5)
        assert sealed.rank_exact(vector_of("q"), MODEL.key, filters, 5) == expected
        assert sealed.matching_document_ids(filters) == plain.matching_document_ids(filters)
    assert sealed.counts() == plain.counts()
    assert sealed.passages_by_slot([0, 5]) == plain.passages_by_slot([0, 5])
    plain.close()
    sealed.close()
    again = open_sealed(tmp_path, key)
    assert (again.rebuilt_reason, again.position, again.counts().pending) == ("", 7, 0)
    again.close()


def test_under_another_key_it_is_started_anew_and_nothing_is_kept(tmp_path: Path, key: Secret) -> None:
    index = open_sealed(tmp_path, key)
    index.apply([document("a", "one")], [], 5)
    index.close()
    other = open_sealed(tmp_path, Secret(os.urandom(32)))
    assert (other.position, other.counts().documents) == (0, 0)
    assert other.rebuilt_reason == "its key is another"
    other.close()
    assert [file.name for file in tmp_path.iterdir()] == ["sealed.duckdb"]


@pytest.mark.parametrize("damage", ["garbage", "truncated", "empty", "plain", "flipped"])
def test_a_damaged_file_is_started_anew(tmp_path: Path, key: Secret, damage: str) -> None:
    index = open_sealed(tmp_path, key)
    index.apply([document("a", *(os.urandom(2000).hex() for _ in range(80)))], [], 5)
    fill(index)
    index.close()
    path = tmp_path / "sealed.duckdb"
    if damage == "garbage":
        path.write_bytes(os.urandom(50_000))
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "plain":
        path.unlink()
        DocumentIndex(path, threads=1, memory_mb=128).close()
    else:
        data = bytearray(path.read_bytes())
        for position in range(13_000, len(data), 4_096):
            data[position] ^= 1
        path.write_bytes(data)
    fresh = open_sealed(tmp_path, key)
    for attempt in range(2):
        try:
            fresh.rank_exact(vector_of("q"), MODEL.key, Filters(), 5)
        except IndexDamaged:
            assert attempt == 0
    assert (fresh.position, fresh.counts().passages) == (0, 0)
    assert fresh.rebuilt_reason
    fresh.apply([document("a", "again")], [], 1)
    fresh.close()
    again = open_sealed(tmp_path, key)
    assert (again.rebuilt_reason, again.position) == ("", 1)
    again.close()


def test_one_block_that_was_changed_is_noticed_when_it_is_read(tmp_path: Path, key: Secret) -> None:
    index = open_sealed(tmp_path, key)
    for number in range(8):
        index.apply([document(f"d{number}", *(os.urandom(900).hex() for _ in range(120)))], [], number + 1)
    index.close()
    path = tmp_path / "sealed.duckdb"
    whole = path.read_bytes()
    blocks = range(3 * 4096, len(whole) - 262_144, len(whole) // 5)
    assert len(blocks) > 3
    noticed = 0
    for start in blocks:
        data = bytearray(whole)
        data[start + 100_000] ^= 1
        path.write_bytes(data)
        damaged = open_sealed(tmp_path, key)
        try:
            rows = damaged.words_passages(-1, 10_000)
            assert len(rows) in (0, 960)
        except IndexDamaged:
            rows = []
        noticed += not rows
        assert damaged.words_passages(-1, 10_000) == rows
        damaged.close()
    assert noticed >= len(blocks) // 2


def test_the_key_is_in_no_error_and_in_nothing_the_database_tells(tmp_path: Path, key: Secret) -> None:
    connection = connect_encrypted(tmp_path / "a.duckdb", Encryption(key))
    told = str(connection.execute("SELECT * FROM duckdb_databases()").fetchall())
    told += str(connection.execute("SELECT name, value FROM duckdb_settings()").fetchall())
    assert f"'{CATALOG}'" in told
    connection.close()
    duckdb.connect(str(tmp_path / "b.duckdb")).close()
    (tmp_path / "c.duckdb").mkdir()
    connect_encrypted(tmp_path / "d.duckdb", Encryption(Secret(os.urandom(32)))).close()
    for name in "bcd":
        with pytest.raises(duckdb.Error) as refusal:
            connect_encrypted(tmp_path / f"{name}.duckdb", Encryption(key))
        shown = traceback.TracebackException.from_exception(refusal.value, capture_locals=True)
        told += "".join(shown.format())
    assert key.reveal().hex() not in told
    assert repr(key.reveal())[2:-1] not in told


def test_a_forgotten_key_opens_nothing(tmp_path: Path, key: Secret) -> None:
    key.forget()
    with pytest.raises(Locked):
        open_sealed(tmp_path, key)
    assert list(tmp_path.iterdir()) == []


def test_closing_during_reads_and_writes_says_closed_and_nothing_else(tmp_path: Path, key: Secret) -> None:
    index = open_sealed(tmp_path, key)
    index.apply([document("base", "always here")], [], 1)
    fill(index)
    ended: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                found, _ = index.rank_exact(vector_of("q"), MODEL.key, Filters(library="lib"), 5)
                assert found
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            ended.append(error)

    def write() -> None:
        try:
            for number in range(2, 10_000):
                index.apply([document(f"d{number % 4}", f"text {number}")], [], number)
                fill(index)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            ended.append(error)

    threads = [*(threading.Thread(target=read) for _ in range(4)), threading.Thread(target=write)]
    for thread in threads:
        thread.start()
    while index.position < 6:
        pass
    index.close()
    for thread in threads:
        thread.join(30)
    assert [type(error) for error in ended] == [IndexClosed] * 5
    again = open_sealed(tmp_path, key)
    assert again.rebuilt_reason == ""
    assert again.position >= 6
    assert np.isfinite(again.rank_exact(vector_of("q"), MODEL.key, Filters(), 1)[0][0][1])
    again.close()
