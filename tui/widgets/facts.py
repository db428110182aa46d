"""Facts under each other: a label, and what it says hanging beside it."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

LABEL_CELLS = 10
NARROWEST = 8
Fact = tuple[str | Content, Content]


class Facts(Widget):
    """Wraps each fact within its own column; a fact without a label belongs to the one before."""

    DEFAULT_CSS = "Facts { height: auto; }"

    def __init__(
        self,
        *,
        label_cells: int = LABEL_CELLS,
        id: str | None = None,  # noqa: A002 - the parameter's name in every Textual widget
    ) -> None:
        super().__init__(id=id)
        self._label_cells = label_cells
        self._facts: tuple[Fact, ...] = ()

    @property
    def text(self) -> str:
        """All facts without styles, a line each."""
        return "\n".join(f"{str(label).ljust(self._label_cells)}{fact.plain}" for label, fact in self._facts)

    def show(self, facts: Iterable[Fact]) -> None:
        """Show these."""
        width = self.content_size.width
        before, self._facts = len(self._lines(width)), tuple(facts)
        # A layout of the whole screen for each row that the cursor passes would show.
        self.refresh(layout=len(self._lines(width)) != before)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the facts have when wrapped."""
        return len(self._lines(width))

    def render(self) -> Content:
        """The facts, wrapped."""
        return Content("\n").join(self._lines(self.content_size.width))

    def _lines(self, width: int) -> list[Content]:
        lines = []
        for label, fact in self._facts:
            if isinstance(label, Content):
                head = label.truncate(self._label_cells, ellipsis=True, pad=True)
            else:
                head = Content.styled(label.ljust(self._label_cells), "$muted")
            for line in fact.wrap(max(NARROWEST, width - self._label_cells)) or [Content("")]:
                lines.append(Content.assemble(head, line.rstrip()))
                head = Content(" " * self._label_cells)
        return lines
