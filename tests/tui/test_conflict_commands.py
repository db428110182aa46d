"""``bailiwick conflicts`` on a workspace in which two sides differ: seen, ruled on in each way, taken back, refused."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from commanding import Shell, shell_on

from core.agent_model import Actor, ActorKind
from core.agentfs.agentfs import AgentFS
from core.agentfs.items import ItemWrite
from core.conflicts.records import ConflictStore, Side
from core.model import JSONValue, Kind, Sensitivity

PERSON = Actor(ActorKind.PERSON, "ada", "cli")
PLAN = (
    {"owner": "ada", "step": 1, "tags": ["heat"], "note": "the lamp burns oil"},
    {"owner": "scout", "step": 2, "tags": ["heat"], "note": "the lamp burns gas"},
    {"owner": "critic", "step": 3, "tags": ["heat", "night"], "note": "the old lamp burns oil"},
)
TEXT = ("# Gate\n\nIt opens at six.\n\nRing twice.\n", "# Gate\n\nIt opens at five.\n\nRing twice.\n",
        "# Gate\n\nIt opens at seven.\n\nRing thrice.\n")  # fmt: skip


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A workspace with one agent, in which nothing is in conflict."""
    made = shell_on(tmp_path / "w", capsys, monkeypatch)
    made.told("agents", "register", "scout", "--type", "research")
    return made


def opened(agentfs: AgentFS, path: str, kind: Kind, versions: tuple[bytes, bytes, bytes]) -> str:
    """Open a conflict as sync does; the remote version stands at the object."""
    sides = [Side(name, content, who="ada") for name, content in zip("blr", versions, strict=True)]
    with agentfs.database.transaction() as connection:
        record = ConflictStore(agentfs).open_within(
            connection,
            path,
            kind.value,
            *sides,
            owner="ada",
            found=Sensitivity.NONE,
            by=Actor(ActorKind.ENGINE, agentfs.device, "sync"),
        )
    agentfs.close()
    return record.id


def differ(shell: Shell, key: str = "plan", values: tuple[JSONValue, JSONValue, JSONValue] = PLAN) -> str:
    """A conflict about a state of scout's."""
    agentfs = AgentFS(shell.root)
    base, local, remote = values
    for value in (base, local, remote):
        agentfs.states.put("scout", key, value, by=PERSON, kind=Kind.STATE)
    path = f"agents/{agentfs.agents.get('scout').id}/state/{key}"
    written = [json.dumps(value, sort_keys=True, separators=(",", ":")).encode() for value in (base, local, remote)]
    return opened(agentfs, path, Kind.STATE, (written[0], written[1], written[2]))


def differ_in_text(shell: Shell) -> str:
    """A conflict about a text."""
    agentfs = AgentFS(shell.root)
    base, local, remote = (text.encode() for text in TEXT)
    with agentfs.database.transaction() as connection:
        agentfs.items.put(connection, ItemWrite("notes/gate", Kind.DECISION, "ada", remote))
    return opened(agentfs, "notes/gate", Kind.DECISION, (base, local, remote))


def plan(shell: Shell) -> JSONValue:
    value: JSONValue = shell.json("state", "get", "scout", "plan")["value"]
    return value


def test_open_conflicts_are_listed_chosen_among_and_exit_1(shell: Shell) -> None:
    assert shell.told("conflicts", "list") == ["Nothing is in conflict."]
    conflict, text = differ(shell), differ_in_text(shell)
    code, out, _ = shell("conflicts", "list")
    assert code == 1
    assert conflict in out
    assert "agents/scout/state/plan" in out
    code, out, _ = shell("conflicts", "list", "--json")
    assert code == 1
    first, second = sorted(json.loads(out)["conflicts"], key=lambda each: each["id"] != conflict)
    assert (first["id"], first["status"], first["places"], first["open"]) == (conflict, "open", 4, 3)
    assert (second["id"], second["kind"], second["path"], second["open"]) == (text, "decision", "notes/gate", 1)
    for arguments, expected in (
        (["--kind", "decision"], [text]),
        (["--path", "scout/*"], [conflict]),
        (["--path", "agents/scout/*"], [conflict]),
        (["--path", "other*"], []),
    ):
        code, out, _ = shell("conflicts", "list", *arguments, "--json")
        assert (code, [each["id"] for each in json.loads(out)["conflicts"]]) == (int(bool(expected)), expected)


def test_each_place_is_shown_with_what_each_side_changed(shell: Shell) -> None:
    conflict, text = differ(shell), differ_in_text(shell)
    shown = shell.json("conflicts", "show", conflict)
    assert {name: json.loads(side["content"]) for name, side in shown["versions"].items()} == dict(
        zip(("base", "local", "remote"), PLAN, strict=True)
    )
    places = {each["path"]: each for each in shown["places"]}
    assert {path: each["open"] for path, each in places.items()} == {
        "owner": True,
        "step": True,
        "tags[1:1]": False,
        "note": True,
    }
    step = places["step"]
    assert (step["base"], step["local"], step["remote"], step["choice"]) == (1, 2, 3, "unresolved")
    assert sorted(shown["open"]) == sorted(each["number"] for each in places.values() if each["open"])
    told = "\n".join(shell.told("conflicts", "show", "scout/plan"))
    assert '"the lamp burns [-oil-]{+gas+}"' in told
    assert '"the {+old +}lamp burns oil"' in told
    told = "\n".join(shell.told("conflicts", "show", text[:6]))
    assert "It opens at [-six-]{+five+}." in told
    assert "It opens at [-six-]{+seven+}." in told
    assert "Ring thrice." in told
    assert "# Gate\n" not in told


def test_a_side_is_taken_where_it_is_open_and_the_ruling_is_taken_back(shell: Shell) -> None:
    conflict = differ(shell)
    done = shell.json("conflicts", "resolve", conflict, "--take", "local", "--why", "scout measured it")
    assert (done["applied"], done["outcome"]["by"], done["outcome"]["why"]) == (True, "person", "scout measured it")
    assert plan(shell) == {**PLAN[1], "tags": ["heat", "night"]}
    assert shell.told("conflicts", "list") == ["Nothing is in conflict."]
    (listed,) = shell.json("conflicts", "list", "--all")["conflicts"]
    assert (listed["status"], listed["outcome"]["who"]) == ("resolved", "ada")
    assert "scout measured it" in "\n".join(shell.told("conflicts", "show", conflict))
    assert "settled" in shell.refused("conflicts", "resolve", conflict, "--take", "remote")["error"]
    shell.told("conflicts", "undo", conflict)
    assert plan(shell) == PLAN[2]
    assert shell("conflicts", "list")[0] == 1
    assert shell.told("conflicts", "resolve", "scout/plan", "--take", "remote")
    assert plan(shell) == PLAN[2]
    assert "open again" in shell.told("conflicts", "reopen", conflict)[0]
    assert plan(shell) == PLAN[2]
    assert shell("conflicts", "list")[0] == 1


def test_a_reason_is_kept_without_the_secrets_in_it(shell: Shell) -> None:
    secret = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"
    shell.told("conflicts", "resolve", differ(shell), "--take", "local", "--why", f"the token {secret} is old")
    (listed,) = shell.json("conflicts", "list", "--all")["conflicts"]
    assert listed["outcome"]["why"].startswith("the token ")
    assert secret not in listed["outcome"]["why"]


def test_place_by_place_a_draft_is_kept_and_the_last_step_applies_it(shell: Shell) -> None:
    conflict = differ(shell)
    step = shell.json("conflicts", "resolve", conflict, "--path", "step", "--take", "local")
    assert (step["applied"], {each["path"] for each in step["open"]}) == (False, {"owner", "note"})
    assert plan(shell) == PLAN[2]
    told = shell.told("conflicts", "resolve", conflict, "--path", "owner", "--take", "base")
    assert "1 place still open" in told[0]
    shown = shell.json("conflicts", "show", conflict)
    assert (shown["draft"], len(shown["open"])) == ("kept", 1)
    (number,) = shown["open"]
    looked = shell.json("conflicts", "resolve", conflict, "--path", str(number), "--take", "remote", "--dry-run")
    assert json.loads(looked["result"])["note"] == "the old lamp burns oil"
    assert plan(shell) == PLAN[2]
    done = shell.json("conflicts", "resolve", conflict, "--path", str(number), "--take", "remote")
    assert done["applied"]
    assert plan(shell) == {"owner": "ada", "step": 2, "tags": ["heat", "night"], "note": "the old lamp burns oil"}


def test_a_result_or_one_place_of_it_comes_from_a_file(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflict, text = differ(shell), differ_in_text(shell)
    file = tmp_path / "given"
    file.write_text('{"step": 9')
    assert "line 1" in shell.refused("conflicts", "resolve", conflict, "--file", str(file))["error"].lower()
    assert plan(shell) == PLAN[2]
    file.write_text('"the lamp is electric"')
    step = shell.json("conflicts", "resolve", conflict, "--path", "note", "--file", str(file))
    assert {each["path"] for each in step["open"]} == {"owner", "step"}
    shell.told("conflicts", "resolve", conflict, "--take", "remote")
    assert plan(shell) == {**PLAN[2], "note": "the lamp is electric"}
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"# Gate\n\nIt is shut.\n"), isatty=bool))
    shell.told("conflicts", "resolve", text, "--file", "-")
    assert shell.told("conflicts", "list") == ["Nothing is in conflict."]
    agentfs = AgentFS(shell.root)
    item = agentfs.items.at_path("notes/gate")
    assert item is not None
    assert agentfs.items.content(item) == b"# Gate\n\nIt is shut.\n"
    agentfs.close()


def test_what_moved_underneath_is_not_ruled_over(shell: Shell) -> None:
    conflict = differ(shell)
    seen = shell.json("conflicts", "show", conflict)["expect"]
    shell.json("conflicts", "resolve", conflict, "--path", "step", "--take", "local")
    shell.told("state", "put", "scout", "plan", json.dumps({**PLAN[2], "step": 4}))
    refused = shell.refused("conflicts", "resolve", conflict, "--take", "remote", "--expect", seen)
    assert "not those that were expected" in refused["error"]
    shown = shell.json("conflicts", "show", conflict)
    assert (shown["draft"], [each["path"] for each in shown["places"] if each["number"] in shown["reopened"]]) == (
        "stale",
        ["step"],
    )
    code, _, err = shell("conflicts", "resolve", conflict, "--path", "owner", "--take", "local")
    assert (code, "changed at step" in err) == (0, True)
    shell.told("conflicts", "resolve", conflict, "--take", "remote", "--expect", shown["expect"])
    assert plan(shell) == {**PLAN[2], "owner": "scout", "step": 4}


def test_what_moves_while_it_is_ruled_on_is_said_and_nothing_is_written(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflict = differ(shell)
    shell.json("conflicts", "resolve", conflict, "--path", "step", "--take", "local")
    shell.json("conflicts", "resolve", conflict, "--path", "owner", "--take", "local")
    later = {**PLAN[2], "step": 4}

    class Typed(io.BytesIO):
        """Who types the last place is slow: meanwhile the state is written."""

        def read(self, size: int | None = -1, /) -> bytes:
            agentfs = AgentFS(shell.root)
            agentfs.states.put("scout", "plan", later, by=PERSON)
            agentfs.close()
            return super().read(size)

    typed = Typed(b'"the lamp is electric"')
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=typed, isatty=bool))
    code, out, err = shell("conflicts", "resolve", conflict, "--path", "note", "--file", "-")
    assert (code, out) == (2, "")
    assert "changed meanwhile at step" in err
    assert plan(shell) == later
    shown = shell.json("conflicts", "show", conflict)
    assert [each["path"] for each in shown["places"] if each["open"]] == ["step"]
    shell.told("conflicts", "resolve", conflict, "--take", "remote")
    assert plan(shell) == {**later, "owner": "scout", "note": "the lamp is electric"}


def test_many_are_ruled_at_once_after_a_look(shell: Shell) -> None:
    first, text = differ(shell), differ_in_text(shell)
    other = differ(shell, "other", (1, 2, 3))
    looked = shell.json("conflicts", "resolve", "--all", "--take", "local", "--dry-run")["previews"]
    assert {each["id"] for each in looked} == {first, text, other}
    assert "Without a terminal" in shell.refused("conflicts", "resolve", first, other, "--take", "local")["error"]
    done = shell.json("conflicts", "resolve", "--all", "--matching", "scout/*", "--take", "local", "--yes")
    assert {each["id"] for each in done["resolved"]} == {first, other}
    assert shell.json("state", "get", "scout", "other")["value"] == 2
    assert shell("conflicts", "list")[0] == 1
    code, out, _ = shell("conflicts", "resolve", "--all", "--take", "merged", "--yes", "--json")
    assert (code, [each["id"] for each in json.loads(out)["refused"]]) == (2, [text])
    shell.told("conflicts", "undo", other)
    assert shell.json("state", "get", "scout", "other")["value"] == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "none"], "There is no conflict none"),
        (["resolve", "scout/plan"], "what to take"),
        (["resolve", "--take", "local"], "Name a conflict"),
        (["resolve", "scout/plan", "--take", "local", "--file", "x"], "what to take"),
        (["resolve", "scout/plan", "--take", "ours"], "ours"),
        (["resolve", "scout/plan", "--take", "local", "--path", "nowhere"], "Nothing differs at nowhere"),
        (["resolve", "scout/plan", "--take", "local", "--path", "9"], "There is no place 9"),
        (["resolve", "scout/plan", "--take", "both", "--path", "step"], "one side can be taken"),
        (["resolve", "scout/plan", "--take", "merged"], "open"),
        (["resolve", "scout/plan", "--take", "merged", "--path", "step"], "whole"),
        (["resolve", "scout/plan", "--file", "/nowhere/at/all"], "cannot be read"),
        (["resolve", "scout/plan", "--take", "local", "--kind", "state"], "choose among all"),
        (["resolve", "--all", "--take", "local", "--path", "step", "--yes"], "same side"),
        (["undo", "scout/plan"], "nothing was ruled"),
        (["resolve", "scout/plan", "--take", "local", "--as", "scout"], "not an agent's"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence_and_changes_nothing(
    shell: Shell, arguments: list[str], says: str
) -> None:
    conflict = differ(shell)
    assert says in shell.refused("conflicts", *arguments)["error"]
    shown = shell.json("conflicts", "show", conflict)
    assert (shown["status"], shown["draft"], len(shown["open"])) == ("open", "none", 3)
    assert plan(shell) == PLAN[2]
