"""Large files in equal parts; what was interrupted goes on with the parts that are there."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput, ObjectMissing
from core.remote.meter import PriceClass
from core.remote.store import ObjectFacts, Progress

if TYPE_CHECKING:
    from core.remote.s3 import S3Store

_AT_ONCE = 4
_MOST_PARTS = 10_000


def upload(
    store: S3Store, key: str, path: Path, facts: ObjectFacts, progress: Progress | None, *, absent: bool
) -> bool:
    """Put a file as parts; with ``absent`` only where nothing is, which is looked at before and asked for at the end.

    An upload of the same key that was interrupted goes on: parts whose SHA-256 is that of the file's are not sent
    again. What ``progress`` raises ends it, and the parts stay for the next time. Raises as ``ObjectStore.put``.
    """
    from core.remote.s3 import PART
    from core.remote.s3_errors import Present

    size = path.stat().st_size
    if size > PART * _MOST_PARTS:
        raise InvalidInput(f"{path.name} is larger than the {PART * _MOST_PARTS:,} bytes that a remote takes.")
    if absent and store.head(key) is not None:
        return False
    upload_id = (
        _interrupted(store, key)
        or store.request(
            PriceClass.A,
            "create_multipart_upload",
            ChecksumAlgorithm="SHA256",
            **store.stored(facts),
            **store.named(key),
        )["UploadId"]
    )
    named = {**store.named(key), "UploadId": upload_id}
    there = _parts_there(store, named)
    done = 0

    def send(number: int) -> dict[str, Any]:
        with path.open("rb") as file:
            file.seek((number - 1) * PART)
            data = file.read(PART)
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        known = there.get(number)
        if known is None or not _is(known, data, checksum):
            known = store.request(
                PriceClass.A,
                "upload_part",
                up=len(data),
                PartNumber=number,
                Body=data,
                ContentLength=len(data),
                ChecksumSHA256=checksum,
                **named,
            )
        return {"PartNumber": number, "ETag": known["ETag"], "ChecksumSHA256": checksum}

    numbers = range(1, -(-size // PART) + 1)
    parts = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [pool.submit(send, number) for number in numbers]
        try:
            for each in waiting:
                parts.append(each.result())
                done = min(size, done + PART)
                if progress is not None:
                    progress(done, size)
        except BaseException:
            for each in waiting:
                each.cancel()
            raise
    condition: dict[str, Any] = {"IfNoneMatch": "*"} if absent else {}
    try:
        store.request(PriceClass.A, "complete_multipart_upload", MultipartUpload={"Parts": parts}, **condition, **named)
    except Present:
        store.request(PriceClass.FREE, "abort_multipart_upload", **named)
        return False
    return True


def _is(part: dict[str, Any], data: bytes, checksum: str) -> bool:
    """Whether a part that is there holds ``data``; some servers tell it by its MD5 in the ETag alone."""
    told = part.get("ChecksumSHA256")
    if told is not None:
        return bool(told == checksum)
    return bool(part["ETag"].strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest())


def _interrupted(store: S3Store, key: str) -> str:
    """The id of an upload of ``key`` that did not end, empty where there is none or it may not be asked for."""
    from core.errors import RemoteRefused

    named = store.named(key)
    try:
        answer = store.request(
            PriceClass.A, "list_multipart_uploads", Bucket=named["Bucket"], Prefix=named["Key"], MaxUploads=10
        )
    except RemoteRefused:
        return ""
    return next((str(each["UploadId"]) for each in answer.get("Uploads", []) if each["Key"] == named["Key"]), "")


def _parts_there(store: S3Store, named: dict[str, Any]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for page in _pages(store, named):
        for each in page:
            found[int(each["PartNumber"])] = each
    return found


def _pages(store: S3Store, named: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    marker: dict[str, Any] = {}
    while True:
        try:
            answer = store.request(PriceClass.A, "list_parts", **named, **marker)
        except ObjectMissing:
            return
        yield answer.get("Parts", [])
        if not answer.get("IsTruncated"):
            return
        marker = {"PartNumberMarker": answer["NextPartNumberMarker"]}
