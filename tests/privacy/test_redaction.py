"""What redaction takes out, and what it leaves as it was."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled import CLASSIFIER, PARTS, Case, cases

from core.model import JSONValue
from core.privacy import Classifier, Finding, FindingKind, RedactionRefused, redact

ALL = tuple(case for part in PARTS for case in cases(part))
TOKEN = "gh" + "p_" + "Q3vR8sT1uW5xY7zA2bC4dE6fG9hJ0kL1mN3p"
PASSWORD = "Wint3r-is-" + "c0ld"


def test_equal_values_get_equal_placeholders() -> None:
    redacted = redact("a.b@nordwind.se, c.d@nordwind.se and a.b@nordwind.se from 84.113.22.190", CLASSIFIER)
    assert redacted.value == "<email-1>, <email-2> and <email-1> from <ip-1>"
    assert redacted.counts == {FindingKind.EMAIL: 3, FindingKind.IP_ADDRESS: 1}


def test_numbers_begin_anew_in_every_item() -> None:
    assert redact("x.y@nordwind.se", CLASSIFIER).value == redact("other@quarzwerk.de", CLASSIFIER).value == "<email-1>"


def test_placeholders_already_in_the_text_are_not_given_again() -> None:
    assert redact("<email-1> wrote to p.q@nordwind.se", CLASSIFIER).value == "<email-1> wrote to <email-2>"


def test_json_keeps_its_types_and_order() -> None:
    value: JSONValue = {
        "mara.l@nordwind.se": {"n": 3, "password": PASSWORD, "ok": True, "none": None, "f": 1.5},
        "list": [1, f"login with {PASSWORD}", {"home": "/home/karla/x"}],
        "by": "karla",
        "api_key": 12345678901234567890123,
    }
    redacted = redact(value, Classifier())
    assert redacted.value == {
        "<email-1>": {"n": 3, "password": "<secret-1>", "ok": True, "none": None, "f": 1.5},
        "list": [1, "login with <secret-1>", {"home": "<home-1>/x"}],
        "by": "<user-1>",
        "api_key": 12345678901234567890123,
    }
    assert list(redacted.value) == ["<email-1>", "list", "by", "api_key"]  # type: ignore[arg-type]
    assert value["list"] == [1, f"login with {PASSWORD}", {"home": "/home/karla/x"}]


def test_lines_fences_and_line_ends_stay() -> None:
    label = "PRIV" + "ATE KEY-----"
    body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\r\n" * 5
    block = f"-----BEGIN {label}\r\n{body}-----END {label}"
    text = f"# Key\r\n```pem\r\n{block}\r\n```\r\nend\u2028x"
    redacted = str(redact(text, CLASSIFIER).value)
    assert redacted == "# Key\r\n```pem\r\n<secret-1>" + "\r\n" * 6 + "<secret-1>\r\n```\r\nend\u2028x"
    assert len(redacted.splitlines()) == len(text.splitlines())


def test_a_text_inside_a_placeholder_stays() -> None:
    classifier = Classifier(("email", "home"))
    assert redact("email me: x.y@nordwind.se, home", classifier).value == "<user-1> me: <email-1>, <user-2>"


def test_keys_that_become_equal_are_refused() -> None:
    assert redact({"x.y@nordwind.se": 1, "<email-1>": 2}, CLASSIFIER).value == {"<email-2>": 1, "<email-1>": 2}


def test_too_deep_values_are_refused() -> None:
    value: JSONValue = "x"
    for _ in range(5000):
        value = [value]
    with pytest.raises(RedactionRefused, match="nested too deeply"):
        redact(value, CLASSIFIER)


def test_what_is_still_found_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn:
        """Finds something everywhere, whatever was replaced."""

        def with_user_names(self, names: object) -> Stubborn:
            return self

        def classify_field(self, name: str, value: str) -> tuple[Finding, ...]:
            return (Finding(0, 1, FindingKind.PHONE, "always"),)

    with pytest.raises(RedactionRefused) as caught:
        redact("0123 of Mara", Stubborn())  # type: ignore[arg-type]
    assert "phone" in str(caught.value)
    assert "Mara" not in str(caught.value)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.id)
def test_every_case_comes_out_clean(case: Case) -> None:
    redacted = redact(case.text, CLASSIFIER)
    assert CLASSIFIER.classify(str(redacted.value)) == ()
    assert len(str(redacted.value).splitlines()) == len(case.text.splitlines())
    if not CLASSIFIER.classify(case.text):
        assert redacted.value == case.text


PIECES = st.sampled_from(
    [
        "mara.l@nordwind.se",
        "84.113.22.190",
        "/home/karla",
        "karla",
        "mlindqvist",
        "MARA-LAPTOP",
        "+49 30 901820",
        TOKEN,
        f'password = "{PASSWORD}"',
        PASSWORD,
        "postgres://app:t4Kd9-wq2Zx@db/x",
        "<email-1>",
        "\n",
        "\r\n",
        "```\n",
        " ",
        '"',
        "#",
        "a",
        "@",
        ".",
        "/",
        ": ",
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=14).map("".join)
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.booleans(), st.none(), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)


@settings(deadline=None, max_examples=250)
@given(TEXTS)
def test_texts(text: str) -> None:
    findings = CLASSIFIER.classify(text)
    once = str(redact(text, CLASSIFIER).value)
    assert redact(once, CLASSIFIER).value == once
    assert len(once.splitlines()) == len(text.splitlines())
    for finding in findings:
        found = text[finding.start : finding.end]
        if finding.kind in (FindingKind.USER_NAME, FindingKind.HOST_NAME):
            assert re.search(rf"(?<![^\W_]){re.escape(found)}(?![^\W_])", once) is None
        else:
            assert found not in once
    if not findings:
        assert once == text


@settings(deadline=None, max_examples=150)
@given(VALUES)
def test_json_values(value: JSONValue) -> None:
    redacted = redact(value, CLASSIFIER)
    assert _shape(redacted.value) == _shape(value)
    assert redact(redacted.value, CLASSIFIER).value == redacted.value
    json.dumps(redacted.value)


def _shape(value: JSONValue) -> object:
    if isinstance(value, dict):
        return [_shape(each) for each in value.values()]
    if isinstance(value, list):
        return (tuple(_shape(each) for each in value),)
    return type(value)
