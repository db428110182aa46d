"""What verify names beyond single damaged objects, and what repair makes of it: forks, keys, cards, audit trails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from machines import PERSON, opened_pair, user

from core.agentfs.backup import restore_backup, write_backup
from core.agentfs.database import now
from core.crypto.secret import Secret
from core.ids import new_id
from core.remote.folder import FolderStore
from core.sync.areas import AreaLocks
from core.sync.commit import AuditHead, Commit, body_of, encode, log_key
from core.sync.joining import JoinWay
from core.sync.key_exchange import keys_prefix
from core.sync.remote_identity import FORMAT_KEY
from core.sync.segments import segment_key, write_segment
from core.sync.signing import device_signer
from core.sync.tables import SyncTables
from core.sync.verify import verify
from core.sync_model import Area, AreaKind, Damage, DamageKind
from core.workspace import Workspace
from tests.sync.test_service import opened, read, write

AREA = Area(AreaKind.USER, "mara")


class Pair:
    """Two devices of one user with a folder between them."""

    def __init__(self, made: Path, folder: Path) -> None:
        self.remote = folder / "remote"
        self.laptop, self.desk = opened_pair(made, folder, ("laptop", "desk"))

    @property
    def store(self) -> FolderStore:
        return FolderStore(self.remote)

    def level(self) -> None:
        for each in (self.laptop, self.desk, self.laptop):
            assert each.sync.sync_now("a test").problem == ""

    def say(self, workspace: Workspace, path: str, text: str) -> None:
        write(workspace, path, text)
        run = workspace.sync.sync_now("a test")
        assert run.problem == "", run

    def log(self, seq: int) -> Path:
        return self.remote / log_key(AREA.id, seq)

    def found(self, workspace: Workspace) -> dict[str, Damage]:
        damages = verify(workspace.agentfs, self.store, [AREA], sample=1.0).damages
        return {each.key: each for each in damages}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two devices that are level, closed, to be copied for each test."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "remote").mkdir()
    with user():
        with closing(opened(folder / "laptop")) as laptop, closing(opened(folder / "desk")) as desk:
            code = laptop.sync.set_remote(str(folder / "remote")).recovery_code
            write(laptop, "notes/first", "one")
            laptop.sync.sync_now("a test")
            desk.sync.join(str(folder / "remote"), JoinWay.RECOVERY_CODE, code)
            for each in (desk, laptop):
                assert each.sync.sync_now("a test").problem == ""
        yield folder


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Iterator[Pair]:
    copied = Pair(made, tmp_path)
    yield copied
    copied.laptop.close()
    copied.desk.close()


def test_a_commit_by_whoever_can_write_in_the_bucket_is_named_forged_and_taken_away(pair: Pair, tmp_path: Path) -> None:
    stranger = opened(tmp_path / "stranger")
    stranger.agentfs.keys.prepare()
    # He even knows the public key to which the area is sealed.
    position = SyncTables(pair.desk.agentfs.database).position(AREA.id)
    forged = Commit(
        AREA.id, position.seq + 1, position.hash, new_id(), pair.desk.agentfs.device, now(), (), AuditHead(1, "ab" * 32)
    )
    body = body_of(forged)
    sealed = AreaLocks(pair.desk.agentfs, AREA).close(encode(body, device_signer(stranger.agentfs).sign(body)))
    pair.log(forged.seq).write_bytes(sealed)
    stranger.close()
    damage = pair.found(pair.laptop)[log_key(AREA.id, forged.seq)]
    assert damage.kind is DamageKind.FOREIGN
    assert "forged" in damage.reason
    assert "forged" in pair.laptop.sync.sync_now("a test").problem
    assert pair.laptop.sync.repair().left == ()
    pair.say(pair.laptop, "notes/after", "all is well")
    pair.level()
    assert read(pair.desk, "notes/after") == "all is well"


def test_a_damaged_commit_that_another_device_has_is_not_taken_away(pair: Pair) -> None:
    pair.say(pair.laptop, "notes/second", "two")
    pair.say(pair.laptop, "notes/third", "three")
    seq = SyncTables(pair.laptop.agentfs.database).position(AREA.id).seq
    whole = pair.log(seq - 1).read_bytes()
    pair.log(seq - 1).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    left = pair.desk.sync.repair().left
    assert [(each.kind, each.key) for each in left] == [(DamageKind.DAMAGED, log_key(AREA.id, seq - 1))]
    assert "another device" in left[0].cure
    assert pair.laptop.sync.repair().left == ()
    assert pair.log(seq - 1).read_bytes() == whole
    pair.level()
    assert read(pair.desk, "notes/third") == "three"


def test_a_fork_is_named_and_nothing_of_either_side_is_lost(pair: Pair, tmp_path: Path) -> None:
    """The bucket is set back to an older copy, as from a backup of it, and another device goes on from there."""
    shutil.copytree(pair.remote, tmp_path / "copy")
    before = SyncTables(pair.desk.agentfs.database).position(AREA.id).seq
    pair.say(pair.laptop, "notes/mine", "of the laptop")
    shutil.rmtree(pair.remote)
    (tmp_path / "copy").rename(pair.remote)
    pair.say(pair.desk, "notes/theirs", "of the desk")
    pair.say(pair.desk, "notes/first", "one, edited on the desk")
    damage = pair.found(pair.laptop)[log_key(AREA.id, before + 1)]
    assert damage.kind is DamageKind.FORKED
    whole = {path: path.read_bytes() for path in (pair.remote / ".bailiwick/log/u-mara").iterdir()}
    assert pair.laptop.sync.repair().left == ()
    assert all(path.read_bytes() == data for path, data in whole.items()), "a whole commit is never overwritten"
    pair.level()
    for each in (pair.laptop, pair.desk):
        assert read(each, "notes/mine") == "of the laptop"
        assert read(each, "notes/theirs") == "of the desk"


def test_a_log_that_was_cut_at_its_end_is_put_back(pair: Pair) -> None:
    pair.say(pair.laptop, "notes/second", "two")
    seq = SyncTables(pair.laptop.agentfs.database).position(AREA.id).seq
    whole = pair.log(seq).read_bytes()
    pair.log(seq).unlink()
    assert pair.found(pair.laptop)[log_key(AREA.id, seq)].kind is DamageKind.ROLLED_BACK
    assert pair.laptop.sync.repair().left == ()
    assert pair.log(seq).read_bytes() == whole


@pytest.mark.parametrize("what", ["age", "json"])
def test_a_damaged_key_slot_is_named_and_put_back(pair: Pair, what: str) -> None:
    prefix = keys_prefix(pair.laptop.agentfs.keys.prepare().identity.id)
    slot = min((pair.remote / prefix / "slots").glob(f"*.{what}"))
    whole = slot.read_bytes()
    slot.write_bytes(whole[:-3])
    assert pair.found(pair.laptop)[prefix + f"slots/{slot.name}"].kind is DamageKind.DAMAGED
    assert pair.laptop.sync.repair().left == ()
    assert slot.read_bytes() == whole
    slot.unlink()
    assert pair.found(pair.desk)[prefix + f"slots/{slot.name}"].kind is DamageKind.MISSING
    assert pair.desk.sync.repair().left == ()
    assert slot.read_bytes() == whole


def test_a_damaged_or_lost_card_is_named_and_written_anew(pair: Pair) -> None:
    card = pair.remote / f".bailiwick/devices/{pair.laptop.agentfs.device}"
    card.write_bytes(card.read_bytes().replace(b'"user":"mara"', b'"user":"mora"'))
    found = pair.found(pair.desk)[f".bailiwick/devices/{pair.laptop.agentfs.device}"]
    assert (found.kind, found.cure) == (DamageKind.DAMAGED, "bailiwick repair, on that device")
    assert pair.laptop.sync.repair().left == ()
    card.unlink()
    assert pair.found(pair.desk)[f".bailiwick/devices/{pair.laptop.agentfs.device}"].kind is DamageKind.MISSING
    assert pair.laptop.sync.repair().left == ()
    assert pair.found(pair.desk) == {}


def test_repair_never_takes_over_another_workspace_s_remote(pair: Pair, tmp_path: Path) -> None:
    other = opened(tmp_path / "other")
    (tmp_path / "theirs").mkdir()
    other.sync.set_remote(str(tmp_path / "theirs"))
    other.close()
    theirs = (tmp_path / "theirs" / FORMAT_KEY).read_bytes()
    (pair.remote / FORMAT_KEY).write_bytes(theirs)
    left = pair.laptop.sync.repair().left
    assert [(each.kind, each.key) for each in left] == [(DamageKind.FOREIGN, FORMAT_KEY)]
    assert (pair.remote / FORMAT_KEY).read_bytes() == theirs


def test_things_that_are_nobody_s_are_named_and_taken_away(pair: Pair) -> None:
    strange = [
        ".bailiwick/log/u-mara/latest",
        ".bailiwick/blobs/u-mara/evil",
        f"{keys_prefix(pair.laptop.agentfs.keys.prepare().identity.id)}slots/evil.sh",
        ".bailiwick/devices/not-a-device",
    ]
    for key in strange:
        (pair.remote / key).write_bytes(b"x")
    assert {key: each.kind for key, each in pair.found(pair.laptop).items()} == dict.fromkeys(
        strange, DamageKind.FOREIGN
    )
    assert pair.laptop.sync.repair().left == ()
    assert not any((pair.remote / key).exists() for key in strange)


def test_every_finding_has_a_sentence_and_a_command(pair: Pair) -> None:
    for path in (pair.remote / ".bailiwick").rglob("*"):
        if path.is_file() and path.name != "format":
            path.write_bytes(b"rubbish")
    found = pair.found(pair.laptop)
    assert len(found) >= 8
    for each in found.values():
        assert each.reason.endswith(".")
        assert "bailiwick repair" in each.cure, each


# Audit trails


def test_a_trail_that_was_rewritten_and_grew_longer_is_named_by_the_other(pair: Pair) -> None:
    """Records are changed and chained anew, so that on that device everything fits."""
    database = pair.laptop.agentfs.database
    before = pair.laptop.agentfs.audit.head()[0]
    with database.transaction() as connection:
        for trigger in ("audit_refuses_update", "audit_refuses_delete", "audit_refuses_replace"):
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("DELETE FROM audit WHERE position > 3")
    for number in range(before + 5):
        pair.laptop.agentfs.audit.record(PERSON, "setting.put", f"harmless {number}")
    pair.say(pair.laptop, "notes/later", "x")
    assert pair.laptop.agentfs.audit.head()[0] > before
    pair.desk.sync.sync_now("a test")
    (problem,) = [each.problem for each in pair.desk.sync.status().devices if each.problem]
    assert "rewritten" in problem
    (damage,) = pair.found(pair.desk).values()
    assert damage.kind is DamageKind.AUDIT
    assert "audit verify" in damage.cure
    # It is seen on the device itself as well.
    (own,) = pair.found(pair.laptop).values()
    assert own.reason.startswith("this device: its audit trail was rewritten")


def test_an_archived_trail_is_no_rewritten_one(pair: Pair) -> None:
    for number in range(30):
        pair.laptop.agentfs.audit.record(PERSON, "setting.put", f"old {number}")
    pair.laptop.agentfs.audit_check.archive.archive(now(), by=PERSON)
    pair.say(pair.laptop, "notes/later", "x")
    pair.level()
    assert [each for each in pair.desk.sync.status().devices if each.problem] == []
    assert pair.found(pair.laptop) == {}


# Devices and keys over time


def test_a_restored_workspace_is_a_new_device_that_others_trust(pair: Pair, tmp_path: Path) -> None:
    write_backup(pair.laptop.agentfs, tmp_path / "backup", by=PERSON)
    pair.say(pair.laptop, "notes/since", "after the backup")
    pair.laptop.close()
    shutil.rmtree(tmp_path / "laptop")
    restore_backup(tmp_path / "backup", tmp_path / "laptop", by=PERSON)
    pair.laptop = opened(tmp_path / "laptop")
    pair.say(pair.laptop, "notes/restored", "from the restored one")
    pair.level()
    assert read(pair.desk, "notes/restored") == "from the restored one"
    assert read(pair.laptop, "notes/since") == "after the backup"
    assert pair.found(pair.desk) == {}


def test_keys_that_are_rotated_on_one_device_reach_the_other_by_a_sync(pair: Pair) -> None:
    pair.laptop.agentfs.keys.rotate()
    pair.say(pair.laptop, "notes/sealed", "password: q7Xf2LzP0vVtWm4KcR8yBn1HsJ6dGe5A")
    # This process has exchanged keys already, and not since.
    assert pair.desk.sync.sync_now("a test").problem == ""
    assert read(pair.desk, "notes/sealed") == "password: q7Xf2LzP0vVtWm4KcR8yBn1HsJ6dGe5A"
    assert pair.desk.agentfs.keys.prepare().identity.newest.number == 2


def test_a_device_is_approved_and_joins_through_the_service(pair: Pair, tmp_path: Path) -> None:
    third = opened(tmp_path / "third")
    code = third.sync.ask_to_join(str(pair.remote))
    (waiting,) = pair.laptop.sync.join_requests()
    assert pair.laptop.sync.approve(Secret(code.text())) == waiting
    third.sync.join(str(pair.remote), JoinWay.APPROVAL, code)
    third.sync.sync_now("a test")
    assert read(third, "notes/first") == "one"
    pair.say(third, "notes/third", "of the third")
    pair.level()
    assert read(pair.desk, "notes/third") == "of the third"
    third.close()
    assert pair.found(pair.laptop) == {}


def test_nothing_is_written_by_verify(pair: Pair) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        files = [path for path in pair.remote.rglob("*") if path.is_file()]
        return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before, head = state(), pair.laptop.agentfs.audit.head()
    pair.laptop.sync.verify()
    assert state() == before
    assert pair.laptop.agentfs.audit.head() == head


def test_a_segment_that_is_not_what_the_log_holds_is_named_and_taken_away(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("segments", "verify_log"):
        monkeypatch.setattr(f"core.sync.{module}.SEGMENT", 2)
    pair.say(pair.laptop, "notes/second", "two")
    commits = [pair.log(seq).read_bytes() for seq in (1, 2)]
    write_segment(pair.store, AREA.id, 1, commits)
    assert pair.found(pair.desk) == {}
    key = segment_key(AREA.id, 1)
    (pair.remote / key).unlink()
    write_segment(pair.store, AREA.id, 1, commits[::-1])
    (pair.remote / ".bailiwick/segments/u-mara/000000000001-5").write_bytes(b"x")
    found = pair.found(pair.desk)
    assert found.pop(".bailiwick/segments/u-mara/000000000001-5").kind is DamageKind.FOREIGN
    assert {name: each.kind for name, each in found.items()} == {key: DamageKind.DAMAGED}
    assert pair.desk.sync.repair().left == ()
    assert not (pair.remote / key).exists()


def test_what_nothing_names_any_more_is_counted_and_no_damage(pair: Pair) -> None:
    size = sum(path.stat().st_size for path in (pair.remote / ".bailiwick/blobs/u-mara").rglob("*") if path.is_file())
    pair.say(pair.laptop, "notes/first", "one, edited")
    checked = pair.laptop.sync.verify()
    assert (checked.damages, checked.unnamed, checked.unnamed_bytes) == ((), 1, size)
