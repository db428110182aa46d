"""``bailiwick hardware``: profile, limits, live load."""

from __future__ import annotations

import json
import queue
from dataclasses import asdict

import click

from core.errors import InvalidInput
from core.hardware.load import LoadSample
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation


@click.command()
@click.argument("what", type=click.Choice(["profile", "limits", "watch"]), default="profile")
@click.option("--count", type=int, default=0, metavar="N", help="With watch: end after N samples.")
@common_options
@pass_invocation
def hardware(invocation: Invocation, what: str, count: int) -> None:
    """Show what the machine is, what it therefore allows, or how loaded it is every second."""
    if count < 0:
        raise InvalidInput("--count must not be negative.")
    with opened(invocation, "bailiwick hardware") as workspace:
        if what == "limits":
            limits = asdict(workspace.hardware.limits)
            invocation.answer(limits, [f"{name.replace('_', ' ')}: {value:,}" for name, value in limits.items()])
        elif what == "profile":
            profile = asdict(workspace.measure_hardware())
            lines = [f"{name.replace('_', ' ')}: {_value(value)}" for name, value in profile.items()]
            invocation.answer(profile, lines)
        else:
            samples: queue.SimpleQueue[LoadSample] = queue.SimpleQueue()
            workspace.hardware.sampler.subscribe(samples.put)
            number = 0
            while not count or number < count:
                sample = samples.get()
                if sample.cpu_percent is None:
                    continue
                number += 1
                shown = {name: _plain(value) for name, value in asdict(sample).items() if name != "monotonic"}
                print(json.dumps(shown) if invocation.json else _line(sample), flush=True)


def _value(value: object) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,.1f}" if isinstance(value, float) else str(value)


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | tuple | None) else str(value)


def _line(sample: LoadSample) -> str:
    def gib(size: int | None) -> str:
        return "–" if size is None else f"{size / 2**30:.1f} GiB"

    own = "–" if sample.own_cpu_percent is None else f"{sample.own_cpu_percent:.0f} %"
    return (
        f"{sample.at:%H:%M:%S}  cpu {sample.cpu_percent:.0f} %  memory {gib(sample.memory_used)} of"
        f" {gib(sample.memory_total)}  disk free {gib(sample.disk_free)}  ours {own}, {gib(sample.own_resident)}"
    )
