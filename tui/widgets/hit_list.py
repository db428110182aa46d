"""The list of hits: two lines each, the better one first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from core.model import Hit, Match

LINES_PER_HIT = 2


class HitList(OptionList):
    """Shows hits and keeps the highlight on the same passage when an answer changes around it."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the parameter's name in every Textual widget
        super().__init__(id=id)
        self._hits: tuple[Hit, ...] = ()

    @property
    def hit(self) -> Hit | None:
        """The highlighted hit."""
        if self.highlighted is None or self.highlighted >= len(self._hits):
            return None
        return self._hits[self.highlighted]

    def show(self, hits: Sequence[Hit]) -> None:
        """Replace the hits; the first is highlighted unless the present one is among them while the list has focus."""
        kept = self.hit.id if self.hit is not None and self.has_focus else None
        self._hits = tuple(hits)
        self._draw()
        if hits:
            ids = [hit.id for hit in hits]
            self.highlighted = ids.index(kept) if kept in ids else 0

    def on_resize(self) -> None:
        """Fit the lines to the new width."""
        highlighted = self.highlighted
        self._draw()
        self.highlighted = highlighted

    def _draw(self) -> None:
        width = max(20, self.scrollable_content_region.width - 2)
        self.clear_options()
        self.add_options([Option(_two_lines(number, hit, width)) for number, hit in enumerate(self._hits, start=1)])


def _two_lines(number: int, hit: Hit, width: int) -> Content:
    version = hit.version and (f"≈{hit.version}" if hit.matched.version is Match.NEAREST else hit.version)
    origin = " ".join(part for part in (hit.library, version) if part)
    right = f"{origin}  {hit.score:.2f}"
    head = f"{number:>2} "
    room = width - cell_len(head) - cell_len(right) - 2
    title = _shorten_start(hit.title, max(8, room))
    gap = " " * max(2, width - cell_len(head) - cell_len(title) - cell_len(right))
    snippet = _shorten_end(" ".join(hit.text.replace("```", " ").split()), width - 3)
    return Content.assemble(
        (head, "$muted"), (title, "bold"), gap, (right, "$muted"), "\n", ("   " + snippet, "$muted")
    )


def _shorten_start(text: str, room: int) -> str:
    """Keep the end, which tells qualified names apart."""
    if cell_len(text) <= room:
        return text
    while text and cell_len(text) > room - 1:
        text = text[1:]
    return "…" + text


def _shorten_end(text: str, room: int) -> str:
    if cell_len(text) <= room:
        return text
    text = text[: max(0, room)]
    while text and cell_len(text) > room - 1:
        text = text[:-1]
    return text + "…"
