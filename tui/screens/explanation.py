"""Who gets one item in which form, and every rule that had a say; and which items a pattern catches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from tui.levels import level_words
from tui.printable import printable
from tui.screens.working import WorkingScreen
from tui.widgets.facts import Fact, Facts
from tui.widgets.privacy_rows import FORM_STYLES, FORMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.app import ComposeResult

    from core.disclosure.report import Answer, Explanation
    from tui.panes.agent_reading import AgentWorkspace

RULE_CELLS = 20
DECIDES = "▸"


class ExplanationScreen(WorkingScreen[None]):
    """Reads and shows it; the audience ``first`` stands at the top."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "leave", "Close", show=False)]

    def __init__(self, workspace: AgentWorkspace, target: str, first: str = "") -> None:
        """``target`` is an item's id or path, ``first`` what the doors understand as an audience."""
        super().__init__(workspace)
        self._target = target
        self._first = first

    def compose(self) -> ComposeResult:
        """What the item is, then audience by audience."""
        with Vertical(classes="dialog explanation") as dialog:
            dialog.border_title = "Who gets it"
            dialog.border_subtitle = f"{DECIDES} decides · ↑ ↓ scroll · Esc leaves"
            yield Static("", id="explained")
            with VerticalScroll(id="explanation-rules"):
                yield Facts(label_cells=RULE_CELLS)
            yield self.answer_line()

    def on_mount(self) -> None:
        """Find out."""
        self.query_one("#explanation-rules").focus()
        self._read()

    @work
    async def _read(self) -> None:
        agentfs, target = self._workspace.agentfs, self._target

        def read() -> Explanation:
            from core.disclosure.report import explanation

            return explanation(agentfs, target)

        told = await self.done(read)
        if told is not None:
            item = told.item
            self.query_one("#explained", Static).update(
                Content.assemble(
                    (printable(told.path), "bold $primary"),
                    f"\n{item.kind} of {printable(item.owner)}, {level_words(item)}",
                )
            )
            answers = sorted(told.answers, key=lambda each: each.text != self._first)
            self.query_one(Facts).show(explanation_facts(answers))


def explanation_facts(answers: Iterable[Answer]) -> list[Fact]:
    """For each audience what it gets, and under it the rules as they were considered."""
    facts: list[Fact] = []
    for each in answers:
        if facts:
            facts.append(("", Content("")))
        action = each.decision.action
        name = Content.styled(printable(each.name), "bold $primary")
        facts.append((name, Content.styled(FORMS[action], FORM_STYLES[action])))
        for rule in each.considered:
            mark = DECIDES if rule.decided else " "
            said = Content.assemble(
                (FORMS[rule.action], "bold" if rule.decided else ""),
                (", decides" if rule.decided else "", "bold"),
                (f"  {printable(rule.reason)}", "" if rule.decided else "$muted"),
            )
            facts.append((f"{mark} {rule.rule}", said))
    return facts


class CaughtScreen(ModalScreen[None]):
    """The paths that one pattern catches."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter", "dismiss(None)", "Close", show=False)]

    def __init__(self, pattern: str, origin: str, paths: Sequence[str], count: int) -> None:
        """``paths`` are the first of ``count``."""
        super().__init__()
        self._pattern = pattern
        self._origin = origin
        self._paths = paths
        self._count = count

    def compose(self) -> ComposeResult:
        """Where the pattern comes from, and the paths."""
        count, more = self._count, self._count - len(self._paths)
        lines = [printable(path) for path in self._paths]
        if more:
            lines.append(f"… and {more:,} more")
        with Vertical(classes="dialog explanation") as dialog:
            dialog.border_title = Content(f"{printable(self._pattern)} catches {count:,}")
            dialog.border_subtitle = "↑ ↓ scroll · Esc leaves"
            yield Static(Content.styled(printable(self._origin), "$muted"))
            with VerticalScroll(id="explanation-rules"):
                yield Static(Content("\n".join(lines)))

    def on_mount(self) -> None:
        """Ready to be scrolled."""
        self.query_one("#explanation-rules").focus()
