"""A copy of the document index's file with nothing in it but its rows: DuckDB keeps what was deleted until it is
overwritten by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import duckdb

from core.index.schema import create_tables, read_meta

_COPY = "fresh_copy"
_ROWS = 20_000


def copy_database(
    connection: duckdb.DuckDBPyConnection, target: Path, meta: Mapping[str, str], should_stop: Callable[[], bool]
) -> bool:
    """Write the tables of the connection's database into the new file ``target``, with ``meta`` overlaid.

    Says whether it was finished, which it is not when ``should_stop`` says so. The caller keeps others from writing.
    """
    for ending in ("", ".wal"):
        target.with_name(target.name + ending).unlink(missing_ok=True)
    row = connection.execute("SELECT current_database()").fetchone()
    assert row is not None
    source = '"' + str(row[0]).replace('"', '""') + '"'
    known = read_meta(connection)
    # ATTACH takes no parameters.
    connection.execute("ATTACH '" + str(target).replace("'", "''") + f"' AS {_COPY}")
    try:
        connection.execute(f"USE {_COPY}")
        create_tables(connection, {**known, **meta})
        for table in ("documents", "passages"):
            if not _copy_rows(connection, f"{source}.{table}", table, should_stop):
                return False
        connection.execute("CHECKPOINT")
        return True
    finally:
        connection.execute(f"USE {source}")
        connection.execute(f"DETACH {_COPY}")


def _copy_rows(
    connection: duckdb.DuckDBPyConnection, source: str, target: str, should_stop: Callable[[], bool]
) -> bool:
    # Only constant names are put together here, and the file's own.
    last = connection.execute(f"SELECT max(rowid) FROM {source}").fetchone()  # noqa: S608
    assert last is not None
    for start in range(0, (-1 if last[0] is None else last[0]) + 1, _ROWS):
        if should_stop():
            return False
        connection.execute(
            f"INSERT INTO {target} SELECT * FROM {source} WHERE rowid >= ? AND rowid < ? ORDER BY rowid",  # noqa: S608
            [start, start + _ROWS],
        )
    return True
