"""Which files a source consists of, as found on the disk now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from packaging.utils import canonicalize_name

from core.errors import NotFound
from core.library.folder import FoundFile, is_readable_path, walk
from core.library.packages import environment_at, find_package
from core.library.reexports import is_private
from core.model import Problem, Source, SourceKind

Survey: TypeAlias = Callable[[Mapping[str, Path]], Mapping[str, Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class FileToRead:
    """One file: ``path`` is its key within the source, ``relative`` its place in the item tree.

    ``size`` (bytes) and ``modified_ns`` tell whether it must be read again; a size of -1 is never taken as unchanged.
    ``public_names`` are the symbols to read of a private module, under the names they are used by.
    """

    location: Path
    path: str
    relative: str
    module: str
    size: int
    modified_ns: int
    public_names: Mapping[str, str] | None = None


def list_files(source: Source, sources: Sequence[Source], survey: Survey) -> Iterator[FileToRead | Problem]:
    """Every readable file of ``source``, and a Problem for each that cannot be read.

    ``survey`` tells, as ``core.library.reexports.public_names``, what private modules of a package are used for.

    Folders that were added as sources of their own are left to those. Raises NotFound when the source itself is gone,
    which may be a drive that is not mounted now, so its documents stay.
    """
    if source.kind is SourceKind.PACKAGE:
        yield from _package_files(source, survey)
        return
    root = Path(source.location)
    if not root.exists():
        raise NotFound(f"{root} is not there now; what was read of it stays.", "`bailiwick remove` takes it away.")
    yield from _folder_files(root, source, sources)


def list_changed(source: Source, path: Path, sources: Sequence[Source]) -> Iterator[FileToRead | Problem]:
    """Those of the source's files that are ``path`` or lie in it; none when it has vanished."""
    if source.kind is SourceKind.PACKAGE or not path.exists():
        return
    root = Path(source.location)
    if path.is_dir():
        for found in _folder_files(root, source, sources):
            if Path(found.path).is_relative_to(path):
                yield found
    elif is_readable_path(path, root) and not _belongs_to_others(path, source, sources):
        try:
            status = path.stat()
        except OSError:
            return
        relative = path.name if path == root else path.relative_to(root).as_posix()
        yield FileToRead(path, str(path), relative, "", status.st_size, status.st_mtime_ns)


def _package_files(source: Source, survey: Survey) -> Iterator[FileToRead | Problem]:
    package = find_package(environment_at(source.location), source.name.partition("==")[0])
    if f"{canonicalize_name(package.name)}=={package.version}" != source.name:
        # Another version was installed there since; what was read of this one stays true of it.
        raise NotFound(f"{source.name} is no longer installed in {source.location}; what was read of it stays.")
    public = survey(package.modules)
    for module, path in package.modules.items():
        names = public.get(module) if is_private(module) else None
        if names or not is_private(module):
            yield from _package_file(package.location, path, module, names)
    if package.description is not None:
        yield from _package_file(package.location, package.description, "", None)


def _package_file(
    location: Path, path: Path, module: str, names: Mapping[str, str] | None
) -> Iterator[FileToRead | Problem]:
    try:
        status = path.stat()
    except OSError as error:
        yield Problem(str(path), f"cannot be read: {(error.strerror or '').lower()}")
        return
    relative = path.relative_to(location).as_posix() if path.is_relative_to(location) else f"{module}{path.suffix}"
    yield FileToRead(path, str(path), relative, module, status.st_size, status.st_mtime_ns, names)


def _folder_files(root: Path, source: Source, sources: Sequence[Source]) -> Iterator[FileToRead | Problem]:
    for found in walk(root):
        if isinstance(found, FoundFile):
            if _belongs_to_others(found.path, source, sources):
                continue
            path = str(found.path)
            if not _is_text(path):
                yield Problem(path.encode("utf-8", "replace").decode(), "has a name that is not valid text")
                continue
            yield FileToRead(found.path, path, found.relative, "", found.size, found.modified_ns)
        else:
            yield Problem(found.path.encode("utf-8", "replace").decode(), found.reason)


def _belongs_to_others(path: Path, source: Source, sources: Sequence[Source]) -> bool:
    root = Path(source.location)
    inner = (Path(other.location) for other in sources if other.kind is SourceKind.PATH and other.id != source.id)
    return any(path.is_relative_to(each) for each in inner if each.is_relative_to(root))


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
