"""The versions of what is here, remembered for as long as nothing changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from core.agentfs.agentfs import AgentFS
from core.agentfs.database import translated
from core.crypto.keys import Purpose, keyed_proof
from core.crypto.secret import Secret
from core.ids import sha256_hex

_VERSION = b"bailiwick item version"
_CONTENT = b"bailiwick content"
RECEIVED = "received"
"""In place of an identity: a version that came from another user, which is what that user says it is."""


@dataclass(frozen=True, slots=True)
class VersionKey:
    """Makes the versions of the user's own items: hashes that the user's devices alone can make and guess from."""

    identity: str
    _secret: Secret

    def version(self, counted: bytes) -> str:
        """The version that ``ItemHeader.counted`` makes."""
        return keyed_proof(self._secret, _VERSION, counted).hex()

    def content(self, data: bytes) -> str:
        """What tells ``data`` from other content."""
        return keyed_proof(self._secret, _CONTENT, data).hex()


@dataclass(frozen=True, slots=True)
class PlainKey:
    """As ``VersionKey`` for what is released: anybody can make the same."""

    identity: str = ""

    def version(self, counted: bytes) -> str:
        """As ``VersionKey.version``."""
        return sha256_hex(counted)

    def content(self, data: bytes) -> str:
        """As ``VersionKey.content``."""
        return sha256_hex(data)


class Versions:
    """Safe from any thread."""

    def __init__(self, agentfs: AgentFS) -> None:
        self._agentfs = agentfs

    def key(self) -> VersionKey:
        """What makes versions. Raises Locked."""
        keys = self._agentfs.guard.prepare()
        return VersionKey(keys.identity.id, keys.subkey(Purpose.NAME).secret)

    def known(self, item_id: str, position: int, identity: str) -> str | None:
        """The version of what was there at a journal position, where it was made before."""
        with translated(self._agentfs.database.path):
            row = (
                self._agentfs.database.connection()
                .execute(
                    "SELECT version FROM item_versions WHERE item_id = ? AND"
                    " ((position = ? AND identity = ?) OR identity = ?)",
                    (item_id, position, identity, RECEIVED),
                )
                .fetchone()
            )
        return str(row["version"]) if row is not None else None

    def remember(self, made: Iterable[tuple[str, int, str, str]]) -> None:
        """Remember versions: item, journal position, identity, version."""
        rows = list(made)
        if rows:
            with self._agentfs.database.transaction() as connection:
                for each in rows:
                    self.remember_within(connection, *each)

    @staticmethod
    def remember_within(
        connection: sqlite3.Connection, item_id: str, position: int, identity: str, version: str
    ) -> None:
        """As ``remember``, in the caller's transaction."""
        connection.execute(
            "INSERT OR REPLACE INTO item_versions (item_id, position, identity, version) VALUES (?, ?, ?, ?)",
            (item_id, position, identity, version),
        )
