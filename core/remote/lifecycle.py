"""A rule by which the store itself deletes what is old under ``temp/``, where the credentials may set one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import BailiwickError, RemoteUnreachable
from core.remote.meter import PriceClass
from core.remote.store import ObjectStore

if TYPE_CHECKING:
    from core.remote.s3 import S3Store

RULE = "bailiwick-temp"
DAYS = 7
"""R2 and S3 act on rules about once a day; by then nothing under ``temp/`` is of use."""
_OWN_SWEEP = "Bailiwick sweeps it itself."


@dataclass(frozen=True, slots=True)
class TemporaryRule:
    """Whether the store sweeps ``temp/``, in a sentence too."""

    is_set: bool
    reason: str


def set_temporary_rule(store: ObjectStore) -> TemporaryRule:
    """Have the store delete what is older than a week under ``temp/``, and uploads unfinished for so long.

    The bucket's other rules stay as they are. What the credentials may not, or the store cannot, is no error: it is in
    the answer. Raises RemoteUnreachable.
    """
    from core.remote.s3 import S3Store

    if not isinstance(store, S3Store):
        return TemporaryRule(False, f"A store of this kind has no rules for temp/: {_OWN_SWEEP}")
    try:
        others = [each for each in _rules(store) if each.get("ID") != _name(store)]
        wanted = {
            "ID": _name(store),
            "Status": "Enabled",
            "Filter": {"Prefix": f"{store.prefix}temp/"},
            "Expiration": {"Days": DAYS},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": DAYS},
        }
        store.request(
            PriceClass.A,
            "put_bucket_lifecycle_configuration",
            Bucket=store.bucket,
            LifecycleConfiguration={"Rules": [*others, wanted]},
        )
    except RemoteUnreachable:
        raise
    except BailiwickError:
        return TemporaryRule(False, f"These credentials may set no rule for temp/: {_OWN_SWEEP}")
    return TemporaryRule(True, f"The store deletes what is older than {DAYS} days under temp/.")


def _name(store: S3Store) -> str:
    return f"{RULE}-{store.prefix.strip('/').replace('/', '-')}"[:255] if store.prefix else RULE


def _rules(store: S3Store) -> list[dict[str, Any]]:
    from core.remote.s3_errors import NoRules

    try:
        answer = store.request(PriceClass.B, "get_bucket_lifecycle_configuration", Bucket=store.bucket)
    except NoRules:
        return []
    return list(answer.get("Rules", []))
