"""S3 and what speaks like it, Cloudflare R2 above all."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from core.config import cache_folder
from core.errors import InvalidInput, ObjectMissing, RemoteRefused, RemoteUnreachable
from core.remote.body import as_base64, from_base64, opened, sha256_of, size_of
from core.remote.credentials import Credentials, find_credentials
from core.remote.meter import OperationMeter, PriceClass
from core.remote.s3_address import S3Address, read_address
from core.remote.s3_client import AT_ONCE, make_client
from core.remote.s3_errors import (
    NOT_BILLED,
    BeyondEnd,
    ChecksumUnknown,
    Present,
    SlowDown,
    Unsure,
    answered_error,
    is_unconnected,
    status_of,
    unanswered_error,
)
from core.remote.s3_reading import Whole, download, read
from core.remote.store import AT_MOST, PLAIN, ObjectFacts, ObjectInfo, Progress, checked_key

SINGLE_PUT = 64 * 1024 * 1024
PART = 16 * 1024 * 1024
"""R2 wants all parts of an upload but the last to be equally large."""
_PAGE = 1000
_ATTEMPTS = 4
_LONGEST_SECONDS = 60.0


def open_s3(url: str, environ: Mapping[str, str]) -> S3Store:
    """The store at ``url``; raises InvalidInput for what is no such URL, and RemoteRefused without credentials."""
    address = read_address(url)
    return S3Store(address, find_credentials(address.bucket, environ), cache_folder(environ) / "uploads")


class S3Store:
    """A bucket, or a prefix in it. Safe from any thread; up to 32 requests at once keep their connections."""

    read_only = False

    def __init__(self, address: S3Address, credentials: Credentials, uploads: Path) -> None:
        """Makes no request; what is known of unfinished large uploads lies in ``uploads``."""
        self.name = address.url
        self.meter = OperationMeter()
        self.uploads = uploads
        self._address = address
        self._credentials = credentials
        self._client_made: Any = None
        self._lock = threading.Lock()
        self._takes_checksums = True
        self._tells_checksums = True

    @property
    def client(self) -> Any:
        """The boto3 client; made when first needed, for loading it takes a second."""
        with self._lock:
            if self._client_made is None:
                self._client_made = make_client(self._address, self._credentials)
            return self._client_made

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """As ``ObjectStore.put_if_absent``; False too where the answer to a first attempt was lost and it was ours."""
        return self._put(key, data, facts, progress, absent=True)

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """As ``ObjectStore.put``."""
        self._put(key, data, facts, progress, absent=False)

    def get(
        self,
        key: str,
        *,
        first: int = 0,
        length: int | None = None,
        at_most: int = AT_MOST,
        progress: Progress | None = None,
    ) -> bytes:
        """As ``ObjectStore.get``."""
        pieces: list[bytes] = []

        def take(piece: bytes, done: int, whole: Whole) -> None:
            pieces.append(piece)
            if progress is not None:
                progress(done, whole.size if length is None else min(length, whole.size))

        checked_key(key)
        if length != 0:
            with contextlib.suppress(BeyondEnd):
                read(self, key, first, length, at_most, take)
        return b"".join(pieces)

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """As ``ObjectStore.get_to``."""
        return download(self, checked_key(key), target, at_most, progress)

    def head(self, key: str) -> ObjectInfo | None:
        """As ``ObjectStore.head``."""
        try:
            answer = self._head(key)
        except ObjectMissing:
            return None
        sha256 = from_base64(str(answer.get("ChecksumSHA256", "")))
        return ObjectInfo(key, int(answer["ContentLength"]), answer["LastModified"], sha256)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """As ``ObjectStore.list``; a key that none of ours can be is left out."""
        own, found, last = self._address.prefix, list[ObjectInfo](), after
        while len(found) < limit:
            arguments: dict[str, Any] = {"Prefix": own + prefix, "MaxKeys": min(limit - len(found), _PAGE)}
            if last:
                arguments["StartAfter"] = own + last
            answer = self.request(PriceClass.A, "list_objects_v2", Bucket=self._address.bucket, **arguments)
            page = answer.get("Contents", [])
            for each in page:
                key = str(each["Key"]).removeprefix(own)
                if not key.startswith(prefix) or (last and key.encode() <= last.encode()):
                    raise RemoteRefused(f"The remote {self.name} lists what was not asked for.", "Use another store.")
                last = key
                if _is_usable(key):
                    found.append(ObjectInfo(key, int(each["Size"]), each["LastModified"]))
            if not page or not answer.get("IsTruncated"):
                break
        return found[:limit]

    def delete(self, keys: Sequence[str]) -> None:
        """As ``ObjectStore.delete``: one by one, for only that is free of charge on R2."""
        named = [self.named(key) for key in keys]
        if len(named) < 3:
            for each in named:
                self.request(PriceClass.FREE, "delete_object", **each)
            return
        with ThreadPoolExecutor(min(len(named), AT_ONCE)) as pool:
            waiting = [pool.submit(self.request, PriceClass.FREE, "delete_object", **each) for each in named]
            try:
                for one in waiting:
                    one.result()
            finally:
                for one in waiting:
                    one.cancel()

    def close(self) -> None:
        """As ``ObjectStore.close``."""
        with self._lock:
            client, self._client_made = self._client_made, None
        if client is not None:
            client.close()

    # For the rest of this room

    def request(
        self,
        price: PriceClass,
        operation: str,
        *,
        up: int = 0,
        counted: bool = True,
        at_once: tuple[type[Exception], ...] = (),
        **arguments: Any,
    ) -> Any:
        """One request, tried a few times where nothing is lost by that; raises what ``ObjectStore`` says.

        Errors ``at_once`` are not tried again; with ``counted`` False the caller counts what was answered well.
        """
        action: Callable[..., Any] = getattr(self.client, operation)
        begun = time.monotonic()
        for attempt in range(_ATTEMPTS):
            if "Body" in arguments:
                arguments["Body"].sending = False
                arguments["Body"].seek(0)
            started = time.perf_counter()
            try:
                answer = action(**arguments)
            except Exception as error:
                lost = unanswered_error(error, self.name)
                billed = not is_unconnected(error) and status_of(error) not in NOT_BILLED
                self.count(price if billed else PriceClass.FREE, started, up=up, answered=lost is None)
                known = lost or answered_error(error, self.name, operation)
                if known is None:
                    raise
                if (
                    not isinstance(known, RemoteUnreachable)
                    or isinstance(known, at_once)
                    or attempt + 1 == _ATTEMPTS
                    or time.monotonic() - begun > _LONGEST_SECONDS
                ):
                    raise known from None
                self.pause(attempt, slowly=isinstance(known, SlowDown))
            else:
                if counted:
                    self.count(price, started, up=up)
                return answer
        raise AssertionError("the last attempt answers or raises")

    def count(self, price: PriceClass, started: float, *, up: int = 0, down: int = 0, answered: bool = True) -> None:
        """Count a request that began at ``started`` on the performance counter and ended now."""
        self.meter.count(price, (time.perf_counter() - started) * 1000, up=up, down=down, answered=answered)

    @staticmethod
    def pause(attempt: int, *, slowly: bool = False) -> None:
        """Wait before another attempt, about twice as long each time, at most six seconds."""
        time.sleep(min(4.0, (0.5 if slowly else 0.1) * 2**attempt) * random.uniform(0.5, 1.5))

    def named(self, key: str) -> dict[str, Any]:
        """The arguments that name an object."""
        return {"Bucket": self._address.bucket, "Key": self._address.prefix + checked_key(key)}

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._address.bucket

    @property
    def prefix(self) -> str:
        """What every key begins with there: empty, or ending with a slash."""
        return self._address.prefix

    @staticmethod
    def stored(facts: ObjectFacts) -> dict[str, Any]:
        """The arguments that say how an object is stored."""
        told = {
            "ContentType": facts.content_type,
            "ContentEncoding": facts.content_encoding,
            "CacheControl": facts.cache_control,
        }
        return {name: value for name, value in told.items() if value}

    def _head(self, key: str) -> Any:
        if self._tells_checksums:
            try:
                return self.request(PriceClass.B, "head_object", ChecksumMode="ENABLED", **self.named(key))
            except RemoteRefused:
                answer = self.request(PriceClass.B, "head_object", **self.named(key))
                self._tells_checksums = False
                return answer
        return self.request(PriceClass.B, "head_object", **self.named(key))

    def _put(
        self, key: str, data: bytes | Path, facts: ObjectFacts, progress: Progress | None, *, absent: bool
    ) -> bool:
        size = size_of(data)
        if size > SINGLE_PUT:
            from core.remote.multipart import upload

            return upload(self, checked_key(key), data, facts, progress, absent=absent)
        arguments = {**self.named(key), **self.stored(facts), "ContentLength": size}
        if absent:
            arguments["IfNoneMatch"] = "*"
        checksum = as_base64(sha256_of(data))
        with opened(data, 0, size, progress) as body:
            for attempt in range(_ATTEMPTS):
                checked: dict[str, Any] = {"ChecksumSHA256": checksum} if self._takes_checksums else {}
                try:
                    self.request(
                        PriceClass.A,
                        "put_object",
                        up=size,
                        at_once=(SlowDown, Unsure) if absent else (),
                        Body=body,
                        **checked,
                        **arguments,
                    )
                except Present:
                    return False
                except ChecksumUnknown:
                    if not checked:
                        raise
                    self._takes_checksums = False
                except (SlowDown, Unsure):
                    # Of one key R2 takes a write a second: somebody else has just put this one, or it is tried later.
                    if absent and self.head(key) is not None:
                        return False
                    if attempt + 1 == _ATTEMPTS:
                        raise
                    self.pause(attempt, slowly=True)
                else:
                    return True
        raise RemoteUnreachable(f"The remote {self.name} did not take {key}.", "Try again.")


def _is_usable(key: str) -> bool:
    try:
        return checked_key(key) == key
    except InvalidInput:
        return False
