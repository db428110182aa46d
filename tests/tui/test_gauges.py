"""The gauges on a real screen: what they say without colour, and that they repaint only when something changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.theme import BUILTIN_THEMES
from textual.widget import Widget

from tui.widgets.gauges import History, Meter, Severity


class CountedMeter(Meter):
    renders = 0

    def render(self) -> object:  # type: ignore[override]
        self.renders += 1
        return super().render()


class CountedHistory(History):
    renders = 0

    def render(self) -> object:  # type: ignore[override]
        self.renders += 1
        return super().render()


class Gauges(App[None]):
    CSS = "#tall { height: 4; }"

    def compose(self) -> ComposeResult:
        with Vertical():
            yield CountedMeter("CPU", label_width=7, id="cpu")
            yield CountedMeter("[b]Disk", label_width=7, text_width=9, id="disk")
            yield CountedHistory("CPU", capacity=60, maximum=100, label_width=7, id="wide")
            yield CountedHistory("Net", capacity=60, describe="{:.1f} kB/s".format, id="tall")


def lines(widget: Widget) -> list[str]:
    region = widget.region
    strips = widget.screen._compositor.render_strips()
    return [strips[y].crop(region.x, region.right).text for y in range(region.y, region.bottom)]


async def test_a_meter_says_label_share_and_mark_in_characters() -> None:
    app = Gauges()
    async with app.run_test(size=(40, 12)) as pilot:
        cpu, disk = app.query_one("#cpu", Meter), app.query_one("#disk", Meter)
        shown = {}
        for value in (0, 50, 74, 76, 95, 150):
            cpu.update(value)
            disk.update(value, f"{value} GiB", maximum=200)
            await pilot.pause()
            shown[value] = (lines(cpu)[0], lines(disk)[0])
        assert shown[0][0] == "CPU     ▕" + "░" * 21 + "▏    0%   "
        assert shown[50][0].count("█") == 10
        assert shown[50][1] == "[b]Disk ▕" + "█" * 4 + "░" * 13 + "▏    50 GiB   "
        assert [shown[value][0][-2:] for value in (0, 74, 76, 95, 150)] == ["  ", "  ", "! ", "!!", "!!"]
        assert shown[150][0].count("█") == 21
        assert "150%" in shown[150][0]
        assert shown[150][1].endswith("! ")


async def test_a_value_that_is_not_known_is_a_dash_and_no_bar() -> None:
    app = Gauges()
    async with app.run_test(size=(40, 12)) as pilot:
        cpu = app.query_one("#cpu", Meter)
        assert lines(cpu)[0] == "CPU     ▕" + "·" * 21 + "▏     –   "
        cpu.update(99)
        cpu.update(None, "nothing")
        await pilot.pause()
        assert lines(cpu)[0] == "CPU     ▕" + "·" * 21 + "▏     –   "
        cpu.update(10, maximum=0)
        await pilot.pause()
        assert "█" not in lines(cpu)[0]
        assert cpu.severity is Severity.NORMAL


async def test_a_meter_repaints_only_when_a_character_or_its_mark_changes() -> None:
    app = Gauges()
    async with app.run_test(size=(40, 12)) as pilot:
        cpu = app.query_one("#cpu", CountedMeter)
        cpu.update(52)
        await pilot.pause()
        before = cpu.renders
        for value in (52.0, 52.1, 52.2, 51.9):
            cpu.update(value)
            await pilot.pause()
        assert cpu.renders == before
        cpu.update(53)
        await pilot.pause()
        assert cpu.renders == before + 1


async def test_a_history_draws_its_newest_values_at_the_right_edge() -> None:
    app = Gauges()
    async with app.run_test(size=(50, 12)) as pilot:
        wide = app.query_one("#wide", History)
        for value in (0, 50, None, 100, 13):
            wide.append(value)
        await pilot.pause()
        (line,) = lines(wide)
        assert line.startswith("CPU ")
        assert line.rstrip().endswith("▁▄ █▁ min 0 max 100 last 13")
        wide.append(None)
        await pilot.pause()
        assert lines(wide)[0].rstrip().endswith("▁▄ █▁  min 0 max 100 last –")


async def test_a_higher_history_has_its_words_above_and_a_taller_graph() -> None:
    app = Gauges()
    async with app.run_test(size=(30, 12)) as pilot:
        tall = app.query_one("#tall", History)
        tall.replace([0.0, 12.0, 24.0])
        await pilot.pause()
        assert [line.rstrip() for line in lines(tall)[:1]] == ["Net min 0.0 kB/s max 24.0 kB/…"]
        assert [line[-3:] for line in lines(tall)[1:]] == ["  █", " ▄█", "▁██"]


async def test_a_history_is_bounded_and_repaints_only_when_it_looks_different() -> None:
    app = Gauges()
    async with app.run_test(size=(120, 12)) as pilot:
        wide = app.query_one("#wide", CountedHistory)
        wide.replace([7.0] * 60)
        await pilot.pause()
        before = wide.renders
        for _ in range(5):
            wide.append(7.2)
            await pilot.pause()
        assert wide.renders == before
        wide.append(90)
        await pilot.pause()
        assert wide.renders == before + 1
        assert "max 90 last 90" in lines(wide)[0]
        wide.replace([3.0] * 61)
        await pilot.pause()
        assert "min 3 max 3 last 3" in lines(wide)[0]


async def test_nothing_measured_is_said_and_nothing_drawn() -> None:
    app = Gauges()
    async with app.run_test(size=(60, 12)):
        line = lines(app.query_one("#wide", History))[0]
        assert line.rstrip().endswith("min – max – last –")
        assert not set(line) & set("▁▂▃▄▅▆▇█")


@pytest.mark.parametrize("theme", ["textual-light", "ansi-dark", "dracula"])
async def test_every_state_has_a_colour_of_its_own_in_each_theme(theme: str) -> None:
    assert theme in BUILTIN_THEMES
    app = Gauges()
    async with app.run_test(size=(40, 12)) as pilot:
        app.theme = theme
        cpu = app.query_one("#cpu", Meter)
        styles = set()
        for value in (10, 80, 95):
            cpu.update(value)
            await pilot.pause()
            strip = app.screen._compositor.render_strips()[cpu.region.y]
            styles.add(next(segment.style for segment in strip if segment.text.startswith("█")))
        assert len(styles) == 3


async def test_without_colour_the_characters_still_tell_the_states_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = Gauges()
    async with app.run_test(size=(40, 12)) as pilot:
        cpu = app.query_one("#cpu", Meter)
        cpu.update(95)
        await pilot.pause()
        strip = app.screen._compositor.render_strips()[cpu.region.y]
        colors = [segment.style.color for segment in strip if segment.style and segment.style.color]
        assert all(len({*color.get_truecolor()}) == 1 for color in colors)
        assert strip.text.endswith("95% !!")


@pytest.mark.parametrize("width", [1, 5, 9, 17, 30, 200])
async def test_no_width_breaks_them(width: int) -> None:
    app = Gauges()
    async with app.run_test(size=(width, 12)) as pilot:
        for meter in app.query(Meter):
            meter.update(33)
        for history in app.query(History):
            history.replace(range(100))
        await pilot.pause()
        assert [len(lines(gauge)) for gauge in app.query(Meter)] == [1, 1]
        assert len(lines(app.query_one("#cpu"))[0]) == width


@given(st.lists(st.none() | st.floats(-1e9, 1e12), max_size=30), st.integers(0, 40), st.integers(1, 6))
def test_any_values_make_a_graph_of_exactly_its_size(values: list[float | None], width: int, height: int) -> None:
    history = History("x", capacity=20)
    history._values.extend(values)
    graph = history._graph(width, height)
    assert [len(line) for line in graph] == [width] * height
