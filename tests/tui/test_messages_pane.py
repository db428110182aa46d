"""The messages pane on a real AgentFS: following, searching, filtering, reading, writing, and hostile content."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from agent_data import PERSON, acting
from driving import running, type_text, until
from fake_workspace import FakeWorkspace
from message_data import register, talk
from textual.pilot import Pilot
from textual.widgets import Input, RadioButton, TextArea

from core.agent_model import Importance, Message, MessageFilters, MessageStatus
from core.errors import WorkspaceUnusable
from core.events import AgentsChanged, ItemsChanged, MessagesChanged
from core.model import JSONValue
from tui.app import BailiwickApp
from tui.panes.messages import MessagesPane
from tui.screens.fields import FieldsScreen
from tui.screens.write import WriteScreen, content_of
from tui.widgets.cards import Card
from tui.widgets.facts import Facts
from tui.widgets.json_view import JsonView
from tui.widgets.message_lines import MOST_PREVIEW, draw_message, message_line, preview

NARROW = (80, 24)
WIDE = (160, 48)
MESSAGES = 12


class Chat:
    """A running dashboard at the messages pane."""

    def __init__(self, workspace: FakeWorkspace, app: BailiwickApp, pilot: Pilot[None], said: dict[str, Message]):
        self.workspace, self.app, self.pilot, self.said = workspace, app, pilot, said
        self.pane = app.query_one(MessagesPane)
        self.log = self.pane.log_view

    @property
    def head(self) -> str:
        return self.pane.head.text

    @property
    def lines(self) -> list[str]:
        region = self.log.scrollable_content_region
        strips = self.app.screen._compositor.render_strips()
        return [strip.crop(region.x, region.right).text.rstrip() for strip in strips[region.y : region.bottom]]

    @property
    def facts(self) -> str:
        return self.pane.detail.query_one(Facts).text

    def tell(self) -> None:
        self.workspace.bus.publish(MessagesChanged(self.workspace.agentfs.messages.count()))

    def say(self, text: JSONValue, to: str = "reviewer") -> Message:
        messages = self.workspace.agentfs.messages
        return messages.send("coder", to, text, by=acting(self.workspace.agentfs.agents.get("coder").id))

    def stored(self, name: str) -> Message:
        return self.workspace.agentfs.messages.get(self.said[name].id)

    async def at(self, name: str) -> None:
        """Put the cursor on a message and wait for its detail."""
        self.log.go_to(self.said[name].sequence - 1)
        await self.read(self.said[name].id)

    async def read(self, message_id: str) -> None:
        detail = self.pane.detail
        await until(lambda: detail.facts is not None and detail.facts.message.id == message_id, "the detail")
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def until_head(self, text: str) -> None:
        await until(lambda: text in self.head, f"{text!r} in the head, not {self.head!r}")


@asynccontextmanager
async def chatting(
    size: tuple[int, int] = NARROW, prepare: Callable[[FakeWorkspace], object] | None = None
) -> AsyncIterator[Chat]:
    workspace = FakeWorkspace()
    said = talk(workspace.agentfs)
    if prepare is not None:
        prepare(workspace)
    async with running(workspace, size) as (app, pilot):
        await pilot.press("escape", "escape", "2")
        chat = Chat(workspace, app, pilot, said)
        await until(lambda: chat.log.count > 0 and bool(chat.pane.people.person_id), "the messages")
        await pilot.pause()
        yield chat


async def test_a_line_tells_who_wrote_what_to_whom_and_how_far_it_came() -> None:
    async with chatting() as chat:
        text = "\n".join(chat.lines)
        assert "↓ !   planner → coder" in text
        assert "✓     coder → planner" in text
        assert "↳ The steel one" in text
        assert "reviewer? → everyone" in text
        assert "-   coder → type:resear…" in text
        assert "!!  planner → you" in text
        assert "you → coder" in text
        assert "Which kettle boils fast" in text
        assert "Try them all" not in text


async def test_the_wider_a_line_the_more_it_tells() -> None:
    async with chatting() as chat:
        line = message_line(chat.stored("question"))
        for width, parts in ((40, 0), (76, 1), (150, 2)):
            drawn = draw_message(line, width, "", "sealed").plain
            assert ("question" in drawn) is (parts > 0)
            assert drawn[:15].count(":") == 2
            assert (line.sent_at.astimezone().strftime("%d %b") in drawn) is (parts > 1)


async def test_it_follows_until_one_moves_up_and_counts_what_came_since() -> None:
    async with chatting() as chat:
        assert chat.log.following
        chat.say("one more")
        chat.tell()
        await until(lambda: chat.log.count == MESSAGES + 1, "the new message")
        assert chat.log.cursor == MESSAGES
        await chat.press("up", "up")
        chat.say("two more")
        chat.say("three more")
        chat.tell()
        await chat.until_head("▼ 2 newer, End")
        assert chat.log.cursor == MESSAGES - 2
        await chat.press("end")
        await chat.until_head("▼ following")
        assert "three more" in chat.lines[-1] or "three more" in "\n".join(chat.lines)


async def test_frozen_it_holds_still_and_says_what_is_newer() -> None:
    async with chatting() as chat:
        await chat.press("space")
        chat.say("one more")
        chat.tell()
        await until(lambda: chat.pane.newer == 1, "the count")
        assert chat.log.count == MESSAGES
        assert "frozen, 1 newer" in chat.head
        assert "frozen, 1 newer" in str(chat.pane.border_title)
        await chat.press("space")
        await until(lambda: chat.log.count == MESSAGES + 1, "the new message")
        assert "frozen" not in chat.head


async def test_what_came_further_is_drawn_anew() -> None:
    async with chatting() as chat:
        before = next(line for line in chat.lines if "Step 4" in line)
        assert " · " in before
        chat.workspace.agentfs.messages.inbox("reviewer", by=acting(chat.workspace.agentfs.agents.get("reviewer").id))
        chat.tell()
        await until(lambda: any("↓" in line and "Step 4" in line for line in chat.lines), "the new status")


async def test_searching_jumps_among_matches_and_hides_nothing() -> None:
    async with chatting() as chat:
        await chat.press("slash")
        await type_text(chat.pilot, "kettle")
        await chat.until_head("“kettle” 3 of 3")
        assert chat.log.following
        await chat.press("enter")
        assert chat.app.focused is chat.log
        assert chat.log.cursor == chat.said["last"].sequence - 1
        await chat.press("p")
        await chat.until_head("2 of 3")
        assert chat.log.cursor == chat.said["urgent"].sequence - 1
        await chat.press("p")
        await chat.until_head("1 of 3")
        await chat.press("p")
        await chat.until_head("3 of 3")
        await chat.press("n")
        await chat.until_head("1 of 3")
        assert chat.log.count == MESSAGES
        await chat.press("escape")
        assert "kettle" not in chat.head
        assert not chat.pane.check_action("match", (1,))


async def test_matches_are_underlined_and_new_ones_counted() -> None:
    async with chatting() as chat:
        await chat.press("slash")
        await type_text(chat.pilot, "litres")
        await chat.press("enter")
        await chat.until_head("of 5")
        region = chat.log.scrollable_content_region
        strips = chat.app.screen._compositor.render_strips()[region.y : region.bottom]
        underlined = [
            segment.text for strip in strips for segment in strip if segment.style and segment.style.underline
        ]
        assert underlined.count("litres") == 5
        chat.say("and six litres more")
        chat.tell()
        await chat.until_head("of 6")


async def test_a_search_without_a_match_says_so_and_goes_nowhere() -> None:
    async with chatting() as chat:
        before = chat.log.cursor
        await chat.press("slash")
        await type_text(chat.pilot, "zebra")
        await chat.press("enter")
        await chat.until_head("in no message")
        await chat.press("n")
        assert chat.log.cursor == before


async def test_filters_pile_up_and_esc_peels_them_one_at_a_time() -> None:
    async with chatting() as chat:
        await chat.press("f")
        await until(lambda: isinstance(chat.app.screen, FieldsScreen), "the dialog")
        await type_text(chat.pilot, "planner")
        await chat.press("enter")
        await chat.until_head("messages › agent planner")
        planners = chat.log.count
        assert 0 < planners < MESSAGES
        await chat.press("home", "h")
        await chat.until_head("› thread …")
        assert chat.log.count == 2
        await chat.press("escape")
        await until(lambda: chat.log.count == planners, "the thread filter to go")
        assert "thread" not in chat.head
        await chat.press("escape")
        await until(lambda: chat.log.count == MESSAGES, "the agent filter to go")
        assert "all messages" in chat.head


async def test_a_filtered_log_takes_in_what_matches() -> None:
    async with chatting() as chat:
        await chat.press("f", "tab")
        chat.app.screen.query_one("#field-type", Input).value = "note"
        await chat.press("enter")
        await chat.until_head("type note")
        notes = chat.log.count
        chat.say("a seventh note")
        chat.tell()
        await until(lambda: chat.log.count == notes + 1, "the new note")
        await chat.press("up")
        chat.say("an eighth note")
        chat.tell()
        await chat.until_head("▼ 1 newer")


async def test_searching_within_a_filter_finds_only_there() -> None:
    async with chatting() as chat:
        await chat.at("question")
        await chat.press("h")
        await chat.until_head("thread")
        await chat.press("slash")
        await type_text(chat.pilot, "steel")
        await chat.press("enter")
        await chat.until_head("of 2")
        await chat.press("escape")
        await until(lambda: "steel" not in chat.head and "thread" in chat.head, "the search to go first")


async def test_an_agent_that_is_not_there_cannot_be_filtered_for() -> None:
    async with chatting() as chat:
        await chat.press("f")
        await type_text(chat.pilot, "nobody")
        await chat.press("enter")
        assert "no agent nobody" in str(getattr(chat.app.screen.query_one("#field-error"), "content", ""))
        await chat.press("escape")
        assert chat.log.count == MESSAGES


async def test_an_answer_to_a_filter_given_up_meanwhile_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting() as chat:
        store = chat.workspace.agentfs.messages
        gate, asked, matching = threading.Event(), threading.Event(), store.matching

        def slowly(filters: MessageFilters) -> object:
            asked.set()
            gate.wait(10)
            return matching(filters)

        monkeypatch.setattr(store, "matching", slowly)
        await chat.press("h")
        await until(asked.is_set, "the filter to run")
        await chat.press("escape")
        gate.set()
        await chat.until_head("all messages")
        await chat.pilot.pause(0.2)
        assert chat.log.count == MESSAGES


async def test_the_detail_stands_beside_the_log_where_there_is_room() -> None:
    async with chatting(WIDE) as chat:
        await chat.at("answer")
        assert "From      coder" in chat.facts
        assert "To        planner" in chat.facts
        assert "Reply to  planner" in chat.facts
        assert "Which kettle boils fastest?" in chat.facts
        assert "✓ planner  delivered" in chat.facts
        assert "· acknowledged" in chat.facts
        assert chat.pane.detail.is_on_screen
        await chat.at("all")
        assert "? did not show its key" in chat.facts
        assert "· coder  queued" in chat.facts
        assert "· planner  queued" in chat.facts


async def test_in_a_narrow_terminal_enter_opens_the_detail_and_esc_leaves_it() -> None:
    async with chatting() as chat:
        assert not chat.pane.detail.is_on_screen
        await chat.at("question")
        await chat.press("enter")
        assert chat.pane.detail.is_on_screen
        assert not chat.log.is_on_screen
        assert isinstance(chat.app.focused, JsonView)
        screen = "\n".join(strip.text for strip in chat.app.screen._compositor.render_strips())
        assert '"budget": 3' in screen
        assert "Try them all." in screen
        await chat.press("escape")
        assert chat.log.is_on_screen
        assert chat.app.focused is chat.log


async def test_opening_a_message_to_the_person_marks_it_read_and_k_acknowledges() -> None:
    async with chatting() as chat:
        await until(lambda: chat.pane.badge() == "1", "the badge")
        await chat.at("urgent")
        await chat.press("enter")
        await until(lambda: chat.stored("urgent").status is MessageStatus.READ, "the mark")
        await until(lambda: chat.pane.badge() == "", "the badge to go")
        await until(lambda: "○ you  delivered" in chat.facts, "the receipt")
        await chat.press("k")
        await until(lambda: chat.stored("urgent").status is MessageStatus.ACKNOWLEDGED, "the acknowledgement")
        await until(lambda: not chat.pane.check_action("acknowledge", ()), "the key to rest")


async def test_opening_a_message_to_somebody_else_marks_nothing() -> None:
    async with chatting() as chat:
        await chat.at("last")
        await chat.press("enter", "k")
        await chat.pilot.pause(0.1)
        assert chat.stored("last").status is MessageStatus.QUEUED


@pytest.mark.parametrize(
    ("to", "text", "content", "recipients"),
    [
        ("coder", "Well done.\nGo on.", "Well done.\nGo on.", 1),
        ("type:validation", '{"score": [1, 2]}', {"score": [1, 2]}, 1),
        ("everyone", "[sic] not JSON", "[sic] not JSON", 3),
    ],
)
async def test_w_writes(to: str, text: str, content: JSONValue, recipients: int) -> None:
    async with chatting() as chat:
        await chat.press("w")
        await until(lambda: isinstance(chat.app.screen, WriteScreen), "the dialog")
        await type_text(chat.pilot, to)
        chat.app.screen.query_one("#write-type", Input).value = "finding"
        chat.app.screen.query_one("#write-urgent", RadioButton).value = True
        chat.app.screen.query_one(TextArea).text = text
        await chat.press("ctrl+s")
        await until(lambda: not isinstance(chat.app.screen, WriteScreen), "the dialog to close")
        await until(lambda: chat.log.count == MESSAGES + 1, "the message")
        store = chat.workspace.agentfs.messages
        sent = store.page(MESSAGES + 1, MESSAGES + 1)[0]
        assert (sent.content, sent.type, sent.importance) == (content, "finding", Importance.URGENT)
        assert sent.sender_id == chat.pane.people.person_id
        assert len(store.receipts(sent.id)) == recipients


async def test_what_cannot_be_sent_stays_in_the_dialog_with_the_reason() -> None:
    async with chatting() as chat:
        await chat.press("w", "ctrl+s")
        answer = chat.app.screen.query_one("#write-answer")
        assert "to whom" in str(getattr(answer, "content", ""))
        await type_text(chat.pilot, "nobody")
        await chat.press("ctrl+s")
        assert "Say something" in str(getattr(answer, "content", ""))
        chat.app.screen.query_one(TextArea).text = "hello"
        await chat.press("ctrl+s")
        await until(lambda: "no agent nobody" in str(getattr(answer, "content", "")), "the refusal")
        assert chat.app.screen.query_one(TextArea).text == "hello"
        await chat.press("escape")
        assert chat.workspace.agentfs.messages.count() == MESSAGES


async def test_r_replies_in_the_thread() -> None:
    async with chatting() as chat:
        await chat.at("urgent")
        await chat.press("r")
        screen = chat.app.screen
        assert isinstance(screen, WriteScreen)
        assert screen.query_one("#write-to", Input).value == "planner"
        assert "May I order" in str(getattr(screen.query_one("#write-quoted"), "content", ""))
        await type_text(chat.pilot, "yes")
        await chat.press("ctrl+s")
        await until(lambda: chat.workspace.agentfs.messages.count() == MESSAGES + 1, "the reply")
        reply = chat.workspace.agentfs.messages.page(MESSAGES + 1, MESSAGES + 1)[0]
        assert reply.reply_to == chat.said["urgent"].id
        assert reply.thread_id == chat.said["urgent"].thread_id
        assert reply.content == "yes"


async def test_a_hidden_pane_reads_no_rows_and_catches_up_when_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting() as chat:
        await chat.press("6")
        store = chat.workspace.agentfs.messages
        read: list[tuple[int, int]] = []
        page = store.page
        monkeypatch.setattr(store, "page", lambda first, last: read.append((first, last)) or page(first, last))
        chat.say("while nobody looks", to="person")
        chat.tell()
        chat.workspace.bus.publish(ItemsChanged(99))
        await until(lambda: chat.pane.badge() == "2", "the badge")
        assert read == []
        await chat.press("2")
        await until(lambda: chat.log.count == MESSAGES + 1, "the new message")
        assert read


async def test_the_card_tells_the_last_three_and_what_waits() -> None:
    async with chatting(WIDE) as chat:
        await chat.press("6")
        card = chat.app.query_one("#card-messages", Card)
        await until(lambda: "1 unread for you" in str(card.content), "the card")
        assert "coder→planner All kettles are" in str(card.content)
        assert "you→coder Is the glass one" in str(card.content)
        chat.say("and now?", to="person")
        chat.tell()
        await until(lambda: "coder→you and now?" in str(card.content), "the new message")
        assert "2 unread for you" in str(card.content)


async def test_an_empty_log_names_the_key_and_the_command() -> None:
    workspace = FakeWorkspace()
    register(workspace.agentfs)
    async with running(workspace) as (app, pilot):
        await pilot.press("escape", "escape", "2")
        pane = app.query_one(MessagesPane)
        await until(lambda: "No messages yet" in str(pane.log_view.empty), "the explanation")
        await pilot.pause()
        screen = "\n".join(strip.text for strip in app.screen._compositor.render_strips())
        assert "w writes one" in screen
        assert "bailiwick messages send --from A --to B TEXT" in screen
        assert pane.card() == "No messages yet."
        await pilot.press("enter", "r", "k", "h", "n", "c")
        assert app.screen is app.screen_stack[0]


async def test_copying_gives_text_as_it_is_and_the_rest_as_json() -> None:
    async with chatting() as chat:
        await chat.at("answer")
        assert chat.pane.copy_text() == "The steel one: 94 s for a litre."
        await chat.at("type")
        assert json.loads(chat.pane.copy_text()) == {"status": "done", "pages": 12}


HOSTILE: tuple[JSONValue, ...] = (
    "\x1b[2J\x1b]0;owned\x07\x1b]52;c;ZXZpbA==\x07red",
    "line one\r\nline two\x00\x9b31m",
    "\u202egnirts desrever \u2066x",
    {"text": "\x1b[31m[bold]not markup[/bold]", "\x1b[0m": ["\u2028", {"deep": [[[[]]]]}]},
    {"text": "x" * 200_000},
    [["\x07"] * 20_000],
)


@pytest.mark.parametrize("size", [NARROW, WIDE])
async def test_hostile_content_reaches_the_screen_as_text_only(size: tuple[int, int]) -> None:
    def prepare(workspace: FakeWorkspace) -> None:
        coder = acting(workspace.agentfs.agents.get("coder").id)
        for content in HOSTILE:
            workspace.agentfs.messages.send("coder", "person", content, by=coder, type="note[red]")

    async with chatting(size, prepare) as chat:
        for number in range(len(HOSTILE)):
            chat.log.go_to(MESSAGES + number)
            await chat.read(chat.workspace.agentfs.messages.page(MESSAGES + number + 1, MESSAGES + number + 1)[0].id)
            await chat.press("enter")
            for strip in chat.app.screen._compositor.render_strips():
                assert not any(ord(each) < 32 or 0x7F <= ord(each) < 0xA0 for each in strip.text)
                assert "\u202e" not in strip.text
                assert strip.cell_length == size[0]
            await chat.press("escape")
        assert any("note[re" in line for line in chat.lines)
        await chat.press("slash")
        await type_text(chat.pilot, "[bold")
        await chat.until_head("“[bold” 1 match")


async def test_a_log_that_cannot_be_read_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting() as chat:
        store = chat.workspace.agentfs.messages

        def fail(*_: object, **__: object) -> object:
            raise WorkspaceUnusable("The file is damaged.")

        for name in ("count", "page", "unread", "get"):
            monkeypatch.setattr(store, name, fail)
        for _ in range(3):
            chat.workspace.bus.publish(MessagesChanged(MESSAGES + 1))
            await chat.pilot.pause(0.2)
        told = [each.message for each in chat.app._notifications if "damaged" in each.message]
        assert 0 < len(told) <= 6


async def test_a_name_that_changes_is_drawn_anew() -> None:
    async with chatting() as chat:
        chat.workspace.agentfs.agents.register("tester", "poc", owner="ada", by=PERSON)
        chat.workspace.bus.publish(AgentsChanged())
        await until(lambda: "tester" in chat.pane.people.present, "the new agent")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("one\ntwo", "one …"),
        ("  \n one", "one"),
        ("", ""),
        ({"text": "said", "n": 1}, "said"),
        ({"summary": "in short"}, "in short"),
        ({"text": "", "n": 1}, '{"text": "", "n": 1}'),
        ({"text": 5}, '{"text": 5}'),
        ([1, None, "ü"], '[1, null, "ü"]'),
        (3.5, "3.5"),
        (None, "null"),
    ],
)
def test_a_preview_is_one_line(content: JSONValue, line: str) -> None:
    assert preview(content) == line


def test_a_preview_stays_short_whatever_the_content_is() -> None:
    assert len(preview("x" * 200_000)) == MOST_PREVIEW + 2
    assert len(preview([["y" * 1000]] * 1000)) <= MOST_PREVIEW


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (" hello ", "hello"),
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", [1, 2]),
        ("{broken", "{broken"),
        ("42", "42"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_typed_text_is_json_only_where_it_is_an_object_or_a_list(text: str, content: JSONValue) -> None:
    assert content_of(text) == content
