"""What is sealed here stays under one identity: lost slots are not founded anew, those of another are not used."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.guard import privacy_settings
from core.errors import BailiwickError, SealBroken
from tests.agentfs.canaries import new_canary

ADA = Actor(ActorKind.PERSON, "ada", "cli")


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Callable[[str], AgentFS]]:
    """Opens the workspace of that name as another process of this machine would, with the agent scout in it."""
    everything: list[AgentFS] = []

    def open_it(name: str) -> AgentFS:
        root = tmp_path / name
        settings = replace(privacy_settings(root, user="ada"), key_files=tmp_path / "key-files")
        agentfs = AgentFS(root, acting=ADA, privacy=settings)
        everything.append(agentfs)
        agentfs.agents.register("scout", "research", owner="ada", by=ADA)
        return agentfs

    yield open_it
    for agentfs in everything:
        agentfs.close()


def lose(slots: Path) -> None:
    shutil.rmtree(slots)


def exchange(slots: Path) -> None:
    shutil.rmtree(slots)
    shutil.copytree(slots.parent.parent.parent / "other" / "keys" / "slots", slots)


def forget(agentfs: AgentFS) -> None:
    """Make the workspace one of before the identity was noted."""
    with agentfs.database.transaction() as connection:
        connection.execute("DELETE FROM settings WHERE key = 'keys.identity'")


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "not-noted"])
@pytest.mark.parametrize(
    ("damage", "sentence"), [(lose, "are lost"), (exchange, "belong to another identity")], ids=["lost", "exchanged"]
)
def test_nothing_is_sealed_under_another_identity(
    opened: Callable[[str], AgentFS], tmp_path: Path, damage: Callable[[Path], None], sentence: str, noted: bool
) -> None:
    canary = new_canary()
    opened("other").states.put("scout", "plan", {"token": canary}, by=ADA)
    first = opened("w")
    first.states.put("scout", "plan", {"token": canary}, by=ADA)
    first.states.put("scout", "clean", "sunny", by=ADA)
    if not noted:
        forget(first)
    slots = tmp_path / "w" / "keys" / "slots"
    shutil.copytree(slots, tmp_path / "away")
    damage(slots)
    present = sorted(slots.iterdir()) if slots.exists() else []
    second = opened("w")
    for write in (
        lambda: second.states.put("scout", "other", {"token": canary}, by=ADA),
        lambda: second.keys.prepare(),
        lambda: second.keys.rotate(),
    ):
        with pytest.raises(SealBroken, match=sentence) as refusal:
            write()
        assert "keys/slots from a backup" in refusal.value.hint
    assert sorted(slots.iterdir() if slots.exists() else []) == present
    assert not list((tmp_path / "w" / "keys" / "generations").glob("*.age"))
    status = second.keys.status()
    # Slots that open tell nothing of themselves; what they should open is remembered where something was sealed.
    assert sentence in status.problem or (damage is exchange and not noted)
    assert second.states.put("scout", "clean", "rainy", by=ADA).version == 2
    assert second.states.get("scout", "clean", by=ADA).value == "rainy"
    with pytest.raises(BailiwickError):
        second.states.get("scout", "plan", by=ADA)
    shutil.rmtree(slots, ignore_errors=True)
    shutil.copytree(tmp_path / "away", slots)
    third = opened("w")
    assert third.states.get("scout", "plan", by=ADA).value == {"token": canary}
    third.states.put("scout", "other", {"token": canary}, by=ADA)
    assert third.keys.status().problem == ""


def test_a_founding_that_was_rolled_back_is_the_identity_all_the_same(
    opened: Callable[[str], AgentFS], tmp_path: Path
) -> None:
    agentfs = opened("w")
    with suppress(ZeroDivisionError), agentfs.database.transaction():
        agentfs.guard.seal("x", b"secret")
        raise ZeroDivisionError
    agentfs.states.put("scout", "plan", {"token": new_canary()}, by=ADA)
    again = opened("w")
    assert again.states.get("scout", "plan", by=ADA).version == 1
    assert len(again.keys.status().slots) == 1
    founded = [each for each in again.audit.at(list(range(1, 50))) if each.action == "keys.add"]
    assert len(founded) == 1
