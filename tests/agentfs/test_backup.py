"""Backups: whole when written, checked before anything is restored from them."""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs import backup_archive
from core.agentfs.agentfs import AgentFS
from core.agentfs.audit_export import export_trail
from core.agentfs.backup import restore_backup, write_backup
from core.agentfs.database import now
from core.agentfs.policy import AgentPolicy
from core.agentfs.scratch_folder import scratch_folder
from core.crypto.identity import new_identity
from core.crypto.openers import add_key_file, add_recovery_code, open_by_recovery_code
from core.crypto.rotation import rotate
from core.crypto.slots import KeySlots
from core.errors import BailiwickError, InvalidInput, StorageFull, WorkspaceUnusable
from core.ids import sha256_hex

ADA = Actor(ActorKind.PERSON, "ada", "cli")
LARGE = "x" * 200_000
Entry = tuple[tarfile.TarInfo, bytes]


@pytest.fixture
def lived(tmp_path: Path) -> Iterator[AgentFS]:
    """A workspace with a small and a large state, a snapshot and an archived stretch of audit trail."""
    with closing(AgentFS(tmp_path / "workspace", AgentPolicy())) as agentfs:
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        agentfs.states.put("scout", "large", LARGE, by=ADA)
        agentfs.snapshots.take("before", by=ADA)
        agentfs.states.put("scout", "small", 1, by=ADA)
        agentfs.audit_check.archive.archive(now(), by=ADA)
        agentfs.states.put("scout", "large", "short", by=ADA)
        yield agentfs


@pytest.fixture
def file(lived: AgentFS, tmp_path: Path) -> Path:
    """A backup of it."""
    return write_backup(lived, tmp_path / "backup.tar.gz", by=ADA).path


def test_everything_true_comes_back(lived: AgentFS, tmp_path: Path) -> None:
    written = write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
    root = tmp_path / "deep" / "restored"
    restored = restore_backup(written.path, root, by=ADA)
    assert restored.manifest == written.manifest
    names = [member.name.split("/")[0] for member in written.manifest.members]
    assert names == ["agentfs.db", "files", "logs", "snapshots"]
    assert root.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o077 for path in root.rglob("*")} == {0}
    with closing(AgentFS(root)) as agentfs:
        assert agentfs.states.get("scout", "large").value == "short"
        assert agentfs.states.value_at("scout", "large", 1) == LARGE
        assert agentfs.audit_check.verify().whole
        assert agentfs.contents.damaged() == []
        assert [each.key for each in agentfs.snapshots.compare("before")] == ["large", "small"]
        agent = agentfs.agents.get("scout")
        assert not agentfs.agents.key_path(agent.id).exists()
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        assert agentfs.agents.verify_key(agent.id, agentfs.agents.read_key(agent.id))
    with closing(AgentFS(lived.root)) as agentfs:
        assert agentfs.audit.page(*[agentfs.audit.head()[0]] * 2)[0].action == "backup.write"
        assert agentfs.audit_check.verify().whole


def test_the_archive_is_an_ordinary_one_without_keys(file: Path) -> None:
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))  # type: ignore[arg-type]
        assert (manifest["format"], manifest["version"]) == ("bailiwick-backup", 1)
        assert [each.name for each in archive.getmembers()] == ["manifest.json", *manifest["members"]]
        for name, told in manifest["members"].items():
            data = archive.extractfile(name).read()  # type: ignore[union-attr]
            assert (len(data), sha256_hex(data)) == (told["size"], told["sha256"])
    assert not any("key" in name for name in manifest["members"])


def test_a_backup_appears_whole_or_not_at_all(lived: AgentFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "backup.tar.gz"
    target.write_bytes(b"an older one")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(InvalidInput, match="exists already"):
        write_backup(lived, target, by=ADA)
    with monkeypatch.context() as patch:
        patch.setattr("core.agentfs.backup.pack", full)
        with pytest.raises(StorageFull):
            write_backup(lived, target, by=ADA, replace=True)
    assert target.read_bytes() == b"an older one"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar.gz", "workspace"]
    assert not list(lived.root.glob(".backup-*"))
    write_backup(lived, target, by=ADA, replace=True)
    assert target.read_bytes()[:2] == b"\x1f\x8b"


def test_a_write_during_the_backup_is_not_lost(lived: AgentFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large content that goes while it is being copied has the copy made again."""
    pack = backup_archive.pack
    calls = []

    def vanishing(*arguments: object) -> Iterator[bytes]:
        calls.append(1)
        if len(calls) == 1:
            lived.states.put("scout", "late", 2, by=ADA)
            raise FileNotFoundError(2, "gone")
        return pack(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("core.agentfs.backup.pack", vanishing)
    write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
    restore_backup(tmp_path / "backup.tar.gz", tmp_path / "restored", by=ADA)
    with closing(AgentFS(tmp_path / "restored")) as agentfs:
        assert agentfs.states.get("scout", "late").value == 2


def test_what_a_killed_backup_left_goes_and_what_a_living_one_holds_stays(lived: AgentFS, tmp_path: Path) -> None:
    dead = lived.root / ".backup-dead"
    dead.mkdir()
    (dead / "agentfs.db").write_bytes(b"a copy")
    with scratch_folder(lived.root, ".backup-") as living:
        assert not dead.exists()
        dead.mkdir()
        write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
        assert living.is_dir()
    assert not list(lived.root.glob(".backup-*"))


def test_what_was_lost_before_is_named_and_stops_nothing(lived: AgentFS, tmp_path: Path) -> None:
    (content,) = (path for path in (lived.root / "files").rglob("*") if path.is_file())
    content.write_bytes(b"damaged")
    written = write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
    assert written.manifest.missing == (str(content.relative_to(lived.root)),)
    assert restore_backup(written.path, tmp_path / "restored", by=ADA).manifest.missing == written.manifest.missing


def test_a_damaged_database_is_not_backed_up(lived: AgentFS, tmp_path: Path) -> None:
    with lived.database.transaction() as connection:
        connection.execute("CREATE TABLE padding AS SELECT randomblob(200000) AS bytes")
    lived.close()
    path = lived.root / "agentfs.db"
    data = bytearray(path.read_bytes())
    data[-120_000:-80_000] = b"\xff" * 40_000
    path.write_bytes(data)
    with closing(AgentFS(lived.root)) as agentfs, pytest.raises(WorkspaceUnusable, match="damaged"):
        write_backup(agentfs, tmp_path / "backup.tar.gz", by=ADA)
    assert not (tmp_path / "backup.tar.gz").exists()


def test_a_taken_place_is_left_alone(file: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    restore_backup(file, taken, by=ADA)
    before = sorted(taken.iterdir())
    with pytest.raises(InvalidInput, match="exists already"):
        restore_backup(file, taken, by=ADA)
    assert sorted(taken.iterdir()) == before
    (tmp_path / "plain").write_text("")
    for place in (tmp_path / "plain", tmp_path / "plain" / "below"):
        with pytest.raises(InvalidInput):
            restore_backup(file, place, by=ADA)
    with pytest.raises(InvalidInput, match="There is no backup"):
        restore_backup(tmp_path, tmp_path / "restored", by=ADA)


def test_key_slots_and_generations_travel_and_nothing_that_opens_them(lived: AgentFS, tmp_path: Path) -> None:
    keys = lived.root / "keys"
    slots, identity = KeySlots(keys), new_identity()
    _, code = add_recovery_code(slots, identity)
    add_key_file(slots, identity, tmp_path / "this-machine.key")
    sealed_to = rotate(slots, identity).newest.id
    lived.audit_check.sign_head()
    (keys / "slots" / "notes.txt").write_text("a stranger")
    (keys / "slots" / f"{'1' * 26}.age").symlink_to("/etc/hostname")
    written = write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
    expected = {f"keys/slots/{slot.id}.{end}" for slot in slots.listed() if slot.header for end in ("age", "json")}
    expected |= {f"keys/generations/{path.name}" for path in (keys / "generations").iterdir()}
    assert {each.name for each in written.manifest.members if each.name.startswith("keys")} == expected
    assert len(expected) == 5
    root = tmp_path / "restored"
    restore_backup(written.path, root, by=ADA)
    for name in expected:
        assert (root / name).read_bytes() == (lived.root / name).read_bytes()
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in root.rglob("*") if path.is_dir()} == {0o700}
    assert open_by_recovery_code(KeySlots(root / "keys"), code).newest.id == sealed_to
    assert not list((root / "keys").rglob("*.key.*"))
    assert not (root / "keys" / "agents").exists()
    assert (root / "keys" / "device.key").read_bytes() != (keys / "device.key").read_bytes()


# Archives that nobody should trust


def entries(file: Path) -> list[Entry]:
    with tarfile.open(file) as archive:
        return [(member, archive.extractfile(member).read()) for member in archive.getmembers()]  # type: ignore[union-attr]


def rewritten(file: Path, change: Callable[[list[Entry]], list[Entry]]) -> None:
    changed = change(entries(file))
    with tarfile.open(file, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        for header, data in changed:
            if header.isreg():
                header.size = len(data)
            archive.addfile(header, io.BytesIO(data))


def extra(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Callable[[list[Entry]], list[Entry]]:
    def change(held: list[Entry]) -> list[Entry]:
        header = tarfile.TarInfo(name)
        header.type, header.linkname = kind, link
        return [*held, (header, b"")]

    return change


def manifest_with(name: str, size: int = 4, sha256: str = "a" * 64) -> Callable[[list[Entry]], list[Entry]]:
    """The archive with one more member that its manifest names as well."""

    def change(held: list[Entry]) -> list[Entry]:
        manifest = json.loads(held[0][1])
        manifest["members"][name] = {"size": size, "sha256": sha256}
        return [(held[0][0], json.dumps(manifest).encode()), *held[1:], (tarfile.TarInfo(name), b"evil")]

    return change


def manifest_changed(**values: object) -> Callable[[list[Entry]], list[Entry]]:
    def change(held: list[Entry]) -> list[Entry]:
        return [(held[0][0], json.dumps({**json.loads(held[0][1]), **values}).encode()), *held[1:]]

    return change


def last_changed(held: list[Entry]) -> list[Entry]:
    header, data = held[-1]
    return [*held[:-1], (header, bytes([data[0] ^ 1]) + data[1:])]


def database_replaced(data: bytes) -> Callable[[list[Entry]], list[Entry]]:
    def change(held: list[Entry]) -> list[Entry]:
        manifest = json.loads(held[0][1])
        manifest["members"]["agentfs.db"] = {"size": len(data), "sha256": sha256_hex(data)}
        return [(held[0][0], json.dumps(manifest).encode()), (held[1][0], data), *held[2:]]

    return change


def as_link(held: list[Entry]) -> list[Entry]:
    header, _ = held[-1]
    header.type, header.linkname, header.size = tarfile.SYMTYPE, "/etc/passwd", 0
    return [*held[:-1], (header, b"")]


EVIL = {
    "a stranger": extra("README"),
    "a way out": extra("../../evil"),
    "an absolute path": extra("/tmp/evil"),
    "a folder": extra("files", tarfile.DIRTYPE),
    "a symbolic link": extra("files/link", tarfile.SYMTYPE, "/etc/passwd"),
    "a hard link": extra("files/link", tarfile.LNKTYPE, "agentfs.db"),
    "a device": extra("files/null", tarfile.CHRTYPE),
    "a long name": extra("x" * 300),
    "a member as a link": as_link,
    "a member twice": lambda held: [*held, held[-1]],
    "a member less": lambda held: held[:-1],
    "a changed byte": last_changed,
    "a shorter member": lambda held: [*held[:-1], (held[-1][0], held[-1][1][:-1])],
    "no manifest": lambda held: held[1:],
    "the manifest last": lambda held: [*held[1:], held[0]],
    "a named way out": manifest_with("../../evil"),
    "a named key": manifest_with("keys/agents/x.key"),
    "a file that is none of ours": manifest_with("keymap.yml"),
    "a content under another hash": manifest_with(f"files/aa/{'a' * 64}", sha256="b" * 64),
    "a content in another folder": manifest_with(f"files/bb/{'a' * 64}"),
    "a hash that is none": manifest_with("snapshots/" + "0" * 26 + ".db", sha256="A" * 64),
    "a negative size": manifest_with("snapshots/" + "0" * 26 + ".db", size=-4),
    "an impossible size": manifest_with("snapshots/" + "0" * 26 + ".db", size=1 << 60),
    "another format": manifest_changed(format="something"),
    "members that are none": manifest_changed(members=[1, 2]),
    "no members": manifest_changed(members={}),
    "a moment that is none": manifest_changed(created_at="yesterday"),
    "a manifest that is none": lambda held: [(held[0][0], b"[]"), *held[1:]],
    "a manifest that is not JSON": lambda held: [(held[0][0], b"\xff{"), *held[1:]],
    "a database that is none": database_replaced(b"SQLite format 3\x00 and then nothing" * 40),
    "an empty database": database_replaced(b""),
}


def assert_refused(file: Path, root: Path, sentence: str | None = None) -> None:
    before = sorted(path.name for path in root.parent.iterdir())
    with pytest.raises(BailiwickError, match=sentence) as caught:
        restore_backup(file, root, by=ADA)
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in root.parent.iterdir()) == before


@pytest.mark.parametrize("what", EVIL)
def test_an_archive_with_something_wrong_leaves_no_trace(file: Path, tmp_path: Path, what: str) -> None:
    rewritten(file, EVIL[what])
    assert_refused(file, tmp_path / "restored")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("keys/device.key", 4),
        (f"keys/agents/{'0' * 26}.key", 4),
        (f"keys/slots/{'0' * 26}.key", 4),
        (f"keys/generations/1-{'0' * 16}.age", 4),
        (f"keys/slots/{'0' * 26}.age", (1 << 20) + 1),
    ],
)
def test_only_key_slots_and_generations_are_taken_for_keys(file: Path, tmp_path: Path, name: str, size: int) -> None:
    rewritten(file, manifest_with(name, size))
    assert_refused(file, tmp_path / "restored", "its manifest names what does not belong")


def test_the_version_of_the_format_is_looked_at(file: Path, tmp_path: Path) -> None:
    rewritten(file, manifest_changed(version=2))
    assert_refused(file, tmp_path / "restored", "newer Bailiwick")


def test_a_database_of_a_newer_version_is_refused(file: Path, tmp_path: Path) -> None:
    newer = tmp_path / "newer.db"
    with closing(sqlite3.connect(newer)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA user_version = 9999")
    rewritten(file, database_replaced(newer.read_bytes()))
    assert_refused(file, tmp_path / "restored", "newer Bailiwick")


@pytest.mark.parametrize("kept", [0, 1, 20, 0.3, 0.9, -1])
def test_a_file_cut_off_anywhere_is_refused(file: Path, tmp_path: Path, kept: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))] if isinstance(kept, float) else data[:kept])
    assert_refused(file, tmp_path / "restored", "cut off or damaged")


def test_something_behind_the_end_is_refused(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes() + gzip.compress(b"more"))
    assert_refused(file, tmp_path / "restored", "follows its end")


def test_what_unfolds_too_far_is_refused_before_it_is_unfolded(file: Path, tmp_path: Path) -> None:
    rewritten(file, database_replaced(bytes(64 * 1024 * 1024)))
    assert file.stat().st_size < 200_000
    assert_refused(file, tmp_path / "restored", "would unfold to")


def test_a_tail_of_zeros_is_not_followed_for_ever(file: Path, tmp_path: Path) -> None:
    file.write_bytes(file.read_bytes() + gzip.compress(bytes(64 * 1024 * 1024)))
    assert_refused(file, tmp_path / "restored", "follows its end")


def test_even_the_emptiest_workspace_stays_within_the_bound(tmp_path: Path) -> None:
    with closing(AgentFS(tmp_path / "workspace", AgentPolicy(value_bytes=1 << 25))) as agentfs:
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        agentfs.states.put("scout", "zeros", "0" * 20_000_000, by=ADA)
        written = write_backup(agentfs, tmp_path / "backup.tar.gz", by=ADA)
    assert written.manifest.size > 50 * written.size
    restore_backup(written.path, tmp_path / "restored", by=ADA)


def test_too_little_room_is_said_before_anything_is_written(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = os.statvfs(tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1 << 20, "total": usage.f_bsize})())
    with pytest.raises(StorageFull, match="1 are free"):
        restore_backup(file, tmp_path / "restored", by=ADA)
    assert not list(tmp_path.glob(".restored*"))


# The exported trail


def test_the_export_is_one_line_for_each_record(lived: AgentFS, tmp_path: Path) -> None:
    target = tmp_path / "trail.jsonl"
    count = export_trail(lived, target)
    positions = [json.loads(line)["position"] for line in target.read_text().splitlines()]
    assert positions == list(range(1, count + 1))
    assert count == lived.audit.head()[0]
    assert lived.audit.first() > 1
    assert not lived.database.connection().in_transaction
    assert lived.audit_check.archive.archive(now() + timedelta(days=1), by=ADA) > 0
    export_trail(lived, target, replace=True)
    assert len(target.read_text().splitlines()) == count + 1


def test_a_backup_brings_its_boundaries_and_settings_along(lived: AgentFS, tmp_path: Path) -> None:
    (lived.root / "privacy_config.yml").write_text("privacy:\n  boundaries:\n    custom_private_patterns: [harbour]\n")
    (lived.root / "bailiwick.yml").write_text("encryption:\n  scope: all\n")
    write_backup(lived, tmp_path / "backup.tar.gz", by=ADA)
    restore_backup(tmp_path / "backup.tar.gz", tmp_path / "restored", by=ADA)
    for name in ("privacy_config.yml", "bailiwick.yml"):
        assert (tmp_path / "restored" / name).read_text() == (lived.root / name).read_text()


def test_a_backup_is_never_written_over_the_workspace(lived: AgentFS) -> None:
    before = (lived.root / "agentfs.db").stat().st_ino
    link = lived.root.parent / "another-name.db"
    link.hardlink_to(lived.root / "agentfs.db")
    for target in (lived.root / "agentfs.db", lived.root / "snapshots" / "x.tar.gz", link):
        with pytest.raises(InvalidInput, match="belongs to the workspace"):
            write_backup(lived, target, by=ADA, replace=True)
    assert (lived.root / "agentfs.db").stat().st_ino == before
