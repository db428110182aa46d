"""Teams: who is a member is said by a person from a card, and by nothing that lies in the remote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from machines import PERSON, Machines, put

from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.crypto.sealing import open_sealed
from core.errors import InvalidInput, NotFound, WrongKey
from core.model import Kind, Level
from core.remote.folder import FolderStore
from core.sync.areas import AreaLocks
from core.sync.devices import DEVICES, Devices
from core.sync.tables import SyncTables
from core.sync.teams import Teams, read_card
from core.sync_model import Area, AreaKind

HARBOUR = Area(AreaKind.TEAM, "harbour")


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    with Machines(tmp_path) as opened:
        yield opened


@pytest.fixture
def mara(machines: Machines) -> AgentFS:
    return machines.open("mara")


@pytest.fixture
def ben(machines: Machines) -> AgentFS:
    return machines.open("ben", user="ben")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    (tmp_path / "remote").mkdir()
    return FolderStore(tmp_path / "remote")


def devices_of(agentfs: AgentFS, store: FolderStore) -> Devices:
    return Devices(agentfs, store, SyncTables(agentfs.database), Teams(agentfs))


def test_a_member_is_added_from_a_card_shown_and_removed(mara: AgentFS, ben: AgentFS) -> None:
    teams, card = Teams(mara), Teams(ben).card()
    member = teams.add("harbour", f"  {card[:40]}\n{card[40:]} ", by=PERSON)
    assert (member.card, member.is_self) == (Teams(ben).own_card(), False)
    assert teams.add("harbour", card, by=PERSON) == member
    assert [each.card.user for each in teams.members()] == ["ben"]
    assert teams.members("port") == []
    assert teams.remove("harbour", "ben", by=PERSON).fingerprint == member.fingerprint
    assert teams.members() == []
    with pytest.raises(NotFound, match="no ben in team harbour"):
        teams.remove("harbour", "ben", by=PERSON)


def test_both_ends_see_the_same_fingerprint(mara: AgentFS, ben: AgentFS) -> None:
    shown = Teams(ben).own_card().fingerprint
    assert Teams(mara).add("harbour", Teams(ben).card(), by=PERSON).fingerprint == shown


@pytest.mark.parametrize("change", ["", "x", "cut", "flipped"])
def test_a_card_that_is_not_as_its_owner_made_it_is_refused(ben: AgentFS, change: str) -> None:
    card = Teams(ben).card()
    swapped = "A" if card[-20] != "A" else "B"
    bad = {"": "", "x": card + "x", "cut": card[:-8], "flipped": card[:-20] + swapped + card[-19:]}[change]
    with pytest.raises(InvalidInput, match="not a whole member card"):
        read_card(bad)


def test_a_name_of_another_s_card_does_not_take_his_place(machines: Machines, mara: AgentFS, ben: AgentFS) -> None:
    Teams(mara).add("harbour", Teams(ben).card(), by=PERSON)
    impostor = machines.open("impostor", user="ben")
    with pytest.raises(InvalidInput, match="with other keys"):
        Teams(mara).add("harbour", Teams(impostor).card(), by=PERSON)
    assert Teams(mara).members()[0].card == Teams(ben).own_card()


@pytest.mark.parametrize("team", ["", "../up", "a/b", "x" * 100, "new\nline", "-"])
def test_names_of_teams_that_no_path_takes_are_refused(mara: AgentFS, ben: AgentFS, team: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be the name of a team"):
        Teams(mara).add(team, Teams(ben).card(), by=PERSON)


def test_what_another_user_sends_makes_nobody_a_member(machines: Machines, mara: AgentFS) -> None:
    stranger = machines.open("stranger", user="eve")
    card = Teams(stranger).own_card()
    told = {"v": 1, "user": "eve", "recipient": card.recipient, "signing_key": card.signing_key, "team": "harbour"}
    data = json.dumps({**told, "added_at": "2026-11-25T00:00:00+00:00"}).encode()
    with mara.database.transaction() as connection:
        mara.items.put(connection, ItemWrite("teams/harbour/eve", Kind.DECISION, "eve", data, Level.TEAM))
    assert Teams(mara).members() == []
    assert Teams(mara).recipients("harbour") == []
    # Nor does an item of the user's own whose place says something else than it does.
    put(mara, "teams/harbour/ben", data.decode())
    assert Teams(mara).members() == []


def test_what_is_sealed_for_a_team_is_opened_by_its_members_alone(
    machines: Machines, mara: AgentFS, ben: AgentFS
) -> None:
    eve = machines.open("eve", user="eve")
    eve.keys.prepare()
    locks = AreaLocks(mara, HARBOUR, Teams(mara).recipients)
    with pytest.raises(InvalidInput, match="Nobody is known"):
        locks.close(b"plans")
    Teams(mara).add("harbour", Teams(ben).card(), by=PERSON)
    sealed = locks.close(b"plans")
    assert AreaLocks(ben, HARBOUR).open(sealed, "it") == b"plans"
    assert locks.open(sealed, "it") == b"plans"
    with pytest.raises(WrongKey):
        AreaLocks(eve, HARBOUR).open(sealed, "it")
    Teams(mara).add("harbour", Teams(eve).card(), by=PERSON)
    Teams(mara).remove("harbour", "ben", by=PERSON)
    with pytest.raises(WrongKey):
        open_sealed(locks.close(b"later plans"), ben.keys.prepare().identity.secrets)


def test_devices_are_trusted_where_their_user_is(
    machines: Machines, mara: AgentFS, ben: AgentFS, store: FolderStore
) -> None:
    eve = machines.open("eve", user="eve")
    for agentfs, name in ((mara, "laptop"), (ben, "desk"), (eve, "tower")):
        devices_of(agentfs, store).register(name)
    seen = devices_of(mara, store)
    own, shared = Area(AreaKind.USER, "mara"), Area(AreaKind.SHARED)
    assert seen.signing_key(mara.device, own)
    assert not seen.signing_key(ben.device, HARBOUR)
    Teams(mara).add("harbour", Teams(ben).card(), by=PERSON)
    assert seen.signing_key(ben.device, HARBOUR)
    assert seen.signing_key(ben.device, shared)
    assert not seen.signing_key(ben.device, own)
    assert not seen.signing_key(ben.device, Area(AreaKind.TEAM, "port"))
    assert not seen.signing_key(eve.device, HARBOUR)
    Teams(mara).remove("harbour", "ben", by=PERSON)
    assert not seen.signing_key(ben.device, HARBOUR)


def test_a_forged_card_is_not_trusted(machines: Machines, mara: AgentFS, store: FolderStore) -> None:
    eve = machines.open("eve", user="eve")
    devices_of(mara, store).register("laptop")
    forged = replace(devices_of(eve, store).register("tower"), user="mara")
    store.put(f"{DEVICES}{eve.device}", forged.to_bytes())
    own = Area(AreaKind.USER, "mara")
    assert not devices_of(mara, store).signing_key(eve.device, own)
    # One that is honestly signed, by a key that is not the user's.
    impostor = machines.open("impostor", user="mara")
    devices_of(impostor, store).register("tower")
    assert not devices_of(mara, store).signing_key(impostor.device, own)
    # The card of one device under the name of another.
    store.put(f"{DEVICES}{eve.device}", store.get(f"{DEVICES}{mara.device}"))
    assert not devices_of(mara, store).signing_key(eve.device, own)


def test_a_card_is_written_anew_when_the_device_has_another_key(mara: AgentFS, store: FolderStore) -> None:
    first = devices_of(mara, store).register("laptop")
    assert devices_of(mara, store).register("laptop") == first
    (mara.root / "keys" / "device-signing.key").unlink()
    second = devices_of(mara, store).register("laptop")
    assert second.signing_key != first.signing_key
    assert devices_of(mara, store).signing_key(mara.device, Area(AreaKind.USER, "mara")) == second.signing_key
