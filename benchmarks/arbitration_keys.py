"""How many keys a conflict of ten hunks takes: in the conflicts pane, and in ``git mergetool`` with vimdiff.

    uv run python benchmarks/arbitration_keys.py [--merged N]

Both get the same three texts and the same choices, five times local and five times remote in an order that no macro
repeats, and every result is compared with the one that these choices give. A key is one press: ``Ctrl+S`` is one, Shift
counts nothing. Counted is from the merge on the screen to the result on the disk; how either is opened is not. With
``--merged`` that many hunks besides are changed by one side alone, so that every merge settles them by itself.

Of vimdiff there are two rows: with the commands that its manual shows, and with the fewest keys that we found.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import pty
import select
import struct
import subprocess
import tempfile
import termios
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual import events

from core.agent_model import Actor, ActorKind
from core.agentfs.items import ItemWrite
from core.config import load_settings
from core.conflicts.records import ConflictStore, Side
from core.model import Kind, Sensitivity
from core.workspace import Workspace
from tui.app import BailiwickApp
from tui.panes.conflicts import ConflictsPane
from tui.screens.confirm import ConfirmScreen

PATH = "notes/lamps"
CHOICES = "LRRLLRLRRL"
QUIET_SECONDS = 0.7
PATIENCE_SECONDS = 30.0
SIZE = (48, 160)


@dataclass(frozen=True, slots=True)
class Case:
    """Three texts, and what the choices make of them."""

    base: str
    local: str
    remote: str
    right: str


@dataclass(frozen=True, slots=True)
class Count:
    """Keys that were pressed, and whether the result was right."""

    name: str
    keys: int
    right: bool


def case(merged: int) -> Case:
    """Ten hunks in conflict, and ``merged`` ones that one side alone changed, with lines between them."""
    texts: dict[str, list[str]] = {"base": [], "local": [], "remote": [], "right": []}

    def add(base: str, local: str, remote: str, right: str) -> None:
        for name, line in zip(texts, (base, local, remote, right), strict=True):
            texts[name].append(line)

    for number in range(max(len(CHOICES), merged)):
        for line in range(6):
            same = f"paragraph {number}, line {line} stays as it is"
            add(same, same, same, same)
        if number < len(CHOICES):
            here, there = f"the lamp number {number} burns oil", f"the lamp number {number} burns gas"
            add(f"the lamp number {number} burns", here, there, here if CHOICES[number] == "L" else there)
        if number < merged:
            for line in range(6):
                same = f"paragraph {number}, line {line} further on"
                add(same, same, same, same)
            was, now = f"bell {number} rings", f"bell {number} rings twice"
            add(was, *((now, was) if number % 2 else (was, now)), now)
    base, local, remote, right = ("\n".join(each) + "\n" for each in texts.values())
    return Case(base, local, remote, right)


# vimdiff


def manual_keys(merged: int) -> list[str]:
    """``]c`` to the next difference, ``:diffget`` with the beginning of the other file's name, ``:wqa``.

    ``]c`` stops at what is merged already, too.
    """
    pressed: list[str] = []
    for number, choice in enumerate(CHOICES):
        steps = 2 if 0 < number <= merged else 1
        pressed += [*("]c" * steps), *(":diffg LO\r" if choice == "L" else ":diffg RE\r")]
    return [*pressed, *":wqa\r"]


def fewest_keys() -> list[str]:
    """To the marks by search, and ``do`` with the number of the buffer: 1 is local, 3 remote."""
    pressed = [*"/<\r"]
    for number, choice in enumerate(CHOICES):
        pressed += [*("n" if number else ""), *("1do" if choice == "L" else "3do")]
    return [*pressed, *":xa\r"]


def by_vimdiff(name: str, pressed: list[str], texts: Case, folder: Path) -> Count:
    """Merge two branches with git, and rule on what is in conflict in vimdiff, in a terminal."""
    folder.mkdir()
    environ = {**os.environ, "HOME": str(folder), "TERM": "xterm", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}

    def git(*arguments: str, check: bool = True) -> None:
        subprocess.run(["git", *arguments], cwd=folder, env=environ, check=check, capture_output=True)

    git("init", "-b", "main")
    git("config", "user.email", "nobody@localhost")
    git("config", "user.name", "nobody")
    file = folder / "lamps.txt"
    for branch, text in (("main", texts.base), ("remote", texts.remote), ("local", texts.local)):
        git("checkout", "-q", *(["-b", branch, "main"] if branch != "main" else ["-B", branch]))
        file.write_text(text)
        git("add", ".")
        git("commit", "-q", "-m", branch)
    git("merge", "remote", check=False)
    _in_terminal(["git", "mergetool", "--tool=vimdiff", "lamps.txt"], folder, environ, "".join(pressed))
    return Count(name, len(pressed), file.read_text() == texts.right)


def _in_terminal(command: list[str], folder: Path, environ: dict[str, str], typed: str) -> None:
    """Run a command in a terminal, type once it has drawn and is quiet, and wait for its end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
    with subprocess.Popen(
        command, cwd=folder, env=environ, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    ) as running:
        os.close(theirs)
        try:
            deadline = time.monotonic() + PATIENCE_SECONDS
            drawn = False
            while running.poll() is None and time.monotonic() < deadline:
                if select.select([ours], [], [], QUIET_SECONDS)[0]:
                    try:
                        drawn = bool(os.read(ours, 65536)) or drawn
                    except OSError:
                        break
                elif drawn and typed:
                    os.write(ours, typed.encode())
                    typed = ""
            running.wait(PATIENCE_SECONDS)
        finally:
            running.kill()
            os.close(ours)


# The conflicts pane


class CountingApp(BailiwickApp):
    """The dashboard, which counts every key that reaches it; an event that bubbles comes by twice."""

    def __init__(self, open_workspace: Callable[[], Workspace], config_folder: Path) -> None:
        super().__init__(open_workspace, start="conflicts", config_folder=config_folder)
        self.pressed: list[events.Key] = []

    async def on_event(self, event: events.Event) -> None:
        """Remember it."""
        if isinstance(event, events.Key) and not any(event is each for each in self.pressed):
            self.pressed.append(event)
        await super().on_event(event)


def with_conflict(root: Path, texts: Case) -> Workspace:
    """A workspace in which the texts are in conflict as sync leaves them: remote stands."""
    settings = load_settings(root)
    workspace = Workspace(root, settings, role="benchmark", duties=None)
    agentfs, user = workspace.agentfs, settings.user.id
    base, local, remote = (text.encode() for text in (texts.base, texts.local, texts.remote))
    with agentfs.database.transaction() as connection:
        agentfs.items.put(connection, ItemWrite(PATH, Kind.DECISION, user, remote))
        ConflictStore(agentfs).open_within(
            connection,
            PATH,
            Kind.DECISION.value,
            Side("base", base),
            Side("local", local, who=user, device=agentfs.device),
            Side("remote", remote, who=user, device="another"),
            owner=user,
            found=Sensitivity.NONE,
            by=Actor(ActorKind.ENGINE, agentfs.device, "sync"),
        )
    return workspace


async def in_the_pane(texts: Case, root: Path) -> Count:
    """Rule on it in the dashboard, with one key for each choice."""
    workspace = with_conflict(root, texts)
    service = workspace.conflicts
    app = CountingApp(lambda: workspace, root / "none")
    async with app.run_test(size=(SIZE[1], SIZE[0])) as pilot:
        pane = await _shown(app)
        await _until(lambda: bool(pane.rows.rows))
        await pilot.press("enter")
        await _until(lambda: pane.is_ruling)
        app.pressed.clear()
        for choice in CHOICES:
            await pilot.press("less_than_sign" if choice == "L" else "greater_than_sign")
        await pilot.press("ctrl+s")
        await pilot.pause(QUIET_SECONDS)
        if isinstance(app.screen, ConfirmScreen):
            await pilot.press("enter")
        await _until(lambda: not service.count_open())
        item = workspace.agentfs.items.at_path(PATH)
        text = workspace.agentfs.items.content(item).decode() if item is not None else ""
    app.close_workspace()
    return Count("Bailiwick's conflicts pane", len(app.pressed), text == texts.right)


async def _shown(app: BailiwickApp) -> ConflictsPane:
    await _until(lambda: app.workspace is not None and any(each.PANE_ID == "conflicts" for each in app.host.mounted))
    return app.query_one(ConflictsPane)


async def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the pane did not come to it")
        await asyncio.sleep(0.02)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--merged", type=int, default=0, help="hunks besides that merge by themselves")
    arguments = parser.parse_args()
    texts = case(arguments.merged)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        counts = [
            asyncio.run(in_the_pane(texts, root / "workspace")),
            by_vimdiff("vimdiff, as its manual shows", manual_keys(arguments.merged), texts, root / "manual"),
            by_vimdiff("vimdiff, the fewest we found", fewest_keys(), texts, root / "fewest"),
        ]
    print("| | keys | result |\n|---|---|---|")
    for each in counts:
        print(f"| {each.name} | {each.keys} | {'right' if each.right else 'WRONG'} |")


if __name__ == "__main__":
    main()
