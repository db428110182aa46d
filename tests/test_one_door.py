"""Nothing leaves the machine but through the one door: who opens a connection, who makes what a remote takes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import core

CORE = Path(core.__file__).parent
CONNECTING = frozenset(
    (
        "socket",
        "socketserver",
        "ssl",
        "http",
        "urllib",
        "urllib3",
        "requests",
        "httpx",
        "httpcore",
        "aiohttp",
        "websockets",
        "ftplib",
        "smtplib",
        "poplib",
        "imaplib",
        "nntplib",
        "telnetlib",
        "xmlrpc",
        "boto3",
        "botocore",
        "s3transfer",
        "paramiko",
        "asyncssh",
        "grpc",
        "asyncio",
        "multiprocessing.connection",
        "huggingface_hub",
        "fsspec",
        "mcp",
        "mcp_types",
        "anyio",
        "uvicorn",
        "starlette",
        "httpx2",
        "sse_starlette",
    )
)
# What the user named as the remote: a bucket, or a public library that is read.
REMOTE = {
    "remote/https.py",
    "remote/multipart.py",
    "remote/opening.py",
    "remote/s3.py",
    "remote/s3_address.py",
    "remote/s3_client.py",
    "remote/s3_errors.py",
}
LAUNCHING = frozenset({"subprocess", "os.system", "os.popen", "os.posix_spawn", "os.execv", "os.execvp"})
# The engine's local door, both of its sides, listens and speaks on the loopback address alone.
LOCAL_DOOR = {"serving/connection.py", "serving/door.py", "serving/client.py"}
# What `bailiwick mcp` speaks to the agents of this machine: the protocol, standard input and output, and a port of the
# loopback address alone.
AGENTS_DOOR = {"serving/mcp_server.py", "serving/mcp_stdio.py", "serving/mcp_http.py"}
# FastEmbed fetches the model, which is said before it starts and can be forbidden; it sends nothing of the workspace.
MODEL_DOWNLOAD = {"index/model_download.py", "index/embedder.py"}
# Children of ours that talk through their pipes: the reader of documents, the builder of the model, its download, an
# engine that ends with the process that needs it; and the interpreter that a person named is asked for its path.
CHILDREN = {
    "index/model_build.py",
    "index/model_download.py",
    "library/packages.py",
    "library/reader_process.py",
    "serving/engine_child.py",
}


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            called = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if called in ("__import__", "import_module") and node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def _users(wanted: frozenset[str]) -> set[str]:
    found = set()
    for path in sorted(CORE.rglob("*.py")):
        for name in _names(ast.parse(path.read_text(encoding="utf-8"))):
            parts = name.split(".")
            if any(".".join(parts[:count]) in wanted for count in range(1, len(parts) + 1)):
                found.add(path.relative_to(CORE).as_posix())
    return found


def test_only_doors_remotes_and_the_model_download_connect() -> None:
    assert _users(CONNECTING) <= LOCAL_DOOR | AGENTS_DOOR | MODEL_DOWNLOAD | REMOTE
    assert _users(CONNECTING) >= (LOCAL_DOOR | AGENTS_DOOR) - {"serving/door.py"}


def test_only_known_children_are_started() -> None:
    assert _users(LAUNCHING) <= CHILDREN


def test_duckdb_is_told_to_fetch_nothing() -> None:
    for path in (CORE / "index").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "duckdb.connect(" in text:
            assert "autoinstall_known_extensions = false" in text, path.name


def test_what_a_remote_takes_is_made_by_the_one_door_alone() -> None:
    makers = set()
    for path in sorted(CORE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Cleared":
                makers.add(path.relative_to(CORE).as_posix())
    assert makers == {"disclosure/release.py"}


PROGRAM = """
import sys
connected = []
def hook(event, arguments):
    if event == "socket.connect":
        connected.append(str(arguments[1]))
    elif event in ("socket.getaddrinfo", "socket.sendto"):
        connected.append(f"{event} {arguments[0]} {arguments[1]}")
sys.addaudithook(hook)
from pathlib import Path
from core.agent_model import Actor, ActorKind
from core.config import load_settings
from core.engine import Duties
from core.search.query import Query
from core.model import SearchMode
from core.workspace import Workspace
root = Path(sys.argv[1])
workspace = Workspace(root, load_settings(root), role="a test", duties=Duties.WORK)
workspace.add_path(sys.argv[2])
person = workspace.person
workspace.agentfs.agents.register("scout", "research", owner=person.id, by=person)
scout = Actor(ActorKind.AGENT, workspace.agentfs.agents.get("scout").id, "cli")
workspace.agentfs.states.put("scout", "plan", {"token": sys.argv[3]}, by=scout)
workspace.agentfs.messages.send("scout", "person", "mara@lighthouse.dev wrote", by=scout)
workspace.agentfs.snapshots.take("now", by=person)
assert workspace.wait_until_idle()
assert workspace.search(Query("lighthouse", mode=SearchMode.TEXT)).hits
workspace.close()
print([each for each in connected if "127.0.0.1" not in each])
"""


def test_at_work_nothing_connects_but_to_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    document = tmp_path / "notes.md"
    document.write_text("# Harbour\n\nThe lighthouse is lit.\n")
    arguments = [str(tmp_path / "w"), str(document), "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"]
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=100, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == "[]"
