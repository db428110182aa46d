"""Unread messages handed to an agent through its hook: each once, what is sealed by its number alone."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Callable
from hashlib import sha256

from core.intake.spool import FOLDER, lock, make_folder

HANDED_FOLDER = "handed"
DATABASE_SECONDS = 0.3
LOCK_SECONDS = 0.3
MOST_MESSAGES = 8
LONGEST_MESSAGE = 1200
LONGEST_CONTEXT = 8000
OLDEST_SCHEMA = 4
_ME = """
SELECT a.id, a.name, a.key_sha256 FROM agents a
WHERE a.admission <> 'retired' AND a.type <> 'person' AND (
    (:named <> '' AND (a.id = :named OR a.name = :named)) OR (:named = '' AND a.id = (
        SELECT agent_id FROM hook_agents WHERE client = :client AND project_sha256 = :project)))
ORDER BY a.id = :named DESC LIMIT 1
"""
_WAITING = """
SELECT m.sequence, m.id, m.message_type AS type, m.message_content AS content, m.timestamp, m.importance, m.verified,
    m.sealed_sha256 IS NOT NULL AS sealed, coalesce(s.name, 'bailiwick') AS sender
FROM message_receipts r JOIN agent_communications m ON m.sequence = r.sequence
LEFT JOIN agents s ON s.id = m.from_agent
WHERE r.agent_id = ? AND r.sequence > ? AND r.delivered_at IS NULL ORDER BY r.sequence LIMIT ?
"""


class NotReadable(Exception):
    """The messages cannot be looked at; the message is one sentence without content."""


def hand_over(workspace: str, record: dict[str, object], tell: Callable[[str], None]) -> tuple[str, list[int]] | None:
    """Give ``tell`` the messages that wait for the agent the record speaks of; the answer is whose, and which.

    They count as handed over once ``tell`` has returned, so a process that is ended before hands them over again.
    Without messages, or without an agent that may read here, ``tell`` is not called. Raises NotReadable and OSError.
    """
    try:
        connection = connected(workspace)
        try:
            me = _me(connection, workspace, record)
            if me is None:
                return None
            agent_id, name = me
            with _Mark(workspace, agent_id) as mark:
                rows = connection.execute(_WAITING, (agent_id, mark.last, MOST_MESSAGES + 1)).fetchall()
                if not rows:
                    return None
                text, taken = _text(name, rows)
                tell(text)
                mark.move(taken[-1])
                return agent_id, taken
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise NotReadable(f"the database could not be read ({type(error).__name__})") from None


class _Mark:
    """The number of the last message handed to an agent; held by one process at a time."""

    def __init__(self, workspace: str, agent_id: str) -> None:
        folder = os.path.join(workspace, FOLDER, HANDED_FOLDER)
        make_folder(folder)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._descriptor = os.open(os.path.join(folder, agent_id), flags, 0o600)
        self.last = 0

    def __enter__(self) -> _Mark:
        if not lock(self._descriptor, LOCK_SECONDS):
            os.close(self._descriptor)
            raise NotReadable("another hook handed messages over all the time")
        number = os.pread(self._descriptor, 20, 0)
        self.last = int(number) if number.isdigit() else 0
        return self

    def move(self, last: int) -> None:
        """Remember ``last``, on the disk."""
        os.pwrite(self._descriptor, b"%020d" % last, 0)
        os.fsync(self._descriptor)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)
        os.close(self._descriptor)


def connected(workspace: str) -> sqlite3.Connection:
    """The workspace's database, to be read; raises NotReadable and what SQLite raises."""
    path = os.path.join(workspace, "agentfs.db")
    if not os.path.exists(path):
        raise NotReadable("there is no database in the workspace")
    quoted = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    connection = sqlite3.connect(f"file:{quoted}?mode=ro", uri=True, timeout=DATABASE_SECONDS, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if not OLDEST_SCHEMA <= found <= _newest_schema():
            raise NotReadable(f"the workspace has another version (schema {found})")
    except BaseException:
        connection.close()
        raise
    return connection


def _newest_schema() -> int:
    folder = os.path.join(os.path.dirname(os.path.dirname(__file__)), "agentfs", "migrations")
    return max(int(name[:4]) for name in os.listdir(folder) if name.endswith(".sql"))


def _me(connection: sqlite3.Connection, workspace: str, record: dict[str, object]) -> tuple[str, str] | None:
    """The agent that the hook speaks for, where its key is there for this user alone."""
    named = {
        "named": record.get("agent", ""),
        "client": record["client"],
        "project": record["project_sha256"],
    }
    row = connection.execute(_ME, named).fetchone()
    if row is None:
        return None
    try:
        descriptor = os.open(os.path.join(workspace, "keys", "agents", f"{row['id']}.key"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        private = not os.fstat(descriptor).st_mode & 0o077
        key = os.read(descriptor, 1024).strip()
    finally:
        os.close(descriptor)
    held = private and key and sha256(key).hexdigest() == row["key_sha256"]
    return (str(row["id"]), str(row["name"])) if held else None


def _text(name: str, rows: list[sqlite3.Row]) -> tuple[str, list[int]]:
    """What the agent reads, and the numbers of the messages in it: as many as there is room for, one at least."""
    parts: list[str] = []
    taken: list[int] = []
    sealed = room = 0
    for row in rows[:MOST_MESSAGES]:
        part = "" if row["sealed"] else _message(row)
        if taken and room + len(part) > LONGEST_CONTEXT:
            break
        room += len(part)
        sealed += row["sealed"]
        taken.append(row["sequence"])
        if part:
            parts.append(part)
    read = f"`bailiwick messages inbox {name}`" if " " not in name else f"`bailiwick messages inbox '{name}'`"
    if parts:
        plural = "s" if len(parts) != 1 else ""
        parts.insert(0, f"{len(parts)} new message{plural} for {name} in Bailiwick, from other agents or the person:")
    if sealed:
        parts.append(f"{sealed} sealed message{'s' if sealed != 1 else ''} for {name}: read with {read}.")
    if len(taken) < len(rows):
        parts.append(f"More wait: {read} shows them all.")
    return "\n\n".join(parts), taken


def _message(row: sqlite3.Row) -> str:
    """One message: who wrote it stands outside of the quoted lines, so that no content can pose as a head."""
    content = json.loads(row["content"])
    if isinstance(content, dict) and len(content) == 1 and isinstance(content.get("text"), str):
        content = content["text"]
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    cut = len(text) > LONGEST_MESSAGE
    lines = [_printable(line) for line in text[:LONGEST_MESSAGE].splitlines()] or [""]
    if cut:
        lines[-1] += f" … (cut; `bailiwick messages show {row['id']}` shows all)"
    unverified = "" if row["verified"] else " (unverified: it showed no key)"
    importance = "" if row["importance"] == "normal" else f", {row['importance']}"
    head = f"From {row['sender']}{unverified}, {row['timestamp'][:16]} UTC, {row['type']}{importance}, id {row['id']}:"
    return "\n".join([_printable(head), *(f"> {line}" for line in lines)])


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(letter if letter.isprintable() else " " for letter in text)
