"""What was changed differently here and elsewhere: settled by rule where rules settle it, with both versions kept."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass, replace

from core.agent_model import PERSON_TYPE, Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import Guard
from core.config import ConflictSettings
from core.conflicts.arising import Arisen, Arising
from core.conflicts.meeting import Meetings, due
from core.conflicts.merging.forms import mergeable
from core.conflicts.objects import Objects
from core.conflicts.outcomes import Took
from core.conflicts.records import ConflictStatus, ConflictStore, Side, more_private
from core.content_format import decode
from core.errors import InvalidInput, QuotaExceeded
from core.model import Item, Kind, Sensitivity
from core.sync.arriving import Arrival
from core.sync.commit import Operation
from core.sync.header_merge import merged_header
from core.sync.item_header import ItemHeader
from core.sync.leaving import Leaving
from core.sync.origin import FormerVersion, Origin
from core.sync.things import Thing, thing_at

_FENCE = re.compile(r"^\s*(```|~~~).*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Here:
    """What is here of an object, before anything is taken in; ``agent`` is the id of who wrote it."""

    item: Item | None
    header: ItemHeader | None
    plain: bytes | None
    side: Side
    agent: str = ""


class Conflicting:
    """Safe from any thread. What takes a connection belongs to the caller's transaction."""

    def __init__(self, agentfs: AgentFS, settings: ConflictSettings, leaving: Leaving, by: Actor, user: str) -> None:
        self._agentfs = agentfs
        self._arising = Arising(agentfs, settings, who=user)
        self._store = ConflictStore(agentfs)
        self._meetings = Meetings(agentfs)
        self._objects = Objects(agentfs, user)
        self._leaving = leaving
        self._by = by
        self._user = user

    def here(self, connection: sqlite3.Connection, path: str, version: str | None) -> Here:
        """What is at ``path``, of which ``version`` is the one."""
        item = self._agentfs.items.at_path(path)
        if item is None:
            return Here(None, None, None, Side(None, who=self._user, device=self._agentfs.device))
        plain, header = self._leaving.plain(item), self._leaving.header(item)
        agent = self._writer(connection, item)
        side = Side(
            version,
            plain,
            header.to_json(),
            self._label(connection, self._user, agent or item.agent_id),
            self._agentfs.device,
            item.updated_at,
        )
        return Here(item, header, plain, side, agent)

    def ruled_here(self, here: Here, arrival: Arrival | None, operation: Operation) -> Took | None:
        """Which side stays, where both are rulings on one conflict that were made at once; ``None`` where they are not.

        Raises Locked.
        """
        kind = arrival.header.kind if arrival is not None else here.item.kind if here.item is not None else ""
        there = arrival.content if arrival is not None else None
        return self._meetings.side_kept(operation.path, mergeable(kind, here.plain), mergeable(kind, there))

    def with_facts(self, here: Here, arrival: Arrival, base: FormerVersion | None) -> Arrival:
        """What arrives, with what was said here alone of the item: who may have it, say."""
        if here.header is None:
            return arrival
        header = merged_header(base.header if base is not None else None, here.header, arrival.header, arrival.item_id)
        return replace(arrival, header=header)

    def settle(
        self,
        connection: sqlite3.Connection,
        operation: Operation,
        here: Here,
        arrival: Arrival | None,
        base: FormerVersion | None,
        former: bytes | None,
        origin: Origin,
    ) -> tuple[ConflictStatus, list[str]]:
        """Record the conflict between what was ``here`` and what arrives, which was taken in already, and settle it.

        ``arrival`` is ``None`` for a deletion, ``former`` the content of ``base`` where it is at hand. What is settled
        otherwise than it stands is written. The answer is whether somebody has to rule, and the hashes that are not
        held any more.
        """
        if base is None and here.plain is not None and arrival is not None and _is_same_but_cut(arrival, here.plain):
            return ConflictStatus.RESOLVED, []
        try:
            connection.execute("SAVEPOINT settling")
            try:
                arisen = self._arise(connection, operation, here, arrival, base, former, origin, settles=True)
                freed = self._written(connection, operation.path, arisen)
            except BaseException:
                connection.execute("ROLLBACK TO settling")
                raise
            finally:
                connection.execute("RELEASE settling")
        except (InvalidInput, QuotaExceeded):
            arisen = self._arise(connection, operation, here, arrival, base, former, origin, settles=False)
            freed = []
        return ConflictStatus.RESOLVED if arisen.outcome is not None else ConflictStatus.OPEN, freed

    def _arise(
        self,
        connection: sqlite3.Connection,
        operation: Operation,
        here: Here,
        arrival: Arrival | None,
        base: FormerVersion | None,
        former: bytes | None,
        origin: Origin,
        *,
        settles: bool,
    ) -> Arisen:
        item, writer = here.item, arrival.history[-1].actor if arrival is not None and arrival.history else ""
        there = Side(
            arrival.version if arrival is not None else None,
            arrival.content if arrival is not None else None,
            arrival.header.to_json() if arrival is not None else None,
            self._label(connection, origin.user, writer or (arrival.header.agent if arrival is not None else "")),
            origin.device,
            origin.at,
        )
        sides, agents = (here.side, there), (here.agent, writer)
        if arrival is None:
            # What was deleted elsewhere stands here.
            sides, agents = (there, here.side), (writer, here.agent)
        kind = arrival.header.kind if arrival is not None else item.kind.value if item is not None else operation.kind
        return self._arising.arise_within(
            connection,
            operation.path,
            kind,
            Side(base.version, former, base.header) if base is not None else None,
            *sides,
            owner=self._user,
            found=self._found(operation.path, item, arrival, former),
            critical=(item is not None and item.critical) or (arrival is not None and arrival.header.critical),
            by=self._by,
            agents=agents,
            settles=settles,
        )

    def _written(self, connection: sqlite3.Connection, path: str, arisen: Arisen) -> list[str]:
        if not arisen.writes:
            return []
        return self._objects.write_within(connection, path, arisen.content, by=self._by, like=arisen.record.local)

    def uphold(self, connection: sqlite3.Connection, path: str, conflict: str) -> tuple[bool, list[str]]:
        """Have the ruling that holds stand at ``path``, where one that was made here stands and does not hold.

        The answer is whether something was written, and the hashes that are not held any more.
        """
        record = self._store.get(conflict)
        content = due(record, self._objects.present(path).content, self._agentfs.device)
        if content is None:
            return False, []
        like = next((each for each in record.sides if each.header is not None), None)
        return True, self._objects.write_within(connection, path, content[0], by=self._by, like=like)

    def _writer(self, connection: sqlite3.Connection, item: Item) -> str:
        """The id of who wrote the present version of a state; empty for other items."""
        if thing_at(item.path) is not Thing.STATE:
            return ""
        row = connection.execute(
            "SELECT actor FROM state_history WHERE state_id = ? ORDER BY version DESC LIMIT 1", (item.id,)
        ).fetchone()
        return str(row["actor"]) if row is not None else ""

    @staticmethod
    def _label(connection: sqlite3.Connection, user: str, agent: str) -> str:
        """Whose a version is, with the agent that wrote it."""
        row = connection.execute("SELECT name FROM agents WHERE id = ? AND type <> ?", (agent, PERSON_TYPE)).fetchone()
        return f"{user} · {row['name']}" if row is not None else user

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
