"""What S3 servers and the way to them complain of, as one sentence with what to do."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from core.errors import BailiwickError, InvalidInput, ObjectMissing, RemoteRefused, RemoteUnreachable, StorageFull

_PAUSE = frozenset({"SlowDown", "TooManyRequests", "Throttling", "ThrottlingException", "RequestLimitExceeded"})
_KEYS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "TokenRefreshRequired",
        "InvalidSecurity",
        "Unauthorized",
        "AuthFailure",
        "InvalidClientTokenId",
    }
)
_REGION = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException", "301"})
_DOING = {
    "list_objects_v2": "list objects",
    "delete_object": "delete objects",
    "get_object": "read objects",
    "head_object": "read objects",
}
_WORD = re.compile(r"[A-Za-z0-9.\-]{1,60}")
NOT_BILLED = frozenset({401, 403})
"""Answers that R2 and S3 charge nothing for."""


class Present(InvalidInput):
    """There is an object already."""


class SlowDown(RemoteUnreachable):
    """The store asks for a pause."""


class Unsure(RemoteUnreachable):
    """Several asked for the same object at once; who won is told by looking."""


class BeyondEnd(ObjectMissing):
    """The object ends before what was asked for."""


class NoRules(ObjectMissing):
    """The bucket has no lifecycle rules."""


class ChecksumUnknown(RemoteRefused):
    """The store does not take the header with the SHA-256."""


def is_unconnected(error: Exception) -> bool:
    """Whether the request never reached a store, so that nothing became of it and nobody bills it."""
    from botocore import exceptions as boto

    kinds = (boto.EndpointConnectionError, boto.ConnectTimeoutError, boto.SSLError, boto.ProxyConnectionError)
    return isinstance(error, kinds)


def status_of(error: Exception) -> int:
    """The HTTP status that a store answered, 0 where it answered nothing."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)


def unanswered_error(error: Exception, name: str) -> RemoteUnreachable | None:
    """The error for a request that nothing answered, ``None`` when ``error`` is something else."""
    from botocore import exceptions as boto
    from urllib3 import exceptions as http

    if isinstance(error, boto.SSLError):
        return RemoteUnreachable(
            f"The remote {name} does not prove who it is (TLS).", "Look at the endpoint's address."
        )
    if isinstance(error, boto.IncompleteReadError | boto.ResponseStreamingError):
        return RemoteUnreachable(f"What came from {name} was cut off.", "Try again.")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | http.HTTPError | ConnectionError | TimeoutError):
        return RemoteUnreachable(f"The remote {name} does not answer.", "Are you online, and is the endpoint right?")
    return None


def answered_error(error: Exception, name: str, operation: str) -> BailiwickError | None:
    """The error for what the store answered, ``None`` when ``error`` is neither an answer nor boto3's own."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, ResponseParserError):
        return RemoteRefused(f"What answers at {name} is no S3 server.", "Look at the endpoint's address.")
    if not isinstance(error, boto.ClientError):
        if isinstance(error, boto.BotoCoreError):
            return RemoteRefused(f"The remote {name} cannot be asked ({type(error).__name__}).", "Look at its address.")
        return None
    told, status = error.response.get("Error", {}), status_of(error)
    code, message = str(told.get("Code", "")), str(told.get("Message", ""))
    if status == 412 or code == "PreconditionFailed":
        return Present("There is an object already.")
    if status == 409 or code in ("ConditionalRequestConflict", "OperationAborted"):
        return Unsure(f"The remote {name} was asked by several at once.", "Try again.")
    if status == 429 or code in _PAUSE:
        return SlowDown(f"The remote {name} asks for a pause.", "It goes on by itself; ask it less often.")
    if status in (400, 501) and "checksum" in message.lower() and operation == "put_object":
        return ChecksumUnknown(f"The remote {name} does not take checksums.", "Use another store.")
    if status == 507 or code in ("QuotaExceeded", "InsufficientStorage", "XMinioStorageFull"):
        return StorageFull(f"The remote {name} is full.", "Free some space there, or raise its quota.")
    if code == "RequestTimeout" or (status >= 500 and status != 501):
        return RemoteUnreachable(f"The remote {name} is out of order ({status}).", "Try again later.")
    return _refused(code, message, status, name, operation, error.response)


def _refused(
    code: str, message: str, status: int, name: str, operation: str, response: dict[str, Any]
) -> BailiwickError:
    match code:
        case "NoSuchBucket" | "InvalidBucketName":
            return RemoteRefused(f"There is no such bucket at {name}.", "Make it, or look at its name.")
        case "404" | "NotFound" if operation in ("list_objects_v2", "put_object"):
            return RemoteRefused(f"There is no such bucket at {name}.", "Look at its name, and at the endpoint.")
        case "NoSuchKey" | "404" | "NotFound" | "NoSuchUpload":
            return ObjectMissing(f"It is not in the remote {name}.")
        case "NoSuchLifecycleConfiguration":
            return NoRules(f"The bucket of {name} has no lifecycle rules.")
        case "InvalidRange" | "416":
            return BeyondEnd(f"An object of the remote {name} is shorter than it was.")
        case "RequestTimeTooSkewed" | "RequestExpired" | "RequestInTheFuture":
            return RemoteRefused(
                f"This machine's clock differs {_difference(response)}from the remote's.",
                "Set the clock; nothing else is wrong.",
            )
        case "XAmzContentSHA256Mismatch" | "BadDigest" | "InvalidDigest" | "IncompleteBody":
            return RemoteUnreachable(f"What was sent to {name} arrived damaged.", "Try again.")
        case "EntityTooLarge":
            return RemoteRefused(f"The remote {name} takes no object of that size.", "Use another store.")
    if code in _REGION or "expecting '" in message:
        return RemoteRefused(
            f"The bucket of {name} is in another region.", f"Name it: …&region={_region(response) or 'REGION'}"
        )
    if code == "NotImplemented" or status == 501:
        return RemoteRefused(f"The remote {name} cannot do what synchronising needs.", "Use another store.")
    if code in _KEYS or status == 401 or "access key" in message.lower():
        return RemoteRefused(f"The remote {name} does not know these credentials.", "Look at the key and its secret.")
    if status == 403:
        doing = _DOING.get(operation, "write objects")
        return RemoteRefused(f"These credentials may not {doing} at {name}.", "Give them that right.")
    shown = code if _WORD.fullmatch(code) else str(status)
    return RemoteRefused(f"The remote {name} refused ({shown}).", "`bailiwick remote probe` tells more.")


def _region(response: dict[str, Any]) -> str:
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    told = str(headers.get("x-amz-bucket-region") or response.get("Error", {}).get("Region") or "")
    return told if _WORD.fullmatch(told) else ""


def _difference(response: dict[str, Any]) -> str:
    try:
        theirs = parsedate_to_datetime(response["ResponseMetadata"]["HTTPHeaders"]["date"])
        minutes = abs((datetime.now(UTC) - theirs).total_seconds()) / 60
    except (KeyError, TypeError, ValueError):
        return "too much "
    return f"by {minutes:,.0f} minutes " if minutes >= 1 else "too much "
