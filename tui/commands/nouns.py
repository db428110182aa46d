"""The commands that AgentFS' nouns share: opening it alone, and answering with its values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from pathlib import Path

import click

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_text
from core.config import Settings, load_settings
from core.errors import InvalidInput, NotFound
from core.opening import open_agentfs, take_in_waiting
from tui.commands.options import Invocation, common_options
from tui.logs import start_logging
from tui.printable import printable

DOOR = "cli"
MOST = 100_000


@dataclass(frozen=True, slots=True)
class Opened:
    """AgentFS for one command, with the settings it was opened under."""

    agentfs: AgentFS
    settings: Settings

    @property
    def person(self) -> Actor:
        """The person at this shell."""
        return Actor(ActorKind.PERSON, self.settings.user.id, DOOR)


def noun(function: Callable[[], None]) -> click.Group:
    """Make a group of commands that takes the common options itself too, and says so when no command follows."""
    return click.group(no_args_is_help=False)(common_options(function))


def count_option(default: int, what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The option ``-n``, passed on as ``limit``."""
    return click.option(
        "-n", "--limit", type=click.IntRange(1, MOST), default=default, show_default=True, metavar="N", help=what
    )


@contextmanager
def opened_agentfs(invocation: Invocation, *, make: bool = False) -> Iterator[Opened]:
    """AgentFS of this call, without index, model or watcher; only with ``make`` a workspace is made."""
    os.umask(0o077)
    root = invocation.workspace_folder()
    if not make and not (root / "agentfs.db").exists():
        raise NotFound(f"There is no workspace at {root} yet.", "`bailiwick agents register NAME --type T` makes one.")
    settings = load_settings(root)
    agentfs = open_agentfs(root, settings)
    try:
        start_logging(root)
        take_in_waiting(agentfs, settings)
        yield Opened(agentfs, settings)
    except UnicodeEncodeError:
        raise InvalidInput("What was given is not valid text.", "Use UTF-8.") from None
    finally:
        agentfs.close()


def answer(invocation: Invocation, document: object, lines: Iterable[str]) -> None:
    """Answer with ``document`` made plain, or with ``lines`` made safe for a terminal."""
    invocation.answer(plain(document), map(printable, lines))


def plain(value: object) -> object:
    """``value`` as JSON holds it: dataclasses by their fields, moments as ISO 8601 in UTC."""
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], nothing: str) -> list[str]:
    """Lines of columns as wide as what they hold; ``nothing`` where there are no rows. Numbers go to the right."""
    if not rows:
        return [nothing]
    widths = [max(len(row[column]) for row in (heads, *rows)) for column in range(len(heads))]
    numeric = [all(row[column].replace(",", "").isdigit() for row in rows) for column in range(len(heads))]
    lines = []
    for row in (heads, *rows):
        cells = [
            text.rjust(width) if right else text.ljust(width)
            for text, width, right in zip(row, widths, numeric, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return lines
