"""Two machines of one person over a folder and over a real S3 server: what they changed differently is ruled on, by the
service as the pane does and on the command line, and both are equal afterwards with nothing of either side lost."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from core.agent_model import Actor, ActorKind
from core.agentfs.items import ItemWrite
from core.config import load_settings
from core.conflicts.merging.decisions import Choice
from core.conflicts.merging.forms import mergeable
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.records import ConflictRecord, ConflictStatus, ConflictStore
from core.conflicts.service import Applied
from core.content_format import encode
from core.ids import sha256_hex
from core.model import DocumentContent, JSONValue, Kind, Passage
from core.sync.joining import JoinWay
from core.workspace import Workspace
from tests.remote.s3_server import Bucket, bucket, s3_server
from tests.tui.commanding import Shell, shell_on

__all__ = ["bucket", "s3_server"]

PERSON = Actor(ActorKind.PERSON, "ada", "cli")
GONE = None
OPEN: dict[str, tuple[JSONValue, JSONValue, JSONValue]] = {
    "plan": ({"owner": "ada", "step": 1}, {"owner": "scout", "step": 2}, {"owner": "critic", "step": 3, "at": "night"}),
    "type": ({"limit": 10}, {"limit": {"soft": 10, "hard": 20}}, {"limit": "ten"}),
    "order": (
        [{"id": "a"}, {"id": "b"}, {"id": "c"}],
        [{"id": "b"}, {"id": "a"}, {"id": "c"}],
        [{"id": "a"}, {"id": "c"}, {"id": "b"}],
    ),
    "added": (GONE, {"by": "laptop", "same": True}, {"by": "desk", "same": True}),
    "belief": ({"cold": True}, {"cold": False}, {"cold": True, "measured": 3}),
    "budget": ({"euro": 100}, {"euro": 150}, {"euro": 100, "month": "May"}),
}
MERGED: dict[str, tuple[JSONValue, JSONValue, JSONValue]] = {
    "settled": (
        {"left": 1, "right": 1, "tags": []},
        {"left": 2, "right": 1, "tags": ["l"]},
        {"left": 1, "right": 2, "tags": ["r"]},
    ),
}
DELETED: dict[str, tuple[JSONValue, JSONValue, JSONValue]] = {
    "gone/here": ({"keep": 1}, GONE, {"keep": 2}),
    "gone/there": ({"keep": 1}, {"keep": 2}, GONE),
}
STATES = {**OPEN, **MERGED, **DELETED}
GATE = (
    "# Gate\n\nIt opens at six.\n\nRing twice.\n",
    "# Gate\n\nIt opens at five.\n\nRing twice.\n",
    "# Gate\n\nIt opens at seven.\n\nRing thrice.\n",
)
NOTICE = "conflict.notice"
NOTE, DOCUMENT = "notes/gate", "user-contributions/ada/docs/gate.md"


@dataclass(slots=True)
class Machine:
    """A machine of ada's: a workspace that stays open, and a shell on it."""

    name: str
    home: Path
    workspace: Workspace
    shell: Shell
    patch: pytest.MonkeyPatch

    def cli(self, *arguments: str) -> object:
        """The JSON document of a command line."""
        self.be()
        return self.shell.json(*arguments)

    def be(self) -> None:
        """From now on everything happens on this machine."""
        self.patch.setenv("BAILIWICK_HOME", str(self.home))
        self.patch.setattr(platform, "node", lambda: self.name)

    def file(self, text: str) -> str:
        """A file that holds ``text``."""
        path = self.home / "given"
        path.write_text(text)
        return str(path)

    def sync(self) -> int:
        """How much moved."""
        self.be()
        run = self.workspace.sync.sync_now("a test", approved=True)
        assert run.problem == ""
        return run.sent + run.received

    def put(self, key: str, value: JSONValue) -> None:
        """Write a state of scout's, ``GONE`` deletes."""
        states = self.workspace.agentfs.states
        if value is GONE:
            states.delete("scout", key, by=PERSON)
        else:
            kind = {"belief": Kind.ASSUMPTION}.get(key)
            states.put("scout", key, value, by=PERSON, kind=kind, critical=key == "budget" or None)

    def write(self, path: str, text: str) -> None:
        """Write a text, or a document."""
        agentfs = self.workspace.agentfs
        kind, data = Kind.DECISION, text.encode()
        if path == DOCUMENT:
            passages = tuple(Passage(f"Gate {n}", (), part, n + 1) for n, part in enumerate(text.split("\n\n")))
            kind, data = Kind.DOCUMENT, encode(DocumentContent("gate.md", "", "docs", "", "docs/gate.md", passages))
        with agentfs.database.transaction() as connection:
            agentfs.items.put(connection, ItemWrite(path, kind, "ada", data), by=PERSON)

    def contents(self) -> dict[str, str]:
        """The hash of everything that is the user's, by path; of documents without where they lie on a machine."""
        items = self.workspace.agentfs.items
        found = [each for each in items.own_changes_since("ada", 0, 10_000) if not each.deleted]
        return {each.path: sha256_hex(mergeable(each.kind, items.content(each)) or b"") for each in found}

    def all_records(self) -> list[ConflictRecord]:
        """Every conflict, the oldest first."""
        store = ConflictStore(self.workspace.agentfs)
        return [store.get(each.id) for each in store.all()]

    def records(self) -> dict[str, ConflictRecord]:
        """The latest conflict about each thing, of a state about its key."""
        return {each.path.rpartition("/state/")[2]: each for each in self.all_records()}

    def kept(self, key: str) -> list[JSONValue]:
        """Every value of a state of scout's that is in its history here, or in a conflict."""
        sides = [side for each in self.all_records() if each.path.endswith(f"/state/{key}") for side in each.sides]
        sides += [each.base for each in self.all_records() if each.path.endswith(f"/state/{key}") and each.base]
        return [*self.history(key), *(json.loads(side.content) for side in sides if side.content is not None)]

    def value(self, key: str) -> JSONValue:
        """What a state of scout's is now."""
        return self.workspace.agentfs.states.get("scout", key, by=PERSON).value

    def history(self, key: str) -> list[JSONValue]:
        """Every value that a state of scout's ever had here."""
        states = self.workspace.agentfs.states
        versions = [each.version for each in states.history("scout", key, by=PERSON) if each.sha256 is not None]
        return [states.value_at("scout", key, version, by=PERSON) for version in versions]


Pair = tuple[Machine, Machine]


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A remote that is empty."""
    if request.param == "folder":
        (tmp_path / "remote").mkdir()
        return str(tmp_path / "remote")
    made: Bucket = request.getfixturevalue("bucket")
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    return made.url


@pytest.fixture
def machines(
    tmp_path: Path, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pair]:
    """A laptop with an agent, and a desk that joined it."""
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    made = []
    for name in ("laptop", "desk"):
        home = tmp_path / name
        shell = shell_on(home / "workspace", capsys, monkeypatch)
        monkeypatch.setenv("BAILIWICK_HOME", str(home))
        workspace = Workspace(shell.root, load_settings(shell.root), role="a test", duties=None)
        made.append(Machine(name, home, workspace, shell, monkeypatch))
    laptop, desk = made
    laptop.workspace.agentfs.agents.register("scout", "research", owner="ada", by=PERSON)
    laptop.be()
    founded = laptop.workspace.sync.set_remote(url)
    desk.be()
    desk.workspace.sync.join(url, JoinWay.RECOVERY_CODE, founded.recovery_code)
    yield laptop, desk
    for each in made:
        assert each.workspace.agentfs.audit_check.verify().whole
        each.workspace.close()


def meet(*machines: Machine) -> None:
    """Sync in turn until nothing moves."""
    for _ in range(6):
        if not sum([each.sync() for each in machines]):
            return
    raise AssertionError("never quiet")


def differ(
    laptop: Machine,
    desk: Machine,
    keys: dict[str, tuple[JSONValue, JSONValue, JSONValue]],
    texts: tuple[str, ...] = (),
) -> None:
    """Both change every state of ``keys`` and the texts without the other, and meet again; the desk's came first."""
    for key, (base, _, _) in keys.items():
        if base is not GONE:
            laptop.put(key, base)
    for path in texts:
        laptop.write(path, GATE[0])
    meet(laptop, desk)
    for key, (_, here, there) in keys.items():
        laptop.put(key, here)
        desk.put(key, there)
    for path in texts:
        laptop.write(path, GATE[1])
        desk.write(path, GATE[2])
    meet(desk, laptop)


def rule(machine: Machine, conflict: str, choice: Choice) -> None:
    """As the pane does."""
    service = machine.workspace.conflicts
    done = service.apply(service.open(conflict).choose_open(choice), by=PERSON)
    assert isinstance(done, Applied)


def test_every_kind_of_conflict_is_ruled_on_and_both_machines_are_equal(machines: Pair) -> None:
    laptop, desk = machines
    differ(laptop, desk, STATES, (NOTE, DOCUMENT))

    found = laptop.records()
    assert found == desk.records()
    assert laptop.contents() == desk.contents()
    waits = {about for about, record in found.items() if record.status is ConflictStatus.OPEN}
    assert {*OPEN, NOTE, DOCUMENT} <= waits <= {*OPEN, *DELETED, NOTE, DOCUMENT}
    assert {about: record.reserved for about, record in found.items() if record.reserved} == {
        "belief": "assumption",
        "budget": "critical data",
    }
    settled = desk.workspace.agentfs.states.get("scout", "settled", by=PERSON).value
    assert settled == {"left": 2, "right": 2, "tags": ["l", "r"]}
    assert laptop.workspace.conflicts.count_open() == desk.workspace.conflicts.count_open() == len(waits)

    for number, about in enumerate(sorted(waits)):
        machine = (laptop, desk)[number // 2 % 2]
        if number % 2:
            machine.cli("conflicts", "resolve", found[about].id, "--take", "local", "--why", "by the shell")
        else:
            rule(machine, found[about].id, Choice.LOCAL)
    meet(desk, laptop)

    assert laptop.contents() == desk.contents()
    ruled = desk.records()
    assert ruled == laptop.records()
    for about in waits:
        outcome = ruled[about].outcome
        assert outcome is not None
        assert (ruled[about].status, outcome.by, outcome.who) == (ConflictStatus.RESOLVED, RuledBy.PERSON, "ada")
    for each in machines:
        assert each.cli("conflicts", "list") == {"conflicts": []}
        for key, values in STATES.items():
            assert all(value in each.kept(key) for value in values if value is not GONE)
    for key, values in {**OPEN, **DELETED}.items():
        kept = [json.loads(side.content) if side.content is not None else GONE for side in ruled[key].sides]
        assert all(value in kept for value in values[1:])
    kept_texts = {side.content for side in ruled[NOTE].sides}
    assert {GATE[1].encode(), GATE[2].encode()} <= kept_texts


one_remote = pytest.mark.parametrize("url", ["folder"], indirect=True)


@one_remote
def test_a_ruling_is_taken_back_and_one_by_rule_is_opened_again_on_the_other_machine(machines: Pair) -> None:
    laptop, desk = machines
    differ(laptop, desk, {"plan": OPEN["plan"], "settled": MERGED["settled"]})
    plan, settled = (laptop.records()[about].id for about in ("plan", "settled"))
    stood = laptop.value("plan")
    rule(laptop, plan, Choice.LOCAL)
    meet(laptop, desk)
    ruled = desk.value("plan")
    assert ruled == {"owner": "scout", "step": 2, "at": "night"}

    desk.cli("conflicts", "undo", plan)
    desk.cli("conflicts", "reopen", settled)
    meet(desk, laptop)
    for each in machines:
        assert each.value("plan") == stood
        assert {about: record.status for about, record in each.records().items()} == {
            "plan": ConflictStatus.OPEN,
            "settled": ConflictStatus.OPEN,
        }
        assert ruled in each.history("plan")
    laptop.cli("conflicts", "resolve", settled, "--path", "left", "--take", "remote")
    rule(laptop, plan, Choice.REMOTE)
    meet(laptop, desk)
    for each in machines:
        assert each.value("settled") == {"left": 1, "right": 2, "tags": ["l", "r"]}
        assert each.workspace.conflicts.count_open() == 0
    assert laptop.contents() == desk.contents()


@one_remote
def test_both_machines_tell_a_ruling_from_their_own_side(machines: Pair) -> None:
    laptop, desk = machines
    differ(laptop, desk, {"plan": OPEN["type"], "other": OPEN["plan"]})
    found = laptop.records()
    done = desk.cli("conflicts", "resolve", found["plan"].id, "--take", "local")
    assert isinstance(done, dict)
    assert (done["outcome"]["took"], done["outcome"]["why"]) == ("local", "1 of desk.")
    rule(laptop, found["other"].id, Choice.LOCAL)
    meet(desk, laptop)
    for each, took in ((desk, Took.LOCAL), (laptop, Took.REMOTE)):
        shown = each.workspace.conflicts.open(found["plan"].id)
        (listed,) = [summary for summary in each.workspace.conflicts.all() if summary.id == shown.id]
        for view in (shown, listed):
            assert view.outcome is not None
            assert (view.local.is_here, view.remote.is_here, view.outcome.took) == (True, False, took)
    other = desk.records()["other"].outcome
    assert other is not None
    assert other.why == "2 of laptop, 1 by themselves."


@one_remote
def test_two_rulings_at_once_end_in_one_and_a_notice(machines: Pair) -> None:
    laptop, desk = machines
    differ(laptop, desk, {"plan": OPEN["plan"]})
    (record,) = laptop.records().values()
    rule(laptop, record.id, Choice.LOCAL)
    desk.cli("conflicts", "resolve", record.id, "--take", "local")
    rulings = [laptop.value("plan"), desk.value("plan")]
    assert rulings[0] != rulings[1]
    meet(desk, laptop)
    assert laptop.value("plan") == desk.value("plan")
    assert laptop.value("plan") in rulings
    assert laptop.contents() == desk.contents()
    (held,) = laptop.all_records()
    assert (held.id, held.status) == (record.id, ConflictStatus.RESOLVED)
    loser = laptop if laptop.value("plan") == rulings[1] else desk
    (told,) = [each for each in loser.workspace.agentfs.messages.inbox("person", by=PERSON) if each.type == NOTICE]
    assert record.id in json.dumps(told.content)
    for each in machines:
        assert each.workspace.conflicts.all(ConflictStatus.OPEN) == []
        assert all(value in (*each.kept("plan"), *held.overruled) for value in rulings)


@one_remote
def test_what_is_changed_while_it_is_ruled_on_elsewhere_is_not_lost(machines: Pair) -> None:
    laptop, desk = machines
    differ(laptop, desk, {"plan": OPEN["plan"]})
    (record,) = laptop.records().values()
    rule(laptop, record.id, Choice.LOCAL)
    later: JSONValue = {"owner": "nobody", "step": 9}
    desk.put("plan", later)
    meet(laptop, desk)
    assert laptop.contents() == desk.contents()
    for each in machines:
        assert all(value in each.kept("plan") for value in (*OPEN["plan"], later))
    (waits,) = laptop.workspace.conflicts.all(ConflictStatus.OPEN)
    desk.cli("conflicts", "resolve", waits.id, "--file", desk.file('{"step": 10}'))
    meet(desk, laptop)
    assert laptop.value("plan") == desk.value("plan") == {"step": 10}
    assert laptop.contents() == desk.contents()
    assert laptop.workspace.conflicts.count_open() == 0
