"""An engine killed fifty times while it reads: the next takes over each time, and in the end all parts agree."""

from __future__ import annotations

import random
import threading
from pathlib import Path

from engines import Nursery, idle, opened, successor, until

from core.model import Kind, SearchMode
from core.search.query import Query

ROUNDS = 50
DOCUMENTS = 12
LONGEST_LIFE_SECONDS = 0.6


def word_of(number: int, index: int) -> str:
    """A word of its own, of letters alone: the parts of others would find it too."""
    return "zq" + "".join(chr(ord("a") + int(digit)) for digit in f"{number:02}{index:02}") + "x"


def write_round(folder: Path, number: int, expected: dict[str, str]) -> None:
    """New documents, changed ones, and some that go."""
    for index in range(DOCUMENTS):
        path = folder / f"d{(number * 5 + index) % 60}.md"
        expected[path.name] = word_of(number, index)
        path.write_text(f"# {path.stem}\n\nAbout kettles: {expected[path.name]}.\n")
    gone = folder / f"d{(number * 7) % 60}.md"
    gone.unlink(missing_ok=True)
    expected.pop(gone.name, None)


def test_an_engine_killed_at_any_moment_is_succeeded_and_all_parts_agree(tmp_path: Path) -> None:
    folder, root = tmp_path / "docs", tmp_path / "w"
    folder.mkdir()
    expected: dict[str, str] = {}
    generator = random.Random(5)
    nursery = Nursery()
    viewers = [nursery.start(root, f"engine {number}", folder) for number in range(3)]
    try:
        for number in range(ROUNDS):
            engine = successor(viewers)
            viewers.remove(engine)
            viewers.append(nursery.start(root, f"engine {number + 3}", folder))
            # Chance decides what the engine is doing when it dies: opening, listing, reading, committing, indexing.
            threading.Event().wait(generator.random() * LONGEST_LIFE_SECONDS)
            write_round(folder, number, expected)
            engine.kill()
        with opened(root, "the last") as last:
            while viewers:
                viewers.pop().kill()
            until(lambda: last.is_engine, "the succession")
            idle(last)
            documents = {
                Path(item.path).name for item in last.agentfs.items.changes_since(0, 10_000) if not item.deleted
            }
            assert documents == set(expected)
            assert last.agentfs.items.count(Kind.DOCUMENT) == len(expected)
            counts = last.counts()
            assert (counts.documents, counts.passages) == (len(expected), len(expected))
            for name, word in expected.items():
                hits = last.search(Query(word, mode=SearchMode.TEXT)).hits
                assert [Path(hit.source).name for hit in hits] == [name]
            assert len(last.search(Query("kettles", mode=SearchMode.TEXT, limit=200)).hits) == len(expected)
            assert last.agentfs.contents.damaged() == []
            assert last.problems() == []
            assert last.agentfs.queue.waiting() == 0
    finally:
        for process in viewers:
            process.kill()
