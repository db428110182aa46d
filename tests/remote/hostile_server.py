"""A store that lies: it ignores conditions, cuts off, answers with errors or too much, as a test tells it to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

BUCKET = "docs"
ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secretsecret"}
DATE = "Tue, 03 Mar 2026 10:00:00 GMT"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is answered in place of the truth; ``after`` the request was obeyed or before."""

    status: int
    code: str = ""
    extra: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    after: bool = False
    html: bool = False


HANG_UP = Trouble(0)
HANG_UP_AFTER = Trouble(0, after=True)


@dataclass(slots=True)
class HostileStore:
    """Objects by key, and how the store misbehaves."""

    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    troubles: dict[str, list[Trouble]] = field(default_factory=dict)
    """For a method, or ``LIST``, what is answered to the next requests."""
    always: dict[str, Trouble] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    ignores_conditions: bool = False
    ignores_ranges: bool = False
    cuts: int = 0
    """So many answers end in the middle."""
    claims: int = 0
    """How many bytes each object is said to have."""
    listed: list[str] | None = None
    """What each list answers, whatever was asked."""
    endpoint: str = ""
    bytes_sent: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        """What ``open_store`` takes."""
        return f"s3://{BUCKET}?endpoint={self.endpoint}"

    def trouble(self, kind: str) -> Trouble | None:
        """What is to be answered to this request in place of the truth."""
        with self.lock:
            waiting = self.troubles.get(kind)
            return waiting.pop(0) if waiting else self.always.get(kind)


@contextlib.contextmanager
def hostile_server() -> Iterator[HostileStore]:
    """Such a store, served on the loopback address."""
    store = HostileStore()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing is logged."""

        def handle_one_request(self) -> None:
            with contextlib.suppress(ConnectionError):
                super().handle_one_request()

        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if len(body) < int(self.headers["Content-Length"]):
                self.close_connection = True
                return
            with self._begun("PUT") as key:
                if key is None:
                    return
                with store.lock:
                    there = key in store.objects and "If-None-Match" in self.headers and not store.ignores_conditions
                    if not there:
                        store.objects[key] = body
                self._error(Trouble(412, "PreconditionFailed")) if there else self._answer(200, b"", ETag='"1"')

        def do_DELETE(self) -> None:
            with self._begun("DELETE") as key:
                if key is None:
                    return
                store.objects.pop(key, None)
                self._answer(204, b"")

        def do_HEAD(self) -> None:
            with self._begun("HEAD") as key:
                if key is None:
                    return
                if key in store.objects:
                    self._answer(200, store.objects[key], ETag='"1"')
                else:
                    self._error(Trouble(404))

        def do_GET(self) -> None:
            if "list-type" in parse_qs(urlsplit(self.path).query):
                self._list()
                return
            with self._begun("GET") as key:
                if key is None:
                    return
                if key not in store.objects:
                    self._error(Trouble(404, "NoSuchKey"))
                    return
                data, status, extra = store.objects[key], 200, {"ETag": '"1"', **store.headers}
                if (asked := self.headers.get("Range")) and not store.ignores_ranges:
                    first, _, last = asked.removeprefix("bytes=").partition("-")
                    end = min(int(last or len(data)), len(data) - 1)
                    extra["Content-Range"] = f"bytes {first}-{end}/{store.claims or len(data)}"
                    data, status = data[int(first) : end + 1], 206
                self._answer(status, data, **extra)

        def _list(self) -> None:
            with self._begun("LIST") as key:
                if key is None:
                    return
                query = parse_qs(urlsplit(self.path).query)
                after, prefix = query.get("start-after", [""])[0], query.get("prefix", [""])[0]
                keys = sorted(each for each in store.objects if each.startswith(prefix) and each > after)
                keys = keys if store.listed is None else store.listed
                rows = "".join(
                    f"<Contents><Key>{each}</Key><Size>1</Size><LastModified>2026-03-03T10:00:00.000Z</LastModified>"
                    f"</Contents>"
                    for each in keys
                )
                more = str(store.listed is not None).lower()
                self._answer(
                    200, f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{rows}</ListBucketResult>".encode()
                )

        @contextlib.contextmanager
        def _begun(self, kind: str) -> Iterator[str | None]:
            key = unquote(urlsplit(self.path).path).removeprefix(f"/{BUCKET}/").lstrip("/")
            store.requests.append((kind, key))
            trouble = store.trouble(kind)
            if trouble is None:
                yield key
                return
            if trouble.after:
                store.objects[key] = b"obeyed"
            self._error(trouble)
            yield None

        def _error(self, trouble: Trouble) -> None:
            if not trouble.status:
                self.close_connection = True
                return
            text = f"<Error><Code>{trouble.code}</Code><Message>no</Message>{trouble.extra}</Error>"
            body = b"<html><body>Welcome" if trouble.html else text.encode()
            self._answer(trouble.status, body, **dict(trouble.headers))

        def _answer(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response_only(status)
            shown = store.claims if store.claims and status in (200, 206) else len(body)
            for name, value in {
                "Date": self.date_time_string(),
                "Last-Modified": DATE,
                **headers,
                "Content-Length": str(shown),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD" or status == 204:
                return
            if self.command == "GET" and status in (200, 206) and store.cuts:
                store.cuts -= 1
                body = body[: len(body) // 2]
                self.close_connection = True
            if shown > len(body):
                self.close_connection = True
            with store.lock:
                store.bytes_sent += len(body)
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    store.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
