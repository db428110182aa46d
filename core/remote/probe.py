"""What a store can be trusted with, found out by trying: one that ignores conditions loses what two devices write."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from core.errors import BailiwickError, RemoteRefused, RemoteUnreachable
from core.ids import new_id
from core.remote.store import ObjectStore

RACERS = 8


class Writers(StrEnum):
    """How many devices may write to a store."""

    MANY = "many"
    ONE = "one"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was found out; ``reason`` is a sentence where not many may write.

    ``conditions``: an object that is there is not written again; ``race``: of eight writers at once one wins;
    ``lists`` and ``deletes``: it can do that, and these credentials may.
    """

    writers: Writers
    reason: str
    conditions: bool
    race: bool
    lists: bool
    deletes: bool


def probe(store: ObjectStore) -> ProbeReport:
    """Try ``store`` under ``temp/``, and take away what was written there. About 12 class A operations.

    Raises RemoteRefused and RemoteUnreachable when nothing can be told for the store does not let us in at all.
    """
    if store.read_only:
        return ProbeReport(Writers.NONE, "It can only be read.", False, False, False, False)
    folder = f"temp/probe-{new_id()}"
    twice = f"{folder}/0-twice"
    try:
        conditions = store.put_if_absent(twice, b"first") and not store.put_if_absent(twice, b"second")
        conditions = conditions and store.get(twice, at_most=100) == b"first"
        race = conditions and _race(store, f"{folder}/1-race")
        lists, deletes = _lists(store, folder), _deletes(store, twice)
    finally:
        _clean(store, [twice, f"{folder}/1-race", f"{folder}/2-next"])
    if not conditions:
        reason = "It overwrites what is there although it is asked not to: of two devices that write, one loses."
        return ProbeReport(Writers.ONE, reason, conditions, race, lists, deletes)
    if not race:
        reason = "Of several that write at once it lets more than one win: what one of them wrote would be lost."
        return ProbeReport(Writers.ONE, reason, conditions, race, lists, deletes)
    reason = "" if lists and deletes else "These credentials may not " + ("delete." if lists else "list.")
    return ProbeReport(Writers.MANY, reason, conditions, race, lists, deletes)


def _race(store: ObjectStore, key: str) -> bool:
    def one(number: int) -> bool:
        return store.put_if_absent(key, str(number).encode())

    with ThreadPoolExecutor(RACERS) as pool:
        won = list(pool.map(one, range(RACERS)))
    return sum(won) == 1 and store.get(key, at_most=100) == str(won.index(True)).encode()


def _lists(store: ObjectStore, folder: str) -> bool:
    try:
        store.put(f"{folder}/2-next", b"next")
        keys = [each.key for each in store.list(f"{folder}/", after=f"{folder}/0-twice", limit=10)]
    except RemoteRefused:
        return False
    return keys[-1:] == [f"{folder}/2-next"] and f"{folder}/0-twice" not in keys


def _deletes(store: ObjectStore, key: str) -> bool:
    try:
        store.delete([key])
        return store.head(key) is None
    except RemoteRefused:
        return False


def _clean(store: ObjectStore, keys: list[str]) -> None:
    try:
        store.delete(keys)
    except (RemoteRefused, RemoteUnreachable, BailiwickError):
        # The lifecycle rule, or the sweep of temp/, takes it away.
        return
