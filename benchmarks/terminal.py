"""Runs a terminal program on a pty of its own and notes when it shows what, and what memory it then holds."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROWS, COLUMNS = 40, 120
SECONDS_ALLOWED = 60.0
SECONDS_UNTIL_MEMORY = 2.0

_ALT_SCREEN = b"\x1b[?1049h"
_ESCAPE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"
    rb"|\x1b[\]P_^X][^\x07\x1b]*(?:\x07|\x1b\\)"
    rb"|\x1b[ -/]*(?![\[\]P_^X])[0-~]"
)
_UNFINISHED = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*|[\]P_^X][^\x07\x1b]*\x1b?|[ -/]*)\Z")
# What a terminal is asked at the start (DEC mode reports, device attributes, cursor, kitty keys, colours), and answers.
_ANSWERS = {
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[?2048$p": b"\x1b[?2048;0$y",
    b"\x1b[c": b"\x1b[?62;22c",
    b"\x1b[6n": b"\x1b[1;1R",
    b"\x1b[?u": b"\x1b[?0u",
    b"\x1b]10;?": b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
    b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
}


class NotShown(Exception):
    """The program ended, or its time did, before it showed what was waited for."""


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the fork, and bytes resident in the whole process tree two seconds after the marker."""

    alt_screen: float
    first_content: float
    marker: float
    resident_bytes: int


def measure_start(command: Sequence[str], marker: str, environment: Mapping[str, str], folder: Path) -> Start:
    """Start ``command`` in ``folder`` on a new pty and wait until its screen has shown ``marker``.

    First content is the first printed character on the alternate screen that is not a blank. The program and its
    children are ended afterwards. Raises ``NotShown``.
    """
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        _become(command, environment, folder)
    try:
        return _watch(pid, terminal, marker.encode(), began)
    finally:
        _end(pid, terminal)


def _become(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
    try:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.chdir(folder)
        os.execvpe(command[0], list(command), dict(environment))
    except OSError as error:
        os.write(2, f"{command[0]}: {error}".encode())
    finally:
        os._exit(127)


def _watch(pid: int, terminal: int, marker: bytes, began: float) -> Start:
    output = b""
    alt_screen = first_content = shown = None
    deadline = began + SECONDS_ALLOWED
    while shown is None:
        chunk = _read(terminal, deadline - time.perf_counter())
        now = time.perf_counter() - began
        if not chunk:
            ending = "ended" if time.perf_counter() < deadline else f"took more than {SECONDS_ALLOWED:.0f} s"
            raise NotShown(f"{ending} before {marker.decode()!r} was shown: {_last_line(output)}")
        _answer(terminal, output, chunk)
        output += chunk
        _, switched, after = output.partition(_ALT_SCREEN)
        if not switched:
            continue
        alt_screen = now if alt_screen is None else alt_screen
        text = _UNFINISHED.sub(b"", _ESCAPE.sub(b"", after))
        if first_content is None and text.strip():
            first_content = now
        if marker in text:
            shown = now
    assert alt_screen is not None
    assert first_content is not None
    output += _drain(terminal, SECONDS_UNTIL_MEMORY)
    if not _runs(psutil.Process(pid)):
        raise NotShown(f"ended by itself after {marker.decode()!r} was shown: {_last_line(output)}")
    return Start(alt_screen, first_content, shown, _resident_bytes(pid))


def _read(terminal: int, seconds: float) -> bytes:
    """The next output; empty when time is up or the program has closed its terminal (EIO on Linux)."""
    if not select.select([terminal], [], [], max(0.0, seconds))[0]:
        return b""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def _answer(terminal: int, earlier: bytes, chunk: bytes) -> None:
    """Answer each query once, also one that is cut in two between reads."""
    for query, answer in _ANSWERS.items():
        tail = earlier[-(len(query) - 1) :]
        for _ in range((tail + chunk).count(query)):
            os.write(terminal, answer)


def _drain(terminal: int, seconds: float) -> bytes:
    """Read on for that long, as a terminal would, so that the program never waits to write."""
    output = b""
    until = time.perf_counter() + seconds
    while (left := until - time.perf_counter()) > 0:
        chunk = _read(terminal, left)
        output += chunk
        if not chunk:
            time.sleep(min(0.05, left))
    return output


def _resident_bytes(pid: int) -> int:
    own = psutil.Process(pid)
    total = 0
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _end(pid: int, terminal: int) -> None:
    """Ask the process and its children to end, by their ids, then make them."""
    with contextlib.suppress(psutil.Error):
        own = psutil.Process(pid)
        family = [*own.children(recursive=True), own]
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGTERM)
        until = time.perf_counter() + 3
        while time.perf_counter() < until and any(_runs(process) for process in family):
            _drain(terminal, 0.05)
        for process in family:
            if _runs(process):
                with contextlib.suppress(psutil.Error):
                    process.kill()
    os.close(terminal)
    os.waitpid(pid, 0)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _last_line(output: bytes) -> str:
    lines = _ESCAPE.sub(b"", output).decode("utf-8", "replace").replace("\r", "\n").split("\n")
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "it printed nothing")
