"""Whether a value looks like a secret: placeholders, examples, references and prose do not."""

from __future__ import annotations

import math
import re
from collections import Counter
from itertools import pairwise

PUBLISHED_EXAMPLES = frozenset(
    {
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "550e8400-e29b-41d4-a716-446655440000",
        "123e4567-e89b-12d3-a456-426614174000",
        "dQw4w9WgXcQ",
    }
)
"""Values that manuals everywhere print: the signature of the specimen JWT, the specimen UUIDs."""

_PLACEHOLDER_WORDS = re.compile(
    r"(?i)example|placeholder|change[-_ ]?me|changeit|your[-_ ]|[-_]here\b|insert[-_]|replace[-_ ]?(?:me|with|this)|"
    r"redacted|dummy|not[-_]?a?[-_]?real|fake[-_]|[-_]fake|sample[-_]|specimen|x{6,}|foo_?bar|dont[-_]?use|\.\.\.|…|"
    r"\*{3,}|•{3,}|\#{4,}"
)
_PLACEHOLDER_SHAPES = re.compile(
    r"<[^<>]*>|\$?\{\{?[^{}]*\}?\}|\$\([^()]*\)|\[[A-Za-z][A-Za-z _-]*\]|%\(?\w*\)?[sdr]|"
    r"%[A-Za-z_]\w*%|\$[A-Za-z_]\w*|@[A-Za-z_]\w*@|_{3,}"
)
_TRIVIAL = re.compile(
    r"(?i)(?:my[-_]?|the[-_]?|some[-_]?|test[-_]?|super[-_]?)*(?:test(?:ing|er)?|demo|foo|bar|baz|qux|pass(?:word|wd|phrase)?"
    r"|pwd|secret|token|api[-_]?key|key|hunter|letmein|admin|root|guest|user(?:name)?|postgres(?:ql)?|mysql|mariadb|mongo|redis|"
    r"rabbitmq|minio(?:admin)?|sa|qwerty|welcome|hello|world|default|value|string|text|none|null|nil|undefined|empty|true|"
    r"false|required|optional|abc|asdf|dev|development|local|localhost|staging|prod|production|changed?|wrong|invalid|"
    r"incorrect|correct|bad|good|old|new|valid|unset|secure|strong|weak|hidden|masked|prompt|ask|env|unknown|mock|stub)"
    r"(?:[-_]?(?:pass(?:word)?|secret|token|key|value))?[-_]?\d{0,4}!?"
)
_REFERENCE = re.compile(
    r"(?i)(?:!\w+|op://|vault:|env:|file:|ref\+|arn:|secret://|keyring:|ssm:|kms:|enc\[|projects/|https?://|\.{0,2}/|~/|[a-z]:\\|@)"
)
_CODE = re.compile(
    r"[\w.$]+\s*[(\[].*|&?[A-Za-z_$][\w$]*(?:(?:\.|->|::|\?\.)[A-Za-z_$][\w$]*)+|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[=:|&>].*|"
    r"(?:self|this|os|process|config|settings|env|request|args|options|params|data|ctx)\b.*",
    re.DOTALL,
)
_WORDS = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)(?:[-_. /,;:](?:[A-Z]?[a-z]+|[A-Z]+))*[.!?:,;]?")
_CAMEL = re.compile(r"[a-z]+(?:[A-Z][a-z]+)+|(?:[A-Z][a-z]+){2,}")
_PHRASE = re.compile(r"[A-Za-z]{2,}(?:[-_ .][A-Za-z0-9]{2,}){3,7}")
# Atomic, for a part of a few letters fits both alternatives.
_SLUG = re.compile(r"[a-z]+(?>[-_.:/](?:[a-z]+(?![a-z0-9])|[a-z0-9]{1,3}(?![a-z0-9])))+")
_MANY_SIGNS = 12


def is_placeholder(value: str) -> bool:
    """Whether ``value`` stands for a secret instead of being one: words, shapes, repetitions or sequences say so."""
    if value in PUBLISHED_EXAMPLES or _PLACEHOLDER_WORDS.search(value):
        return True
    if _PLACEHOLDER_SHAPES.fullmatch(value) or _is_trivial(value):
        return True
    body = re.sub(r"[^A-Za-z0-9]", "", value[-48:])
    return len(body) >= 8 and (_is_monotonous(body) or _is_sequence(body.lower()) or _is_repetition(body))


def is_example_token(value: str) -> bool:
    """The same for a token of a known format, whose prefix is not counted as a repetition or a sequence."""
    if any(value.endswith(each) for each in PUBLISHED_EXAMPLES) or _PLACEHOLDER_WORDS.search(value):
        return True
    body = re.sub(r"[^A-Za-z0-9]", "", value)[-24:]
    return _is_monotonous(body) or _is_sequence(body.lower()) or _is_repetition(body)


def looks_like_password(value: str, quoted: bool) -> bool:
    """Whether the value of something called a password is one a person may have chosen, and no word or reference."""
    if not 4 <= len(value) <= 256 or _is_no_value(value, quoted):
        return False
    if re.search(r"\s", value):
        return False
    if _WORDS.fullmatch(value) or _CAMEL.fullmatch(value):
        return _PHRASE.fullmatch(value) is not None
    letters = any(each.isalpha() for each in value)
    others = any(not each.isalpha() for each in value)
    return letters and others and (len(value) >= 6 or quoted)


def looks_like_token(value: str, quoted: bool) -> bool:
    """Whether the value of something called a token, a key or a secret is random enough to be one."""
    if not 12 <= len(value) <= 4096 or _is_no_value(value, quoted) or re.search(r"\s", value):
        return False
    if _WORDS.fullmatch(value) or _CAMEL.fullmatch(value) or _SLUG.fullmatch(value):
        return False
    digits = sum(each.isdigit() for each in value)
    if not digits and not (re.search(r"[a-z][A-Z]", value) and re.search(r"[A-Z]{2}", value)):
        return False
    if digits == len(value):
        return False
    return entropy(value) >= 3.0


def looks_random(value: str) -> bool:
    """Whether a quoted string with no name to it is too mixed to be an identifier, a path or a word."""
    if (
        not 24 <= len(value) <= 200
        or value.startswith("eyJ")
        or is_placeholder(value)
        or value.count("/") > len(value) // 12
    ):
        return False
    kinds = [("d" if each.isdigit() else "u" if each.isupper() else "l" if each.islower() else "s") for each in value]
    if not {"d", "u", "l"} <= set(kinds) or kinds.count("d") < 3 or kinds.count("s") > len(value) // 8:
        return False
    changes = sum(one != other for one, other in pairwise(kinds))
    return changes >= len(value) * 0.4


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of ``text``, in bits per character."""
    length = len(text)
    return -sum(count / length * math.log2(count / length) for count in Counter(text).values()) if length else 0.0


def _is_no_value(value: str, quoted: bool) -> bool:
    if is_placeholder(value) or _REFERENCE.match(value) or (_PLACEHOLDER_SHAPES.match(value) and "$2" not in value[:2]):
        return True
    if re.search(r"\$\{|\{\{|\$\(|<[\w -]+>", value):
        return True
    return (
        _CODE.fullmatch(value) is not None
        if not quoted
        else re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", value) is not None
    )


def _is_trivial(value: str) -> bool:
    return len(value) < 40 and _TRIVIAL.fullmatch(value) is not None


def _is_monotonous(body: str) -> bool:
    return len(body) >= 8 and len(set(body)) <= (4 if len(body) < 24 else 5)


def _is_sequence(body: str) -> bool:
    steps = sum(ord(other) - ord(one) in (1, -9) for one, other in pairwise(body))
    return len(body) >= 8 and steps >= 0.65 * (len(body) - 1)


def _is_repetition(body: str) -> bool:
    return len(body) >= 12 and any(
        body == (body[:size] * _MANY_SIGNS * 4)[: len(body)] for size in range(1, min(12, len(body) // 2) + 1)
    )
