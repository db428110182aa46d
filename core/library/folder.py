"""Finding the files of a source, and reading one as text; nothing that is not a regular file is ever opened."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.library.file_text import Unreadable, decode_text, read_bytes, read_text
from core.model import Problem

__all__ = ["FoundFile", "Unreadable", "decode_text", "is_readable_path", "read_bytes", "read_text", "walk"]

READABLE_SUFFIXES = frozenset({".md", ".markdown", ".mdx", ".rst", ".html", ".htm", ".txt", ".py", ".pyi"})
_READABLE_NAMES = frozenset({"readme"})
# fmt: off
_SKIPPED_FOLDERS = frozenset({
    "node_modules", "bower_components", "__pycache__", "site-packages", "dist-packages", "_build", "htmlcov",
    "CVS", "_darcs",
})
# fmt: on
_ARTEFACT_FOLDERS = frozenset({"build", "dist"})
_SKIPPED_ENDING = re.compile(r".*\.(egg-info|dist-info|egg)")
_MARKERS_OF_SKIPPED = ("pyvenv.cfg", "CACHEDIR.TAG")
_MARKERS_OF_WORKSPACE = ("agentfs.db", "engine.lock")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that can be read: ``relative`` is its POSIX path below the root (its name, where the root is the file)."""

    path: Path
    relative: str
    size: int
    modified_ns: int


def walk(root: Path) -> Iterator[FoundFile | Problem]:
    """Every readable file of ``root`` (a folder or one file), each once, and a Problem for what stands in the way.

    Folder by folder in sorted order, then what links add to that. Hidden files and folders, version control, virtual
    environments, workspaces of Bailiwick and what builds leave behind are passed over in silence, as are other kinds of
    file; links that are broken, circular or lead out of the root, pipes, sockets and devices named like a document, and
    folders that cannot be listed, are Problems.
    """
    return _Walk(root).run()


def is_readable_path(path: Path, root: Path) -> bool:
    """Whether ``walk(root)`` would look at ``path``, which may be gone by now: decided by names, markers and links."""
    if path == root:
        return not path.is_dir()
    try:
        parts = path.relative_to(root).parts
    except ValueError:
        return False
    folder = root
    for part in parts[:-1]:
        folder = folder / part
        if _is_skipped_folder(folder):
            return False
    if not _has_readable_name(parts[-1]) or path.is_dir():
        return False
    return path.resolve().is_relative_to(root.resolve())


def _has_readable_name(name: str) -> bool:
    if name.startswith("."):
        return False
    return os.path.splitext(name)[1].lower() in READABLE_SUFFIXES or name.lower() in _READABLE_NAMES


def _is_skipped_folder(folder: Path) -> bool:
    name = folder.name
    if name.startswith(".") or name in _SKIPPED_FOLDERS or _SKIPPED_ENDING.fullmatch(name):
        return True
    if name in _ARTEFACT_FOLDERS and not os.path.lexists(folder / "__init__.py"):
        return True
    if any(os.path.lexists(folder / marker) for marker in _MARKERS_OF_SKIPPED):
        return True
    return all(os.path.lexists(folder / marker) for marker in _MARKERS_OF_WORKSPACE)


class _Walk:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._folders: set[tuple[int, int]] = set()
        self._files: set[tuple[int, int]] = set()
        self._links: list[Path] = []

    def run(self) -> Iterator[FoundFile | Problem]:
        try:
            status = os.stat(self._root)
        except OSError as error:
            yield Problem(str(self._root), _why(error))
            return
        if not stat.S_ISDIR(status.st_mode):
            yield from self._single_file(status)
            return
        yield from self._folder(self._root, status)
        while self._links:
            links, self._links = self._links, []
            for link in links:
                yield from self._link(link)

    def _single_file(self, status: os.stat_result) -> Iterator[FoundFile | Problem]:
        if not stat.S_ISREG(status.st_mode):
            yield Problem(str(self._root), "is not a regular file")
        elif not _has_readable_name(self._root.name.lstrip(".")):
            kinds = ", ".join(sorted(READABLE_SUFFIXES))
            yield Problem(str(self._root), f"is not of a kind that can be read ({kinds})")
        else:
            yield FoundFile(self._root, self._root.name, status.st_size, status.st_mtime_ns)

    def _folder(self, folder: Path, status: os.stat_result) -> Iterator[FoundFile | Problem]:
        """Everything below ``folder`` but links, which are kept for later; iterative, because trees may be deep."""
        waiting = [(folder, status)]
        while waiting:
            current, status = waiting.pop()
            identity = (status.st_dev, status.st_ino)
            if identity in self._folders:
                continue
            self._folders.add(identity)
            try:
                with os.scandir(current) as entries:
                    names = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                yield Problem(str(current), _why(error))
                continue
            below = []
            for entry in names:
                path = current / entry.name
                try:
                    if entry.is_symlink():
                        self._links.append(path)
                    elif entry.is_dir(follow_symlinks=False):
                        if not _is_skipped_folder(path):
                            below.append((path, entry.stat(follow_symlinks=False)))
                    elif _has_readable_name(entry.name):
                        status = entry.stat(follow_symlinks=False)
                        is_file = stat.S_ISREG(status.st_mode)
                        yield self._found(path, status) if is_file else Problem(str(path), "is not a regular file")
                except OSError as error:
                    yield Problem(str(path), _why(error))
            waiting.extend(reversed(below))

    def _link(self, link: Path) -> Iterator[FoundFile | Problem]:
        is_document = _has_readable_name(link.name)
        if link.name.startswith("."):
            return
        try:
            status = os.stat(link)
        except OSError as error:
            if is_document or not link.suffix:
                yield Problem(str(link), _why_link(error))
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if (not is_folder and not is_document) or (is_folder and _is_skipped_folder(link)):
            return
        target = os.path.realpath(link)
        if target != self._real_root and not target.startswith(self._real_root.rstrip(os.sep) + os.sep):
            yield Problem(str(link), f"is a link that leads out of the folder, to {target}")
        elif is_folder and _is_above(target, os.path.realpath(link.parent)):
            yield Problem(str(link), f"is a link that leads back to the folder it lies in, {target}")
        elif is_folder:
            yield from self._folder(link, status)
        elif not stat.S_ISREG(status.st_mode):
            yield Problem(str(link), "is not a regular file")
        elif (status.st_dev, status.st_ino) not in self._files:
            yield self._found(link, status)

    def _found(self, path: Path, status: os.stat_result) -> FoundFile:
        self._files.add((status.st_dev, status.st_ino))
        return FoundFile(path, path.relative_to(self._root).as_posix(), status.st_size, status.st_mtime_ns)


def _is_above(folder: str, inner: str) -> bool:
    return inner == folder or inner.startswith(folder.rstrip(os.sep) + os.sep)


def _why(error: OSError) -> str:
    return f"cannot be read: {(error.strerror or str(error)).lower()}"


def _why_link(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "is a link that leads nowhere"
    return f"is a link that cannot be followed: {(error.strerror or str(error)).lower()}"
