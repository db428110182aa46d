"""What the tests of the readers share: write a file, read it, look at its passages."""

from __future__ import annotations

import textwrap
from pathlib import Path

from core.library.extract import ReadRequest, extract
from core.model import DocumentContent, Passage


def read(folder: Path, name: str, text: str, **options: str) -> DocumentContent:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip("\n"), "utf-8")
    return extract(ReadRequest(path=path, root=folder, **options)).content  # type: ignore[arg-type]


def titled(content: DocumentContent, title: str) -> Passage:
    """The one passage called ``title``."""
    found = [each for each in content.passages if each.title == title]
    assert len(found) == 1, [each.title for each in content.passages]
    return found[0]


def whole(content: DocumentContent) -> str:
    return "\n".join(each.embedding_text for each in content.passages)


def assert_line_holds(folder: Path, name: str, passage: Passage, text: str) -> None:
    lines = (folder / name).read_text("utf-8").split("\n")
    assert text in lines[passage.line - 1], (passage.line, lines[passage.line - 1])
