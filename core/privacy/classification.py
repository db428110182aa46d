"""Classification by content: which secrets and which personal data a text holds, and where."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from core.model import JSONValue
from core.privacy import personal_data
from core.privacy.assignments import assigned_secrets, promises_secret
from core.privacy.findings import Confidence, Finding, FindingKind, without_overlaps
from core.privacy.known_texts import KnownWords
from core.privacy.scanner import scanned_formats, scanned_keywords, scanned_random_strings
from core.privacy.secret_formats import SecretFormat, secret_formats
from core.privacy.secret_values import is_example_token, looks_like_password, looks_like_token

PLACEHOLDER = re.compile(rf"<(?:{'|'.join(FindingKind)})-[1-9]\d*>")
"""What redaction puts in the place of a finding; nothing inside one is ever a finding."""
# Whatever detect-secrets finds is as long as this, and has a digit in it or stands behind one of these words.
_LONG = re.compile(r"\S{12}")
_RUN = re.compile(r"[A-Za-z0-9_+/=.:~-]{12,}")
_PROMISING = ("key", "pass", "pwd", "secret", "contrase", "token")


@dataclass(frozen=True, slots=True)
class Classifier:
    """Finds secrets and personal data in texts.

    ``user_names`` and ``host_names`` are those of this machine and its people, looked for as words of their own;
    ``phone_region`` (ISO 3166, such as ``DE``) lets national telephone numbers be found too. Immutable and stateless:
    any number of threads may share one. The first use loads detect-secrets and phonenumbers (about half a second).
    """

    user_names: tuple[str, ...] = ()
    host_names: tuple[str, ...] = ()
    phone_region: str | None = None
    _users: KnownWords = field(init=False, repr=False, compare=False)
    _hosts: KnownWords = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_users", KnownWords(self.user_names, any_case=True))
        object.__setattr__(self, "_hosts", KnownWords(self.host_names, any_case=True))

    def classify(self, text: str) -> tuple[Finding, ...]:
        """The findings of ``text``, disjoint and in its order; the name in a home path counts everywhere in it."""
        return _outside_placeholders(text, (*secrets(text), *scanned_secrets(text), *self._personal_data(text)))

    def classify_field(self, name: str, value: str) -> tuple[Finding, ...]:
        """The findings of ``value``, which stands under the JSON key ``name``: a key may say that it is a secret."""
        found = self.classify(value)
        if value and promises_secret(name, value):
            whole = Finding(0, len(value), FindingKind.SECRET, "named_value", Confidence.LIKELY)
            found = _outside_placeholders(value, (*found, whole))
        return found

    def with_user_names(self, names: Iterable[str]) -> Classifier:
        """The same classifier that also looks for ``names``."""
        return replace(self, user_names=tuple(sorted({*self.user_names, *names})))

    def _personal_data(self, text: str) -> Iterator[Finding]:
        owners = KnownWords(home_owners(text), any_case=True)
        yield from personal_data.emails(text)
        yield from personal_data.phones(text, self.phone_region)
        yield from personal_data.ip_addresses(text)
        yield from (finding for finding, _ in personal_data.home_paths(text))
        yield from personal_data.names(text, owners, FindingKind.USER_NAME, "home_owner")
        yield from personal_data.names(text, self._users, FindingKind.USER_NAME, "user_name")
        yield from personal_data.names(text, self._hosts, FindingKind.HOST_NAME, "host_name")


def home_owners(text: str) -> Iterator[str]:
    """The names in the home paths of ``text`` that are worth looking for in the rest of its item."""
    return (name for _, name in personal_data.home_paths(text) if personal_data.is_telling_name(name))


def secrets(text: str) -> Iterator[Finding]:
    """Secrets by their own format or by the name of their value; without detect-secrets, so it is light to load."""
    lowered = text.lower()
    formats = secret_formats()
    for form in formats.shapes if formats.unbroken.search(text) is None else formats.tokens + formats.shapes:
        for trigger in form.triggers:
            if trigger in lowered:
                yield from _secrets_of(form, text)
                break
    for start, end in assigned_secrets(text, lowered):
        yield Finding(start, end, FindingKind.SECRET, "named_value", Confidence.LIKELY)


def scanned_secrets(text: str) -> Iterator[Finding]:
    """Secrets that the plugins of detect-secrets find; loads it."""
    for start, end, plugin in scanned_formats(text):
        yield Finding(start, end, FindingKind.SECRET, f"detect_secrets.{plugin}")
    for start, end in scanned_keywords(text):
        yield Finding(start, end, FindingKind.SECRET, "detect_secrets.KeywordDetector", Confidence.LIKELY)
    for start, end, plugin in scanned_random_strings(text):
        yield Finding(start, end, FindingKind.SECRET, f"detect_secrets.{plugin}", Confidence.LIKELY)


def holds_secret(text: str, *, published: bool = False) -> bool:
    """Whether ``classify`` finds a secret in ``text``; detect-secrets is loaded only where it could find one.

    Of ``published`` text, such as the documentation of a package, which is full of example passwords, only what has a
    secret's own format counts.
    """
    if any(not published or found.confidence is Confidence.CERTAIN for found in _outside(text, secrets(text))):
        return True
    if _LONG.search(text) is None:
        return False
    if not _promises(text) and not any(any(letter.isdigit() for letter in run[0]) for run in _RUN.finditer(text)):
        return False
    found_more = _outside(text, scanned_secrets(text))
    return any(not published or found.confidence is Confidence.CERTAIN for found in found_more)


def holds_secret_in(value: JSONValue, *, published: bool = False) -> bool:
    """As ``holds_secret``, of a JSON value: its text, and every key and text in it as it is, under its key.

    In the text alone a line's end is ``\\n``, whose ``n`` would hide the beginning of what follows. Raises
    RecursionError for what is nested too deeply.
    """
    text = json.dumps(value, ensure_ascii=False)
    if holds_secret(text, published=published):
        return True
    escapes, promises = "\\" in text, not published and _promises(text)
    if not escapes and not promises:
        return False
    named = list(named_texts(value))
    if escapes and holds_secret("\n".join(each for each, _ in named), published=published):
        return True
    return promises and any(name and each and promises_secret(name, each) for each, name in named)


def _promises(text: str) -> bool:
    lowered = text.lower()
    return any(word in lowered for word in _PROMISING)


def named_texts(value: JSONValue, name: str = "") -> Iterator[tuple[str, str]]:
    """Every key and every scalar but truths and nulls as text, each with the key it stands under."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key, ""
            yield from named_texts(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from named_texts(each, name)
    elif value is not None and not isinstance(value, bool):
        yield str(value), name


def _secrets_of(form: SecretFormat, text: str) -> Iterator[Finding]:
    for match in form.expression.finditer(text):
        groups = [name for name in ("secret", "quoted", "single") if match.groupdict().get(name)]
        start, end = match.span(groups[0]) if groups else match.span()
        value = text[start:end]
        if form.assigned:
            quoted = form.rule in ("url_password", "netrc", "curl_user", "sql_password")
            if looks_like_password(value, quoted) or looks_like_token(value, quoted):
                yield Finding(start, end, FindingKind.SECRET, form.rule, Confidence.LIKELY)
        elif not is_example_token(value):
            yield Finding(start, end, FindingKind.SECRET, form.rule)


def _outside_placeholders(text: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return without_overlaps(_outside(text, findings))


def _outside(text: str, findings: Iterable[Finding]) -> Iterable[Finding]:
    shields = [match.span() for match in PLACEHOLDER.finditer(text)] if "-" in text and "<" in text else []
    if not shields:
        return findings
    starts = [start for start, _ in shields]

    def is_shielded(finding: Finding) -> bool:
        # They do not overlap, so only the last that begins before it can hold it.
        place = bisect_right(starts, finding.start)
        return place > 0 and finding.end <= shields[place - 1][1]

    return (each for each in findings if not is_shielded(each))
