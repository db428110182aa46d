"""The whole result in an editor: what is written there is the result, and what is marked still is open still."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.conflicts.merging.automatic import Media, merge
from core.conflicts.merging.decisions import Choice, resolve
from core.conflicts.merging.document_text import document_text, read_document
from core.conflicts.merging.editing import edited, editing_text
from core.content_format import decode, encode
from core.errors import InvalidInput
from core.model import DocumentContent, Passage

NAMES = ("base", "local mara", "remote desk")
texts = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "d\n"]), max_size=8).map("".join)


@given(texts, texts, texts, texts)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_text_without_marks_is_the_result(base: str, local: str, remote: str, written: str) -> None:
    decisions = merge(base.encode(), local.encode(), remote.encode(), Media.TEXT).decisions
    assert edited(decisions, Media.TEXT, NAMES, editing_text(decisions, Media.TEXT, NAMES)) == decisions
    settled = decisions.chosen(decisions.open, Choice.LOCAL)
    resolved = resolve(edited(settled, Media.TEXT, NAMES, written))
    assert (resolved.content, resolved.open) == (written, ())


def test_what_is_marked_still_is_open_still_and_the_rest_is_taken() -> None:
    base, local, remote = b"a\nb\nc\nd\ne\n", b"a\nB\nc\nd\nE\n", b"a\nB2\nc\nd\nE2\n"
    decisions = merge(base, local, remote).decisions
    text = editing_text(decisions, Media.TEXT, NAMES)
    first = text.index("<<<<<<<")
    end = text.index(">>>>>>> remote desk\n") + len(">>>>>>> remote desk\n")
    after = edited(decisions, Media.TEXT, NAMES, text[:first] + "mine\n" + text[end:].replace("d\n", "d\nnew\n", 1))
    assert len(after.open) == 1
    assert resolve(after).content == "a\nmine\nc\nd\nnew\ne\n"


@pytest.mark.parametrize("spoil", [lambda text: text.replace("=======\n", ""), lambda text: text.replace("B\n", "X\n")])
def test_marks_left_half_are_refused(spoil: Callable[[str], str]) -> None:
    decisions = merge(b"a\nb\n", b"a\nB\n", b"a\nC\n").decisions
    with pytest.raises(InvalidInput, match="marks of the conflict are left"):
        edited(decisions, Media.TEXT, NAMES, spoil(editing_text(decisions, Media.TEXT, NAMES)))


def test_json_names_what_is_open_and_where_it_is_none() -> None:
    decisions = merge(b'{"a":1,"b":1}', b'{"a":2,"b":1}', b'{"a":3,"b":4}').decisions
    text = editing_text(decisions, Media.JSON, NAMES)
    assert '"<<< open: a >>>"' in text
    with pytest.raises(InvalidInput, match="Line 3 is still open"):
        edited(decisions, Media.JSON, NAMES, text.replace('"b": 4', '"b": 5').replace("{\n", "{\n\n", 1))
    with pytest.raises(InvalidInput, match="Line 2, column"):
        edited(decisions, Media.JSON, NAMES, text.replace('"<<< open: a >>>"', "two"))
    after = edited(decisions, Media.JSON, NAMES, text.replace('"<<< open: a >>>"', "null"))
    assert (resolve(after).content, after.open) == ({"a": None, "b": 4}, ())
    assert after.chosen([0], Choice.LOCAL).written is None


titles = st.text(st.sampled_from('ab §"\\›\t\n'), max_size=6)
documents = st.builds(
    DocumentContent,
    titles,
    st.just("python"),
    st.just(""),
    st.just("1.0"),
    st.just("/lamp.md"),
    st.lists(
        st.builds(Passage, titles, st.lists(titles, max_size=2).map(tuple), titles, st.integers(1, 99)), max_size=4
    ).map(tuple),
    st.dictionaries(st.sampled_from(["path", "title", "x-y"]), st.integers() | titles, max_size=2),
)


@given(documents)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_document_is_read_from_its_text_as_it_was(document: DocumentContent) -> None:
    read = read_document(document_text(encode(document)), source=document.source, like=document)
    assert decode(encode(read)) == read
    assert [(each.title, each.heading_path, each.text) for each in read.passages] == [
        (each.title, each.heading_path, each.text) for each in document.passages
    ]
    assert (read.title, read.metadata, read.source) == (document.title, document.metadata, document.source)


@pytest.mark.parametrize("text", ["", "title: x\n", "title: 5\n", "hello\n", '§ "a\n', '§ a\t"b"\n'])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        read_document(text, source="", like=None)
