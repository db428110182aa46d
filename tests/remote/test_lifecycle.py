"""The store sweeps temp/ where the credentials may say so; the bucket's other rules stay."""

from __future__ import annotations

from pathlib import Path

from core.remote.lifecycle import set_temporary_rule
from core.remote.opening import open_store
from tests.remote.hostile_server import ENVIRON, Trouble, hostile_server
from tests.remote.s3_server import Bucket, bucket, s3_server

__all__ = ["bucket", "s3_server"]


def test_a_rule_is_set_beside_those_that_are_there(bucket: Bucket) -> None:
    client = bucket.server.client()
    theirs = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [theirs]})
    for url in (bucket.url, bucket.url, bucket.url.replace("?", "/team/docs?")):
        assert set_temporary_rule(open_store(url, bucket.environ)).is_set
    rules = client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert {each["ID"]: (each["Filter"]["Prefix"], each["Expiration"]["Days"]) for each in rules} == {
        "logs": ("logs/", 30),
        "bailiwick-temp": ("temp/", 7),
        "bailiwick-temp-team-docs": ("team/docs/temp/", 7),
    }


def test_where_there_were_no_rules_there_is_one(bucket: Bucket) -> None:
    assert set_temporary_rule(open_store(bucket.url, bucket.environ)).is_set
    rules = bucket.server.client().get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert [each["ID"] for each in rules] == ["bailiwick-temp"]


def test_who_may_set_no_rule_is_told(tmp_path: Path) -> None:
    with hostile_server() as hostile:
        hostile.always = {"GET": Trouble(403, "AccessDenied"), "PUT": Trouble(501, "NotImplemented")}
        rule = set_temporary_rule(open_store(hostile.url, ENVIRON))
        assert not rule.is_set
        assert "may set no rule" in rule.reason
        assert "sweeps it itself" in rule.reason
        assert [kind for kind, _ in hostile.requests] == ["GET"]
    assert not set_temporary_rule(open_store(str(tmp_path), {})).is_set
