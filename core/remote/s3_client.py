"""How boto3 is made to speak, for R2 above all.

Checksums of boto3's own only where required, for R2 refuses the trailer they come in; the body's SHA-256 in the
signature, so that what arrives is what was sent; no ``Expect: 100-continue`` on small bodies, for it costs a round
trip; path style; no retries, for those are ours; no redirection and nothing from boto3's own settings files, so that
requests go to the endpoint that the user wrote and carry the credentials that Bailiwick found.
"""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from typing import TYPE_CHECKING, Any

from core.errors import InvalidInput
from core.remote.credentials import Credentials
from core.remote.s3_address import S3Address

if TYPE_CHECKING:
    from botocore.config import Config

    from core.remote.body import Body

AT_ONCE = 32
"""Connections that are kept: at 40 ms of round trip 32 requests side by side are faster than 16, and more are not."""
SMALL_BODY = 1024 * 1024
_making = threading.Lock()


def client_config(region: str) -> Config:
    """The settings, for the reasons above."""
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
        tcp_keepalive=True,
        ignore_configured_endpoint_urls=True,
        user_agent_extra="bailiwick",
    )


def make_client(address: S3Address, credentials: Credentials) -> Any:
    """A boto3 client, safe from any thread; making it loads boto3, which takes a second, and sends nothing."""
    import boto3
    import botocore.session
    from botocore.exceptions import BotoCoreError

    nowhere = {
        "profile": (None, None, None, None),
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
    try:
        with _making:
            client = boto3.session.Session(botocore_session=botocore.session.Session(session_vars=nowhere)).client(
                "s3",
                endpoint_url=address.endpoint or None,
                aws_access_key_id=credentials.key_id,
                aws_secret_access_key=credentials.secret.text(),
                aws_session_token=credentials.token.text() if credentials.token is not None else None,
                config=client_config(address.region),
            )
    except (BotoCoreError, ValueError):
        raise InvalidInput(f"{address.url} is no address of a bucket.", "Look at its endpoint and region.") from None
    client.meta.events.register_last("before-call.s3", without_expect)
    client.meta.events.register_last("before-call.s3.PutBucketLifecycleConfiguration", with_md5)
    client.meta.events.register_last("before-send.s3", tell_the_body)
    client.meta.events.register_first("needs-retry.s3", without_redirection)
    return client


def without_expect(params: dict[str, Any], **_: Any) -> None:
    """Take ``Expect: 100-continue`` off small bodies."""
    body = params.get("body")
    if body is None or not hasattr(body, "__len__") or len(body) <= SMALL_BODY:
        params["headers"].pop("Expect", None)


def with_md5(params: dict[str, Any], **_: Any) -> None:
    """Carry the checksum that rules of a bucket need as MD5, which every store takes; R2 refuses others there."""
    params["context"].get("checksum", {}).pop("request_algorithm", None)
    digest = hashlib.md5(params["body"], usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()


def tell_the_body(request: Any, **_: Any) -> None:
    """From here on the body is sent, no longer hashed."""
    body: Body | None = request.body if hasattr(request.body, "sending") else None
    if body is not None:
        body.sending = True


def without_redirection(request_dict: dict[str, Any], **_: Any) -> None:
    """Let boto3 believe that it followed a redirection to another region already."""
    request_dict.setdefault("context", {}).setdefault("s3_redirect", {})["redirected"] = True
