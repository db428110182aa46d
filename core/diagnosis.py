"""The doctor: looks at every part of a workspace and says what is damaged and how to mend it."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from core.agentfs.database import translated
from core.config import cache_folder
from core.errors import BailiwickError, Unreachable
from core.model import Kind
from core.workspace import Workspace

LOW_DISK_BYTES = 500 * 1024 * 1024


class Verdict(StrEnum):
    """What a check found: advice needs no repair, damage does."""

    GOOD = "good"
    ADVICE = "advice"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: ``sentence`` says what was found, ``cure`` what to do."""

    check: str
    verdict: Verdict
    sentence: str
    cure: str = ""


def examine(workspace: Workspace) -> Iterator[Finding]:
    """Run every check, cheap ones first."""
    yield _permissions(workspace)
    yield _disk(workspace)
    yield _engine(workspace)
    yield _database(workspace)
    yield _contents(workspace)
    yield _cache(workspace)
    yield _boundaries(workspace)
    yield from _keys(workspace)
    yield from _sealed_contents(workspace)
    yield from _index(workspace)
    yield from _sealed_index(workspace)
    yield _model(workspace)
    yield _vector_extension()
    yield _unread(workspace)


def _permissions(workspace: Workspace) -> Finding:
    mode = stat.S_IMODE(workspace.root.stat().st_mode)
    if mode & 0o077:
        return Finding(
            "permissions",
            Verdict.ADVICE,
            f"Others may look into the workspace (mode {mode:o}).",
            f"chmod 700 {workspace.root}",
        )
    return Finding("permissions", Verdict.GOOD, "Only you may look into the workspace.")


def _disk(workspace: Workspace) -> Finding:
    free = shutil.disk_usage(workspace.root).free
    if free < LOW_DISK_BYTES:
        return Finding("disk", Verdict.ADVICE, f"Only {free / 2**20:,.0f} MiB are free.", "Free some space.")
    return Finding("disk", Verdict.GOOD, f"{free / 2**30:,.1f} GiB are free.")


def _engine(workspace: Workspace) -> Finding:
    holder = workspace.engine_holder()
    if workspace.is_engine or holder is None:
        return Finding("engine", Verdict.GOOD, "No other process is the engine.")
    return Finding("engine", Verdict.GOOD, f"The engine is {holder}.")


def _database(workspace: Workspace) -> Finding:
    try:
        with translated(workspace.agentfs.database.path):
            rows = workspace.agentfs.database.connection().execute("PRAGMA integrity_check(1)").fetchall()
    except BailiwickError as error:
        return Finding("database", Verdict.DAMAGED, error.message, error.hint)
    if rows[0][0] != "ok":
        return Finding("database", Verdict.DAMAGED, "agentfs.db is damaged.", "Restore it from snapshots/.")
    return Finding("database", Verdict.GOOD, "agentfs.db is whole.")


def _contents(workspace: Workspace) -> Finding:
    broken = workspace.agentfs.contents.damaged()
    if broken:
        return Finding(
            "contents",
            Verdict.DAMAGED,
            f"The bytes of {len(broken)} documents are missing or damaged.",
            "Remove and add their sources again: `bailiwick libraries` lists them.",
        )
    return Finding("contents", Verdict.GOOD, "Every document has its bytes.")


def _cache(workspace: Workspace) -> Finding:
    """What is damaged is dropped by looking at it, and read from the remote again when it is needed."""
    try:
        check, status = workspace.cache.check(), workspace.cache.status()
    except BailiwickError as error:
        return Finding("cache", Verdict.DAMAGED, error.message, error.hint)
    if check.damaged:
        sentence = f"{check.damaged:,} of {check.entries:,} kept copies of what the remote holds were damaged."
        return Finding(
            "cache", Verdict.DAMAGED, sentence, "They were dropped just now, and are read again when needed."
        )
    if status.problem:
        return Finding("cache", Verdict.ADVICE, f"Nothing new can be kept in the cache: {status.problem}")
    if not check.entries:
        return Finding("cache", Verdict.GOOD, "Nothing of a remote is kept in the cache.")
    rate = status.hit_rate()
    used = f", {rate:.0%} of {status.reads:,} reads answered" if rate is not None else ""
    return Finding("cache", Verdict.GOOD, f"{check.entries:,} entries, {check.size / 2**20:,.1f} MiB{used}.")


def _boundaries(workspace: Workspace) -> Finding:
    try:
        rules = workspace.agentfs.guard.rules
    except BailiwickError as error:
        return Finding("boundaries", Verdict.DAMAGED, error.message, error.hint or "Mend that line.")
    count = len(rules.patterns)
    return Finding("boundaries", Verdict.GOOD, f"{count} private patterns; `bailiwick privacy rules` shows them.")


def _keys(workspace: Workspace) -> Iterator[Finding]:
    """Nothing while there are no keys, which come when something is first sealed."""
    keys = workspace.agentfs.keys
    keys.ready()
    status = keys.status()
    if not status.exist or (not status.locked and status.problem):
        if status.problem:
            yield Finding("keys", Verdict.DAMAGED, status.problem, status.hint)
        return
    damaged = next((slot.problem for slot in status.slots if slot.problem), "")
    if damaged:
        yield Finding("keys", Verdict.DAMAGED, damaged, "`bailiwick keys list` shows it; remove it and add another.")
    if status.locked:
        cure = status.hint or "bailiwick keys unlock"
        yield Finding("keys", Verdict.ADVICE, status.problem or "The keys are locked here.", cure)
    elif not status.recoverable:
        sentence = "Only this machine's key file or keychain opens what is sealed."
        yield Finding("keys", Verdict.ADVICE, sentence, "bailiwick keys add --recovery-code")
    elif not damaged:
        yield Finding("keys", Verdict.GOOD, f"{len(status.slots)} key slots, generation {status.generation}.")


def _sealed_contents(workspace: Workspace) -> Iterator[Finding]:
    """Nothing while nothing is sealed or it cannot be opened here."""
    agentfs = workspace.agentfs
    sealed = agentfs.items.sealed()
    if not sealed or not agentfs.keys.ready():
        return
    broken = []
    for item in sealed:
        try:
            agentfs.items.content(item)
        except BailiwickError as error:
            broken.append(error.message)
    if broken:
        yield Finding("sealed contents", Verdict.DAMAGED, broken[0], "Restore it from a backup.")
    else:
        yield Finding("sealed contents", Verdict.GOOD, f"All {len(sealed):,} sealed items open.")


def _index(workspace: Workspace) -> Iterator[Finding]:
    ours = workspace.is_engine
    if ours:
        workspace.wait_until_searchable()
    try:
        counts, reason = workspace.counts(), workspace.rebuilt()
    except Unreachable as error:
        yield Finding("index", Verdict.ADVICE, f"The index was not looked at: {error.message}", error.hint)
        return
    if reason and ours:
        yield Finding("index", Verdict.DAMAGED, f"The index was unusable ({reason}).", "It has been rebuilt just now.")
    elif reason:
        cure = "It rebuilt it; nothing is left to do."
        yield Finding("index", Verdict.ADVICE, f"The index was unusable when the engine opened it ({reason}).", cure)
    else:
        yield Finding("index", Verdict.GOOD, f"{counts.documents:,} documents, {counts.passages:,} passages.")
    if counts.pending:
        yield Finding(
            "vectors", Verdict.ADVICE, f"{counts.pending:,} passages have no vector yet.", "An engine embeds them."
        )


def _sealed_index(workspace: Workspace) -> Iterator[Finding]:
    """Nothing while there is nothing sealed; being locked is no damage."""
    count = workspace.agentfs.items.count_sealed(Kind.DOCUMENT)
    if not count:
        return
    documents = f"{count:,} private document{'s' if count != 1 else ''}"
    if not workspace.agentfs.keys.ready():
        cure = "bailiwick keys unlock"
        yield Finding(
            "sealed index", Verdict.ADVICE, f"{documents} cannot be searched while the keys are locked.", cure
        )
        return
    try:
        version = metadata.version("duckdb-extension-httpfs")
    except metadata.PackageNotFoundError:
        yield Finding(
            "sealed index",
            Verdict.ADVICE,
            f"DuckDB's encryption extension is not installed, without which {documents} may not be found.",
            "Install the package duckdb-extension-httpfs.",
        )
        return
    yield Finding("sealed index", Verdict.GOOD, f"{documents}, encrypted by DuckDB's extension {version}.")


def _model(workspace: Workspace) -> Finding:
    # Looking for the model brings hashing and, once, building it; the other checks do without.
    from core.index.model_files import resolve_model

    named = workspace.config.model.path
    try:
        files = resolve_model(cache_folder(), folder=Path(named).expanduser() if named else None)
    except BailiwickError as error:
        return Finding("model", Verdict.ADVICE, error.message, error.hint)
    return Finding("model", Verdict.GOOD, f"{files.name} from {files.origin} ({files.weights_sha256[:8]}).")


def _vector_extension() -> Finding:
    try:
        version = metadata.version("duckdb-extension-vss")
    except metadata.PackageNotFoundError:
        return Finding("vss", Verdict.ADVICE, "DuckDB's VSS extension is not installed; exact search does without.")
    return Finding("vss", Verdict.GOOD, f"DuckDB's VSS extension {version} is there.")


def _unread(workspace: Workspace) -> Finding:
    problems = workspace.problems()
    if problems:
        first = problems[0]
        return Finding(
            "files", Verdict.ADVICE, f"{len(problems)} files were left out; the first: {first.path}: {first.reason}."
        )
    return Finding("files", Verdict.GOOD, "Every file could be read.")
