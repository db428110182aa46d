"""What to fetch before anybody asks for it: what was used most and latest, as far as it is worth its bytes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath

from core.agentfs.database import Database, from_text, translated
from core.sync_model import NetworkQuality

HALF_LIFE_DAYS = 14.0
KIN_SHARE = 0.25
"""What a use of something in the same folder counts, beside a use of the thing itself."""
REQUEST_BYTES = 16 * 1024
"""What asking for something costs, as the bytes that could be read instead."""
GOOD_ENOUGH = frozenset({NetworkQuality.EXCELLENT, NetworkQuality.GOOD})
MOST_CANDIDATES = 20_000
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that is known and not here: an item's ``path`` in an ``area``, or a library's name.

    ``uses`` are how often it was opened here, in an earlier version then, and ``kin_uses`` how often something beside
    it was; ``last_used`` is the newest of both.
    """

    path: str
    area: str
    size: int
    uses: int = 0
    kin_uses: int = 0
    last_used: datetime | None = None


def worth(candidate: Candidate, moment: datetime) -> float:
    """How much ``candidate`` is worth fetching, in uses per byte; 0 where nothing speaks for it. Pure.

    Uses count with their logarithm, half after each two weeks.
    """
    if candidate.last_used is None:
        return 0.0
    uses = math.log1p(candidate.uses + KIN_SHARE * candidate.kin_uses)
    days = max(0.0, (moment - candidate.last_used).total_seconds() / _DAY)
    return float(uses * 0.5 ** (days / HALF_LIFE_DAYS) / (candidate.size + REQUEST_BYTES))


def ranked(candidates: Iterable[Candidate], budget_bytes: int, moment: datetime) -> list[Candidate]:
    """Those worth fetching that fit into ``budget_bytes`` together, the best first; what does not fit is passed over.

    Pure; the same candidates in any order give the same answer.
    """
    worths = {candidate: worth(candidate, moment) for candidate in candidates}
    chosen: list[Candidate] = []
    left = budget_bytes
    for candidate in sorted(worths, key=lambda each: (-worths[each], each.size, each.area, each.path)):
        if worths[candidate] > 0 and candidate.size <= left:
            chosen.append(candidate)
            left -= candidate.size
    return chosen


def prefetch_candidates(
    database: Database, network: NetworkQuality, budget_bytes: int, moment: datetime
) -> list[Candidate]:
    """The items known and not here that are to be fetched now, the best first; none on a network that is not good."""
    if network not in GOOD_ENOUGH or budget_bytes <= 0:
        return []
    return ranked(_not_fetched(database), budget_bytes, moment)


def library_candidates(
    database: Database, offered: Mapping[str, int], network: NetworkQuality, budget_bytes: int, moment: datetime
) -> list[Candidate]:
    """As ``prefetch_candidates``, of libraries: bytes by ``LIBRARY@VERSION``, which are not here.

    What was opened of the same library in another version speaks for one.
    """
    if network not in GOOD_ENOUGH or budget_bytes <= 0:
        return []
    with translated(database.path):
        rows = database.connection().execute(
            "SELECT json_extract(i.metadata, '$.library') AS library, sum(u.access_count) AS uses,"
            " max(u.last_accessed) AS last_used FROM item_usage u JOIN items i ON i.id = u.item_id"
            " WHERE i.kind = 'document' AND library <> '' GROUP BY library"
        )
        used = {row["library"]: (int(row["uses"]), from_text(row["last_used"])) for row in rows}
    found = []
    for name, size in offered.items():
        uses, last_used = used.get(name.rpartition("@")[0] or name, (0, None))
        found.append(Candidate(name, "", size, kin_uses=uses, last_used=last_used))
    return ranked(found, budget_bytes, moment)


def _not_fetched(database: Database) -> list[Candidate]:
    with translated(database.path):
        connection = database.connection()
        missing = connection.execute(
            "SELECT b.area, b.path, b.size, u.access_count, u.last_accessed FROM sync_base b"
            " LEFT JOIN item_usage u ON u.item_id = b.item_id"
            " WHERE b.present = 0 AND b.kind <> 'library' ORDER BY b.size LIMIT ?",
            (MOST_CANDIDATES,),
        ).fetchall()
        if not missing:
            return []
        used = connection.execute(
            "SELECT i.path, u.access_count, u.last_accessed FROM item_usage u JOIN items i ON i.id = u.item_id"
            " ORDER BY u.last_accessed DESC LIMIT ?",
            (MOST_CANDIDATES,),
        ).fetchall()
    uses: Counter[str] = Counter()
    newest: dict[str, str] = {}
    for row in used:
        folder = _folder(row["path"])
        uses[folder] += row["access_count"]
        newest[folder] = max(newest.get(folder, ""), row["last_accessed"])
    found = []
    for row in missing:
        folder, own = _folder(row["path"]), int(row["access_count"] or 0)
        last_used = max(row["last_accessed"] or "", newest.get(folder, ""))
        found.append(
            Candidate(
                row["path"],
                row["area"],
                row["size"],
                own,
                max(0, uses[folder] - own),
                from_text(last_used) if last_used else None,
            )
        )
    return found


def _folder(path: str) -> str:
    return str(PurePosixPath(path).parent)
