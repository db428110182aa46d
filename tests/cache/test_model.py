"""The cache against a model of it: whatever happens, it answers what was put last, or nothing."""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from caching import TINY, Opened
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.cache.status import Tier
from core.errors import InvalidInput, NotFound
from core.ids import sha256_hex

NAMES = st.sampled_from([f"n{number}" for number in range(8)])
VALUES = st.builds(
    lambda seed, size: bytes([seed]) * size,
    st.integers(0, 30),
    st.sampled_from([0, 1, 300, 900, 1_900, 2_001, 3_500, 4_000, 4_500, 9_000]),
)


class CacheMachine(RuleBasedStateMachine):
    """``held`` is what was put last under each name; ``sure`` are the names whose value must be there.

    ``spoiled`` are the hashes of what was ever damaged: of that nothing is sure.
    """

    def __init__(self) -> None:
        super().__init__()
        self.scratch = tempfile.TemporaryDirectory()
        self.opened = Opened(Path(self.scratch.name) / "w", TINY)
        self.held: dict[str, bytes] = {}
        self.pinned: set[str] = set()
        self.sure: set[str] = set()
        self.spoiled: set[str] = set()

    def be_sure(self, name: str) -> None:
        """What is pinned and was never damaged has to stay."""
        if name in self.pinned and sha256_hex(self.held[name]) not in self.spoiled:
            self.sure.add(name)

    def teardown(self) -> None:
        self.opened.close()
        self.scratch.cleanup()

    @rule(name=NAMES, value=VALUES)
    def put(self, name: str, value: bytes) -> None:
        kept = self.opened.cache.put(name, value)
        assert kept or len(value) > 4_000
        self.held[name] = value
        self.sure.discard(name)
        if len(value) <= 4_000 and name in self.pinned:
            self.pinned = set(self.opened.cache.pinned())
            self.be_sure(name)
        elif len(value) > 4_000:
            # What is too large for the disk takes the pin along with what it replaces.
            self.pinned.discard(name)

    @rule(values=st.dictionaries(NAMES, VALUES, max_size=6))
    def put_together(self, values: dict[str, bytes]) -> None:
        for name, value in values.items():
            if name in self.pinned or len(value) > 4_000:
                return
        assert self.opened.cache.put_many(values) == len(values)
        self.held |= values

    @rule(name=NAMES)
    def get(self, name: str) -> None:
        value = self.opened.cache.get(name)
        assert value in (None, self.held.get(name))
        assert value is not None or name not in self.sure

    @rule(name=NAMES, value=VALUES)
    def get_exactly(self, name: str, value: bytes) -> None:
        assert self.opened.cache.get(name, sha256_hex(value)) in (None, value)

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.opened.cache.forget(name)
        self.held.pop(name, None)
        self.pinned.discard(name)
        self.sure.discard(name)
        assert self.opened.cache.get(name) is None

    @rule(name=NAMES)
    def pin(self, name: str) -> None:
        try:
            self.opened.cache.pin(name)
        except NotFound:
            assert name not in self.sure
        except InvalidInput:
            assert self.opened.cache.status().pinned_bytes > TINY.files - 4_000
        else:
            self.pinned.add(name)
            self.be_sure(name)

    @precondition(lambda self: self.pinned)
    @rule(data=st.data())
    def unpin(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.pinned)))
        self.opened.cache.unpin(name)
        self.pinned.discard(name)
        self.sure.discard(name)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), in_file=st.booleans())
    def damage(self, data: st.DataObject, in_file: bool) -> None:
        digest = sha256_hex(self.held[data.draw(st.sampled_from(sorted(self.held)))])
        if self.opened.spoil_file(digest) if in_file else self.opened.spoil_recent(digest):
            self.spoiled.add(digest)
            self.sure -= {name for name, value in self.held.items() if sha256_hex(value) == digest}

    @rule()
    def restart(self) -> None:
        self.opened.reopen()

    @rule()
    def tidy(self) -> None:
        self.opened.cache.tidy()

    @invariant()
    def bounds_hold_and_numbers_are_true(self) -> None:
        status = self.opened.cache.status()
        with closing(sqlite3.connect(self.opened.root / "agentfs.db")) as connection:
            rows = connection.execute("SELECT sha256, size FROM cache_contents WHERE is_recent = 1").fetchall()
            in_files = dict(connection.execute("SELECT sha256, size FROM cache_contents WHERE is_file = 1").fetchall())
            with_bytes = {row[0] for row in connection.execute("SELECT sha256 FROM cache_bytes")}
            nowhere = connection.execute(
                "SELECT count(*) FROM cache_contents WHERE is_recent = 0 AND is_file = 0"
            ).fetchone()[0]
        assert nowhere == 0
        assert with_bytes == {digest for digest, _ in rows}
        assert status[Tier.RECENT].entries == len(rows)
        assert status[Tier.RECENT].size == sum(size for _, size in rows) <= TINY.recent
        assert status[Tier.FILES].size == sum(in_files.values()) <= TINY.files
        assert {path.name for path in self.opened.files()} == set(in_files)
        assert status[Tier.MEMORY].size <= TINY.memory
        assert set(self.opened.cache.pinned()) == self.pinned


TestCache = CacheMachine.TestCase
TestCache.settings = settings(max_examples=15, stateful_step_count=30, deadline=None)
