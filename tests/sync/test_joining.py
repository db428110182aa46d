"""Founding and joining: one identity on both sides, in every way, and nothing taken from a hostile remote."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from machines import PERSON, SECRET, Machines, put, text_at

from core.agentfs.agentfs import AgentFS
from core.crypto.openers import add_passphrase
from core.crypto.secret import Secret
from core.crypto.slots import KeySlots
from core.errors import BailiwickError, InvalidInput, NotFound, SealBroken, Unreachable, WorkspaceUnusable, WrongKey
from core.remote.folder import FolderStore
from core.sync.approval import approve, ask_to_join, join_requests
from core.sync.joining import JoinWay, check_still_ours, found, join
from core.sync.key_exchange import exchange_keys, keys_prefix
from core.sync.remote_identity import FORMAT_KEY, read_format
from core.sync_model import DamageKind

CLIMBING = (
    b'{"format":"bailiwick-remote","version":1,"workspace":"../../x","device":"d",'
    b'"founded_at":"2026-11-25T00:00:00+00:00","founding":"f","proof":"","writers":"many"}'
)
PASSPHRASE = Secret("correct horse battery")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    """Workspaces on machines of their own."""
    with Machines(tmp_path) as opened:
        yield opened


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty remote."""
    (tmp_path / "remote").mkdir()
    return FolderStore(tmp_path / "remote")


@pytest.fixture
def first(machines: Machines) -> AgentFS:
    """A workspace with something sealed, that founds the remote."""
    opened = machines.open("first")
    put(opened, "notes/secret", SECRET)
    return opened


def seals(agentfs: AgentFS) -> bytes:
    """Something sealed by the workspace."""
    return agentfs.keys.seal(b"what one device seals")


def test_a_founded_remote_is_joined_by_its_recovery_code(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    founded = found(first, store, by=PERSON)
    second = machines.open("second")
    joined = join(second, store, JoinWay.RECOVERY_CODE, founded.recovery_code, by=PERSON)
    assert joined.workspace == founded.workspace
    assert second.keys.open(seals(first)) == b"what one device seals"
    assert first.keys.open(seals(second)) == b"what one device seals"


def test_who_joined_unlocks_by_itself_from_then_on(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    code = found(first, store, by=PERSON).recovery_code
    join(machines.open("second"), store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    again = machines.open("second")
    assert again.keys.ready()
    assert again.keys.open(seals(first)) == b"what one device seals"


def test_no_key_file_and_no_recovery_code_lies_in_the_remote(
    store: FolderStore, first: AgentFS, tmp_path: Path
) -> None:
    code = found(first, store, by=PERSON).recovery_code
    key_files = [path.read_bytes() for path in (tmp_path / "first-machine" / "keys").iterdir()]
    assert key_files
    secrets = [line for data in key_files for line in data.split(b"\n") if line and not line.startswith(b"#")]
    lying = b"\n".join(path.read_bytes() for path in store.root.rglob("*") if path.is_file())
    for secret in [*secrets, code.reveal(), code.reveal().replace(b"-", b""), b"AGE-SECRET-KEY"]:
        assert secret not in lying


def test_a_passphrase_joins_and_a_wrong_one_does_not(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    cheap = KeySlots(first.root / "keys", work_factor=2)
    add_passphrase(cheap, first.keys.prepare().identity, PASSPHRASE)
    assert found(first, store, by=PERSON).passphrases == 1
    second = machines.open("second")
    with pytest.raises(WrongKey):
        join(second, store, JoinWay.PASSPHRASE, Secret("wrong horse battery"), by=PERSON)
    assert not second.guard.has_keys
    join(second, store, JoinWay.PASSPHRASE, PASSPHRASE, by=PERSON)
    assert second.keys.open(seals(first)) == b"what one device seals"


def test_a_wrong_recovery_code_changes_nothing(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    from core.crypto.recovery_code import new_recovery_code

    found(first, store, by=PERSON)
    second = machines.open("second")
    with pytest.raises(WrongKey):
        join(second, store, JoinWay.RECOVERY_CODE, new_recovery_code(), by=PERSON)
    assert not second.guard.has_keys


def test_a_device_is_approved_by_the_code_that_it_shows(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    found(first, store, by=PERSON)
    second = machines.open("second")
    code = ask_to_join(second, store, device_name="lap two")
    with pytest.raises(Unreachable):
        join(second, store, JoinWay.APPROVAL, code, by=PERSON)
    assert [request.device_name for request in join_requests(store)] == ["lap two"]
    with pytest.raises(NotFound):
        approve(first, store, Secret("0000-0000-0000"), by=PERSON)
    typed = Secret(code.text().lower().replace("-", " "))
    assert approve(first, store, typed, by=PERSON).device_name == "lap two"
    join(second, store, JoinWay.APPROVAL, code, by=PERSON)
    assert second.keys.open(seals(first)) == b"what one device seals"
    assert join_requests(store) == []


def test_nobody_who_writes_in_the_remote_can_answer_a_request(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    found(first, store, by=PERSON)
    second = machines.open("second")
    code = ask_to_join(second, store, device_name="lap two")
    # The stranger sees the request, but not the code: he has to guess it.
    stranger = machines.open("stranger")
    strange_code = ask_to_join(stranger, store, device_name="lap two")
    approve(first, store, strange_code, by=PERSON)
    requests = list((store.root / ".bailiwick" / "requests").iterdir())
    answer = next(path for path in requests if path.name.endswith(".answer"))
    own = min(path.name for path in requests if not path.name.endswith(".answer"))
    (store.root / ".bailiwick" / "requests" / f"{own}.answer").write_bytes(answer.read_bytes())
    with pytest.raises(InvalidInput, match="does not know the code"):
        join(second, store, JoinWay.APPROVAL, code, by=PERSON)
    assert not second.guard.has_keys


def test_founding_where_a_workspace_is_points_to_joining(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    found(first, store, by=PERSON)
    second = machines.open("second")
    put(second, "notes/secret", SECRET)
    with pytest.raises(InvalidInput, match="already holds a workspace") as refused:
        found(second, store, by=PERSON)
    assert "remote join" in refused.value.hint


def test_founding_again_goes_on_after_an_interruption(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    found(first, store, by=PERSON)
    for path in (store.root / ".bailiwick" / "keys").rglob("*.age"):
        path.unlink()
    code = found(first, store, by=PERSON).recovery_code
    join(machines.open("second"), store, JoinWay.RECOVERY_CODE, code, by=PERSON)


def test_of_two_founders_at_once_exactly_one_succeeds(machines: Machines, store: FolderStore) -> None:
    founders = [machines.open("one"), machines.open("two")]
    for each in founders:
        each.keys.prepare()
    start = threading.Barrier(2)
    ended: list[object] = []

    def begin(agentfs: AgentFS) -> None:
        start.wait()
        try:
            ended.append(found(agentfs, FolderStore(store.root), by=PERSON).workspace)
        except BailiwickError as error:
            ended.append(error)

    threads = [threading.Thread(target=begin, args=(each,)) for each in founders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [each for each in ended if isinstance(each, str)]
    losers = [each for each in ended if isinstance(each, InvalidInput)]
    assert (len(winners), len(losers)) == (1, 1)
    mark = read_format(store)
    assert mark is not None
    assert mark.workspace == winners[0]
    # Of the other nothing is left, neither there nor here.
    assert [path.name for path in (store.root / ".bailiwick" / "keys").iterdir() if any(path.rglob("*.age"))] == winners


def test_joining_an_empty_remote_points_to_founding(machines: Machines, store: FolderStore) -> None:
    with pytest.raises(NotFound, match="holds no workspace") as refused:
        join(machines.open("second"), store, JoinWay.PASSPHRASE, PASSPHRASE, by=PERSON)
    assert "remote set" in refused.value.hint


def test_what_was_sealed_under_other_keys_is_sealed_under_the_joined_ones(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    agent = second.agents.register("scout", "research", owner="mara", by=PERSON).agent
    second.states.put(agent.id, "credentials", {"token": SECRET}, by=PERSON)
    second.states.put(agent.id, "credentials", {"token": SECRET + "x"}, by=PERSON)
    put(second, "notes/mine", SECRET + " of the second")
    large = SECRET + "x" * 200_000
    put(second, "notes/large", large)
    before = second.keys.prepare().identity.id
    other_process = machines.open("second")
    assert text_at(other_process, "notes/large") == large

    joined = join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)

    assert joined.resealed == 4
    assert joined.workspace == first.keys.keys.identity.id != before
    for process in (second, other_process, machines.open("second")):
        assert text_at(process, "notes/mine") == SECRET + " of the second"
        assert text_at(process, "notes/large") == large
        assert process.states.get(agent.id, "credentials", by=PERSON).value == {"token": SECRET + "x"}
        assert len(process.states.history(agent.id, "credentials", by=PERSON)) == 2
        put(process, "notes/later", SECRET + str(id(process)))
        assert first.keys.open(process.contents.read(_sha256(process, "notes/later")))
    assert second.audit_check.verify().integrity == ()
    assert second.audit_check.verify().completeness == ()


def test_sealing_again_goes_on_after_a_kill(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    for number in range(50):
        put(second, f"notes/{number}", f"{SECRET} {number}")

    class Killed(BaseException):
        pass

    def killed(done: int, total: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON, progress=killed)
    assert text_at(machines.open("second"), "notes/7") == f"{SECRET} 7"
    again = machines.open("second")
    put(again, "notes/8", f"{SECRET} changed between")
    assert join(again, store, JoinWay.RECOVERY_CODE, code, by=PERSON).resealed >= 50
    for number in (7, 49):
        assert text_at(again, f"notes/{number}") == f"{SECRET} {number}"
    assert text_at(again, "notes/8") == f"{SECRET} changed between"
    sealed = again.items.sealed()
    assert all(first.keys.open(again.contents.read(item.sha256)) for item in sealed)


def test_the_old_keys_are_set_aside_not_destroyed(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    sealed = seals(second)
    before = second.keys.keys.identity.id
    join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    old = KeySlots(second.root / "keys" / "replaced" / before)
    from core.crypto.openers import open_by_key_file
    from core.crypto.sealing import open_sealed

    key_file = second.keys.key_file(old.ids()[0])
    assert open_sealed(sealed, open_by_key_file(old, key_file).secrets) == b"what one device seals"


def test_joining_again_with_the_same_keys_is_done_at_once(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    put(second, "notes/mine", SECRET)
    again = join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    assert again.resealed == 0
    assert text_at(second, "notes/mine") == SECRET


def test_a_wiped_workspace_joins_anew(machines: Machines, store: FolderStore, first: AgentFS, tmp_path: Path) -> None:
    import shutil

    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    device = second.device
    sealed = seals(second)
    second.close()
    shutil.rmtree(tmp_path / "second")
    shutil.rmtree(tmp_path / "second-machine")
    anew = machines.open("second")
    join(anew, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    assert anew.device != device
    assert anew.keys.open(sealed) == b"what one device seals"


def test_lost_slots_come_back_from_the_remote(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    code = found(first, store, by=PERSON).recovery_code
    for path in (first.root / "keys" / "slots").iterdir():
        path.unlink()
    again = machines.open("first")
    with pytest.raises(SealBroken, match="lost"):
        again.keys.prepare()
    join(again, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    assert text_at(again, "notes/secret") == SECRET


# Keys that come later


def test_a_rotation_reaches_every_device(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    exchange_keys(first, store)
    second.keys.rotate()
    exchange_keys(second, store)
    exchange_keys(first, store)
    assert first.keys.keys.identity.newest.number == 2
    assert machines.open("first").keys.open(seals(second)) == b"what one device seals"


def test_a_device_that_a_rotation_left_out_is_given_the_keys(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    code = found(first, store, by=PERSON).recovery_code
    # The first rotates before it hears of the second's slot.
    second = machines.open("second")
    join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    first.keys.rotate()
    sealed = seals(first)
    exchange_keys(first, store)
    exchange_keys(second, store)
    again = machines.open("second")
    assert again.keys.open(sealed) == b"what one device seals"
    exchange_keys(again, store)


def test_a_removed_slot_goes_everywhere_and_does_not_come_back(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    code = found(first, store, by=PERSON).recovery_code
    second = machines.open("second")
    join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    exchange_keys(first, store)
    slot = second.keys.machine_slot()
    assert slot is not None
    folder = store.root / keys_prefix(first.keys.keys.identity.id) / "slots"
    kept = {path.name: path.read_bytes() for path in folder.iterdir() if slot.id in path.name}
    assert kept
    first.keys.remove(slot.id)
    first.audit.record(PERSON, "keys.remove", slot.id, {"kind": "key_file"})
    assert exchange_keys(first, store).removed == 1
    # Whoever writes in the remote puts it back.
    for name, data in kept.items():
        (folder / name).write_bytes(data)
    assert exchange_keys(second, store).removed >= 1
    assert slot.id not in second.keys.keys.slots.ids()
    assert slot.id not in first.keys.keys.slots.ids()
    assert not any(slot.id in path.name for path in folder.iterdir())


def test_a_slot_that_is_merely_gone_from_the_remote_is_put_back(store: FolderStore, first: AgentFS) -> None:
    found(first, store, by=PERSON)
    here = first.keys.keys.slots.ids()
    for path in (store.root / ".bailiwick" / "keys").rglob("*.age"):
        path.unlink()
    assert exchange_keys(first, store).sent == len(here)
    assert first.keys.keys.slots.ids() == here


# A hostile remote


def test_a_stranger_slot_in_the_remote_is_named_and_not_taken(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    found(first, store, by=PERSON)
    stranger = machines.open("stranger")
    stranger.keys.prepare()
    prefix = keys_prefix(first.keys.keys.identity.id)
    for path in (stranger.root / "keys" / "slots").iterdir():
        (store.root / prefix / "slots" / path.name).write_bytes(path.read_bytes())
    before = first.keys.keys.slots.ids()
    exchanged = exchange_keys(first, store)
    assert first.keys.keys.slots.ids() == before
    assert [damage.kind for damage in exchanged.refused] == [DamageKind.FOREIGN]
    assert stranger.keys.keys.slots.ids()[0] in exchanged.refused[0].key


def test_names_that_lead_elsewhere_are_never_written(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    code = found(first, store, by=PERSON).recovery_code

    class Hostile(FolderStore):
        """Lists names that no folder can hold."""

        def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list:  # type: ignore[type-arg]
            from dataclasses import replace

            infos = super().list(prefix, after=after, limit=limit)
            if not infos or "keys/" not in prefix:
                return infos
            evil = [
                "slots/../../../../evil.age",
                "slots/..%2f..%2fevil.age",
                "generations/000002-0000000000000000.age/../../x.age",
                "/etc/passwd",
                "slots/" + "0" * 26 + ".age\n",
            ]
            return [*infos, *(replace(infos[0], key=prefix + name) for name in evil)] if not after else infos

    second = machines.open("second")
    before = set(machines.folder.rglob("*"))
    join(second, Hostile(store.root), JoinWay.RECOVERY_CODE, code, by=PERSON)
    new = set(machines.folder.rglob("*")) - before
    assert not [path for path in new if "evil" in path.name or "passwd" in path.name]
    refused = exchange_keys(second, Hostile(store.root)).refused
    assert len(refused) == 5


def test_the_keys_of_another_identity_under_the_founder_s_name_are_refused(
    machines: Machines, store: FolderStore, first: AgentFS
) -> None:
    found(first, store, by=PERSON)
    stranger = machines.open("stranger")
    (store.root.parent / "theirs").mkdir()
    theirs = FolderStore(store.root.parent / "theirs")
    code = found(stranger, theirs, by=PERSON).recovery_code
    # A mark that names the first's workspace, and the stranger's keys under its name.
    own = stranger.keys.keys.identity.id
    target = store.root / keys_prefix(first.keys.keys.identity.id) / "slots"
    for path in (theirs.root / keys_prefix(own) / "slots").iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    second = machines.open("second")
    with pytest.raises(SealBroken, match="not written by a holder"):
        join(second, store, JoinWay.RECOVERY_CODE, code, by=PERSON)
    assert not second.guard.has_keys


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (b'{"format":"bailiwick-remote","version":2,"workspace":"x"}', WorkspaceUnusable),
        (b'{"format":"something else"}', SealBroken),
        (b"[" * 10_000, SealBroken),
        (b"x" * 1_000_000, SealBroken),
        (b"", SealBroken),
        (CLIMBING, SealBroken),
    ],
)
def test_a_mark_that_is_none_of_ours_is_refused_in_a_sentence(
    machines: Machines, store: FolderStore, mark: bytes, expected: type[BailiwickError]
) -> None:
    (store.root / ".bailiwick").mkdir()
    (store.root / FORMAT_KEY).write_bytes(mark)
    second = machines.open("second")
    with pytest.raises(expected) as joining:
        join(second, store, JoinWay.PASSPHRASE, PASSPHRASE, by=PERSON)
    with pytest.raises(expected):
        found(second, store, by=PERSON)
    assert joining.value.hint


def test_a_remote_that_became_another_s_is_noticed(machines: Machines, store: FolderStore, first: AgentFS) -> None:
    found(first, store, by=PERSON)
    check_still_ours(first, store)
    mark = json.loads((store.root / FORMAT_KEY).read_bytes())
    mark["workspace"] = "0123456789abcdef"
    (store.root / FORMAT_KEY).write_text(json.dumps(mark))
    with pytest.raises(SealBroken, match="another workspace"):
        check_still_ours(first, store)
    (store.root / FORMAT_KEY).unlink()
    with pytest.raises(NotFound):
        check_still_ours(first, store)


def _sha256(agentfs: AgentFS, path: str) -> str:
    item = agentfs.items.at_path(path)
    assert item is not None
    return item.sha256
