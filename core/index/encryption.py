"""Encrypted DuckDB files: the extension that brings AES, and a connection to which such a file is attached."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from core.crypto.secret import Secret
from core.errors import WorkspaceUnusable

CATALOG = "sealed"
"""The name under which the file is attached."""
_WRONG_KEY = "wrong encryption key"


class EncryptionUnavailable(WorkspaceUnusable):
    """DuckDB's encryption extension is neither installed nor to be had."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """The 256-bit ``key`` of a file; ``announce`` hears a sentence before the extension is downloaded."""

    key: Secret
    announce: Callable[[str], None] = lambda sentence: None


def connect_encrypted(path: Path, encryption: Encryption) -> duckdb.DuckDBPyConnection:
    """A connection with ``path``, created if need be, attached as ``CATALOG``, in AES-256-GCM; its write-ahead log and
    what DuckDB spills into ``….tmp`` beside it are encrypted too.

    ``enter`` makes a cursor use it. Raises EncryptionUnavailable, and what DuckDB raises when the file cannot be opened
    so; no error holds the key.
    """
    connection = duckdb.connect(":memory:")
    try:
        connection.execute("SET autoinstall_known_extensions = false")
        connection.execute("SET autoload_known_extensions = false")
        _load_extension(connection, encryption.announce)
        connection.execute("SET temp_file_encryption = true")
        connection.execute(f"SET temp_directory = {_quoted(path.with_name(path.name + '.tmp'))}")
        # The key is a parameter: what DuckDB quotes of a statement in an error does not hold it.
        connection.execute(
            f"ATTACH {_quoted(path)} AS {CATALOG} (ENCRYPTION_KEY ?, ENCRYPTION_CIPHER 'GCM')",
            [encryption.key.reveal().hex()],
        )
        enter(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def enter(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the encrypted file what unqualified names mean; every cursor needs it anew."""
    connection.execute(f"USE {CATALOG}")


def is_wrong_key(failure: duckdb.Error) -> bool:
    """Whether a file could not be opened because it was written under another key."""
    return _WRONG_KEY in str(failure).lower()


def extension_file() -> Path | None:
    """The extension of this DuckDB as its wheel lays it out; ``None`` when there is no such wheel here."""
    found = importlib.util.find_spec("duckdb_extension_httpfs")
    for folder in (found.submodule_search_locations or ()) if found is not None else ():
        file = Path(folder) / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"
        if file.is_file():
            return file
    return None


def _load_extension(connection: duckdb.DuckDBPyConnection, announce: Callable[[str], None]) -> None:
    file = extension_file()
    try:
        if file is None:
            announce("DuckDB's encryption extension is not installed here and is being downloaded.")
            connection.execute("INSTALL httpfs")
        connection.execute(f"LOAD {_quoted(file) if file is not None else 'httpfs'}")
    except duckdb.Error:
        raise EncryptionUnavailable(
            "DuckDB's encryption extension cannot be loaded.", "Install the package duckdb-extension-httpfs."
        ) from None


def _quoted(path: Path) -> str:
    """``path`` as a SQL text; neither ATTACH nor LOAD nor SET takes a path as a parameter."""
    return "'" + str(path).replace("'", "''") + "'"
