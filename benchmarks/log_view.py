"""What a page down costs in the log view over SQLite at 1 and 10 million rows, beside a bare ScrollView.

    uv run python benchmarks/log_view.py [--pages 200]

One table of a million rows with a dense integer key; ten million rows are its rows ten times. The bare view draws blank
lines of the same number, so its time is what Textual itself needs. CPU time, because the machine may be shared; each
page down waits until it is on the screen. Also: one new row while following, and End from the first row.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.app import App, ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.pilot import Pilot
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from tui.printable import printable
from tui.widgets.paged_log import PagedLog

MILLION = 1_000_000
SIZES = ((80, 24), (160, 48))
StoredRow = tuple[int, str, str, str]


class StoredRows:
    """Rows of the table, over and over until there are ``count``."""

    def __init__(self, connection: sqlite3.Connection, count: int) -> None:
        self._connection = connection
        self.size = count
        self.reads: list[float] = []

    def count(self) -> int:
        """How many rows there are."""
        return self.size

    def rows(self, start: int, stop: int) -> Sequence[StoredRow]:
        """The rows from ``start`` to before ``stop``."""
        began = time.perf_counter()
        first = start % MILLION
        rows = self._connection.execute(
            "SELECT id, kind, route, body FROM message WHERE id > ? AND id <= ?", (first, first + stop - start)
        ).fetchall()
        self.reads.append((time.perf_counter() - began) * 1000)
        return rows


class BareView(ScrollView):
    """Blank lines."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def on_mount(self) -> None:
        """Be so tall."""
        self.virtual_size = Size(0, self._count)

    def render_line(self, y: int) -> Strip:
        """Nothing, in the style of the widget."""
        return Strip.blank(self.scrollable_content_region.width, self.visual_style.rich_style)


class OneView(App[None]):
    """A screen with one widget."""

    def __init__(self, view: Widget) -> None:
        super().__init__()
        self._view = view

    def compose(self) -> ComposeResult:
        yield self._view


def draw(row: StoredRow, width: int) -> Content:
    """A line of four parts."""
    number, kind, route, body = row
    return Content.assemble(
        (f"{number:>9,} ", "$text-muted"), (f"{kind:<8}", "bold $accent"), (route, "$primary"), "  ", printable(body)
    )


def fill(path: Path) -> sqlite3.Connection:
    """The table of a million messages."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE message (id INTEGER PRIMARY KEY, kind TEXT, route TEXT, body TEXT)")
    kinds = ("request", "reply", "notice", "task")
    connection.executemany(
        "INSERT INTO message VALUES (?, ?, ?, ?)",
        (
            (
                number,
                kinds[number % 4],
                f"agent-{number % 7} → agent-{number % 5}",
                f"text {number} " + "and more " * (number % 9),
            )
            for number in range(1, MILLION + 1)
        ),
    )
    connection.commit()
    return connection


async def times(pilot: Pilot[None], step: Callable[[], None], repeats: int) -> list[float]:
    """CPU milliseconds of each step and what it paints."""
    measured = []
    for _ in range(repeats):
        began = time.process_time()
        step()
        await pilot.pause()
        measured.append((time.process_time() - began) * 1000)
    return measured


def row(name: str, size: tuple[int, int], measured: list[float], note: str = "") -> str:
    """One row of the table."""
    ordered = sorted(measured)
    p95 = ordered[int(len(ordered) * 0.95)]
    return f"| {name} | {size[0]}x{size[1]} | {statistics.median(ordered):.1f} | {p95:.1f} | {note} |"


async def bare(size: tuple[int, int], pages: int) -> None:
    """Page down in the bare view."""
    view = BareView(MILLION)
    async with OneView(view).run_test(size=size) as pilot:
        await pilot.pause()
        measured = await times(pilot, lambda: view.scroll_page_down(animate=False), pages)
        print(row("bare ScrollView, page down", size, measured))


async def log(connection: sqlite3.Connection, count: int, size: tuple[int, int], pages: int) -> None:
    """Page down from the middle, new rows while following, and End."""
    source = StoredRows(connection, count)
    view: PagedLog[StoredRow] = PagedLog(draw)
    async with OneView(view).run_test(size=size) as pilot:
        view.show(source)
        view.go_to(count // 2)
        await pilot.pause()
        source.reads.clear()
        measured = await times(pilot, lambda: view.action_page(1), pages)
        note = f"{len(source.reads)} reads of 100 rows, median {statistics.median(source.reads):.2f} ms"
        print(row(f"log of {count // MILLION} M rows, page down", size, measured, note))

        def far() -> None:
            view.action_oldest()
            view.action_newest()

        measured = await times(pilot, far, 20)
        assert view.cursor == count - 1
        assert view.scroll_offset.y == view.max_scroll_y
        print(row(f"log of {count // MILLION} M rows, Home and End", size, measured))

        def arrive() -> None:
            source.size += 1
            view.grown()

        print(row(f"log of {count // MILLION} M rows, a new row", size, await times(pilot, arrive, 50)))


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        connection = fill(Path(folder) / "log.sqlite")
        print("| what | size | CPU median ms | p95 ms | |\n|---|---|---|---|---|")
        for size in SIZES:
            await bare(size, arguments.pages)
            for count in (MILLION, 10 * MILLION):
                await log(connection, count, size, arguments.pages)
        connection.close()


if __name__ == "__main__":
    asyncio.run(main())
