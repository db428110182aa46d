"""Large objects in equal parts; an upload that was interrupted goes on with the parts that are there."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput, ObjectMissing, RemoteRefused
from core.remote.body import opened, sha256_of, size_of
from core.remote.meter import PriceClass
from core.remote.s3_errors import Present
from core.remote.store import ObjectFacts, Progress

if TYPE_CHECKING:
    from core.remote.s3 import S3Store

_AT_ONCE = 4
_MOST_PARTS = 10_000
_KEPT_SECONDS = 6 * 24 * 3600.0
"""Stores abort what is unfinished for seven days."""


def upload(
    store: S3Store, key: str, data: bytes | Path, facts: ObjectFacts, progress: Progress | None, *, absent: bool
) -> bool:
    """Put something as parts; with ``absent`` only where nothing is: that is looked at first, and asked for at the end.

    An upload of the same content that this machine began and did not end goes on: parts that are there as they were
    sent are not sent again. What ``progress`` raises ends it, and the parts stay for the next time. Raises as
    ``ObjectStore.put``.
    """
    from core.remote.s3 import PART

    size = size_of(data)
    if size > PART * _MOST_PARTS:
        raise InvalidInput(f"{key} is larger than the {PART * _MOST_PARTS:,} bytes that a remote takes.")
    if absent and store.head(key) is not None:
        return False
    begun = _Begun.of(store, key, sha256_of(data).hex())
    named = {**store.named(key), "UploadId": begun.upload_id}
    there = _parts_there(store, named) if begun.upload_id else {}
    if not there:
        answer = store.request(PriceClass.A, "create_multipart_upload", **store.stored(facts), **store.named(key))
        begun.begin(str(answer["UploadId"]))
        named["UploadId"] = begun.upload_id
    sent = _Sent(size, progress)

    def send(number: int) -> dict[str, Any]:
        first = (number - 1) * PART
        length = min(PART, size - first)
        tag = begun.tags.get(number, "")
        if tag and there.get(number) == (tag, length):
            sent.tell(number, length)
        else:
            # R2 refuses a SHA-256 beside a part; the one in the signature is checked.
            with opened(data, first, length, lambda done, _: sent.tell(number, done)) as body:
                answer = store.request(
                    PriceClass.A,
                    "upload_part",
                    up=length,
                    PartNumber=number,
                    Body=body,
                    ContentLength=length,
                    **named,
                )
            tag = str(answer["ETag"])
            begun.note(number, tag)
        return {"PartNumber": number, "ETag": tag}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [pool.submit(send, number) for number in range(1, -(-size // PART) + 1)]
        try:
            parts = [each.result() for each in waiting]
        except BaseException:
            sent.stop(InterruptedError())
            for each in waiting:
                each.cancel()
            raise
    return _complete(store, key, named, parts, begun, absent=absent)


def _complete(
    store: S3Store, key: str, named: dict[str, Any], parts: list[dict[str, Any]], begun: _Begun, *, absent: bool
) -> bool:
    condition: dict[str, Any] = {"IfNoneMatch": "*"} if absent else {}
    try:
        store.request(PriceClass.A, "complete_multipart_upload", MultipartUpload={"Parts": parts}, **condition, **named)
    except Present:
        with suppress(ObjectMissing, RemoteRefused):
            store.request(PriceClass.FREE, "abort_multipart_upload", **named)
        begun.end()
        return False
    except ObjectMissing:
        # The answer to a first attempt was lost: the upload is gone for it is done.
        begun.end()
        if store.head(key) is None:
            raise
        return not absent
    except RemoteRefused:
        begun.end()
        raise
    begun.end()
    return True


@dataclass(slots=True)
class _Begun:
    """What this machine knows of an unfinished upload, in a file named after the place and the content."""

    path: Path
    upload_id: str = ""
    tags: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, store: S3Store, key: str, sha256: str) -> _Begun:
        """What is known; a file that cannot be read is none."""
        named = hashlib.sha256("\n".join((store.name, key, sha256)).encode()).hexdigest()
        begun = cls(store.uploads / f"{named}.json")
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            if time.time() - begun.path.stat().st_mtime < _KEPT_SECONDS:
                told = json.loads(begun.path.read_text(encoding="utf-8"))
                begun.upload_id = str(told["upload_id"])
                begun.tags = {int(number): str(tag) for number, tag in told["tags"].items()}
        return begun

    def begin(self, upload_id: str) -> None:
        """Another upload was begun; what is known of ones that no store keeps any more is deleted."""
        self.upload_id, self.tags = upload_id, {}
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for each in self.path.parent.glob("*.json"):
                if time.time() - each.stat().st_mtime > _KEPT_SECONDS:
                    each.unlink()
        self._write()

    def note(self, number: int, tag: str) -> None:
        """A part is there."""
        with self._lock:
            self.tags[number] = tag
            self._write()

    def end(self) -> None:
        """Nothing of it is there any more."""
        with suppress(OSError):
            self.path.unlink()

    def _write(self) -> None:
        # Without the file the next attempt begins anew, so a disk that is full stops nothing.
        with suppress(OSError):
            temporary = self.path.with_suffix(".new")
            temporary.write_text(json.dumps({"upload_id": self.upload_id, "tags": self.tags}), encoding="utf-8")
            temporary.replace(self.path)


class _Sent:
    """Adds up what was sent of the parts, from any thread."""

    def __init__(self, size: int, progress: Progress | None) -> None:
        self._size = size
        self._progress = progress
        self._lock = threading.Lock()
        self._of_part: dict[int, int] = {}
        self._stopped: BaseException | None = None

    def tell(self, number: int, done: int) -> None:
        """So much of a part was sent; raises what ``progress`` raises."""
        with self._lock:
            if self._stopped is not None:
                raise self._stopped
            self._of_part[number] = done
            if self._progress is not None:
                try:
                    self._progress(sum(self._of_part.values()), self._size)
                except BaseException as reason:
                    self._stopped = reason
                    raise

    def stop(self, reason: BaseException) -> None:
        """Let every part end with its next bytes."""
        with self._lock:
            self._stopped = self._stopped or reason


def _parts_there(store: S3Store, named: dict[str, Any]) -> dict[int, tuple[str, int]]:
    """The tag and the size of each part that the store holds; none where it knows nothing of the upload."""
    found: dict[int, tuple[str, int]] = {}
    marker: dict[str, Any] = {}
    while True:
        try:
            answer = store.request(PriceClass.A, "list_parts", **named, **marker)
        except (ObjectMissing, RemoteRefused):
            return {}
        parts = answer.get("Parts", [])
        found |= {int(each["PartNumber"]): (str(each["ETag"]), int(each["Size"])) for each in parts}
        if not answer.get("IsTruncated") or not parts:
            return found
        marker = {"PartNumberMarker": int(parts[-1]["PartNumber"])}
