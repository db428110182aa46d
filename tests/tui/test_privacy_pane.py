"""The privacy pane on a real AgentFS: rules, what would leave, shares, refusals, and the recovery code."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from agent_data import acting
from driving import running, type_text, until
from fake_workspace import FakeWorkspace
from privacy_data import CANARY, TEAM, protect
from textual.pilot import Pilot
from textual.widgets import Input, Static

from core.agent_model import AuditFilters
from core.crypto.openers import open_by_recovery_code
from core.crypto.secret import Secret
from core.errors import AccessDenied
from core.events import AuditGrew
from tui.app import BailiwickApp
from tui.panes import privacy_reading
from tui.panes.privacy import PrivacyPane
from tui.panes.privacy_reading import read_leaving, read_receivers
from tui.screens.confirm import ConfirmScreen
from tui.screens.explanation import CaughtScreen, ExplanationScreen
from tui.screens.recovery_code import RecoveryCodeScreen
from tui.screens.share import ShareScreen
from tui.widgets.cards import Card
from tui.widgets.facts import Facts

WIDE = (160, 48)


class Watch:
    """A running dashboard at the privacy pane."""

    def __init__(self, workspace: FakeWorkspace, app: BailiwickApp, pilot: Pilot[None]) -> None:
        self.workspace, self.app, self.pilot = workspace, app, pilot
        self.pane = app.query_one(PrivacyPane)

    @property
    def rows(self) -> list[str]:
        return [str(option.prompt) for option in self.pane.rows.options]

    @property
    def facts(self) -> str:
        return self.pane.query_one(Facts).text

    @property
    def foot(self) -> str:
        return self.text("#privacy-foot")

    def text(self, selector: str) -> str:
        return str(self.app.screen.query_one(selector, Static).content)

    def row(self, *words: str) -> str:
        """The row that has all ``words``, and only that one."""
        (found,) = [row for row in self.rows if all(word in row for word in words)]
        return found

    def go_to(self, *words: str) -> None:
        self.pane.rows.highlighted = self.rows.index(self.row(*words))

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def dialog(self, kind: type) -> None:
        await until(lambda: isinstance(self.app.screen, kind) and self.app.screen.is_mounted, kind.__name__)
        await self.pilot.pause()

    async def closed(self) -> None:
        await until(lambda: len(self.app.screen_stack) == 1, "the dialog to close")

    async def would_leave(self, audience: str) -> None:
        """Show what an audience would get."""
        await self.press("right_square_bracket")
        await until(lambda: bool(self.pane.receiver_list.options), "the audiences")
        self.pane.receiver_list.go_to(audience)
        await until(lambda: getattr(self.pane.contents.left, "receiver", None) is self.pane.contents.receiver, "it")
        await self.press("tab")


@asynccontextmanager
async def watching(size: tuple[int, int] = (80, 24), *, empty: bool = False) -> AsyncIterator[Watch]:
    workspace = FakeWorkspace()
    workspace.teams = (TEAM,)
    if not empty:
        protect(workspace.agentfs)
    async with running(workspace, size) as (app, pilot):
        await pilot.press("escape", "escape", "8")
        watch = Watch(workspace, app, pilot)
        await until(lambda: watch.pane.contents.boundaries is not None, "the rules")
        await pilot.pause()
        yield watch


async def test_the_rules_tell_what_each_pattern_catches_and_enter_lists_it() -> None:
    async with watching() as watch:
        assert "2 because of a secret, 1 because of a pattern; 3 sealed; of 8 items" in watch.facts
        assert "2 items; 1 item kept from a team" in watch.facts
        assert "anonymous" in watch.row("research_findings", "sharing an item may go further")
        assert "private" in watch.row("implementation_logs", "sharing goes no further")
        assert "defaults, line 18" in watch.row("api_keys", "matches nothing")
        watch.go_to("credentials", "catches 1 item")
        await watch.press("enter")
        await watch.dialog(CaughtScreen)
        shown = [str(each.content) for each in watch.app.screen.query(Static)]
        assert "agents/planner/state/credentials/db" in shown
        assert any("privacy_config.yml, line 19" in each for each in shown)
        await watch.press("escape", "slash")
        await type_text(watch.pilot, "ssh")
        await watch.press("enter")
        assert [row.split()[0] for row in watch.rows] == ["ssh_keys"]
        await watch.press("escape")
        assert len(watch.rows) > 10


async def test_what_would_leave_is_counted_listed_and_explained() -> None:
    async with watching() as watch:
        await watch.would_leave("public")
        assert "everybody" in watch.facts
        assert "1 whole · 0 redacted · 0 sealed · 7 refused" in watch.facts
        await watch.press("escape")
        watch.pane.receiver_list.go_to(f"team:{TEAM}")
        await until(lambda: "2 whole · 1 redacted · 0 sealed · 5 refused" in watch.facts, "the team")
        await watch.press("tab")
        watch.go_to("redacted", "planner/plan/today", "sharing_control")
        await until(lambda: "research_findings are anonymous" in watch.foot, "the reason")
        await watch.press("enter")
        await watch.dialog(ExplanationScreen)
        told = watch.app.screen.query_one(Facts)
        await until(lambda: told.text != "", "the rules")
        first = told.text.split("\n\n")[0].splitlines()
        assert first[0].startswith(f"team {TEAM}")
        assert any(line.startswith("▸ sharing_control") and "redacted, decides" in line for line in first)
        assert any(line.startswith("  level") and "whole" in line for line in first)
        assert "your own devices" in told.text


async def test_sharing_tells_beforehand_what_it_comes_to_and_can_be_taken_back() -> None:
    async with watching() as watch:
        await watch.would_leave("own-devices")
        watch.go_to("planner/tokens")
        await watch.pilot.pause()
        await watch.press("s")
        await watch.dialog(ShareScreen)
        watch.app.screen.query_one("#share-audience", Input).value = "public"
        await until(lambda: "✗" in watch.text("#share-foretold"), "the answer")
        assert "may not be shared with everybody. A secret was found" in watch.text("#share-foretold")
        await watch.press("enter")
        await until(lambda: "may not be shared" in watch.text("#working-answer"), "the refusal")
        await watch.press("escape")
        await watch.closed()
        watch.go_to("coder/examples/boil")
        await watch.pilot.pause()
        await watch.press("s")
        await watch.dialog(ShareScreen)
        watch.app.screen.query_one("#share-audience", Input).value = "agent:planner"
        await until(lambda: "agent planner would get it whole" in watch.text("#share-foretold"), "the answer")
        await watch.press("enter")
        await watch.closed()
        await watch.press("right_square_bracket")
        await until(lambda: "3 shares; 1 opt-out" in watch.facts, "the new share")
        assert "kept from team acme" in watch.row("planner/assumptions/power")
        assert "everybody, in full" in watch.row("planner/findings/heat")
        watch.go_to("coder/examples/boil", "agent planner")
        await until(lambda: "shared with agent planner by ada" in watch.foot, "who did it")
        await watch.press("u")
        await watch.dialog(ConfirmScreen)
        await watch.press("y")
        await until(lambda: "2 shares; 1 opt-out" in watch.facts, "the share to go")
        watch.go_to("planner/assumptions/power")
        await watch.pilot.pause()
        assert not watch.pane.check_action("unshare", ())


async def test_refusals_come_as_they_happen_and_say_who_was_not_sure() -> None:
    async with watching() as watch:
        await watch.press("left_square_bracket")
        await until(lambda: len(watch.rows) == 2, "the refusals")
        assert "read  planner/plan/today" in watch.row("coder?", "verified")
        agentfs = watch.workspace.agentfs
        with suppress(AccessDenied):
            agentfs.states.get("planner", "credentials/db", by=acting(agentfs.agents.get("coder").id))
        watch.workspace.bus.publish(AuditGrew(agentfs.audit.head()[0]))
        await until(lambda: len(watch.rows) == 3, "the new refusal")
        assert "private_pattern" in watch.rows[0]
        watch.go_to("private_pattern")
        await until(lambda: "Private resource" in watch.foot, "the reason")
        await watch.press("enter")
        await watch.dialog(ExplanationScreen)
        await until(lambda: "credentials/db" in watch.text("#explained"), "the item")
        assert CANARY not in watch.app.export_screenshot()


async def test_the_recovery_code_is_shown_once_and_opens_the_workspace(caplog: pytest.LogCaptureFixture) -> None:
    async with watching() as watch:
        assert "Only this machine's key file opens it.  r makes a recovery code" in watch.facts
        events: list[object] = []
        watch.workspace.bus.subscribe(events.append)
        await watch.press("r")
        await watch.dialog(RecoveryCodeScreen)
        await watch.press("enter")
        await until(lambda: watch.text("#recovery-code") != "", "the code")
        code = watch.text("#recovery-code")
        assert "kept nowhere" in watch.text("#recovery-text")
        await watch.press("enter", "enter")
        assert watch.text("#recovery-code") == code
        await watch.press("escape")
        await watch.closed()
        await until(lambda: "makes a recovery code" not in watch.facts, "the warning to go")
        agentfs = watch.workspace.agentfs
        open_by_recovery_code(agentfs.keys.keys.slots, Secret(code)).forget()
        assert code not in watch.app.export_screenshot()
        assert code not in caplog.text + repr(events) + watch.app.clipboard
        assert all(code not in each.message for each in watch.app._notifications)
        records = agentfs.audit.at(list(agentfs.audit.matching(AuditFilters(action="keys.add"))))
        assert records[-1].details == {"kind": "recovery_code"}


async def test_an_empty_workspace_and_a_wide_screen_say_how_it_stands() -> None:
    async with watching(WIDE, empty=True) as watch:
        assert "none yet: the first that is sealed makes them" in watch.facts
        assert not watch.app.check_action("toggle_lock", ())
        assert not watch.pane.check_action("recovery_code", ())
        await watch.press("right_square_bracket", "right_square_bracket")
        await until(lambda: watch.rows != [], "the note")
        assert "s shares an item, in Would leave" in watch.rows[0]
        await watch.press("1")
        card = watch.app.query_one("#card-privacy", Card)
        await until(lambda: "No keys yet" in str(card.content), "the card")
        protect(watch.workspace.agentfs)
        watch.workspace.bus.publish(AuditGrew(watch.workspace.agentfs.audit.head()[0]))
        await until(lambda: "Unlocked" in str(card.content), "the keys")
        assert "2 because of a secret, 1 because of a pattern" in str(card.content)
        assert "coder? read agents/planner/state/plan/today" in str(card.content)


def test_a_preview_tells_how_far_it_is_and_ends_when_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy_reading, "STEP", 2)
    workspace = FakeWorkspace()
    try:
        protect(workspace.agentfs)
        everybody = next(each for each in read_receivers(workspace.agentfs) if each.text == "public")
        seen: list[tuple[int, int]] = []
        told = read_leaving(workspace.agentfs, everybody, lambda *so_far: seen.append(so_far), lambda: False)
        assert seen == [(2, 8), (4, 8), (6, 8), (8, 8)]
        assert sum(told.preview.counts.values()) == 8
        stop = threading.Event()
        told = read_leaving(workspace.agentfs, everybody, lambda *_: stop.set(), stop.is_set)
        assert sum(told.preview.counts.values()) == 1
    finally:
        workspace.close()
