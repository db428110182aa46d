"""What an AgentFS file holds, every cell checked: keys, tool calls of both forms, files, and what we noted in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput
from core.interchange.file_tree import NO_FILES, FileTree, read_tree
from core.interchange.foreign_copy import ForeignCopy
from core.interchange.foreign_tables import Cell, ForeignTables, Row

# Bounds on how long an import, which is one transaction, keeps others from writing.
MOST_STATES = 10_000
MOST_CALLS = 20_000
_CALL = ("id", "name", "parameters", "result", "error", "started_at", "completed_at", "duration_ms")
_NOTED_STATE = ("key", "kind", "critical", "expires_at")
_NOTED_CALL = (
    "id",
    "call_id",
    "started_at",
    "completed_at",
    "duration_ms",
    "parameters_sha256",
    "result_sha256",
)


@dataclass(frozen=True, slots=True)
class ForeignCall:
    """One row of ``tool_calls``; times in Unix seconds, empty texts as ``None``."""

    id: int
    name: str
    parameters: str | None
    result: str | None
    error: str | None
    started_at: float
    completed_at: float | None
    duration_ms: float | None
    failed: bool


@dataclass(frozen=True, slots=True)
class ForeignContents:
    """All that may be imported, as it lies there. The ``noted`` are rows of our tables by their first column.

    ``calls`` are the newest; ``older_calls`` counts those before them.
    """

    keys: Mapping[str, str]
    calls: tuple[ForeignCall, ...]
    older_calls: int
    tree: FileTree
    noted_states: Mapping[Cell, Row]
    noted_calls: Mapping[Cell, Row]
    described: Mapping[Cell, Row]


def read_contents(copy: ForeignCopy, source: Path, largest_file: int, *, files: bool) -> ForeignContents:
    """Read ``copy``, which is of ``source``; with ``files`` those of up to ``largest_file`` bytes too.

    Raises InvalidInput, with a sentence about ``source``, when it is no AgentFS file, holds more than is taken in, or
    what no program of that format writes.
    """
    tables = ForeignTables(copy.connection, source)
    if not tables.has("kv_store", "fs_inode") and (tables.has("agent_states") or not tables.has("tool_calls")):
        what = "a workspace of Bailiwick" if tables.has("agent_states") else "no AgentFS file"
        raise InvalidInput(f"{source} is {what}.", "AgentFS keeps its files as .agentfs/NAME.db.")
    keys = _keys(tables)
    tree = read_tree(tables, largest_file) if files else FileTree((), {})
    if len(keys) + len(tree.files) > MOST_STATES:
        raise InvalidInput(
            f"{source} holds {len(keys):,} keys and {len(tree.files):,} files; at most {MOST_STATES:,} are taken in.",
            NO_FILES,
        )
    return ForeignContents(
        keys=keys,
        calls=tuple(_calls(tables)),
        older_calls=max(0, tables.count("tool_calls") - MOST_CALLS),
        tree=tree,
        noted_states=_noted(tables, "bailiwick_states", _NOTED_STATE, MOST_STATES),
        noted_calls=_noted(tables, "bailiwick_calls", _NOTED_CALL, MOST_CALLS),
        described=_noted(tables, "bailiwick_export", ("key", "value"), 100),
    )


def _keys(tables: ForeignTables) -> dict[str, str]:
    keys: dict[str, str] = {}
    for key, value in tables.all("kv_store", ("key", "value"), MOST_STATES):
        if not isinstance(key, str) or not isinstance(value, str):
            raise tables.malformed("kv_store holds a key or a value that is no text")
        if key in keys:
            raise tables.malformed("kv_store holds a key twice")
        keys[key] = value
    return keys


def _calls(tables: ForeignTables) -> Iterator[ForeignCall]:
    # The specification's form has no status; in the form that the SDKs ship, rows of others keep its default.
    ships_status = tables.has("tool_calls") and "status" in tables.columns("tool_calls")
    columns = (*_CALL, "status") if ships_status else _CALL
    seen: set[int] = set()
    for row in tables.newest("tool_calls", columns, MOST_CALLS):
        call = _call(dict(zip(columns, row, strict=True)))
        if call is None or call.id in seen:
            raise tables.malformed("tool_calls holds cells of the wrong type")
        seen.add(call.id)
        yield call


def _call(cells: dict[str, Cell]) -> ForeignCall | None:
    number, name, started = cells["id"], cells["name"], cells["started_at"]
    if not isinstance(number, int) or not isinstance(name, str) or not isinstance(started, int | float):
        return None
    texts = [cells.get(column) for column in ("parameters", "result", "error", "status")]
    times = [cells[column] for column in ("completed_at", "duration_ms")]
    if not all(isinstance(text, str | None) for text in texts):
        return None
    if not all(isinstance(moment, int | float | None) for moment in times):
        return None
    parameters, result, error, status = (text if isinstance(text, str) and text else None for text in texts)
    completed, duration = (moment if isinstance(moment, int | float) else None for moment in times)
    failed = error is not None or status == "error"
    return ForeignCall(number, name, parameters, result, error, started, completed, duration, failed)


def _noted(tables: ForeignTables, name: str, columns: tuple[str, ...], most: int) -> dict[Cell, Row]:
    """The newest rows of a table of ours, none where it is not as we write it."""
    if not tables.has(name) or not tables.columns(name).issuperset(columns):
        return {}
    return {row[0]: row[1:] for row in tables.newest(name, columns, most)}
