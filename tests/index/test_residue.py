"""What was deleted from the plain files because it is sealed now is gone from every byte of them, whatever happens."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import tantivy
from indexing import MODEL, digest_of, document, fill, open_index, vector_of

from core.index.catch_up import catch_up
from core.index.documents import DocumentIndex
from core.index.partition import Partition
from core.index.residue import remove_residue
from core.index.schema import Remains
from core.index.vector_cache import VectorCache
from core.index.words import WordsIndex
from core.model import Filters

CANARY = "zanzibarquokka"
KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from core.index.residue import remove_residue
from test_residue import Files
files = Files(Path(sys.argv[1]))
print("open", flush=True)
remove_residue(files.plain, files.vectors, False, lambda: False)
print("done", flush=True)
"""


class Files:
    """The plain files of an index, of which a document called secret can be made to leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = open_index(folder)
        self.words = WordsIndex(folder / "words")
        catch_up(self.words, self.index)
        self.vectors = VectorCache(folder / "vectors.db")
        self.plain = Partition(self.index, self.words)

    def fill(self, documents: int) -> None:
        """Documents in several batches, with vectors; each third passage is of the secret one."""
        for number in range(documents):
            position = self.index.position + 1
            texts = [f"plain text {number} {part}" for part in range(3)]
            applied = self.index.apply([document(f"d{number}", *texts)], [], position)
            self.words.apply(applied.passages, [f"d{number}"], (applied.store_id, position))
        position = self.index.position + 1
        secret = document("secret", *(f"the {CANARY} number {part}" for part in range(documents)))
        # Together with another document, for a part of the words index that holds nothing else is dropped whole.
        applied = self.index.apply([secret, document("beside", "plain text beside it")], [], position)
        self.words.apply(applied.passages, ["secret", "beside"], (applied.store_id, position))
        made = fill(self.index)
        self.vectors.put_many(MODEL.key, made)
        self.vectors.put_many("older-model", {digest_of("secret.part0", f"the {CANARY} of old"): vector_of("old")})

    def seal(self) -> None:
        """What the updater does when the document is sealed."""
        position = self.index.position + 1
        applied = self.index.apply([], ["secret"], position, sealed=True)
        self.words.apply(applied.passages, ["secret"], (applied.store_id, position))

    def close(self) -> None:
        self.words.close()
        self.index.close()
        self.vectors.close()

    def traces(self) -> list[str]:
        """The files that hold something of the secret document: its text, or the hash or vector of one."""
        text = f"the {CANARY} number 0"
        digest = digest_of("secret.part0", text)
        wanted = (CANARY.encode(), digest.encode(), vector_of(digest).tobytes()[:64])
        files = [file for file in self.folder.rglob("*") if file.is_file()]
        found = {file.name for file in files if any(each in file.read_bytes() for each in wanted)}
        # The words index packs its words, so it is asked.
        raw = tantivy.Index.open(str(self.folder / "words")).searcher()
        if raw.doc_freq("text", CANARY):
            found.add("words")
        return sorted(found)

    def answers(self) -> object:
        """What can be found."""
        words, _ = self.words.search("plain text", Filters(), None, 1000)
        nearest, count = self.index.rank_exact(vector_of("q"), MODEL.key, Filters(), 1000)
        rows = self.index.passages_by_slot([slot for slot, _ in nearest])
        return sorted(slot for slot, _ in words), nearest, count, rows, self.index.counts(), self.index.next_slot


def test_nothing_is_left_and_everything_else_stays(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.fill(5)
    files.close()
    assert files.traces() == ["documents.duckdb", "vectors.db", "words"]
    files = Files(tmp_path)
    files.seal()
    before = files.answers()
    store, position = files.index.store_id, files.index.position
    (tmp_path / "documents.duckdb.damaged-3").write_bytes(CANARY.encode())
    (tmp_path / "documents.duckdb.new").write_bytes(CANARY.encode())
    assert files.index.remains is Remains.SEALED
    assert remove_residue(files.plain, files.vectors, False, lambda: False)
    assert files.index.remains is Remains.NONE
    assert (files.index.store_id, files.index.position) == (store, position)
    assert files.answers() == before
    assert not catch_up(files.words, files.index)
    assert files.traces() == []
    assert not remove_residue(files.plain, files.vectors, True, lambda: False)
    known = digest_of("d3.part1", "plain text 3 1")
    assert set(files.vectors.get_many(MODEL.key, [known])) == {known}
    applied = files.index.apply([document("new", "plain text 3 1")], [], position + 1)
    files.words.apply(applied.passages, [], (applied.store_id, position + 1))
    files.close()
    again = Files(tmp_path)
    assert again.index.rebuilt_reason == ""
    assert again.index.position == position + 1
    again.close()
    assert again.traces() == []


def test_a_file_started_anew_beside_older_ones_is_written_anew_once_something_is_sealed(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.fill(3)
    files.close()
    (tmp_path / "documents.duckdb").write_bytes(b"rubbish" * 5000 + CANARY.encode())
    files = Files(tmp_path)
    assert files.index.remains is Remains.UNKNOWN
    assert not remove_residue(files.plain, files.vectors, False, lambda: False)
    assert "vectors.db" in files.traces()
    assert remove_residue(files.plain, files.vectors, True, lambda: False)
    files.close()
    assert files.traces() == []
    (tmp_path / "documents.duckdb").unlink()
    index = DocumentIndex(tmp_path / "documents.duckdb", threads=1, memory_mb=128, remains=Remains.UNKNOWN)
    assert index.remains is Remains.UNKNOWN
    index.close()


def test_being_stopped_changes_nothing_that_is_found_and_it_is_begun_again(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.fill(4)
    files.seal()
    before = files.answers()
    outcomes = []
    for steps in range(5):
        asked = iter(range(100))
        outcomes.append(remove_residue(files.plain, files.vectors, False, lambda: next(asked) >= steps))  # noqa: B023
        assert outcomes[-1] == (files.index.remains is Remains.NONE)
        assert files.answers() == before
    assert outcomes == [False, False, False, False, True]
    files.close()
    assert files.traces() == []


def test_searches_go_on_while_the_files_are_written_anew(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.fill(3)
    files.seal()
    expected = files.answers()
    failures: list[object] = []
    counted = []
    done = threading.Event()

    def search() -> None:
        try:
            while not done.is_set():
                counted.append(files.answers() == expected)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(2):
        assert remove_residue(files.plain, files.vectors, False, lambda: False)
        files.seal()
    expected_last = files.answers()
    done.set()
    for thread in threads:
        thread.join(30)
    assert failures == []
    assert all(counted)
    assert expected_last == expected
    files.close()


def test_killed_at_any_moment_it_loses_nothing_and_is_finished_by_the_next(tmp_path: Path) -> None:
    files = Files(tmp_path)
    files.fill(5)
    files.seal()
    expected = files.answers()
    files.close()
    for milliseconds in (5, 40):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        threading.Event().wait(milliseconds / 1000)
        process.kill()
        process.wait()
        files = Files(tmp_path)
        assert files.index.rebuilt_reason == ""
        assert files.answers() == expected
        if files.index.remains is Remains.NONE:
            files.close()
            assert files.traces() == []
            files = Files(tmp_path)
            files.index.apply([], [], files.index.position, sealed=True)
        files.close()
    files = Files(tmp_path)
    remove_residue(files.plain, files.vectors, False, lambda: False)
    assert files.answers() == expected
    files.close()
    assert files.traces() == []
