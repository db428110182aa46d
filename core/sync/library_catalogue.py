"""Which library versions the remote holds: told by the log, and to who reads it over HTTPS by ``libraries/index.json``.

``index.json`` is ``{"format": "bailiwick-libraries", "version": 1, "written_at", "libraries": [{"language", "library",
"version", "published_by", "path", "size_bytes"}]}``, derived from the log and of no authority.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now, to_text, translated
from core.errors import InvalidInput, NotFound, WorkspaceUnusable
from core.library.published_format import METADATA, LibraryName, checked_name
from core.model import Item, JSONValue, Kind
from core.remote.store import ObjectStore
from core.sync.commit import Place
from core.sync.pulling import PUBLISHED
from core.sync.readable import index_facts, unzipped, zipped
from core.sync.sending import publish
from core.sync.tables import SyncTables
from core.sync_model import Area, AreaKind

SHARED = Area(AreaKind.SHARED)
INDEX = "libraries/index.json"
INDEX_SECONDS = 60.0
LARGEST_INDEX = 64 * 1024 * 1024
_FORMAT, _VERSION = "bailiwick-libraries", 1
_WRITTEN_AT, _WRITTEN_FOR = "sync.index_written_at", "sync.index_written_for"


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
class Found:
    """Where a library version lies; ``places`` is ``None`` in a public tree, whose keys are those of the files."""

    name: LibraryName
    owner: str
    places: Mapping[str, Place] | None


def remote_libraries(agentfs: AgentFS, tables: SyncTables) -> list[RemoteLibrary]:
    """The library versions that the remote holds, as far as this device knows, by name."""
    return [
        RemoteLibrary(
            name.language, name.library, name.version, owner, size, bool(documents_here(agentfs, name, limit=1))
        )
        for name, owner, size in catalogue(tables)
    ]


def catalogue(tables: SyncTables) -> Iterator[tuple[LibraryName, str, int]]:
    """The library versions with their owners and the bytes of their files, by name."""
    sizes: dict[str, int] = {}
    found: list[tuple[LibraryName, str]] = []
    for known in tables.under(SHARED.id, "libraries/"):
        parts = known.path.split("/")
        if known.kind != PUBLISHED or len(parts) < 5:
            continue
        prefix = "/".join(parts[:4]) + "/"
        sizes[prefix] = sizes.get(prefix, 0) + known.size
        if parts[4:] == [METADATA]:
            try:
                name = checked_name(parts[1], parts[2], parts[3].removeprefix("v"))
            except InvalidInput:
                continue
            found.append((name, str(known.header.get("owner", ""))))
    return ((name, owner, sizes[name.prefix]) for name, owner in found)


def find_library(tables: SyncTables, store: ObjectStore, target: str) -> Found:
    """``[LANGUAGE/]LIBRARY[@VERSION]``, the newest where no version is named; raises NotFound, and InvalidInput where
    there are some of several languages.
    """
    wanted, _, version = target.replace("==", "@").partition("@")
    language, _, library = wanted.rpartition("/")
    found = list(_public(store)) if store.read_only else [(name, owner) for name, owner, _ in catalogue(tables)]
    fitting = [
        each
        for each in found
        if _same(each[0].library, library) and language in ("", each[0].language) and version in ("", each[0].version)
    ]
    if not fitting:
        raise NotFound(f"The remote holds no library {target}.", "`bailiwick libraries --remote` lists what it holds.")
    if len(languages := sorted({each[0].language for each in fitting})) > 1:
        raise InvalidInput(
            f"There is a {library} of several languages: {', '.join(languages)}.",
            f"Name one, as {languages[0]}/{library}.",
        )
    name, owner = max(fitting, key=lambda each: _order(each[0].version))
    if store.read_only:
        return Found(name, owner, None)
    places = {each.path: each.place for each in tables.under(SHARED.id, name.prefix) if each.place is not None}
    return Found(name, owner, places)


def documents_here(agentfs: AgentFS, name: LibraryName, *, limit: int = -1) -> list[Item]:
    """The living documents of a library version, whoever's they are, by path."""
    with translated(agentfs.database.path):
        rows = (
            agentfs.database.connection()
            .execute(
                "SELECT id FROM items WHERE kind = ? AND deleted = 0 AND metadata ->> '$.library' = ?"
                " AND metadata ->> '$.language' = ? AND metadata ->> '$.version' = ? ORDER BY path LIMIT ?",
                (Kind.DOCUMENT, name.library, name.language, name.version, limit),
            )
            .fetchall()
        )
    found = (agentfs.items.get(str(row["id"])) for row in rows)
    return [item for item in found if item is not None]


def index_bytes(tables: SyncTables, written_at: str) -> bytes:
    """What ``libraries/index.json`` holds, before it is compressed."""
    libraries = [
        {
            "language": name.language,
            "library": name.library,
            "version": name.version,
            "published_by": owner,
            "path": name.prefix,
            "size_bytes": size,
        }
        for name, owner, size in catalogue(tables)
    ]
    told = {"format": _FORMAT, "version": _VERSION, "written_at": written_at, "libraries": libraries}
    return json.dumps(told, ensure_ascii=False, sort_keys=True, indent=1).encode() + b"\n"


def write_index(agentfs: AgentFS, store: ObjectStore, tables: SyncTables, *, at_once: bool = False) -> bool:
    """Write ``libraries/index.json`` anew where the log has changed since this device did: at most once a minute.

    False while it has to wait for that; the next sync writes it then.
    """
    libraries: JSONValue = [[*name.prefix.split("/")[1:4], owner, size] for name, owner, size in catalogue(tables)]
    settings = agentfs.settings
    if not at_once:
        if (settings.get(_WRITTEN_FOR) or []) == libraries:
            return True
        before = settings.get(_WRITTEN_AT)
        age = (now() - from_text(before)).total_seconds() if isinstance(before, str) else INDEX_SECONDS
        if 0 <= age < INDEX_SECONDS:
            return False
    moment = to_text(now())
    publish(store, INDEX, zipped(index_bytes(tables, moment)), index_facts(), replace=True)
    settings.put(_WRITTEN_AT, moment)
    settings.put(_WRITTEN_FOR, libraries)
    return True


def read_index(data: bytes) -> list[tuple[LibraryName, str]]:
    """The library versions in an ``index.json`` with who published them.

    Raises InvalidInput for what is none, WorkspaceUnusable for a newer one.
    """
    try:
        held = json.loads(data)
        if held["format"] != _FORMAT or type(held["version"]) is not int:
            raise ValueError("another format")
        if held["version"] > _VERSION:
            raise WorkspaceUnusable("The index of libraries was written by a newer Bailiwick.", "Update Bailiwick.")
        found = []
        for each in held["libraries"]:
            name = checked_name(each["language"], each["library"], each["version"])
            owner = each["published_by"]
            if not isinstance(owner, str) or len(owner) > 120 or not owner.isprintable():
                raise ValueError("no publisher")
            found.append((name, owner))
        return found
    except (ValueError, KeyError, TypeError, RecursionError, InvalidInput):
        raise InvalidInput("The index of libraries is malformed.", "Is it the address of a library tree?") from None


def _public(store: ObjectStore) -> Sequence[tuple[LibraryName, str]]:
    return read_index(unzipped(store.get(INDEX, at_most=LARGEST_INDEX), LARGEST_INDEX, INDEX))


def _same(library: str, wanted: str) -> bool:
    from packaging.utils import canonicalize_name

    plain = unicodedata.normalize("NFC", wanted)
    return library == plain or canonicalize_name(library) == canonicalize_name(plain)


def _order(version: str) -> tuple[object, ...]:
    from packaging.version import InvalidVersion, Version

    try:
        return (1, Version(version))
    except InvalidVersion:
        return (0, version)
