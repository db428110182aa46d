"""What verifying the audit trail found, in two verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.agent_model import AuditProblem, AuditVerdict
from tui.printable import printable
from tui.widgets.log_times import short_time

LABEL_CELLS = 13


@dataclass(frozen=True, slots=True)
class Verification:
    """How far verifying is: it runs, or it ended ``at`` a moment with a ``verdict`` or with what went wrong."""

    running: bool = False
    verdict: AuditVerdict | None = None
    at: datetime | None = None
    failure: str = ""

    @property
    def problems(self) -> tuple[AuditProblem, ...]:
        """All that is wrong, in the order in which it was found."""
        return () if self.verdict is None else (*self.verdict.integrity, *self.verdict.completeness)


def verification_text(state: Verification, verify_key: str, jump_key: str) -> Content:
    """The verdicts, or that there are none yet; the keys say how to go on."""
    again = Content.assemble("  ", (verify_key, "bold $accent"), (" verifies again", "$muted"))
    if state.running:
        return Content.styled("verifying … the log stays usable", "bold $warning")
    if state.failure:
        return Content.assemble(("✗ not verified: ", "bold $error"), printable(state.failure), again)
    if state.verdict is None or state.at is None:
        begin = (" verifies", "$muted")
        return Content.assemble(("not verified yet · ", "$muted"), (verify_key, "bold $accent"), begin)
    facts = Content.styled(f"{state.verdict.records:,} records at {short_time(state.at)}", "$muted")
    if state.verdict.whole:
        whole = ("✓ whole", "bold $success")
        return Content.assemble("integrity ", whole, "  completeness ", whole, "  ", facts)
    jump = Content.assemble("  ", (jump_key, "bold $accent"), (" goes to the bad record", "$muted"))
    return Content("\n").join(
        (
            _verdict("integrity", state.verdict.integrity),
            _verdict("completeness", state.verdict.completeness),
            Content.assemble(facts, jump, again),
        )
    )


def verdict_words(state: Verification) -> str:
    """The same for a card."""
    if state.running:
        return "verifying …"
    if state.failure:
        return "✗ could not be verified"
    if state.verdict is None or state.at is None:
        return "not verified yet"
    if state.verdict.whole:
        return f"✓ whole, {state.verdict.records:,} records at {short_time(state.at)}"
    wrong = [
        name
        for name, problems in (("integrity", state.verdict.integrity), ("completeness", state.verdict.completeness))
        if problems
    ]
    return f"✗ {' and '.join(wrong)} broken, first at record {state.problems[0].position:,}"


def _verdict(name: str, problems: Sequence[AuditProblem]) -> Content:
    label = (name.ljust(LABEL_CELLS), "$muted")
    if not problems:
        return Content.assemble(label, ("✓ whole", "bold $success"))
    more = (f" and {len(problems) - 1:,} more" if len(problems) > 1 else "", "$muted")
    return Content.assemble(label, ("✗ ", "bold $error"), (printable(problems[0].sentence), "bold"), more)


class VerdictLine(Static):
    """The verdicts on top of the trail; while something is wrong, Enter or a click posts ``Chosen``."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "choose", "Go to the bad record", show=False)]
    DEFAULT_CSS = """
    VerdictLine {
        height: auto; max-height: 6;
        &:focus { background: $panel; }
    }
    """

    class Chosen(Message):
        """Go to the bad record."""

    def __init__(self) -> None:
        super().__init__("", markup=False)
        self._has_problems = False

    def show(self, state: Verification, verify_key: str, jump_key: str) -> None:
        """Show how far verifying is."""
        self._has_problems = self.can_focus = bool(state.problems) and not state.running
        self.update(verification_text(state, verify_key, jump_key))

    def action_choose(self) -> None:
        """Tell that the bad record is wanted."""
        self.post_message(self.Chosen())

    def on_click(self) -> None:
        """A click does what Enter does."""
        if self._has_problems:
            self.action_choose()
