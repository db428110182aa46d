"""Reads files in a child process, so that no parser ever holds up the dashboard and none can bring it down."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from core.content_format import decode, encode
from core.library.extract import Extracted, ReadRequest, extract
from core.library.file_text import LARGEST_FILE, Unreadable
from core.library.reexports import public_names

TIME_LIMIT_SECONDS = 30.0
NICENESS = 5
_LENGTH = struct.Struct(">I")


class ReaderProcess:
    """The parent's side. Safe from any thread, one request at a time; the child is started when first needed.

    A child that crashes or takes longer than ``time_limit`` seconds costs the one file it was reading.
    """

    def __init__(self, *, max_bytes: int = LARGEST_FILE, time_limit: float = TIME_LIMIT_SECONDS) -> None:
        self._max_bytes = max_bytes
        self._time_limit = time_limit
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def read(self, request: ReadRequest) -> Extracted:
        """Read one file; raises Unreadable with the reason."""
        asked = replace(request, max_bytes=self._max_bytes)
        answer = self._ask(
            {
                "read": str(asked.path),
                "root": str(asked.root),
                "module": asked.module,
                "language": asked.language,
                "library": asked.library,
                "version": asked.version,
                "tokenizer": str(asked.tokenizer) if asked.tokenizer is not None else None,
                "public_names": dict(asked.public_names) if asked.public_names is not None else None,
                "max_bytes": asked.max_bytes,
            }
        )
        if "unreadable" in answer:
            raise Unreadable(str(answer["unreadable"]))
        content = decode(str(answer["content"]).encode("utf-8"))
        return Extracted(content, str(answer["checksum"]), holds_secret=answer["holds_secret"] is not False)

    def public_names(self, modules: Mapping[str, Path]) -> dict[str, dict[str, str]]:
        """``core.library.reexports.public_names`` in the child; an empty answer when it fails."""
        try:
            answer = self._ask({"modules": {name: str(path) for name, path in modules.items()}})
        except Unreadable:
            return {}
        names: dict[str, dict[str, str]] = answer["public_names"]
        return names

    def close(self) -> None:
        """End the child; a request under way fails with Unreadable."""
        self._closed = True
        child = self._child
        if child is not None and child.poll() is None:
            child.kill()
        with self._lock:
            self._drop()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            child = None if self._closed else self._running()
            # Either ``close`` saw the child that was just started, or it is seen here that all was closed meanwhile.
            if child is None or self._closed:
                self._drop()
                raise Unreadable("was not read: Bailiwick was closing")
            assert child.stdin is not None
            assert child.stdout is not None
            try:
                _send(child.stdin, {**question, "seconds": math.ceil(self._time_limit) + 1})
                data = _receive(child.stdout, time.monotonic() + self._time_limit)
            except TimeoutError:
                self._drop()
                raise Unreadable(f"took longer than {self._time_limit:g} s to read") from None
            except (OSError, EOFError):
                self._drop()
                raise Unreadable("could not be read: its parser crashed") from None
            except BaseException:
                # What it still answers must not be taken for the answer to the next question.
                self._drop()
                raise
            answer: dict[str, Any] = json.loads(data)
            return answer

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self._drop()
            # A session of its own keeps Ctrl-C from it; it ends when its standard input does.
            self._child = subprocess.Popen(
                [sys.executable, "-m", "core.library.reader_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            )
        return self._child

    def _drop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        continue


def _send(stream: IO[bytes], value: object) -> None:
    data = json.dumps(value, ensure_ascii=True).encode("ascii")
    stream.write(_LENGTH.pack(len(data)) + data)
    stream.flush()


def _receive(stream: IO[bytes], deadline: float) -> bytes:
    descriptor = stream.fileno()
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size, deadline))
    return _exactly(descriptor, length, deadline)


def _exactly(descriptor: int, count: int, deadline: float) -> bytes:
    received = bytearray()
    while len(received) < count:
        # Not select: it knows the first 1,024 descriptors of a process alone.
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        ready = waiting.poll(max(0.0, deadline - time.monotonic()) * 1000)
        if not ready:
            raise TimeoutError
        chunk = os.read(descriptor, min(count - len(received), 1 << 20))
        if not chunk:
            raise EOFError
        received += chunk
    return bytes(received)


def _serve() -> None:
    """The child: answer until the parent is gone."""
    os.nice(NICENESS)
    source, target = sys.stdin.buffer, sys.stdout.buffer
    # What a parser prints must not get into the answers.
    sys.stdout = sys.stderr
    while header := source.read(_LENGTH.size):
        (length,) = _LENGTH.unpack(header)
        question = json.loads(source.read(length))
        # The alarm ends this process inside any parser when no parent is left to do it.
        signal.alarm(question["seconds"])
        answer = _answer(question)
        signal.alarm(0)
        _send(target, answer)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    if "modules" in question:
        return {"public_names": public_names({name: Path(path) for name, path in question["modules"].items()})}
    request = ReadRequest(
        path=Path(question["read"]),
        root=Path(question["root"]),
        module=question["module"],
        language=question["language"],
        library=question["library"],
        version=question["version"],
        tokenizer=Path(question["tokenizer"]) if question["tokenizer"] else None,
        public_names=question["public_names"],
        max_bytes=question["max_bytes"],
    )
    try:
        extracted = extract(request)
        return {
            "content": encode(extracted.content).decode("utf-8"),
            "checksum": extracted.checksum,
            "holds_secret": extracted.holds_secret,
        }
    except Unreadable as failure:
        return {"unreadable": failure.reason}
    except RecursionError:
        return {"unreadable": "is nested too deeply to be read"}
    except Exception as error:  # noqa: BLE001 - whatever a parser does to one file must stop no other
        return {"unreadable": f"could not be read: {type(error).__name__} in its parser"}


if __name__ == "__main__":
    _serve()
