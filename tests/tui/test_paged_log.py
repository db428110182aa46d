"""The log view on a real screen: a million rows, following, freezing, cursor, mouse, and what untrusted rows may do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from driving import until
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from textual import events, on
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.pilot import Pilot
from textual.scrollbar import ScrollTo
from textual.strip import Strip

from core.errors import BailiwickError
from tui.printable import printable
from tui.widgets.paged_log import PagedLog

MILLION = 1_000_000
Line = Text | Content | str


class Rows:
    """Numbers as rows; counts what it is asked."""

    def __init__(self, count: int, *, step: int = 1) -> None:
        self.size = count
        self.step = step
        self.counted = 0
        self.read: list[tuple[int, int]] = []
        self.failing: BailiwickError | None = None
        self.version = 0

    def count(self) -> int:
        self.counted += 1
        if self.failing:
            raise self.failing
        return self.size

    def rows(self, start: int, stop: int) -> Sequence[str]:
        self.read.append((start, stop))
        if self.failing:
            raise self.failing
        return [f"row {number * self.step}" + "!" * self.version for number in range(start, min(stop, self.size))]


class PlacedRows(Rows):
    """Every ``step``-th number, and where a number belongs among them."""

    def near(self, row: str) -> int:
        return int(row.split()[1]) // self.step


class LogApp(App[None]):
    CSS = "* { scrollbar-size-vertical: 1; }"

    def __init__(self, empty: str | Content) -> None:
        super().__init__()
        self.drawn: list[tuple[str, int]] = []
        self.as_line: type[Content] | type[Text] | type[str] = Content
        self.log_view: PagedLog[str] = PagedLog(self.draw_row, empty=empty)
        self.events: list[tuple[str, int, str]] = []
        self.failures: list[BailiwickError] = []

    def draw_row(self, row: str, width: int) -> Line:
        self.drawn.append((row, width))
        return self.as_line(row)

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.log_view

    @on(PagedLog.Highlighted)
    @on(PagedLog.Selected)
    def take(self, event: PagedLog.Highlighted[str] | PagedLog.Selected[str]) -> None:
        assert event.control is self.log_view
        self.events.append((type(event).__name__, event.index, event.row))

    @on(PagedLog.Failed)
    def take_failure(self, event: PagedLog.Failed) -> None:
        self.failures.append(event.error)


@asynccontextmanager
async def showing(
    source: Rows, size: tuple[int, int] = (80, 24), empty: str | Content = "Nothing yet"
) -> AsyncIterator[tuple[PagedLog[str], LogApp, Pilot[None]]]:
    app = LogApp(empty)
    async with app.run_test(size=size) as pilot:
        app.log_view.focus()
        app.log_view.show(source)
        await pilot.pause()
        yield app.log_view, app, pilot


def strips(log: PagedLog[str]) -> list[Strip]:
    region = log.scrollable_content_region
    return [
        line.crop(region.x, region.right) for line in log.screen._compositor.render_strips()[region.y : region.bottom]
    ]


def lines(log: PagedLog[str]) -> list[str]:
    return [strip.text.rstrip() for strip in strips(log)]


async def wheel(pilot: Pilot[None], log: PagedLog[str], direction: int) -> None:
    kind = events.MouseScrollUp if direction < 0 else events.MouseScrollDown
    log.post_message(kind(log, 5, 5, 0, direction, 0, False, False, False))
    await pilot.pause()


def backgrounds(strip: Strip) -> set[object]:
    return {segment.style.bgcolor for segment in strip if segment.style is not None}


@pytest.mark.parametrize("count", [MILLION, 10 * MILLION])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_it_begins_at_the_newest_and_reaches_both_ends_exactly(size: tuple[int, int], count: int) -> None:
    source = Rows(count)
    async with showing(source, size) as (log, app, pilot):
        height = size[1]
        assert log.following
        assert log.cursor == count - 1
        assert lines(log)[0] == f" row {count - height}"
        assert lines(log)[-1] == f"▌row {count - 1}"
        await pilot.press("home")
        assert lines(log)[0] == "▌row 0"
        assert not log.following
        await pilot.press("end")
        assert lines(log)[-1] == f"▌row {count - 1}"
        assert log.following
        assert {width for _, width in app.drawn} == {size[0] - 2}


async def test_only_pages_in_sight_are_read_and_once() -> None:
    source = Rows(MILLION)
    async with showing(source) as (log, app, pilot):
        await pilot.press(*["pageup"] * 12)
        rows = 12 * 23 + 24
        assert len(source.read) <= rows // 100 + 2
        assert max(stop - start for start, stop in source.read) == 100
        read, drawn = len(source.read), len(app.drawn)
        await pilot.press(*["pagedown"] * 6)
        assert len(source.read) == read
        assert len(app.drawn) - drawn < 6 * 3
        assert log.cursor == MILLION - 1 - 6 * 23


async def test_following_stays_at_the_newest() -> None:
    source = Rows(MILLION)
    async with showing(source) as (log, app, pilot):
        for _ in range(3):
            source.size += 250
            log.grown()
            await pilot.pause()
            assert lines(log)[-1] == f"▌row {source.size - 1}"
            assert log.cursor == source.size - 1
        assert log.pending == 0
        assert app.events[-1] == ("Highlighted", source.size - 1, f"row {source.size - 1}")


async def test_moving_up_stops_following_and_new_rows_are_pending() -> None:
    source = Rows(MILLION)
    async with showing(source) as (log, _, pilot):
        await pilot.press("up", "up")
        before = lines(log)
        source.size += 40
        log.grown()
        source.size += 2
        log.grown()
        await pilot.pause()
        assert (log.following, log.pending, log.cursor) == (False, 42, MILLION - 3)
        assert lines(log) == before
        await pilot.press("down", "down", "down")
        assert (log.following, log.pending, log.cursor) == (False, 42, MILLION)
        await pilot.press("end")
        assert (log.following, log.pending, log.cursor) == (True, 0, MILLION + 41)


async def test_moving_on_beyond_the_last_row_follows() -> None:
    source = Rows(30)
    async with showing(source) as (log, _, pilot):
        for key in ("down", "pagedown"):
            log.go_to(28)
            await pilot.press("down")
            assert (log.cursor, log.following) == (29, False)
            await pilot.press(key)
            assert (log.cursor, log.following) == (29, True)


async def test_a_single_row_and_a_log_shorter_than_the_view() -> None:
    source = Rows(1)
    async with showing(source) as (log, _, pilot):
        await pilot.press("up", "home", "pageup")
        assert (log.cursor, log.following) == (0, True)
        source.size = 5
        log.grown()
        await pilot.pause()
        assert [line for line in lines(log) if line] == [" row 0", " row 1", " row 2", " row 3", "▌row 4"]
        await pilot.press("up")
        source.size = 6
        log.grown()
        await pilot.pause()
        assert (log.cursor, log.following, log.pending) == (3, False, 1)
        assert lines(log)[3:6] == ["▌row 3", " row 4", " row 5"]


async def test_frozen_holds_the_count_and_then_catches_up() -> None:
    source = Rows(1000)
    async with showing(source) as (log, _, pilot):
        log.freeze(True)
        before = lines(log)
        source.size += 7
        log.grown()
        await pilot.pause()
        assert (log.count, log.pending, log.following, log.frozen) == (1000, 7, True, True)
        assert lines(log) == before
        await pilot.press("up", "end")
        source.size += 1
        log.grown()
        assert (log.count, log.cursor, log.pending) == (1000, 999, 8)
        log.freeze(False)
        await pilot.pause()
        assert (log.count, log.cursor, log.pending) == (1008, 1007, 0)
        assert lines(log)[-1] == "▌row 1007"
        await pilot.press("up")
        log.freeze(True)
        source.size += 2
        log.grown()
        log.freeze(False)
        assert (log.count, log.cursor, log.pending) == (1010, 1006, 2)


async def test_the_last_page_is_read_again_when_it_grew() -> None:
    source = Rows(150)
    async with showing(source) as (log, _, pilot):
        await pilot.press("home", "end", "up")
        source.size = 151
        log.grown()
        await pilot.press("down", "down")
        assert log.row_at_cursor == "row 150"


async def test_changed_rows_are_read_and_drawn_again() -> None:
    source = Rows(1000)
    async with showing(source) as (log, _, pilot):
        await pilot.press("up")
        source.version = 1
        log.grown()
        await pilot.pause()
        assert lines(log)[-2] == "▌row 998"
        log.changed()
        await pilot.pause()
        assert all("!" in line for line in lines(log))
        assert log.row_at_cursor == "row 998!"


async def test_enter_and_a_second_click_choose_the_row() -> None:
    source = Rows(1000)
    async with showing(source) as (log, app, pilot):
        app.events.clear()
        await pilot.press("enter")
        assert app.events == [("Selected", 999, "row 999")]
        assert log.following
        await pilot.click(log, offset=(5, 3))
        assert log.cursor == 979
        assert not log.following
        assert app.events[1:] == [("Highlighted", 979, "row 979")]
        await pilot.click(log, offset=(9, 3))
        assert app.events[2:] == [("Selected", 979, "row 979")]


async def test_a_press_of_the_mouse_holds_the_rows_still_until_the_click() -> None:
    source = Rows(1000)
    async with showing(source) as (log, _, pilot):
        await pilot.mouse_down(log, offset=(5, 3))
        source.size += 5
        log.grown()
        await pilot.click(log, offset=(5, 3))
        assert log.row_at_cursor == "row 979"


async def test_clicking_below_the_last_row_does_nothing() -> None:
    async with showing(Rows(3)) as (log, app, pilot):
        app.events.clear()
        await pilot.click(log, offset=(5, 10))
        assert (log.cursor, log.following, app.events) == (2, True, [])


async def test_the_wheel_scrolls_without_the_cursor_and_follows_beyond_the_end() -> None:
    source = Rows(1000)
    async with showing(source) as (log, app, pilot):
        await wheel(pilot, log, -1)
        assert lines(log)[0] == " row 974"
        assert (log.following, log.cursor) == (False, 999)
        app.events.clear()
        await pilot.press("enter")
        assert app.events == []
        assert "▌row 999" in lines(log)
        for _ in range(4):
            await wheel(pilot, log, -1)
        await pilot.press("up")
        assert log.cursor == int(lines(log)[-2].split()[1])
        for _ in range(5):
            await wheel(pilot, log, 1)
        assert (log.following, log.cursor) == (True, 999)


async def test_dragging_the_bar_reaches_any_row() -> None:
    async with showing(Rows(10 * MILLION)) as (log, _, pilot):
        log.post_message(ScrollTo(y=4_321_000.4))
        await until(lambda: log.scroll_offset.y == 4_321_000, "the drag")
        await pilot.pause()
        assert lines(log)[0] == " row 4321000"
        assert not log.following
        log.post_message(ScrollTo(y=log.max_scroll_y))
        await until(lambda: log.following, "following")
        await pilot.pause()
        assert lines(log)[-1] == "▌row 9999999"


async def test_the_bar_can_be_grabbed_with_the_mouse() -> None:
    async with showing(Rows(MILLION)) as (log, _, pilot):
        await pilot.click(log.vertical_scrollbar, offset=(0, 0))
        await until(lambda: log.scroll_offset.y == MILLION - 48, "a page up")
        assert not log.following
        await pilot.press("home")
        await pilot.click(log.vertical_scrollbar, offset=(0, 23))
        await until(lambda: log.scroll_offset.y == 24, "a page down")


async def test_go_to_centres_and_clamps() -> None:
    async with showing(Rows(MILLION)) as (log, app, pilot):
        log.go_to(500_000)
        await pilot.pause()
        assert lines(log)[12] == "▌row 500000"
        assert not log.following
        assert app.events[-1] == ("Highlighted", 500_000, "row 500000")
        log.go_to(5)
        await pilot.pause()
        assert lines(log)[5] == "▌row 5"
        log.go_to(2 * MILLION)
        assert log.cursor == MILLION - 1
        log.go_to(-3)
        assert log.cursor == 0


async def test_another_source_begins_at_its_newest() -> None:
    async with showing(Rows(MILLION)) as (log, _, pilot):
        await pilot.press("home")
        log.show(Rows(500, step=7))
        await pilot.pause()
        assert (log.following, log.count, log.row_at_cursor) == (True, 500, "row 3493")


async def test_keep_stays_near_the_row_on_the_same_line() -> None:
    async with showing(Rows(MILLION)) as (log, _, pilot):
        log.go_to(700_000)
        await pilot.press("up", "up")
        line = next(number for number, text in enumerate(lines(log)) if text.startswith("▌"))
        log.show(PlacedRows(MILLION // 10, step=10), keep=True)
        await pilot.pause()
        assert log.row_at_cursor == "row 699990"
        assert lines(log)[line] == "▌row 699990"
        assert not log.following
        log.show(Rows(40), keep=True)
        assert (log.cursor, log.row_at_cursor) == (39, "row 39")
        log.show(Rows(0), keep=True)
        assert (log.cursor, log.row_at_cursor, log.following) == (None, None, True)


async def test_a_resized_terminal_keeps_what_was_in_sight() -> None:
    source = Rows(MILLION)
    async with showing(source, (160, 48)) as (log, app, pilot):
        await pilot.resize_terminal(80, 24)
        await until(lambda: log.size.width == 80, "the new size")
        await pilot.pause()
        assert lines(log)[-1] == f"▌row {MILLION - 1}"
        assert app.drawn[-1][1] == 78
        await pilot.resize_terminal(160, 48)
        await pilot.pause()
        assert lines(log)[-1] == f"▌row {MILLION - 1}"
        log.go_to(1000)
        await pilot.press(*["down"] * 20)
        await pilot.resize_terminal(80, 10)
        await pilot.pause()
        assert "▌row 1020" in lines(log)
        assert not log.following


async def test_a_taller_terminal_does_not_make_it_follow() -> None:
    async with showing(Rows(60), (80, 24)) as (log, _, pilot):
        log.go_to(40)
        await pilot.resize_terminal(80, 40)
        await until(lambda: log.size.height == 40, "the new size")
        assert (log.cursor, log.following) == (40, False)


async def test_hidden_it_reads_nothing_and_catches_up_when_shown() -> None:
    source = Rows(1000)
    async with showing(source) as (log, app, pilot):
        assert log.parent is not None
        app.query_one(Vertical).display = False
        await until(lambda: not log.is_on_screen, "hiding")
        counted, read, drawn = source.counted, len(source.read), len(app.drawn)
        for _ in range(5):
            source.size += 10
            log.grown()
            log.changed()
            await pilot.pause()
        assert (source.counted, len(source.read), len(app.drawn)) == (counted, read, drawn)
        app.query_one(Vertical).display = True
        await until(lambda: log.count == 1050, "catching up")
        await pilot.pause()
        assert lines(log)[-1] == "▌row 1049"
        assert source.counted == counted + 1


async def test_rows_shown_while_hidden_are_there_when_it_appears() -> None:
    app = LogApp("")
    async with app.run_test() as pilot:
        app.query_one(Vertical).display = False
        await pilot.pause()
        app.log_view.show(Rows(MILLION))
        app.log_view.go_to(300)
        assert app.drawn == []
        app.query_one(Vertical).display = True
        await pilot.pause()
        assert lines(app.log_view)[12].startswith("▌row 300")


async def test_a_failing_source_leaves_blank_lines_and_is_told_once() -> None:
    source = Rows(1000)
    async with showing(source) as (log, app, pilot):
        await pilot.press("home")
        source.failing = BailiwickError("The log cannot be read.")
        log.go_to(500)
        await pilot.press("pageup", "pagedown", "enter")
        log.grown()
        await until(lambda: bool(app.failures), "the failure")
        await pilot.pause()
        assert app.failures == [source.failing]
        assert {line.strip("▌ ") for line in lines(log)} == {""}
        assert len(lines(log)) == 24
        assert log.row_at_cursor is None
        source.failing = None
        log.grown()
        log.changed()
        await pilot.pause()
        assert "▌row 500" in lines(log)
        source.failing = BailiwickError("Again.")
        log.changed()
        await until(lambda: len(app.failures) == 2, "the next failure")


async def test_a_source_that_cannot_even_count_is_empty() -> None:
    source = Rows(10)
    source.failing = BailiwickError("Locked.")
    async with showing(source) as (log, app, _):
        assert (log.count, app.failures) == (0, [source.failing])


async def test_a_source_that_shrinks_keeps_the_cursor_inside() -> None:
    source = Rows(1000)
    async with showing(source) as (log, _, pilot):
        log.go_to(900)
        source.size = 50
        log.grown()
        await pilot.pause()
        assert (log.count, log.cursor) == (50, 49)
        assert lines(log)[-1] == "▌row 49"
        source.size = 0
        log.grown()
        await pilot.pause()
        assert (log.cursor, log.row_at_cursor) == (None, None)
        await pilot.press("up", "down", "pageup", "pagedown", "home", "end", "enter")
        source.size = 3
        log.grown()
        await pilot.pause()
        assert lines(log)[2] == "▌row 2"


async def test_the_empty_text_is_centred_and_may_change() -> None:
    async with showing(Rows(0), (40, 9), "No messages yet\nAgents speak with send") as (log, _, pilot):
        assert lines(log)[3:5] == [" " * 12 + "No messages yet", " " * 8 + "Agents speak with send"]
        log.empty = Content("Nothing matches\x1b[2J")
        await pilot.pause()
        assert [line.strip() for line in lines(log) if line.strip()] == ["Nothing matches␛[2J"]
        log.empty = "word " * 30
        await pilot.pause()
        assert all(len(line) <= 40 for line in lines(log))
        log.empty = ""
        await pilot.pause()
        assert set(lines(log)) == {""}


async def test_the_cursor_has_a_mark_always_and_a_background_with_the_focus() -> None:
    async with showing(Rows(100)) as (log, app, pilot):
        focused = strips(log)[-1], strips(log)[-2]
        assert backgrounds(focused[0]) != backgrounds(focused[1])
        app.set_focus(None)
        await pilot.pause()
        blurred = strips(log)[-1], strips(log)[-2]
        assert blurred[0].text.startswith("▌")
        assert backgrounds(blurred[0]) == backgrounds(blurred[1])


async def test_a_new_theme_repaints_the_lines() -> None:
    async with showing(Rows(100)) as (log, app, _):
        before = backgrounds(strips(log)[0])
        app.theme = "textual-light"
        await until(lambda: backgrounds(strips(log)[0]) != before, "the new background")
        assert lines(log)[0] == " row 76"


async def test_searched_text_is_underlined_in_lines() -> None:
    async with showing(Rows(1000)) as (log, _, pilot):
        log.highlight("ROW 98")
        await pilot.pause()

        def underlined(strip: Strip) -> str:
            return "".join(segment.text for segment in strip if segment.style and segment.style.underline)

        assert {underlined(strip) for strip in strips(log)[4:14]} == {"row 98"}
        assert underlined(strips(log)[-1]) == ""
        log.highlight("")
        await pilot.pause()
        assert {underlined(strip) for strip in strips(log)} == {""}


@pytest.mark.parametrize("as_line", [str, Text, Content])
async def test_no_control_sequence_of_a_row_reaches_the_terminal(
    as_line: type[Text] | type[Content] | type[str],
) -> None:
    evil = "a\x1b[2Jb\x9b31mc\x1b]0;title\x07d\ne\rf\tg\x7f\u202eh\ud800[bold]i"

    class Evil(Rows):
        def rows(self, start: int, stop: int) -> Sequence[str]:
            return [evil] * (stop - start)

    async with showing(Evil(0)) as (log, app, pilot):
        app.as_line = as_line
        log.show(Evil(5))
        await pilot.pause()
        shown = lines(log)
        assert len({line[1:] for line in shown[:5]}) == 1
        assert shown[5] == ""
        assert not any(character in "".join(shown) for character in "\x1b\x9b\x07\n\r\t\x7f\u202e\ud800")
        assert "␛[2Jb" in shown[0]
        assert "↵e" in shown[0]
        assert "[bold]i" in shown[0]
        if as_line is str:
            # Rich and Textual drop a few control characters of a text before anybody sees it.
            assert shown[0][1:] == "a␛[2Jb�31mc␛]0;title␇d↵e␍f g␡�h�[bold]i"


async def test_a_long_or_wide_line_is_cut_to_the_width() -> None:
    class Long(Rows):
        def rows(self, start: int, stop: int) -> Sequence[str]:
            return ["x" * 500, "漢字" * 200, ""][start:stop]

    async with showing(Long(3), (41, 9)) as (log, _, _):
        assert [strip.cell_length for strip in strips(log)] == [40] * 9
        assert lines(log)[0].startswith(" " + "x" * 38 + "…")
        assert "…" in lines(log)[1]
        assert lines(log)[2] == "▌"


@given(st.text(alphabet=st.characters(codec=None) | st.characters(max_codepoint=0x9F, codec=None)))
def test_printable_keeps_the_length_and_every_printable_character(text: str) -> None:
    shown = printable(text)
    assert len(shown) == len(text)
    assert all(after == before for before, after in zip(text, shown, strict=True) if before.isprintable())
    assert printable(shown) == shown
    assert not any(character < " " or "\x7f" <= character <= "\x9f" for character in shown)
    shown.encode()
