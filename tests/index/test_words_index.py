"""The words index: what is found by which words, after which changes, and when it has to be filled anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from indexing import document, open_index

from core.index.catch_up import catch_up
from core.index.rows import WordsPassage
from core.index.words import STATE_FILE, WordsIndex
from core.model import Filters

PASSAGES = [
    WordsPassage(1, "d1", "http.getAvailableServices", "Lists what runs.", "python", "http", "1"),
    WordsPassage(2, "d1", "http.retry_with_backoff", "Tries again and again.", "python", "http", "1"),
    WordsPassage(3, "d2", "Guide › Boiling water", "The kettle boils water quickly.", "rust", "kettle", "2"),
    WordsPassage(4, "d3", "HTTPServer.serve_forever", "Blocks until stopped.", "python", "server", "3"),
]


@pytest.fixture
def words(tmp_path: Path) -> Iterator[WordsIndex]:
    index = WordsIndex(tmp_path / "words")
    index.apply(PASSAGES, [], ("s", 1))
    yield index
    index.close()


def slots(
    index: WordsIndex, text: str, filters: Filters | None = None, documents: list[str] | None = None
) -> list[int]:
    return [slot for slot, _ in index.search(text, filters or Filters(), documents, 10)[0]]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("available services", 1),
        ("getAvailableServices", 1),
        ("get_available_services", 1),
        ("http.getAvailableServices", 1),
        ("retry backoff", 2),
        ("retrying", 2),
        ("boiled kettles", 3),
        ("http server", 4),
        ('"boils water"', 3),
        ("kettle AND water", 3),
    ],
)
def test_words_find_names_and_stems(words: WordsIndex, text: str, first: int) -> None:
    assert slots(words, text)[0] == first


def test_operators_exclude_and_demand(words: WordsIndex) -> None:
    assert slots(words, "http") == [1, 2, 4] or set(slots(words, "http")) == {1, 2, 4}
    assert set(slots(words, "http -server")) == {1, 2}
    assert slots(words, '"water boils"') == []
    assert slots(words, "kettle AND missing") == []


@pytest.mark.parametrize("text", ['"kettle', "kettle AND (", "kettle OR OR", "NOT", "+", "kettle AND foo:bar"])
def test_broken_syntax_is_searched_as_plain_words(words: WordsIndex, text: str) -> None:
    found, note = words.search(text, Filters(), None, 10)
    if "kettle" in text:
        assert found[0][0] == 3
    if '"' in text or "(" in text:
        assert "plain words" in note


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=60) | st.text(alphabet='ab "()[]{}:+-*?~^\\/&|!AND OR NOT', max_size=40))
def test_no_text_at_all_raises(words: WordsIndex, text: str) -> None:
    found, note = words.search(text, Filters(), None, 5)
    assert isinstance(found, list)
    assert isinstance(note, str)


def test_filters_and_allowed_documents(words: WordsIndex) -> None:
    assert set(slots(words, "http", Filters(library="HTTP"))) == {1, 2}
    assert slots(words, "water", Filters(language="python")) == []
    assert slots(words, "water", Filters(language="rust", version="2")) == [3]
    assert slots(words, "http", documents=["d3"]) == [4]
    assert slots(words, "http", documents=[]) == []


def test_a_filter_moves_no_hit(words: WordsIndex) -> None:
    free, _ = words.search("http server", Filters(), None, 10)
    narrow, _ = words.search("http server", Filters(language="python"), None, 10)
    assert narrow == pytest.approx([each for each in free if each[0] != 3])


def test_changes_are_found_at_once(words: WordsIndex) -> None:
    words.apply([WordsPassage(9, "d2", "Guide", "An entirely new teapot.", "rust", "kettle", "2")], ["d2"], ("s", 2))
    assert slots(words, "teapot") == [9]
    assert slots(words, "boils") == []
    assert words.count() == 4


def test_reopening_keeps_everything(tmp_path: Path) -> None:
    first = WordsIndex(tmp_path / "words")
    first.apply(PASSAGES, [], ("s", 7))
    first.close()
    again = WordsIndex(tmp_path / "words")
    assert again.state == ("s", 7)
    assert slots(again, "kettle") == [3]
    again.close()


@pytest.mark.parametrize("damage", ["meta", "state", "folder", "segments"])
def test_a_damaged_folder_is_filled_anew_with_the_same_answers(tmp_path: Path, damage: str) -> None:
    index = open_index(tmp_path)
    words = WordsIndex(tmp_path / "words")
    for number in range(5):
        applied = index.apply([document(f"d{number}", f"kettle number {number}", "lamp")], [], number + 1)
        words.apply(applied.passages, [], (applied.store_id, number + 1))
    before = sorted(slots(words, "kettle"))
    assert catch_up(words, index) is False
    words.close()
    folder = tmp_path / "words"
    if damage == "meta":
        (folder / "meta.json").write_text("{nonsense")
    elif damage == "state":
        (folder / STATE_FILE).unlink()
    elif damage == "segments":
        for file in folder.glob("*.store"):
            file.unlink()
    else:
        shutil.rmtree(folder)
    again = WordsIndex(folder)
    assert catch_up(again, index) is True
    assert sorted(slots(again, "kettle")) == before
    assert len(before) == 5
    assert catch_up(again, index) is False
    again.close()
    index.close()


def test_what_the_words_missed_is_caught_up(tmp_path: Path) -> None:
    index = open_index(tmp_path)
    words = WordsIndex(tmp_path / "words")
    applied = index.apply([document("a", "kettle"), document("b", "lamp")], [], 1)
    words.apply(applied.passages, [], (applied.store_id, 1))
    index.apply([document("c", "teapot")], ["a"], 2)
    assert catch_up(words, index) is True
    assert slots(words, "kettle") == []
    assert len(slots(words, "teapot")) == 1
    words.close()
    index.close()
