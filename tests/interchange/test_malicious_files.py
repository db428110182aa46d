"""Files that are damaged, made to deceive, or being written: one sentence each, and nothing of them comes in."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.agentfs.agentfs import AgentFS
from core.errors import InvalidInput, NotFound
from core.interchange import foreign_copy
from core.interchange.importing import import_agent
from tests.agentfs.acting import join
from tests.interchange.foreign import ADA, FILE, FILES, FOLDER, KEYS, LINK, SHIPPED_CALLS, insert, make, values, written

Maker = Callable[[Path], object]


def tree(*entries: tuple[object, object, object], inodes: tuple[tuple[object, ...], ...] = ()) -> Maker:
    """A file whose folders hold ``entries`` (name, parent, inode): 2 and 3 are folders, 4 is an empty file."""

    def maker(path: Path) -> None:
        make(path, FILES.replace("mode INTEGER NOT NULL", "mode").replace("name TEXT NOT NULL", "name"))
        insert(path, "fs_inode", "ino, mode", (2, FOLDER), (3, FOLDER), (4, FILE), *inodes)
        insert(path, "fs_dentry", "name, parent_ino, ino", *entries)

    return maker


def loose(*statements: str) -> Maker:
    """A file of statements, whose columns take anything."""
    return lambda path: make(path, *statements)


def rows_many(path: Path) -> None:
    insert(make(path, KEYS), "kv_store", "key, value", *((f"k{number}", "1") for number in range(10_001)))


def twice(path: Path) -> None:
    make(path, FILES.replace("UNIQUE (parent_ino, name)", "CHECK (1)"))
    insert(path, "fs_inode", "ino, mode", (4, FILE))
    insert(path, "fs_dentry", "name, parent_ino, ino", ("a", 1, 4), ("a", 1, 4))


CALLS = "CREATE TABLE tool_calls (id, name, parameters, result, error, started_at, completed_at, duration_ms)"
BOMB = "printf('%.*c', 100000000, 'x')"
A_KEY = "INSERT INTO kv_store (key) VALUES ('a')"
BAD: dict[str, tuple[Maker, str]] = {
    "no database": (lambda path: path.write_bytes(b"not a database at all" * 100), "is no AgentFS file"),
    "empty": (lambda path: path.touch(), "is no AgentFS file"),
    "only a header": (lambda path: path.write_bytes(b"SQLite format 3\0"), "is no AgentFS file"),
    "a folder": (lambda path: path.mkdir(), "is no file"),
    "a pipe": (os.mkfifo, "is no file"),
    "other tables": (loose("CREATE TABLE notes (a)"), "is no AgentFS file"),
    "a view for keys": (
        loose(f"{SHIPPED_CALLS}; CREATE VIEW kv_store AS SELECT 'a' AS key, '1' AS value"),
        "plain table",
    ),
    "a view for files": (
        loose(KEYS, FILES, "DROP TABLE fs_inode; CREATE VIEW fs_inode AS SELECT 1 AS ino, 1 AS mode, 1 AS size"),
        "plain table",
    ),
    "a virtual table": (loose(KEYS, "CREATE VIRTUAL TABLE fs_inode USING fts5 (ino, mode, size)"), "plain table"),
    "no such column": (loose("CREATE TABLE kv_store (key, content)"), "no column value"),
    "a bomb in a column": (loose(f"CREATE TABLE kv_store (key, value AS ({BOMB}))", A_KEY), "no column value"),
    "a key that is a number": (
        loose("CREATE TABLE kv_store (key, value); INSERT INTO kv_store VALUES (1, '1')"),
        "no text",
    ),
    "a value of bytes": (loose(KEYS, "INSERT INTO kv_store (key, value) VALUES ('a', x'31')"), "no text"),
    "no value": (loose("CREATE TABLE kv_store (key, value); INSERT INTO kv_store VALUES ('a', NULL)"), "no text"),
    "a key twice": (
        loose("CREATE TABLE kv_store (key, value); INSERT INTO kv_store VALUES ('a', '1'), ('a', '2')"),
        "a key twice",
    ),
    "a huge value": (
        loose(KEYS, "INSERT INTO kv_store (key, value) VALUES ('a', CAST(zeroblob(33554433) AS TEXT))"),
        "32 MiB",
    ),
    "too many keys": (rows_many, "10,001 rows"),
    "a time of text": (
        loose(CALLS, "INSERT INTO tool_calls (id, name, started_at) VALUES (1, 'a', 'now')"),
        "wrong type",
    ),
    "a name of bytes": (
        loose(CALLS, "INSERT INTO tool_calls (id, name, started_at) VALUES (1, x'61', 1)"),
        "wrong type",
    ),
    "a call twice": (
        loose(CALLS, "INSERT INTO tool_calls (id, name, started_at) VALUES (1, 'a', 1), (1, 'a', 1)"),
        "wrong type",
    ),
    "a circle of folders": (tree(("a", 1, 2), ("b", 2, 3), ("c", 3, 2)), "lies in itself"),
    "a folder that is the root": (tree(("a", 1, 1)), "lies in itself"),
    "a folder twice": (tree(("a", 1, 2), ("b", 1, 2)), "lies in itself"),
    "a way up": (tree(("..", 1, 4)), "leads elsewhere"),
    "a way through": (tree(("../../.ssh/id", 1, 4)), "leads elsewhere"),
    "the folder itself": (tree((".", 1, 4)), "leads elsewhere"),
    "no name": (tree(("", 1, 4)), "leads elsewhere"),
    "a name with an end": (tree(("a\0b", 1, 4)), "leads elsewhere"),
    "a long name": (tree(("n" * 256, 1, 4)), "leads elsewhere"),
    "a name of nothing": (tree(("a", 1, 99)), "belongs to no file"),
    "a name twice": (twice, "twice in one folder"),
    "a name that is bytes": (tree((b"a", 1, 4)), "wrong type"),
    "a mode of text": (tree(("a", 1, 5), inodes=((5, "rw"),)), "wrong type"),
    "a link to nowhere": (tree(("a", 1, 5), inodes=((5, LINK),)), "no target"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_one_sentence_and_nothing_comes_in(agentfs: AgentFS, tmp_path: Path, what: str) -> None:
    maker, sentence = BAD[what]
    source = tmp_path / "foreign.db"
    maker(source)
    before = written(agentfs)
    with pytest.raises(InvalidInput, match=sentence) as raised:
        import_agent(agentfs, source, "scout", by=ADA, type="poc")
    assert raised.value.message.count("\n") == 0
    assert written(agentfs) == before
    assert agentfs.agents.all() == []
    assert not list(agentfs.root.glob(".import-*"))
    assert [path.name for path in tmp_path.glob("foreign.db*")] == ["foreign.db"]


def test_triggers_and_views_of_a_file_do_nothing(agentfs: AgentFS, tmp_path: Path) -> None:
    file = make(
        tmp_path / "a.db",
        "CREATE TABLE fired (n); CREATE VIEW everything AS SELECT * FROM sqlite_master",
        "CREATE TABLE other (a DEFAULT (randomblob(9)), b AS (abs(a)), CHECK (length(a) < 5))",
        "INSERT INTO other VALUES (1)",
        "CREATE TABLE never (a, CHECK (a <> load_extension('x'))); CREATE INDEX by_length ON other (length(a))",
        keys={"a": 1},
    )
    make(file, "CREATE TRIGGER t AFTER INSERT ON kv_store BEGIN INSERT INTO fired VALUES (1); END")
    before = file.read_bytes()
    assert import_agent(agentfs, file, "scout", by=ADA, type="poc").states == 1
    assert file.read_bytes() == before


def test_what_lies_in_the_wal_belongs_to_the_file_which_is_only_copied(agentfs: AgentFS, tmp_path: Path) -> None:
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(KEYS)
        connection.execute("INSERT INTO kv_store (key, value) VALUES ('a', '1')")
        before = {path.name: path.read_bytes() for path in tmp_path.glob("a.db*")}
        assert set(before) == {"a.db", "a.db-wal", "a.db-shm"}
        assert import_agent(agentfs, file, "scout", by=ADA, type="poc").states == 1
        # The other program has lost nothing by it, not even its locks.
        connection.execute("INSERT INTO kv_store (key, value) VALUES ('b', '2')")
        assert {path.name: path.read_bytes() for path in tmp_path.glob("a.db*")} != before
    assert import_agent(agentfs, file, "scout", by=ADA).states == 1
    assert values(agentfs, "scout") == {"a": 1, "b": 2}


def test_a_file_that_was_not_closed_is_not_mended_here(agentfs: AgentFS, tmp_path: Path) -> None:
    file = make(tmp_path / "a.db", keys={"a": 1})
    (tmp_path / "a.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 504)
    with pytest.raises(InvalidInput, match="not closed properly"):
        import_agent(agentfs, file, "scout", by=ADA, type="poc")
    (tmp_path / "a.db-journal").unlink()
    (tmp_path / "a.db-wal").write_bytes(b"rubbish" * 1000)
    assert import_agent(agentfs, file, "scout", by=ADA, type="poc").states == 1


def test_the_workspace_itself_is_no_source(agentfs: AgentFS, other: AgentFS, tmp_path: Path) -> None:
    join(agentfs, "scout")
    (tmp_path / "link.db").symlink_to(agentfs.database.path)
    os.link(agentfs.database.path, tmp_path / "hard.db")
    for source in (agentfs.database.path, tmp_path / "link.db", tmp_path / "hard.db"):
        with pytest.raises(InvalidInput, match="workspace itself"):
            import_agent(agentfs, source, "scout", by=ADA)
    with pytest.raises(InvalidInput, match="a workspace of Bailiwick"):
        import_agent(agentfs, other.database.path, "scout", by=ADA)
    for missing in ("none.db", "a.db/inside", "nul\0.db"):
        with pytest.raises((NotFound, InvalidInput)):
            import_agent(agentfs, tmp_path / missing, "scout", by=ADA)


def test_reading_ends(agentfs: AgentFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_copy, "READING_SECONDS", 0.0)
    file = make(tmp_path / "a.db", KEYS)
    insert(file, "kv_store", "key, value", *((f"k{number}", "1") for number in range(9000)))
    with pytest.raises(InvalidInput, match="takes longer"):
        import_agent(agentfs, file, "scout", by=ADA, type="poc")


@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_with_any_bytes_changed_is_read_or_refused(
    agentfs: AgentFS, tmp_path: Path, data: st.DataObject
) -> None:
    source = tmp_path / "whole.db"
    if not source.exists():
        make(source, FILES, SHIPPED_CALLS, keys={f"key {number}": "x" * number for number in range(40)})
        insert(source, "fs_inode", "ino, mode, size", (2, FOLDER, 0), (3, FILE, 3))
        insert(source, "fs_dentry", "name, parent_ino, ino", ("a", 1, 2), ("b", 2, 3))
        insert(source, "fs_data", "ino, chunk_index, data", (3, 0, b"abc"))
        insert(source, "tool_calls", "name, started_at", ("grep", 1))
    content = bytearray(source.read_bytes())
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), min_size=1, max_size=8)
    ):
        content[place] = byte
    changed = tmp_path / "changed.db"
    changed.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) // 2, 700]))])
    before = written(agentfs)
    try:
        import_agent(agentfs, changed, "scout", by=ADA, type="poc", dry_run=True)
    except InvalidInput as error:
        assert str(changed) in error.message  # noqa: PT017 - most changes are read
    assert written(agentfs) == before
