"""``bailiwick add``: read documents."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from core.engine import Duties
from core.errors import BailiwickError, InvalidInput
from core.events import Event, Notice, ProblemFound, Progress, Stage
from core.library.sources import Origin
from core.model import Library, Source, SourceKind
from core.workspace import Workspace
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH…")
@click.option("--package", "packages", multiple=True, metavar="NAME[==VERSION]", help="An installed Python package.")
@click.option("--python", metavar="PATH", help="The interpreter or virtual environment to look for packages in.")
@click.option("--language", default="", metavar="L", help="Instead of the language that is read.")
@click.option("--library", default="", metavar="L", help="Instead of the library that is read.")
@click.option("--version", default="", metavar="V", help="Instead of the version that is read.")
@common_options
@pass_invocation
def add(
    invocation: Invocation,
    paths: tuple[str, ...],
    packages: tuple[str, ...],
    python: str | None,
    language: str,
    library: str,
    version: str,
) -> None:
    """Read files, folders and Python packages into the index.

    Folders are watched from then on, whenever an engine (the dashboard, say) runs. While another process is the engine
    the work is queued for it.
    """
    if not paths and not packages:
        raise InvalidInput("There is nothing to add.", "Name a path, or a package with --package NAME.")
    origin = Origin(language, library, version)
    with opened(invocation, "bailiwick add", Duties.WORK, or_viewer=True, by_rules=True) as workspace:
        sources = [workspace.add_path(path, origin) for path in paths]
        sources += [workspace.add_package(package, origin, python=python) for package in packages]
        if workspace.is_engine:
            _work(workspace)
            if error := next(filter(None, map(workspace.reading_error, sources)), ""):
                raise BailiwickError(error)
        _answer(invocation, workspace, sources, done=workspace.is_engine)


def _work(workspace: Workspace) -> None:
    report = _Report()
    unsubscribe = workspace.bus.subscribe(report.hear)
    try:
        workspace.wait_until_idle()
    except KeyboardInterrupt:
        workspace.cancel_work()
        report.end()
        Invocation.say("Stopped; what was read stays, and the rest is read when an engine starts.")
        raise
    finally:
        unsubscribe()
        report.end()


class _Report:
    """Progress on stderr: one line that changes in a terminal, only problems and notices elsewhere."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._width = 0

    def hear(self, event: Event) -> None:
        if isinstance(event, ProblemFound):
            self.end()
            Invocation.say(f"Left out: {event.problem.path}: {event.problem.reason}")
        elif isinstance(event, Notice):
            self.end()
            Invocation.say(event.message)
        elif isinstance(event, Progress) and self._live and event.stage is not Stage.INDEXING:
            self._show(progress_line(event))

    def _show(self, line: str) -> None:
        print("\r" + line.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(line)

    def end(self) -> None:
        """Leave the changing line."""
        if self._width:
            print(file=sys.stderr)
            self._width = 0


def progress_line(event: Progress) -> str:
    """One progress event in words."""
    verb = event.stage.capitalize()
    count = f"{event.done:,}/{event.total:,}" if event.total else "…"
    left = event.seconds_left
    tail = f" · {event.rate:,.0f}/s · {left:,.0f} s left" if left and not event.finished else ""
    return f"{verb} {event.label} · {count}{tail}"


def _answer(invocation: Invocation, workspace: Workspace, sources: list[Source], *, done: bool) -> None:
    problems = workspace.problems()
    counted = _counted(workspace.libraries(), sources) if done else []
    document = {
        "sources": [{"id": source.id, "name": source.name, "kind": source.kind} for source in sources],
        "queued": not done,
        "libraries": [asdict(library) for library in counted],
        "problems": [asdict(problem) for problem in problems],
    }
    lines = []
    if not done:
        holder = workspace.engine_holder()
        lines.append(f"Queued: {holder.name if holder and holder.works else 'the next engine'} reads it.")
    elif not counted:
        lines.append("Nothing readable was found there.")
    for library in counted:
        name = " ".join(part for part in (library.language, library.library, library.version) if part)
        lines.append(f"{name}: {library.documents:,} documents, {library.passages:,} passages")
    if done and (reason := workspace.model_state()):
        lines.append(f"Found by words only for now: {reason}")
    invocation.answer(document, lines)


def _counted(libraries: list[Library], sources: list[Source]) -> list[Library]:
    packages = {(source.library, source.version) for source in sources if source.kind is SourceKind.PACKAGE}
    if len(packages) == len(sources):
        return [library for library in libraries if (library.library, library.version) in packages]
    return libraries
