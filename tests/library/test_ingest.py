"""From an added folder to items, and from every later save; with real files, a real reader and a real database."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from ingestion import BOUND_SECONDS, Engine

from core.content_format import decode
from core.errors import InvalidInput, NotFound
from core.events import ItemsChanged, Notice, Progress
from core.library.catalogue import find_document, libraries
from core.library.sources import READ_SOURCE, Origin, add_package, add_path, find_sources, remove_source
from core.model import Kind
from tests.agentfs.canaries import new_canary


def test_a_folder_becomes_items_with_their_text(engine: Engine, docs: Path) -> None:
    source = engine.add(docs)
    items = engine.items()
    assert sorted(items) == [f"user-contributions/ann/docs/{name}" for name in ("a.md", "c.py", "guide/b.rst")]
    item = items["user-contributions/ann/docs/a.md"]
    assert (item.kind, item.owner, item.version) == (Kind.DOCUMENT, "ann", 1)
    content = decode(engine.agentfs.contents.read(item.sha256))
    assert (content.title, content.library, content.version) == ("Apple", "tea", "2.0")
    assert content.source == str(docs / "a.md")
    assert content.passages[0].text == "Red."
    assert item.metadata["source_id"] == source.id
    assert item.metadata["passages"] == 1
    assert [(each.library, each.version, each.documents) for each in libraries(engine.agentfs)] == [("tea", "2.0", 3)]
    assert find_document(engine.agentfs, f"{item.id}:0").content == content
    assert engine.commits >= 1
    last = [each for each in engine.events if isinstance(each, Progress)][-1]
    assert (last.done, last.total, last.finished, last.cancelled) == (3, 3, True, False)
    positions = [each.position for each in engine.events if isinstance(each, ItemsChanged)]
    assert positions[-1] == engine.agentfs.items.position()


def test_reading_unchanged_files_again_leaves_no_trace(engine: Engine, docs: Path) -> None:
    engine.add(docs)
    position, items = engine.agentfs.items.position(), engine.items()
    engine.add(docs)
    assert engine.agentfs.items.position() == position
    os.utime(docs / "a.md")
    engine.add(docs)
    assert engine.agentfs.items.position() == position
    assert engine.items() == items


def test_changed_content_replaces_and_vanished_content_goes(engine: Engine, docs: Path) -> None:
    engine.add(docs)
    before = engine.items()["user-contributions/ann/docs/a.md"]
    (docs / "a.md").write_text("# Apple\n\nGreen now.\n")
    (docs / "c.py").unlink()
    engine.add(docs)
    items = engine.items()
    assert sorted(items) == [f"user-contributions/ann/docs/{name}" for name in ("a.md", "guide/b.rst")]
    after = items["user-contributions/ann/docs/a.md"]
    assert (after.id, after.version) == (before.id, 2)
    assert decode(engine.agentfs.contents.read(after.sha256)).passages[0].text == "Green now."
    assert sorted(engine.agentfs.sources.files(find_sources(engine.agentfs, "docs", cwd=docs.parent)[0].id)) == [
        str(docs / "a.md"),
        str(docs / "guide" / "b.rst"),
    ]


def test_problems_are_told_one_by_one_and_stop_nothing(engine: Engine, docs: Path) -> None:
    (docs / "binary.md").write_bytes(b"\x00\x01")
    (docs / "latin.md").write_bytes(b"\xe9")
    (docs / "link.md").symlink_to("nowhere.md")
    (docs / "bad.py").write_text("def (")
    engine.add(docs)
    assert len(engine.items()) == 3
    problems = engine.problems()
    assert sorted(problems) == ["bad.py", "binary.md", "latin.md", "link.md"]
    assert problems["link.md"] == "is a link that leads nowhere"
    assert sorted(engine.published()) == sorted(problems)
    engine.add(docs)
    assert sorted(engine.published()) == sorted(problems), "what is known is not told again"
    (docs / "binary.md").write_text("Text at last.")
    (docs / "link.md").unlink()
    engine.add(docs)
    assert sorted(engine.problems()) == ["bad.py", "latin.md"]
    assert "user-contributions/ann/docs/binary.md" in engine.items()


def test_a_document_that_becomes_unreadable_goes(engine: Engine, docs: Path) -> None:
    engine.add(docs)
    (docs / "a.md").write_bytes(b"\x00")
    engine.add(docs)
    assert "user-contributions/ann/docs/a.md" not in engine.items()
    assert engine.problems() == {"a.md": "is binary, not text"}
    (docs / "a.md").write_text("# Apple\n\nRed.\n")
    engine.add(docs)
    assert "user-contributions/ann/docs/a.md" in engine.items()
    assert engine.problems() == {}


def test_a_saved_file_is_read_alone(engine: Engine, docs: Path) -> None:
    source = engine.add(docs)
    position = engine.agentfs.items.position()
    (docs / "a.md").write_text("# Apple\n\nYellow.\n")
    (docs / "c.py").write_text('"""Changed too, but nobody said so."""\n')
    (docs / "new.txt").write_text("Brand new.")
    engine.save(source, docs / "a.md")
    changed = engine.agentfs.items.changes_since(position, 100)
    assert [each.path for each in changed] == ["user-contributions/ann/docs/a.md"]
    engine.save(source, docs / "new.txt")
    assert "user-contributions/ann/docs/new.txt" in engine.items()


def test_a_deleted_file_and_a_deleted_folder_go(engine: Engine, docs: Path) -> None:
    source = engine.add(docs)
    (docs / "a.md").unlink()
    engine.save(source, docs / "a.md")
    assert "user-contributions/ann/docs/a.md" not in engine.items()
    (docs / "guide" / "b.rst").unlink()
    (docs / "guide").rmdir()
    engine.save(source, docs / "guide")
    assert sorted(engine.items()) == ["user-contributions/ann/docs/c.py"]


def test_a_saved_file_that_is_not_read_changes_nothing(engine: Engine, docs: Path) -> None:
    source = engine.add(docs)
    position = engine.agentfs.items.position()
    for name in (".hidden.md", "image.png", "a.md~"):
        (docs / name).write_text("x")
        engine.save(source, docs / name)
    engine.save(source, docs.parent / "elsewhere.md")
    engine.ingester.saved("no such source", docs / "a.md")
    engine.settle()
    assert engine.agentfs.items.position() == position


def test_a_removed_source_takes_its_documents_along(engine: Engine, docs: Path) -> None:
    source = engine.add(docs)
    other = engine.add(docs / "guide" / "b.rst")
    digests = [each.sha256 for each in engine.items().values() if each.metadata["source_id"] == source.id]
    assert remove_source(engine.agentfs, source) == len(digests)
    assert {each.metadata["source_id"] for each in engine.items().values()} == {other.id}
    assert engine.agentfs.sources.all() == [other]
    engine.save(source, docs / "a.md")
    assert {each.metadata["source_id"] for each in engine.items().values()} == {other.id}


def test_a_folder_added_inside_another_is_read_once(engine: Engine, docs: Path) -> None:
    inner = engine.add(docs / "guide")
    outer = engine.add(docs)
    owners = {path: item.metadata["source_id"] for path, item in engine.items().items()}
    assert owners == {
        "user-contributions/ann/guide/b.rst": inner.id,
        "user-contributions/ann/docs/a.md": outer.id,
        "user-contributions/ann/docs/c.py": outer.id,
    }


def test_a_source_that_is_away_keeps_its_documents(engine: Engine, docs: Path) -> None:
    engine.add(docs)
    items = engine.items()
    source = engine.agentfs.sources.all()[0]
    docs.rename(docs.parent / "unmounted")
    with engine.agentfs.database.transaction() as connection:
        engine.agentfs.queue.enqueue(connection, READ_SOURCE, {"source": source.id})
    engine.ingester.wake()
    engine.settle()
    assert engine.items() == items
    assert "is not there now" in next(each.message for each in engine.events if isinstance(each, Notice))


def test_work_cut_off_in_the_middle_is_completed_by_the_next_engine(tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03}.md").write_text(f"# Title {number}\n\nText {number}.\n")
    engine = Engine(tmp_path / "workspace")
    half_way = threading.Event()
    engine.on_event = lambda event: half_way.set() if isinstance(event, ItemsChanged) else None
    engine.ingester.start()
    source = add_path(engine.agentfs, str(folder), Origin(), cwd=tmp_path)
    engine.ingester.wake()
    assert half_way.wait(BOUND_SECONDS)
    engine.ingester.stop()
    assert 0 < len(engine.items()) < 120
    assert engine.problems() == {}
    assert engine.agentfs.queue.waiting() == 1
    kept = engine.items()
    engine.ingester = engine.new_ingester()
    engine.ingester.start()
    engine.settle()
    items = engine.items()
    assert len(items) == 120
    assert {path: items[path] for path in kept} == kept
    assert len(engine.agentfs.sources.files(source.id)) == 120
    engine.close()


def test_cancelling_keeps_what_is_in_and_ends_the_work(tmp_path: Path) -> None:
    folder, later = tmp_path / "docs", tmp_path / "later"
    later.mkdir()
    folder.mkdir()
    (later / "z.md").write_text("Later.")
    for number in range(120):
        (folder / f"{number:03}.md").write_text(f"# Title {number}\n\nText {number}.\n")
    engine = Engine(tmp_path / "workspace")
    engine.on_event = lambda event: engine.ingester.cancel() if isinstance(event, ItemsChanged) else None
    add_path(engine.agentfs, str(folder), Origin(), cwd=tmp_path)
    add_path(engine.agentfs, str(later), Origin(), cwd=tmp_path)
    engine.ingester.start()
    engine.settle()
    assert 0 < len(engine.items()) < 120
    last = [each for each in engine.events if isinstance(each, Progress)][-1]
    assert (last.label, last.finished, last.cancelled) == ("docs", True, True)
    engine.on_event = lambda event: None
    engine.ingester.cancel()
    engine.add(later)
    assert "user-contributions/ann/later/z.md" in engine.items()
    engine.add(folder)
    assert len(engine.items()) == 121
    engine.close()


def test_an_installed_package_becomes_a_library(engine: Engine, tmp_path: Path) -> None:
    source = add_package(engine.agentfs, "iniconfig", Origin(), python=None, cwd=tmp_path, environ={})
    engine.ingester.wake()
    engine.settle()
    assert source.name == f"iniconfig=={source.version}"
    prefix = f"libraries/python/iniconfig/v{source.version}/"
    assert f"{prefix}iniconfig/__init__.py" in engine.items()
    assert all(path.startswith(prefix) for path in engine.items())
    (library,) = libraries(engine.agentfs)
    assert (library.language, library.library, library.version) == ("python", "iniconfig", source.version)
    assert find_sources(engine.agentfs, f"iniconfig@{source.version}", cwd=tmp_path) == [source]


def test_what_cannot_be_added_is_refused_and_leaves_nothing(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "workspace" / "files").mkdir(exist_ok=True)
    for path, error, sentence in (
        ("missing", NotFound, "There is nothing at"),
        ("dangling", NotFound, "leads nowhere"),
        ("pipe", InvalidInput, "neither a file nor a folder"),
        ("workspace", InvalidInput, "own workspace"),
        ("workspace/files", InvalidInput, "own workspace"),
    ):
        with pytest.raises(error, match=sentence):
            add_path(engine.agentfs, path, Origin(), cwd=tmp_path)
    with pytest.raises(NotFound, match="is not installed"):
        add_package(engine.agentfs, "no-such-thing", Origin(), python=None, cwd=tmp_path, environ={})
    with pytest.raises(NotFound, match="Nothing was added as docs"):
        find_sources(engine.agentfs, "docs", cwd=tmp_path)
    assert engine.agentfs.sources.all() == []
    assert engine.agentfs.queue.waiting() == 0


@pytest.mark.parametrize("flag", ["language", "library", "version"])
def test_a_secret_is_no_flag(engine: Engine, docs: Path, tmp_path: Path, flag: str) -> None:
    origin = replace(Origin(), **{flag: new_canary()})
    with pytest.raises(InvalidInput, match=f"The {flag} holds a secret"):
        add_path(engine.agentfs, str(docs), origin, cwd=tmp_path)
    with pytest.raises(InvalidInput, match=f"The {flag} holds a secret"):
        add_package(engine.agentfs, "pytest", origin, python=None, cwd=tmp_path)
    assert engine.agentfs.sources.all() == []


def test_two_folders_of_one_name_stay_apart(engine: Engine, docs: Path) -> None:
    other = docs.parent / "other" / "docs"
    other.mkdir(parents=True)
    (other / "a.md").write_text("Another.")
    engine.add(docs)
    assert engine.add(other).name == "docs-2"
    assert {"user-contributions/ann/docs/a.md", "user-contributions/ann/docs-2/a.md"} <= set(engine.items())


def test_a_folder_that_holds_the_workspace_does_not_read_it(engine: Engine, docs: Path) -> None:
    engine.agentfs.engine_lock.acquire("a test")
    (engine.agentfs.root / "logs").mkdir(exist_ok=True)
    (engine.agentfs.root / "logs" / "log.txt").write_text("log")
    engine.add(docs.parent)
    assert not [path for path in engine.items() if "workspace" in path]
