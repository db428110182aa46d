"""Writes a new AgentFS file, in memory until it is finished: nothing of it lies on the disk before."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime

from core.agent_model import State
from core.agentfs.database import from_text, to_json, to_text
from core.agentfs.readable import without_secrets
from core.interchange.agentfs_format import (
    CHUNK_BYTES,
    FILE_TYPE,
    FOLDER_MODE,
    LINK_TYPE,
    ROOT_INODE,
    SCHEMA_VERSION,
    TABLES,
)
from core.interchange.file_states import StoredFile


class AgentFSWriter:
    """One new file. Not thread-safe."""

    def __init__(self, moment: datetime) -> None:
        """``moment`` is when the folders in it are made."""
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._seconds = int(moment.timestamp())
        self._folders = {"": ROOT_INODE}
        self._connection.executescript(TABLES)
        self._connection.execute("BEGIN")
        self._insert("fs_config", key="chunk_size", value=str(CHUNK_BYTES))
        self._insert("fs_config", key="schema_version", value=SCHEMA_VERSION)
        self._inode(FOLDER_MODE, 0, self._seconds)
        self._insert("bailiwick_export", key="exported_at", value=to_text(moment))

    def describe(self, facts: Mapping[str, str]) -> None:
        """Note what the file is an export of."""
        for key, value in facts.items():
            self._insert("bailiwick_export", key=key, value=value)

    def add_state(self, state: State) -> None:
        """Note of a state what AgentFS has no place for."""
        self._insert(
            "bailiwick_states",
            key=state.key,
            version=state.version,
            kind=state.kind.value,
            critical=int(state.critical),
            expires_at=to_text(state.expires_at) if state.expires_at else None,
        )

    def add_key(self, state: State, created: int) -> None:
        """Add a state as a key with its value; ``created`` in Unix seconds."""
        self._insert(
            "kv_store",
            key=state.key,
            value=to_json(state.value),
            created_at=created,
            updated_at=int(state.updated_at.timestamp()),
        )

    def add_file(self, file: StoredFile, changed: datetime) -> None:
        """Add a file, ``changed`` then, and the folders it lies in."""
        folder, _, name = file.path.rpartition("/")
        moment = int(changed.timestamp())
        if file.target:
            inode = self._inode(LINK_TYPE | 0o777, len(file.target.encode()), moment)
            self._insert("fs_symlink", ino=inode, target=file.target)
        else:
            inode = self._inode(FILE_TYPE | file.mode, len(file.data), moment)
            for index, start in enumerate(range(0, len(file.data), CHUNK_BYTES)):
                self._insert("fs_data", ino=inode, chunk_index=index, data=file.data[start : start + CHUNK_BYTES])
        self._insert("fs_dentry", name=name, parent_ino=self._folder(folder), ino=inode)

    def add_call(self, call: sqlite3.Row) -> None:
        """Add a row of our ``tool_calls``: whole seconds for AgentFS, what is finer beside it."""
        started = int(from_text(call["started_at"]).timestamp())
        ended = int(from_text(call["completed_at"]).timestamp()) if call["completed_at"] is not None else None
        error = without_secrets(call["error"])
        number = self._insert(
            "tool_calls",
            name=without_secrets(call["tool"]),
            error=error or None,
            status="pending" if ended is None else "error" if error else "success",
            started_at=started,
            completed_at=ended,
            duration_ms=(ended - started) * 1000 if ended is not None else None,
        )
        self._insert(
            "bailiwick_calls",
            id=number,
            call_id=call["id"],
            **{
                name: call[name]
                for name in ("started_at", "completed_at", "duration_ms", "parameters_sha256", "result_sha256")
            },
        )

    def finished(self) -> bytes:
        """The whole file."""
        self._connection.execute("COMMIT")
        return self._connection.serialize()

    def close(self) -> None:
        """Give the memory back."""
        self._connection.close()

    def _folder(self, path: str) -> int:
        known = self._folders.get(path)
        if known is None:
            parent, _, name = path.rpartition("/")
            known = self._inode(FOLDER_MODE, 0, self._seconds)
            self._insert("fs_dentry", name=name, parent_ino=self._folder(parent), ino=known)
            self._folders[path] = known
        return known

    def _inode(self, mode: int, size: int, moment: int) -> int:
        return self._insert("fs_inode", mode=mode, nlink=1, size=size, atime=moment, mtime=moment, ctime=moment)

    def _insert(self, table: str, **cells: str | int | bytes | None) -> int:
        names, places = ", ".join(cells), ", ".join(["?"] * len(cells))
        statement = f"INSERT INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - names of our own
        return self._connection.execute(statement, tuple(cells.values())).lastrowid or 0
