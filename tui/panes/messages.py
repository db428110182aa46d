"""The messages pane: what agents and the person say to each other, as one log."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.content import Content

from core.agent_model import Message, MessageFilters, MessageStatus
from core.events import AgentsChanged, Event, ItemsChanged, MessagesChanged
from tui.panes.log_pane import LogPane
from tui.people import short_id
from tui.printable import printable
from tui.screens.fields import Field, FieldsScreen
from tui.widgets.levels import sealed_note
from tui.widgets.log_head import path_text
from tui.widgets.log_search import NOTHING, Matches, SearchField
from tui.widgets.log_sources import DenseRows, PickedRows
from tui.widgets.message_detail import MessageDetail, MessageFacts, read_facts
from tui.widgets.message_lines import (
    LEGEND,
    MessageLine,
    card_line,
    draw_message,
    message_line,
    preview,
    read_lines,
    whole_log,
    withheld,
)
from tui.widgets.paged_log import PagedLog

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from core.agentfs.messages import MessageStore
    from tui.bridge import WorkspaceLike

CARD_MESSAGES = 3
PERSON = "person"
LAYERS = {"agent_id": "agent", "type": "type", "thread_id": "thread"}


class MessagesPane(LogPane[MessageLine]):
    """The log of all messages; a hidden pane reads only how many wait for the person."""

    PANE_ID = "messages"
    NUMBER = 2
    TITLE = "Messages"
    FILTER = True
    HELP: ClassVar[str] = (
        "Every message, the newest at the bottom. Move up to stop following, **End** follows again. **Enter** opens a "
        "message; one for you counts as read then, and **k** acknowledges it. **w** writes, **r** replies.\n\n"
        "**/** searches what messages say without hiding others, **n** and **p** go to the next and previous match; "
        "**f** shows only messages of an agent, a type or a thread, **h** the thread of this one; **Esc** takes the "
        f"last of these away.\n\n{LEGEND}."
    )

    def __init__(self) -> None:
        super().__init__(PagedLog(self._draw, id="message-log"))
        self.field = SearchField("Search what messages say")
        self.detail = MessageDetail()
        self._filters = MessageFilters()
        self._matches = NOTHING
        self._jump_when_found = False
        self._unread = 0
        self._newest: tuple[MessageLine, ...] = ()

    # What it says of itself

    def compose_above(self) -> ComposeResult:
        """The search field."""
        yield self.field

    def compose_detail(self) -> ComposeResult:
        """The message at the cursor."""
        yield self.detail

    def detail_focus(self) -> Widget:
        """The content, so that it can be scrolled."""
        return self.detail.content_view

    def empty_text(self) -> Content:
        """How a first message comes to be."""
        return Content.assemble(
            "No messages yet.\n\n",
            (self.bailiwick.key_of("messages.write"), "bold $accent"),
            " writes one. Agents and scripts send theirs with\n",
            ("bailiwick messages send --from A --to B TEXT", "$foreground"),
        )

    def whole(self) -> DenseRows[MessageLine]:
        """Every message."""
        return whole_log(self._store())

    def picker(self) -> Callable[[], array[int]] | None:
        """The messages of the chosen agent, type and thread."""
        if not self._filters:
            return None
        store, filters = self._store(), self._filters
        return lambda: store.matching(filters)

    @property
    def is_picking(self) -> bool:
        """Whether new messages have to be looked at."""
        return bool(self._filters or self._matches)

    def picked(self, numbers: array[int]) -> PickedRows[MessageLine]:
        """These messages."""
        store = self._store()
        return PickedRows(numbers, lambda sequences: read_lines(store, sequences), lambda line: line.sequence)

    def describe(self) -> Content:
        """The filters as a path, and the search."""
        path = path_text("messages", ((LAYERS[layer], self._value(layer)) for layer in self.chosen))
        line = self.log_view.row_at_cursor if self._matches else None
        search = self._matches.describe(line.sequence if line is not None else None)
        return Content.assemble(path, "  ", search) if self._matches else path

    def _value(self, layer: str) -> str:
        value = str(getattr(self._filters, layer))
        if layer == "agent_id":
            return self.people.name(value)
        return short_id(value) if layer == "thread_id" else value

    def badge(self) -> str:
        """How many messages wait for the person."""
        return f"{self._unread:,}" if self._unread else ""

    def card(self) -> Content | str:
        """What was said last, and what waits for the person."""
        if not self._newest:
            return "No messages yet."
        waiting = f"{self._unread:,} unread for you" if self._unread else "Nothing unread for you"
        note = sealed_note(self.app)
        lines = [card_line(line, self.people.person_id, note) for line in self._newest]
        return Content("\n").join([*lines, Content.styled(waiting, "bold $accent" if self._unread else "$muted")])

    def copy_text(self) -> str:
        """What the chosen message says: text as it is, anything else as JSON."""
        facts = self.detail.facts
        if facts is None or facts.message.locked:
            return ""
        content = facts.message.content
        return content if isinstance(content, str) else json.dumps(content, indent=2, ensure_ascii=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action works now."""
        line = self.log_view.row_at_cursor if self.source is not None else None
        match action:
            case "write":
                return self.workspace is not None
            case "open":
                return line is not None and not self.is_reading
            case "thread":
                return line is not None
            case "reply":
                return line is not None and line.sender_id is not None
            case "acknowledge":
                return line is not None and self._is_mine(line) and line.status is not MessageStatus.ACKNOWLEDGED
            case "match":
                return bool(self._matches.numbers)
            case "filters":
                return self.log_view.count > 0 or bool(self.chosen)
            case "back":
                return self.is_reading or self.field.is_open or bool(self._matches) or bool(self.chosen)
        return super().check_action(action, parameters)

    # What happens

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """The log can be read."""
        super().on_workspace(workspace)
        self._count()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Messages came, or came further with their recipients."""
        if any(isinstance(event, AgentsChanged) for event in events):
            self.learn_people()
        if any(isinstance(event, MessagesChanged | ItemsChanged) for event in events):
            self._renew()

    def keys_moved(self, *, locked: bool) -> None:
        """What is sealed goes from log, detail and card, or is read again; what is on its way is void."""
        self._void("detail")
        if locked:
            self._newest = tuple(withheld(line) for line in self._newest)
            self.detail.withhold()
            self.tell_changed()
        self.log_view.changed()
        self._count()
        if self.is_shown:
            self._read_current()
        if self._matches:
            self._find()

    def card_shown(self) -> None:
        """The card shows the newest messages."""
        self._count()

    def shown(self) -> None:
        """Catch up."""
        super().shown()
        self._read_current()

    def people_changed(self) -> None:
        """Names stand in the card and in the filters."""
        self.show_head()
        self.tell_changed()

    def _renew(self) -> None:
        """Messages came, or came further with a recipient."""
        self._count()
        self.rows_changed(reread=True)
        if self.is_shown and not self.frozen:
            self._read_current()

    def _count(self) -> None:
        if self.workspace is None:
            return
        store, person, with_card = self._store(), self.workspace.person, self.is_card_shown

        def read() -> tuple[int, tuple[MessageLine, ...]]:
            newest = store.count() if with_card else 0
            lines = store.page(newest - CARD_MESSAGES + 1, newest) if newest else []
            return store.unread(PERSON, user_id=person.id), tuple(message_line(each) for each in lines)

        def take(told: tuple[int, tuple[MessageLine, ...]]) -> None:
            unread, lines = told
            if with_card:
                self._newest = lines
            self._unread = unread
            self.tell_changed()

        self.fetch("count", read, take)

    # The message at the cursor

    def open_row(self, row: MessageLine) -> None:
        """Read all about it."""
        store = self._store()
        self.fetch("detail", lambda: read_facts(store, row.id), self._show_facts)

    def rows_shown(self) -> None:
        """Without rows there is no detail."""
        if not self.log_view.count:
            self._void("detail")
            self.detail.clear()

    def _read_current(self) -> None:
        line = self.log_view.row_at_cursor
        if line is not None:
            self.open_row(line)

    def _show_facts(self, facts: MessageFacts) -> None:
        self.detail.show(facts, self.people.person_id)
        self.refresh_bindings()

    def action_open(self) -> None:
        """Go into the message; one for the person is read then, unless it is locked."""
        super().action_open()
        line = self.log_view.row_at_cursor
        if line is not None and self._is_mine(line) and not line.locked:
            self._mark(line, MessageStatus.READ)

    def action_acknowledge(self) -> None:
        """Tell the sender that the person took note."""
        line = self.log_view.row_at_cursor
        if line is not None and self._is_mine(line):
            self._mark(line, MessageStatus.ACKNOWLEDGED)

    def _is_mine(self, line: MessageLine) -> bool:
        return bool(self.people.person_id) and line.recipient_id == self.people.person_id

    def _mark(self, line: MessageLine, status: MessageStatus) -> None:
        steps = tuple(MessageStatus)
        if self.workspace is not None and steps.index(line.status) < steps.index(status):
            store, person = self._store(), self.workspace.person
            self.carry_out(lambda: store.mark(PERSON, [line.id], status, by=person), self._renew)

    # Writing

    def action_write(self) -> None:
        """Write to an agent, a type of agents, or everyone."""
        self._write()

    def action_reply(self) -> None:
        """Answer the message at the cursor, in its thread."""
        line = self.log_view.row_at_cursor
        if line is not None and line.sender_id is not None:
            to = line.recipient if line.sender_id == self.people.person_id else line.sender
            said = "a sealed message" if line.sealed else line.preview
            self._write(to, reply_to=line.id, quoted=f"{line.sender}: {said}")

    def _write(self, to: str = "", *, reply_to: str | None = None, quoted: str = "") -> None:
        if self.workspace is not None:
            # Imported here: the text area is large, and most who look write nothing.
            from tui.screens.write import Draft, WriteScreen, person_sends

            draft = Draft(to, reply_to=reply_to, quoted=quoted)
            self.app.push_screen(WriteScreen(draft, self.people, person_sends(self.workspace)), self._sent)

    def _sent(self, message: Message | None) -> None:
        if message is not None:
            self._renew()
            said = "sealed" if message.sealed else preview(message.content)[:60]
            self.notify(f"Sent to {printable(message.recipient)}: {said}", markup=False)

    # Filters

    def action_filters(self) -> None:
        """Choose agent, type and thread."""
        store = self._store()
        self.fetch("types", store.types, self._ask_filters)

    def _ask_filters(self, types: list[str]) -> None:
        agent, thread = self._filters.agent_id, self._filters.thread_id
        fields = (
            Field("agent", "Agent: sent or received by", self.people.name(agent), self.people.names.values()),
            Field("type", "Type", self._filters.type, types),
            Field("thread", "Thread: the id of a message in it", thread),
        )
        self.app.push_screen(FieldsScreen("Show only messages of", fields, self._check), self._filters_chosen)

    def _check(self, texts: Mapping[str, str]) -> str:
        known = not texts["agent"] or self.people.id_of(texts["agent"]) is not None
        return "" if known else f"There is no agent {texts['agent'][:60]}."

    def _filters_chosen(self, texts: Mapping[str, str] | None) -> None:
        if texts is not None:
            agent_id = self.people.id_of(texts["agent"]) or "" if texts["agent"] else ""
            self._set_filters(MessageFilters(agent_id, texts["type"], texts["thread"]))

    def action_thread(self) -> None:
        """Show only the thread of the message at the cursor."""
        line = self.log_view.row_at_cursor
        if line is not None:
            self._set_filters(replace(self._filters, thread_id=line.thread_id))

    def peel(self) -> None:
        """Take the last filter away."""
        self._filters = replace(self._filters, **{self.chosen.pop(): ""})

    def _set_filters(self, filters: MessageFilters) -> None:
        self._filters = filters
        kept = [layer for layer in self.chosen if getattr(filters, layer)]
        self.chosen = [*kept, *(layer for layer in LAYERS if getattr(filters, layer) and layer not in kept)]
        self.filters_changed()
        if self._matches:
            self._find()

    def action_back(self) -> None:
        """One step back: the detail, the search, then one filter after the other."""
        if self.is_reading and not self.field.is_open:
            self.read_detail(reading=False)
        elif self.field.is_open or self._matches:
            self._search("")
            self.field.close()
            self.log_view.focus()
            self.refresh_bindings()
        else:
            super().action_back()
            if self._matches:
                self._find()

    # Searching

    def focus_filter(self) -> None:
        """Type what to look for."""
        if self.is_reading:
            self.read_detail(reading=False)
        self.field.open()
        self.refresh_bindings()

    @on(SearchField.Searched)
    def _searched(self, event: SearchField.Searched) -> None:
        event.stop()
        self._search(event.text)
        if event.done:
            self.log_view.focus()
            self._jump_when_found = self._matches.numbers is None
            if not self._jump_when_found:
                self._jump(self._matches.nearest)

    def _search(self, text: str) -> None:
        if text != self._matches.text:
            self._matches = Matches(text)
            self.log_view.highlight(text)
            self._find()
            self.show_head()

    def _find(self) -> None:
        text, store = self._matches.text, self._store()
        if not text:
            self._void("find")
            return
        filters = replace(self._filters, text=text)
        self.fetch("find", lambda: store.matching(filters), self._found)

    def pick_again(self) -> None:
        """Filter and search again, now that there are more messages."""
        super().pick_again()
        self._find()

    def _found(self, numbers: array[int]) -> None:
        self._matches = Matches(self._matches.text, numbers)
        if self._jump_when_found:
            self._jump_when_found = False
            self._jump(self._matches.nearest)
        self.show_head()
        self.refresh_bindings()

    def action_match(self, step: int) -> None:
        """Go to the next match, or the previous."""
        self._jump(lambda number: self._matches.next(number, step))

    def _jump(self, choose: Callable[[int], int | None]) -> None:
        line = self.log_view.row_at_cursor
        number = choose(line.sequence) if line is not None else None
        if number is not None and self.source is not None:
            self.log_view.go_to(self.source.place(number))

    def _draw(self, line: MessageLine, width: int) -> Content:
        return draw_message(line, width, self.people.person_id, sealed_note(self.app))

    def _store(self) -> MessageStore:
        assert self.workspace is not None
        return self.workspace.agentfs.messages
