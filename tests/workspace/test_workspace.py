"""The whole path: add, read, index, embed, search; saved files; restarts, kills, lost indexes, no model."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.config import Settings, load_settings, with_flag
from core.engine import Duties
from core.errors import InvalidInput, ModelUnavailable, NotFound
from core.events import Event, ModelStateChanged, Notice, ProblemFound, Progress, Stage
from core.model import Answer, Filters, Kind, SearchMode
from core.search.query import Query
from core.workspace import Workspace

PATIENCE_SECONDS = 60.0


def settings_for(root: Path) -> Settings:
    return with_flag(load_settings(root), "model.allow_download", False)


@contextmanager
def opened(root: Path, duties: Duties | None = Duties.ALL, settings: Settings | None = None) -> Iterator[Workspace]:
    workspace = Workspace(root, settings or settings_for(root), role="the test", duties=duties)
    try:
        yield workspace
    finally:
        workspace.close()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        threading.Event().wait(0.02)


def idle(workspace: Workspace) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    assert workspace.wait_until_idle(lambda: time.monotonic() > deadline)


def ask(workspace: Workspace, text: str, mode: SearchMode = SearchMode.HYBRID, **filters: str) -> Answer:
    return workspace.search(Query(text, Filters(**filters), mode, 10), wait_for_model=True)


def titles(answer: Answer) -> list[str]:
    return [hit.title for hit in answer.hits]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = tmp_path / "docs"
    documents.mkdir()
    (documents / "kettle.md").write_text("# Kettle\n\nThe kettle boils water in two minutes.\n")
    (documents / "lamp.md").write_text("# Lamp\n\nThe lamp shines for ten hours on one charge.\n")
    (documents / "bike.rst").write_text("Bicycle\n=======\n\nIt has two wheels and a bell.\n")
    return documents


def test_documents_are_found_by_meaning_and_by_words(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w") as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        assert titles(ask(workspace, "how long until the tea is hot", SearchMode.VECTOR))[0] == "Kettle"
        answer = ask(workspace, "bell")
        assert titles(answer)[0] == "Bicycle"
        assert (answer.path, answer.candidates) == ("exact", 3)
        assert answer.notes == ()
        assert titles(ask(workspace, "wheels", SearchMode.TEXT)) == ["Bicycle"]
        assert workspace.counts().pending == 0


def test_a_saved_file_is_found_and_a_deleted_one_is_not(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w") as workspace:
        workspace.add_path(str(folder))
        idle(workspace)

        def found(word: str) -> bool:
            return bool(ask(workspace, word, SearchMode.TEXT).hits)

        ready = folder / "ready.md"
        ready.write_text("# Ready\n\nwatching\n")
        until(lambda: found("watching"), "the watcher")
        (folder / "kettle.md").write_text("# Kettle\n\nNow it whistles zanily.\n")
        until(lambda: found("zanily"), "the changed file")
        assert not found("boils")
        (folder / "new").mkdir()
        (folder / "new" / "deep.md").write_text("# Deep\n\nquixotic\n")
        until(lambda: found("quixotic"), "the file in a new folder")
        ready.unlink()
        until(lambda: not found("watching"), "the file to go")
        (folder / "lamp.md").rename(folder / "torch.md")
        until(
            lambda: (
                [hit.source for hit in ask(workspace, "shines", SearchMode.TEXT).hits] == [str(folder / "torch.md")]
            ),
            "the renamed file",
        )
        idle(workspace)
        assert workspace.counts().pending == 0


def test_removing_a_source_takes_its_documents_and_its_watch(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w") as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        assert workspace.remove(str(folder)).documents == 3
        idle(workspace)
        assert ask(workspace, "kettle").hits == ()
        assert workspace.libraries() == []
        with pytest.raises(NotFound):
            workspace.remove(str(folder))


def test_reading_twice_changes_nothing(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w", Duties.WORK) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        before = workspace.agentfs.items.position()
        workspace.add_path(str(folder))
        idle(workspace)
        assert workspace.agentfs.items.position() == before


def test_unreadable_files_are_told_one_by_one_and_stop_nothing(tmp_path: Path, folder: Path) -> None:
    (folder / "binary.md").write_bytes(b"\0\1\2" * 100)
    (folder / "latin.txt").write_bytes("caf\xe9".encode("latin-1"))
    (folder / "loop").symlink_to(folder)
    heard: list[Event] = []
    with opened(tmp_path / "w", Duties.WORK) as workspace:
        workspace.bus.subscribe(heard.append)
        workspace.add_path(str(folder))
        idle(workspace)
        assert len(ask(workspace, "two").hits) >= 1
        problems = {Path(problem.path).name for problem in workspace.problems()}
    assert problems == {"binary.md", "latin.txt", "loop"}
    assert {Path(each.problem.path).name for each in heard if isinstance(each, ProblemFound)} == problems


def test_flags_win_over_what_is_read(tmp_path: Path, folder: Path) -> None:
    from core.library.sources import Origin

    with opened(tmp_path / "w", Duties.WORK) as workspace:
        workspace.add_path(str(folder), Origin("rust", "tokio", "1.2"))
        idle(workspace)
        hit = ask(workspace, "kettle", language="Rust", library="tokio", version="1.2").hits[0]
        assert (hit.language, hit.library, hit.version) == ("rust", "tokio", "1.2")
        assert ask(workspace, "kettle", library="other").notes == ("Nothing of library other is here. Known: tokio.",)


def test_the_workspace_itself_is_never_read(tmp_path: Path) -> None:
    with opened(tmp_path / "w", Duties.WORK) as workspace, pytest.raises(InvalidInput, match="own workspace"):
        workspace.add_path(str(tmp_path / "w"))


def test_a_viewer_queues_and_the_engine_does(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w") as engine:
        with opened(tmp_path / "w", None) as viewer:
            holder = viewer.engine_holder()
            assert holder is not None
            assert holder.role == "the test"
            viewer.add_path(str(folder))
        until(lambda: engine.agentfs.items.count(Kind.DOCUMENT) == 3, "the queued work")
        idle(engine)
        assert ask(engine, "kettle").hits


def test_progress_has_a_beginning_and_an_end(tmp_path: Path, folder: Path) -> None:
    heard: list[Event] = []
    with opened(tmp_path / "w", Duties.WORK) as workspace:
        workspace.bus.subscribe(heard.append)
        workspace.add_path(str(folder))
        idle(workspace)
        until(
            lambda: any(isinstance(e, Progress) and e.stage is Stage.EMBEDDING and e.finished for e in heard), "the end"
        )
    reading = [event for event in heard if isinstance(event, Progress) and event.stage is Stage.READING]
    assert not reading[0].finished
    assert (reading[-1].done, reading[-1].total, reading[-1].finished) == (3, 3, True)


def test_cancelled_work_stops_and_is_continued_to_the_end(tmp_path: Path) -> None:
    documents = tmp_path / "docs"
    documents.mkdir()
    for number in range(400):
        (documents / f"d{number}.md").write_text(f"# Number {number}\n\nunique{number} words about kettles.\n")
    with opened(tmp_path / "w", Duties.WORK) as workspace:
        workspace.add_path(str(documents))
        until(lambda: workspace.counts().passages > 0, "the first passages")
        workspace.cancel_work()
        idle(workspace)
        stopped = workspace.counts()
        assert 0 < stopped.passages < 400
        assert stopped.pending > 0
        answer = ask(workspace, "kettles")
        assert answer.hits
        assert any("no vector yet" in note for note in answer.notes)
        workspace.resume_work()
        idle(workspace)
        assert (workspace.counts().passages, workspace.counts().pending) == (400, 0)


def test_a_lost_index_is_rebuilt_and_embeds_nothing_twice(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    with opened(root, Duties.WORK) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
    for path in (*root.glob("documents.duckdb*"), *root.glob("words/*")):
        path.unlink()
    heard: list[Event] = []
    # With a model that cannot embed anything, vectors can only come from where they were kept.
    with opened(root, Duties.WORK) as workspace:
        workspace.bus.subscribe(heard.append)
        idle(workspace)
        assert workspace.counts().pending == 0
        assert titles(ask(workspace, "how long until the tea is hot", SearchMode.VECTOR))[0] == "Kettle"
    (root / "documents.duckdb").write_bytes(b"garbage" * 1000)
    with opened(root, Duties.WORK) as workspace:
        idle(workspace)
        assert workspace.rebuilt()
        assert titles(ask(workspace, "bell"))[0] == "Bicycle"


def test_without_a_model_words_answer_and_vectors_follow_later(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    heard: list[Event] = []
    without = with_flag(settings_for(root), "model.path", str(tmp_path / "no-model"))
    with opened(root, Duties.WORK, without) as workspace:
        workspace.bus.subscribe(heard.append)
        workspace.add_path(str(folder))
        idle(workspace)
        answer = ask(workspace, "kettle")
        assert titles(answer)[0] == "Kettle"
        assert answer.path == "text"
        assert "words only" in answer.notes[0]
        assert "no-model" in answer.notes[0]
        with pytest.raises(ModelUnavailable):
            ask(workspace, "kettle", SearchMode.VECTOR)
    assert [event.ready for event in heard if isinstance(event, ModelStateChanged)][:1] == [False]
    with opened(root, Duties.WORK) as workspace:
        idle(workspace)
        assert workspace.counts().pending == 0
        assert ask(workspace, "kettle").path == "exact"


ENGINE = """
import sys
from pathlib import Path
from core.config import load_settings
from core.engine import Duties
from core.workspace import Workspace
root = Path(sys.argv[1])
workspace = Workspace(root, load_settings(root), role="the killed", duties=Duties.ALL)
workspace.add_path(sys.argv[2])
print("added", flush=True)
workspace.wait_until_idle()
print("idle", flush=True)
sys.stdin.read()
"""


def test_an_engine_killed_at_any_moment_is_taken_over_and_ends_complete(tmp_path: Path) -> None:
    documents = tmp_path / "docs"
    documents.mkdir()
    for number in range(60):
        (documents / f"d{number}.md").write_text(f"# Number {number}\n\nunique{number} words about kettles.\n")
    root = tmp_path / "w"
    generator = random.Random(11)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", ENGINE, str(root), str(documents)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "added\n"
        threading.Event().wait(generator.random() * 1.2)
        process.kill()
        process.wait()
    with opened(root) as workspace:
        idle(workspace)
        assert workspace.agentfs.items.count(Kind.DOCUMENT) == 60
        counts = workspace.counts()
        assert (counts.documents, counts.passages, counts.pending) == (60, 60, 0)
        for number in range(60):
            assert titles(ask(workspace, f"unique{number}", SearchMode.TEXT)) == [f"Number {number}"]
        assert workspace.agentfs.contents.damaged() == []


def test_opened_documents_are_counted(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    with opened(root, Duties.WORK) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        hit = ask(workspace, "kettle").hits[0]
        for _ in range(3):
            workspace.document(hit.id)
        workspace.document(hit.id, counted=False)
    with opened(root, None) as workspace:
        assert workspace.agentfs.items.usage([hit.document_id])[hit.document_id].access_count == 3


def test_the_limits_of_the_hardware_are_obeyed(tmp_path: Path, folder: Path) -> None:
    before = set(threading.enumerate())
    with opened(tmp_path / "w", Duties.WORK) as workspace:
        limits = workspace.hardware.limits
        workspace.add_path(str(folder))
        idle(workspace)
        jobs = [workspace.pool.submit(ask, workspace, "kettle") for _ in range(4 * limits.worker_threads)]
        assert all(job.result(PATIENCE_SECONDS).hits for job in jobs)
        ours = [thread.name for thread in set(threading.enumerate()) - before]
        assert 1 <= sum(name.startswith("worker-") for name in ours) <= limits.worker_threads


def test_closing_leaves_no_thread_and_no_child(tmp_path: Path, folder: Path) -> None:
    import psutil

    before = {thread.ident for thread in threading.enumerate()}
    children = {child.pid for child in psutil.Process().children()}
    with opened(tmp_path / "w") as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
    until(lambda: {child.pid for child in psutil.Process().children()} <= children, "the reader to end")
    until(lambda: {thread.ident for thread in threading.enumerate()} <= before, "the threads to end")


def test_an_announced_notice_is_one_sentence(tmp_path: Path) -> None:
    assert Notice("x").severity == "information"
