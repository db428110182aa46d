"""Libraries that are published and pulled, and single items that are shared and taken back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.agentfs.items import ItemWrite
from core.disclosure.sharing import share, unshare
from core.engine import Duties
from core.errors import AccessDenied, InvalidInput, NotFound
from core.library.sources import Origin
from core.model import Kind, SearchMode
from core.search.query import Query
from core.sync.joining import JoinWay
from core.workspace import Workspace
from tests.remote.s3_server import Bucket, bucket, s3_server
from tests.sync.test_service import opened, read

__all__ = ["bucket", "s3_server"]
PAGE = "# Boiling\n\nThe kettle boils at a hundred degrees.\n\n```python\nkettle.boil()\n```\n"
CANARY = "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("BAILIWICK_USER_ID", "mara")
    made = opened(tmp_path / "laptop", Duties.WORK)
    yield made
    made.close()


def add(workspace: Workspace, folder: Path, text: str = PAGE) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "boiling.md").write_text(text)
    workspace.add_path(str(folder), Origin("python", "kettle", "1.2"))
    assert workspace.wait_until_idle()


def test_a_library_is_published_and_found_elsewhere(
    laptop: Workspace, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
    add(laptop, tmp_path / "kettle")
    laptop.sync.set_remote(bucket.url)
    pushed = laptop.sync.push("kettle")
    assert (pushed.documents, pushed.changed) == (1, True)
    assert not laptop.sync.push("kettle@1.2").changed
    prefix = "libraries/python/kettle/v1.2/"
    client = bucket.server.client()
    answer = client.get_object(Bucket=bucket.name, Key=prefix + "kettle.json")
    assert (answer["ContentType"], answer["ContentEncoding"]) == ("application/json", "gzip")
    assert "immutable" in answer["CacheControl"]
    published = json.loads(gzip.decompress(answer["Body"].read()))
    assert published["documents"][0]["passages"][0]["text"]
    contents = bucket.contents()
    assert gzip.decompress(contents[prefix + "examples/0001-boiling.py"]) == b"kettle.boil()\n"
    index = json.loads(gzip.decompress(contents["libraries/index.json"]))
    assert [each["path"] for each in index["libraries"]] == [prefix]
    assert not any(str(tmp_path).encode() in gzip.decompress(contents[prefix + each]) for each in ("kettle.json",))

    monkeypatch.setenv("BAILIWICK_USER_ID", "otto")
    desk = opened(tmp_path / "desk", Duties.WORK)
    desk.sync.join(bucket.url, JoinWay.MEMBER)
    from core.sync.teams import Teams

    Teams(desk.agentfs).add("harbour", Teams(laptop.agentfs).card(), by=desk.person)
    desk.sync.sync_now("a test")
    assert [(each.library, each.version, each.here) for each in desk.sync.libraries()] == [("kettle", "1.2", False)]
    assert desk.sync.pull("kettle").documents == 1
    assert desk.wait_until_idle()
    assert desk.search(Query("kettle boils", mode=SearchMode.TEXT)).hits
    with pytest.raises(InvalidInput, match="here already"):
        desk.sync.pull("kettle")
    with pytest.raises(NotFound):
        desk.sync.pull("teapot")
    desk.close()


def test_a_secret_is_not_published(laptop: Workspace, tmp_path: Path) -> None:
    (tmp_path / "remote").mkdir()
    add(laptop, tmp_path / "kettle", PAGE + f"\nThe token is {CANARY}.\n")
    laptop.sync.set_remote(str(tmp_path / "remote"))
    with pytest.raises((AccessDenied, InvalidInput), match="boiling"):
        laptop.sync.push("kettle")
    laptop.sync.sync_now("a test")
    for path in (tmp_path / "remote").rglob("*"):
        if path.is_file():
            assert CANARY[:16].encode() not in _whole(path.read_bytes()), path


def test_what_is_unshared_is_gone_from_the_remote(laptop: Workspace, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    remote.mkdir()
    laptop.sync.set_remote(str(remote))
    with laptop.agentfs.database.transaction() as connection:
        laptop.agentfs.items.put(
            connection, ItemWrite("notes/heat", Kind.RESEARCH_FINDING, "mara", b"the kettle whistles in F sharp")
        )
    laptop.sync.sync_now("a test")
    assert b"F sharp" not in _everything(remote)
    share(laptop.agentfs, "notes/heat", "public", by=laptop.person)
    laptop.sync.sync_now("a test")
    assert b"F sharp" in _everything(remote)
    assert (remote / "user-contributions/mara/notes/heat").exists()
    unshare(laptop.agentfs, "notes/heat", by=laptop.person)
    run = laptop.sync.sync_now("a test")
    assert run.problem == ""
    assert b"F sharp" not in _everything(remote)
    assert read(laptop, "notes/heat") == "the kettle whistles in F sharp"


def _whole(data: bytes) -> bytes:
    """Everything that could be read in ``data``: as it is, unzipped, and out of a zstd frame."""
    import zstandard

    found = data
    if data[:2] == b"\x1f\x8b":
        found += gzip.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        found += zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 26)
    return found


def _everything(folder: Path) -> bytes:
    return b"".join(_whole(path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file())
