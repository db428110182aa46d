"""What is logged holds no secret and no home folder's name, whoever logs it and however it breaks."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tui.logs import crash_log, start_logging

TOKEN = "ghp_" + "x7Kq9Zt2Lm4Vb8Nc1Rf6Yd3Hs5Jw0Pg2Aa9Q"


@pytest.fixture(autouse=True)
def quiet_root() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    for handler in before:
        root.removeHandler(handler)
    yield
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)


def fail() -> None:
    raise ValueError(f"refused {TOKEN} from /home/karla/project")


@pytest.mark.parametrize("where", ["workspace", "crash"])
def test_a_logged_failure_keeps_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    path = start_logging(tmp_path) if where == "workspace" else crash_log()
    try:
        fail()
    except ValueError:
        logging.getLogger("anywhere").exception("could not use %s", TOKEN)
    text = path.read_text(encoding="utf-8")
    assert "could not use" in text
    assert "ValueError" in text
    assert TOKEN not in text
    assert "karla" not in text
    assert path.stat().st_mode & 0o077 == 0 or where == "workspace"


def test_a_crash_goes_to_the_log_there_is(tmp_path: Path) -> None:
    path = start_logging(tmp_path)
    assert crash_log() == path


def test_help_loads_neither_logging_files_nor_privacy() -> None:
    code = (
        "import sys; from tui.commands.run import run; run(['--help']);"
        "print([name for name in sys.modules if name.startswith(('core.privacy', 'logging.handlers', 'tui.logs'))],"
        " file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
