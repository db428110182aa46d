"""One shell for the tests of commands: runs a command line, and takes its answer apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tui.commands.run import run

VARIABLES = ("BAILIWICK_AGENT", "BAILIWICK_AGENT_KEY", "BAILIWICK_SESSION")


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs command lines on the workspace ``root``, in this process."""

    root: Path
    captured: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error of one command line."""
        code = run([*arguments, "--workspace", str(self.root)])
        out, err = self.captured.readouterr()
        return code, out, err

    def told(self, *arguments: str) -> list[str]:
        """The lines that a person reads; the command must succeed."""
        code, out, err = self(*arguments)
        assert code == 0, err
        return out.splitlines()

    def json(self, *arguments: str) -> Any:
        """The one JSON document of a command that must succeed."""
        code, out, _ = self(*arguments, "--json")
        assert code == 0, out
        return json.loads(out)

    def refused(self, *arguments: str) -> dict[str, Any]:
        """The error of a command that must be refused: one sentence for a person, one document for a program."""
        code, out, err = self(*arguments)
        assert (code, out) == (2, ""), out + err
        assert err.startswith("bailiwick: ")
        assert "Traceback" not in err
        assert len(err.splitlines()) == 1
        code, out, err = self(*arguments, "--json")
        assert (code, err) == (2, "")
        answer: dict[str, Any] = json.loads(out)
        assert answer["error"]
        assert "hint" in answer
        return answer


def shell_on(
    root: Path, captured: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, places: int = 8
) -> Shell:
    """A shell whose environment says nothing about who acts, with room for ``places`` agents."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("BAILIWICK_AGENTS_MAX_CONCURRENT", str(places))
    monkeypatch.setenv("BAILIWICK_USER_ID", "ada")
    return Shell(root, captured)


def another_process(root: Path, *arguments: str, agent: str = "", text: str = "") -> subprocess.CompletedProcess[str]:
    """A command line in a process of its own, where ``agent`` acts."""
    environment = {**os.environ, "BAILIWICK_AGENT": agent}
    return subprocess.run(
        [sys.executable, "-m", "tui", *arguments, "--workspace", str(root)],
        input=text,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
