"""The dialog that writes a message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, RadioSet, Static, TextArea

from core.agent_model import Importance, Message
from tui.locking import sentence
from tui.pooled import as_sentence
from tui.printable import printable
from tui.widgets.radio import SignedRadioButton

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from core.model import JSONValue
    from tui.panes.fetching import FetchingWorkspace
    from tui.people import People

EVERYONE = "everyone"
PERSON = "person"
KINDS = ("note", "question", "answer", "finding", "task")


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it is sent. A reply joins the thread of ``reply_to``; ``quoted`` is that in a line."""

    to: str = ""
    type: str = "note"
    importance: Importance = Importance.NORMAL
    content: JSONValue = ""
    reply_to: str | None = None
    quoted: str = ""


def person_sends(workspace: FetchingWorkspace) -> Callable[[Draft], Future[Message]]:
    """What sends a draft in the person's name."""
    messages, person = workspace.agentfs.messages, workspace.person

    def send(draft: Draft) -> Message:
        return messages.send(
            PERSON,
            draft.to,
            draft.content,
            by=person,
            type=draft.type,
            importance=draft.importance,
            reply_to=draft.reply_to,
        )

    return lambda draft: workspace.pool.submit(send, draft)


class WriteScreen(ModalScreen["Message | None"]):
    """Answers the message that was sent, or ``None``; what cannot be sent stays, with the reason."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        Binding("ctrl+s", "send", "Send", show=False, priority=True),
    ]

    def __init__(self, draft: Draft, people: People, send: Callable[[Draft], Future[Message]]) -> None:
        super().__init__()
        self._draft = draft
        self._people = people
        self._send_draft = send
        self._sending = False

    def compose(self) -> ComposeResult:
        """To whom, of what type, how urgent, and what."""
        draft, people = self._draft, self._people
        known = [*people.present, *(f"type:{each}" for each in people.types), EVERYONE]
        with Vertical(classes="dialog write") as dialog:
            dialog.border_title = "Reply" if draft.reply_to else "Write a message"
            dialog.border_subtitle = "^S sends · → completes · Tab moves · Esc leaves"
            if draft.quoted:
                yield Static(Content.assemble(("↳ ", "$muted"), (printable(draft.quoted), "$muted")), id="write-quoted")
            yield Label("To: an agent, type:T, or everyone")
            yield Input(
                draft.to,
                id="write-to",
                suggester=SuggestFromList(known, case_sensitive=False),
                placeholder=", ".join(known[:4]),
                compact=True,
            )
            yield Label("Type: note, question, finding … or a word of your own")
            kinds = SuggestFromList(KINDS, case_sensitive=False)
            yield Input(draft.type, id="write-type", suggester=kinds, compact=True)
            with RadioSet(id="write-importance", compact=True):
                for each in Importance:
                    yield SignedRadioButton(each.value, value=each is draft.importance, id=f"write-{each.value}")
            yield TextArea(id="write-content", placeholder="Text, or a JSON object or list", compact=True)
            yield Static("", id="write-answer", markup=False)

    def on_mount(self) -> None:
        """Begin with what is missing."""
        self.query_one("#write-content" if self._draft.to else "#write-to").focus()

    @on(TextArea.Changed)
    def _typed(self) -> None:
        """Say how it will be sent."""
        content = content_of(self.query_one(TextArea).text)
        self._answer("" if isinstance(content, str) else "Sent as JSON.")

    @on(Input.Submitted)
    def _next_field(self) -> None:
        self.focus_next()

    def draft(self) -> Draft:
        """What the fields say."""
        chosen = self.query_one(RadioSet).pressed_button
        return replace(
            self._draft,
            to=self.query_one("#write-to", Input).value.strip(),
            type=self.query_one("#write-type", Input).value.strip(),
            importance=Importance(str(chosen.label)) if chosen is not None else Importance.NORMAL,
            content=content_of(self.query_one(TextArea).text),
        )

    @work
    async def action_send(self) -> None:
        """Send, and close when that worked."""
        draft = self.draft()
        if self._sending:
            return
        if not draft.to or not draft.content:
            self._answer("Say to whom." if not draft.to else "Say something first.", failed=True)
            return
        self._sending = True
        try:
            message = await asyncio.wrap_future(self._send_draft(draft))
        except Exception as error:  # noqa: BLE001 - the log has what nobody foresaw, the dialog stays
            self._answer(sentence(as_sentence(error), self.app), failed=True)
        else:
            self.dismiss(message)
        finally:
            self._sending = False

    def _answer(self, text: str, *, failed: bool = False) -> None:
        answer = self.query_one("#write-answer", Static)
        answer.update(text)
        answer.set_class(failed, "failed")


def content_of(text: str) -> JSONValue:
    """What is sent for a typed text: a JSON object or list where it is one, else the text itself."""
    stripped = text.strip()
    if stripped[:1] in ("{", "["):
        try:
            content: JSONValue = json.loads(stripped)
        except (ValueError, RecursionError):
            return stripped
        return content
    return stripped
