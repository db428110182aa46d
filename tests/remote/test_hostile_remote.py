"""What a store that lies or fails can and cannot do: one sentence each, nothing false is taken for true."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import (
    BailiwickError,
    InvalidInput,
    ObjectMissing,
    ObjectTooLarge,
    RemoteRefused,
    RemoteUnreachable,
    StorageFull,
)
from core.remote.https import HttpsStore
from core.remote.meter import Request
from core.remote.opening import open_store
from core.remote.probe import Writers, probe
from core.remote.store import ObjectStore
from tests.remote.hostile_server import (
    BUCKET,
    ENVIRON,
    HANG_UP,
    HANG_UP_AFTER,
    HostileStore,
    Trouble,
    hostile_server,
)

BIG = bytes(range(256)) * 1024 * 5


@pytest.fixture(scope="module")
def served() -> Iterator[HostileStore]:
    with hostile_server() as store:
        yield store


@pytest.fixture
def hostile(served: HostileStore) -> HostileStore:
    fresh = HostileStore(endpoint=served.endpoint)
    for name in HostileStore.__slots__:
        if name != "lock":
            setattr(served, name, getattr(fresh, name))
    return served


@pytest.fixture(scope="module")
def s3(served: HostileStore) -> Iterator[ObjectStore]:
    store = open_store(served.url, ENVIRON)
    yield store
    store.close()


def test_a_store_that_ignores_conditions_is_for_one_writer(hostile: HostileStore, s3: ObjectStore) -> None:
    hostile.ignores_conditions = True
    report = probe(s3)
    assert report.writers is Writers.ONE
    assert "overwrites" in report.reason
    assert hostile.objects == {}


def test_what_is_cut_off_goes_on_where_it_was(hostile: HostileStore, s3: ObjectStore, tmp_path: Path) -> None:
    hostile.objects["a"] = BIG
    hostile.cuts = 2
    assert s3.get("a") == BIG
    hostile.cuts = 2
    assert s3.get_to("a", tmp_path / "a") == hashlib.sha256(BIG).hexdigest()
    assert (tmp_path / "a").read_bytes() == BIG
    assert hostile.bytes_sent == 2 * len(BIG)


def test_what_is_cut_off_again_and_again_is_not_taken(hostile: HostileStore, s3: ObjectStore, tmp_path: Path) -> None:
    hostile.objects["a"] = b"x"
    hostile.cuts = 99
    with pytest.raises(RemoteUnreachable, match=r"cut off|does not answer"):
        s3.get("a")
    with pytest.raises(RemoteUnreachable):
        s3.get_to("a", tmp_path / "a")


def test_ten_gigabytes_are_not_read(hostile: HostileStore, s3: ObjectStore, tmp_path: Path) -> None:
    hostile.objects["format"] = b"x" * 1000
    hostile.claims = 10_000_000_000
    with pytest.raises(ObjectTooLarge, match="10,000,000,000 bytes"):
        s3.get("format", at_most=1_000_000)
    with pytest.raises(ObjectTooLarge):
        s3.get_to("format", tmp_path / "a", at_most=1_000_000)
    with pytest.raises(ObjectTooLarge):
        HttpsStore(f"{hostile.endpoint}/{BUCKET}").get("format", at_most=1_000_000)
    assert (tmp_path / "a").stat().st_size == 0


def test_ranges_that_are_no_ranges_are_not_taken(hostile: HostileStore, s3: ObjectStore) -> None:
    hostile.objects["a"] = b"0123456789"
    hostile.ignores_ranges = True
    with pytest.raises(RemoteRefused, match="parts of objects"):
        s3.get("a", first=2, length=3)


@pytest.mark.parametrize("trouble", [Trouble(500, "InternalError"), Trouble(503, "SlowDown"), HANG_UP])
def test_what_passes_is_tried_again(hostile: HostileStore, s3: ObjectStore, trouble: Trouble) -> None:
    before = s3.meter.total()
    hostile.troubles = {"PUT": [trouble], "GET": [trouble], "LIST": [trouble]}
    s3.put("a", b"x")
    assert s3.get("a") == b"x"
    assert [each.key for each in s3.list("")] == ["a"]
    used = s3.meter.total() - before
    assert (used.class_a, used.class_b) == (4, 2)


def test_what_does_not_pass_is_out_of_order(hostile: HostileStore, s3: ObjectStore) -> None:
    hostile.always = {"PUT": Trouble(500, "InternalError")}
    heard: list[Request] = []
    s3.meter.on_request(heard.append)
    with pytest.raises(RemoteUnreachable, match=r"out of order \(500\)"):
        s3.put_if_absent("a", b"x")
    assert [each.answered for each in heard] == [True] * 4


def test_of_a_lost_answer_nothing_is_written_twice(hostile: HostileStore, s3: ObjectStore) -> None:
    hostile.troubles = {"PUT": [HANG_UP_AFTER]}
    assert not s3.put_if_absent("a", b"x")
    assert hostile.objects == {"a": b"obeyed"}


@pytest.mark.parametrize(
    "trouble", [Trouble(429, "TooManyRequests"), Trouble(409, "ConditionalRequestConflict"), Trouble(503, "SlowDown")]
)
def test_who_is_told_to_wait_looks_first(hostile: HostileStore, s3: ObjectStore, trouble: Trouble) -> None:
    hostile.objects["a"] = b"x"
    hostile.troubles = {"PUT": [trouble]}
    assert not s3.put_if_absent("a", b"x")
    assert hostile.requests == [("PUT", "a"), ("HEAD", "a")]
    hostile.troubles = {"PUT": [trouble]}
    assert s3.put_if_absent("b", b"x")
    assert hostile.requests[2:] == [("PUT", "b"), ("HEAD", "b"), ("PUT", "b")]


@pytest.mark.parametrize(
    ("kind", "trouble", "error", "sentence"),
    [
        ("PUT", Trouble(403, "InvalidAccessKeyId"), RemoteRefused, "does not know these credentials"),
        ("PUT", Trouble(403, "SignatureDoesNotMatch"), RemoteRefused, "does not know these credentials"),
        ("PUT", Trouble(401, "Unauthorized"), RemoteRefused, "does not know these credentials"),
        ("PUT", Trouble(404, "NoSuchBucket"), RemoteRefused, "no such bucket"),
        ("PUT", Trouble(403, "AccessDenied"), RemoteRefused, "may not write objects"),
        ("GET", Trouble(403, "AccessDenied"), RemoteRefused, "may not read objects"),
        ("LIST", Trouble(403, "AccessDenied"), RemoteRefused, "may not list objects"),
        ("DELETE", Trouble(403, "AccessDenied"), RemoteRefused, "may not delete objects"),
        ("PUT", Trouble(403, "RequestTimeTooSkewed", headers=(("Date", "Tue, 03 Mar 2020 10:00:00 GMT"),)),
         RemoteRefused, "clock differs by [0-9,]+ minutes"),
        ("PUT", Trouble(400, "AuthorizationHeaderMalformed", "<Region>eu-west-3</Region>"), RemoteRefused, "eu-west-3"),
        ("GET", Trouble(301, "PermanentRedirect", headers=(("x-amz-bucket-region", "eu-west-3"),)),
         RemoteRefused, "another region"),
        ("PUT", Trouble(501, "NotImplemented"), RemoteRefused, "cannot do what synchronising needs"),
        ("PUT", Trouble(507, "InsufficientStorage"), StorageFull, "is full"),
        ("GET", Trouble(404, "NoSuchKey"), ObjectMissing, "not in the remote"),
        ("LIST", Trouble(404, html=True), RemoteRefused, "no such bucket"),
        ("PUT", Trouble(400, "&#27;]0;odd"), BailiwickError, "remote"),
    ],
)  # fmt: skip
def test_each_trouble_has_its_sentence(
    hostile: HostileStore, s3: ObjectStore, kind: str, trouble: Trouble, error: type[BailiwickError], sentence: str
) -> None:
    hostile.always = {kind: trouble}
    actions = {
        "PUT": lambda: s3.put("a", b"x"),
        "GET": lambda: s3.get("a"),
        "LIST": lambda: s3.list(""),
        "DELETE": lambda: s3.delete(["a", "b", "c", "d"]),
    }
    with pytest.raises(error, match=sentence) as raised:
        actions[kind]()
    assert str(raised.value).isprintable()
    assert raised.value.__suppress_context__
    assert raised.value.exit_code in (2, 3)


def test_keys_that_lead_out_are_not_listed(hostile: HostileStore, s3: ObjectStore) -> None:
    hostile.listed = ["../../etc/passwd", "/root", "a", "b/../../c", "d"]
    assert [each.key for each in s3.list("", limit=2)] == ["a", "d"]


@pytest.mark.parametrize("listed", [["a", "a"], ["b", "a"], ["other"]])
def test_a_list_that_does_not_go_on_ends(hostile: HostileStore, s3: ObjectStore, listed: list[str]) -> None:
    hostile.listed = listed
    with pytest.raises(RemoteRefused, match="not asked for"):
        s3.list("other" if listed == ["b", "a"] else "" if listed != ["other"] else "log/")
    hostile.listed = ["a"]
    with pytest.raises(RemoteRefused, match="not asked for"):
        s3.list("", after="a")


def test_what_progress_raises_ends_an_upload(hostile: HostileStore, s3: ObjectStore, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(done: int, total: int) -> None:
        assert 0 < done <= total == len(BIG)
        raise Enough

    (tmp_path / "big").write_bytes(BIG)
    for data in (BIG, tmp_path / "big"):
        with pytest.raises(Enough):
            s3.put_if_absent("a", data, progress=stop)
    hostile.objects["b"] = BIG
    for action in (lambda: s3.get("b", progress=stop), lambda: s3.get_to("b", tmp_path / "b", progress=stop)):
        with pytest.raises(Enough):
            action()
    assert "a" not in hostile.objects
    told: list[int] = []
    s3.put_if_absent("a", tmp_path / "big", progress=lambda done, total: told.append(done))
    assert told == sorted(told)
    assert told[-1] == len(BIG)
    assert hostile.objects["a"] == BIG


def test_no_request_goes_to_another_host(hostile: HostileStore, s3: ObjectStore) -> None:
    with hostile_server() as other:
        there = (("Location", f"{other.endpoint}/{BUCKET}/a"), ("x-amz-bucket-region", "eu-west-3"))
        hostile.always = {"GET": Trouble(307, "TemporaryRedirect", headers=there)}
        with pytest.raises(RemoteRefused):
            s3.get("a")
        with pytest.raises(RemoteRefused, match="sends elsewhere"):
            HttpsStore(f"{hostile.endpoint}/{BUCKET}").get("a")
        assert other.requests == []


def test_a_public_library_is_read_only(hostile: HostileStore) -> None:
    store = open_store(f"{hostile.endpoint}/{BUCKET}/", {})
    hostile.objects["libraries/index.json"] = b"0123456789"
    assert store.read_only
    assert store.get("libraries/index.json", first=2, length=3) == b"234"
    found = store.head("libraries/index.json")
    assert found is not None
    assert found.size == 10
    assert store.head("none") is None
    assert probe(store).writers is Writers.NONE
    for action in (
        lambda: store.list(""),
        lambda: store.put("a", b""),
        lambda: store.put_if_absent("a", b""),
        lambda: store.delete(["a"]),
    ):
        with pytest.raises(RemoteRefused):
            action()
    with pytest.raises(InvalidInput):
        store.get("../a")


def test_what_a_public_library_sends_is_unpacked_within_bounds(hostile: HostileStore, tmp_path: Path) -> None:
    store = HttpsStore(f"{hostile.endpoint}/{BUCKET}")
    hostile.headers = {"Content-Encoding": "gzip"}
    hostile.objects = {"good": gzip.compress(BIG), "bomb": gzip.compress(bytes(50_000_000)), "odd": b"\x1f\x8bnothing"}
    assert store.get("good") == BIG
    assert store.get("good", first=1, length=2) == BIG[1:3]
    with pytest.raises(ObjectTooLarge):
        store.get_to("bomb", tmp_path / "bomb", at_most=1_000_000)
    assert (tmp_path / "bomb").stat().st_size <= 1_000_000
    with pytest.raises(RemoteUnreachable, match="cut off or damaged"):
        store.get("odd")
    hostile.cuts = 1
    with pytest.raises(RemoteUnreachable, match="cut off or damaged"):
        store.get("good")
