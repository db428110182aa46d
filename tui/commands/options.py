"""What every command takes: ``--workspace`` and ``--json``, and how it answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Invocation:
    """The common options of one call, given before or after the command's name."""

    workspace: str | None = None
    json: bool = False

    def workspace_folder(self) -> Path:
        """The workspace folder of this call."""
        # The settings' libraries would double the time of --help.
        from core.config import workspace_folder

        return workspace_folder(self.workspace)

    def answer(self, document: object, lines: Iterable[str]) -> None:
        """Print ``document`` as JSON, or ``lines`` for a person."""
        if self.json:
            print(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
        else:
            for line in lines:
                print(line)

    @staticmethod
    def say(message: str) -> None:
        """Tell a person something beside the answer, without the secrets it might quote."""
        # Imported here: most commands have nothing to say.
        from core.privacy import scrub

        print(scrub(message), file=sys.stderr)


def common_options(function: F) -> F:
    """Add ``--workspace`` and ``--json`` to a command; their values are in the context's ``Invocation``."""
    json_option = click.option(
        "--json", is_flag=True, expose_value=False, callback=_take_json, help="Answer with one JSON document."
    )
    workspace_option = click.option(
        "--workspace",
        metavar="DIR",
        expose_value=False,
        callback=_take_workspace,
        help="The workspace folder (default: the one in your data folder).",
    )
    return workspace_option(json_option(function))


pass_invocation = click.make_pass_decorator(Invocation, ensure=True)


def _take_workspace(context: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.ensure_object(Invocation).workspace = value


def _take_json(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(Invocation).json = True
