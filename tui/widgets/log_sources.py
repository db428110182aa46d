"""Numbered rows as a log shows them: all of them, or those that a filter picked."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Generic

from tui.widgets.row_pages import Row


class DenseRows(Generic[Row]):
    """Every row from the number ``first`` to ``newest()``, without a gap between the numbers."""

    def __init__(
        self,
        first: int,
        newest: Callable[[], int],
        read: Callable[[int, int], Sequence[Row]],
        number_of: Callable[[Row], int],
    ) -> None:
        """``read`` gives the rows with the numbers from its first to its second argument."""
        self.first = first
        self._newest = newest
        self._read = read
        self._number_of = number_of

    def count(self) -> int:
        """How many rows there are now."""
        return max(0, self._newest() - self.first + 1)

    def rows(self, start: int, stop: int) -> Sequence[Row]:
        """The rows from ``start`` to before ``stop``."""
        return self._read(self.first + start, self.first + stop - 1)

    def near(self, row: Row) -> int:
        """The index of ``row``."""
        return self.place(self._number_of(row))

    def place(self, number: int) -> int:
        """The index of the row with that number."""
        return max(0, number - self.first)


class PickedRows(Generic[Row]):
    """The rows whose ``numbers`` a filter picked, ascending; they may be replaced by more of the same filter."""

    def __init__(
        self,
        numbers: array[int],
        read: Callable[[Sequence[int]], Sequence[Row]],
        number_of: Callable[[Row], int],
    ) -> None:
        self.numbers = numbers
        self._read = read
        self._number_of = number_of

    def count(self) -> int:
        """How many rows were picked."""
        return len(self.numbers)

    def rows(self, start: int, stop: int) -> Sequence[Row]:
        """The rows from ``start`` to before ``stop``."""
        return self._read(self.numbers[start:stop])

    def near(self, row: Row) -> int:
        """The index of ``row``, or of the next one that was picked."""
        return self.place(self._number_of(row))

    def place(self, number: int) -> int:
        """The index of the row with that number, or of the next one that was picked."""
        return min(bisect_left(self.numbers, number), max(0, len(self.numbers) - 1))
