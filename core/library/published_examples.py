"""The fenced code of a library's passages as files that are read by themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from core.model import Passage

MOST_EXAMPLES = 400
"""The first ones of a library; the others are in its documents alone."""
LARGEST_EXAMPLE = 256 * 1024
FOLDER = "examples/"
_FENCED = re.compile(r"^(`{3,})([\w+#.-]*)[^`\n]*\n(.*?)^\1[ \t]*$", re.MULTILINE | re.DOTALL)
_OPENS = re.compile(r"`{3,}[\w+#.-]*[^`\n]*\n")
_CLOSES = re.compile(r"\n`{3,}[ \t]*\Z")
_SUFFIXES = {
    "bash": "sh",
    "c": "c",
    "c++": "cpp",
    "cpp": "cpp",
    "css": "css",
    "go": "go",
    "html": "html",
    "java": "java",
    "javascript": "js",
    "js": "js",
    "json": "json",
    "jsx": "jsx",
    "kotlin": "kt",
    "pycon": "txt",
    "py": "py",
    "python": "py",
    "python3": "py",
    "rb": "rb",
    "rs": "rs",
    "ruby": "rb",
    "rust": "rs",
    "sh": "sh",
    "shell": "sh",
    "sql": "sql",
    "toml": "toml",
    "ts": "ts",
    "tsx": "tsx",
    "typescript": "ts",
    "xml": "xml",
    "yaml": "yml",
    "yml": "yml",
}


@dataclass(slots=True)
class _Code:
    title: str
    language: str
    text: str


def example_files(documents: Iterable[Sequence[Passage]]) -> dict[str, bytes]:
    """The examples by their names, such as ``examples/0001-kettle-boil.py``, in the order of the passages.

    Code that was cut because it was too long for one passage is one file again.
    """
    files: dict[str, bytes] = {}
    for passages in documents:
        for code in _codes(passages):
            data = code.text.encode()
            if not code.text.strip() or len(data) > LARGEST_EXAMPLE:
                continue
            if len(files) == MOST_EXAMPLES:
                return files
            words = re.sub(r"[^A-Za-z0-9]+", "-", code.title).strip("-").lower()[:40].strip("-") or "example"
            suffix = _SUFFIXES.get(code.language.lower(), "txt")
            files[f"{FOLDER}{len(files) + 1:04d}-{words}.{suffix}"] = data
    return files


def _codes(passages: Sequence[Passage]) -> Iterator[_Code]:
    last: _Code | None = None
    before: Passage | None = None
    for passage in passages:
        found = [_Code(passage.title, language, text) for _, language, text in _FENCED.findall(passage.text)]
        if last is not None and before is not None and found and _goes_on(before, passage):
            last.text += found[0].text
            found = found[1:]
        if last is not None and (found or not _CLOSES.search(passage.text)):
            yield last
            last = None
        if found:
            yield from found[:-1]
            last = found[-1]
        before = passage
    if last is not None:
        yield last


def _goes_on(before: Passage, passage: Passage) -> bool:
    """Whether ``passage`` begins in the middle of the code that ``before`` ends with."""
    opened = _OPENS.match(passage.text)
    if opened is None or not _CLOSES.search(before.text):
        return False
    fences = [match[0].partition("\n")[0] for match in _FENCED.finditer(before.text)]
    same = bool(fences) and fences[-1].rstrip() == opened[0].rstrip()
    follows = 0 < passage.line - before.line <= before.text.count("\n") + 2
    return same and follows and (before.title, before.heading_path) == (passage.title, passage.heading_path)
