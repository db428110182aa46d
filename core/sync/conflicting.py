"""Keeping both versions of what was changed differently here and elsewhere."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import replace

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import Guard
from core.conflicts.outcomes import Outcome, RuledBy, Took
from core.conflicts.records import ConflictStatus, ConflictStore, Side, more_private
from core.content_format import decode
from core.ids import sha256_hex
from core.model import Item, Kind, Sensitivity
from core.sync.arriving import Arrival
from core.sync.commit import Operation
from core.sync.leaving import Leaving
from core.sync.origin import FormerVersion, Origin

_FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)
EDIT_WINS = "an edit wins over a deletion"


class Conflicting:
    """Safe from any thread."""

    def __init__(self, agentfs: AgentFS, store: ConflictStore, leaving: Leaving, by: Actor, user: str) -> None:
        self._agentfs = agentfs
        self._store = store
        self._leaving = leaving
        self._by = by
        self._user = user

    def record(
        self,
        connection: sqlite3.Connection,
        operation: Operation,
        item: Item | None,
        version: str | None,
        arrival: Arrival | None,
        base: FormerVersion | None,
        former: bytes | None,
        origin: Origin,
    ) -> None:
        """Record the conflict between ``item``, whose version is ``version``, and what arrives, in the caller's
        transaction. ``arrival`` is ``None`` for a deletion, ``former`` the content of ``base`` where it is at hand.
        """
        plain = self._leaving.plain(item) if item is not None else None
        if base is None and plain is not None and arrival is not None and _is_same_but_cut(arrival, plain):
            return
        local = Side(
            version,
            plain,
            self._leaving.header(item).to_json() if item is not None else None,
            self._user,
            self._agentfs.device,
            item.updated_at if item is not None else None,
        )
        remote = Side(
            arrival.version if arrival is not None else None,
            arrival.content if arrival is not None else None,
            arrival.header.to_json() if arrival is not None else None,
            origin.user,
            origin.device,
            origin.at,
        )
        found = self._found(operation.path, item, arrival, former)
        record = self._store.open_within(
            connection,
            operation.path,
            arrival.header.kind if arrival is not None else item.kind.value if item is not None else operation.kind,
            Side(base.version, former, base.header) if base is not None else None,
            local,
            remote,
            owner=self._user,
            found=found,
            by=self._by,
        )
        if item is None or arrival is None:
            kept = Took.REMOTE if item is None else Took.LOCAL
            outcome = Outcome(
                RuledBy.AUTOMATIC,
                kept,
                EDIT_WINS,
                self._user,
                self._agentfs.device,
                record.updated_at,
                _hash(record.base),
                _hash(record.local),
                _hash(record.remote),
                _hash(record.remote if item is None else record.local),
            )
            settled = replace(record, status=ConflictStatus.RESOLVED, outcome=outcome)
            self._store.put_within(
                connection, settled, owner=self._user, found=found, by=self._by, action="conflict.resolve"
            )

    def _found(self, path: str, item: Item | None, arrival: Arrival | None, former: bytes | None) -> Sensitivity:
        """Why any of the versions is sensitive, by what was found in it or by the path that it has."""
        found = item.sensitive if item is not None else Sensitivity.NONE
        guard: Guard = self._agentfs.guard
        if arrival is not None:
            judged = guard.judge(path, arrival.kind, "", found=arrival.found, level=arrival.header.level)
            found = more_private(found, judged.sensitive)
        if former is not None:
            found = more_private(found, guard.scan(former.decode("utf-8", "replace")))
        return found


def _hash(side: Side | None) -> str | None:
    return sha256_hex(side.content) if side is not None and side.content is not None else None


def _is_same_but_cut(arrival: Arrival, plain: bytes) -> bool:
    """Whether two devices read the same document and only cut it differently, for one lacked the model's tokenizer."""
    if arrival.header.kind != Kind.DOCUMENT:
        return False
    try:
        return _text(plain) == _text(arrival.content)
    except ValueError:
        return False


def _text(document: bytes) -> tuple[object, ...]:
    content = decode(document)
    parts: list[tuple[tuple[str, ...], str]] = []
    for passage in content.passages:
        text = "".join(_FENCE.sub("", passage.text).split())
        if parts and parts[-1][0] == passage.heading_path:
            text = parts.pop()[1] + text
        parts.append((passage.heading_path, text))
    return content.title, content.language, content.library, content.version, dict(content.metadata), parts
