"""What every store does, over a folder and over a real S3 server."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from core.errors import InvalidInput, ObjectMissing, ObjectTooLarge, RemoteRefused, RemoteUnreachable, StorageFull
from core.remote.folder import FolderStore
from core.remote.opening import open_store
from core.remote.probe import Writers, probe
from core.remote.s3_address import read_address
from core.remote.store import ObjectFacts, ObjectStore
from tests.remote.s3_server import Bucket, bucket, s3_server

__all__ = ["bucket", "s3_server"]


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    if request.param == "folder":
        (tmp_path / "remote").mkdir()
        made = open_store(str(tmp_path / "remote"))
    else:
        held: Bucket = request.getfixturevalue("bucket")
        made = open_store(held.url, held.environ)
    yield made
    made.close()


def test_what_is_put_is_got(store: ObjectStore, tmp_path: Path) -> None:
    assert store.put_if_absent("a/b.json", b'{"heat": 3}', ObjectFacts("application/json"))
    assert not store.put_if_absent("a/b.json", b"other")
    assert store.get("a/b.json") == b'{"heat": 3}'
    assert store.get("a/b.json", first=2, length=4) == b"heat"
    assert store.get_to("a/b.json", tmp_path / "got") == hashlib.sha256(b'{"heat": 3}').hexdigest()
    found = store.head("a/b.json")
    assert found is not None
    assert found.size == 11
    store.put("a/b.json", b"new")
    assert store.get("a/b.json") == b"new"
    store.delete(["a/b.json", "a/none"])
    assert store.head("a/b.json") is None
    with pytest.raises(ObjectMissing):
        store.get("a/b.json")


def test_what_is_too_large_is_not_read(store: ObjectStore) -> None:
    store.put("large", b"x" * 2000)
    with pytest.raises(ObjectTooLarge):
        store.get("large", at_most=1000)
    assert store.get("large", first=10, length=1000, at_most=1000) == b"x" * 1000


def test_of_many_at_once_one_wins(store: ObjectStore) -> None:
    with ThreadPoolExecutor(12) as pool:
        won = list(pool.map(lambda number: store.put_if_absent("race", str(number).encode()), range(12)))
    assert sum(won) == 1
    assert store.get("race") == str(won.index(True)).encode()


def test_listing_goes_on_after_a_key(store: ObjectStore) -> None:
    for number in range(7):
        store.put(f"log/{number}", b"x")
    store.put("other", b"x")
    assert [each.key for each in store.list("log/", limit=3)] == ["log/0", "log/1", "log/2"]
    assert [each.key for each in store.list("log/", after="log/4")] == ["log/5", "log/6"]


def test_keys_come_in_the_order_of_their_text(store: ObjectStore) -> None:
    keys = sorted(["a/b", "a.b", "a-b", "a/b.c", "a/c/d", "a/c.d", "a0", "b/ä/ö", "b/z", "b/ä.x"])
    for key in keys:
        store.put(key, b"x")
    assert [each.key for each in store.list("")] == keys
    for after in ["", *keys, "a/", "a/c", "a/c/", "b/ä"]:
        assert [each.key for each in store.list("", after=after, limit=3)] == [key for key in keys if key > after][:3]
        assert [each.key for each in store.list("a/c", after=after)] == [
            key for key in keys if key.startswith("a/c") and key > after
        ]


@pytest.mark.parametrize("key", ["../out", "/root", "a//b", "a/./b", "", "a\\b", "a\nb", "x" * 1025])
def test_no_key_leads_out(store: ObjectStore, key: str) -> None:
    with pytest.raises(InvalidInput):
        store.put(key, b"x")
    with pytest.raises(InvalidInput):
        store.get(key)


def test_both_are_fit_for_many_writers(store: ObjectStore) -> None:
    report = probe(store)
    assert (report.writers, report.reason) == (Writers.MANY, "")
    assert store.list("temp/") == []


def test_operations_are_counted_as_they_are_billed(store: ObjectStore) -> None:
    store.put_if_absent("one", b"12345")
    store.put_if_absent("one", b"12345")
    store.get("one")
    store.head("one")
    store.list("")
    store.delete(["one"])
    used = store.meter.total()
    assert (used.class_a, used.class_b, used.free) == (3, 2, 1)
    assert used.bytes_down == 5


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "remote", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "secret").write_text("private")
    (root / "link").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    store = FolderStore(root)
    for key in ("link/secret", "file"):
        with pytest.raises((RemoteRefused, ObjectMissing)):
            store.get(key)
    with pytest.raises(RemoteRefused):
        store.put("link/new", b"x")
    assert [each.name for each in outside.iterdir()] == ["secret"]


def test_a_folder_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    with pytest.raises(RemoteUnreachable, match="not there"):
        open_store(str(tmp_path / "stick"))


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FolderStore(tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull):
        store.put("a", b"x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_large_files_go_in_equal_parts_and_go_on(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 * 1024 * 1024  # the least that S3 takes
    monkeypatch.setattr("core.remote.s3.PART", part)
    monkeypatch.setattr("core.remote.s3.SINGLE_PUT", 2 * part)
    monkeypatch.setattr("core.remote.s3_reading.RANGE", part // 4)
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1024) * (4 * part // 1024) + os.urandom(part // 2))
    environ = {**bucket.environ, "BAILIWICK_HOME": str(tmp_path / "home")}
    known = tmp_path / "home" / "cache" / "uploads"

    class Stopped(Exception):
        pass

    def stop(done: int, total: int) -> None:
        # The fifth part is begun when one of the four before it is there.
        if done > total - part // 4:
            raise Stopped

    with pytest.raises(Stopped):
        open_store(bucket.url, environ).put_if_absent("large", path, progress=stop)
    store = open_store(bucket.url, environ)
    assert store.head("large") is None
    assert len(list(known.iterdir())) == 1
    told: list[int] = []
    assert store.put_if_absent("large", path, progress=lambda done, total: told.append(done))
    assert max(told) == path.stat().st_size
    assert store.meter.total().bytes_up <= path.stat().st_size - part
    assert list(known.iterdir()) == []
    target = tmp_path / "got"
    assert store.get_to("large", target) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert target.read_bytes() == path.read_bytes()
    assert not store.put_if_absent("large", path)
    assert store.get("large", first=4 * part, length=9) == path.read_bytes()[4 * part :][:9]


def test_what_another_machine_began_is_not_mixed_in(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = 5 * 1024 * 1024
    monkeypatch.setattr("core.remote.s3.PART", part)
    monkeypatch.setattr("core.remote.s3.SINGLE_PUT", part)
    theirs = {"Bucket": bucket.name, "Key": "large"}
    client = bucket.server.client()
    theirs["UploadId"] = client.create_multipart_upload(**theirs)["UploadId"]
    client.upload_part(**theirs, PartNumber=1, Body=b"t" * part)
    ours = b"o" * (part + 1)
    store = open_store(bucket.url, {**bucket.environ, "BAILIWICK_HOME": str(tmp_path)})
    assert store.put_if_absent("large", ours)
    assert store.get("large") == ours


def test_how_objects_are_stored_is_kept(bucket: Bucket) -> None:
    store = open_store(bucket.url, bucket.environ)
    store.put("libraries/index.json", b"{}", ObjectFacts("application/json", "gzip", "max-age=60"))
    head = bucket.server.client().head_object(Bucket=bucket.name, Key="libraries/index.json")
    assert (head["ContentType"], head["ContentEncoding"], head["CacheControl"]) == (
        "application/json",
        "gzip",
        "max-age=60",
    )


def test_each_trouble_is_one_sentence(bucket: Bucket) -> None:
    missing = bucket.url.replace(bucket.name, "no-such-bucket")
    with pytest.raises(RemoteRefused, match="no such bucket"):
        open_store(missing, bucket.environ).get("a")
    with pytest.raises(RemoteRefused, match="no credentials"):
        open_store(bucket.url, {"BAILIWICK_HOME": "/nowhere"})
    if bucket.server.verifies_signatures:
        for wrong in ({"AWS_SECRET_ACCESS_KEY": "wrong"}, {"AWS_ACCESS_KEY_ID": "WRONG"}):
            with pytest.raises(RemoteRefused, match="does not know these credentials"):
                open_store(bucket.url, {**bucket.environ, **wrong}).put_if_absent("a", b"x")
    gone = "s3://bucket?endpoint=http://127.0.0.1:9&profile=other"
    with pytest.raises(RemoteUnreachable, match="does not answer"):
        open_store(gone, bucket.environ).get("a")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("s3://key:secret@bucket?endpoint=http://x", "Credentials do not belong"),
        ("s3://bucket?profile=r2", "R2 needs the endpoint"),
        ("s3://bucket?color=red", "option color"),
        ("ftp://x/y", "kind ftp"),
        ("here/there", "whole path"),
        ("http://example.org/library", "over HTTPS"),
    ],
)
def test_what_is_no_remote_is_said(url: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why) as raised:
        open_store(url, {})
    assert "secret@" not in str(raised.value)


def test_an_endpoint_stays_as_it_was_written() -> None:
    address = read_address("s3://workflow-docs?endpoint=https://abc.eu.r2.cloudflarestorage.com")
    assert (address.endpoint, address.profile, address.region) == (
        "https://abc.eu.r2.cloudflarestorage.com",
        "r2",
        "auto",
    )
