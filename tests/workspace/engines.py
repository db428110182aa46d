"""Engines and viewers in this process and in others, and waiting for what must come."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from core.config import Settings, load_settings, with_flag
from core.engine import Duties
from core.workspace import Workspace

PATIENCE_SECONDS = 60.0
PRELOADED = ("core.workspace", "core.services", "core.serving.door", "core.serving.relay", "watchfiles", "engines")


def without_model(root: Path) -> Settings:
    """Settings under which no model is found, so that words answer and an engine is quickly at rest."""
    settings = with_flag(load_settings(root), "model.allow_download", False)
    return with_flag(settings, "model.path", str(root / "no-model"))


def open_engine(
    root: Path, role: str = "the test", duties: Duties | None = Duties.ALL, settings: Settings | None = None
) -> Workspace:
    """The engine, or a viewer while there is another."""
    return Workspace(root, settings or without_model(root), role=role, duties=duties, or_viewer=True)


@contextmanager
def opened(
    root: Path, role: str = "the test", duties: Duties | None = Duties.ALL, settings: Settings | None = None
) -> Iterator[Workspace]:
    """``open_engine``, closed at the end."""
    workspace = open_engine(root, role, duties, settings)
    try:
        yield workspace
    finally:
        workspace.close()


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait until ``condition`` holds; fails after a while, naming ``what``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(0.02)


def idle(workspace: Workspace) -> None:
    """Wait until the engine has done everything."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    assert workspace.wait_until_idle(lambda: time.monotonic() > deadline)


class EngineProcess:
    """A process that is the engine, or waits to succeed it."""

    def __init__(self, process: BaseProcess, engine: Connection) -> None:
        self.engine = engine
        self._process = process

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self._process.kill()
        self._process.join()
        self.engine.close()


def successor(processes: Sequence[EngineProcess]) -> EngineProcess:
    """Wait until one of these is the engine."""
    ready = wait([each.engine for each in processes], PATIENCE_SECONDS)
    assert len(ready) == 1, f"{len(ready)} engines"
    winner = next(each for each in processes if each.engine is ready[0])
    assert winner.engine.recv() == "engine"
    return winner


class Nursery:
    """Starts processes by forking one that has imported everything already."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PRELOADED))

    def start(self, root: Path, role: str, folder: Path | None = None) -> EngineProcess:
        """A process that opens the workspace at ``root`` and, once it is the engine, adds ``folder``."""
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_run, args=(root, role, folder, theirs), daemon=True)
        process.start()
        theirs.close()
        return EngineProcess(process, ours)


def _run(root: Path, role: str, folder: Path | None, engine: Connection) -> None:
    workspace = open_engine(root, role)
    while not workspace.is_engine:
        threading.Event().wait(0.01)
    if folder is not None:
        workspace.add_path(str(folder))
    engine.send("engine")
    threading.Event().wait()
