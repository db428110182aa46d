"""What is sensitive is sealed wherever it lies, opens for its owner, and cannot be exchanged, cut or forged."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind, MessageFilters
from core.agentfs.agentfs import AgentFS
from core.agentfs.contents import INLINE_BYTES
from core.agentfs.guard import PrivacySettings, privacy_settings
from core.agentfs.items import ItemWrite
from core.crypto.age_format import open_by_passphrase
from core.crypto.openers import open_by_key_file
from core.crypto.passphrases import read_key_file
from core.errors import InvalidInput, Locked, SealBroken, WorkspaceUnusable
from core.model import JSONValue, Kind, Level, Sensitivity
from tests.agentfs.canaries import files_with, new_canary

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@dataclass
class World:
    """A workspace of Ada's with one agent, and what its settings are."""

    agentfs: AgentFS
    scout: Actor
    settings: PrivacySettings

    @property
    def root(self) -> Path:
        return self.agentfs.root

    def reopen(self, **settings: bool) -> None:
        """The same workspace, opened by another process, perhaps under another scope."""
        self.agentfs.close()
        self.settings = ada_settings(self.root, **settings)
        self.agentfs = AgentFS(self.root, acting=ADA, privacy=self.settings)

    def judge_all(self) -> int:
        """What the engine does with what was written before."""
        self.agentfs.reclassifier.note_rules()
        self.agentfs.reclassifier.look_again()
        sealed = 0
        while (step := self.agentfs.reclassifier.step(5)).left:
            sealed += step.sealed
        return sealed + step.sealed

    def sealed_count(self) -> int:
        row = self.agentfs.database.connection().execute("SELECT sum(sealed) FROM items WHERE deleted = 0").fetchone()
        return int(row[0] or 0)


def ada_settings(root: Path, *, seal_all: bool = False) -> PrivacySettings:
    settings = privacy_settings(root, seal_all=seal_all, user="ada")
    return replace(settings, key_files=root.parent / "key-files")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    root = tmp_path / "workspace"
    settings = ada_settings(root)
    agentfs = AgentFS(root, acting=ADA, privacy=settings)
    agent = agentfs.agents.register("scout", "research", owner="ada", by=ADA).agent
    opened = World(agentfs, Actor(ActorKind.AGENT, agent.id, "mcp"), settings)
    yield opened
    opened.agentfs.close()


def test_a_secret_lies_in_plain_nowhere(world: World) -> None:
    canary, agentfs, scout = new_canary(), world.agentfs, world.scout
    agentfs.states.put("scout", "plan", {"token": canary}, by=scout)
    agentfs.states.put("scout", "long", [canary, "x" * INLINE_BYTES], by=scout)
    agentfs.states.put("scout", "plan", {"token": canary, "more": 1}, by=scout)
    agentfs.states.restore("scout", "plan", 1, by=scout)
    agentfs.messages.send("scout", "person", {"text": f"use {canary}"}, by=scout)
    snapshot = agentfs.snapshots.take("with secrets", by=ADA)
    agentfs.states.put("scout", "plan", {"token": "gone"}, by=scout)
    agentfs.states.delete("scout", "long", by=scout)
    agentfs.snapshots.restore(snapshot.id, by=ADA)
    assert files_with(world.root, canary) == []
    world.reopen()
    assert files_with(world.root, canary) == []
    assert world.agentfs.states.get("scout", "plan").value == {"token": canary}
    assert world.agentfs.states.get("scout", "long").value == [canary, "x" * INLINE_BYTES]
    assert world.agentfs.states.value_at("scout", "plan", 2) == {"token": canary, "more": 1}
    message = world.agentfs.messages.page(1, 1)[0]
    assert (message.content, message.sensitive, message.sealed) == ({"text": f"use {canary}"}, Sensitivity.SECRET, True)
    assert list(world.agentfs.messages.matching(MessageFilters(text=canary[5:20].upper()))) == [1]
    assert world.agentfs.audit_check.verify().whole


def test_a_private_pattern_seals_what_it_catches(world: World) -> None:
    state = world.agentfs.states.put("scout", "credentials/db", {"host": "lighthouse"}, by=world.scout)
    assert (state.level, state.sensitive, state.sealed) == (Level.PRIVATE, Sensitivity.PATTERN, True)
    assert files_with(world.root, "lighthouse") == []
    plain = world.agentfs.states.put("scout", "places/db", {"host": "lighthouse"}, by=world.scout)
    assert (plain.sensitive, plain.sealed) == (Sensitivity.NONE, False)
    assert files_with(world.root, "lighthouse") != []


def test_with_the_wide_scope_everything_private_is_sealed(world: World) -> None:
    world.reopen(seal_all=True)
    agentfs = world.agentfs
    agentfs.states.put("scout", "logs/today", "the lighthouse was lit", by=world.scout)
    agentfs.messages.send("scout", "person", "the lighthouse is lit", by=world.scout)
    assert files_with(world.root, "lighthouse") == []
    assert agentfs.states.get("scout", "logs/today").value == "the lighthouse was lit"
    assert agentfs.states.get("scout", "logs/today").sensitive is Sensitivity.NONE


def test_locked_it_says_so_and_takes_nothing_that_must_be_sealed(world: World) -> None:
    canary, agentfs = new_canary(), world.agentfs
    agentfs.states.put("scout", "plan", {"token": canary}, by=world.scout)
    agentfs.states.put("scout", "plain", 1, by=world.scout)
    agentfs.messages.send("scout", "person", canary, by=world.scout)
    agentfs.keys.lock()
    with pytest.raises(Locked, match="locked") as raised:
        agentfs.states.get("scout", "plan")
    assert "bailiwick keys unlock" in raised.value.hint
    listed = {state.key: (state.value, state.locked) for state in agentfs.states.all("scout")}
    assert listed == {"plan": (None, True), "plain": (1, False)}
    assert (agentfs.messages.page(1, 1)[0].content, agentfs.messages.page(1, 1)[0].locked) == (None, True)
    assert agentfs.states.get("scout", "plain").value == 1
    position = agentfs.items.position()
    for refused in (
        lambda: agentfs.states.put("scout", "other", {"token": new_canary()}, by=world.scout),
        lambda: agentfs.states.put("scout", "credentials/x", 1, by=world.scout),
        lambda: agentfs.messages.send("scout", "person", new_canary(), by=world.scout),
    ):
        with pytest.raises(Locked):
            refused()
    assert agentfs.items.position() == position
    agentfs.keys.unlock(lambda slots: open_by_key_file(slots, next(world.settings.key_files.glob("*.key"))))
    assert agentfs.states.get("scout", "plan").value == {"token": canary}
    assert agentfs.messages.page(1, 1)[0].content == canary


def test_a_workspace_without_its_key_file_opens_and_shows_what_is_plain(world: World) -> None:
    world.agentfs.states.put("scout", "plan", {"token": new_canary()}, by=world.scout)
    world.agentfs.states.put("scout", "plain", 1, by=world.scout)
    shutil.rmtree(world.settings.key_files)
    world.reopen()
    assert world.agentfs.states.get("scout", "plain").value == 1
    with pytest.raises(Locked):
        world.agentfs.states.get("scout", "plan")


def test_a_key_file_that_others_can_read_is_refused(world: World) -> None:
    world.agentfs.states.put("scout", "plan", {"token": new_canary()}, by=world.scout)
    next(world.settings.key_files.glob("*.key")).chmod(0o644)
    world.reopen()
    with pytest.raises(Locked) as raised:
        world.agentfs.states.get("scout", "plan")
    assert "others" in str(raised.value)


def test_a_name_that_is_a_secret_is_refused(world: World) -> None:
    canary = new_canary()
    with pytest.raises(InvalidInput, match="names are never sealed") as raised:
        world.agentfs.states.put("scout", f"token {canary}", 1, by=world.scout)
    assert canary not in str(raised.value)
    with pytest.raises(InvalidInput, match="names are never sealed"):
        world.agentfs.sessions.start("scout", by=world.scout, title=canary)
    assert files_with(world.root, canary) == []


# Sealed bytes that are not as they were written


def _two_sealed(world: World) -> tuple[str, str]:
    for key in ("one", "two"):
        world.agentfs.states.put("scout", key, {"token": new_canary()}, by=world.scout)
    with closing(sqlite3.connect(world.agentfs.database.path)) as connection:
        rows = connection.execute("SELECT sealed_sha256 FROM agent_states ORDER BY state_key").fetchall()
    return rows[0][0], rows[1][0]


def test_exchanged_sealed_values_are_refused(world: World) -> None:
    one, two = _two_sealed(world)
    with closing(sqlite3.connect(world.agentfs.database.path)) as connection, connection:
        for key, digest in (("one", two), ("two", one)):
            connection.execute("UPDATE agent_states SET sealed_sha256 = ? WHERE state_key = ?", (digest, key))
    with pytest.raises(SealBroken, match="exchanged"):
        world.agentfs.states.get("scout", "one")


def test_what_a_stranger_sealed_for_us_is_refused(world: World) -> None:
    digest, _ = _two_sealed(world)
    state = world.agentfs.states.get("scout", "one")
    forged = world.agentfs.keys.seal(b"bailiwick-sealed/1 " + state.id.encode() + b" " + b"0" * 64 + b"\n" + b'"mine"')
    with world.agentfs.database.transaction() as connection:
        planted = world.agentfs.contents.write(connection, forged, sealed=True)
        connection.execute("UPDATE agent_states SET sealed_sha256 = ? WHERE sealed_sha256 = ?", (planted, digest))
    with pytest.raises(SealBroken, match="not made by a holder"):
        world.agentfs.states.get("scout", "one")


def _flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def _reorder(data: bytes) -> bytes:
    chunk = 64 * 1024 + 16
    head = len(data) % chunk or chunk
    return data[:head] + data[head + chunk : head + 2 * chunk] + data[head : head + chunk] + data[head + 2 * chunk :]


@pytest.mark.parametrize("change", [_flip, lambda data: data[:-20], _reorder], ids=["flipped", "cut", "reordered"])
@pytest.mark.parametrize("renamed", [False, True], ids=["in place", "under its new hash"])
def test_changed_sealed_files_are_refused(world: World, change: Callable[[bytes], bytes], renamed: bool) -> None:
    world.agentfs.states.put("scout", "long", [new_canary(), "x" * 300_000], by=world.scout)
    file = next((world.root / "files").rglob("*.age"))
    changed = change(file.read_bytes())
    assert changed != file.read_bytes()
    file.write_bytes(changed)
    if renamed:
        with world.agentfs.database.transaction() as connection:
            digest = world.agentfs.contents.write(connection, changed, sealed=True)
            connection.execute("UPDATE agent_states SET sealed_sha256 = ?", (digest,))
    with pytest.raises(SealBroken if renamed else WorkspaceUnusable):
        world.agentfs.states.get("scout", "long")


# What was written before


def test_new_boundaries_seal_what_was_plain(world: World) -> None:
    agentfs = world.agentfs
    word = "lighthouse-" + new_canary()[4:12]
    for value in (word, f"{word} again", 3):
        agentfs.states.put("scout", "harbour/light", value, by=world.scout)
    agentfs.states.put("scout", "elsewhere", word.upper(), by=world.scout)
    with agentfs.database.transaction() as connection:
        agentfs.items.put(connection, ItemWrite("notes/harbour/a", Kind.DECISION, "ada", b'"' + b"y" * 70_000 + b'"'))
    assert world.judge_all() == 0
    (world.root / "privacy_config.yml").write_text("privacy:\n  boundaries:\n    custom_private_patterns: [harbour]\n")
    world.reopen()
    assert world.judge_all() == 2
    assert world.agentfs.states.get("scout", "harbour/light").sealed
    assert world.agentfs.states.value_at("scout", "harbour/light", 1) == word
    assert world.agentfs.audit_check.verify().whole
    assert world.agentfs.contents.damaged() == []
    world.agentfs.close()
    assert files_with(world.root, word) == []
    assert files_with(world.root, word.upper()) != []
    (world.root / "privacy_config.yml").unlink()
    world.agentfs = AgentFS(world.root, acting=ADA, privacy=world.settings)
    world.reopen()
    world.judge_all()
    # A boundary that is gone may be a file that was lost: what is sealed stays so until it is written again.
    light = world.agentfs.states.get("scout", "harbour/light")
    assert (light.value, light.sensitive, light.sealed) == (3, Sensitivity.NONE, True)
    assert world.agentfs.states.value_at("scout", "harbour/light", 1) == word
    assert not world.agentfs.states.put("scout", "harbour/light", 4, by=world.scout).sealed


def test_another_default_level_holds_for_what_is_there_but_not_for_what_is_sensitive(world: World) -> None:
    world.agentfs.agents.register("clerk", "documentation", owner="ada", by=ADA)
    world.agentfs.states.put("clerk", "plain", 1, by=ADA)
    world.agentfs.states.put("clerk", "secret", new_canary(), by=ADA)
    world.agentfs.states.put("scout", "findings/secret", new_canary(), by=ADA)
    world.judge_all()
    (world.root / "privacy_config.yml").write_text("privacy:\n  default_level: team_only\n")
    world.reopen()
    world.judge_all()
    levels = {state.key: state.level for state in world.agentfs.states.all("clerk")}
    assert levels == {"plain": Level.TEAM, "secret": Level.PRIVATE}
    assert world.agentfs.states.get("scout", "findings/secret").level is Level.PRIVATE
    assert world.agentfs.states.get("clerk", "plain").level is Level.TEAM


def test_what_an_older_bailiwick_wrote_is_private_until_judged(world: World) -> None:
    canary = new_canary()
    agentfs = world.agentfs
    agentfs.states.put("scout", "findings/plan", "harmless", by=world.scout)
    message = agentfs.messages.send("scout", "person", "harmless", by=world.scout)
    old = f'"{canary}"'
    with agentfs.database.transaction() as connection:
        digest = agentfs.contents.write(connection, old.encode())
        connection.execute("UPDATE items SET sensitive = 'unknown', sha256 = ?", (digest,))
        connection.execute("UPDATE agent_states SET sensitive = 'unknown', state_value = ?", (old,))
        connection.execute("UPDATE state_history SET sha256 = ?", (digest,))
        connection.execute("UPDATE agent_communications SET sensitive = 'unknown', message_content = ?", (old,))
    other = agentfs.agents.register("critic", "research", owner="ada", by=ADA).agent
    with pytest.raises(InvalidInput, match="Private resource"):
        agentfs.states.get("scout", "findings/plan", by=Actor(ActorKind.AGENT, other.id, "mcp"))
    assert world.judge_all() == 2
    assert agentfs.states.get("scout", "findings/plan").value == canary
    assert agentfs.messages.get(message.id).content == canary
    agentfs.close()
    assert files_with(world.root, canary) == []


def test_former_versions_and_those_of_deleted_states_are_sealed_too(world: World) -> None:
    agentfs, word = world.agentfs, "lighthouse-" + new_canary()[4:12]
    agentfs.states.put("scout", "harbour/light", word, by=world.scout)
    agentfs.states.put("scout", "harbour/gone", word, by=world.scout)
    agentfs.states.delete("scout", "harbour/gone", by=world.scout)
    world.judge_all()
    (world.root / "privacy_config.yml").write_text("privacy:\n  boundaries:\n    custom_private_patterns: [harbour]\n")
    world.reopen()
    # The present value is judged by writing it, before the engine has looked at the former ones.
    world.agentfs.states.put("scout", "harbour/light", "dim", by=world.scout)
    world.judge_all()
    assert world.agentfs.states.value_at("scout", "harbour/light", 1) == word
    assert world.agentfs.states.value_at("scout", "harbour/gone", 1) == word
    world.agentfs.close()
    assert files_with(world.root, word) == []


def test_what_is_owed_after_sealing_is_done_by_the_next_engine(world: World) -> None:
    copy = world.root / "snapshots" / "agentfs-before-0003.db"
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"a plain copy of before")
    world.agentfs.states.put("scout", "harbour/light", "dim", by=world.scout)
    (world.root / "privacy_config.yml").write_text("privacy:\n  boundaries:\n    custom_private_patterns: [harbour]\n")
    world.reopen()
    world.agentfs.reclassifier.note_rules()
    reader = sqlite3.connect(world.agentfs.database.path)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM agent_states").fetchone()
    assert world.agentfs.reclassifier.step(1).left
    assert copy.exists()
    reader.close()
    world.reopen()
    assert world.judge_all() == 0
    assert not copy.exists()


@pytest.mark.parametrize("kind", [Kind.MESSAGE, Kind.SESSION, Kind.DOCUMENT])
def test_a_state_has_a_kind_of_states(world: World, kind: Kind) -> None:
    with pytest.raises(InvalidInput, match="cannot be a"):
        world.agentfs.states.put("scout", "plan", 1, by=world.scout, kind=kind)


@pytest.mark.parametrize(
    "shape",
    [
        lambda canary: f"Use this key:\n{canary}",
        lambda canary: {"text": f"a\t{canary}\r\nb"},
        lambda canary: [{"deep": ["x", f"line\n{canary}"]}],
        lambda canary: {f"a\n{canary}": 1},
    ],
)
def test_a_secret_after_a_line_end_is_seen(world: World, shape: Callable[[str], JSONValue]) -> None:
    canary = new_canary()
    assert world.agentfs.states.put("scout", "plan", shape(canary), by=world.scout).sealed
    assert world.agentfs.messages.send("scout", "person", shape(canary), by=world.scout).sealed
    assert files_with(world.root, canary) == []


def test_what_cannot_be_opened_is_cured_by_writing_it_anew(world: World) -> None:
    value: JSONValue = [new_canary(), "x" * 100_000]
    world.agentfs.states.put("scout", "long", value, by=world.scout)
    file = next((world.root / "files").rglob("*.age"))
    file.write_bytes(_flip(file.read_bytes()))
    world.agentfs.states.put("scout", "long", value, by=world.scout)
    assert world.agentfs.states.get("scout", "long").value == value


def test_one_value_that_cannot_be_opened_takes_no_other_along(world: World) -> None:
    _two_sealed(world)
    message = world.agentfs.messages.send("scout", "person", new_canary(), by=world.scout)
    world.agentfs.messages.send("scout", "person", "plain", by=world.scout)
    with world.agentfs.database.transaction() as connection:
        planted = world.agentfs.contents.write(connection, b"not sealed at all")
        connection.execute("UPDATE agent_states SET sealed_sha256 = ? WHERE state_key = 'one'", (planted,))
        connection.execute("UPDATE agent_communications SET sealed_sha256 = ? WHERE id = ?", (planted, message.id))
    states = {state.key: state for state in world.agentfs.states.all("scout")}
    assert (states["one"].locked, bool(states["one"].problem), states["two"].locked) == (True, True, False)
    assert [each.content for each in world.agentfs.messages.page(1, 2)] == [None, "plain"]


def test_judging_waits_for_locked_keys(world: World) -> None:
    world.agentfs.states.put("scout", "plan", {"token": new_canary()}, by=world.scout)
    (world.root / "privacy_config.yml").write_text("privacy:\n  boundaries:\n    custom_private_patterns: [harbour]\n")
    world.agentfs.states.put("scout", "harbour/light", "dim", by=world.scout)
    world.reopen()
    world.agentfs.keys.lock()
    assert world.judge_all() == 0
    assert world.agentfs.states.get("scout", "harbour/light").value == "dim"
    world.agentfs.keys.unlock(lambda slots: open_by_key_file(slots, next(world.settings.key_files.glob("*.key"))))
    assert world.judge_all() == 1


# Without Bailiwick


@pytest.mark.skipif(shutil.which("age") is None, reason="Debian's age is not installed")
def test_age_opens_a_sealed_file(world: World, tmp_path: Path) -> None:
    canary = new_canary()
    world.agentfs.states.put("scout", "long", [canary, "x" * INLINE_BYTES], by=world.scout)
    slot_id, passphrase = read_key_file(next(world.settings.key_files.glob("*.key")))
    slot = (world.root / "keys" / "slots" / f"{slot_id}.age").read_bytes()
    identity = tmp_path / "identity.txt"
    identity.write_bytes(open_by_passphrase(slot, passphrase, "slot").reveal())
    file = next((world.root / "files").rglob("*.age"))
    opened = subprocess.run(["age", "-d", "-i", identity, file], capture_output=True, check=True, timeout=60).stdout
    head, _, content = opened.partition(b"\n")
    assert head.startswith(b"bailiwick-sealed/1 ")
    assert canary.encode() in content
