"""Libraries brought here from the remote or a public address, with their vectors: nobody embeds twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.content_format import encode
from core.errors import InvalidInput
from core.ids import sha256_hex
from core.library.published_format import (
    LibraryName,
    PublishedDocument,
    PublishedMetadata,
    all_passages,
    passage_digest,
)
from core.library.published_reading import read_vectors
from core.model import JSONValue, Kind, Level, Sensitivity
from core.remote.store import ObjectStore
from core.sync.library_catalogue import documents_here, find_library
from core.sync.published_files import LibraryFiles
from core.sync.tables import SyncTables


@dataclass(frozen=True, slots=True)
class PulledLibrary:
    """What pulling did; ``vectors``: nothing has to be embedded."""

    name: LibraryName
    documents: int
    vectors: bool


def pull(agentfs: AgentFS, store: ObjectStore, target: str, *, by: Actor) -> PulledLibrary:
    """Bring ``LIBRARY[@VERSION]`` here, the newest where no version is named; a correction replaces what was pulled.

    The remote may be a public library over HTTPS. Raises NotFound for what it does not hold, InvalidInput for what is
    here already or is not in the library format, SealBroken where a file is not what was published, Locked where a
    secret is in it and the keys are locked.
    """
    found = find_library(SyncTables(agentfs.database), store, target)
    name = found.name
    here = documents_here(agentfs, name)
    if any(not item.metadata.get("published") for item in here):
        raise InvalidInput(f"{name.library} {name.version} was added here.", "`bailiwick libraries` lists it.")
    files = LibraryFiles(store, name, found.places)
    metadata = files.metadata()
    documents = files.documents(metadata)
    data = files.vectors(metadata)
    if data is not None:
        _keep_vectors(agentfs, metadata, documents, data)
    owner = found.owner if found.places is not None else _public_owner(store, metadata)
    if not _write(agentfs, name, documents, owner, [item.id for item in here], by):
        raise InvalidInput(f"{name.library} {name.version} is here already.", "`bailiwick libraries` lists it.")
    agentfs.audit.record(by, "library.pull", name.prefix, {"documents": len(documents)})
    return PulledLibrary(name, len(documents), data is not None)


def _public_owner(store: ObjectStore, metadata: PublishedMetadata) -> str:
    """Nobody vouches for what a public address says of its publisher, least of all that it is the user here."""
    host = store.name.rpartition("://")[2].partition("/")[0]
    return f"{metadata.published_by}@{host}"


def _keep_vectors(
    agentfs: AgentFS, metadata: PublishedMetadata, documents: Sequence[PublishedDocument], data: bytes
) -> None:
    from core.index.vector_cache import VectorCache

    assert metadata.model is not None
    rows = read_vectors(data, metadata)
    digests = [passage_digest(each) for each in all_passages(documents)]
    cache = VectorCache(agentfs.root / "vectors.db")
    try:
        cache.put_missing(metadata.model.key, dict(zip(digests, rows, strict=True)))
    finally:
        cache.close()


def _write(
    agentfs: AgentFS,
    name: LibraryName,
    documents: Sequence[PublishedDocument],
    owner: str,
    before: Sequence[str],
    by: Actor,
) -> bool:
    """Put the documents in place of those ``before``, all or none; says whether that changed anything."""
    writes = [_item(agentfs, name, each, owner) for each in documents]
    if any(write.found is not Sensitivity.NONE for write in writes):
        agentfs.guard.prepare()
    freed: list[str] = []
    kept: set[str] = set()
    changed = False
    with agentfs.database.transaction() as connection:
        for write in writes:
            present = agentfs.items.at_path(write.path)
            written = agentfs.items.put(connection, write, by=by, action="document.pull")
            kept.add(written.item_id)
            changed = changed or present is None or written.sha256 != present.sha256
            freed.extend([written.freed] if written.freed else [])
        for item_id in before:
            if item_id not in kept:
                digest = agentfs.items.delete(connection, item_id, by=by)
                changed = True
                freed.extend([digest] if digest else [])
    agentfs.contents.discard_unused(freed)
    return changed


def _item(agentfs: AgentFS, name: LibraryName, document: PublishedDocument, owner: str) -> ItemWrite:
    content = document.content
    data = encode(content)
    texts: list[JSONValue] = [content.title, *(each.embedding_text for each in content.passages)]
    found = agentfs.guard.scan(texts, published=True)
    metadata: dict[str, JSONValue] = {
        "title": content.title if found is Sensitivity.NONE else document.path.rpartition("/")[2],
        "language": name.language,
        "library": name.library,
        "version": name.version,
        "source": document.path,
        "file_size_bytes": sum(len(each.text.encode()) for each in content.passages),
        "passages": len(content.passages),
        "published": True,
        **({"checksum": sha256_hex(data)} if found is Sensitivity.NONE else {}),
    }
    level = Level.PUBLIC if found is Sensitivity.NONE else Level.PRIVATE
    return ItemWrite(
        name.prefix + document.path, Kind.DOCUMENT, owner, data, level=level, metadata=metadata, found=found
    )
