"""``bailiwick serve``: the engine without a screen."""

from __future__ import annotations

import os
import select
import signal
import sys
from types import FrameType

import click

from core.engine import Duties
from tui.commands.opening import opened
from tui.commands.options import Invocation, common_options, pass_invocation

_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@click.command()
@click.option("--with-stdin", is_flag=True, help="End when standard input does: as a child that ends with its parent.")
@common_options
@pass_invocation
def serve(invocation: Invocation, with_stdin: bool) -> None:
    """Read, watch, embed and answer for every other process of this workspace, until SIGTERM or Ctrl+C.

    With --json, one document on stdout says when it is ready. While another process is the engine: exit code 3.
    """
    ended, end = os.pipe()

    def finish(_: int, __: FrameType | None) -> None:
        os.write(end, b".")

    for number in _ENDING:
        # Whoever started this may have had it ignore a signal, as nohup does; that stays so.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, finish)
    with opened(invocation, "bailiwick serve", Duties.ALL) as workspace:
        Invocation.say(f"Serving {workspace.root} as process {os.getpid()}; Ctrl+C ends it.")
        invocation.answer({"process": os.getpid(), "workspace": str(workspace.root)}, [])
        sys.stdout.flush()
        _wait(ended, with_stdin=with_stdin)


def _wait(ended: int, *, with_stdin: bool) -> None:
    """Wait until something can be read from ``ended``, or there is nothing more to come on standard input."""
    while True:
        ready, _, _ = select.select([ended, 0] if with_stdin else [ended], [], [])
        if ended in ready or not os.read(0, 4096):
            return
