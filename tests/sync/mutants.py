"""The ways in which such a protocol is got wrong: each is put into the real code, and must be found out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.agentfs.items import ItemWrite
from core.conflicts.records import ConflictStatus
from core.errors import RemoteUnreachable
from core.model import Kind
from core.remote.folder import FolderStore
from core.remote.store import PLAIN, ObjectFacts, Progress
from core.sync.area_sync import AreaSync
from core.sync.commit import Commit, Operation, log_key, stored_hash
from core.sync.conflicting import Conflicting
from core.sync.failpoints import reached
from core.sync.local_tree import LocalTree
from core.sync.log_reading import ReadCommit
from core.sync.pulling import EVERYTHING, Pulled
from core.sync.sending import Sender
from core.sync.signing import Signer
from core.sync.taking_in import Intake
from tests.sync.two_devices import USER

GAP, AGREEING = "conflict-gap", "agreeing"


def put_ignores_the_condition(patch: pytest.MonkeyPatch) -> None:
    """What is there already is replaced."""

    def put_if_absent(
        self: FolderStore, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        self.put(key, data, facts, progress)
        return True

    patch.setattr(FolderStore, "put_if_absent", put_if_absent)


def commit_is_appended_without_being_made_anew(patch: pytest.MonkeyPatch) -> None:
    """Whoever comes second appends what was made of an older state."""
    signers: dict[int, Signer] = {}
    encoded = Sender.encoded

    def remembered(self: Sender, commit: Commit, signer: Signer) -> bytes:
        signers[id(self)] = signer
        return encoded(self, commit, signer)

    def try_commit(self: Sender, commit: Commit, data: bytes) -> None:
        reached("before-commit")
        try:
            while not self._store.put_if_absent(log_key(commit.area, commit.seq), data):
                there = self._store.get(log_key(commit.area, commit.seq))
                commit = replace(commit, seq=commit.seq + 1, prev=stored_hash(there))
                data = encoded(self, commit, signers[id(self)])
        except RemoteUnreachable:
            pass
        reached("after-commit")

    patch.setattr(Sender, "encoded", remembered)
    patch.setattr(Sender, "try_commit", try_commit)


def what_is_here_is_not_looked_at_again(patch: pytest.MonkeyPatch) -> None:
    """What the user changed since it was looked at is overwritten."""
    for name in ("apply", "delete", "conflict"):
        right = getattr(LocalTree, name)

        def blind(self: LocalTree, told: Any, *rest: Any, right: Callable[..., bool] = right, **named: Any) -> bool:
            path = told.path if isinstance(told, Operation) else told
            return right(self, told, *rest, **{**named, "expected": self.version(path)})

        patch.setattr(LocalTree, name, blind)


def commit_counts_without_being_read_back(patch: pytest.MonkeyPatch) -> None:
    """An answer, or none, is believed to mean that the commit is there."""
    tried: dict[int, tuple[Commit, bytes]] = {}
    try_commit, pull = Sender.try_commit, AreaSync.pull

    def remembering(self: Sender, commit: Commit, data: bytes) -> None:
        try_commit(self, commit, data)
        tried[id(self._store), commit.device] = (commit, data)  # type: ignore[index]

    def believing(self: AreaSync, result: Any, policy: Any = EVERYTHING) -> Pulled:
        believed = tried.pop((id(self._store), self._agentfs.device), None)  # type: ignore[call-overload]
        if believed is None:
            return pull(self, result, policy)
        commit, data = believed
        with self.tables.database.transaction() as connection:
            for each in commit.operations:
                self.tables.move_base(connection, self.area.id, each, commit.seq)
                self.tables.not_pending(connection, self.area.id, each.path)
            self.tables.advance(connection, commit, stored_hash(data), data)
            collected = self._puller._collected(ReadCommit(commit, data, stored_hash(data)))
            self.tables.note_collected(connection, self.area.id, collected)
        return Pulled(1, {commit.id})

    patch.setattr(Sender, "try_commit", remembering)
    patch.setattr(AreaSync, "pull", believing)


def what_is_here_is_deleted_before_it_is_copied(patch: pytest.MonkeyPatch) -> None:
    """For a moment the version of this device is nowhere."""
    _nothing_is_one_transaction(patch)
    right = LocalTree.conflict

    def conflict(self: LocalTree, operation: Operation, content: bytes | None, **named: Any) -> bool:
        items = self._agentfs.items
        item = items.at_path(operation.path)
        if item is None or item.kind is not Kind.ASSUMPTION or self.version(operation.path) != named["expected"]:
            return right(self, operation, content, **named)
        held = items.content(item)
        with self._agentfs.database.transaction() as connection:
            items.delete(connection, item.id)
        reached(GAP)
        with self._agentfs.database.transaction() as connection:
            items.put(connection, ItemWrite(operation.path, Kind.ASSUMPTION, USER, held))
        return right(self, operation, content, **named)

    patch.setattr(LocalTree, "conflict", conflict)


def taking_in_and_agreeing_are_apart(patch: pytest.MonkeyPatch) -> None:
    """What was taken in is not known to be agreed on yet."""
    _nothing_is_one_transaction(patch)
    right = Intake._note_agreed

    def note_agreed(self: Intake, *told: Any, **named: Any) -> None:
        reached(AGREEING)
        right(self, *told, **named)

    patch.setattr(Intake, "_note_agreed", note_agreed)


def _nothing_is_one_transaction(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalTree, "together", lambda self: contextlib.nullcontext())


def no_conflict_is_recorded(patch: pytest.MonkeyPatch) -> None:
    """The version of this device is replaced, and that is all."""
    patch.setattr(Conflicting, "settle", lambda *rest: (ConflictStatus.OPEN, []))


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    each.__name__: each
    for each in (
        put_ignores_the_condition,
        commit_is_appended_without_being_made_anew,
        what_is_here_is_not_looked_at_again,
        commit_counts_without_being_read_back,
        what_is_here_is_deleted_before_it_is_copied,
        taking_in_and_agreeing_are_apart,
        no_conflict_is_recorded,
    )
}
