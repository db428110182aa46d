"""The format of published libraries: what is written is read as it was, and says what its schemas say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import core.library
from core.errors import BailiwickError, InvalidInput, WorkspaceUnusable
from core.index.vectors import ModelIdentity, normalised
from core.library.published_examples import MOST_EXAMPLES, example_files
from core.library.published_format import (
    LibraryName,
    PublishedDocument,
    checked_name,
    publishable,
    write_library,
)
from core.library.published_reading import read_documents, read_metadata, read_vectors
from core.model import DocumentContent, Passage

NAME = LibraryName("python", "kettle", "1.2")
MODEL = ModelIdentity("all-MiniLM-L6-v2", 384, "53aa51172d142c89")
ROOM = Path(core.library.__file__).parent
SCHEMAS = {
    "kettle.json": json.loads((ROOM / "published_library.schema.json").read_text()),
    "metadata.json": json.loads((ROOM / "published_metadata.schema.json").read_text()),
}


def document(path: str, /, *passages: Passage, title: str = "Kettle", **about: Any) -> PublishedDocument:
    return PublishedDocument(path, DocumentContent(title, "python", "kettle", "1.2", path, passages, about))


def written(*documents: PublishedDocument, **more: Any) -> dict[str, bytes]:
    return write_library(NAME, documents, published_at="2026-11-25T08:00:00Z", published_by="mara", **more)


def one() -> dict[str, bytes]:
    passage = Passage("Boil", ("Kettle", "Boil"), "It boils.\n\n```py\nboil()\n```", 3)
    return written(document("a/b.md", passage, path="a/b.md"), vectors=np.eye(1, 384, dtype=np.float32), model=MODEL)


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)
passages = st.builds(Passage, texts, st.lists(texts, max_size=3).map(tuple), texts, st.integers(0, 10**6))
documents = st.builds(
    lambda title, found, about: document("x", *found, title=title, **{f"_{key}": each for key, each in about.items()}),
    texts,
    st.lists(passages, max_size=4),
    st.dictionaries(texts, values, max_size=3),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(documents, max_size=3), st.booleans(), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_as_it_was(found: list[PublishedDocument], with_vectors: bool, seed: int) -> None:
    library = [publishable(PublishedDocument(f"d/{n}", each.content)) for n, each in enumerate(found)]
    library = [
        document(each.path, *each.content.passages, title=each.content.title, **dict(each.content.metadata))
        for each in library
    ]
    count = sum(len(each.content.passages) for each in library)
    rows = normalised(np.random.default_rng(seed).normal(size=(count, 384)).astype(np.float32)) if count else None
    files = written(*library, vectors=rows if with_vectors else None, model=MODEL, license_name="MIT")
    metadata = read_metadata(files["metadata.json"])
    assert (metadata.name, metadata.license, metadata.published_by) == (NAME, "MIT", "mara")
    assert read_documents(files["kettle.json"], metadata) == library
    assert files == written(*library, vectors=rows if with_vectors else None, model=MODEL, license_name="MIT")
    for file, schema in SCHEMAS.items():
        jsonschema.validate(json.loads(files[file]), schema)
    if with_vectors and rows is not None:
        assert metadata.model == MODEL
        assert np.abs(read_vectors(files["vectors.f16"], metadata) - rows).max() < 1e-3
    else:
        assert metadata.model is None
        assert "vectors.f16" not in files


def test_the_rows_of_vectors_are_little_endian_halves_without_a_header() -> None:
    import struct

    data = one()["vectors.f16"]
    assert len(data) == 768
    assert struct.unpack("<3e", data[:6]) == (1.0, 0.0, 0.0)


def test_what_no_screen_can_show_is_replaced_before_it_is_written() -> None:
    passage = Passage("a\x1b[2Jb", ("\x00",), "line\r\n\ttab \ud800 \x07", 1)
    cleaned = publishable(document("a", passage, title="t\x7f" * 2_000, note={"k\x00": ["\x1b", 1]}))
    assert cleaned.content.passages[0] == Passage("a\ufffd[2Jb", ("\ufffd",), "line\r\n\ttab \ufffd \ufffd", 1)
    assert cleaned.content.metadata == {"note": {"k\ufffd": ["\ufffd", 1]}}
    assert len(cleaned.content.title) == 1_000
    written(cleaned)


def test_examples_are_files_that_are_read_by_themselves() -> None:
    found = example_files(
        [
            [
                Passage("kettle.boil()", (), "Boil:\n\n```python\nboil()\n```\n\nand\n\n```\nplain\n```", 1),
                Passage("Fences", (), "````md\n```py\nx\n```\n````", 20),
                Passage("Empty", (), "```py\n\n```", 30),
            ],
            [
                Passage("Long", ("H",), "So:\n\n```rust\nfn a() {\n```", 1),
                Passage("Long", ("H",), "```rust\n    b();\n```", 4),
                Passage("Long", ("H",), "```rust\n}\n```\n\nThat was it.", 5),
                Passage("Long", ("H",), "```rust\nfn other() {}\n```", 60),
            ],
        ]
    )
    assert found == {
        "examples/0001-kettle-boil.py": b"boil()\n",
        "examples/0002-kettle-boil.txt": b"plain\n",
        "examples/0003-fences.txt": b"```py\nx\n```\n",
        "examples/0004-long.rs": b"fn a() {\n    b();\n}\n",
        "examples/0005-long.rs": b"fn other() {}\n",
    }
    many = [Passage("a", (), "```py\nx\n```", line) for line in range(1, 5_000, 10)]
    assert len(example_files([many])) == MOST_EXAMPLES


@pytest.mark.parametrize(
    "parts",
    [
        ("", "kettle", "1"),
        ("python", "..", "1"),
        ("python", "a/b", "1"),
        ("python", "a b", "1"),
        ("python", ".hidden", "1"),
        ("python", "a\\b", "1"),
        ("python", "a\x07", "1"),
        ("python", "k" * 121, "1"),
        ("python", "e\u0301", "1"),
        ("python", "Metadata", "1"),
        ("index.json", "kettle", "1"),
        ("python", "kettle", ""),
    ],
)
def test_names_that_cannot_be_folders_are_refused(parts: tuple[str, str, str]) -> None:
    with pytest.raises(InvalidInput):
        checked_name(*parts)


def changed(file: str, change: dict[str, Any]) -> bytes:
    held = json.loads(one()[file])
    for key, value in change.items():
        *above, last = key.split(".")
        inner: Any = held
        for part in above:
            inner = inner[int(part) if part.isdecimal() else part]
        if last.endswith("+"):
            inner[last[:-1]].update(value)
        elif value is ...:
            del inner[last]
        else:
            inner[int(last) if last.isdecimal() else last] = value
    return json.dumps(held).encode()


FILE = {"size": 1, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "change",
    [
        {"files+": {"../out": FILE}, "examples": 2},
        {"files+": {"/etc/passwd": FILE}, "examples": 2},
        {"files+": {"examples/../../x": FILE}, "examples": 2},
        {"files+": {"examples/.ssh": FILE}, "examples": 2},
        {"files": {"kettle.json": {"size": 10**12, "sha256": "0" * 64}}},
        {"files": {"kettle.json": {"size": True, "sha256": "0" * 64}}},
        {"files": {"kettle.json": {"size": 1, "sha256": "0" * 63}}},
        {"files+": {"other.json": FILE}},
        {"files+": {"examples/a\\b": FILE}, "examples": 2},
        {"files+": {"examples/a.py": {"size": 10**7, "sha256": "0" * 64}}, "examples": 2},
        {"files+": {"examples/a.py": {"size": 1, "sha256": "0" * 64, "more": 1}}, "examples": 2},
        {"files": {}},
        {"files": []},
        {"language": "../.."},
        {"library": "a/b"},
        {"library": 7},
        {"documents": -1},
        {"documents": 10**9},
        {"passages": "many"},
        {"passages": 2},
        {"examples": 0},
        {"published_by": "mara\x1b[2J"},
        {"published_by": "m" * 10_000},
        {"license": ["MIT"]},
        {"vectors": {"model": "m", "dimension": 384}},
        {"vectors.dimension": 768},
        {"vectors.weights_sha256": "nonsense"},
        {"vectors": None},
        {"format": "other"},
        {"version": 0},
        {"version": "1"},
        {"version": ...},
        {"more": 1},
    ],
)
def test_hostile_metadata_is_one_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"metadata\.json is not in the library format"):
        read_metadata(changed("metadata.json", change))


@pytest.mark.parametrize(
    "change",
    [
        {"documents.0.path": "../../etc/passwd"},
        {"documents.0.path": "/etc/passwd"},
        {"documents.0.path": "a//b"},
        {"documents.0.path": "a\\..\\b"},
        {"documents.0.path": "a\x1b]0;x\x07"},
        {"documents.0.path": "p" * 2_000},
        {"documents.0.title": 7},
        {"documents.0.title": "\x1b[31m"},
        {"documents.0.title": "t" * 1_001},
        {"documents.0.metadata": []},
        {"documents.0.metadata": {"a": "\ud800"}},
        {"documents.0.metadata": {"a": "x" * 70_000}},
        {"documents.0.passages.0.line": 2**40},
        {"documents.0.passages.0.line": -1},
        {"documents.0.passages.0.line": 1.5},
        {"documents.0.passages.0.line": True},
        {"documents.0.passages.0.text": "lone \udfff"},
        {"documents.0.passages.0.text": "x" * 70_000},
        {"documents.0.passages.0.text": "other words than were embedded"},
        {"documents.0.passages.0.heading_path": "Kettle"},
        {"documents.0.passages.0.heading_path": ["h"] * 101},
        {"documents.0.passages": []},
        {"documents.0.more": 1},
        {"documents": {}},
        {"documents": []},
        {"library_version": "9.9"},
        {"more": 1},
    ],
)
def test_hostile_documents_are_one_sentence(change: dict[str, Any]) -> None:
    metadata = read_metadata(one()["metadata.json"])
    with pytest.raises(InvalidInput, match=r"kettle\.json is not in the library format"):
        read_documents(changed("kettle.json", change), metadata)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format":' * 100_000,
        b'{"format":"bailiwick-library","version":1,"version":1}',
        b'{"format":"bailiwick-library","version":NaN}',
        b'{"format":"bailiwick-library","version":1' + b"0" * 5_000 + b"}",
        b" " * (1024 * 1024 + 1),
    ],
)
def test_what_is_no_json_of_ours_is_one_sentence(data: bytes) -> None:
    with pytest.raises(BailiwickError) as refused:
        read_metadata(data)
    assert "\n" not in refused.value.message


def test_deeply_nested_metadata_and_infinite_numbers_are_refused() -> None:
    files = one()
    metadata = read_metadata(files["metadata.json"])
    for inner in ('{"a":' * 300 + "1" + "}" * 300, '{"a":1e999}'):
        data = files["kettle.json"].replace(b'{\n    "path": "a/b.md"\n   }', inner.encode())
        assert data != files["kettle.json"]
        with pytest.raises(InvalidInput, match="library format"):
            read_documents(data, metadata)


def test_two_documents_cannot_have_one_path() -> None:
    passage = Passage("Boil", (), "x", 1)
    with pytest.raises(InvalidInput, match="one path"):
        written(document("a", passage), document("a", passage))


def test_a_newer_format_is_one_sentence() -> None:
    with pytest.raises(WorkspaceUnusable, match="newer Bailiwick"):
        read_metadata(changed("metadata.json", {"version": 2, "more": 1}))


@pytest.mark.parametrize("row", [np.nan, np.inf, 0.0, 1.0])
def test_hostile_vectors_are_one_sentence(row: float) -> None:
    metadata = read_metadata(one()["metadata.json"])
    with pytest.raises(InvalidInput, match=r"vectors\.f16"):
        read_vectors(np.full((1, 384), row, "<f2").tobytes(), metadata)


def test_vectors_of_another_length_are_refused() -> None:
    metadata = read_metadata(one()["metadata.json"])
    for size in (0, 767, 1536):
        with pytest.raises(InvalidInput, match="one row per passage"):
            read_vectors(b"\x3c" * size, metadata)
