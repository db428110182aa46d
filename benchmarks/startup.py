"""How soon each program shows something, and what memory it holds: ours, bare Textual, posting, harlequin.

    uv run python benchmarks/startup.py [--runs 5] [--workspace DIR] [--no-peers] [--cache DIR]

Every program runs on a pty of 120x40 with an empty home. The programs take turns, one start each per run, after one
start each that is not counted. Posting and harlequin are installed once, each in an environment of its own in the
cache folder; one that cannot be installed is left out with a sentence. Times and memory are medians; a ratio is to the
bare Textual app, or to ``import argparse`` on the command line.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs
from terminal import NotShown, Start, measure_start

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent
OURS = [sys.executable, "-m", "tui"]
OUR_MARKER = "Search"
FRESH = "{fresh folder}"


@dataclass(slots=True)
class Candidate:
    """A program to start; ``FRESH`` in its command becomes a new empty folder's path each time."""

    name: str
    command: list[str]
    marker: str
    starts: list[Start] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """A published terminal program and the exact packages it is measured with."""

    name: str
    packages: tuple[str, ...]
    arguments: tuple[str, ...]
    marker: str


PEERS = (
    Peer("posting", ("posting==2.11.1", "tree-sitter==0.25.2"), ("--collection", FRESH), "Collection"),
    Peer("harlequin", ("harlequin==2.17.0",), (":memory:",), "Data Catalog"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare start-up time and memory with those of peers.")
    parser.add_argument("--runs", type=int, default=5, help="counted starts of each program (default 5)")
    parser.add_argument("--workspace", type=Path, help="a prepared workspace to start ours on as well")
    parser.add_argument("--no-peers", action="store_true", help="leave out posting and harlequin")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(platformdirs.user_cache_dir("bailiwick")) / "benchmarks",
        help="where the peers are installed",
    )
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")

    candidates = [
        Candidate("bare Textual", [sys.executable, str(HERE / "bare_textual.py")], "Nothing but a screen"),
        Candidate("bailiwick, empty workspace", [*OURS, "--workspace", FRESH], OUR_MARKER),
    ]
    if options.workspace is not None:
        workspace = str(options.workspace.resolve())
        candidates.append(Candidate("bailiwick, given workspace", [*OURS, "--workspace", workspace], OUR_MARKER))
    if not options.no_peers:
        candidates += [candidate for peer in PEERS if (candidate := install(peer, options.cache)) is not None]

    with tempfile.TemporaryDirectory(prefix="bailiwick-startup-") as scratch:
        measure_screens(candidates, options.runs, Path(scratch))
        print_screens(candidates, options.runs)
        print_commands(options.runs, Path(scratch))


def install(peer: Peer, cache: Path) -> Candidate | None:
    """The peer in its own environment, made now if need be; ``None``, with a sentence, when that cannot be done."""
    folder = cache / "-".join(peer.packages)
    program = folder / "bin" / peer.name
    uv = shutil.which("uv")
    if not program.exists():
        if uv is None:
            print(f"{peer.name} is left out: uv, which installs it, was not found.", file=sys.stderr)
            return None
        python = str(folder / "bin" / "python")
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "--quiet", "--python", python, *peer.packages],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].strip()
                print(f"{peer.name} is left out: it could not be installed ({reason}).", file=sys.stderr)
                return None
    return Candidate(" ".join(peer.packages).replace("==", " "), [str(program), *peer.arguments], peer.marker)


def measure_screens(candidates: Sequence[Candidate], runs: int, scratch: Path) -> None:
    environment = clean_environment(scratch)
    for run in range(runs + 1):
        for candidate in candidates:
            if candidate.failure:
                continue
            fresh = tempfile.mkdtemp(dir=scratch)
            command = [fresh if word == FRESH else word for word in candidate.command]
            try:
                start = measure_start(command, candidate.marker, environment, REPOSITORY)
            except NotShown as problem:
                candidate.failure = str(problem)
                continue
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
            if run:
                candidate.starts.append(start)


def clean_environment(scratch: Path) -> dict[str, str]:
    """An empty home, a capable terminal, and none of the caller's settings."""
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
    }


def print_screens(candidates: Sequence[Candidate], runs: int) -> None:
    print(f"\n### First content and memory ({runs} runs each, seconds: least / median)\n")
    print("| program | alternate screen | first content | ratio | marker | ratio | resident MB | ratio |")
    print("|---|---|---|---|---|---|---|---|")
    bare = candidates[0].starts
    for candidate in candidates:
        if candidate.failure:
            print(f"| {candidate.name} | not measured: {candidate.failure} | | | | | | |")
            continue
        starts = candidate.starts
        content, marker = [each.first_content for each in starts], [each.marker for each in starts]
        memory = statistics.median(each.resident_bytes for each in starts)
        ratios = ("", "", "")
        if bare:
            ratios = (
                times(statistics.median(content), statistics.median(each.first_content for each in bare)),
                times(statistics.median(marker), statistics.median(each.marker for each in bare)),
                times(memory, statistics.median(each.resident_bytes for each in bare)),
            )
        print(
            f"| {candidate.name} | {span([each.alt_screen for each in starts])} | {span(content)} | {ratios[0]} "
            f"| {span(marker)} | {ratios[1]} | {memory / 1e6:.1f} | {ratios[2]} |"
        )


def print_commands(runs: int, scratch: Path) -> None:
    environment = clean_environment(scratch)
    commands = {
        'python -c "import argparse"': [sys.executable, "-c", "import argparse"],
        "bailiwick --version": [*OURS, "--version"],
        "bailiwick --help": [*OURS, "--help"],
    }
    measured: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    failures: dict[str, str] = {}
    for run in range(runs + 1):
        for name, command in commands.items():
            before, began = cpu_seconds_of_children(), time.perf_counter()
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=REPOSITORY, env=environment)
            if done.returncode:
                failures[name] = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            elif run:
                measured[name].append((time.perf_counter() - began, cpu_seconds_of_children() - before))
    print(f"\n### Command line without a screen ({runs} runs each, milliseconds: least / median)\n")
    print("| command | wall | ratio | CPU |")
    print("|---|---|---|---|")
    base = statistics.median(1000 * wall for wall, _ in next(iter(measured.values())))
    for name, pairs in measured.items():
        if name in failures:
            print(f"| `{name}` | not measured: {failures[name]} | | |")
            continue
        wall, cpu = [1000 * each for each, _ in pairs], [1000 * each for _, each in pairs]
        print(f"| `{name}` | {span(wall, 0)} | {times(statistics.median(wall), base)} | {span(cpu, 0)} |")


def cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def span(values: Sequence[float], digits: int = 2) -> str:
    return f"{min(values):.{digits}f} / {statistics.median(values):.{digits}f}"


def times(value: float, base: float) -> str:
    return f"{value / base:.2f}x"


if __name__ == "__main__":
    main()
