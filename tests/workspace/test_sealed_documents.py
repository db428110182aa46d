"""Sealed documents: found like all others while the keys are unlocked, and nowhere in the plain files of the index."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from engines import idle, opened, until

from core.agent_model import Actor, ActorKind
from core.config import Settings, load_settings, user_config_folder, with_flag
from core.crypto.secret import Secret
from core.crypto.unlocking import Way
from core.diagnosis import Verdict, examine
from core.engine import Duties
from core.model import Answer, Filters, SearchMode
from core.search.query import Query
from core.workspace import Workspace
from tests.agentfs.canaries import new_canary

LOCKED = "1 private document is locked and was left out. Unlock it with `bailiwick keys unlock`."
CANARY = "zanzibarquokka"
"""In every text that is to lie nowhere in plain; no word of any other text here."""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key files of each test lie in a folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BAILIWICK_HOME", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Three documents, of which a private pattern catches one."""
    documents = tmp_path / "docs"
    (documents / "personal_notes").mkdir(parents=True)
    (documents / "kettle.md").write_text("# Kettle\n\nThe kettle boils water in two minutes.\n")
    (documents / "lamp.md").write_text("# Lamp\n\nThe lamp shines for ten hours on one charge.\n")
    (documents / "personal_notes" / "diary.md").write_text(
        f"# Diary of the {CANARY}\n\nOn Monday the {CANARY} repaired the bicycle with two new wheels.\n"
    )
    return documents


def with_model(root: Path) -> Settings:
    return with_flag(load_settings(root), "model.allow_download", False)


def found(workspace: Workspace, text: str, mode: SearchMode = SearchMode.TEXT) -> list[str]:
    return [hit.document_title for hit in ask(workspace, text, mode).hits]


def ask(workspace: Workspace, text: str, mode: SearchMode = SearchMode.TEXT) -> Answer:
    return workspace.search(Query(text, mode=mode), wait_for_model=mode is not SearchMode.TEXT)


def unlock(workspace: Workspace) -> None:
    workspace.unlock_keys(Way.UNASKED, Secret(""))


def traces(root: Path, *wanted: bytes) -> list[str]:
    """The files of the index that hold one of ``wanted``."""
    found = set()
    for file in [*root.glob("documents*"), *root.glob("vectors*"), *root.glob("words*/*")]:
        # An engine that runs may just be replacing it.
        with suppress(FileNotFoundError):
            if file.is_file() and any(each in file.read_bytes() for each in wanted):
                found.add(file.name)
    return sorted(found)


def text_hash(title: str, text: str) -> bytes:
    return hashlib.sha256(f"{title}\n{text}".encode()).hexdigest().encode()


def test_what_is_sealed_is_found_with_the_rest_and_lies_nowhere_in_plain(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    with opened(root, settings=with_model(root)) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        answer = ask(workspace, "repairing a bike", SearchMode.HYBRID)
        assert answer.hits[0].title == f"Diary of the {CANARY}"
        assert (answer.path, answer.candidates, answer.notes) == ("exact", 3, ())
        assert found(workspace, "a cyclist mends a tyre", SearchMode.VECTOR)[0].startswith("Diary")
        counts = workspace.counts()
        assert (counts.documents, counts.passages, counts.pending) == (3, 3, 0)
        passage = answer.hits[0]
        plain = (CANARY.encode(), b"diary.md", text_hash(passage.title, passage.text))
        assert (root / "documents-sealed.duckdb.wal").exists()
        assert traces(root, *plain) == []
    assert traces(root, *plain) == []


def test_locking_leaves_it_out_and_unlocking_brings_it_back(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = tmp_path / "w"
    with opened(root) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        assert found(workspace, CANARY) != []
        for _ in range(2):
            workspace.lock_keys()
            answer = ask(workspace, f"{CANARY} kettle")
            assert [hit.title for hit in answer.hits] == ["Kettle"]
            assert answer.notes[-1] == LOCKED
            assert workspace.counts().documents == 2
            assert {each.check: each.verdict for each in examine(workspace)}["sealed index"] is Verdict.ADVICE
            unlock(workspace)
            until(lambda: found(workspace, CANARY) != [], "the unlocked document")
            assert ask(workspace, CANARY).notes == ()
            assert workspace.counts().documents == 3
            assert all(each.verdict is not Verdict.DAMAGED for each in examine(workspace))
    away = tmp_path / "away"
    shutil.move(user_config_folder() / "keys", away)
    with opened(root) as workspace:
        idle(workspace)
        assert found(workspace, "kettle") == ["Kettle"]
        assert ask(workspace, CANARY).notes == (LOCKED,)
        shutil.move(away, user_config_folder() / "keys")
        unlock(workspace)
        until(lambda: found(workspace, CANARY) != [], "the unlocked document")
    assert CANARY not in caplog.text


def test_an_agent_gets_the_same_answer_with_and_without_private_documents(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    (folder / "kettle.md").write_text("# Kettle\n\nThe kettle boils water: a bicycle of the kitchen.\n")
    # Python's only document is private, and it answers the queries best.
    (folder / "personal_notes" / "wheel.py").write_text(f'"""The {CANARY} bicycle has two new kettle wheels."""\n')
    asked = [
        Query(text, filters, SearchMode.TEXT)
        for text in (CANARY, f"{CANARY} bicycle kettle", "lamp on the bicycle")
        for filters in (Filters(), Filters(library="bikes"), Filters(language="python"))
    ]
    with opened(root) as workspace:
        agents = workspace.agentfs.agents
        scout = agents.register("scout", "research", owner=workspace.person.id, by=workspace.person).agent
        by = Actor(ActorKind.AGENT, scout.id, "test", True)
        workspace.add_path(str(folder))

        def answers() -> list[Answer]:
            idle(workspace)
            told = [workspace.search(each, by=by) for each in asked]
            return [replace(each, milliseconds=0) for each in told]

        before = answers()
        assert {hit.document_title for each in before for hit in each.hits} == {"Kettle", "Lamp"}
        assert all(each.candidates == len(each.hits) and each.notes == () for each in before)
        workspace.lock_keys()
        assert answers() == before
        unlock(workspace)
        shutil.rmtree(folder / "personal_notes")
        workspace.add_path(str(folder))
        assert answers() == before


def test_what_becomes_sealed_leaves_the_plain_files_without_a_trace(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    lamp = folder / "lamp.md"
    text = f"The {CANARY} lamp shines for ten hours."
    lamp.write_text(f"# Lamp\n\n{text}\n\n## Charge\n\nIt takes an hour.\n")
    plain = (
        CANARY.encode(),
        text_hash("Lamp", text),
        b"It takes an hour.",
        text_hash("Lamp › Charge", "It takes an hour."),
    )
    (folder / "personal_notes" / "diary.md").unlink()
    with opened(root, settings=with_model(root)) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        assert "documents.duckdb" in traces(root, *plain) or (root / "documents.duckdb.wal").exists()
    assert {"documents.duckdb", "vectors.db"} <= set(traces(root, *plain))
    lamp.write_text(lamp.read_text() + f"\n## Access\n\nThe token is {new_canary()}.\n")
    with opened(root, settings=with_model(root)) as workspace:
        idle(workspace)
        assert set(found(workspace, CANARY)) == {"Lamp"}
        assert found(workspace, "boiling", SearchMode.HYBRID)[0] == "Kettle"
    with opened(root, settings=with_model(root)) as workspace:
        until(lambda: traces(root, *plain) == [], "the plain files to be written anew")
        idle(workspace)
        assert set(found(workspace, CANARY)) == {"Lamp"}
        answer = ask(workspace, "how to boil water", SearchMode.HYBRID)
        assert (answer.hits[0].title, answer.notes) == ("Kettle", ())
        assert workspace.counts().pending == 0
        lamp.write_text("# Lamp\n\nNothing to hide.\n")
        until(lambda: found(workspace, "hide") != [], "the document that is plain again")
        idle(workspace)
        assert found(workspace, CANARY) == []
        workspace.lock_keys()
        assert found(workspace, "hide") == ["Lamp"]
    assert traces(root, *plain) == []


def test_new_keys_start_the_sealed_file_anew(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    with opened(root) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        before = (root / "documents-sealed.duckdb").read_bytes()[:4096]
        workspace.agentfs.keys.keys.rotate()
        (folder / "personal_notes" / "second.md").write_text(f"# Second\n\nAnother {CANARY}.\n")
        until(lambda: len(found(workspace, CANARY)) == 2, "both documents under the new key")
        assert (root / "documents-sealed.duckdb").read_bytes()[:4096] != before
    (root / "documents-sealed.duckdb").write_bytes(b"rubbish" * 9999)
    with opened(root) as workspace:
        idle(workspace)
        assert len(found(workspace, CANARY)) == 2
        assert workspace.rebuilt() == ""
    assert sorted(file.name for file in root.glob("documents*")) == ["documents-sealed.duckdb", "documents.duckdb"]


def test_locking_during_searches_ends_none_of_them_badly(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    with opened(root) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        failures: list[BaseException] = []
        answers: list[Answer] = []
        done = threading.Event()

        def search() -> None:
            try:
                while not done.is_set():
                    answers.append(ask(workspace, f"{CANARY} kettle"))
            except BaseException as error:  # noqa: BLE001 - told by the test's own thread
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(2):
            workspace.lock_keys()
            workspace.counts()
            unlock(workspace)
            until(lambda: workspace.counts().documents == 3, "the sealed document")
        done.set()
        for thread in threads:
            thread.join(30)
        assert failures == []
        assert all("Kettle" in [hit.title for hit in answer.hits] for answer in answers)
        assert {len(answer.hits) for answer in answers} == {1, 2}


def test_without_sealed_documents_nothing_encrypted_is_made(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "w"
    shutil.rmtree(folder / "personal_notes")
    with opened(root, duties=Duties.WORK) as workspace:
        workspace.add_path(str(folder))
        idle(workspace)
        assert ask(workspace, "kettle").notes == ()
        workspace.agentfs.keys.found()
        workspace.lock_keys()
        assert ask(workspace, "kettle").notes == ()
        assert "sealed index" not in {each.check for each in examine(workspace)}
    assert not (root / "documents-sealed.duckdb").exists()
