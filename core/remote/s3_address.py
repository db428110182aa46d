"""Where a bucket is: the parts of ``s3://BUCKET[/PREFIX]?endpoint=…&profile=…&region=…``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from core.errors import InvalidInput

_PROFILES = ("r2", "aws", "other")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9\-]{2,40}")
_R2 = ".r2.cloudflarestorage.com"
_HINT = "Such as s3://workflow-docs?endpoint=https://ACCOUNT.r2.cloudflarestorage.com&profile=r2"
_NO_CREDENTIALS = "Credentials do not belong into the URL."
_WHERE_CREDENTIALS = "Put them into the environment or the keychain."


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a bucket is; an empty ``endpoint`` is AWS's own, and ``prefix`` ends with a slash where there is one."""

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
        return f"s3://{self.bucket}{'/' + quote(self.prefix.rstrip('/')) if self.prefix else ''}?{told}"


def read_address(url: str) -> S3Address:
    """The address in ``url``. Raises InvalidInput, which repeats nothing of a URL that holds credentials."""
    try:
        parts = urlsplit(url)
        has_credentials = parts.username is not None or parts.password is not None
    except ValueError:
        raise InvalidInput("That is no URL of a bucket.", _HINT) from None
    if has_credentials:
        raise InvalidInput(_NO_CREDENTIALS, _WHERE_CREDENTIALS)
    if not _BUCKET.fullmatch(parts.netloc):
        raise InvalidInput(
            f"{parts.netloc[:80]!r} cannot be a bucket's name.", "It has 3 to 63 small letters, digits, dots, hyphens."
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := options.keys() - {"endpoint", "profile", "region"}:
        raise InvalidInput(f"The remote's URL has an option {min(unknown)[:40]} that is not known.", _HINT)
    endpoint = _checked_endpoint(options.get("endpoint", ""), parts.netloc)
    profile = options.get("profile", "") or _profile(endpoint)
    if profile not in _PROFILES:
        raise InvalidInput(f"There is no profile {profile[:40]}.", f"Known: {', '.join(_PROFILES)}.")
    if not endpoint and profile != "aws":
        raise InvalidInput(
            "R2 needs the endpoint of your account." if profile == "r2" else "The URL names no endpoint.", _HINT
        )
    region = options.get("region") or ("auto" if profile == "r2" else "us-east-1")
    if not _REGION.fullmatch(region):
        raise InvalidInput(f"{region[:40]!r} cannot be a region.", "Such as auto, us-east-1 or eu-central-1.")
    return S3Address(parts.netloc, _checked_prefix(unquote(parts.path)), endpoint, region, profile)


def _profile(endpoint: str) -> str:
    if not endpoint:
        return "aws"
    host = urlsplit(endpoint).hostname or ""
    return "r2" if host.endswith(_R2) else "aws" if host.endswith(".amazonaws.com") else "other"


def _checked_prefix(path: str) -> str:
    prefix = path.strip("/")
    if prefix and (not prefix.isprintable() or any(part in ("", ".", "..") for part in prefix.split("/"))):
        raise InvalidInput(f"{prefix[:80]!r} cannot be a folder in a bucket.")
    return f"{prefix}/" if prefix else ""


def _checked_endpoint(endpoint: str, bucket: str) -> str:
    """The endpoint as it was written: a jurisdiction or a path in it is the user's choice."""
    if not endpoint:
        return ""
    try:
        parts = urlsplit(endpoint)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        has_credentials = parts.username is not None or parts.password is not None
    except ValueError:
        usable = has_credentials = False
    if has_credentials:
        raise InvalidInput(_NO_CREDENTIALS, _WHERE_CREDENTIALS)
    if not usable or parts.query or parts.fragment or not endpoint.isprintable():
        raise InvalidInput("The endpoint in the remote's URL is no address.", _HINT)
    if parts.path.strip("/") == bucket:
        raise InvalidInput(
            "The endpoint ends with the bucket's name.", f"Leave /{bucket} out of it: s3://{bucket} names the bucket."
        )
    return endpoint
