"""The audit pane on a real AgentFS: records, filters, and the verdicts on trails that somebody changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from agent_data import acting
from driving import running, type_text, until
from fake_workspace import FakeWorkspace
from message_data import talk
from textual.pilot import Pilot

from core.agent_model import AuditVerdict
from core.agentfs.agentfs import AgentFS
from core.errors import WorkspaceUnusable
from core.events import AgentsChanged, AuditGrew
from tui.app import BailiwickApp
from tui.panes.audit import AuditPane
from tui.screens.fields import FieldsScreen
from tui.widgets.cards import Card
from tui.widgets.facts import Facts
from tui.widgets.json_view import JsonView

NARROW = (80, 24)
WIDE = (160, 48)
Tampering = Callable[[sqlite3.Connection], object]


class Trail:
    """A running dashboard at the audit pane."""

    def __init__(self, workspace: FakeWorkspace, app: BailiwickApp, pilot: Pilot[None]) -> None:
        self.workspace, self.app, self.pilot = workspace, app, pilot
        self.pane = app.query_one(AuditPane)
        self.log = self.pane.log_view

    @property
    def lines(self) -> list[str]:
        region = self.log.scrollable_content_region
        strips = self.app.screen._compositor.render_strips()
        return [strip.crop(region.x, region.right).text.rstrip() for strip in strips[region.y : region.bottom]]

    @property
    def head(self) -> str:
        return self.pane.head.text

    @property
    def verdict(self) -> str:
        return str(self.pane.verdict_line.content)

    @property
    def facts(self) -> str:
        return self.pane.query_one(Facts).text

    @property
    def newest(self) -> int:
        return self.workspace.agentfs.audit.head()[0]

    def grow(self) -> None:
        """Add a record and tell of it."""
        agentfs = self.workspace.agentfs
        agentfs.audit.record(self.workspace.person, "search.run", "abc")
        self.workspace.bus.publish(AuditGrew(self.newest))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def verify(self) -> None:
        await self.press("v")
        await until(lambda: "verifying" not in self.verdict and "not verified" not in self.verdict, "the verdict")
        await self.pilot.pause()

    async def choose(self, **texts: str) -> None:
        """Fill in the filter dialog."""
        await self.press("f")
        await until(lambda: isinstance(self.app.screen, FieldsScreen), "the dialog")
        for name, text in texts.items():
            setattr(self.app.screen.query_one(f"#field-{name}"), "value", text)  # noqa: B010 - of an Input
        await self.press("enter")
        await until(lambda: "filtering" not in self.head, "the filter")
        await self.pilot.pause()


@asynccontextmanager
async def auditing(size: tuple[int, int] = NARROW, agentfs: AgentFS | None = None) -> AsyncIterator[Trail]:
    workspace = FakeWorkspace()
    if agentfs is None:
        talk(workspace.agentfs)
    else:
        workspace._agentfs = agentfs
    async with running(workspace, size) as (app, pilot):
        await pilot.press("escape", "escape", "7")
        trail = Trail(workspace, app, pilot)
        await until(lambda: trail.log.count > 0 and bool(trail.pane.people.names), "the records")
        await pilot.pause()
        yield trail


def tampered(folder: Path, tamper: Tampering) -> AgentFS:
    """A workspace's copy in which somebody changed the trail behind its back."""
    original = AgentFS(folder / "original")
    talk(original)
    original.close()
    shutil.copytree(folder / "original", folder / "copy")
    with sqlite3.connect(folder / "copy" / "agentfs.db") as connection:
        guards = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in guards:
            connection.execute(f"DROP TRIGGER {name}")
        tamper(connection)
        for _, text in guards:
            connection.execute(text)
    connection.close()
    return AgentFS(folder / "copy")


async def test_a_line_tells_who_did_what_through_which_door() -> None:
    async with auditing(WIDE) as trail:
        await trail.press("z", "home")
        await trail.pilot.pause()
        text = "\n".join(trail.lines)
        assert "agent.register       planner" in text
        assert "engine" in text
        assert "reviewer?" in text
        assert "hook" in text
        assert "message.delivered" in text
        assert "→ coder" in text
        assert "journal 1" in text
        assert "ada" in text
        assert trail.log.count == trail.newest


async def test_the_detail_has_every_field_and_the_details_as_json() -> None:
    async with auditing() as trail:
        await trail.press("home", "enter")
        assert isinstance(trail.app.focused, JsonView)
        record = trail.workspace.agentfs.audit.page(1, 1)[0]
        for text in (
            record.hash,
            record.device,
            record.door,
            "agent.register",
            "Subject   planner",
            "Actor     person",
        ):
            assert text in trail.facts
        assert record.subject in trail.facts
        screen = "\n".join(strip.text for strip in trail.app.screen._compositor.render_strips())
        assert '"type": "research"' in screen
        await trail.press("escape")
        assert trail.app.focused is trail.log


async def test_it_follows_counts_what_is_newer_and_can_be_frozen() -> None:
    async with auditing() as trail:
        before = trail.log.count
        trail.grow()
        await until(lambda: trail.log.count == before + 1, "the new record")
        await trail.press("up")
        trail.grow()
        trail.grow()
        await until(lambda: "▼ 2 newer, End" in trail.head, "the count")
        await trail.press("end", "space")
        trail.grow()
        await until(lambda: trail.pane.newer == 1, "the count")
        assert trail.log.count == before + 3
        await trail.press("space")
        await until(lambda: trail.log.count == before + 4, "the held record")


async def test_a_hidden_pane_reads_nothing_and_catches_up_when_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with auditing() as trail:
        await trail.press("6")
        audit = trail.workspace.agentfs.audit
        before, read, at = trail.log.count, list[object](), audit.at
        monkeypatch.setattr(audit, "at", lambda positions: read.append(positions) or at(positions))
        trail.grow()
        await trail.pilot.pause(0.4)
        assert read == []
        await trail.press("7")
        await until(lambda: trail.log.count == before + 1, "the new record")


async def test_filters_pile_up_and_esc_peels_them_one_at_a_time() -> None:
    async with auditing() as trail:
        everything = trail.log.count
        await trail.choose(actor="coder")
        assert "records › actor coder" in trail.head
        coders = trail.log.count
        assert 0 < coders < everything
        await trail.choose(actor="coder", action="message.send")
        assert "› action message.send" in trail.head
        sent = trail.log.count
        assert 0 < sent < coders
        await trail.press("s")
        await until(lambda: trail.log.count == 1, "the subject's records")
        for count in (sent, coders, everything):
            await trail.press("escape")
            await until(lambda count=count: trail.log.count == count, "a filter less")
        assert "all records" in trail.head


async def test_an_action_may_end_with_the_dot_before_what_is_left_open() -> None:
    async with auditing() as trail:
        await trail.choose(action="message.")
        assert "› action message" in trail.head
        assert trail.log.count > 0


@pytest.mark.parametrize(("actor", "kind"), [("engine", "engine"), ("you", "person"), ("ada", "person")])
async def test_the_engine_and_the_person_can_be_filtered_for(actor: str, kind: str) -> None:
    async with auditing() as trail:
        await trail.choose(actor=actor)
        lines = [line for line in trail.lines if line]
        assert 0 < len(lines) == trail.log.count
        audit = trail.workspace.agentfs.audit
        positions = [int(line.lstrip("▌").split()[0]) for line in lines]
        assert {record.actor_kind for record in audit.at(positions)} == {kind}


async def test_a_filtered_trail_takes_in_what_matches() -> None:
    async with auditing() as trail:
        await trail.choose(action="search")
        assert trail.log.count == 0
        assert "Nothing matches" in str(trail.log.empty)
        trail.grow()
        await until(lambda: trail.log.count == 1, "the new record")


async def test_a_whole_trail_gets_two_verdicts() -> None:
    async with auditing() as trail:
        assert "not verified yet · v verifies" in trail.verdict
        records = trail.newest
        await trail.verify()
        assert "integrity ✓ whole  completeness ✓ whole" in trail.verdict
        assert f"{records} records at" in trail.verdict
        assert trail.pane.badge() == ""
        assert not trail.pane.check_action("bad_record", ())


async def test_verifying_blocks_nothing_and_does_not_run_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async with auditing() as trail:
        gate, runs = threading.Event(), list[int]()

        def slowly() -> AuditVerdict:
            runs.append(1)
            gate.wait(10)
            return AuditVerdict((), (), 7)

        monkeypatch.setattr(trail.workspace.agentfs.audit_check, "verify", slowly)
        await trail.press("v")
        await until(lambda: "verifying …" in trail.verdict, "the beginning")
        await trail.press("v", "home")
        await trail.pane.run_action("verify")
        assert trail.log.cursor == 0
        gate.set()
        await until(lambda: "7 records" in trail.verdict, "the verdict")
        assert runs == [1]


async def test_a_changed_record_breaks_integrity_and_b_goes_there(tmp_path: Path) -> None:
    copy = tampered(tmp_path, lambda db: db.execute("UPDATE audit SET door = 'forged' WHERE position = 9"))
    async with auditing(agentfs=copy) as trail:
        await trail.choose(actor="planner")
        await trail.verify()
        assert "integrity    ✗ Record 9 was changed" in trail.verdict
        assert "completeness ✓ whole" in trail.verdict
        assert f"{trail.newest} records at" in trail.verdict
        assert trail.pane.badge() == "✗"
        await trail.press("b")
        assert trail.pane.chosen == []
        assert trail.log.cursor == 8
        assert "forged" in trail.facts


async def test_enter_on_the_verdict_goes_to_the_bad_record(tmp_path: Path) -> None:
    copy = tampered(tmp_path, lambda db: db.execute("UPDATE audit SET actor = 'mallory' WHERE position = 5"))
    async with auditing(agentfs=copy) as trail:
        await trail.verify()
        trail.pane.verdict_line.focus()
        await trail.press("enter")
        assert trail.log.cursor == 4
        assert trail.app.focused is trail.log


async def test_a_missing_record_breaks_completeness_and_shows_as_a_gap(tmp_path: Path) -> None:
    copy = tampered(tmp_path, lambda db: db.execute("DELETE FROM audit WHERE position IN (10, 11)"))
    async with auditing(agentfs=copy) as trail:
        await trail.verify()
        assert "completeness ✗ Records 10 to 11 are missing." in trail.verdict
        assert "and 1 more" in trail.verdict
        await trail.press("b")
        assert trail.log.cursor == 9
        gaps = [line for line in trail.lines if "✗ this record is missing" in line]
        assert [int(line.lstrip("▌").split()[0]) for line in gaps] == [10, 11]
        assert "10 is missing" in trail.facts
        assert trail.pane.copy_text() == ""
        await trail.press("b")
        assert trail.log.cursor == trail.log.count - 1


async def test_a_trail_cut_off_at_its_end_goes_to_the_last_that_is_left(tmp_path: Path) -> None:
    copy = tampered(tmp_path, lambda db: db.execute("DELETE FROM audit WHERE position > 12"))
    async with auditing(agentfs=copy) as trail:
        await trail.verify()
        assert "✗ Records 13 to" in trail.verdict
        await trail.press("b")
        assert trail.log.cursor == 11


@pytest.mark.parametrize("statement", ["details = '{broken'", "at = 'yesterday'", "details = x'ff00'"])
async def test_a_record_that_cannot_be_read_shows_as_such_and_the_others_stay(tmp_path: Path, statement: str) -> None:
    copy = tampered(tmp_path, lambda db: db.execute(f"UPDATE audit SET {statement} WHERE position = 6"))  # noqa: S608
    async with auditing(agentfs=copy) as trail:
        await trail.press("home")
        await trail.pilot.pause()
        assert "✗ this record cannot be read" in trail.lines[5]
        assert "agent.register" in trail.lines[0]
        await trail.verify()
        assert "✗ Record 6" in trail.verdict


async def test_what_cannot_be_verified_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    async with auditing() as trail:

        def fail() -> AuditVerdict:
            raise WorkspaceUnusable("The file is damaged.", "Restore it.")

        monkeypatch.setattr(trail.workspace.agentfs.audit_check, "verify", fail)
        await trail.press("v")
        await until(lambda: "✗ not verified: The file is damaged. Restore it." in trail.verdict, "the reason")
        assert trail.pane.check_action("verify", ())


async def test_a_hostile_record_is_shown_as_text() -> None:
    async with auditing() as trail:
        agentfs = trail.workspace.agentfs
        coder = acting(agentfs.agents.get("coder").id)
        agentfs.audit.record(coder, "state.put\x1b[31m", "sub\nject\x1b]0;x\x07", {"k\x1b": ["\x9b31m" * 500]})
        trail.workspace.bus.publish(AuditGrew(trail.newest))
        await until(lambda: trail.log.count == trail.newest, "the record")
        await trail.press("enter")
        for strip in trail.app.screen._compositor.render_strips():
            assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 for each in strip.text)


async def test_the_card_tells_the_verdict_and_the_newest_record(tmp_path: Path) -> None:
    copy = tampered(tmp_path, lambda db: db.execute("UPDATE audit SET door = 'forged' WHERE position = 9"))
    async with auditing(WIDE, copy) as trail:
        await trail.press("6")
        card = trail.app.query_one("#card-audit", Card)
        await until(lambda: "not verified yet" in str(card.content), "the card")
        trail.grow()
        await until(lambda: "ada search.run" in str(card.content), "the newest record")
        await trail.press("7")
        await trail.verify()
        await trail.press("6")
        await until(lambda: "✗ integrity broken, first at record 9" in str(card.content), "the verdict")


async def test_names_are_learnt_and_records_copied_as_json() -> None:
    async with auditing() as trail:
        agentfs = trail.workspace.agentfs
        agentfs.agents.register("tester", "poc", owner="ada", by=trail.workspace.person)
        trail.workspace.bus.publish(AuditGrew(trail.newest))
        trail.workspace.bus.publish(AgentsChanged())
        await until(lambda: any("agent.admit" in line and "tester" in line for line in trail.lines), "the new name")
        copied = json.loads(trail.pane.copy_text())
        assert copied["position"] == trail.newest
        assert copied["action"] == "agent.admit"


async def test_an_unknown_subject_matches_nothing_and_typing_completes_nothing_by_itself() -> None:
    async with auditing() as trail:
        await trail.press("f", "tab", "tab")
        await type_text(trail.pilot, "zzz")
        await trail.press("enter")
        await until(lambda: trail.log.count == 0, "no record")
        await trail.press("escape")
        await until(lambda: trail.log.count == trail.newest, "all records")
