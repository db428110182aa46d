"""Commands and a second dashboard beside ``bailiwick serve``, and how that one starts and ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import running, until
from fake_workspace import FakeWorkspace

from core.config import load_settings
from core.engine import Duties
from core.events import EngineChanged, Progress, Stage
from core.workspace import Workspace
from tui.app import BailiwickApp
from tui.commands.run import run

HOLD = """
import sys
from pathlib import Path
from core.agentfs.agentfs import AgentFS
agentfs = AgentFS(Path(sys.argv[1]))
agentfs.engine_lock.acquire(sys.argv[2], works=sys.argv[2] != "bailiwick search")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MODEL_ALLOW_DOWNLOAD", "false")
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "no-model"))


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "kettle.md").write_text("# Kettle\n\nThe kettle boils water in two minutes.\n")
    return folder


def start_serving(root: Path) -> subprocess.Popen[str]:
    """``bailiwick serve --json``, once it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tui", "serve", "--json", "--workspace", str(root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline()) == {"process": process.pid, "workspace": str(root)}
    return process


@pytest.fixture
def server(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    process = start_serving(tmp_path / "w")
    yield process
    process.kill()
    process.communicate()


def call(capfd: pytest.CaptureFixture[str], root: Path, *arguments: str) -> tuple[int, str, str]:
    code = run([*arguments, "--workspace", str(root)])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_orderly(tmp_path: Path, server: subprocess.Popen[str], number: int) -> None:
    server.send_signal(number)
    out, err = server.communicate(timeout=30)
    assert (server.returncode, out) == (0, "")
    assert len(err.splitlines()) == 1
    assert f"Serving {tmp_path / 'w'} as process {server.pid}" in err
    assert not (tmp_path / "w" / "engine.json").exists()


def test_a_second_serve_names_the_first(
    tmp_path: Path, server: subprocess.Popen[str], capfd: pytest.CaptureFixture[str]
) -> None:
    code, _, err = call(capfd, tmp_path / "w", "serve")
    assert code == 3
    assert f"bailiwick serve (process {server.pid}" in err
    assert len(err.splitlines()) == 1


def test_commands_work_beside_a_running_engine(
    tmp_path: Path, documents: Path, server: subprocess.Popen[str], capfd: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "w"
    code, out, _ = call(capfd, root, "add", str(documents))
    assert (code, out) == (0, f"Queued: bailiwick serve (process {server.pid}) reads it.\n")
    with_engine = Workspace(root, load_settings(root), role="test", duties=None)
    assert with_engine.wait_until_idle()
    with_engine.close()
    code, out, err = call(capfd, root, "search", "boils", "--json")
    hits = json.loads(out)["hits"]
    assert (code, [hit["title"] for hit in hits]) == (0, ["Kettle"])
    assert "words only" in err
    assert json.loads(call(capfd, root, "show", hits[0]["id"], "--json")[1])["title"] == "Kettle"
    assert json.loads(call(capfd, root, "libraries", "--json")[1])["libraries"][0]["documents"] == 1
    code, out, _ = call(capfd, root, "search", "boils", "--mode", "vector")
    assert code == 2
    code, out, _ = call(capfd, root, "doctor", "--json")
    findings = {each["check"]: each["sentence"] for each in json.loads(out)["findings"]}
    assert code == 0
    assert findings["index"] == "1 documents, 1 passages."
    assert f"process {server.pid}" in findings["engine"]
    token = json.loads((root / "engine.json").read_text())["token"]
    for arguments in (("info",), ("info", "--json"), ("doctor",)):
        code, out, err = call(capfd, root, *arguments)
        assert code == 0
        assert f"bailiwick serve (process {server.pid}" in out
        assert token not in out + err
    code, out, _ = call(capfd, root, "remove", str(documents), "--json")
    assert (code, json.loads(out)["documents"]) == (0, 1)
    assert call(capfd, root, "search", "boils")[1] == "Nothing was found.\n"


@pytest.mark.parametrize("role", ["the dashboard", "bailiwick search"])
def test_an_engine_that_does_not_answer_is_named_and_work_is_queued(
    tmp_path: Path, documents: Path, capfd: pytest.CaptureFixture[str], role: str
) -> None:
    root = tmp_path / "w"
    call(capfd, root, "hardware", "limits")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(root), role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    holder.stdout.readline()
    if role == "the dashboard":
        code, out, err = call(capfd, root, "search", "kettle")
        assert code == 3
        assert f"the dashboard (process {holder.pid}" in err
        assert len(err.splitlines()) == 1
    code, out, _ = call(capfd, root, "add", str(documents))
    reader = f"the dashboard (process {holder.pid})" if role == "the dashboard" else "the next engine"
    assert (code, out) == (0, f"Queued: {reader} reads it.\n")
    holder.stdin.close()
    holder.wait()
    code, out, _ = call(capfd, root, "add", str(documents), "--json")
    assert json.loads(out)["libraries"][0]["documents"] == 1


def test_many_searches_at_once_all_answer(tmp_path: Path, documents: Path, capfd: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "w"
    assert call(capfd, root, "add", str(documents))[0] == 0
    searches = [
        subprocess.Popen(
            [sys.executable, "-m", "tui", "search", "kettle", "--json", "--workspace", str(root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in searches:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        assert [hit["title"] for hit in json.loads(out)["hits"]] == ["Kettle"]


async def test_a_second_dashboard_is_a_viewer_and_takes_over(
    tmp_path: Path, documents: Path, server: subprocess.Popen[str]
) -> None:
    root = tmp_path / "w"
    app = BailiwickApp(
        lambda: Workspace(root, load_settings(root), role="the dashboard", duties=Duties.ALL, or_viewer=True),
        config_folder=tmp_path / "none",
    )
    try:
        async with app.run_test(size=(120, 30)):
            await until(lambda: app.workspace is not None, "the workspace")
            assert app.workspace is not None
            assert str(app.engine_note.content) == f" engine: bailiwick serve (process {server.pid}) "
            assert app.engine_note.display
            app.workspace.add_path(str(documents))
            await until(lambda: "read and embedded" in str(app.work_strip.render()), "the engine's work")
            os.kill(server.pid, signal.SIGKILL)
            await until(lambda: not app.engine_note.display, "the succession")
            await until(lambda: any("is the engine now" in each.message for each in app._notifications), "the toast")
    finally:
        assert app.close_workspace()


async def test_the_engine_is_named_beside_the_work_while_it_is_another() -> None:
    workspace = FakeWorkspace()
    workspace.engine_elsewhere = "bailiwick serve (process 123)"
    async with running(workspace, size=(80, 24)) as (app, pilot):
        workspace.bus.publish(Progress(Stage.EMBEDDING, "passages", 1203, 5410, 51.0))
        await until(lambda: app.work_strip.is_running, "the strip")
        await pilot.pause()
        assert app.engine_note.region.width == len(" engine: bailiwick serve (process 123) ")
        assert app.engine_note.region.right == 80
        assert app.work_strip.region.right == app.engine_note.region.x
        assert re.search("Embedding.*x cancel", str(app.work_strip.render()))
        workspace.bus.publish(EngineChanged("the dashboard (process 9)", ours=False))
        await until(lambda: "process 9" in str(app.engine_note.content), "the other engine")
        workspace.bus.publish(EngineChanged("the dashboard (process 1)", ours=True))
        await until(lambda: not app.engine_note.display, "the end of it")
        await pilot.pause()
        assert app.work_strip.region.width == 80
        toasts = [each.message for each in app._notifications]
        assert toasts == ["The engine is the dashboard (process 9) now.", "This dashboard is the engine now."]
