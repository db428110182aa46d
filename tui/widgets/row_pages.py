"""Rows of any number, read page by page from where they are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar, runtime_checkable

from textual.cache import LRUCache

from core.errors import BailiwickError

PAGE_ROWS = 100
PAGES_KEPT = 32

Row = TypeVar("Row")
Row_co = TypeVar("Row_co", covariant=True)
Row_contra = TypeVar("Row_contra", contravariant=True)


class RowSource(Protocol[Row_co]):
    """Where rows come from, the oldest first. Called while lines are drawn, so each call takes well under 1 ms.

    What cannot be read is told by raising a ``BailiwickError``.
    """

    def count(self) -> int:
        """How many rows there are now."""

    def rows(self, start: int, stop: int) -> Sequence[Row_co]:
        """The rows from ``start`` to before ``stop``; fewer when they are gone."""


@runtime_checkable
class LocatingSource(Protocol[Row_contra]):
    """A source that can also tell where a row of another source belongs in it."""

    def near(self, row: Row_contra) -> int:
        """The index of ``row``, or of a neighbour when it is not there."""


class RowPages(Generic[Row]):
    """Keeps the pages last used of one source; its first failure is told once, and a failed page is not tried again
    before ``grow`` or ``clear``."""

    def __init__(self, source: RowSource[Row], failed: Callable[[BailiwickError], object]) -> None:
        self._source = source
        self._tell = failed
        self._told = False
        self._pages: LRUCache[int, Sequence[Row]] = LRUCache(PAGES_KEPT)
        self._failed: set[int] = set()

    def count(self) -> int | None:
        """How many rows the source has now; None when it cannot tell."""
        try:
            return self._source.count()
        except BailiwickError as error:
            self._fail(error)
            return None

    def row(self, index: int, count: int) -> Row | None:
        """The row ``index`` of the first ``count`` rows; None when it cannot be read."""
        number, place = divmod(index, PAGE_ROWS)
        page = self._pages.get(number)
        if page is None:
            if number in self._failed:
                return None
            start = number * PAGE_ROWS
            try:
                page = self._source.rows(start, min(start + PAGE_ROWS, count))
            except BailiwickError as error:
                self._failed.add(number)
                self._fail(error)
                return None
            self._pages[number] = page
        return page[place] if place < len(page) else None

    def near(self, row: Row) -> int | None:
        """Where ``row`` of another source belongs; None when the source cannot tell."""
        if not isinstance(self._source, LocatingSource):
            return None
        try:
            return self._source.near(row)
        except BailiwickError as error:
            self._fail(error)
            return None

    def grow(self) -> None:
        """Read again what was not a whole page."""
        self._failed.clear()
        for number in [number for number in self._pages.keys() if len(self._pages[number]) < PAGE_ROWS]:  # noqa: SIM118 - not a dict
            self._pages.discard(number)

    def clear(self) -> None:
        """Read everything again, and tell the next failure."""
        self._pages.clear()
        self._failed.clear()
        self._told = False

    def _fail(self, error: BailiwickError) -> None:
        if not self._told:
            self._told = True
            self._tell(error)
