"""What really goes to R2: the requests over HTTPS, where boto3 by itself would send what R2 refuses."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from core.remote.lifecycle import set_temporary_rule
from core.remote.opening import open_store
from core.remote.s3 import PART, SINGLE_PUT
from core.remote.s3_client import SMALL_BODY, client_config
from core.remote.store import ObjectStore

ENDPOINT = "https://abc.eu.r2.cloudflarestorage.com"
URL = f"s3://workflow-docs?endpoint={ENDPOINT}&profile=r2"
ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secretsecret"}
ANSWERS = {
    "uploads": b"<InitiateMultipartUploadResult><UploadId>one</UploadId></InitiateMultipartUploadResult>",
    "uploadId": b"<CompleteMultipartUploadResult><ETag>random</ETag></CompleteMultipartUploadResult>",
    "list-type": b"<ListBucketResult></ListBucketResult>",
    "lifecycle": b"<LifecycleConfiguration></LifecycleConfiguration>",
}


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it would have left."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Answer:
    """The body of a response."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self.data


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Sent]:
    """Every request that was made instead of being sent; each is answered as well done."""
    kept: list[Sent] = []

    def send(_: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        body: Any = request.body or b""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        kept.append(Sent(request.method, request.url, headers, body if isinstance(body, bytes) else body.read()))
        answer = next((xml for word, xml in ANSWERS.items() if word in request.url), b"")
        status = 404 if request.method == "HEAD" else 200
        return AWSResponse(request.url, status, {"ETag": '"random"'}, Answer(answer))

    monkeypatch.setattr(URLLib3Session, "send", send)
    return kept


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    made = open_store(URL, {**ENVIRON, "BAILIWICK_HOME": str(tmp_path / "home")})
    yield made
    made.close()


def refused_by_r2(request: Sent) -> list[str]:
    """What R2 answers 501 or 401 to: trailers, bodies that are not signed, checksums beside parts and rules."""
    found = [name for name in ("x-amz-trailer", "x-amz-decoded-content-length", "x-amz-acl") if name in request.headers]
    if "aws-chunked" in request.headers.get("content-encoding", ""):
        found.append("aws-chunked")
    if not request.headers["x-amz-content-sha256"].isalnum():
        found.append("unsigned")
    if "lifecycle" in request.url and request.method == "PUT":
        found.extend(name for name in request.headers if "checksum" in name)
        assert request.headers["content-md5"] == base64.b64encode(hashlib.md5(request.body).digest()).decode()
    if "partNumber" in request.url:
        found.extend(name for name in request.headers if name.startswith("x-amz-checksum-sha"))
    return found


def test_a_put_carries_its_hash_in_the_signature_and_in_a_header(sent: list[Sent], store: ObjectStore) -> None:
    assert store.put_if_absent("a/b", b"body")
    (request,) = sent
    digest = hashlib.sha256(b"body")
    assert (request.method, request.url, request.body) == ("PUT", f"{ENDPOINT}/workflow-docs/a/b", b"body")
    assert request.headers["x-amz-content-sha256"] == digest.hexdigest()
    assert request.headers["x-amz-checksum-sha256"] == base64.b64encode(digest.digest()).decode()
    assert request.headers["if-none-match"] == "*"
    assert "/auto/s3/" in request.headers["authorization"]
    assert "expect" not in request.headers
    assert "secretsecret" not in str(request.headers)


def test_nothing_that_r2_refuses_is_sent(sent: list[Sent], store: ObjectStore, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(SINGLE_PUT + 1)
    assert store.put_if_absent("large", large)
    store.put("small", b"x")
    store.head("small")
    store.list("small/")
    store.delete(["small"])
    set_temporary_rule(store)
    assert len(sent) == 14
    assert [refused_by_r2(each) for each in sent] == [[]] * len(sent)
    assert all(each.url.startswith(f"{ENDPOINT}/workflow-docs") for each in sent)
    parts = sorted(len(each.body) for each in sent if "partNumber" in each.url)
    assert parts == [1, *[PART] * (SINGLE_PUT // PART)]
    assert [each.headers.get("if-none-match") for each in sent if each.method == "POST"] == [None, "*"]


def test_only_large_bodies_wait_to_be_asked_for(sent: list[Sent], store: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(SMALL_BODY))
    store.put("bytes", bytes(SMALL_BODY))
    store.put("file", tmp_path / "file")
    store.put("large", bytes(SMALL_BODY + 1))
    assert [each.headers.get("expect") for each in sent] == [None, None, "100-continue"]


def test_the_settings_are_ours_whatever_the_environment_says(
    sent: list[Sent], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("[default]\nregion = mars\nrequest_checksum_calculation = when_supported\n")
    for name, value in {
        "AWS_PROFILE": "nobody",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_ENDPOINT_URL": "https://elsewhere.example",
        "AWS_ENDPOINT_URL_S3": "https://elsewhere.example",
        "AWS_DEFAULT_REGION": "mars",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_supported",
        "AWS_MAX_ATTEMPTS": "10",
    }.items():
        monkeypatch.setenv(name, value)
    open_store(URL, ENVIRON).put("a", b"x")
    open_store("s3://workflow-docs?region=eu-central-1", ENVIRON).put("a", b"x")
    assert [each.url for each in sent] == [
        f"{ENDPOINT}/workflow-docs/a",
        "https://s3.eu-central-1.amazonaws.com/workflow-docs/a",
    ]
    assert [refused_by_r2(each) for each in sent] == [[], []]
    assert "/auto/s3/" in sent[0].headers["authorization"]
    assert client_config("auto").request_checksum_calculation == "when_required"


def test_a_store_without_checksums_is_spoken_to_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[bool] = []

    def send(_: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
        tried.append("x-amz-checksum-sha256" in {name.lower() for name in request.headers})
        text = b"<Error><Code>InvalidRequest</Code><Message>Unsupported header x-amz-checksum-sha256</Message></Error>"
        return AWSResponse(request.url, 400 if tried[-1] else 200, {}, Answer(text if tried[-1] else b""))

    monkeypatch.setattr(URLLib3Session, "send", send)
    store = open_store("s3://docs?endpoint=https://s3.example.com", ENVIRON)
    assert store.put_if_absent("a", b"x")
    assert store.put_if_absent("b", b"x")
    assert tried == [True, False, False]


def test_boto3_is_loaded_by_the_first_request() -> None:
    program = (
        "import sys; from core.remote import folder, probe, store; from core.remote.opening import open_store\n"
        f"opened = open_store({URL!r}, {ENVIRON!r})\n"
        "assert not {'boto3', 'botocore', 'urllib3'} & set(sys.modules), sorted(sys.modules)\n"
        "opened.client; assert 'boto3' in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=_environ())
    assert ended.returncode == 0, ended.stderr


def _environ() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
