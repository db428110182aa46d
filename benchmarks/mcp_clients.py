"""Clients of ``bailiwick mcp`` for the benchmarks: one JSON message a line over stdio, or one POST a call over HTTP."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

VERSION = "2025-06-18"
GREETING = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "benchmark", "version": "1"}}
COMMAND = [sys.executable, "-m", "tui", "mcp"]


class Gone(Exception):
    """The server ended before it answered."""


class StdioClient:
    """Starts a server of its own; ``first_answer`` is how many seconds that took until it answered."""

    def __init__(self, root: Path, *arguments: str, **variables: str) -> None:
        started = time.perf_counter()
        self.process = subprocess.Popen(
            [*COMMAND, *arguments, "--workspace", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, **variables},
            text=True,
        )
        self._ids = itertools.count(1)
        self.ask("initialize", GREETING)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.tools = self.ask("tools/list", {})
        self.first_answer = time.perf_counter() - started

    def call(self, tool: str, /, **arguments: Any) -> Any:
        """The result of one call; raises Gone."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def ask(self, method: str, params: Any) -> Any:
        """The result of one request; raises Gone."""
        self._write({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Gone
        return json.loads(line)["result"]

    def _write(self, message: Any) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except (BrokenPipeError, ValueError):
            raise Gone from None

    def close(self) -> None:
        """End the server and wait for it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


class HttpClient:
    """Talks to a server that runs, over one connection."""

    def __init__(self, url: str, bearer: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        self._headers = {
            "Authorization": f"Bearer {bearer}",
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        self._ids = itertools.count(1)
        self.ask("initialize", GREETING)

    def call(self, tool: str, /, **arguments: Any) -> Any:
        """The result of one call."""
        return self.ask("tools/call", {"name": tool, "arguments": arguments})

    def ask(self, method: str, params: Any) -> Any:
        """The result of one request."""
        body = json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params})
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        if (session := response.headers.get("mcp-session-id")) is not None:
            self._headers["Mcp-Session-Id"] = session
        return json.loads(response.read())["result"]
