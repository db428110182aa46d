"""One engine and its viewers: the same answers, the same events, and one successor when the engine ends."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path

import pytest
from engines import Nursery, idle, open_engine, opened, successor, until

from core.engine import Duties
from core.errors import EngineGone, EngineHeld, InvalidInput, ModelUnavailable, Unreachable
from core.events import EngineChanged, Event, ItemsChanged, LibrariesChanged, Progress, SourcesChanged, Stage
from core.model import Filters, Kind, SearchMode
from core.search.query import Query
from core.workspace import Workspace


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    documents = tmp_path / "docs"
    documents.mkdir()
    for number in range(30):
        (documents / f"d{number}.md").write_text(f"# Number {number}\n\nunique{number} words about kettles.\n")
    return documents


@pytest.fixture(scope="module")
def nursery() -> Nursery:
    return Nursery()


def found(workspace: Workspace, word: str) -> list[str]:
    return [hit.title for hit in workspace.search(Query(word, mode=SearchMode.TEXT)).hits]


def test_a_viewer_answers_as_the_engine_does(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w", "the first") as engine, opened(tmp_path / "w", "the second") as viewer:
        assert (engine.is_engine, viewer.is_engine) == (True, False)
        assert (engine.engine_elsewhere, viewer.engine_elsewhere.split(" (")[0]) == ("", "the first")
        viewer.add_path(str(folder))
        until(lambda: viewer.agentfs.items.count(Kind.DOCUMENT) == 30, "the queued work")
        idle(viewer)
        for query in (
            Query("unique7", limit=3),
            Query("kettles", Filters(library="docs", where=(("format", "markdown"),)), SearchMode.TEXT),
            Query("kettles", Filters(library="nothing of the kind")),
        ):
            ours, theirs = engine.search(query), viewer.search(query)
            assert theirs.hits == ours.hits
            assert (theirs.path, theirs.candidates, theirs.notes) == (ours.path, ours.candidates, ours.notes)
        assert viewer.counts() == engine.counts()
        assert viewer.model_state() == engine.model_state()
        assert "no-model" in viewer.model_state()
        assert viewer.rebuilt() == ""
        with pytest.raises(ModelUnavailable, match="no-model"):
            viewer.search(Query("kettles", mode=SearchMode.VECTOR), wait_for_model=True)


def test_every_viewer_hears_the_work_and_can_stop_it(tmp_path: Path, folder: Path) -> None:
    for number in range(800):
        (folder / f"more{number}.md").write_text(f"# More {number}\n\nplenty{number} of words.\n")
    heard: list[Event] = []
    with opened(tmp_path / "w") as engine, opened(tmp_path / "w") as viewer:
        viewer.bus.subscribe(heard.append)
        engine.add_path(str(folder))
        until(lambda: any(isinstance(each, Progress) and each.done > 0 for each in heard), "the progress")
        viewer.cancel_work()
        until(
            lambda: any(isinstance(e, Progress) and e.stage is Stage.READING and e.cancelled for e in heard), "the stop"
        )
        assert 0 < engine.agentfs.items.count(Kind.DOCUMENT) < 830
        viewer.resume_work()
        until(lambda: engine.agentfs.items.count(Kind.DOCUMENT) == 830, "the rest")
        idle(viewer)
        until(lambda: {LibrariesChanged, ItemsChanged, SourcesChanged} <= {type(each) for each in heard}, "the changes")


def test_a_viewer_that_comes_later_learns_what_runs(tmp_path: Path) -> None:
    heard: list[Event] = []
    running = Progress(Stage.EMBEDDING, "passages", 5, 10, 1.0)
    with opened(tmp_path / "w") as engine:
        engine.bus.publish(Progress(Stage.READING, "done", 1, 1, 1.0, finished=True))
        engine.bus.publish(running)
        with opened(tmp_path / "w") as viewer:
            viewer.bus.subscribe(heard.append)
            # Where the viewer had what ran before this test could listen, it hears of the next step.
            engine.bus.publish(Progress(Stage.EMBEDDING, "passages", 6, 10, 1.0))
            until(lambda: any(isinstance(each, Progress) and each.done in (5, 6) for each in heard), "the work")
            assert not any(isinstance(each, Progress) and each.label == "done" for each in heard)


def test_changes_of_another_process_are_heard_by_engine_and_viewer(tmp_path: Path, folder: Path) -> None:
    heard: dict[str, list[Event]] = {"engine": [], "viewer": []}
    with opened(tmp_path / "w") as engine, opened(tmp_path / "w") as viewer:
        engine.bus.subscribe(heard["engine"].append)
        viewer.bus.subscribe(heard["viewer"].append)
        with opened(tmp_path / "w", duties=None) as third:
            third.add_path(str(folder))
        for events in heard.values():
            until(lambda events=events: any(isinstance(each, SourcesChanged) for each in events), "the source")
            until(lambda events=events: any(isinstance(each, ItemsChanged) for each in events), "the items")


def test_opened_documents_are_counted_from_everywhere(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w") as engine:
        engine.add_path(str(folder))
        idle(engine)
        hit = engine.search(Query("unique3", mode=SearchMode.TEXT)).hits[0]
        with opened(tmp_path / "w", duties=None) as viewer:
            viewer.document(hit.id)
            viewer.document(hit.id, counted=False)
    with opened(tmp_path / "w", duties=None) as later:
        assert later.agentfs.items.usage([hit.document_id])[hit.document_id].access_count == 1
        later.document(hit.id)


def test_one_of_two_viewers_succeeds_a_killed_engine(tmp_path: Path, folder: Path, nursery: Nursery) -> None:
    heard: dict[str, list[Event]] = {"one": [], "two": []}
    process = nursery.start(tmp_path / "w", "the killed", folder)
    assert successor([process]) is process
    with opened(tmp_path / "w", "one") as one, opened(tmp_path / "w", "two") as two:
        viewers = {"one": one, "two": two}
        for name, viewer in viewers.items():
            assert viewer.engine_elsewhere == f"the killed (process {process.pid})"
            viewer.bus.subscribe(heard[name].append)
        process.kill()
        until(lambda: one.is_engine or two.is_engine, "a successor")
        winner, loser = ("one", "two") if one.is_engine else ("two", "one")
        idle(viewers[loser])
        assert (viewers[winner].is_engine, viewers[loser].is_engine) == (True, False)
        until(lambda: any(isinstance(each, EngineChanged) for each in heard[loser]), "the news")
        assert [each.ours for each in heard[winner] if isinstance(each, EngineChanged)] == [True]
        news = next(each for each in heard[loser] if isinstance(each, EngineChanged))
        assert (news.ours, news.holder.split(" (")[0]) == (False, winner)
        assert viewers[loser].engine_elsewhere == news.holder
        assert viewers[winner].engine_elsewhere == ""
        for viewer in viewers.values():
            assert found(viewer, "unique29") == ["Number 29"]
            assert viewer.counts().documents == 30


def test_calls_in_the_gap_wait_for_the_successor(tmp_path: Path, folder: Path, nursery: Nursery) -> None:
    process = nursery.start(tmp_path / "w", "the killed", folder)
    assert successor([process]) is process
    with opened(tmp_path / "w") as heir, opened(tmp_path / "w", duties=None) as viewer:
        idle(viewer)
        process.kill()
        assert found(viewer, "unique11") == ["Number 11"]
        assert heir.is_engine


def test_work_shown_as_running_ends_with_its_engine(tmp_path: Path, nursery: Nursery) -> None:
    heard: list[Event] = []
    engine = open_engine(tmp_path / "w", "the first")
    with opened(tmp_path / "w") as viewer:
        viewer.bus.subscribe(heard.append)
        engine.bus.publish(Progress(Stage.EMBEDDING, "passages", 5, 10, 1.0))
        until(lambda: any(isinstance(each, Progress) for each in heard), "the work")
        engine.close()
        until(lambda: viewer.is_engine, "the succession")
        assert [each.finished for each in heard if isinstance(each, Progress)][-1]


def test_a_command_never_succeeds_and_says_that_no_engine_runs(tmp_path: Path) -> None:
    engine = open_engine(tmp_path / "w")
    with opened(tmp_path / "w", "a command", Duties.SEARCH) as command:
        assert command.counts().documents == 0
        engine.close()
        with pytest.raises(EngineGone, match="No engine runs") as raised:
            command.counts()
        assert raised.value.exit_code == 3
        assert not command.is_engine


def test_an_engine_without_a_door_is_named(tmp_path: Path) -> None:
    with opened(tmp_path / "w", duties=None) as deaf:
        deaf.agentfs.engine_lock.acquire("the deaf")
        with opened(tmp_path / "w", duties=None) as viewer, pytest.raises(Unreachable, match="the deaf"):
            viewer.counts()


def test_who_must_be_the_engine_is_refused_beside_another(tmp_path: Path) -> None:
    with opened(tmp_path / "w", "the first") as engine:
        with pytest.raises(EngineHeld, match="the first"):
            Workspace(engine.root, engine.config, role="another", duties=Duties.ALL)
        assert engine.is_engine
        assert engine.engine_holder() is not None


def test_bad_queries_fail_alike_on_both_sides(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w"), opened(tmp_path / "w") as viewer:
        with pytest.raises(InvalidInput, match="empty"):
            viewer.search(Query("  "))
        assert viewer.search(Query("x")).notes == ("Nothing has been added yet.",)


def test_queued_work_is_done_when_an_engine_starts(tmp_path: Path, folder: Path) -> None:
    with opened(tmp_path / "w", duties=None) as viewer:
        viewer.add_path(str(folder))
        assert viewer.agentfs.items.count(Kind.DOCUMENT) == 0
    with opened(tmp_path / "w") as engine:
        idle(engine)
        assert engine.counts().documents == 30


def test_the_token_is_for_this_user_and_goes_with_the_engine(tmp_path: Path) -> None:
    with opened(tmp_path / "w") as engine:
        path = tmp_path / "w" / "engine.json"
        written = json.loads(path.read_text())
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert len(written["token"]) > 40
        holder = engine.engine_holder()
        assert holder is not None
        assert holder.token == written["token"]
        assert written["token"] not in f"{holder} {holder!r} {holder.name}"
    assert not path.exists()


def test_closing_a_viewer_and_its_engine_leaves_no_thread(tmp_path: Path, folder: Path) -> None:
    before = {thread.ident for thread in threading.enumerate()}
    with opened(tmp_path / "w") as engine, opened(tmp_path / "w") as viewer:
        engine.add_path(str(folder))
        idle(viewer)
    until(lambda: {thread.ident for thread in threading.enumerate()} <= before, "the threads to end")
