"""What S3 servers and the way to them complain of, as one sentence with what to do."""

from __future__ import annotations

from core.errors import BailiwickError, InvalidInput, ObjectMissing, RemoteRefused, RemoteUnreachable

_RETRIED = frozenset({"SlowDown", "TooManyRequests", "RequestTimeout", "Throttling", "ServiceUnavailable"})
_KEYS = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "TokenRefreshRequired"}
)
_DOING = {
    "list_objects_v2": "list objects",
    "delete_object": "delete objects",
    "put_object": "write objects",
    "get_object": "read objects",
    "head_object": "read objects",
}


class Present(InvalidInput):
    """There is an object already."""


class SlowDown(RemoteUnreachable):
    """The store asks for a pause."""


def unanswered_error(error: Exception, name: str) -> RemoteUnreachable | None:
    """The error for a request that nothing answered, ``None`` when ``error`` is something else."""
    from botocore import exceptions as boto
    from urllib3 import exceptions as http

    if isinstance(error, boto.SSLError):
        return RemoteUnreachable(
            f"The remote {name} does not prove who it is (TLS).", "Look at the endpoint's address."
        )
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | http.HTTPError | ConnectionError | TimeoutError):
        return RemoteUnreachable(f"The remote {name} does not answer.", "Are you online, and is the endpoint right?")
    if isinstance(error, boto.IncompleteReadError):
        return RemoteUnreachable(f"What came from {name} was cut off.", "Try again.")
    return None


def answered_error(error: Exception, name: str, operation: str) -> BailiwickError | None:
    """The error for what the store answered, ``None`` when ``error`` is no answer."""
    from botocore import exceptions as boto
    from botocore.parsers import ResponseParserError

    if isinstance(error, ResponseParserError):
        return RemoteRefused(f"What answers at {name} is no S3 server.", "Look at the endpoint's address.")
    if not isinstance(error, boto.ClientError):
        return None
    told = error.response.get("Error", {})
    code, status = str(told.get("Code", "")), int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if status == 412 or code == "PreconditionFailed":
        return Present("There is an object already.")
    if status == 409 or code in ("ConditionalRequestConflict", "OperationAborted"):
        # Somebody else is at the same object: who won is told by looking.
        return RemoteUnreachable(f"The remote {name} was asked by several at once.", "Try again.")
    if status == 429 or code in _RETRIED:
        return SlowDown(f"The remote {name} asks for a pause.", "It goes on by itself; ask it less often.")
    if status >= 500:
        return RemoteUnreachable(f"The remote {name} is out of order ({status}).", "Try again later.")
    return _refused(code, status, name, operation)


def _refused(code: str, status: int, name: str, operation: str) -> BailiwickError:
    match code:
        case "NoSuchBucket":
            return RemoteRefused(f"There is no such bucket at {name}.", "Make it, or look at its name.")
        case "NoSuchKey" | "404" | "NotFound":
            return ObjectMissing(f"It is not in the remote {name}.")
        case "InvalidRange" | "416":
            return ObjectMissing(f"An object of the remote {name} is shorter than it was.")
        case "RequestTimeTooSkewed" | "RequestExpired":
            return RemoteRefused(
                "This machine's clock differs too much from the remote's.", "Set the clock; nothing else is wrong."
            )
        case "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException":
            return RemoteRefused(f"The bucket of {name} is in another region.", "Name it: …&region=REGION.")
        case "XAmzContentSHA256Mismatch" | "BadDigest" | "InvalidDigest":
            return RemoteUnreachable(f"What was sent to {name} arrived damaged.", "Try again.")
        case "NotImplemented":
            return RemoteRefused(f"The remote {name} cannot do what synchronising needs.", "Use another store.")
    if code in _KEYS or status == 401:
        return RemoteRefused(f"The remote {name} does not know these credentials.", "Look at the key and its secret.")
    if status == 403:
        doing = _DOING.get(operation, "do that")
        return RemoteRefused(f"These credentials may not {doing} at {name}.", "Give them that right.")
    return RemoteRefused(f"The remote {name} refused ({code or status}).", "`bailiwick remote probe` tells more.")
