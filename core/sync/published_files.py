"""Reads the files of a published library: every one bounded, and compared with what it has to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.cache.cached_store import forget, read_exactly
from core.errors import NotFound, SealBroken
from core.ids import sha256_hex
from core.library.published_format import (
    METADATA,
    VECTORS,
    LibraryName,
    PublishedDocument,
    PublishedMetadata,
    library_file,
)
from core.library.published_reading import LARGEST_METADATA, read_documents, read_metadata
from core.model import Item
from core.remote.store import ObjectStore
from core.sync.commit import Place
from core.sync.readable import stored_at_most, unzipped
from core.sync.tables import SyncTables

_SHARED = "shared"
_DAMAGED = "`bailiwick verify` names it, and `bailiwick repair` mends it where it can."


@dataclass(frozen=True, slots=True)
class LibraryFiles:
    """The files of one library version. ``places`` is where the log says that they lie, ``None`` in a public tree."""

    store: ObjectStore
    name: LibraryName
    places: Mapping[str, Place] | None

    def metadata(self) -> PublishedMetadata:
        """Raises NotFound, SealBroken, InvalidInput, WorkspaceUnusable, and what the store raises."""
        metadata = read_metadata(self._read(METADATA, LARGEST_METADATA, ""))
        if metadata.name != self.name:
            raise SealBroken(f"What lies at {self.name.prefix} is another library.", _DAMAGED)
        return metadata

    def documents(self, metadata: PublishedMetadata) -> list[PublishedDocument]:
        """Raises as ``metadata``."""
        return read_documents(self.file(metadata, library_file(self.name)), metadata)

    def vectors(self, metadata: PublishedMetadata) -> bytes | None:
        """The bytes of the vectors, ``None`` where there are none. Raises as ``metadata``."""
        return self.file(metadata, VECTORS) if metadata.model is not None else None

    def file(self, metadata: PublishedMetadata, file: str) -> bytes:
        """One file, as ``metadata`` says that it is. Raises as ``metadata``."""
        size, digest = metadata.files[file]
        return self._read(file, size, digest)

    def _read(self, file: str, at_most: int, digest: str) -> bytes:
        path = self.name.prefix + file
        if self.places is not None:
            return self._placed(path, at_most, digest)
        data = self._public(path, at_most, digest)
        if not _fits(data, digest):
            # A cache on this side may still hold what was corrected since.
            forget(self.store, path)
            data = self._public(path, at_most, digest)
        if not _fits(data, digest):
            raise SealBroken(
                f"{path} is not what was published.", "A cache on the way may still hold an older one; try again later."
            )
        return data

    def _public(self, path: str, at_most: int, digest: str) -> bytes:
        data = self.store.get(path, at_most=stored_at_most(at_most))
        # Who serves it may have unpacked it already, and vectors may begin as if they were packed.
        return data if digest and _fits(data, digest) else unzipped(data, at_most, path)

    def _placed(self, path: str, at_most: int, digest: str) -> bytes:
        assert self.places is not None
        if (place := self.places.get(path)) is None:
            raise NotFound(f"The remote does not hold {path}.", "`bailiwick sync`, then try again.")
        if place.length > stored_at_most(at_most):
            raise SealBroken(f"{path} has {place.length:,} bytes: that is more than it can have.", _DAMAGED)
        stored = read_exactly(
            self.store, place.key, place.sha256, first=place.first, length=place.length, at_most=place.length
        )
        if sha256_hex(stored) != place.sha256:
            raise SealBroken(f"{path} is not what was published.", _DAMAGED)
        data = unzipped(stored, at_most, path)
        if not _fits(data, digest):
            raise SealBroken(f"{path} is not what its {METADATA} says.", _DAMAGED)
        return data


class PublishedDocuments:
    """Which documents lie in libraries that a user published. Not for several threads at once."""

    def __init__(self, store: ObjectStore, tables: SyncTables, user: str) -> None:
        self._store = store
        self._tables = tables
        self._user = user
        self._known: dict[LibraryName, tuple[str, frozenset[str]]] = {}

    def holds(self, item: Item) -> bool:
        """Whether the document leaves as part of a library that its owner published. Raises as ``LibraryFiles``."""
        name = library_of(item)
        return name is not None and not self.paths(name).isdisjoint(paths_of(item, name))

    def paths(self, name: LibraryName) -> frozenset[str]:
        """The paths within a library version that the user published; empty where he did not."""
        known = self._tables.base(_SHARED, name.prefix + METADATA)
        if known is None or known.header.get("owner") != self._user:
            return frozenset()
        version, paths = self._known.get(name, ("", frozenset()))
        if version != known.version:
            files = published_files(self._store, self._tables, name)
            paths = frozenset(each.path for each in files.documents(files.metadata()))
            self._known[name] = (known.version, paths)
        return paths


def published_files(store: ObjectStore, tables: SyncTables, name: LibraryName) -> LibraryFiles:
    """The files of a library version where the log says that they lie."""
    places = {each.path: each.place for each in tables.under(_SHARED, name.prefix) if each.place is not None}
    return LibraryFiles(store, name, places)


def library_of(item: Item) -> LibraryName | None:
    """The library version that a document belongs to, where it names all of it."""
    language, library, version = (str(item.metadata.get(each) or "") for each in ("language", "library", "version"))
    return LibraryName(language, library, version) if language and library and version else None


def paths_of(item: Item, name: LibraryName) -> tuple[str, str]:
    """The paths that a document may have within its library: the short one, and that for where another has it."""
    if item.path.startswith(name.prefix):
        short = item.path.removeprefix(name.prefix)
        return short, short
    parts = item.path.split("/")
    if parts[0] == "user-contributions" and len(parts) > 3:
        return "/".join(parts[3:]), "/".join(parts[2:])
    return item.path, item.path


def _fits(data: bytes, digest: str) -> bool:
    return not digest or sha256_hex(data) == digest
