"""The hardware pane: the load of the machine, our own share of it, and the limits that apply."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.containers import Grid, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from core.hardware.limits import LIMITS_TABLE
from tui.amounts import UNKNOWN, percent_text, rate_text, size_text
from tui.bridge import in_thread
from tui.panes.base import Pane
from tui.widgets.gauges import History, Meter

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult

    from core.hardware.load import LoadSample
    from core.model import HardwareProfile, ResourceLimits
    from tui.bridge import SamplerLike, WorkspaceLike

GIBIBYTE = 2**30
LABEL_WIDTH = 10
AMOUNT_WIDTH = 22
MOST_CORES = 32
FEW_CORES = 4


def limits_reason(profile: HardwareProfile, limits: ResourceLimits) -> str:
    """Which row of the table of limits applies, and what the next one asks for that this machine lacks."""
    agents = [row.max_concurrent_agents for row in LIMITS_TABLE]
    if limits.max_concurrent_agents not in agents:
        return "set by hand"
    number = agents.index(limits.max_concurrent_agents)
    chosen = f"row {number + 1} of {len(LIMITS_TABLE)}"
    if number + 1 == len(LIMITS_TABLE):
        return f"{chosen}, the largest"
    following = LIMITS_TABLE[number + 1]
    lacks = []
    if profile.cpu_cores < following.from_cores:
        lacks.append(f"{following.from_cores} cores")
    if profile.available_memory_gb < following.from_memory_gb:
        lacks.append(f"{following.from_memory_gb:g} GiB of memory")
    return f"{chosen}; the next asks for {' and '.join(lacks)}" if lacks else chosen


def _label(text: str) -> str:
    return text.ljust(LABEL_WIDTH + 1)


class HardwarePane(Pane):
    """Live from the sampler, one reading a second, while the pane or its card is in view."""

    PANE_ID = "hardware"
    NUMBER = 6
    TITLE = "Hardware"
    LIVE = True
    HELP: ClassVar[str] = (
        "The whole machine's load, once a second, and the share of it that is ours: this process and its helpers, "
        "100% being one core.\n\nThe limits follow from the cores and the memory this process may use; the scarcer of "
        "the two decides. They set the worker threads, the threads of the index and the size of its cache."
    )

    class Sampled(Message):
        """A reading came."""

        def __init__(self, sample: LoadSample) -> None:
            super().__init__()
            self.sample = sample

    def __init__(self) -> None:
        super().__init__()
        self._sampler: SamplerLike | None = None
        self._unsubscribe: Callable[[], None] | None = None
        self._sample: LoadSample | None = None
        self._profile: HardwareProfile | None = None
        self._limits: ResourceLimits | None = None
        self._core_meters: list[Meter] = []

    def compose(self) -> ComposeResult:
        """Machine on top, our share and the limits below."""
        with VerticalScroll():
            yield Meter("CPU", label_width=LABEL_WIDTH, id="cpu")
            yield History("", maximum=100, label_width=LABEL_WIDTH, describe=percent_text, id="cpu-history")
            yield Grid(id="cores")
            yield Meter("Memory", label_width=LABEL_WIDTH, text_width=AMOUNT_WIDTH, id="memory")
            yield Meter("Swap", label_width=LABEL_WIDTH, text_width=AMOUNT_WIDTH, warning=0.5, id="swap")
            yield Meter("Disk", label_width=LABEL_WIDTH, text_width=AMOUNT_WIDTH, id="disk")
            with Grid(id="rates"):
                yield History("Disk read", label_width=LABEL_WIDTH, describe=rate_text, id="disk-read")
                yield History("Disk write", label_width=LABEL_WIDTH, describe=rate_text, id="disk-written")
                yield History("Net in", label_width=LABEL_WIDTH, describe=rate_text, id="received")
                yield History("Net out", label_width=LABEL_WIDTH, describe=rate_text, id="sent")
            yield Static("", id="own")
            yield Static("", id="machine")

    def on_workspace(self, workspace: WorkspaceLike) -> None:
        """Learn what the machine is, and where its load is told."""
        self._learn(workspace)

    @work
    async def _learn(self, workspace: WorkspaceLike) -> None:
        def read() -> tuple[SamplerLike, HardwareProfile, ResourceLimits]:
            hardware = workspace.hardware
            return hardware.sampler, hardware.profile, hardware.limits

        self._sampler, self._profile, self._limits = await in_thread(read)
        self.query_one("#machine", Static).update(self._machine_text())
        if self.is_shown:
            self.shown()
        self._follow()

    def shown(self) -> None:
        """Show what was missed and follow the load."""
        if self._sampler is not None and not self.frozen:
            self._refill(self._sampler.history())
        self._follow()

    def hidden(self) -> None:
        """Rest, unless the card is in view."""
        self._follow()

    def card_shown(self) -> None:
        """The card needs the load too."""
        self._follow()

    def card_hidden(self) -> None:
        """Rest, unless the pane is in view."""
        self._follow()

    def on_unmount(self) -> None:
        """Nobody looks any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()

    def _follow(self) -> None:
        wanted = self.is_shown or self.is_card_shown
        if wanted and self._unsubscribe is None and self._sampler is not None:
            self._unsubscribe = self._sampler.subscribe(lambda sample: self._post(sample))
        elif not wanted and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _post(self, sample: LoadSample) -> None:
        self.post_message(self.Sampled(sample))

    def on_hardware_pane_sampled(self, message: Sampled) -> None:
        """Show a reading, or count it while frozen."""
        message.stop()
        if self.frozen:
            self.newer += 1
            return
        self._sample = message.sample
        if self.is_shown:
            self._show(message.sample)
        if self.is_card_shown:
            self.tell_changed()

    def freeze(self, frozen: bool) -> None:
        """Thawing shows the newest reading at once."""
        super().freeze(frozen)
        if not frozen and self._sampler is not None:
            self._refill(self._sampler.history())

    def _refill(self, samples: tuple[LoadSample, ...]) -> None:
        for name, value_of in _HISTORIES.items():
            self.query_one(f"#{name}", History).replace(value_of(sample) for sample in samples)
        if samples:
            self._sample = samples[-1]
            self._show_now(samples[-1])

    def _show(self, sample: LoadSample) -> None:
        for name, value_of in _HISTORIES.items():
            self.query_one(f"#{name}", History).append(value_of(sample))
        self._show_now(sample)

    def _show_now(self, sample: LoadSample) -> None:
        self.query_one("#cpu", Meter).update(sample.cpu_percent)
        self._show_cores(sample.per_cpu or ())
        self._show_amount("memory", sample.memory_used, sample.memory_total)
        self._show_amount("swap", sample.swap_used, sample.swap_total)
        used = None if sample.disk_total is None or sample.disk_free is None else sample.disk_total - sample.disk_free
        self._show_amount("disk", used, sample.disk_total)
        self.query_one("#own", Static).update(self._own_text(sample))

    def _show_amount(self, name: str, used: int | None, total: int | None) -> None:
        meter = self.query_one(f"#{name}", Meter)
        meter.display = total != 0
        meter.update(used, f"{size_text(used)} of {size_text(total)}", maximum=total or 1)

    def _show_cores(self, cores: tuple[float, ...]) -> None:
        grid = self.query_one("#cores", Grid)
        grid.display = 1 < len(cores) <= MOST_CORES
        if len(self._core_meters) != len(cores):
            few = len(cores) <= FEW_CORES
            grid.styles.grid_size_columns = 2 if few else 4
            label, width = ("Core {}", LABEL_WIDTH) if few else ("{}", 2)
            self._core_meters = [Meter(label.format(number), label_width=width) for number in range(len(cores))]
            grid.remove_children()
            grid.mount_all(self._core_meters)
        for meter, value in zip(self._core_meters, cores, strict=True):
            meter.update(value)

    @staticmethod
    def _own_text(sample: LoadSample) -> Content:
        load = " ".join(f"{each:.2f}" for each in sample.load_average) if sample.load_average else UNKNOWN
        threads = UNKNOWN if sample.own_threads is None else f"{sample.own_threads}"
        files = UNKNOWN if sample.own_open_files is None else f"{sample.own_open_files}"
        return Content.assemble(
            (_label("Load"), "bold"),
            f"{load} over 1, 5 and 15 minutes\n",
            (_label("Our own"), "bold"),
            f"CPU {percent_text(sample.own_cpu_percent)} of one core · {size_text(sample.own_resident)} · "
            f"{threads} threads · {files} open files",
        )

    def _machine_text(self) -> Content:
        profile, limits = self._profile, self._limits
        if profile is None or limits is None:
            return Content("")
        cores = "1 core" if profile.cpu_cores == 1 else f"{profile.cpu_cores} cores"
        storage = (
            "storage speed not measured"
            if profile.storage_speed_mbps is None
            else f"storage writes {profile.storage_speed_mbps:,.0f} MB/s"
        )
        agents = "1 agent" if limits.max_concurrent_agents == 1 else f"{limits.max_concurrent_agents} agents"
        return Content.assemble(
            (_label("Machine"), "bold"),
            f"{cores} · {profile.available_memory_gb:.1f} GiB · {'a' if profile.has_gpu else 'no'} GPU · {storage}\n",
            (_label("Limits"), "bold"),
            f"{agents} of {limits.memory_per_agent_mb:,} MiB · cache {limits.cache_size_mb:,} MiB\n",
            (_label("Threads"), "bold"),
            f"{limits.worker_threads} for work · {limits.index_threads} for the index\n",
            _label(""),
            (limits_reason(profile, limits), "$muted"),
        )

    def card(self) -> Content | str:
        """The load in four lines."""
        sample = self._sample
        if sample is None:
            return "Waiting for the first reading."
        return Content.assemble(
            f"CPU {percent_text(sample.cpu_percent)} · memory {size_text(sample.memory_used)}"
            f" of {size_text(sample.memory_total)}\n",
            f"Disk {size_text(sample.disk_free)} free\n",
            f"Ours: CPU {percent_text(sample.own_cpu_percent)} · {size_text(sample.own_resident)}",
        )

    def copy_text(self) -> str:
        """The machine, its limits and the newest reading as plain text."""
        parts = [self._machine_text().plain]
        if self._sample is not None:
            parts.append(self._own_text(self._sample).plain)
        return "\n".join(part for part in parts if part)


_HISTORIES: dict[str, Callable[[LoadSample], float | None]] = {
    "cpu-history": lambda sample: sample.cpu_percent,
    "disk-read": lambda sample: sample.disk_read_per_second,
    "disk-written": lambda sample: sample.disk_written_per_second,
    "received": lambda sample: sample.network_received_per_second,
    "sent": lambda sample: sample.network_sent_per_second,
}
