"""Encrypted backups: opened by a person's passphrase or code anywhere, and refused however they were changed."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.backup import restore_backup, write_backup
from core.crypto.identity import Identity, new_identity
from core.crypto.keys import Keys
from core.crypto.openers import (
    add_key_file,
    add_passphrase,
    add_recovery_code,
    open_by_key_file,
    open_by_passphrase,
    open_by_recovery_code,
)
from core.crypto.recovery_code import new_recovery_code
from core.crypto.sealing import seal
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots
from core.errors import BailiwickError, InvalidInput, Locked, StorageFull

ADA = Actor(ActorKind.PERSON, "ada", "cli")
PASSPHRASE = Secret("correct horse battery")
CHEAP = 2
Opener = Callable[[KeySlots], Identity]


@dataclass(frozen=True)
class World:
    """A workspace with keys of two generations, and its encrypted backup."""

    root: Path
    keys: Keys
    code: Secret
    key_file: Path
    file: Path

    def truth(self) -> dict[str, str]:
        """The hash of every item, and every state's value."""
        return truth(self.root)


def truth(root: Path) -> dict[str, str]:
    with closing(AgentFS(root)) as agentfs:
        assert agentfs.contents.damaged() == []
        rows = agentfs.database.connection().execute("SELECT path, sha256 FROM items WHERE deleted = 0").fetchall()
        states = {f"scout {key}": str(agentfs.states.get("scout", key).value) for key in ("large", "small")}
        return {**{str(row["path"]): str(row["sha256"]) for row in rows}, **states}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    slots = KeySlots(folder / "workspace" / "keys", work_factor=CHEAP)
    keys, identity = Keys(slots), new_identity()
    add_passphrase(slots, identity, PASSPHRASE)
    _, code = add_recovery_code(slots, identity)
    add_key_file(slots, identity, folder / "this-machine.key")
    keys.unlock(lambda: open_by_passphrase(slots, PASSPHRASE))
    keys.rotate()
    with closing(AgentFS(folder / "workspace")) as agentfs:
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        agentfs.states.put("scout", "large", "x" * 200_000, by=ADA)
        agentfs.states.put("scout", "small", 1, by=ADA)
        agentfs.snapshots.take("before", by=ADA)
        written = write_backup(agentfs, folder / "backup.tar", by=ADA, keys=keys)
    assert written.encrypted
    return World(folder / "workspace", keys, code, folder / "this-machine.key", written.path)


@pytest.fixture
def agentfs(world: World) -> Iterator[AgentFS]:
    with closing(AgentFS(world.root)) as opened:
        yield opened


def by_passphrase(slots: KeySlots) -> Identity:
    return open_by_passphrase(slots, PASSPHRASE)


def assert_refused(
    data: bytes | Path, folder: Path, sentence: str | None = None, unlock: Opener | None = by_passphrase
) -> None:
    """Nothing comes of it, and it is said in one sentence."""
    file = folder / "changed.tar"
    if isinstance(data, bytes):
        file.write_bytes(data)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(BailiwickError, match=sentence) as caught:
        restore_backup(file if isinstance(data, bytes) else data, folder / "restored", by=ADA, unlock=unlock)
    assert caught.value.exit_code == 2
    assert len(caught.value.message.splitlines()) == 1
    assert sorted(path.name for path in folder.iterdir()) == before


# What is written comes back


@pytest.mark.parametrize("way", ["passphrase", "recovery code", "key file"])
def test_each_way_in_brings_the_same_workspace_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    for name in ("HOME", "BAILIWICK_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "empty"))
    ways: dict[str, Opener] = {
        "passphrase": by_passphrase,
        "recovery code": lambda slots: open_by_recovery_code(slots, world.code),
        "key file": lambda slots: open_by_key_file(slots, world.key_file),
    }
    root = tmp_path / "restored"
    restored = restore_backup(world.file, root, by=ADA, unlock=ways[way])
    assert restored.encrypted
    assert not restored.manifest.missing
    assert truth(root) == world.truth()
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_dir()} == {0o700}
    assert open_by_passphrase(KeySlots(root / "keys"), PASSPHRASE).newest.id == world.keys.identity.newest.id
    with closing(AgentFS(root)) as agentfs:
        assert agentfs.audit_check.verify().whole
        assert [each.name for each in agentfs.snapshots.all()] == ["before"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["restored"]


def test_the_archive_shows_sealed_keys_and_nothing_else(world: World) -> None:
    with tarfile.open(world.file, "r:") as archive:
        names = archive.getnames()
        assert names == [*sorted(names[:-1]), "backup.tar.gz.age"]
        assert {name.rsplit("/", 1)[0] for name in names[:-1]} == {"keys/slots", "keys/generations"}
        for name in names:
            data = archive.extractfile(name).read()  # type: ignore[union-attr]
            assert data.startswith(b"{" if name.endswith(".json") else b"age-encryption.org/v1\n")
    assert world.file.stat().st_mode & 0o777 == 0o600
    assert not list(world.root.glob(".backup-*"))
    with closing(AgentFS(world.root)) as agentfs:
        (record,) = (each for each in agentfs.audit.page(1, 1000) if each.action == "backup.write")
    assert record.details["encrypted"] is True


# What is not written


def test_locked_keys_write_nothing(world: World, agentfs: AgentFS, tmp_path: Path) -> None:
    with pytest.raises(Locked) as caught:
        write_backup(agentfs, tmp_path / "backup.tar", by=ADA, keys=Keys(world.keys.slots))
    assert "keys unlock" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("what", ["only a key file", "a damaged code", "a code without the newest keys"])
def test_what_could_not_be_restored_elsewhere_is_not_written(tmp_path: Path, what: str) -> None:
    slots = KeySlots(tmp_path / "workspace" / "keys", work_factor=CHEAP)
    keys, identity = Keys(slots), new_identity()
    add_key_file(slots, identity, tmp_path / "this-machine.key")
    keys.unlock(lambda: open_by_key_file(slots, tmp_path / "this-machine.key"))
    if what == "a damaged code":
        slot, _ = add_recovery_code(slots, identity)
        path = slots.folder / "slots" / f"{slot.id}.age"
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif what == "a code without the newest keys":
        shutil.copytree(slots.folder, tmp_path / "elsewhere" / "keys")
        add_recovery_code(KeySlots(tmp_path / "elsewhere" / "keys"), identity)
        keys.rotate()
        shutil.copytree(tmp_path / "elsewhere" / "keys" / "slots", slots.folder / "slots", dirs_exist_ok=True)
    with closing(AgentFS(tmp_path / "workspace")) as agentfs:
        with pytest.raises(InvalidInput, match="No passphrase or recovery code") as caught:
            write_backup(agentfs, tmp_path / "backup.tar", by=ADA, keys=keys)
        assert "bailiwick keys add --recovery-code" in caught.value.hint
        assert not (tmp_path / "backup.tar").exists()
        if what == "only a key file":
            add_recovery_code(slots, keys.identity)
            write_backup(agentfs, tmp_path / "backup.tar", by=ADA, keys=keys)


def test_a_disk_that_fills_up_leaves_the_older_backup(
    world: World, agentfs: AgentFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup.tar"
    target.write_bytes(b"an older one")

    def filling(*_: object) -> Iterator[bytes]:
        yield b"x" * 1_000_000
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.agentfs.backup_encrypted.pack", filling)
    with pytest.raises(StorageFull):
        write_backup(agentfs, target, by=ADA, replace=True, keys=world.keys)
    assert target.read_bytes() == b"an older one"
    assert [path.name for path in tmp_path.iterdir()] == ["backup.tar"]
    assert not list(world.root.glob(".backup-*"))


def test_more_key_files_than_are_read_are_not_written(world: World, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(world.root / "keys", root / "keys")
    for number in range(1000):
        (root / "keys" / "slots" / f"{number:026d}.json").touch()
    with closing(AgentFS(root)) as agentfs, pytest.raises(InvalidInput, match="key files"):
        write_backup(agentfs, tmp_path / "backup.tar", by=ADA, keys=world.keys)


# What opens it, and what does not


def test_what_does_not_open_it_is_told_and_nothing_is_made(world: World, tmp_path: Path) -> None:
    wrong, other = Secret("incorrect horse battery"), new_recovery_code()
    assert_refused(world.file, tmp_path, "passphrase opens no key slot", lambda slots: open_by_passphrase(slots, wrong))
    assert_refused(world.file, tmp_path, "code opens no key slot", lambda slots: open_by_recovery_code(slots, other))
    assert_refused(world.file, tmp_path, "is encrypted", None)
    assert_refused(world.file, tmp_path, "do not open", lambda slots: new_identity())


def test_who_interrupts_leaves_nothing(world: World, tmp_path: Path) -> None:
    def interrupted(slots: KeySlots) -> Identity:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_backup(world.file, tmp_path / "restored", by=ADA, unlock=interrupted)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moment", ["opening the keys", "taking the place"])
def test_a_killed_restore_leaves_nothing_at_the_target(world: World, tmp_path: Path, moment: str) -> None:
    root = tmp_path / "restored"

    def killed(*_: object) -> Identity:
        os.kill(os.getpid(), 9)
        raise AssertionError

    child = os.fork()
    if child == 0:
        os.rename = killed  # type: ignore[assignment]
        restore_backup(world.file, root, by=ADA, unlock=killed if moment == "opening the keys" else by_passphrase)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert not root.exists()
    (left,) = tmp_path.iterdir()
    assert left.stat().st_mode & 0o777 == 0o700
    assert (left / "agentfs.db").exists() == (moment == "taking the place")
    restore_backup(world.file, root, by=ADA, unlock=by_passphrase)
    assert truth(root) == world.truth()
    assert list(tmp_path.iterdir()) == [root]


# Archives that were changed


def boundaries(data: bytes) -> list[int]:
    """Where each member's header, content and padding begin, and the end of it all."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
    places = {0, len(data) - 1}
    for member in members:
        end = member.offset_data + member.size
        places |= {member.offset, member.offset + 100, member.offset + 257, member.offset_data, end - 1, end}
        places |= {member.offset_data + member.size // 2, member.offset + 500}
    return sorted(place for place in places if place < len(data))


def test_a_bit_flipped_anywhere_is_found(world: World, tmp_path: Path) -> None:
    data = world.file.read_bytes()
    for place in boundaries(data):
        assert_refused(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], tmp_path)


def test_a_file_cut_off_anywhere_is_found(world: World, tmp_path: Path) -> None:
    data = world.file.read_bytes()
    for place in boundaries(data):
        assert_refused(data[:place], tmp_path, unlock=None)
    for more in (b"\0", bytes(10240), b"more"):
        assert_refused(data + more, tmp_path, "something follows its end")


Entry = tuple[tarfile.TarInfo, bytes]


def entries(data: bytes) -> list[Entry]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [(each, archive.extractfile(each).read()) for each in archive.getmembers()]  # type: ignore[union-attr]


def archived(held: list[Entry]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for header, data in held:
            if header.isreg():
                header.size = len(data)
            archive.addfile(header, io.BytesIO(data))
    return made.getvalue()


def like(held: list[Entry], name: str, data: bytes = b"evil", **others: object) -> Entry:
    """One more member, as well made as the others."""
    header = tarfile.TarInfo(name)
    header.mtime, header.mode = held[0][0].mtime, 0o600
    for attribute, value in others.items():
        setattr(header, attribute, value)
    return header, data


def remade(held: list[Entry], **others: object) -> list[Entry]:
    header = tarfile.TarInfo.frombuf(held[0][0].tobuf(tarfile.GNU_FORMAT), "utf-8", "strict")
    for attribute, value in others.items():
        setattr(header, attribute, value)
    return [(header, held[0][1]), *held[1:]]


CHANGES: dict[str, Callable[[list[Entry]], list[Entry]]] = {
    "reordered": lambda held: [held[1], held[0], *held[2:]],
    "the sealed part first": lambda held: [held[-1], *held[:-1]],
    "the sealed part twice": lambda held: [*held, held[-1]],
    "no sealed part": lambda held: held[:-1],
    "an empty sealed part": lambda held: [*held[:-1], (held[-1][0], b"")],
    "a generation less": lambda held: held[1:],
    "a slot less": lambda held: [each for each in held if each[0].name != slot_names(held)[-1]],
    "a header less": lambda held: [each for each in held if each[0].name != slot_names(held)[0]],
    "no keys": lambda held: held[-1:],
    "a member twice": lambda held: [held[0], *held],
    "one more slot": lambda held: [*held[:-1], like(held, f"keys/slots/{'z' * 26}.age"), held[-1]],
    "a stranger": lambda held: [*held[:-1], like(held, "keys/slots/zzz"), held[-1]],
    "a device key": lambda held: [like(held, "keys/device.key"), *held],
    "a way out": lambda held: [like(held, "../../evil"), *held],
    "an absolute path": lambda held: [like(held, "/tmp/evil"), *held],
    "a link": lambda held: [like(held, "keys/a", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), *held],
    "a folder": lambda held: [like(held, "keys/slots", b"", type=tarfile.DIRTYPE), *held],
    "a member as a link": lambda held: remade(held, type=tarfile.SYMTYPE, linkname="/etc/passwd", size=0),
    "a member that all may read": lambda held: remade(held, mode=0o644),
    "a member of another time": lambda held: remade(held, mtime=1),
    "all of another time": lambda held: [each for one in held for each in remade([one], mtime=1)],
    "a huge slot": lambda held: [*held[:-1], like(held, f"keys/slots/{'z' * 26}.age", bytes((1 << 20) + 1)), held[-1]],
    "a thousand slots": lambda held: [
        *held[:-1],
        *(like(held, f"keys/slots/z{number:025d}.age") for number in range(1000)),
        held[-1],
    ],
}


def slot_names(held: list[Entry]) -> list[str]:
    return [header.name for header, _ in held if header.name.startswith("keys/slots/")]


def test_the_tests_own_archiving_changes_nothing(world: World) -> None:
    data = world.file.read_bytes()
    assert archived(entries(data)) == data


@pytest.mark.parametrize("what", CHANGES)
def test_an_archive_with_something_changed_leaves_no_trace(world: World, tmp_path: Path, what: str) -> None:
    assert_refused(archived(CHANGES[what](entries(world.file.read_bytes()))), tmp_path)


def test_what_a_stranger_sealed_to_the_workspace_is_refused(world: World, tmp_path: Path) -> None:
    """Whoever learned the recipient, which is no secret, can seal to it, but not prove that he holds the keys."""
    held = entries(world.file.read_bytes())
    inside = entries(gzip.decompress(world.keys.open(held[-1][1])))
    manifest = json.loads(inside[0][1])
    for told in ({"proof": ""}, {"proof": "0" * 64}, {"missing": ["something"]}):
        forged = [(inside[0][0], json.dumps({**manifest, **told}).encode()), *inside[1:]]
        sealed = seal(gzip.compress(archived(forged)), [world.keys.recipient])
        assert_refused(archived([*held[:-1], (held[-1][0], sealed)]), tmp_path, "no holder of its keys")


def test_key_files_of_another_backup_are_refused(world: World, tmp_path: Path) -> None:
    root = tmp_path / "workspace"
    shutil.copytree(world.root, root)
    slots = KeySlots(root / "keys", work_factor=CHEAP)
    add_passphrase(slots, world.keys.identity, Secret("another passphrase"))
    with closing(AgentFS(root)) as agentfs:
        write_backup(agentfs, tmp_path / "newer.tar", by=ADA, keys=world.keys)
    newer, older = entries((tmp_path / "newer.tar").read_bytes()), entries(world.file.read_bytes())
    for header, _ in older:
        header.mtime = newer[0][0].mtime
    (tmp_path / "newer.tar").unlink()
    shutil.rmtree(root)
    assert_refused(archived([*older[:-1], newer[-1]]), tmp_path, "key files are not those")
