"""Two people who rule on one conflict at once, on two devices: one result, one notice, no new conflict, and no loop."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree

import pytest

from core.agentfs.items import ItemWrite
from core.conflicts.arbitration import Arbitration
from core.conflicts.meeting import NOTICE
from core.conflicts.merging.decisions import Choice
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore
from core.conflicts.service import ConflictService
from core.conflicts.summaries import Applied
from core.model import Kind
from core.remote.folder import FolderStore
from core.sync import failpoints
from tests.sync.fleet import Crash
from tests.sync.syncing import Syncing, join
from tests.sync.two_devices import PERSON, USER

PATH = "notes/harbour"
BASE, HERE, THERE = "Opens at six.\n", "Opens at five.\n", "Opens at seven.\n"
POINTS = (
    "before-apply",
    "after-look",
    "after-apply",
    "after-base",
    "after-uphold",
    "after-advance",
    "after-scan",
    "before-commit",
)
Pair = tuple[Syncing, Syncing]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two devices between which a conflict is open on both."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "remote").mkdir()
    store = FolderStore(folder / "remote")
    desk = join(folder / "desk", "desk", store)
    laptop = join(folder / "laptop", "laptop", store, first=desk)
    write(desk, BASE)
    for each in (desk, laptop):
        each.sync()
    write(desk, THERE)
    write(laptop, HERE)
    for each in (desk, laptop, desk):
        each.sync()
    for each in (desk, laptop):
        assert (text(each), record(each).status) == (THERE, ConflictStatus.OPEN)
        each.device.agentfs.close()
    return folder


@pytest.fixture
def pair(made: Path, tmp_path: Path) -> Iterator[Pair]:
    """The desk and the laptop of ``made``, to be changed."""
    copytree(made, tmp_path / "here")
    store = FolderStore(tmp_path / "here" / "remote")
    desk = join(tmp_path / "here" / "desk", "desk", store)
    laptop = join(tmp_path / "here" / "laptop", "laptop", store)
    yield desk, laptop
    for each in (desk, laptop):
        assert each.device.agentfs.audit_check.verify().whole
        each.device.agentfs.close()


def write(syncing: Syncing, content: str) -> None:
    agentfs = syncing.device.agentfs
    with agentfs.database.transaction() as connection:
        agentfs.items.put(connection, ItemWrite(PATH, Kind.DECISION, USER, content.encode()), by=PERSON)


def text(syncing: Syncing) -> str | None:
    return syncing.read(PATH)


def record(syncing: Syncing) -> ConflictRecord:
    (entry,) = ConflictStore(syncing.device.agentfs).all()
    return ConflictStore(syncing.device.agentfs).get(entry.id)


def opened(syncing: Syncing) -> tuple[ConflictService, Arbitration]:
    service = ConflictService(syncing.device.agentfs, USER)
    return service, service.open(record(syncing).id)


def rule(syncing: Syncing, result: str | None) -> None:
    """Rule that ``result`` is right."""
    service, arbitration = opened(syncing)
    for choice in (Choice.LOCAL, Choice.REMOTE):
        chosen = arbitration.choose_open(choice)
        if chosen.result() == (result.encode() if result is not None else None):
            break
    else:
        assert result is not None
        chosen = arbitration.with_content(result.encode())
    assert isinstance(service.apply(chosen, by=PERSON), Applied)


def notices(syncing: Syncing) -> list[str]:
    """What the person was told of rulings that do not hold, by whatever device, as this one knows."""
    agentfs = syncing.device.agentfs
    rows = agentfs.database.connection().execute(
        "SELECT message_content FROM agent_communications WHERE message_type = ?", (NOTICE,)
    )
    return [row["message_content"] for row in rows]


def quiet(*devices: Syncing) -> None:
    """Sync until nothing moves, which it does soon."""
    for _ in range(3):
        moved = [each.sync() for each in devices]
    assert not any(each.sent or each.received for each in moved)


@pytest.mark.parametrize(
    ("first", "second"),
    [("Opens at noon.\n", "Opens at dusk.\n"), (HERE, "Opens at dusk.\n"), (HERE, THERE), (THERE, HERE)],
    ids=["chosen", "one side", "one changes nothing", "the first changes nothing"],
)
@pytest.mark.parametrize("syncs_first", ["the first", "the second"])
@pytest.mark.parametrize("rules_first", ["desk", "laptop"])
def test_the_ruling_that_was_made_first_holds_everywhere(
    pair: Pair, rules_first: str, syncs_first: str, first: str, second: str
) -> None:
    one, other = pair if rules_first == "desk" else pair[::-1]
    rule(one, first)
    rule(other, second)
    for each in (one, other) if syncs_first == "the first" else (other, one):
        each.sync()
        assert text(one) == first
    quiet(one, other)
    assert (text(one), text(other)) == (first, first)
    held = record(one)
    assert held == record(other)
    assert held.outcome is not None
    assert (held.status, held.outcome.device) == (ConflictStatus.RESOLVED, one.device.agentfs.device)
    assert [each.device for each in held.overruled] == [other.device.agentfs.device]
    told = notices(other)
    assert len(told) == 1
    assert one.device.name in told[0]
    assert notices(one) == told


def test_who_rules_alike_is_told_nothing(pair: Pair) -> None:
    for each in pair:
        rule(each, "Opens at noon.\n")
    quiet(*pair)
    assert [text(each) for each in pair] == ["Opens at noon.\n"] * 2
    assert notices(pair[0]) == notices(pair[1]) == []


def test_a_ruling_closes_the_conflict_on_the_other_device(pair: Pair) -> None:
    desk, laptop = pair
    rule(desk, HERE)
    quiet(desk, laptop)
    assert (text(laptop), record(laptop).status) == (HERE, ConflictStatus.RESOLVED)
    assert ConflictStore(laptop.device.agentfs).count_open() == 0
    assert notices(laptop) == []


def test_whoever_rules_anew_knowing_of_a_ruling_tells_nobody(pair: Pair) -> None:
    desk, laptop = pair
    rule(desk, HERE)
    quiet(desk, laptop)
    service, _ = opened(laptop)
    service.reopen(record(laptop).id, by=PERSON)
    rule(laptop, THERE)
    quiet(desk, laptop)
    assert [text(each) for each in pair] == [THERE, THERE]
    assert notices(desk) == notices(laptop) == []
    assert len(record(desk).overruled) == 1


def test_what_was_written_meanwhile_is_another_conflict_and_not_lost(pair: Pair) -> None:
    desk, laptop = pair
    rule(desk, HERE)
    write(laptop, "Closed.\n")
    quiet(desk, laptop)
    store = ConflictStore(desk.device.agentfs)
    records = [store.get(each.id) for each in store.all()]
    assert sorted(each.status for each in records) == [ConflictStatus.OPEN, ConflictStatus.RESOLVED]
    kept = {side.content for each in records for side in each.sides}
    assert {b"Closed.\n", HERE.encode(), THERE.encode()} <= kept


@pytest.mark.parametrize("point", POINTS)
def test_a_crash_changes_nothing_of_that(pair: Pair, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = pair
    rule(one, HERE)
    rule(other, "Opens at dusk.\n")
    one.sync()
    for count in (1, 2):
        left = count

        def reached(name: str) -> None:
            nonlocal left
            left -= name == point
            if name == point and left == 0:
                raise Crash(name)

        monkeypatch.setattr(failpoints, "on_reached", reached)
        with contextlib.suppress(Crash):
            other.sync()
        monkeypatch.setattr(failpoints, "on_reached", None)
    quiet(one, other)
    assert [text(each) for each in pair] == [HERE, HERE]
    assert record(one) == record(other)
    assert len(notices(one)) == len(notices(other)) == 1
