"""The audit pane: who changed what, as one chain of records, and whether that chain is whole."""

from __future__ import annotations

import dataclasses
import json
from array import array
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.containers import VerticalScroll
from textual.content import Content

from core.agent_model import AuditFilters
from core.errors import BailiwickError
from core.events import AgentsChanged, AuditGrew, Event
from tui import moments
from tui.bridge import in_thread
from tui.panes.log_pane import LogPane
from tui.screens.fields import Field, FieldsScreen
from tui.widgets.audit_lines import (
    ENGINE,
    AuditLine,
    card_record,
    draw_record,
    read_lines,
    record_facts,
    whole_trail,
)
from tui.widgets.audit_verdict import VerdictLine, Verification, verdict_words
from tui.widgets.facts import Facts
from tui.widgets.json_view import JsonView
from tui.widgets.log_head import path_text
from tui.widgets.log_sources import DenseRows, PickedRows
from tui.widgets.paged_log import PagedLog

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.widget import Widget

    from core.agentfs.audit import AuditTrail
    from core.model import Item
    from tui.bridge import WorkspaceLike

LAYERS = {"actor": "actor", "action": "action", "subject": "subject"}
NOUNS = (
    "agent",
    "document",
    "lease",
    "library",
    "message",
    "search",
    "session",
    "setting",
    "snapshot",
    "source",
    "state",
)


class AuditPane(LogPane[AuditLine]):
    """The audit trail of this device, and the verdicts on it."""

    PANE_ID = "audit"
    NUMBER = 7
    TITLE = "Audit"
    HELP: ClassVar[str] = (
        "A record for every change: who, through which door, did what to what; `?` marks an agent that did not show "
        "its key. The newest is at the bottom; **End** follows it. **Enter** opens a record, **f** shows only those of "
        "an actor, an action or a subject, **s** those of this record's subject; **Esc** takes the last of these "
        "away.\n\n**v** verifies the whole chain. *Integrity* says whether every record is as it was written; "
        "*completeness* whether any lacks. **b** goes to the bad record, again to the next."
    )

    def __init__(self) -> None:
        super().__init__(PagedLog(self._draw, id="audit-log"))
        self.verdict_line = VerdictLine()
        self.facts, self.details = Facts(), JsonView(id="audit-details")
        self.verification = Verification()
        self._filters = AuditFilters()
        self._problem = -1
        self._newest: AuditLine | None = None

    # What it says of itself

    def compose_above(self) -> ComposeResult:
        """The verdicts."""
        yield self.verdict_line

    def compose_detail(self) -> ComposeResult:
        """The fields of the record, and its details."""
        with VerticalScroll(id="audit-facts"):
            yield self.facts
        yield self.details

    def detail_focus(self) -> Widget:
        """The details, so that they can be scrolled."""
        return self.details

    def on_mount(self) -> None:
        """Nothing is verified yet."""
        super().on_mount()
        self._show_verdict()

    def empty_text(self) -> Content:
        """Why there is nothing."""
        return Content("No records yet: every change will leave one.")

    def whole(self) -> DenseRows[AuditLine]:
        """Every record that is not archived."""
        return whole_trail(self._trail())

    def picker(self) -> Callable[[], array[int]] | None:
        """The records of the chosen actor, action and subject."""
        if not self._filters:
            return None
        trail, filters = self._trail(), self._filters
        return lambda: trail.matching(filters)

    def picked(self, numbers: array[int]) -> PickedRows[AuditLine]:
        """These records."""
        trail = self._trail()
        return PickedRows(numbers, lambda positions: read_lines(trail, positions), lambda line: line.position)

    def describe(self) -> Content:
        """The filters as a path."""
        values = ((LAYERS[layer], self._readable(str(getattr(self._filters, layer)))) for layer in self.chosen)
        return path_text("records", values)

    def badge(self) -> str:
        """A mark when something is wrong."""
        return "✗" if self.verification.problems else ""

    def card(self) -> Content | str:
        """The last verdict and the newest record."""
        words = Content.styled(verdict_words(self.verification), "bold $error" if self.verification.problems else "")
        if self._newest is None:
            return words
        return Content.assemble(words, "\n", card_record(self._newest, self.people))

    def copy_text(self) -> str:
        """The chosen record as JSON."""
        line = self.log_view.row_at_cursor if self.source is not None else None
        if line is None or line.record is None:
            return ""
        return json.dumps(dataclasses.asdict(line.record), indent=2, ensure_ascii=False, default=str)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether an action works now."""
        line = self.log_view.row_at_cursor if self.source is not None else None
        match action:
            case "verify":
                return self.workspace is not None and not self.verification.running
            case "open":
                return line is not None and not self.is_reading
            case "subject":
                return line is not None and line.record is not None
            case "bad_record":
                return bool(self.verification.problems) and not self.verification.running
            case "filters":
                return self.log_view.count > 0 or bool(self.chosen)
            case "back":
                return self.is_reading or bool(self.chosen)
        return super().check_action(action, parameters)

    # What happens

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """The trail can be read."""
        super().on_workspace(workspace)
        self._read_newest()

    def on_core_events(self, events: tuple[Event, ...]) -> None:
        """Records were added."""
        if any(isinstance(event, AgentsChanged) for event in events):
            self.learn_people()
        if any(isinstance(event, AuditGrew) for event in events):
            self.rows_changed(reread=False)
            self._read_newest()

    def card_shown(self) -> None:
        """The card shows the newest record."""
        self._read_newest()

    def shown(self) -> None:
        """Catch up, also with records that were archived."""
        source = self.source
        if isinstance(source, DenseRows) and source.first != self._trail().first():
            self.filters_changed()
        super().shown()

    def people_changed(self) -> None:
        """Names stand in the detail, the card and the filters."""
        line = self.log_view.row_at_cursor
        if line is not None:
            self.open_row(line)
        self.show_head()
        self.tell_changed()

    def _read_newest(self) -> None:
        if self.workspace is None or not self.is_card_shown:
            return
        trail = self._trail()

        def read() -> AuditLine | None:
            position = trail.head()[0]
            return read_lines(trail, [position])[0] if position else None

        def take(newest: AuditLine | None) -> None:
            self._newest = newest
            self.tell_changed()

        self.fetch("newest", read, take)

    # The record at the cursor

    def open_row(self, row: AuditLine) -> None:
        """Show all its fields; of an item that was changed also its level, as it is now."""
        self.facts.show(record_facts(row, self.people))
        if row.record is not None and row.record.subject and self.workspace is not None:
            items, subject = self.workspace.agentfs.items, row.record.subject
            self.fetch("level", lambda: items.get(subject), partial(self._show_level, row))
        if row.record is None:
            self.details.clear()
        else:
            self.details.show("Details", row.record.details)

    def _show_level(self, row: AuditLine, item: Item | None) -> None:
        if item is not None and row == self.log_view.row_at_cursor:
            self.facts.show(record_facts(row, self.people, item))

    def rows_shown(self) -> None:
        """Without rows there is no detail."""
        if not self.log_view.count:
            self.facts.show(())
            self.details.clear()

    # Verifying

    @work
    async def action_verify(self) -> None:
        """Read the whole chain on a thread; not twice at a time."""
        workspace = self.workspace
        if workspace is None or self.verification.running:
            return
        self._set_verification(Verification(running=True))
        try:
            verdict = await in_thread(workspace.agentfs.audit_check.verify)
        except BailiwickError as error:
            self._set_verification(Verification(failure=str(error)))
        else:
            self._set_verification(Verification(verdict=verdict, at=moments.now()))

    def _set_verification(self, state: Verification) -> None:
        self.verification = state
        self._problem = -1
        self._show_verdict()
        self.tell_changed()
        self.refresh_bindings()

    def _show_verdict(self) -> None:
        key_of = self.bailiwick.key_of
        self.verdict_line.show(self.verification, key_of("audit.verify"), key_of("audit.bad"))

    @on(VerdictLine.Chosen)
    def _verdict_chosen(self, event: VerdictLine.Chosen) -> None:
        event.stop()
        self.action_bad_record()

    def action_bad_record(self) -> None:
        """Go to the first bad record, then to the next; without filters, so that it can be seen."""
        problems = self.verification.problems
        if not problems or self.workspace is None:
            return
        if self.chosen:
            self._set_filters(AuditFilters())
        self._problem = (self._problem + 1) % len(problems)
        problem = problems[self._problem]
        if self.source is not None:
            self.log_view.go_to(self.source.place(problem.position))
            self.log_view.focus()
        self.app.clear_notifications()
        self.notify(f"{self._problem + 1} of {len(problems)}: {problem.sentence}", severity="warning", markup=False)

    # Filters

    def action_filters(self) -> None:
        """Choose actor, action and subject."""
        actors = [*self.people.names.values(), self.people.person, ENGINE]
        fields = (
            Field("actor", "Actor: an agent, you, or the engine", self._readable(self._filters.actor), actors),
            Field("action", "Action, or how it begins: message, message.send", self._filters.action, NOUNS),
            Field(
                "subject",
                "Subject: an agent or an id",
                self._readable(self._filters.subject),
                self.people.names.values(),
            ),
        )
        self.app.push_screen(FieldsScreen("Show only records of", fields, lambda texts: ""), self._filters_chosen)

    def _filters_chosen(self, texts: Mapping[str, str] | None) -> None:
        if texts is not None:
            actor, subject = texts["actor"], texts["subject"]
            if self.workspace is not None and actor == ENGINE:
                actor = self.workspace.agentfs.device
            self._set_filters(
                AuditFilters(self._actor_id(actor), texts["action"].rstrip("."), self.people.id_of(subject) or subject)
            )

    def _actor_id(self, text: str) -> str:
        """The person acts under the user's name, agents under their ids."""
        identifier = self.people.id_of(text)
        return self.people.person if identifier and identifier == self.people.person_id else identifier or text

    def _readable(self, value: str) -> str:
        if self.workspace is not None and value == self.workspace.agentfs.device:
            return ENGINE
        return self.people.names.get(value, value)

    def action_subject(self) -> None:
        """Show only the records of this record's subject."""
        line = self.log_view.row_at_cursor
        if line is not None and line.record is not None:
            self._set_filters(dataclasses.replace(self._filters, subject=line.record.subject))

    def peel(self) -> None:
        """Take the last filter away."""
        self._filters = dataclasses.replace(self._filters, **{self.chosen.pop(): ""})

    def _set_filters(self, filters: AuditFilters) -> None:
        self._filters = filters
        kept = [layer for layer in self.chosen if getattr(filters, layer)]
        self.chosen = [*kept, *(layer for layer in LAYERS if getattr(filters, layer) and layer not in kept)]
        self.filters_changed()

    def _draw(self, line: AuditLine, width: int) -> Content:
        return draw_record(line, width, self.people)

    def _trail(self) -> AuditTrail:
        assert self.workspace is not None
        return self.workspace.agentfs.audit
