"""Which library, version and language a file belongs to, from the nearest manifest; nothing is ever executed."""

from __future__ import annotations

import configparser
import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.library.readers.sections import Block

_LARGEST_MANIFEST = 1024 * 1024
_PYTHON_SUFFIXES = frozenset({".py", ".pyi"})
_SAME_LANGUAGE = {
    "py": "python",
    "python3": "python",
    "pycon": "python",
    "ipython": "python",
    "ipython3": "python",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "ts": "typescript",
    "tsx": "typescript",
    "rs": "rust",
    "golang": "go",
    "sh": "shell",
    "bash": "shell",
    "zsh": "shell",
    "console": "shell",
    "shell-session": "shell",
    "shellsession": "shell",
    "terminal": "shell",
    "c++": "cpp",
    "cxx": "cpp",
    "cs": "csharp",
    "c#": "csharp",
    "rb": "ruby",
    "kt": "kotlin",
    "yml": "yaml",
    "txt": "text",
    "plain": "text",
    "plaintext": "text",
    "none": "text",
}
_SECONDARY = frozenset(
    {"shell", "text", "json", "yaml", "toml", "ini", "xml", "diff", "output", "mermaid", "dockerfile"}
)
_LANGUAGE_NAME = re.compile(r"\{?\.?([A-Za-z0-9][\w+#-]{0,19})")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a document belongs to; empty strings where unknown. Languages are lower-case words: python, rust, shell."""

    language: str
    library: str
    version: str


def detect(path: Path, root: Path, blocks: Iterable[Block] = ()) -> Origin:
    """The origin of the file or folder ``path``, looking for a manifest no higher than ``root``.

    Without a manifest the library is the root's name, and the language that of most of the code among ``blocks``.
    """
    is_python = path.suffix.lower() in _PYTHON_SUFFIXES
    for folder in _folders(path, root):
        found = _manifest_of(folder)
        if found is not None:
            language = "python" if is_python else found.language
            return Origin(language, found.library, found.version)
    name = root.name if root.is_dir() else root.stem
    return Origin("python" if is_python else code_language(blocks), name, "")


def code_language(blocks: Iterable[Block]) -> str:
    """The language most lines of code are in, or an empty string.

    Shell, data and configuration formats count only where there is nothing else.
    """
    lines: Counter[str] = Counter()
    for block in blocks:
        match = _LANGUAGE_NAME.match(block.language) if block.is_code else None
        if match:
            name = match[1].lower()
            lines[_SAME_LANGUAGE.get(name, name)] += block.text.count("\n") + 1
    primary = {name: count for name, count in lines.items() if name not in _SECONDARY}
    counted = primary or {name: count for name, count in lines.items() if name != "text"}
    return max(sorted(counted), key=lambda name: counted[name], default="")


def _folders(path: Path, root: Path) -> Iterable[Path]:
    top = root if root.is_dir() else root.parent
    folder = path if path.is_dir() else path.parent
    if not folder.is_relative_to(top):
        return (top,)
    levels = len(folder.parts) - len(top.parts)
    return (folder, *folder.parents)[: levels + 1]


def _manifest_of(folder: Path) -> Origin | None:
    for name, parse in _PARSERS.items():
        location = os.path.join(folder, name)
        try:
            status = os.stat(location)
        except OSError:
            continue
        if status.st_size <= _LARGEST_MANIFEST:
            origin = _parsed(location, parse, status.st_mtime_ns, status.st_size)
            if origin is not None:
                return origin
    return None


@lru_cache(maxsize=1024)
def _parsed(location: str, parse: Callable[[str], Origin | None], _modified_ns: int, _size: int) -> Origin | None:
    """The manifest at ``location``, parsed again when its time or size changed; ``None`` where it is of no use."""
    try:
        text = Path(location).read_text("utf-8-sig") if os.path.isfile(location) else ""
        return parse(text)
    except (OSError, ValueError, RecursionError, configparser.Error):
        return None


def _origin(language: str, name: object, version: object) -> Origin | None:
    if not isinstance(name, str) or not name.strip():
        return None
    return Origin(language, name.strip(), version.strip() if isinstance(version, str) else "")


def _table(values: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else {}


def _pyproject(text: str) -> Origin | None:
    values = tomllib.loads(text)
    for table in (_table(values, "project"), _table(values, "tool", "poetry")):
        if origin := _origin("python", table.get("name"), table.get("version")):
            return origin
    return None


def _setup_cfg(text: str) -> Origin | None:
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    if not parser.has_section("metadata"):
        return None
    version = parser.get("metadata", "version", fallback="")
    is_computed = version.strip().startswith(("attr:", "file:"))
    return _origin("python", parser.get("metadata", "name", fallback=""), "" if is_computed else version)


def _cargo(text: str) -> Origin | None:
    package = _table(tomllib.loads(text), "package")
    return _origin("rust", package.get("name"), package.get("version"))


def _package_json(text: str) -> Origin | None:
    values = json.loads(text)
    if not isinstance(values, dict):
        return None
    is_typed = bool(values.get("types") or values.get("typings"))
    uses_typescript = any("typescript" in _table(values, key) for key in ("devDependencies", "dependencies"))
    language = "typescript" if is_typed or uses_typescript else "javascript"
    return _origin(language, values.get("name"), values.get("version"))


def _go_mod(text: str) -> Origin | None:
    match = re.search(r'^module\s+"?([^\s"]+)', text, re.MULTILINE)
    return _origin("go", match[1], "") if match else None


_PARSERS: dict[str, Callable[[str], Origin | None]] = {
    "pyproject.toml": _pyproject,
    "setup.cfg": _setup_cfg,
    "Cargo.toml": _cargo,
    "package.json": _package_json,
    "go.mod": _go_mod,
}
