"""The dialogs that give this workspace a remote: one sets an empty one, one joins what holds a workspace already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen, ScreenResultType
from textual.widgets import Input, Label, Static

from core.crypto.secret import Secret
from core.errors import BailiwickError, Unreachable
from core.sync.joining import Founded, Joined, JoinWay
from tui.bridge import in_thread
from tui.locking import sentence
from tui.pooled import as_sentence
from tui.screens.add import PathSuggester

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tui.panes.sync_reading import SyncLike

T = TypeVar("T")
PLACEHOLDER = "/media/stick/bailiwick or s3://workflow-docs?profile=r2"
CREDENTIALS = "Credentials come from the environment, the keychain or a file of yours: never write them here."
ASK_SECONDS = 3.0


class RemoteDialog(ModalScreen[ScreenResultType], Generic[ScreenResultType]):
    """Base of both: runs one thing at a time beside the screen, and answers in the dialog."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close", show=False)]

    def __init__(self, sync: SyncLike) -> None:
        super().__init__()
        self._sync = sync
        self._busy = False

    def answer(self, text: str, *, failed: bool = False) -> None:
        """Say something in the dialog."""
        line = self.query_one("#remote-answer", Static)
        line.update(Content(text))
        line.display = bool(text)
        line.set_class(failed, "failed")

    async def done(self, said: str, job: Callable[[], T]) -> T | BailiwickError | None:
        """What ``job`` answers, or the error that the dialog says; ``None`` where one runs already."""
        if self._busy:
            return None
        self._busy = True
        self.answer(said)
        try:
            return await in_thread(job)
        except Exception as error:  # noqa: BLE001 - the person gets a sentence, the log the rest
            shown = as_sentence(error)
            if self.is_attached:
                self.answer(sentence(shown, self.app), failed=True)
            return shown
        finally:
            self._busy = False


class SetRemoteScreen(RemoteDialog[Founded | None]):
    """Founds a remote; answers with its recovery code, which the caller shows."""

    def compose(self) -> ComposeResult:
        """Where it is, and what comes of it."""
        with Vertical(classes="dialog filters remote") as dialog:
            dialog.border_title = "Set a remote"
            dialog.border_subtitle = "Enter sets it · → completes · Esc leaves"
            yield Label("An empty folder or bucket")
            yield Input(id="remote-url", placeholder=PLACEHOLDER, suggester=PathSuggester(), compact=True)
            yield Static(
                "It is tried first, then founded: your keys lie there sealed, and a recovery code is shown once. "
                + CREDENTIALS,
                classes="about",
            )
            yield Static("", id="remote-answer", classes="answer")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        url = event.value.strip()
        if url:
            self._set(url)
        else:
            self.answer("Name the folder or the bucket first.", failed=True)

    @work
    async def _set(self, url: str) -> None:
        founded = await self.done("Trying it: two writers at once, then eight …", lambda: self._sync.set_remote(url))
        if founded is not None and not isinstance(founded, BailiwickError):
            self.dismiss(founded)


class JoinScreen(RemoteDialog[Joined | None]):
    """Joins by a recovery code, a passphrase, or the approval of another device; what is typed is never shown."""

    def compose(self) -> ComposeResult:
        """Where it is, and what opens its keys."""
        with Vertical(classes="dialog filters remote") as dialog:
            dialog.border_title = "Join a remote"
            dialog.border_subtitle = "Enter joins · Tab moves · Esc leaves"
            yield Label("The folder or bucket that holds the workspace")
            yield Input(id="remote-url", placeholder=PLACEHOLDER, suggester=PathSuggester(), compact=True)
            yield Label("Its recovery code")
            yield Input(id="remote-code", password=True, compact=True)
            yield Label("Or its passphrase; neither asks another device of yours")
            yield Input(id="remote-passphrase", password=True, compact=True)
            yield Static("", id="remote-code-shown")
            yield Static(CREDENTIALS, classes="about")
            yield Static("", id="remote-answer", classes="answer")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        texts = {each.id: each.value for each in self.query(Input)}
        url, code, passphrase = (texts[f"remote-{name}"] for name in ("url", "code", "passphrase"))
        if not url.strip():
            self.answer("Name the folder or the bucket first.", failed=True)
        elif code and passphrase:
            self.answer("Either the recovery code or the passphrase opens it, not both.", failed=True)
        elif not self._busy:
            self._join(url.strip(), code, passphrase)

    @work
    async def _join(self, url: str, code: str, passphrase: str) -> None:
        if not code and not passphrase:
            await self._be_approved(url)
            return
        way = JoinWay.RECOVERY_CODE if code else JoinWay.PASSPHRASE
        given = Secret(code or passphrase)
        joined = await self.done("Opening its keys …", lambda: self._sync.join(url, way, given))
        given.forget()
        if joined is not None and not isinstance(joined, BailiwickError):
            self._end(joined)

    async def _be_approved(self, url: str) -> None:
        """Show a code, and look now and then whether a device that is joined has approved it."""
        code = await self.done("Asking …", lambda: self._sync.ask_to_join(url))
        if code is None or isinstance(code, BailiwickError):
            return
        shown = self.query_one("#remote-code-shown", Static)
        shown.update(
            Content.assemble(
                "On a device that is joined already, run\n",
                (f"  bailiwick remote approve {code.text()}", "bold $accent"),
            )
        )
        shown.display = True
        while self.is_attached:
            joined = await self.done("Waiting for it …", lambda: self._sync.join(url, JoinWay.APPROVAL, code))
            if not isinstance(joined, Unreachable):
                break
            self.answer("Waiting for it; this looks every few seconds, and Esc gives up.")
            await asyncio.sleep(ASK_SECONDS)
        if joined is not None and not isinstance(joined, BailiwickError):
            self._end(joined)

    def _end(self, joined: Joined) -> None:
        for field in self.query(Input):
            field.clear()
        self.dismiss(joined)
