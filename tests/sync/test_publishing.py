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
from core.errors import AccessDenied, InvalidInput, NotFound, SealBroken
from core.library.published_format import (
    LibraryName,
    PublishedDocument,
    read_documents,
    read_metadata,
    read_vectors,
    write_library,
)
from core.library.sources import Origin
from core.model import DocumentContent, Kind, Passage, SearchMode
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


def test_the_format_is_read_as_it_was_written() -> None:
    import numpy as np

    name = LibraryName("python", "kettle", "1.2")
    passages = (Passage("Boil", ("Kettle", "Boil"), "```py\nboil()\n```", 3), Passage("Pour", (), "slowly", 9))
    documents = [PublishedDocument("a/b.md", DocumentContent("B", *_parts(name), "a/b.md", passages, {"path": "b"}))]
    rows = np.eye(2, 384, dtype="<f2").tobytes()
    files = write_library(
        name, documents, vectors=rows, model="mini-384-abc", published_at="2026-11-25", published_by="mara"
    )
    metadata = read_metadata(files["metadata.json"])
    assert read_documents(files["kettle.json"], metadata) == documents
    assert read_vectors(files["vectors.f16"], metadata) == np.eye(2, 384).tolist()
    assert read_vectors(np.full((2, 384), np.nan, "<f2").tobytes(), metadata) is None
    jsonschema = pytest.importorskip("jsonschema")
    import core.library as room

    for file, schema in (("kettle.json", "published_library"), ("metadata.json", "published_metadata")):
        rules = json.loads((Path(room.__file__).parent / f"{schema}.schema.json").read_text())
        jsonschema.validate(json.loads(files[file]), rules)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../out": {"size": 1, "sha256": "0" * 64}}},
        {"language": "../.."},
        {"library": "a/b"},
        {"documents": -1},
        {"passages": "many"},
        {"files": {}},
        {"format": "other"},
    ],
)
def test_malformed_metadata_is_refused(change: dict[str, object]) -> None:
    name = LibraryName("python", "kettle", "1.2")
    files = write_library(name, [], vectors=b"", model="", published_at="2026", published_by="mara")
    held = json.loads(files["metadata.json"]) | change
    with pytest.raises((InvalidInput, SealBroken)):
        read_metadata(json.dumps(held).encode())


def _parts(name: LibraryName) -> tuple[str, str, str]:
    return name.language, name.library, name.version


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
