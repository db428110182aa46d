"""What cannot be read is told one by one, in a sentence, and everything else is read."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.library.extract import ReadRequest, extract
from core.library.file_text import LARGEST_FILE, read_text
from core.library.folder import FoundFile, Unreadable, is_readable_path, walk
from core.library.listing import list_files
from core.model import Problem, Source, SourceKind


def found(root: Path) -> dict[str, str]:
    """For each path below ``root`` that the walk tells of: empty text for a file, the reason for a problem."""
    result: dict[str, str] = {}
    for each in walk(root):
        path = str(each.path)
        assert path not in result
        result[path] = each.reason if isinstance(each, Problem) else ""
    return {os.path.relpath(path, root): reason for path, reason in result.items()}


def reason_of(path: Path, max_bytes: int = LARGEST_FILE) -> str:
    with pytest.raises(Unreadable) as by_text:
        read_text(path, max_bytes)
    with pytest.raises(Unreadable) as by_reader:
        extract(ReadRequest(path=path, root=path.parent, max_bytes=max_bytes))
    assert by_text.value.reason == by_reader.value.reason
    assert "\n" not in by_text.value.reason
    return by_text.value.reason


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is binary, not text"),
        (bytes(range(1, 32)) * 40, "is binary, not text"),
        (b"text " * 5000 + b"\x00 at the end", "is binary, not text"),
        ("one\ntwo\ncaf\xe9 noir".encode("latin-1"), "is not valid UTF-8 (byte 0xe9 at line 3)"),
        (b"\xff\xfea", "is not valid UTF-16 (byte 0x61 at line 1)"),
    ],
)
def test_what_is_not_text_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    path = tmp_path / "file.md"
    path.write_bytes(data)
    assert reason_of(path) == reason


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_tells_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "file.txt"
    path.write_bytes("naïve\r\nçedille\r".encode(encoding))
    assert read_text(path) == "naïve\nçedille\n"
    assert extract(ReadRequest(path=path, root=tmp_path)).content.passages[0].text == "naïve\nçedille"


@pytest.mark.parametrize(
    ("name", "text", "encoding"),
    [
        ("page.html", '<meta charset="iso-8859-1"><p>café</p>', "latin-1"),
        ("page.html", '<meta charset="shift_jis"><p>日本</p>', "shift_jis"),
        ("module.py", '# coding: latin-1\n"""café"""\n', "latin-1"),
    ],
)
def test_a_declared_encoding_is_obeyed(tmp_path: Path, name: str, text: str, encoding: str) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    assert read_text(path) == text


@pytest.mark.parametrize(
    ("name", "text"), [("page.html", '<meta charset="klingon">'), ("module.py", "# coding: klingon\nx = 1\n")]
)
def test_an_unknown_encoding_is_told(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert "not known" in reason_of(path)
    assert "klingon" in reason_of(path)


def test_an_over_large_file_is_refused_at_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_bytes(b"word " * 400_000)
    assert reason_of(path, 1_000_000) == "is larger than 0.954 MiB (1.9 MiB)"
    assert len(read_text(path, 2_000_000)) == 2_000_000
    sparse = tmp_path / "sparse.md"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    assert reason_of(sparse).startswith("is larger than 4 MiB")


def test_a_pipe_and_a_socket_never_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    (tmp_path / "linked.md").symlink_to("pipe.md")
    (tmp_path / "good.md").write_text("Good.")
    with socket.socket(socket.AF_UNIX) as listener:
        here = os.open(".", os.O_RDONLY)
        try:
            os.chdir(tmp_path)
            listener.bind("socket.md")
        finally:
            os.fchdir(here)
            os.close(here)
        reason = "is not a regular file"
        assert found(tmp_path) == {"good.md": "", "linked.md": reason, "pipe.md": reason, "socket.md": reason}
        assert [reason_of(tmp_path / name) for name in ("pipe.md", "linked.md", "socket.md")] == [reason] * 3
    assert [each.reason for each in walk(tmp_path / "pipe.md") if isinstance(each, Problem)] == [reason]


def test_links_that_lead_nowhere_around_or_out_are_told_one_by_one(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "other.md").write_text("Other.")
    root = tmp_path / "root"
    (root / "inner").mkdir(parents=True)
    (root / "inner" / "good.md").write_text("Good.")
    (root / "inner" / "up").symlink_to(root)
    (root / "dangling.md").symlink_to("nothing.md")
    (root / "loop.md").symlink_to("loop.md")
    (root / "out.md").symlink_to(outside / "other.md")
    (root / "outfolder").symlink_to(outside)
    (root / "again.md").symlink_to("inner/good.md")
    (root / "twin").symlink_to("inner")
    problems = found(root)
    assert problems.pop(os.path.join("inner", "good.md")) == ""
    assert problems.pop("dangling.md") == "is a link that leads nowhere"
    assert problems.pop("loop.md").startswith("is a link that cannot be followed")
    assert problems.pop("out.md") == f"is a link that leads out of the folder, to {outside / 'other.md'}"
    assert problems.pop("outfolder") == f"is a link that leads out of the folder, to {outside}"
    assert problems.pop("inner/up").startswith("is a link that leads back to the folder it lies in")
    assert problems == {}
    assert reason_of(root / "dangling.md") == "is a link that leads nowhere"


def test_a_link_to_a_file_that_is_not_documentation_makes_it_readable(tmp_path: Path) -> None:
    (tmp_path / "notes.data").write_text("Notes.")
    (tmp_path / "notes.md").symlink_to("notes.data")
    assert found(tmp_path) == {"notes.md": ""}


def test_a_folder_called_like_a_file_is_walked(tmp_path: Path) -> None:
    (tmp_path / "x.md").mkdir()
    (tmp_path / "x.md" / "y.md").write_text("Y.")
    assert found(tmp_path) == {"x.md/y.md": ""}
    assert reason_of(tmp_path / "x.md") == "is a folder, not a file"


def test_a_file_that_vanished_is_told(tmp_path: Path) -> None:
    path = tmp_path / "gone.md"
    path.write_text("Soon gone.")
    (entry,) = walk(tmp_path)
    assert isinstance(entry, FoundFile)
    path.unlink()
    assert reason_of(entry.path) == "is no longer there"
    assert [each.reason for each in walk(path) if isinstance(each, Problem)] == [
        "cannot be read: no such file or directory"
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_may_not_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    (tmp_path / "mine.md").write_text("Mine.")
    (tmp_path / "mine.md").chmod(0)
    assert found(tmp_path) == {"mine.md": "", "closed": "cannot be read: permission denied"}
    assert reason_of(tmp_path / "mine.md") == "may not be read by you"
    (tmp_path / "closed").chmod(0o700)


def test_a_name_that_is_not_text_is_told(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.md")
    try:
        (tmp_path / name).write_text("Text.")
    except OSError:
        pytest.skip("this file system refuses such names")
    (tmp_path / "good.md").write_text("Good.")
    source = Source("s", SourceKind.PATH, "docs", str(tmp_path), "", "", "", datetime.now(UTC))
    listed = list(list_files(source, [source], lambda modules: {}))
    assert [each for each in listed if isinstance(each, Problem)] == [
        Problem(str(tmp_path / "caf?.md"), "has a name that is not valid text")
    ]
    assert len(listed) == 2


def test_what_builds_and_tools_leave_behind_is_passed_over(tmp_path: Path) -> None:
    kept = ["README", "a.md", "build/__init__.py", "docs/b.rst", "docs/c.HTML"]
    skipped = [
        ".git/x.md", ".hidden.md", "node_modules/x.md", "dist/x.md", "env/lib/x.py", "x.egg-info/y.txt", "cache/x.md",
        "docs/image.svg", "__pycache__/x.py",
    ]  # fmt: skip
    for name in [*kept, *skipped]:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (tmp_path / "env" / "pyvenv.cfg").write_text("")
    (tmp_path / "cache" / "CACHEDIR.TAG").write_text("")
    assert sorted(found(tmp_path)) == sorted(kept)
    for name in kept:
        assert is_readable_path(tmp_path / name, tmp_path)
    for name in skipped:
        assert not is_readable_path(tmp_path / name, tmp_path)


def test_a_single_file_of_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "image.png"
    path.write_bytes(b"")
    (problem,) = walk(path)
    assert isinstance(problem, Problem)
    assert problem.reason.startswith("is not of a kind that can be read (.htm, .html, .markdown, .md")


def test_bad_files_of_a_folder_leave_the_good_ones_readable(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_bytes(b"\x00\x01")
    (tmp_path / "b.md").write_bytes(b"\xe9")
    (tmp_path / "c.py").write_text("def (")
    (tmp_path / "d.md").write_text("Good.")
    reasons: dict[str, str] = {}
    for entry in walk(tmp_path):
        assert isinstance(entry, FoundFile)
        try:
            reasons[entry.relative] = extract(ReadRequest(path=entry.path, root=tmp_path)).content.passages[0].text
        except Unreadable as failure:
            reasons[entry.relative] = failure.reason
    assert reasons == {
        "a.md": "is binary, not text",
        "b.md": "is not valid UTF-8 (byte 0xe9 at line 1)",
        "c.py": reasons["c.py"],
        "d.md": "Good.",
    }
    assert reasons["c.py"].startswith("is not valid Python")
