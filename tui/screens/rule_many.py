"""The dialog that rules on several conflicts at once, after it has shown what each would become."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on, work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import RadioSet, Static

from core.conflicts.merging.line_changes import LineChange, LineMark, line_changes
from core.conflicts.merging.text_merge import Mark
from core.conflicts.outcomes import Took
from core.conflicts.summaries import Applied, Preview, Refused
from core.errors import BailiwickError
from tui.amounts import counted
from tui.pooled import submit_newest
from tui.printable import printable
from tui.screens.working import WorkingScreen
from tui.widgets.conflict_rows import BRACKETS
from tui.widgets.radio import SignedRadioButton

if TYPE_CHECKING:
    from textual.app import App, ComposeResult

    from tui.panes.conflicts_reading import ConflictsWorkspace

Outcomes = list[Applied | Refused]
MOST_SHOWN = 60
MOST_LINES = 3
LONGEST_TEXT = 20_000
_TAKES = {
    Took.LOCAL: "Local",
    Took.REMOTE: "Remote",
    Took.BASE: "Base",
    Took.MERGED: "As decided",
}
_OTHER = {Took.LOCAL: "of remote", Took.REMOTE: "of local", Took.BASE: "of both", Took.MERGED: ""}
_SIGNS = {LineMark.ADDED: ("+", "$success"), LineMark.REMOVED: ("−", "$error"), LineMark.CHANGED: ("~", "$accent")}
_LOOKS = {Mark.REMOVED: "$error strike", Mark.ADDED: "bold underline $success"}
_BEHIND = {Mark.REMOVED: " on $error 16%", Mark.ADDED: " on $success 22%"}


class Stopped(BailiwickError):
    """The person stopped it."""


class RuleManyScreen(WorkingScreen[Outcomes]):
    """Answers what became of each, or ``None`` when the person left. What is chosen already in a draft stays chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False),
        Binding("less_than_sign", "take('local')", "Local", show=False),
        Binding("greater_than_sign", "take('remote')", "Remote", show=False),
        Binding("equals_sign", "take('base')", "Base", show=False),
        Binding("ctrl+s,enter", "rule", "Rule", show=False, priority=True),
    ]

    class Previewed(Message):
        """What taking that would make of each."""

        def __init__(self, take: Took, outcome: list[Preview] | BailiwickError) -> None:
            super().__init__()
            self.take = take
            self.outcome = outcome

    class Came(Message):
        """So many are ruled on."""

        def __init__(self, done: int, total: int) -> None:
            super().__init__()
            self.done = done
            self.total = total

    def __init__(self, workspace: ConflictsWorkspace, identifiers: list[str]) -> None:
        super().__init__(workspace)
        self._conflicts = workspace.conflicts
        self._identifiers = identifiers
        self._previews: list[Preview] | None = None
        self._stop = threading.Event()

    def compose(self) -> ComposeResult:
        """What to take, what that comes to, and each of them."""
        with Vertical(classes="dialog rule") as dialog:
            dialog.border_title = f"Rule on {counted(len(self._identifiers), 'conflict')}"
            dialog.border_subtitle = "< local · > remote · = base · Enter rules · Esc leaves"
            yield Static("At every place that is open still, take:", classes="about")
            with RadioSet(id="rule-take", compact=True):
                for take, name in _TAKES.items():
                    yield SignedRadioButton(name, value=take is Took.LOCAL, id=f"take-{take.value}")
            yield Static("", id="rule-sum")
            with VerticalScroll(id="rule-previews"):
                yield Static("", id="rule-each")
            yield self.answer_line()

    def on_mount(self) -> None:
        """Show what the first would come to."""
        self.query_one("#rule-previews").focus()
        self._look()

    @property
    def take(self) -> Took:
        """What is to be taken."""
        return next(take for take in _TAKES if self.query_one(f"#take-{take.value}", SignedRadioButton).value)

    def action_take(self, name: str) -> None:
        """Take that."""
        self.query_one(f"#take-{name}", SignedRadioButton).value = True

    @on(RadioSet.Changed)
    def _look(self) -> None:
        take, self._previews = self.take, None
        self.query_one("#rule-sum", Static).update(Content.styled("Looking what that would make of them …", "$muted"))
        identifiers, conflicts = self._identifiers, self._conflicts
        submit_newest(
            self._workspace.pool,
            "conflicts.preview",
            lambda: conflicts.preview_many(identifiers, take),
            lambda outcome: self.post_message(self.Previewed(take, outcome)),
        )

    @on(Previewed)
    def _previewed(self, event: Previewed) -> None:
        event.stop()
        if event.take is not self.take:
            return
        if isinstance(event.outcome, BailiwickError):
            self.answer(str(event.outcome), failed=True)
            return
        self._previews = event.outcome
        self.query_one("#rule-sum", Static).update(_sum(event.outcome, event.take))
        self.query_one("#rule-each", Static).update(_each(event.outcome, event.take, self.app))

    def action_rule(self) -> None:
        """Rule, once it is shown what that does."""
        if self._previews is not None and any(not each.refused for each in self._previews):
            self._rule([each.id for each in self._previews if not each.refused])

    @work
    async def _rule(self, identifiers: list[str]) -> None:
        take, by, stop = self.take, self._workspace.person, self._stop

        def progress(done: int, total: int) -> None:
            if stop.is_set():
                raise Stopped("Stopped; what is ruled on holds.")
            self.post_message(self.Came(done, total))

        ruled = await self.done(lambda: self._conflicts.resolve_many(identifiers, take, by=by, progress=progress))
        if ruled is not None:
            self.dismiss(ruled)

    def on_rule_many_screen_came(self, event: Came) -> None:
        """Show how far it is."""
        event.stop()
        self.answer(f"{event.done:,} of {event.total:,} …  Esc stops")

    def action_leave(self) -> None:
        """Stop what runs, or close."""
        if self._busy:
            self._stop.set()
        else:
            self.dismiss(None)


def _sum(previews: list[Preview], take: Took) -> Content:
    refused = sum(bool(each.refused) for each in previews)
    ruled = len(previews) - refused
    lost = sum(each.loses for each in previews if not each.refused)
    parts = [(f"✓ {counted(ruled, 'conflict')} settled", "bold $success" if ruled else "bold $muted")]
    if refused:
        parts.append((f"  ● {refused:,} left open", "bold $warning"))
    if lost:
        what = counted(lost, "change")
        parts.append((f"  ! {what} {_OTHER[take]} not taken".replace("  not", " not"), "bold $error"))
    return Content.assemble(*parts)


def _each(previews: list[Preview], take: Took, app: App[Any]) -> Content:
    lines = [_one(each, take, app) for each in previews[:MOST_SHOWN]]
    if len(previews) > MOST_SHOWN:
        lines.append(Content.styled(f"… and {len(previews) - MOST_SHOWN:,} more", "$muted"))
    return Content("\n").join(lines)


def _one(each: Preview, take: Took, app: App[Any]) -> Content:
    name = (printable(each.about or each.path or each.id), "bold")
    if each.refused:
        return Content.assemble(("● ", "bold $warning"), name, (f"\n    stays open: {each.refused}", "$muted"))
    lost = f"  ! {counted(each.loses, 'change')} {_OTHER[take]} not taken".replace("  not", " not")
    head = Content.assemble(("✓ ", "bold $success"), name, (lost if each.loses else "", "$error"))
    return Content("\n").join([head, *_becomes(each, app)])


def _becomes(each: Preview, app: App[Any]) -> list[Content]:
    """The first lines that would be other ones."""
    if each.before == each.after:
        return [Content.styled("    stays as it is now", "$muted")]
    if not each.after:
        return [Content.styled("    is deleted", "$muted")]
    before, after = (text[:LONGEST_TEXT] for text in (each.before, each.after))
    changed = [change for change in line_changes(before, after) if change.mark is not LineMark.KEPT]
    lines = [_line(change, app) for change in changed[:MOST_LINES]]
    if len(changed) > MOST_LINES:
        lines.append(Content.styled(f"    … {len(changed) - MOST_LINES:,} more lines", "$muted"))
    return lines


def _line(change: LineChange, app: App[Any]) -> Content:
    sign, style = _SIGNS[change.mark]
    parts: list[tuple[str, str]] = [(f"    {sign} ", style)]
    if change.mark is not LineMark.CHANGED:
        parts += [(printable(words.text), style) for words in change.words]
        return Content.assemble(*parts).truncate(160, ellipsis=True)
    for words in change.words:
        left, right = BRACKETS[words.mark] if app.no_color else ("", "")
        behind = "" if app.native_ansi_color else _BEHIND.get(words.mark, "")
        parts.append((f"{left}{printable(words.text)}{right}", _LOOKS.get(words.mark, "$foreground") + behind))
    return Content.assemble(*parts).truncate(160, ellipsis=True)
