"""A public library tree over plain HTTPS: read only, without keys, whole objects and ranges."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from core.errors import InvalidInput, ObjectMissing, ObjectTooLarge, RemoteRefused, RemoteUnreachable
from core.remote.meter import OperationMeter, PriceClass
from core.remote.store import AT_MOST, PLAIN, ObjectFacts, ObjectInfo, Progress, checked_key

_CHUNK = 256 * 1024
_SECONDS = 30.0
_COMPRESSED: Mapping[str, str] = {"Accept-Encoding": "gzip"}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class _BeyondEnd(Exception):
    """The object ends before the range."""


class _NoDetours(urllib.request.HTTPRedirectHandler):
    """Follows no redirection to another host, nor from HTTPS to HTTP."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        if (before.scheme, before.netloc) != (after.scheme, after.netloc):
            raise RemoteRefused("The public library sends elsewhere; that is not followed.", "Name its real address.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class HttpsStore:
    """Safe from any thread. What is stored compressed (``Content-Encoding: gzip``) is given as it was before."""

    read_only = True

    def __init__(self, url: str) -> None:
        """Raises InvalidInput for what is no HTTPS address; HTTP is taken of this machine alone."""
        parts = urlsplit(url)
        if parts.username or parts.password or not parts.hostname:
            raise InvalidInput("That is no address of a public library.", "Such as https://docs.example.org/library")
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise InvalidInput("A public library is read over HTTPS.", "Begin its address with https://")
        self.name = url.rstrip("/")
        self.meter = OperationMeter()
        self._opener = urllib.request.build_opener(_NoDetours())

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
        if not first and length is None:
            return b"".join(self._chunks(key, at_most, progress))
        if length == 0:
            return b""
        part = self._part(key, first, length, at_most, progress)
        if part is None:
            whole = b"".join(self._chunks(key, AT_MOST, progress))
            part = whole[first:] if length is None else whole[first : first + length]
        if len(part) > at_most:
            raise ObjectTooLarge(f"{key} has more than {at_most:,} bytes there.")
        return part

    def get_to(self, key: str, target: Path, *, at_most: int = AT_MOST, progress: Progress | None = None) -> str:
        """As ``ObjectStore.get_to``."""
        digest = hashlib.sha256()
        with target.open("wb") as file:
            for chunk in self._chunks(key, at_most, progress):
                digest.update(chunk)
                file.write(chunk)
        return digest.hexdigest()

    def head(self, key: str) -> ObjectInfo | None:
        """As ``ObjectStore.head``."""
        try:
            with self._answer(key, "HEAD") as answer:
                return ObjectInfo(key, _length(answer), _modified(answer))
        except ObjectMissing:
            return None

    def list(self, prefix: str, *, after: str = "", limit: int = 1000) -> list[ObjectInfo]:
        """Not over HTTPS: raises RemoteRefused."""
        raise RemoteRefused("A public library cannot be listed.", "Its libraries/index.json tells what there is.")

    def put_if_absent(
        self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None
    ) -> bool:
        """Not over HTTPS: raises RemoteRefused."""
        raise self._cannot_write()

    def put(self, key: str, data: bytes | Path, facts: ObjectFacts = PLAIN, progress: Progress | None = None) -> None:
        """Not over HTTPS: raises RemoteRefused."""
        raise self._cannot_write()

    def delete(self, keys: Sequence[str]) -> None:
        """Not over HTTPS: raises RemoteRefused."""
        raise self._cannot_write()

    def close(self) -> None:
        """There is nothing to close."""

    def _cannot_write(self) -> RemoteRefused:
        return RemoteRefused(f"{self.name} can only be read.", "Set a folder or a bucket as the remote.")

    def _part(self, key: str, first: int, length: int | None, at_most: int, progress: Progress | None) -> bytes | None:
        """A range of what is not stored compressed, ``None`` where the server sends no ranges of it."""
        last = "" if length is None else first + length - 1
        wanted = {"Accept-Encoding": "identity", "Range": f"bytes={first}-{last}"}
        most = at_most if length is None else min(length, at_most)
        try:
            with self._answer(key, "GET", wanted) as answer:
                if answer.status != 206 or answer.headers.get("Content-Encoding", "identity") != "identity":
                    return None
                data = bytes(answer.read(most + 1))
        except _BeyondEnd:
            return b""
        except (OSError, HTTPException) as error:
            raise RemoteUnreachable(f"{key} was cut off or damaged on its way.", "Try again.") from error
        self.meter.count_bytes(down=len(data))
        if progress is not None:
            progress(len(data), len(data))
        if len(data) > most:
            raise ObjectTooLarge(f"{key} has more than {most:,} bytes there.")
        return data

    def _chunks(self, key: str, at_most: int, progress: Progress | None) -> Iterator[bytes]:
        done = 0
        with self._answer(key, "GET") as answer:
            total = _length(answer)
            if total > at_most:
                raise ObjectTooLarge(f"{key} has {total:,} bytes; at most {at_most:,} are read.")
            source: Any = answer
            if answer.headers.get("Content-Encoding", "") == "gzip":
                source = gzip.GzipFile(fileobj=io.BufferedReader(answer), mode="rb")
            try:
                while chunk := source.read(_CHUNK):
                    done += len(chunk)
                    if done > at_most:
                        raise ObjectTooLarge(f"{key} has more than {at_most:,} bytes.")
                    if progress is not None:
                        progress(done, max(total, done))
                    yield chunk
                if total and source is answer and done != total:
                    raise EOFError
            except (OSError, HTTPException, EOFError, zlib.error) as error:
                raise RemoteUnreachable(f"{key} was cut off or damaged on its way.", "Try again.") from error
            finally:
                self.meter.count_bytes(down=done)

    @contextmanager
    def _answer(self, key: str, method: str, headers: Mapping[str, str] = _COMPRESSED) -> Iterator[Any]:
        request = urllib.request.Request(f"{self.name}/{quote(checked_key(key))}", method=method, headers=dict(headers))
        started, answered = time.perf_counter(), True
        try:
            try:
                answer = self._opener.open(request, timeout=_SECONDS)
            except urllib.error.HTTPError as error:
                with contextlib.closing(error):
                    if error.code == 416:
                        raise _BeyondEnd from None
                    if error.code in (404, 410):
                        raise ObjectMissing(f"There is no {key} at {self.name}.") from None
                    if error.code >= 500 or error.code == 429:
                        raise RemoteUnreachable(f"{self.name} is out of order ({error.code}).", "Try later.") from None
                    raise RemoteRefused(f"{self.name} refused ({error.code}).", "Is it public?") from None
            except (OSError, HTTPException) as error:
                answered = False
                if "CERTIFICATE" in str(error).upper():
                    raise RemoteUnreachable(f"{self.name} does not prove who it is (TLS).", "Look at it.") from None
                raise RemoteUnreachable(f"{self.name} does not answer.", "Are you online?") from None
        finally:
            self.meter.count(PriceClass.B, (time.perf_counter() - started) * 1000, answered=answered)
        with answer:
            yield answer


def _length(answer: Any) -> int:
    text = str(answer.headers.get("Content-Length") or "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _modified(answer: Any) -> datetime:
    try:
        return parsedate_to_datetime(answer.headers["Last-Modified"]).astimezone(UTC)
    except (TypeError, ValueError):
        return datetime.now(UTC)
