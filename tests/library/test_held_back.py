"""What cannot be sealed or judged now waits, is told, and keeps nothing else from being read."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ingestion import BOUND_SECONDS, Engine

from core.config import user_config_folder
from core.events import Notice
from core.library.sources import READ_SOURCE, UNSEALABLE, Origin, add_path
from tests.agentfs.canaries import new_canary

PLAIN = {f"user-contributions/ann/docs/{name}" for name in ("a.md", "c.py", "guide/b.rst")}
SECRET = "user-contributions/ann/docs/secret.md"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key files of each test lie in a folder of its own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("BAILIWICK_HOME", raising=False)


@pytest.fixture
def secret(docs: Path) -> Path:
    """A file that has to be sealed, among others that need not."""
    file = docs / "secret.md"
    file.write_text(f"# Deploying\n\nUse {new_canary()} for it.\n")
    return file


def until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BOUND_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def keys_are_a_file(engine: Engine) -> str:
    keys = user_config_folder() / "keys"
    keys.parent.mkdir(parents=True)
    keys.write_text("")
    return f"{keys} cannot be written"


def slots_are_lost(engine: Engine) -> str:
    keys = engine.agentfs.keys
    keys.prepare()
    keys.rotate()
    keys.keys.lock()
    shutil.move(engine.agentfs.root / "keys" / "slots", engine.agentfs.root.parent / "away")
    return "The key slots of this workspace are lost"


@pytest.mark.parametrize("cause", [keys_are_a_file, slots_are_lost])
def test_what_cannot_be_sealed_stops_nothing_and_is_read_once_it_can(
    engine: Engine, docs: Path, secret: Path, cause: Callable[[Engine], str]
) -> None:
    sentence = cause(engine)
    source = engine.add(docs)
    assert set(engine.items()) == PLAIN
    assert engine.problems()["secret.md"].startswith(f"{UNSEALABLE}{sentence}")
    assert engine.published() == ["secret.md"]
    assert engine.agentfs.queue.last_error(READ_SOURCE, {"source": source.id}) == ""
    if (keys := user_config_folder() / "keys").is_file():
        keys.unlink()
    else:
        shutil.move(engine.agentfs.root.parent / "away", engine.agentfs.root / "keys" / "slots")
    engine.ingester.wake()
    until(lambda: SECRET in engine.items())
    assert engine.items()[SECRET].sealed
    assert engine.problems() == {}


def test_keys_inside_the_workspace_stop_no_plain_document(
    tmp_path: Path, docs: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "workspace" / "config"))
    engine = Engine(tmp_path / "workspace")
    engine.ingester.start()
    engine.add(docs)
    assert set(engine.items()) == PLAIN
    assert "would travel with what it opens" in engine.problems()["secret.md"]
    engine.close()


def test_while_the_boundaries_cannot_be_read_everything_waits(tmp_path: Path, docs: Path) -> None:
    rules = tmp_path / "workspace" / "privacy_config.yml"
    rules.parent.mkdir()
    rules.write_text("privacy:\n  bounds: 1\n")
    engine = Engine(tmp_path / "workspace")
    source = add_path(engine.agentfs, str(docs), Origin(), cwd=tmp_path)
    engine.ingester.start()
    engine.ingester.saved(source.id, docs / "a.md")
    assert not engine.ingester.idle
    rules.write_text("privacy:\n  boundaries:\n    custom_private_patterns: ['c.py']\n")
    engine.ingester.wake()
    engine.settle()
    assert set(engine.items()) == PLAIN
    assert engine.items()["user-contributions/ann/docs/c.py"].sealed
    engine.close()


def test_whatever_goes_wrong_with_one_source_the_next_is_read(
    tmp_path: Path, docs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Engine(tmp_path / "workspace")
    broken = [ValueError("a descriptor too large"), ZeroDivisionError(), OSError(5, "Input/output error")]

    def tokenizer() -> None:
        if broken:
            raise broken.pop()

    engine.ingester = engine.new_ingester(tokenizer)
    engine.ingester.start()
    for error in ("OSError", "ZeroDivisionError"):
        source = engine.add(docs)
        assert error in engine.agentfs.queue.last_error(READ_SOURCE, {"source": source.id})
        assert [each.message for each in engine.events if isinstance(each, Notice)][-1].startswith("docs could not be")
    assert engine.items() == {}
    # A save is not lost with what went wrong: its source is read again.
    engine.save(source, docs / "a.md")
    assert set(engine.items()) == PLAIN
    assert engine.agentfs.queue.last_error(READ_SOURCE, {"source": source.id}) == ""
    assert "a descriptor too large" in caplog.text
    engine.close()
