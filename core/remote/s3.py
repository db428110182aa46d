"""S3 and what speaks like it, Cloudflare R2 above all, through boto3.

The settings and their reasons: checksums of boto3's own only where required, for R2 refuses the trailer they come in;
the body's SHA-256 in the signature and in a header, so that what arrives is what was sent; no ``Expect: 100-continue``
on small bodies, for it costs a round trip; path style; the endpoint exactly as the user wrote it.
"""

from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from core.errors import InvalidInput, ObjectMissing, ObjectTooLarge, RemoteUnreachable
from core.remote.credentials import Credentials, find_credentials
from core.remote.meter import OperationMeter, PriceClass
from core.remote.s3_errors import Present, SlowDown, answered_error, unanswered_error
from core.remote.store import AT_MOST, PLAIN, ObjectFacts, ObjectInfo, Progress, checked_key

if TYPE_CHECKING:
    from botocore.config import Config

AT_ONCE = 16
SINGLE_PUT = 64 * 1024 * 1024
PART = 16 * 1024 * 1024
"""R2 wants all parts of an upload but the last to be equally large."""
SMALL_BODY = 1024 * 1024
_CHUNK = 256 * 1024
_RANGES = 4
_ATTEMPTS = 4
_PROFILES = ("r2", "aws", "other")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a bucket is; an empty ``endpoint`` is AWS's own for the region."""

    bucket: str
    prefix: str
    endpoint: str
    region: str
    profile: str

    @property
    def url(self) -> str:
        """The address without anything secret."""
        options = {"endpoint": self.endpoint, "profile": self.profile, "region": self.region}
        told = "&".join(f"{name}={value}" for name, value in options.items() if value)
        return f"s3://{self.bucket}{'/' + self.prefix.rstrip('/') if self.prefix else ''}?{told}"


def read_address(url: str) -> S3Address:
    """The address in ``s3://BUCKET[/PREFIX]?endpoint=…&profile=r2|aws|other&region=…``; raises InvalidInput."""
    parts = urlsplit(url)
    hint = "Such as s3://workflow-docs?endpoint=https://ACCOUNT.r2.cloudflarestorage.com&profile=r2"
    if parts.username or parts.password:
        raise InvalidInput("Credentials do not belong into the URL.", "Put them into the environment or the keychain.")
    options = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if unknown := options.keys() - {"endpoint", "profile", "region"}:
        raise InvalidInput(f"The remote's URL has an option {min(unknown)} that is not known.", hint)
    endpoint, profile = options.get("endpoint", ""), options.get("profile", "")
    if not parts.netloc or (endpoint and urlsplit(endpoint).scheme not in ("http", "https")):
        raise InvalidInput("The remote's URL names no bucket, or an endpoint that is none.", hint)
    if not profile:
        profile = "r2" if ".r2.cloudflarestorage.com" in endpoint else "other" if endpoint else "aws"
    if profile not in _PROFILES:
        raise InvalidInput(f"There is no profile {profile}.", f"Known: {', '.join(_PROFILES)}.")
    if profile == "r2" and not endpoint:
        raise InvalidInput("R2 needs the endpoint of your account.", hint)
    region = options.get("region") or ("auto" if profile == "r2" else "us-east-1")
    prefix = parts.path.strip("/")
    return S3Address(parts.netloc, f"{prefix}/" if prefix else "", endpoint, region, profile)


def open_s3(url: str, environ: Mapping[str, str]) -> S3Store:
    """The store at ``url``; raises InvalidInput for what is no such URL, and RemoteRefused without credentials."""
    address = read_address(url)
    return S3Store(address, find_credentials(address.bucket, environ))


def client_config(region: str) -> Config:
    """How boto3 is to speak, for the reasons above."""
    from botocore.config import Config

    return Config(
        region_name=region,
        signature_version="s3v4",
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"payload_signing_enabled": True, "addressing_style": "path"},
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=AT_ONCE + 4,
        connect_timeout=5,
        read_timeout=30,
        user_agent_extra="bailiwick",
    )


def without_expect(params: dict[str, Any], **_: Any) -> None:
    """Take ``Expect: 100-continue`` off small bodies; an event handler of botocore."""
    body: Any = params.get("body")
    size = getattr(body, "size", None)
    if size is None:
        size = len(body.getbuffer()) if hasattr(body, "getbuffer") else 0
    if size <= SMALL_BODY:
        params["headers"].pop("Expect", None)


class S3Store:
    """A bucket, or a prefix in it. Safe from any thread; sixteen requests at once are a good number."""

    read_only = False

    def __init__(self, address: S3Address, credentials: Credentials) -> None:
        """Makes no request."""
        self.name = address.url
        self.meter = OperationMeter()
        self._address = address
        self._credentials = credentials
        self._client_made: Any = None
        self._lock = threading.Lock()

    @property
    def client(self) -> Any:
        """The boto3 client; made when first needed, for loading it takes a second."""
        with self._lock:
            if self._client_made is None:
                import boto3

                held = self._credentials
                client = boto3.session.Session().client(
                    "s3",
                    endpoint_url=self._address.endpoint or None,
                    aws_access_key_id=held.key_id,
                    aws_secret_access_key=held.secret.text(),
                    aws_session_token=held.token.text() if held.token is not None else None,
                    config=client_config(self._address.region),
                )
                client.meta.events.register_last("before-call.s3", without_expect)
                self._client_made = client
            return self._client_made

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """As ``ObjectStore.put_if_absent``."""
        return self._put(key, data, facts, progress, absent=True)

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """As ``ObjectStore.put``."""
        self._put(key, data, facts, progress, absent=False)

    def _put(
        self, key: str, data: bytes | Path, facts: ObjectFacts, progress: Progress | None, *, absent: bool
    ) -> bool:
        if isinstance(data, Path):
            if data.stat().st_size > SINGLE_PUT:
                from core.remote.multipart import upload

                return upload(self, checked_key(key), data, facts, progress, absent=absent)
            data = data.read_bytes()
        arguments = {**self._facts(facts), **self._object(key), "Body": data, "ContentLength": len(data)}
        arguments["ChecksumSHA256"] = base64.b64encode(hashlib.sha256(data).digest()).decode()
        if absent:
            arguments["IfNoneMatch"] = "*"
        if progress is not None:
            progress(0, len(data))
        try:
            self.request(PriceClass.A, "put_object", up=len(data), **arguments)
        except Present:
            return False
        except SlowDown:
            # Of one key R2 takes a write a second: somebody else has just put this one, or it is tried again later.
            if absent and self.head(key) is not None:
                return False
            raise
        if progress is not None:
            progress(len(data), len(data))
        return True

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
        with self._body(key, first, length, at_most, progress) as chunks:
            pieces.extend(chunks)
        return b"".join(pieces)

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """As ``ObjectStore.get_to``; what is large comes in several ranges at once."""
        digest = hashlib.sha256()
        info = self.head(key)
        if info is None:
            raise ObjectMissing(f"There is no {key} in {self.name}.")
        if info.size > at_most:
            raise ObjectTooLarge(f"{key} in the remote has {info.size:,} bytes; at most {at_most:,} are read.")
        if info.size <= PART:
            data = self.get(key, at_most=at_most, progress=progress)
            target.write_bytes(data)
            return hashlib.sha256(data).hexdigest()
        done = 0
        with ThreadPoolExecutor(_RANGES) as pool, target.open("wb") as file:
            ranges = deque(range(0, info.size, PART))
            waiting: deque[Future[bytes]] = deque()
            while ranges or waiting:
                while ranges and len(waiting) < _RANGES:
                    waiting.append(pool.submit(self.get, key, first=ranges.popleft(), length=PART, at_most=PART))
                piece = waiting.popleft().result()
                digest.update(piece)
                file.write(piece)
                done += len(piece)
                if progress is not None:
                    progress(done, info.size)
        if done != info.size:
            raise RemoteUnreachable(f"{key} changed on its way from {self.name}.", "Try again.")
        return digest.hexdigest()

    @contextmanager
    def _body(
        self, key: str, first: int, length: int | None, at_most: int, progress: Progress | None
    ) -> Iterator[Iterator[bytes]]:
        arguments = self._object(key)
        if length == 0:
            yield iter(())
            return
        if first or length is not None:
            arguments["Range"] = f"bytes={first}-{'' if length is None else first + length - 1}"
        answer = self.request(PriceClass.B, "get_object", **arguments)
        body, size = answer["Body"], int(answer["ContentLength"])
        try:
            if size > at_most:
                raise ObjectTooLarge(f"{key} in the remote has {size:,} bytes; at most {at_most:,} are read.")
            yield self._chunks(key, body, size, at_most, progress)
        finally:
            body.close()

    def _chunks(self, key: str, body: Any, size: int, at_most: int, progress: Progress | None) -> Iterator[bytes]:
        done = 0
        try:
            while chunk := body.read(_CHUNK):
                done += len(chunk)
                if done > at_most:
                    raise ObjectTooLarge(f"{key} in the remote has more than {at_most:,} bytes.")
                if progress is not None:
                    progress(done, size)
                yield chunk
        except Exception as error:
            known = unanswered_error(error, self.name)
            if known is None:
                raise
            raise known from None
        if done != size:
            raise RemoteUnreachable(f"{key} was cut off on its way from {self.name}.", "Try again.")
        self.meter.count_bytes(down=done)

    def head(self, key: str) -> ObjectInfo | None:
        """As ``ObjectStore.head``."""
        try:
            answer = self.request(PriceClass.B, "head_object", ChecksumMode="ENABLED", **self._object(key))
        except ObjectMissing:
            return None
        held = answer.get("ChecksumSHA256", "")
        try:
            sha256 = base64.b64decode(held).hex() if held and "-" not in held else ""
        except ValueError:
            sha256 = ""
        return ObjectInfo(key, int(answer["ContentLength"]), answer["LastModified"], sha256)

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """As ``ObjectStore.list``."""
        own = self._address.prefix
        arguments: dict[str, Any] = {"Prefix": own + prefix, "MaxKeys": min(limit, 1000)}
        if after:
            arguments["StartAfter"] = own + after
        answer = self.request(PriceClass.A, "list_objects_v2", Bucket=self._address.bucket, **arguments)
        return [
            ObjectInfo(each["Key"][len(own) :], int(each["Size"]), each["LastModified"])
            for each in answer.get("Contents", [])
        ]

    def delete(self, keys: Sequence[str]) -> None:
        """As ``ObjectStore.delete``: one by one, for only that is free of charge on R2."""
        for key in keys:
            self.request(PriceClass.FREE, "delete_object", **self._object(key))

    def close(self) -> None:
        """As ``ObjectStore.close``."""
        with self._lock:
            client, self._client_made = self._client_made, None
        if client is not None:
            client.close()

    # For the rest of this room

    def request(self, price: PriceClass, operation: str, *, up: int = 0, **arguments: Any) -> Any:
        """One request, tried again a few times where nothing is lost by that; raises what ``ObjectStore`` says."""
        action: Callable[..., Any] = getattr(self.client, operation)
        for attempt in range(_ATTEMPTS):
            started = time.perf_counter()
            answered = True
            try:
                return action(**arguments)
            except Exception as error:
                lost = unanswered_error(error, self.name)
                answered = lost is None
                known = lost or answered_error(error, self.name, operation)
                if known is None:
                    raise
                if not isinstance(known, RemoteUnreachable) or attempt + 1 == _ATTEMPTS:
                    raise known from None
            finally:
                self.meter.count(price, (time.perf_counter() - started) * 1000, up=up, answered=answered)
            time.sleep(min(2.0, 0.05 * 2**attempt) * _jitter())
        raise AssertionError("the last attempt answers or raises")

    def named(self, key: str) -> dict[str, Any]:
        """The arguments that name an object."""
        return self._object(key)

    def stored(self, facts: ObjectFacts) -> dict[str, Any]:
        """The arguments that say how it is stored."""
        return self._facts(facts)

    def _object(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._address.bucket, "Key": self._address.prefix + checked_key(key)}

    @staticmethod
    def _facts(facts: ObjectFacts) -> dict[str, Any]:
        told = {
            "ContentType": facts.content_type,
            "ContentEncoding": facts.content_encoding,
            "CacheControl": facts.cache_control,
        }
        return {name: value for name, value in told.items() if value}


def _jitter() -> float:
    import random

    return random.uniform(0.5, 1.5)
