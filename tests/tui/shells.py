"""Two machines of one person, each a workspace with a home of its own, and a folder between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from commanding import Shell, shell_on


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the user ada: a workspace, and the folder of her own files."""

    home: Path
    shell: Shell
    patch: pytest.MonkeyPatch

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._be()
        return self.shell(*arguments)

    def json(self, *arguments: str) -> Any:
        self._be()
        return self.shell.json(*arguments)

    def told(self, *arguments: str) -> str:
        self._be()
        return "\n".join(self.shell.told(*arguments))

    def refused(self, *arguments: str) -> dict[str, Any]:
        self._be()
        return self.shell.refused(*arguments)

    def _be(self) -> None:
        self.patch.setenv("BAILIWICK_HOME", str(self.home))

    def secret_file(self, name: str, text: str) -> str:
        path = self.home.parent / name
        path.touch(0o600)
        path.write_text(f"{text}\n")
        return str(path)


@pytest.fixture
def machines(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> tuple[Machine, Machine]:
    """Two machines whose workspaces know nothing of each other; the first has an agent with a state."""
    monkeypatch.setenv("BAILIWICK_HOME", "")
    made = []
    for name in ("workshop", "laptop"):
        folder = tmp_path / name
        folder.mkdir()
        made.append(Machine(folder / "home", shell_on(folder / "workspace", capfd, monkeypatch), monkeypatch))
    (tmp_path / "remote").mkdir()
    made[0].told("agents", "register", "planner", "--type", "research")
    made[0].told("state", "put", "planner", "plan/today", '{"do": "measure"}')
    return made[0], made[1]


@pytest.fixture
def remote(tmp_path: Path) -> str:
    """A folder that is a remote."""
    return str(tmp_path / "remote")
