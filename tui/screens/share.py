"""The dialog that shares one item, after saying what that would come to."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Label, RadioSet, Static

from core.errors import BailiwickError
from tui.pooled import submit_newest
from tui.printable import printable
from tui.screens.working import WorkingScreen
from tui.widgets.privacy_rows import FORMS
from tui.widgets.radio import SignedRadioButton

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.timer import Timer

    from core.disclosure.sharing import Shared
    from tui.panes.agent_reading import AgentWorkspace

TYPING_SECONDS = 0.2


class ShareScreen(WorkingScreen[None]):
    """Answers beforehand in which form the audience would get the item; Enter shares it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Close", show=False)]

    class Foretold(Message):
        """What sharing with that audience would do."""

        def __init__(self, wanted: tuple[str, bool], outcome: Shared | BailiwickError) -> None:
            super().__init__()
            self.wanted = wanted
            self.outcome = outcome

    def __init__(
        self, workspace: AgentWorkspace, target: str, path: str, known: tuple[str, ...], audience: str = ""
    ) -> None:
        """``target`` is the item's id or path, ``known`` what the doors understand as audiences."""
        super().__init__(workspace)
        self._target = target
        self._path = path
        self._known = known
        self._audience = audience
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """What, with whom, how much of it, and what that comes to."""
        with Vertical(classes="dialog filters share") as dialog:
            dialog.border_title = "Share"
            dialog.border_subtitle = "Enter shares · → completes · Tab moves · Esc leaves"
            yield Static(Content.styled(printable(self._path), "bold"), id="share-path")
            yield Label("With: team:NAME, agent:NAME or public")
            yield Input(
                self._audience,
                id="share-audience",
                suggester=SuggestFromList(self._known, case_sensitive=False),
                placeholder=", ".join(self._known[:3]),
                compact=True,
            )
            with RadioSet(id="share-form", compact=True):
                yield SignedRadioButton("As its kind allows", value=True, id="share-plainly")
                yield SignedRadioButton("In full", id="share-full")
            yield Static("", id="share-foretold")
            yield self.answer_line()

    def on_mount(self) -> None:
        """Begin with whom."""
        self.query_one(Input).focus()
        self._look()

    @property
    def _wanted(self) -> tuple[str, bool]:
        full = self.query_one("#share-full", SignedRadioButton).value
        return self.query_one("#share-audience", Input).value.strip(), full

    @on(Input.Changed)
    def _typed(self) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._look)

    @on(RadioSet.Changed)
    def _look(self) -> None:
        """Ask what it would come to."""
        wanted = self._wanted
        self.answer("")
        if not wanted[0]:
            self._foretell(Content.styled("Say with whom.", "$muted"))
            return
        submit_newest(
            self._workspace.pool,
            "privacy.share",
            lambda: self._shared(*wanted, dry_run=True),
            lambda outcome: self.post_message(self.Foretold(wanted, outcome)),
        )

    def _shared(self, audience: str, in_full: bool, *, dry_run: bool) -> Shared:
        from core.disclosure.sharing import share

        person = self._workspace.person
        return share(self._workspace.agentfs, self._target, audience, by=person, in_full=in_full, dry_run=dry_run)

    @on(Foretold)
    def _foretold(self, event: Foretold) -> None:
        event.stop()
        if event.wanted != self._wanted:
            return
        if isinstance(event.outcome, BailiwickError):
            self._foretell(Content.assemble(("✗ ", "bold $error"), event.outcome.message))
            return
        told = event.outcome
        self._foretell(
            Content.assemble(
                (f"{printable(told.audience)} would get it ", ""),
                (FORMS[told.decision.action], "bold"),
                (f". {printable(told.decision.reason)}", "$muted"),
            )
        )

    @on(Input.Submitted)
    def _submitted(self) -> None:
        audience, in_full = self._wanted
        if audience:
            self._share(audience, in_full)

    @work
    async def _share(self, audience: str, in_full: bool) -> None:
        done = await self.done(lambda: self._shared(audience, in_full, dry_run=False))
        if done is None:
            self._foretell(Content(""))
        else:
            said = "gets it now" if done.changed else "got it already"
            self.app.notify(f"{printable(done.audience)} {said}, {FORMS[done.decision.action]}.", markup=False)
            self.dismiss(None)

    def _foretell(self, content: Content) -> None:
        self.query_one("#share-foretold", Static).update(content)
