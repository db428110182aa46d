"""Adding and removing what is read: checked at the door, then queued for the engine, by any process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import now
from core.agentfs.readable import check_readable
from core.errors import InvalidInput, NotFound
from core.ids import stable_id
from core.model import Source, SourceKind

READ_SOURCE = "read_source"
HELD_BACK = "is private and "
"""How the problem begins of a file that would have to be sealed while that is not possible."""
LOCKED = f"{HELD_BACK}waits for the keys to be unlocked"
UNSEALABLE = f"{HELD_BACK}cannot be sealed: "


@dataclass(frozen=True, slots=True)
class Origin:
    """Language, library and version given as flags; empty texts leave them to what is read."""

    language: str = ""
    library: str = ""
    version: str = ""


def add_path(agentfs: AgentFS, path: str, origin: Origin, *, cwd: Path) -> Source:
    """Add a file or folder to be read and watched.

    Raises NotFound when there is nothing at ``path``, InvalidInput when it is the workspace or inside it, or a flag
    cannot be kept.
    """
    _check(origin)
    target = (cwd / Path(path).expanduser()).absolute()
    if not os.path.lexists(target):
        raise NotFound(f"There is nothing at {target}.", "Check the path; a package is added with --package NAME.")
    try:
        resolved = target.resolve(strict=True)
    except (OSError, RuntimeError):
        raise NotFound(f"{target} is a link that leads nowhere.") from None
    if not (resolved.is_dir() or resolved.is_file()):
        raise InvalidInput(f"{target} is neither a file nor a folder.")
    if not os.access(resolved, os.R_OK):
        raise InvalidInput(f"{target} may not be read by you.", "Change its permissions or add a copy.")
    workspace = agentfs.root.resolve()
    if resolved == workspace or workspace in resolved.parents:
        raise InvalidInput(f"{target} is Bailiwick's own workspace.", "Add the folder your documents are in.")
    location = str(resolved)
    source = Source(
        id=stable_id("path", location),
        kind=SourceKind.PATH,
        name=resolved.name or "root",
        location=location,
        language=origin.language,
        library=origin.library,
        version=origin.version,
        added_at=now(),
    )
    return _store(agentfs, source)


def add_package(
    agentfs: AgentFS,
    requirement: str,
    origin: Origin,
    *,
    python: str | None,
    cwd: Path,
    environ: Mapping[str, str] = os.environ,
) -> Source:
    """Add an installed Python package, ``NAME`` or ``NAME==VERSION``.

    Raises NotFound when it, or that version of it, is not installed; InvalidInput when the requirement is malformed, or
    a flag cannot be kept.
    """
    _check(origin)
    # Imported here: looking for packages brings importlib.metadata, and the dashboard's first content does without.
    from packaging.utils import canonicalize_name

    from core.library.packages import find_environment, find_package

    environment = find_environment(python, cwd, environ)
    package = find_package(environment, requirement)
    name = canonicalize_name(package.name)
    source = Source(
        id=stable_id("package", name, package.version),
        kind=SourceKind.PACKAGE,
        name=f"{name}=={package.version}",
        location=str(package.location),
        language=origin.language or "python",
        library=origin.library or name,
        version=origin.version or package.version,
        added_at=now(),
    )
    return _store(agentfs, source)


def _check(origin: Origin) -> None:
    for name, told in (("language", origin.language), ("library", origin.library), ("version", origin.version)):
        check_readable(told, f"The {name}")


def find_sources(agentfs: AgentFS, target: str, *, cwd: Path) -> list[Source]:
    """The sources that ``target`` names: a path as added, a library, or ``LIBRARY@VERSION``.

    Raises NotFound when there is none.
    """
    sources = agentfs.sources.all()
    location = str((cwd / Path(target).expanduser()).resolve())
    found = [source for source in sources if source.kind is SourceKind.PATH and source.location == location]
    if not found:
        library, _, version = target.replace("==", "@").partition("@")
        from packaging.utils import canonicalize_name

        name = canonicalize_name(library)
        found = [
            source
            for source in sources
            if name in (canonicalize_name(source.library), canonicalize_name(source.name.partition("==")[0]))
            and version in ("", source.version)
        ]
    if not found:
        known = ", ".join(sorted({source.name for source in sources})[:8])
        raise NotFound(
            f"Nothing was added as {target}.", f"Added: {known}." if known else "Nothing has been added yet."
        )
    return found


def remove_source(agentfs: AgentFS, source: Source) -> int:
    """Stop watching ``source`` and take its documents away; returns how many there were."""
    files = agentfs.sources.files(source.id)
    freed: list[str] = []
    documents = 0
    with agentfs.database.transaction() as connection:
        for file in files.values():
            if file.item_id is not None:
                digest = agentfs.items.delete(connection, file.item_id, by=agentfs.acting)
                if digest is not None:
                    documents += 1
                    freed.append(digest)
        agentfs.sources.remove(connection, source.id)
    agentfs.contents.discard_unused(freed)
    return documents


def _store(agentfs: AgentFS, source: Source) -> Source:
    with agentfs.database.transaction() as connection:
        taken = {
            row["name"]: row["id"]
            for row in connection.execute("SELECT id, name FROM sources WHERE id <> ?", (source.id,))
        }
        name, number = source.name, 1
        while name in taken:
            number += 1
            name = f"{source.name}-{number}"
        named = replace(source, name=name)
        agentfs.sources.add(connection, named)
        agentfs.sources.forget_deleted(connection, named.id)
        agentfs.queue.enqueue(connection, READ_SOURCE, {"source": named.id})
    stored = agentfs.sources.get(named.id)
    assert stored is not None
    return stored
