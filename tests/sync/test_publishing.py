"""Libraries and single items from one workspace to another, over S3, as any S3 client and browser sees them."""

from __future__ import annotations

import gzip
import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.agentfs.items import ItemWrite
from core.disclosure.sharing import share, unshare
from core.engine import Duties
from core.errors import AccessDenied, BailiwickError, InvalidInput, NotFound
from core.index.model_files import ModelFiles
from core.library.sources import Origin
from core.model import MODEL_LOADING, Kind, SearchMode
from core.remote.folder import FolderStore
from core.search.query import Query
from core.sync.joining import JoinWay
from core.sync.teams import Teams
from core.workspace import Workspace
from tests.agentfs.canaries import files_with, hand_in, new_canary
from tests.remote.s3_server import Bucket, bucket, s3_server
from tests.sync.publishers import PREFIX, Publisher, contents, holding
from tests.sync.test_service import opened, read

__all__ = ["bucket", "s3_server"]
PAGE = "# Boiling\n\nThe kettle boils at a hundred degrees.\n\n```python\nkettle.boil()\n```\n"


@pytest.fixture
def laptop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("BAILIWICK_USER_ID", "mara")
    with closing(opened(tmp_path / "laptop", Duties.WORK)) as made:
        yield made


@pytest.fixture
def url(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in bucket.environ.items():
        monkeypatch.setenv(name, value)
    return bucket.url


def add(workspace: Workspace, folder: Path, text: str = PAGE) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "boiling.md").write_text(text)
    workspace.add_path(str(folder), Origin("python", "kettle", "1.2"))
    assert workspace.wait_until_idle()


def put(workspace: Workspace, path: str, text: str) -> None:
    with workspace.agentfs.database.transaction() as connection:
        workspace.agentfs.items.put(connection, ItemWrite(path, Kind.RESEARCH_FINDING, "mara", text.encode()))


def join(root: Path, url: str, friend: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Otto's workspace on the same remote, who knows ``friend``."""
    monkeypatch.setenv("BAILIWICK_USER_ID", "otto")
    desk = opened(root, Duties.WORK)
    desk.sync.join(url, JoinWay.MEMBER)
    Teams(desk.agentfs).add("harbour", Teams(friend.agentfs).card(), by=desk.person)
    return desk


def test_a_library_is_published_and_read_with_any_client(
    laptop: Workspace, bucket: Bucket, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(laptop, tmp_path / "kettle")
    laptop.sync.set_remote(url)
    pushed = laptop.sync.push("kettle")
    assert (pushed.documents, pushed.changed) == (1, True)
    assert not laptop.sync.push("kettle@1.2").changed

    client, for_ever = bucket.server.client(), "public, max-age=31536000, immutable"
    for file, kind, caching in (
        (PREFIX + "kettle.json", "application/json", for_ever),
        (PREFIX + "examples/0001-boiling.py", "text/plain; charset=utf-8", for_ever),
        (PREFIX + "metadata.json", "application/json", "public, max-age=60, must-revalidate"),
        ("libraries/index.json", "application/json", "public, max-age=60, must-revalidate"),
    ):
        answer = client.get_object(Bucket=bucket.name, Key=file)
        told = (answer["ContentType"], answer["ContentEncoding"], answer["CacheControl"])
        assert told == (kind, "gzip", caching)
        body = gzip.decompress(answer["Body"].read())
        address = client.generate_presigned_url("get_object", {"Bucket": bucket.name, "Key": file})
        with urllib.request.urlopen(address) as plain:
            assert plain.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(plain.read()) == body
        assert str(tmp_path).encode() not in body
    assert gzip.decompress(bucket.contents()[PREFIX + "examples/0001-boiling.py"]) == b"kettle.boil()\n"

    with closing(join(tmp_path / "desk", url, laptop, monkeypatch)) as desk:
        desk.sync.sync_now("a test")
        assert [(each.library, each.version, each.here) for each in desk.sync.libraries()] == [("kettle", "1.2", False)]
        assert desk.sync.pull("kettle").documents == 1
        assert desk.wait_until_idle()
        assert desk.search(Query("kettle boils", mode=SearchMode.TEXT)).hits
        with pytest.raises(InvalidInput, match="here already"):
            desk.sync.pull("kettle")
        with pytest.raises(NotFound):
            desk.sync.pull("teapot")


def test_what_was_embedded_elsewhere_is_found_by_meaning_and_embedded_by_nobody(
    model_files: ModelFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del model_files
    monkeypatch.setenv("BAILIWICK_USER_ID", "mara")
    (tmp_path / "remote").mkdir()
    with closing(opened(tmp_path / "laptop", Duties.WORK)) as laptop:
        add(laptop, tmp_path / "kettle")
        laptop.sync.set_remote(str(tmp_path / "remote"))
        assert laptop.sync.push("kettle").vectors
        with monkeypatch.context() as without_model:
            without_model.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
            with closing(join(tmp_path / "desk", str(tmp_path / "remote"), laptop, without_model)) as desk:
                assert desk.sync.pull("kettle").vectors
                assert desk.wait_until_idle()
                counts = desk.counts()
                assert (counts.passages > 0, counts.pending) == (True, 0)
                # Nobody has even looked for a model yet.
                assert desk.model_state() == MODEL_LOADING
    monkeypatch.setenv("BAILIWICK_USER_ID", "otto")
    with closing(opened(tmp_path / "desk", Duties.SEARCH)) as desk:
        found = desk.search(Query("how hot does water get", mode=SearchMode.VECTOR), wait_for_model=True)
        assert [hit.title for hit in found.hits] == ["Boiling"]


def test_no_canary_reaches_the_store(laptop: Workspace, bucket: Bucket, url: str, tmp_path: Path) -> None:
    """Those of the workspace, in every place a secret can be handed in, while everything is shared that may be."""
    canary = new_canary()
    add(laptop, tmp_path / "kettle", PAGE + f"\nRun it with `TOKEN={canary}`.\n")
    hand_in(laptop, canary)
    put(laptop, "notes/heat", "hot")
    laptop.sync.set_remote(url)
    with pytest.raises((AccessDenied, InvalidInput), match="boiling") as refused:
        laptop.sync.push("kettle")
    assert canary not in repr(refused.value)
    rows = laptop.agentfs.database.connection().execute("SELECT id FROM items WHERE deleted = 0").fetchall()
    shared = 0
    for row in rows:
        try:
            share(laptop.agentfs, row["id"], "public", by=laptop.person)
        except BailiwickError:
            continue
        shared += 1
    assert shared
    run = laptop.sync.sync_now("a test")
    assert run.problem == ""
    objects = bucket.contents()
    assert any(key.startswith("user-contributions/") for key in objects)
    assert holding(objects, [canary]) == []
    laptop.close()
    assert files_with(tmp_path / "laptop", canary) == []


def test_what_is_unshared_is_gone_from_the_remote(laptop: Workspace, bucket: Bucket, url: str) -> None:
    laptop.sync.set_remote(url)
    text = "the kettle whistles in F sharp"
    put(laptop, "notes/heat", json.dumps(text))
    laptop.sync.sync_now("a test")
    assert holding(bucket.contents(), [text]) == []
    share(laptop.agentfs, "notes/heat", "public", by=laptop.person)
    laptop.sync.sync_now("a test")
    answer = bucket.server.client().get_object(Bucket=bucket.name, Key="user-contributions/mara/notes/heat")
    assert (answer["ContentType"], answer["ContentEncoding"]) == ("application/json", "gzip")
    assert json.loads(gzip.decompress(answer["Body"].read())) == text
    blobs = [key for key in bucket.contents() if key.startswith(".bailiwick/blobs/shared/")]
    unshare(laptop.agentfs, "notes/heat", by=laptop.person)
    assert laptop.sync.sync_now("a test").problem == ""
    objects = bucket.contents()
    assert holding(objects, [text]) == []
    assert not set(blobs) & set(objects)
    assert "user-contributions/mara/notes/heat" not in objects
    assert b'"op":"delete"' in b"".join(_log(objects))
    assert read(laptop, "notes/heat") == json.dumps(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, Path]]:
    """A workspace that has published to a folder."""
    monkeypatch.setenv("BAILIWICK_MODEL_PATH", str(tmp_path / "none"))
    monkeypatch.setenv("BAILIWICK_USER_ID", "mara")
    (tmp_path / "remote").mkdir()
    with closing(opened(tmp_path / "laptop")) as made:
        mara = Publisher(made.agentfs, FolderStore(tmp_path / "remote"), "mara")
        mara.document("boil.md", "The kettle boils at a hundred degrees.\n\n```py\nboil()\n```")
        made.sync.set_remote(str(tmp_path / "remote"))
        made.sync.push("kettle")
        yield made, tmp_path / "remote"


def test_a_folder_is_read_as_plain_files_and_a_library_withdrawn(folder: tuple[Workspace, Path]) -> None:
    laptop, remote = folder
    there = {key for key in contents(remote) if not key.startswith(".bailiwick/")}
    files = ("kettle.json", "metadata.json", "examples/0001-title-0.py")
    assert there == {"libraries/index.json", *(PREFIX + each for each in files)}
    assert laptop.sync.withdraw("kettle").documents == 1
    assert holding(contents(remote), ["hundred degrees", "boil()"]) == []
    assert laptop.sync.sync_now("a test").problem == ""
    assert {key for key in contents(remote) if not key.startswith(".bailiwick/")} == {"libraries/index.json"}
    with pytest.raises(NotFound):
        laptop.sync.withdraw("kettle")


def test_damaged_files_of_a_library_are_named_and_mended(folder: tuple[Workspace, Path]) -> None:
    laptop, remote = folder
    before = {key: data for key, data in contents(remote).items() if key.startswith(PREFIX)}
    (remote / PREFIX / "examples/0001-title-0.py").unlink()
    for file in ("kettle.json", "metadata.json"):
        (remote / PREFIX / file).write_bytes(before[PREFIX + file][:-1] + b"x")
    assert sorted((each.key.removeprefix(PREFIX), each.kind.value) for each in laptop.sync.verify().damages) == [
        ("examples/0001-title-0.py", "missing"),
        ("kettle.json", "damaged"),
        ("metadata.json", "damaged"),
    ]
    assert laptop.sync.repair().left == ()
    assert {key: data for key, data in contents(remote).items() if key.startswith(PREFIX)} == before


def _log(objects: dict[str, bytes]) -> Iterator[bytes]:
    import zstandard

    for key, data in objects.items():
        if key.startswith(".bailiwick/log/shared/"):
            yield zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 22)
