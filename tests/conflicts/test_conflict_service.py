"""Ruling on conflicts: drafts, one transaction, what moved meanwhile, taking back, and many at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from conflicts.set_aside import DESK, LAPTOP, PERSON, USER, Bench, open_bench, side

from core.agent_model import Actor, ActorKind
from core.conflicts.arbitration import Arbitration, DraftState
from core.conflicts.merging.decisions import Choice
from core.conflicts.outcomes import RuledBy, Took
from core.conflicts.records import ConflictStatus
from core.conflicts.service import ConflictService
from core.conflicts.summaries import Applied, Moved, Refused
from core.content_format import decode, encode
from core.errors import InvalidInput, Locked, NotFound
from core.model import DocumentContent, Kind, Passage, Sensitivity

PATH = "notes/lamp"
BASE = b"one\ntwo\nthree\nfour\nfive\n"
LOCAL = b"one\nTWO\nthree\nfour\nFIVE\n"
REMOTE = b"one\ntwo!\nthree\nfour\nfive!\n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path / "workspace")
    yield made
    assert made.agentfs.audit_check.verify().whole
    made.agentfs.close()


def applied(bench: Bench, arbitration: Arbitration) -> Applied:
    done = bench.service.apply(arbitration, by=PERSON)
    assert isinstance(done, Applied)
    return done


def test_what_is_chosen_place_by_place_holds_and_is_told(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    arbitration = bench.service.open(conflict)
    assert (arbitration.local.stands, arbitration.remote.stands) == (False, True)
    assert (arbitration.local.added, arbitration.local.removed) == (2, 2)
    assert arbitration.problem() == "2 places are open still."
    with pytest.raises(InvalidInput, match="2 places are open"):
        bench.service.apply(arbitration, by=PERSON)
    first, second = arbitration.open
    arbitration = arbitration.choose([first], Choice.LOCAL).choose([second], Choice.BOTH_REMOTE_FIRST)
    done = applied(bench, arbitration)
    assert bench.read(PATH) == b"one\nTWO\nthree\nfour\nfive!\nFIVE\n"
    assert (done.changed, done.outcome.by, done.outcome.took) == (True, RuledBy.PERSON, Took.CHOSEN)
    assert bench.service.all(ConflictStatus.OPEN) == []
    (summary,) = bench.service.all()
    assert summary.outcome == done.outcome
    record = bench.service.record(conflict)
    assert {record.local.content, record.remote.content} == {LOCAL, REMOTE}
    told = [each.action for each in bench.agentfs.audit.page(1, 99) if each.subject == conflict]
    assert sorted(told) == ["conflict.open", "conflict.rule"]


@pytest.mark.parametrize(
    ("choice", "took", "result"),
    [(Choice.LOCAL, Took.LOCAL, LOCAL), (Choice.REMOTE, Took.REMOTE, REMOTE), (Choice.BASE, Took.BASE, BASE)],
)
def test_one_side_can_be_taken_whole(bench: Bench, choice: Choice, took: Took, result: bytes) -> None:
    arbitration = bench.service.open(bench.conflict(PATH, BASE, LOCAL, REMOTE)).choose_open(choice)
    assert applied(bench, arbitration).outcome.took is took
    assert bench.read(PATH) == result


def test_a_draft_outlives_the_process_and_the_ruling(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    arbitration = bench.service.open(conflict)
    arbitration = arbitration.choose([arbitration.open[0]], Choice.CUSTOM, "by hand\n")
    bench.service.save_draft(arbitration)
    anew = ConflictService(bench.agentfs, USER)
    (summary,) = anew.all()
    assert (summary.has_draft, summary.open, summary.places) == (True, 1, 2)
    restored = anew.open(conflict[:6])
    assert (restored.draft, restored.decisions) == (DraftState.KEPT, arbitration.decisions)
    applied(bench, restored.choose_open(Choice.REMOTE))
    assert bench.read(PATH) == b"one\nby hand\nthree\nfour\nfive!\n"
    assert bench.service.undo_applied(conflict, by=PERSON).changed
    assert bench.read(PATH) == REMOTE
    again = bench.service.open(conflict)
    assert (again.status, again.open, again.counts.custom) == (ConflictStatus.OPEN, (), 1)


def test_what_moved_meanwhile_is_open_again_and_nothing_else(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    arbitration = bench.service.open(conflict).choose_open(Choice.LOCAL)
    bench.service.save_draft(arbitration)
    bench.put(PATH, REMOTE.replace(b"five!", b"five!!"))
    moved = bench.service.apply(arbitration, by=PERSON)
    assert isinstance(moved, Moved)
    assert bench.read(PATH) == REMOTE.replace(b"five!", b"five!!")
    first, second = (each for each in moved.arbitration.decisions if each.local != each.base)
    assert (first.choice, second.choice, moved.reopened) == (Choice.LOCAL, Choice.UNRESOLVED, 1)
    opened = bench.service.open(conflict)
    assert (opened.decisions, opened.others) == (moved.arbitration.decisions, 1)
    applied(bench, opened.choose_open(Choice.REMOTE))
    assert bench.read(PATH) == b"one\nTWO\nthree\nfour\nfive!!\n"
    assert REMOTE in {each.content for each in bench.service.record(conflict).sides}


def test_a_draft_over_a_side_that_moved_says_what_is_open_again(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    bench.service.save_draft(bench.service.open(conflict).choose_open(Choice.LOCAL))
    bench.put(PATH, REMOTE.replace(b"five!", b"5"))
    opened = bench.service.open(conflict)
    assert (opened.draft, opened.reopened) == (DraftState.STALE, opened.open)
    assert len(opened.open) == 1


def test_who_rules_second_is_told_of_the_first(bench: Bench) -> None:
    arbitration = bench.service.open(bench.conflict(PATH, BASE, LOCAL, REMOTE))
    applied(bench, arbitration.choose_open(Choice.LOCAL))
    second = bench.service.apply(arbitration.choose_open(Choice.BASE), by=PERSON)
    assert isinstance(second, Moved)
    assert second.arbitration.outcome is not None
    assert (second.arbitration.status, second.arbitration.outcome.took) == (ConflictStatus.RESOLVED, Took.LOCAL)
    assert bench.read(PATH) == LOCAL


def test_what_an_agent_rules_leaves_the_person_their_draft(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    mine = bench.service.open(conflict).choose_open(Choice.BASE)
    bench.service.save_draft(mine)
    arbitration = mine.choose(range(len(mine.decisions)), Choice.REMOTE)
    ruled = bench.service.apply(arbitration, by=Actor(ActorKind.AGENT, "an-agent", "mcp"))
    assert isinstance(ruled, Applied)
    assert ruled.outcome.by is RuledBy.AGENT
    bench.service.undo_applied(conflict, by=PERSON)
    assert bench.service.open(conflict).decisions == mine.decisions


def test_a_ruling_is_taken_back_only_while_it_stands(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    with pytest.raises(InvalidInput, match="nothing was ruled"):
        bench.service.undo_applied(conflict, by=PERSON)
    applied(bench, bench.service.open(conflict).choose_open(Choice.LOCAL))
    bench.put(PATH, b"something else\n")
    with pytest.raises(InvalidInput, match="changed since"):
        bench.service.undo_applied(conflict, by=PERSON)
    reopened = bench.service.reopen(conflict, by=PERSON)
    assert (reopened.status, reopened.remote.stands) == (ConflictStatus.OPEN, True)
    assert reopened.versions[2] == b"something else\n"
    with pytest.raises(InvalidInput, match="is open"):
        bench.service.reopen(conflict, by=PERSON)


def test_what_was_ruled_is_opened_again_with_the_sides_it_had(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    arbitration = bench.service.open(conflict)
    applied(bench, arbitration.choose([arbitration.open[0]], Choice.LOCAL).choose_open(Choice.REMOTE))
    reopened = bench.service.reopen(conflict, by=PERSON)
    assert reopened.versions == (BASE, LOCAL, REMOTE)
    applied(bench, reopened.choose([each for each, _ in enumerate(reopened.decisions)], Choice.REMOTE))
    assert bench.read(PATH) == REMOTE
    assert len(bench.service.record(conflict).overruled) == 1


def test_a_deletion_is_a_side(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, None, REMOTE)
    arbitration = bench.service.open(conflict)
    assert arbitration.local.is_deleted
    applied(bench, arbitration.choose_open(Choice.LOCAL))
    assert bench.read(PATH) is None
    bench.service.undo_applied(conflict, by=PERSON)
    assert bench.read(PATH) == REMOTE


def test_what_is_deleted_while_it_is_open_can_come_back(bench: Bench) -> None:
    conflict = bench.conflict(PATH, BASE, LOCAL, REMOTE)
    bench.delete(PATH)
    arbitration = bench.service.open(conflict)
    assert (arbitration.remote.is_deleted, arbitration.remote.stands) == (True, True)
    applied(bench, arbitration.choose_open(Choice.LOCAL))
    assert bench.read(PATH) == LOCAL


def test_sides_are_named_from_where_one_sits(bench: Bench) -> None:
    here = bench.agentfs.device
    bench.put(PATH, REMOTE)
    conflict = bench.open(PATH, side(BASE), side(LOCAL, DESK), side(REMOTE, here), "assumption")
    arbitration = bench.service.open(conflict)
    assert (arbitration.local.is_here, arbitration.local.stands) == (True, True)
    assert arbitration.versions == (BASE, REMOTE, LOCAL)
    applied(bench, arbitration.choose_open(Choice.LOCAL))
    assert (bench.read(PATH), bench.service.record(conflict).outcome.took) == (REMOTE, Took.REMOTE)  # type: ignore[union-attr]


def test_a_state_is_ruled_on_by_place_and_stays_json(bench: Bench) -> None:
    scout = bench.agentfs.agents.register("scout", "research", owner=USER, by=PERSON).agent
    path = f"agents/{scout.id}/state/plan"
    values = [{"step": 1, "tasks": [{"id": 7, "is": "open"}]}, {"step": 2, "tasks": [{"id": 7, "is": "done"}]}]
    values.append({"step": 3, "tasks": [{"id": 7, "is": "open"}], "more": True})
    base, local, remote = (json.dumps(each, sort_keys=True, separators=(",", ":")).encode() for each in values)
    for value in (values[0], values[2]):
        bench.agentfs.states.put("scout", "plan", value, by=PERSON)
    conflict = bench.open(path, side(base), side(local, LAPTOP), side(remote, DESK), "research_finding")
    arbitration = bench.service.open(conflict)
    assert [arbitration.decisions[each].path for each in arbitration.open] == ["step"]
    with pytest.raises(InvalidInput, match="column 1"):
        arbitration.checked("two", arbitration.open[0])
    custom = arbitration.checked('"two"', arbitration.open[0])
    applied(bench, arbitration.choose(arbitration.open, Choice.CUSTOM, custom))
    state = bench.agentfs.states.get("scout", "plan")
    assert state.value == {"step": "two", "tasks": [{"id": 7, "is": "done"}], "more": True}
    assert state.version == 3
    assert [each.id for each in bench.service.about(scout.id)] == []


def test_a_document_is_ruled_on_as_text(bench: Bench) -> None:
    def document(*texts: str) -> bytes:
        passages = tuple(Passage("Lamp", ("Lamp",), text, 3 + number) for number, text in enumerate(texts))
        return encode(DocumentContent("Lamp", "", "", "", "/home/mara/lamp.md", passages, {"path": "lamp.md"}))

    base, local, remote = document("It is on.", "§ 1"), document("It is dim.", "§ 1"), document("It is off.", "§ 1")
    conflict = bench.conflict("documents/lamp", base, local, remote, kind=Kind.DOCUMENT)
    arbitration = bench.service.open(conflict)
    assert "\\§ 1\n" in arbitration.result_text()
    applied(bench, arbitration.choose(arbitration.open, Choice.CUSTOM, "It is dim, then off.\n"))
    held = decode(bench.read("documents/lamp") or b"")
    assert [(each.text, each.line) for each in held.passages] == [("It is dim, then off.", 1), ("§ 1", 4)]
    assert held.source == "/home/mara/lamp.md"


def test_what_is_secret_is_drafted_under_seal_and_listed_while_locked(bench: Bench, tmp_path: Path) -> None:
    secret = b"token ghp_" + b"aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5" + b"\n"
    conflict = bench.conflict(PATH, b"token\n", secret, b"token none\n", found=Sensitivity.SECRET)
    arbitration = bench.service.open(conflict)
    bench.service.save_draft(arbitration.choose(arbitration.open, Choice.CUSTOM, secret.decode()))
    for file in (tmp_path / "workspace").rglob("*"):
        assert not file.is_file() or b"aB3dE5gH7jK9mN1pQ3s" not in file.read_bytes()
    bench.agentfs.keys.lock()
    (summary,) = bench.service.all()
    assert (summary.is_sealed, summary.places) == (True, 0)
    with pytest.raises(Locked):
        bench.service.open(conflict)


def test_many_are_shown_before_and_ruled_each_by_itself(bench: Bench) -> None:
    first = bench.conflict("notes/a", BASE, LOCAL, REMOTE)
    second = bench.conflict("notes/b", b"x\n", b"y\n", b"z\n")
    settled = bench.conflict("notes/c", b"x\n", b"y\n", b"z\n")
    applied(bench, bench.service.open(settled).choose_open(Choice.LOCAL))
    every = [first, second, settled, "nothing"]
    previews = bench.service.preview_many(every, Took.LOCAL)
    assert [(each.after, each.loses, bool(each.refused)) for each in previews[:2]] == [
        (LOCAL.decode(), 2, False),
        ("y\n", 1, False),
    ]
    assert all(each.refused for each in previews[2:])
    assert bench.read("notes/a") == REMOTE
    told: list[tuple[int, int]] = []
    done = bench.service.resolve_many(every, Took.LOCAL, by=PERSON, progress=lambda *at: told.append(at))
    assert [isinstance(each, Refused) for each in done] == [False, False, True, True]
    assert (bench.read("notes/a"), bench.read("notes/b"), told[-1]) == (LOCAL, b"y\n", (4, 4))
    bench.service.undo_applied(second, by=PERSON)
    assert bench.read("notes/b") == b"z\n"


def test_there_are_sentences_for_what_there_is_not(bench: Bench) -> None:
    with pytest.raises(NotFound, match="no conflict abcd"):
        bench.service.open("abcd")
