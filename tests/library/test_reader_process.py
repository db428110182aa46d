"""The child that reads: it answers, and neither its hanging nor its death costs more than one file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from core.library.extract import ReadRequest, extract
from core.library.file_text import Unreadable
from core.library.reader_process import ReaderProcess
from core.library.reexports import public_names

BOUND_SECONDS = 30.0

READ_AND_WAIT = """
import sys
from pathlib import Path
from core.library.extract import ReadRequest
from core.library.reader_process import ReaderProcess
path = Path(sys.argv[1])
reader = ReaderProcess(time_limit=float(sys.argv[2]))
reader.read(ReadRequest(path=path, root=path.parent))
print("read", flush=True)
if sys.argv[3]:
    reader.read(ReadRequest(path=path, root=path.parent, tokenizer=Path(sys.argv[3])))
sys.stdin.read()
"""


def children(pid: int) -> list[psutil.Process]:
    try:
        found = psutil.Process(pid).children()
        return [each for each in found if "core.library.reader_process" in each.cmdline()]
    except psutil.NoSuchProcess:
        return []


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + BOUND_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def reader() -> Iterator[ReaderProcess]:
    made = ReaderProcess()
    yield made
    made.close()


@pytest.fixture
def document(tmp_path: Path) -> ReadRequest:
    path = tmp_path / "tea.md"
    path.write_text("# Tea\n\nNeeds wäter.\n")
    return ReadRequest(path=path, root=tmp_path)


@pytest.fixture
def endless(tmp_path: Path, document: ReadRequest) -> ReadRequest:
    """A read that never ends, on any machine: its tokenizer is a pipe that nobody writes to."""
    pipe = tmp_path / "tokenizer.json"
    os.mkfifo(pipe)
    return ReadRequest(path=document.path, root=tmp_path, tokenizer=pipe)


def test_the_child_reads_what_this_process_would_read(reader: ReaderProcess, tmp_path: Path) -> None:
    texts = {
        "a.md": "# A\n\nText, \x1f and 日本.",
        "b.rst": "B\n=\n\n:ref:`x`",
        "c.html": "<h1>C</h1><p>c",
        "d.py": '"""D."""\n',
        "e.txt": "",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        request = ReadRequest(path=tmp_path / name, root=tmp_path, version="7")
        assert reader.read(request) == extract(request)


def test_symbols_are_surveyed_in_the_child(reader: ReaderProcess, tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("from ._a import X")
    (tmp_path / "_a.py").write_text("class X: ...")
    modules = {"p": tmp_path / "__init__.py", "p._a": tmp_path / "_a.py"}
    assert reader.public_names(modules) == public_names(modules) == {"p._a": {"X": "p.X"}}


def test_what_cannot_be_read_is_told_and_the_child_goes_on(reader: ReaderProcess, document: ReadRequest) -> None:
    folder = document.root
    (folder / "binary.md").write_bytes(b"\x00")
    (folder / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (folder / "deep.html").write_text("<div>" * 20_000 + "deep")
    reader.read(document)
    (before,) = children(os.getpid())
    for name in ("binary.md", "deep.py"):
        with pytest.raises(Unreadable):
            reader.read(ReadRequest(path=folder / name, root=folder))
    reader.read(ReadRequest(path=folder / "deep.html", root=folder))
    assert reader.read(document).content.title == "Tea"
    assert children(os.getpid()) == [before]


def test_an_over_large_file_is_refused_by_the_limit_given(document: ReadRequest) -> None:
    reader = ReaderProcess(max_bytes=10)
    try:
        with pytest.raises(Unreadable, match="is larger than"):
            reader.read(document)
    finally:
        reader.close()


def test_a_read_over_the_time_limit_costs_that_file_alone(document: ReadRequest, endless: ReadRequest) -> None:
    reader = ReaderProcess(time_limit=5)
    try:
        with pytest.raises(Unreadable, match="took longer than 5 s to read"):
            reader.read(endless)
        assert children(os.getpid()) == []
        assert reader.read(document).content.title == "Tea"
    finally:
        reader.close()


def test_a_limit_no_file_can_keep_is_told(tmp_path: Path) -> None:
    path = tmp_path / "big.rst"
    path.write_text("*word* ``code`` `link <x>`_\n" * 20_000)
    reader = ReaderProcess(time_limit=0.01)
    with pytest.raises(Unreadable, match=r"took longer than 0\.01 s"):
        reader.read(ReadRequest(path=path, root=tmp_path))
    reader.close()
    assert children(os.getpid()) == []


def test_a_child_killed_between_two_files_costs_nothing(reader: ReaderProcess, document: ReadRequest) -> None:
    reader.read(document)
    (child,) = children(os.getpid())
    child.kill()
    assert eventually(lambda: is_gone(child))
    assert reader.read(document).content.title == "Tea"


def test_a_child_that_crashes_costs_the_file_it_was_reading(
    reader: ReaderProcess, document: ReadRequest, endless: ReadRequest
) -> None:
    reader.read(document)
    (child,) = children(os.getpid())
    reasons: list[str] = []

    def read() -> None:
        try:
            reader.read(endless)
        except Unreadable as failure:
            reasons.append(failure.reason)

    thread = threading.Thread(target=read)
    thread.start()
    child.kill()
    thread.join(BOUND_SECONDS)
    # Killed before the request was sent, the child is replaced, and then the endless read is what has to be ended.
    if thread.is_alive():
        assert eventually(lambda: bool(children(os.getpid())))
        for each in children(os.getpid()):
            each.kill()
        thread.join(BOUND_SECONDS)
    assert reasons == ["could not be read: its parser crashed"]
    assert reader.read(document).content.title == "Tea"


def test_closing_ends_the_child_and_every_later_read(reader: ReaderProcess, document: ReadRequest) -> None:
    reader.read(document)
    (child,) = children(os.getpid())
    reader.close()
    reader.close()
    assert eventually(lambda: is_gone(child))
    with pytest.raises(Unreadable, match="closing"):
        reader.read(document)
    assert reader.public_names({}) == {}
    assert children(os.getpid()) == []


def test_closing_ends_a_read_under_way(document: ReadRequest, endless: ReadRequest) -> None:
    reader = ReaderProcess(time_limit=600)
    reader.read(document)
    failed = threading.Event()

    def read() -> None:
        try:
            reader.read(endless)
        except Unreadable:
            failed.set()

    thread = threading.Thread(target=read)
    thread.start()
    reader.close()
    assert failed.wait(BOUND_SECONDS)
    thread.join(BOUND_SECONDS)
    assert children(os.getpid()) == []


def test_many_threads_share_one_child(reader: ReaderProcess, tmp_path: Path) -> None:
    titles: dict[int, str] = {}

    def read(number: int) -> None:
        path = tmp_path / f"{number}.md"
        path.write_text(f"# Title {number}\n\ntext")
        titles[number] = reader.read(ReadRequest(path=path, root=tmp_path)).content.title

    threads = [threading.Thread(target=read, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(BOUND_SECONDS)
    assert titles == {number: f"Title {number}" for number in range(8)}
    assert len(children(os.getpid())) == 1


@pytest.mark.parametrize("is_reading", [False, True])
def test_nothing_of_the_child_outlives_a_killed_parent(
    document: ReadRequest, endless: ReadRequest, is_reading: bool
) -> None:
    tokenizer = str(endless.tokenizer) if is_reading else ""
    with subprocess.Popen(
        [sys.executable, "-c", READ_AND_WAIT, str(document.path), "3", tokenizer],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"read\n"
        (child,) = children(parent.pid)
        os.kill(parent.pid, signal.SIGKILL)
    assert eventually(lambda: is_gone(child))
