"""The half of the conflicts pane in which somebody rules: what each key does to the conflict on the desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual import on

from core.conflicts.arbitration import Arbitration
from core.conflicts.merging.decisions import Content
from core.conflicts.records import ConflictStatus
from core.errors import BailiwickError, InvalidInput
from tui.amounts import counted
from tui.locking import sentence
from tui.panes.conflicts_desk import Desk
from tui.panes.fetching import FetchingPane
from tui.widgets.arbitration_view import ArbitrationView, Layout
from tui.widgets.conflict_result import ConflictResult
from tui.widgets.conflict_words import CHOICES, Column, about
from tui.widgets.three_sides import ThreeSides

if TYPE_CHECKING:
    from tui.panes.conflicts_dialogs import ConflictDialogs
    from tui.panes.conflicts_work import ConflictWork

ON_DESK = frozenset({"apply", "choose", "both", "step_any", "edit", "edit_whole", "rest", "words", "fold", "advance"})
CHANGING = frozenset({"apply", "choose", "both", "edit", "edit_whole", "rest", "advance"})
_HELD = CHANGING | {"undo", "redo", "reopen"}


class RulingPane(FetchingPane):
    """Base of the conflicts pane; the list is the other half."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.work_asked: ConflictWork | None = None
        self.dialogs: ConflictDialogs | None = None

    @property
    def view(self) -> ArbitrationView:
        """What is on the desk."""
        return self.query_one(ArbitrationView)

    @property
    def is_ruling(self) -> bool:
        """Whether a conflict is on the desk."""
        return self.desk.arbitration is not None

    @property
    def fills_screen(self) -> bool:
        """The sides beside each other want the whole width."""
        return self.is_ruling

    def draw(self) -> None:
        """Show the list and the desk as they are."""
        raise NotImplementedError

    def settled_here(self) -> None:
        """What was on the desk was applied."""
        raise NotImplementedError

    # On the desk and off it

    def lay(self, arbitration: Arbitration) -> None:
        """Put a conflict on the desk and show it."""
        self.desk.lay(arbitration)
        self.draw()
        self.show_desk(anew=True)
        self.tell_changed()
        if self.is_shown:
            self.call_after_refresh(lambda: self.view.focus_target.focus())

    def leave_desk(self) -> None:
        """Back to the list; what was chosen is kept."""
        if self.work_asked is not None:
            self.work_asked.keep_now()
            self.work_asked.forget_opening()
        self.desk.clear()
        self.view.clear()
        self._write_title()
        self.draw()
        self.tell_changed()
        target = self.default_focus()
        if self.is_shown and target is not None:
            target.focus()

    def show_desk(self, *, anew: bool = False) -> None:
        """Show what is chosen so far, and where somebody stands."""
        arbitration = self.desk.arbitration
        if arbitration is not None:
            key = self.bailiwick.key_of("conflicts.apply")
            self.view.show(arbitration, self.desk.place, anew=anew, apply_key=key)
            self._write_title()
        self.refresh_bindings()

    def moved_under(self, arbitration: Arbitration, reopened: int | None = None) -> None:
        """A side is another than before: go on with it, and say so."""
        if self.desk.arbitration is None or self.desk.arbitration.id != arbitration.id:
            return
        if arbitration.status is not ConflictStatus.OPEN:
            self._tell(f"{about(arbitration)} was settled meanwhile; what you chose is kept.", failed=True)
            self.leave_desk()
            self.look()
            return
        self.lay(arbitration)
        count = len(arbitration.open) if reopened is None else reopened
        self._tell(f"Changed under you: {counted(count, 'place is', 'places are')} open now.", failed=True)

    def look(self) -> None:
        """Read how things stand."""
        raise NotImplementedError

    def _write_title(self) -> None:
        arbitration = self.desk.arbitration
        self.border_title = f"{self.TITLE} · {about(arbitration)}" if arbitration is not None else self.TITLE

    # What can be done there

    def can_on_desk(self, action: str, parameters: tuple[object, ...]) -> bool:
        """Whether an action on the desk works now."""
        desk, arbitration = self.desk, self.desk.arbitration
        if arbitration is None:
            return False
        if action in CHANGING and arbitration.status is not ConflictStatus.OPEN:
            return False
        if (
            action in (*CHANGING, "undo", "redo", "reopen")
            and self.work_asked is not None
            and self.work_asked.is_ruling
        ):
            return False
        match action:
            case "step":
                return desk.open_elsewhere
            case "both":
                return desk.decision is not None and desk.decision.has_both
            case "rest":
                return bool(arbitration.open)
            case "redo":
                return arbitration.can_redo
            case "undo":
                return arbitration.can_undo
            case "show_base":
                return self.view.room is Layout.MEDIUM
            case "reopen":
                if arbitration.status is not ConflictStatus.OPEN:
                    return True
                return desk.decision is not None and not desk.decision.is_open
        return action in ON_DESK

    def act(self, act: Callable[[], object]) -> None:
        """Do something to what is on the desk, or say why it cannot be; what is chosen then is kept."""
        before = self.desk.arbitration
        try:
            act()
        except InvalidInput as error:
            self._tell(sentence(error, self.app), failed=True)
            return
        after = self.desk.arbitration
        if after is not None and after is not before and self.work_asked is not None:
            self.work_asked.keep(after)
        self.show_desk()

    def action_choose(self, side: str) -> None:
        """Take one side at the place."""
        self.act(lambda: self.desk.take(CHOICES[Column(side)]))

    def action_both(self) -> None:
        """Take both."""
        self.act(self.desk.both)

    def action_step(self, step: int) -> None:
        """Another open place."""
        self.act(lambda: self.desk.step(step, only_open=True))

    def action_step_any(self, step: int) -> None:
        """Another place."""
        self.act(lambda: self.desk.step(step, only_open=False))

    def action_redo(self) -> None:
        """Do again what was taken back."""
        self.act(self.desk.redo)

    def action_rest(self, side: str) -> None:
        """Everything that is open from one side, after asking; one act to undo."""
        from tui.screens.confirm import ConfirmScreen

        arbitration = self.desk.arbitration
        if arbitration is None or not arbitration.open:
            return

        def answered(yes: bool | None) -> None:
            if yes:
                self.act(lambda: self.desk.rest(CHOICES[Column(side)]))

        many = counted(len(arbitration.open), "open place")
        undo = self.bailiwick.key_of("conflicts.undo")
        question = f"Take {side} at the {many} of {about(arbitration)}? {undo} takes it back at once."
        self.app.push_screen(ConfirmScreen(question, f"Take {side}", no="Leave them"), answered)

    def action_edit(self) -> None:
        """Write what shall hold at the place."""
        arbitration, place = self.desk.arbitration, self.desk.place
        if self.dialogs is not None and arbitration is not None and place is not None:
            self.dialogs.edit(arbitration, place, self._written)

    def _written(self, content: Content) -> None:
        self.act(lambda: self.desk.write(content))

    def action_edit_whole(self) -> None:
        """Give the whole result to the person's editor, and take over what comes back."""
        from tui.panes.conflicts_dialogs import edit_outside

        arbitration = self.desk.arbitration
        if arbitration is None:
            return
        try:
            text = edit_outside(self.app, arbitration.result_text(), arbitration.path, arbitration.media)
        except BailiwickError as error:
            self._tell(sentence(error, self.app), failed=True)
            return
        if text is not None:
            self.act(lambda: self.desk.whole(text))

    def action_words(self) -> None:
        """Word by word, or line by line."""
        self.view.toggle_words()

    def action_fold(self) -> None:
        """Fold what is equal, or show it."""
        self.view.toggle_fold()

    def action_show_base(self) -> None:
        """Base over one of the sides."""
        self.view.show_base()

    def action_advance(self) -> None:
        """Whether a choice goes on to the next open place."""
        self.desk.advances = not self.desk.advances
        how = "goes on to the next open place" if self.desk.advances else "stays at its place"
        self._tell(f"A choice {how}.")

    def action_apply(self) -> None:
        """Have the result hold; while something is open, go there and say so."""
        arbitration = self.desk.arbitration
        if arbitration is None or self.work_asked is None:
            return
        problem = arbitration.problem()
        if problem:
            self._tell(f"Not yet: {problem[:1].lower()}{problem[1:]}", failed=True)
            if self.desk.place not in arbitration.open:
                self.action_step(1)
            return
        self.work_asked.apply(arbitration, self.settled_here, self.moved_under)

    # The pointer

    @on(ThreeSides.Pointed)
    def _side_pointed(self, event: ThreeSides.Pointed) -> None:
        event.stop()
        self.desk.go_to(event.number)
        if event.column in CHOICES and self.can_on_desk("choose", ()):
            self.action_choose(event.column.value if event.column is not None else "")
        else:
            self.show_desk()

    @on(ConflictResult.Pointed)
    def _result_pointed(self, event: ConflictResult.Pointed) -> None:
        event.stop()
        self.desk.go_to(event.number)
        self.show_desk()

    def _tell(self, text: str, *, failed: bool = False) -> None:
        self.notify(text, severity="warning" if failed else "information", markup=False)
