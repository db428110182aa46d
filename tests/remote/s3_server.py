"""A real S3 server over HTTP for tests: moto's behind one lock, or the one that the environment names.

``from tests.remote.s3_server import bucket, s3_server`` gives a test module its fixtures. Tests of several processes
hand on ``bucket.url`` and ``bucket.environ``. ``s3_process()`` starts the server in a process of its own, which can be
stopped and started again with nothing in it; ``python -m tests.remote.s3_server PORT`` is that process.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

ENDPOINT_VARIABLE = "BAILIWICK_TEST_S3_ENDPOINT"
"""Where it is set, the tests run against that server: key ``AKIATEST``, secret ``secretsecret``."""


@dataclass(frozen=True, slots=True)
class S3Server:
    """A server that answers at ``endpoint``."""

    endpoint: str
    key_id: str = "AKIATEST"
    secret: str = "secretsecret"
    verifies_signatures: bool = False

    @property
    def environ(self) -> dict[str, str]:
        """The credentials as environment variables."""
        return {"AWS_ACCESS_KEY_ID": self.key_id, "AWS_SECRET_ACCESS_KEY": self.secret}

    def client(self) -> Any:
        """A boto3 client of the test's own, to look at what really lies there."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key_id,
            aws_secret_access_key=self.secret,
            region_name="us-east-1",
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
        )

    def new_bucket(self) -> Bucket:
        """A bucket that did not exist before."""
        name = f"test-{uuid.uuid4().hex[:12]}"
        self.client().create_bucket(Bucket=name)
        return Bucket(self, name)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket of one test."""

    server: S3Server
    name: str

    @property
    def url(self) -> str:
        """What ``open_store`` takes."""
        return f"s3://{self.name}?endpoint={self.server.endpoint}"

    @property
    def environ(self) -> dict[str, str]:
        """The credentials as environment variables."""
        return self.server.environ

    def contents(self) -> dict[str, bytes]:
        """Every object as it lies there, by key."""
        client = self.server.client()
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return {
            each["Key"]: client.get_object(Bucket=self.name, Key=each["Key"])["Body"].read()
            for page in pages
            for each in page.get("Contents", ())
        }

    def replace(self, key: str, body: bytes) -> None:
        """Put an object there past every check, as damage or an attacker would."""
        self.server.client().put_object(Bucket=self.name, Key=key, Body=body)

    def remove(self, key: str) -> None:
        """Delete an object past every check."""
        self.server.client().delete_object(Bucket=self.name, Key=key)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """The server; one per test process, started when first asked for."""
    named = os.environ.get(ENDPOINT_VARIABLE)
    if named:
        yield S3Server(named, verifies_signatures=True)
        return
    with served() as endpoint:
        yield S3Server(endpoint)


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """A fresh bucket."""
    return s3_server.new_bucket()


@contextlib.contextmanager
def served(port: int = 0) -> Iterator[str]:
    """moto's server in threads of this process; yields its endpoint."""
    server = _server(port)
    thread = threading.Thread(target=server.serve_forever, name="s3-server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@contextlib.contextmanager
def s3_process() -> Iterator[S3Server]:
    """The server as a process of its own."""
    command = [sys.executable, "-m", "tests.remote.s3_server", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield S3Server(process.stdout.readline().strip())
    finally:
        process.kill()
        process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def _server(port: int) -> BaseWSGIServer:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = DomainDispatcherApplication(create_backend_app)
    one_at_a_time = threading.Lock()

    class KeepsAlive(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing is logged."""

    def locked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        # moto checks a condition and writes in two steps, which the lock makes one.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        with one_at_a_time:
            answer = application(environ, start_response)
            try:
                return [b"".join(answer)]
            finally:
                if hasattr(answer, "close"):
                    answer.close()

    return make_server("127.0.0.1", port, locked, threaded=True, request_handler=KeepsAlive)


def main(port: str) -> None:
    """Serve until killed."""
    with served(int(port)) as endpoint:
        print(endpoint, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
