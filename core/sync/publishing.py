"""Libraries in the remote: published as files that anybody can read, pulled with their vectors."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now, to_text, translated
from core.agentfs.items import ItemWrite
from core.cache.cached_store import read_exactly
from core.content_format import decode, encode
from core.disclosure.release import release
from core.disclosure.sharing import share
from core.errors import AccessDenied, InvalidInput, NotFound, ObjectMissing, SealBroken
from core.ids import sha256_hex, stable_id
from core.library.published_format import (
    LARGEST_FILE,
    LARGEST_METADATA,
    METADATA,
    VECTORS,
    LibraryName,
    PublishedDocument,
    PublishedMetadata,
    checked_name,
    library_file,
    read_documents,
    read_metadata,
    read_vectors,
    write_library,
)
from core.model import Item, JSONValue, Kind, Level, Sensitivity
from core.privacy import Audience, Purpose
from core.remote.store import ObjectFacts, ObjectStore
from core.sync.area_sync import AreaResult, AreaSync, Draft
from core.sync.commit import Operation, Place
from core.sync.packing import Encoding
from core.sync.pulling import PUBLISHED
from core.sync.sending import publish
from core.sync.tables import Base, SyncTables
from core.sync_model import Area, AreaKind, Change

SHARED = Area(AreaKind.SHARED)
INDEX = "libraries/index.json"
_LONG, _SHORT = "public, max-age=31536000, immutable", "public, max-age=60"
_TYPES = {"json": "application/json", "f16": "application/octet-stream"}


@dataclass(frozen=True, slots=True)
class RemoteLibrary:
    """A library version that the remote holds; ``here``: it can be searched on this machine."""

    language: str
    library: str
    version: str
    published_by: str
    size_bytes: int
    here: bool


@dataclass(frozen=True, slots=True)
class Pushed:
    """What pushing did; ``changed`` is false where exactly this was published before."""

    name: LibraryName
    documents: int
    vectors: bool
    files: int
    changed: bool


@dataclass(frozen=True, slots=True)
class PulledLibrary:
    """What pulling did; ``vectors``: nothing has to be embedded."""

    name: LibraryName
    documents: int
    vectors: bool


def push(agentfs: AgentFS, store: ObjectStore, area: AreaSync, target: str, *, by: Actor) -> Pushed:
    """Publish ``LIBRARY[@VERSION]`` to everybody who can read the remote: that is the act of sharing its documents.

    Raises NotFound for what is not here, InvalidInput when it is more than one or has no language or version, and
    AccessDenied, naming the document, when one of them may not leave: then nothing is published.
    """
    items = _items(agentfs, target, by)
    first = items[0].metadata
    name = checked_name(*(str(first.get(each) or "") for each in ("language", "library", "version")))
    documents = [_released(agentfs, item, name, by) for item in items]
    model, vectors = _vectors(agentfs, documents)
    tables = SyncTables(agentfs.database)
    published_at = _published_at(tables, store, name) or to_text(now())
    files = write_library(name, documents, vectors=vectors, model=model, published_at=published_at, published_by=by.id)
    changed = False

    def build() -> Sequence[Draft]:
        return list(_drafts(store, tables, name, files, by.id))

    result = AreaResult()
    area.pull(result)
    while area.commit(build, result):
        changed = True
    if changed:
        _write_view(store, tables, name, files)
        write_index(store, tables)
        agentfs.audit.record(by, "library.push", name.prefix, {"documents": len(documents)})
    return Pushed(name, len(documents), bool(vectors), len(files), changed)


def remote_libraries(agentfs: AgentFS, tables: SyncTables) -> list[RemoteLibrary]:
    """The library versions that the remote holds, as far as this device knows, by name."""
    return [
        RemoteLibrary(name.language, name.library, name.version, owner, size, _is_here(agentfs, name))
        for name, owner, size in _catalogue(tables)
    ]


def pull(agentfs: AgentFS, store: ObjectStore, target: str, *, by: Actor) -> PulledLibrary:
    """Bring ``LIBRARY[@VERSION]`` here, the newest where no version is named, with its vectors.

    The remote may be a public library over HTTPS. Raises NotFound for what it does not hold, InvalidInput for what is
    here already or is not in the library format, SealBroken where a file is not what was published.
    """
    tables = SyncTables(agentfs.database)
    name, owner, places = _find(tables, store, target)
    if _is_here(agentfs, name):
        raise InvalidInput(f"{name.library} {name.version} is here already.", "`bailiwick libraries` lists it.")
    metadata = read_metadata(_read(store, name.prefix + METADATA, places, LARGEST_METADATA))
    if metadata.name != name:
        raise SealBroken(f"What lies at {name.prefix} is another library.", "`bailiwick verify` tells more.")
    documents = read_documents(_file(store, metadata, library_file(name), places), metadata)
    has_vectors = bool(metadata.model) and _keep_vectors(agentfs, store, metadata, documents, places)
    _write_documents(agentfs, name, documents, owner or metadata.published_by, by)
    agentfs.audit.record(by, "library.pull", name.prefix, {"documents": len(documents)})
    return PulledLibrary(name, len(documents), has_vectors)


def write_index(store: ObjectStore, tables: SyncTables) -> None:
    """Write ``libraries/index.json`` anew from what the log tells."""
    told = {
        "format": "bailiwick-libraries",
        "version": 1,
        "written_at": to_text(now()),
        "libraries": [
            {
                "language": name.language,
                "library": name.library,
                "version": name.version,
                "published_by": owner,
                "path": name.prefix,
            }
            for name, owner, _ in _catalogue(tables)
        ],
    }
    data = json.dumps(told, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"
    publish(store, INDEX, gzip.compress(data, mtime=0), ObjectFacts("application/json", "gzip", _SHORT), replace=True)


# Pushing


def _items(agentfs: AgentFS, target: str, by: Actor) -> list[Item]:
    library, _, version = target.replace("==", "@").partition("@")
    with translated(agentfs.database.path):
        rows = agentfs.database.connection().execute(
            "SELECT id, metadata ->> '$.version' AS version FROM items WHERE kind = ? AND deleted = 0 AND owner = ?"
            " AND metadata ->> '$.library' = ? AND (? = '' OR metadata ->> '$.version' = ?) ORDER BY path",
            (Kind.DOCUMENT, by.id, library, version, version),
        )
        found = [(str(row["id"]), str(row["version"] or "")) for row in rows]
    if not found:
        raise NotFound(f"There is no library {target} of yours here.", "`bailiwick libraries` lists what there is.")
    versions = sorted({each for _, each in found})
    if len(versions) > 1:
        raise InvalidInput(f"There are several versions of {library}: {', '.join(versions)}.", "Name one, as @VERSION.")
    items = [agentfs.items.get(item_id) for item_id, _ in found]
    return [item for item in items if item is not None]


def _released(agentfs: AgentFS, item: Item, name: LibraryName, by: Actor) -> PublishedDocument:
    try:
        share(agentfs, item.id, "public", by=by)
        cleared = release(agentfs, item, Audience.public(), Purpose.PUSH, by=by)
    except (AccessDenied, InvalidInput) as refused:
        raise AccessDenied(
            f"{item.path} may not be published: {refused.message}", refused.hint, refused.facts
        ) from None
    content = decode(cleared.data)
    parts = item.path.split("/")
    path = item.path.removeprefix(name.prefix) if item.path.startswith(name.prefix) else "/".join(parts[3:] or parts)
    return PublishedDocument(path, content)


def _vectors(agentfs: AgentFS, documents: Sequence[PublishedDocument]) -> tuple[str, bytes]:
    """The model and the rows of all passages, both empty where one has no vector yet."""
    import numpy as np

    digests = [_digest(passage.embedding_text) for each in documents for passage in each.content.passages]
    path = agentfs.root / "vectors.db"
    if not path.exists() or not digests:
        return "", b""
    wanted = json.dumps(digests)
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as connection:
        for (model,) in connection.execute("SELECT DISTINCT model FROM vectors").fetchall():
            rows = dict(
                connection.execute(
                    "SELECT sha256, vector FROM vectors WHERE model = ? AND sha256 IN (SELECT value FROM json_each(?))",
                    (model, wanted),
                ).fetchall()
            )
            if all(digest in rows for digest in digests):
                array = np.stack([np.frombuffer(rows[digest], np.float32) for digest in digests])
                return str(model), array.astype("<f2").tobytes()
    return "", b""


def _published_at(tables: SyncTables, store: ObjectStore, name: LibraryName) -> str:
    """When this version was published first: pushed again unchanged, it is the same to the byte."""
    known = tables.base(SHARED.id, name.prefix + METADATA)
    if known is None or known.place is None:
        return ""
    try:
        return read_metadata(_unzipped(store.get(known.place.key), LARGEST_METADATA)).published_at
    except (ObjectMissing, SealBroken, InvalidInput):
        return ""


def _drafts(
    store: ObjectStore, tables: SyncTables, name: LibraryName, files: dict[str, bytes], user: str
) -> Iterator[Draft]:
    """Operations for the files that are not published so yet; their content is put first, at its readable key."""
    for file, data in files.items():
        path, version = name.prefix + file, sha256_hex(data)
        known = tables.base(SHARED.id, path)
        if known is not None and known.version == version:
            continue
        if known is not None and known.header.get("owner") != user:
            raise AccessDenied(f"{path} was published by {known.header.get('owner')}, who alone corrects it.")
        stored = gzip.compress(data, mtime=0)
        digest = sha256_hex(stored)
        key = path
        if known is not None or not publish(store, path, stored, _facts(file), replace=False):
            # A correction, or something that lies there though no commit tells of it: the log points past it.
            key = f".bailiwick/blobs/{SHARED.id}/{digest[:2]}/{digest}"
            publish(store, key, stored, _facts(file), replace=False)
        place = Place(key, 0, len(stored), digest, Encoding.NONE)
        header = {"kind": PUBLISHED, "owner": user, "file": file}
        operation = Operation(
            path,
            Change.PUT,
            known.version if known is not None else None,
            version,
            PUBLISHED,
            stable_id(path),
            header,
            version,
            len(data),
            place,
        )
        yield Draft(operation)


def _write_view(store: ObjectStore, tables: SyncTables, name: LibraryName, files: dict[str, bytes]) -> None:
    """Copy corrections over their readable keys, ``metadata.json`` last, for it tells the hashes of the others."""
    for file, data in files.items():
        known = tables.base(SHARED.id, name.prefix + file)
        if known is not None and known.place is not None and known.place.key != known.path:
            publish(store, known.path, gzip.compress(data, mtime=0), _facts(file), replace=True)


def _facts(file: str) -> ObjectFacts:
    suffix = file.rpartition(".")[2]
    return ObjectFacts(_TYPES.get(suffix, "text/plain; charset=utf-8"), "gzip", _LONG)


# Pulling


def _catalogue(tables: SyncTables) -> Iterator[tuple[LibraryName, str, int]]:
    for known in _published(tables):
        parts = known.path.split("/")
        if parts[-1] == METADATA and len(parts) == 5:
            name = LibraryName(parts[1], parts[2], parts[3].removeprefix("v"))
            size = sum(each.size for each in tables.under(SHARED.id, name.prefix))
            yield name, str(known.header.get("owner", "")), size


def _published(tables: SyncTables) -> list[Base]:
    return [each for each in tables.under(SHARED.id, "libraries/") if each.kind == PUBLISHED]


def _find(tables: SyncTables, store: ObjectStore, target: str) -> tuple[LibraryName, str, dict[str, Place] | None]:
    wanted, _, version = target.replace("==", "@").partition("@")
    if store.read_only:
        found = [(name, owner) for name, owner in _public_catalogue(store)]
    else:
        found = [(name, owner) for name, owner, _ in _catalogue(tables)]
    fitting = [each for each in found if each[0].library == wanted and version in ("", each[0].version)]
    if not fitting:
        raise NotFound(f"The remote holds no library {target}.", "`bailiwick libraries --remote` lists what it holds.")
    if len({each[0].language for each in fitting}) > 1:
        raise InvalidInput(f"There is a {wanted} of several languages.", "Name one of `bailiwick libraries --remote`.")
    name, owner = max(fitting, key=lambda each: _order(each[0].version))
    if store.read_only:
        return name, owner, None
    places = {each.path: each.place for each in tables.under(SHARED.id, name.prefix) if each.place is not None}
    return name, owner, places


def _order(version: str) -> tuple[object, ...]:
    from packaging.version import InvalidVersion, Version

    try:
        return (1, Version(version))
    except InvalidVersion:
        return (0, version)


def _public_catalogue(store: ObjectStore) -> Iterator[tuple[LibraryName, str]]:
    try:
        held = json.loads(_unzipped(store.get(INDEX, at_most=LARGEST_FILE), LARGEST_FILE))
        for each in held["libraries"]:
            yield checked_name(each["language"], each["library"], each["version"]), str(each["published_by"])
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(f"The library's index is malformed ({type(error).__name__}).") from None


def _file(store: ObjectStore, metadata: PublishedMetadata, file: str, places: dict[str, Place] | None) -> bytes:
    size, digest = metadata.files[file]
    data = _read(store, metadata.name.prefix + file, places, size)
    if sha256_hex(data) != digest:
        raise SealBroken(f"{metadata.name.prefix}{file} is not what was published.", "`bailiwick verify` tells more.")
    return data


def _read(store: ObjectStore, path: str, places: dict[str, Place] | None, at_most: int) -> bytes:
    if places is None:
        return _unzipped(store.get(path, at_most=at_most), at_most)
    if (place := places.get(path)) is None:
        raise NotFound(f"The remote does not hold {path}.", "`bailiwick sync`, then try again.")
    stored = read_exactly(store, place.key, place.sha256, first=place.first, length=place.length, at_most=LARGEST_FILE)
    if sha256_hex(stored) != place.sha256:
        raise SealBroken(f"{path} is not what was published.", "`bailiwick verify` names it.")
    return _unzipped(stored, at_most)


def _unzipped(data: bytes, at_most: int) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            unpacked = file.read(at_most + 1)
    except (OSError, EOFError, zlib.error):
        raise SealBroken("A published file is damaged.", "`bailiwick verify` names it.") from None
    if len(unpacked) > at_most:
        raise SealBroken(f"A published file would unpack to more than {at_most:,} bytes.")
    return unpacked


def _keep_vectors(
    agentfs: AgentFS,
    store: ObjectStore,
    metadata: PublishedMetadata,
    documents: Sequence[PublishedDocument],
    places: dict[str, Place] | None,
) -> bool:
    import numpy as np

    from core.index.vector_cache import VectorCache

    rows = read_vectors(_file(store, metadata, VECTORS, places), metadata)
    if rows is None:
        return False
    digests = [_digest(passage.embedding_text) for each in documents for passage in each.content.passages]
    vectors = {digest: np.asarray(row, np.float32) for digest, row in zip(digests, rows, strict=True)}
    cache = VectorCache(agentfs.root / "vectors.db")
    try:
        cache.put_many(metadata.model, vectors)
    finally:
        cache.close()
    return True


def _write_documents(
    agentfs: AgentFS, name: LibraryName, documents: Sequence[PublishedDocument], owner: str, by: Actor
) -> None:
    scanned = [
        agentfs.guard.scan(
            [each.content.title, *(passage.embedding_text for passage in each.content.passages)], published=True
        )
        for each in documents
    ]
    with agentfs.database.transaction() as connection:
        for document, found in zip(documents, scanned, strict=True):
            content = document.content
            metadata: dict[str, JSONValue] = {
                "title": content.title,
                "language": name.language,
                "library": name.library,
                "version": name.version,
                "source": document.path,
                "file_size_bytes": sum(len(each.text.encode()) for each in content.passages),
                "passages": len(content.passages),
                "published": True,
            }
            level = Level.PUBLIC if found is Sensitivity.NONE else Level.PRIVATE
            agentfs.items.put(
                connection,
                ItemWrite(
                    name.prefix + document.path,
                    Kind.DOCUMENT,
                    owner,
                    encode(content),
                    level=level,
                    metadata=metadata,
                    found=found,
                ),
                by=by,
                action="document.pull",
            )


def _is_here(agentfs: AgentFS, name: LibraryName) -> bool:
    with translated(agentfs.database.path):
        row = (
            agentfs.database.connection()
            .execute(
                "SELECT 1 FROM items WHERE kind = ? AND deleted = 0 AND metadata ->> '$.language' = ?"
                " AND metadata ->> '$.library' = ? AND metadata ->> '$.version' = ? LIMIT 1",
                (Kind.DOCUMENT, name.language, name.library, name.version),
            )
            .fetchone()
        )
    return row is not None


def _digest(text: str) -> str:
    return sha256_hex(text.encode())
