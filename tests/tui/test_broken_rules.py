"""Without boundaries that can be read nothing is added and nothing searched."""

from __future__ import annotations

from pathlib import Path

import pytest
from commanding import Shell, shell_on

BROKEN = "privacy:\n  boundaries:\n    private_patterns: 3\n"


@pytest.fixture
def shell(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("BAILIWICK_MODEL_ALLOW_DOWNLOAD", "false")
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "no-model"))
    return shell_on(tmp_path / "workspace", capfd, monkeypatch)


def test_nothing_is_added_or_searched_under_broken_boundaries(shell: Shell, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text("# Kettle\n\nThe kettle boils.\n")
    rules = shell.root / "privacy_config.yml"
    shell.root.mkdir()
    rules.write_text(BROKEN)
    assert f"{rules}, line 3: " in shell.refused("add", str(note))["error"]
    assert [each.name for each in shell.root.iterdir()] == [rules.name]
    rules.unlink()
    shell.told("add", str(note))
    other = tmp_path / "other.md"
    other.write_text("# Lamp\n\nThe lamp shines.\n")
    rules.write_text(BROKEN)
    for command in (("add", str(other)), ("add", "--package", "click"), ("search", "kettle")):
        assert f"{rules}, line 3: " in shell.refused(*command)["error"]
    rules.unlink()
    assert [each["title"] for each in shell.json("search", "kettle", "--mode", "text")["hits"]] == ["Kettle"]
    assert shell.json("search", "lamp", "--mode", "text")["hits"] == []
    assert [each["library"] for each in shell.json("libraries")["libraries"]] == ["note"]


def test_adding_a_source_that_cannot_be_read_at_all_is_no_success(shell: Shell, tmp_path: Path) -> None:
    note = tmp_path / "note.md"
    note.write_text(f"# Kettle\n\n{'The kettle boils. ' * 20_000}\n")
    shell.root.mkdir()
    (shell.root / "files").write_text("")
    code, _, err = shell("add", str(note))
    assert code == 2
    assert "note.md could not be read" in err
