"""Keys and files of an AgentFS file as states of ours: what each would be, and why some cannot be one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import from_text, now
from core.agentfs.json_text import DEEPEST, checked_json
from core.agentfs.readable import without_secrets
from core.agentfs.states import LONGEST_KEY, check_key
from core.errors import InvalidInput
from core.interchange.agentfs_reading import ForeignContents
from core.interchange.file_states import StoredFile, key_of, value_of
from core.interchange.foreign_tables import Row
from core.interchange.judging import found_in
from core.model import Kind, Sensitivity


@dataclass(frozen=True, slots=True)
class ReadState:
    """A state as it shall be: ``text`` is canonical JSON, ``found`` what a scan of it said."""

    key: str
    text: str
    found: Sensitivity
    kind: Kind | None
    critical: bool | None
    expires_at: datetime | None
    is_file: bool


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something of the file that is not imported: ``what`` is key, file or call, ``reason`` says why in a few words."""

    what: str
    name: str
    reason: str


def read_states(agentfs: AgentFS, contents: ForeignContents) -> Iterator[ReadState | Skipped]:
    """Every key and every file as a state, or why it cannot be one."""
    for key, text in contents.keys.items():
        yield _read(agentfs, contents, key, text)
    for path, reason in contents.tree.unread.items():
        yield Skipped("file", path, reason)
    for file in contents.tree.files:
        if (key := key_of(file.path)) in contents.keys:
            yield Skipped("file", file.path, f"a key is called {key} too")
        else:
            yield _read(agentfs, contents, key, "", file)


def _read(
    agentfs: AgentFS, contents: ForeignContents, key: str, text: str, file: StoredFile | None = None
) -> ReadState | Skipped:
    what, name = ("key", key) if file is None else ("file", file.path)
    if without_secrets(key) != key:
        return Skipped(what, name, "its name holds a secret, and names are never sealed")
    try:
        check_key(key)
    except InvalidInput:
        return Skipped(what, name, f"a state's key has 1 to {LONGEST_KEY} printable characters")
    try:
        canonical = checked_json(json.loads(text) if file is None else value_of(file), "Its value")
    except (InvalidInput, ValueError, RecursionError):
        return Skipped(what, name, f"its value is not JSON of at most {DEEPEST} levels")
    kind, critical, expires_at = _noted(contents.noted_states.get(key))
    if expires_at is not None and expires_at <= now():
        return Skipped(what, name, "it has expired")
    size, most = len(canonical.encode()), agentfs.agents.policy.value_bytes
    if size > most:
        return Skipped(what, name, f"its {size:,} bytes are more than the {most:,} that one state holds")
    found = found_in(agentfs.guard, canonical, file)
    return ReadState(key, canonical, found, kind, critical, expires_at, file is not None)


def _noted(row: Row | None) -> tuple[Kind | None, bool | None, datetime | None]:
    """What we wrote beside the key of a state: its kind, whether it is critical, when it expires."""
    if row is None:
        return None, None, None
    kind, critical, expires = row
    try:
        moment = from_text(expires) if isinstance(expires, str) else None
        return Kind(str(kind)), bool(critical), moment if moment is None or moment.tzinfo is not None else None
    except ValueError:
        return None, None, None
