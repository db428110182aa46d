"""Libraries and single items in a remote from the shell: published, listed, pulled, pinned, shared and taken back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shells import Machine, machines, remote

__all__ = ["machines", "remote"]
PAGE = "# Boiling\n\nThe kettle boils at a hundred degrees.\n"
CANARY = "gh" + "p_4tWq8Zr1Xn6Vb3Lm9Ks2Hd7Jc5Fy0Pg1QaUe"


def as_mara(machine: Machine) -> Machine:
    """The machine, from now on used by mara."""
    machine.patch.setenv("BAILIWICK_USER_ID", "mara")
    return machine


def as_ada(machine: Machine) -> Machine:
    """The machine, from now on used by ada."""
    machine.patch.setenv("BAILIWICK_USER_ID", "ada")
    return machine


@pytest.fixture
def pair(
    machines: tuple[Machine, Machine], remote: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Machine, Machine]:
    """The first has a remote and a library kettle; the second is mara's, who knows ada's card."""
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    first, second = machines
    first.json("remote", "set", remote)
    card = first.json("teams", "card")["card"]
    as_mara(second).json("remote", "join", remote, "--member")
    second.json("teams", "add", "harbour", card)
    as_ada(first)
    pages = tmp_path / "kettle"
    pages.mkdir()
    (pages / "boiling.md").write_text(PAGE)
    first.told("add", str(pages), "--library", "kettle", "--version", "1.2", "--language", "python")
    return first, second


def test_a_library_is_published_listed_pulled_and_pinned(pair: tuple[Machine, Machine], remote: str) -> None:
    first, second = pair
    assert "no library" in first.refused("push", "teapot")["error"]
    pushed = first.json("push", "kettle")
    assert (pushed["library"], pushed["version"], pushed["documents"], pushed["changed"]) == ("kettle", "1.2", 1, True)
    assert first.json("push", "kettle@1.2")["changed"] is False
    assert (Path(remote) / pushed["path"] / "kettle.json").exists()
    as_mara(second).json("sync")
    (listed,) = second.json("libraries", "--remote")["libraries"]
    assert (listed["library"], listed["published_by"], listed["here"]) == ("kettle", "ada", False)
    assert "bailiwick pull kettle@1.2" in second.told("libraries", "--remote")
    pulled = second.json("pull", "kettle")
    assert (pulled["library"], pulled["documents"]) == ("kettle", 1)
    assert "holds no library" in second.refused("pull", "teapot")["error"]
    assert [hit["library"] for hit in second.json("search", "kettle boils", "--mode", "text")["hits"]] == ["kettle"]

    pinned = second.json("cache", "pin", "kettle@1.2")
    assert pinned["objects"] == pinned["paths"] > 0
    shown = second.json("cache", "show")
    assert len(shown["pinned"]) == pinned["objects"]
    assert second.json("cache", "clear")["pinned"] == pinned["objects"]
    second.json("cache", "unpin", "kettle")
    assert second.json("cache", "show")["pinned"] == []
    assert second.json("cache", "clear")["forgotten"] == pinned["objects"]
    assert "not known to hold" in second.refused("cache", "pin", "teapot")["error"]
    assert "reads were answered" in second.told("cache", "show")


def test_what_is_unshared_is_gone_from_the_remote_or_the_command_says_that_it_is_not(
    pair: tuple[Machine, Machine], remote: str
) -> None:
    first, _ = pair
    first.json("sync")

    def published() -> list[str]:
        readable = (Path(remote) / "user-contributions").rglob("*")
        return [path.name for path in readable if path.is_file()]

    item = "planner/plan/today"
    assert first.json("share", item, "--with", "public")["remote_waits"] == ""
    assert published()
    assert first.json("unshare", item)["remote_waits"] == ""
    assert not published()
    first.json("share", item, "--with", "public")
    away = Path(remote).rename(f"{remote}-away")
    code, out, _ = first("unshare", item, "--json")
    assert (code, "is not there" in json.loads(out)["remote_waits"]) == (3, True)
    away.rename(remote)
    assert published()
    first.json("sync")
    assert not published()


def test_a_library_with_a_secret_is_not_published(pair: tuple[Machine, Machine], remote: str, tmp_path: Path) -> None:
    first, _ = pair
    (tmp_path / "kettle" / "keys.md").write_text(f"# Keys\n\nThe token is {CANARY}.\n")
    first.told("add", str(tmp_path / "kettle"), "--library", "kettle", "--version", "1.2", "--language", "python")
    refused = first.refused("push", "kettle")
    assert "keys" in refused["error"]
    assert CANARY not in json.dumps(refused)
    assert not (Path(remote) / "libraries").exists()
