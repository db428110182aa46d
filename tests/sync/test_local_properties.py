"""Whatever two devices do, in whichever order they hear of it: equal content is an equal version, and none is lost."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sync.two_devices import PERSON, USER, Device, carry_changes, former, open_device, operation

from core.agentfs.items import ItemWrite
from core.agentfs.travelling_states import unpacked
from core.conflicts.records import ConflictStore
from core.model import JSONValue, Kind, Level
from core.sync.commit import Operation
from core.sync.item_header import ItemHeader, read_header
from core.sync.local_tree import FormerVersion, Origin
from core.sync.planner import Step, step_for

PATH = "decisions/one"
_LIGHT = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@contextmanager
def two_devices() -> Iterator[tuple[Device, Device]]:
    """Two devices with an agent that lives on the first."""
    with tempfile.TemporaryDirectory() as folder:
        desk = open_device(Path(folder) / "desk", "desk")
        laptop = open_device(Path(folder) / "laptop", "laptop", keys_of=desk)
        try:
            yield desk, laptop
        finally:
            desk.agentfs.close()
            laptop.agentfs.close()


@_LIGHT
@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), values), min_size=1, max_size=6))
def test_what_is_written_arrives_with_the_same_version_however_it_is_sealed(
    writes: list[tuple[str, JSONValue]],
) -> None:
    with two_devices() as (desk, laptop):
        scout = desk.agent("scout")
        for key, value in writes:
            desk.agentfs.states.put("scout", key, value, by=scout)
        for each in sorted(desk.changes(), key=lambda change: desk.tree.order(change.path)):
            sent = desk.tree.outgoing(each.path)
            assert sent is not None
            assert sent.version == each.version
            content = laptop.tree.opened(operation(sent), sent.cleared.data)
            assert laptop.tree.apply(operation(sent), content, expected=None, origin=desk.origin)
        with laptop.agentfs.database.transaction() as connection:
            connection.execute("DELETE FROM item_versions")
        assert laptop.versions() == desk.versions()
        for key, value in dict(writes).items():
            assert laptop.agentfs.states.get("scout", key, by=PERSON).value == value
            there = laptop.agentfs.states.history("scout", key, by=PERSON)
            assert [each.version for each in there] == list(range(len(there), 0, -1))


@dataclass
class Remote:
    """What lies at the one path of a remote: an operation with its content, or a deletion."""

    told: Operation | None = None
    content: bytes = b""
    origin: Origin | None = None

    @property
    def version(self) -> str | None:
        return self.told.version if self.told is not None else None


class Meeting:
    """Two devices that change one path, and a remote that holds one version; each remembers what it last agreed on."""

    def __init__(self, devices: Sequence[Device], path: str = PATH) -> None:
        self.devices = devices
        self.path = path
        self.remote = Remote()
        self.bases: dict[str, FormerVersion | None] = {each.name: None for each in devices}

    def put(self, device: Device, number: int) -> None:
        write = ItemWrite(self.path, Kind.DECISION, USER, f'"{device.name} {number}"'.encode())
        with device.agentfs.database.transaction() as connection:
            device.agentfs.items.put(connection, write, by=PERSON)

    def delete(self, device: Device) -> None:
        item = device.agentfs.items.at_path(self.path)
        if item is not None:
            with device.agentfs.database.transaction() as connection:
                device.agentfs.items.delete(connection, item.id, by=PERSON)

    def sync(self, device: Device) -> None:
        """Take in what the remote has, as the planner says, and give it what is here then."""
        here, base, remote = device.tree.version(self.path), self.bases[device.name], self.remote
        step = step_for(here, base.version if base is not None else None, remote.version)
        if step in (Step.TAKE, Step.REVIVE):
            assert remote.told is not None
            assert remote.origin is not None
            assert not device.tree.apply(remote.told, remote.content, expected="0" * 64, origin=remote.origin)
            assert device.tree.version(self.path) == here
            assert device.tree.apply(remote.told, remote.content, expected=here, origin=remote.origin)
        elif step is Step.DROP:
            assert here is not None
            assert device.tree.delete(self.path, expected=here, origin=device.origin)
        elif step is Step.CONFLICT:
            self._conflict(device, here, base)
        sent = device.tree.outgoing(self.path)
        self.bases[device.name] = former(device, self.path) if sent is not None else None
        told = operation(sent) if sent is not None else None
        content = device.tree.opened(told, sent.cleared.data) if sent is not None and told is not None else b""
        self.remote = Remote(told, content, device.origin)

    def _conflict(self, device: Device, here: str | None, base: FormerVersion | None) -> None:
        remote, item = self.remote, device.agentfs.items.at_path(self.path)
        assert item is not None
        assert remote.told is not None
        assert remote.origin is not None
        mine = device.agentfs.items.content(item)
        assert device.tree.conflict(remote.told, remote.content, expected=here, base=base, origin=remote.origin)
        store = ConflictStore(device.agentfs)
        kept = set()
        for entry in store.all():
            record = store.get(entry.id)
            kept |= {each.content for each in (record.local, record.remote, *record.others)}
        assert {mine, self.value_of(remote.content)} <= kept

    def value_of(self, content: bytes) -> bytes:
        """What is compared of content that travelled."""
        return content


class StateMeeting(Meeting):
    """As Meeting, over a state; its history is told by the values that were ever the present one on a device."""

    def __init__(self, devices: Sequence[Device]) -> None:
        scout = devices[0].agent("scout")
        super().__init__(devices, f"agents/{scout.id}/state/plan")
        self.values: dict[str, set[object]] = {each.name: set() for each in devices}
        carry_changes(devices[0], devices[1])

    def put(self, device: Device, number: int) -> None:
        device.agentfs.states.put("scout", "plan", f"{device.name} {number}", by=PERSON)
        self.note(device)

    def delete(self, device: Device) -> None:
        if device.tree.version(self.path) is not None:
            device.agentfs.states.delete("scout", "plan", by=PERSON)

    def sync(self, device: Device) -> None:
        super().sync(device)
        self.note(device)

    def value_of(self, content: bytes) -> bytes:
        return unpacked(content)[0]

    def note(self, device: Device) -> None:
        self.values[device.name] |= {each.value for each in device.agentfs.states.all("scout", by=PERSON)}
        if device.tree.version(self.path) is None:
            return
        states = device.agentfs.states
        versions = states.history("scout", "plan", by=PERSON)
        held = {states.value_at("scout", "plan", each.version, by=PERSON) for each in versions if each.sha256}
        assert self.values[device.name] <= held
        assert versions[0].version == states.get("scout", "plan", by=PERSON).version


@pytest.mark.parametrize("kind", [Meeting, StateMeeting])
@_LIGHT
@given(
    st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["put", "delete", "sync"]), st.integers(0, 3)), max_size=14),
)
def test_two_devices_come_to_the_same_and_a_conflict_keeps_both(
    kind: type[Meeting], steps: list[tuple[int, str, int]]
) -> None:
    with two_devices() as devices:
        meeting = kind(devices)
        for number, what, value in steps:
            if what == "put":
                meeting.put(devices[number], value)
            elif what == "delete":
                meeting.delete(devices[number])
            else:
                meeting.sync(devices[number])
        for device in (*devices, *devices):
            meeting.sync(device)
        assert devices[0].tree.version(meeting.path) == devices[1].tree.version(meeting.path)


@given(values, st.sampled_from(list(Level)), st.booleans())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_header_is_read_as_it_was_written(value: JSONValue, level: Level, critical: bool) -> None:
    header = ItemHeader("decision", USER, level, critical, {"told": value}, "", (), {"about": value})
    read = read_header(header.to_json(), "id")
    assert read == header
    assert read.counted("x") == header.counted("x")
