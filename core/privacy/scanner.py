"""detect-secrets as a library: its plugins on a text in this process, no files, no git, no network, no settings.

Only the expressions and checks of its plugins are used, never its ``PotentialSecret``, its verification (which asks the
services) nor its allowlist comments, which a text could use to hide its own secrets. Its plugins are stateless once
built, so one set serves all threads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from core.privacy.assignments import names_no_secret
from core.privacy.secret_values import is_example_token, looks_like_password, looks_like_token, looks_random

if TYPE_CHECKING:
    from detect_secrets.plugins.base import RegexBasedDetector
    from detect_secrets.plugins.high_entropy_strings import HighEntropyStringsPlugin
    from detect_secrets.plugins.keyword import KeywordDetector

BASE64_LIMIT = 4.5
HEX_LIMIT = 3.0
_LONGEST_LINE = 600
# The keyword plugin's work in a line is the product of these two; ``assignments`` reads the other lines as well.
_MOST_KEYWORD_WORK = 2_000
# Several plugins try every division of the blanks around a sign.
_MANY_BLANKS = re.compile(r" {17,}")
_KEYWORDS = ("key", "pass", "pwd", "secret", "contrase")
_SECRET_BEFORE = re.compile(
    r"(?i)(?:secret|token|pass|auth|cred|salt|cipher|hmac|bearer|(?:api|sign|enc|priv)\w{0,12}[_-]?key)"
)
_HARMLESS_BEFORE = re.compile(
    r"(?i)integrity|sha-?\d|md5|checksum|digest|hash|etag|fingerprint|base64|data:|image|font|nonce|commit|\brev|uuid|\bcid|"
    r"\bid\b|_id\b|public|cert|ssh-|mapping|track|embed|thumb|content|cursor|url|path|src|href|\bsig\b|signature|class|test|expect|vector"
)
_LETTERS = re.compile(r"[A-Za-z0-9]")


@cache
def _formats() -> tuple[tuple[RegexBasedDetector, bool, tuple[str, ...]], ...]:
    """The plugins whose expressions name a format, whether the match must look random besides, and their triggers.

    A trigger is a lower-case literal without which the plugin can find nothing. Those for npm and OpenAI are left out:
    they read some texts as often as these are long, and ``secret_formats`` knows what they find.
    """
    from detect_secrets.plugins import (
        artifactory,
        aws,
        azure_storage_key,
        cloudant,
        discord,
        github_token,
        gitlab_token,
        ibm_cloud_iam,
        ibm_cos_hmac,
        mailchimp,
        pypi_token,
        sendgrid,
        slack,
        softlayer,
        square_oauth,
        stripe,
        telegram_token,
        twilio,
    )

    return (
        (artifactory.ArtifactoryDetector(), True, ("akc", "ap")),
        (cloudant.CloudantDetector(), True, ("cl",)),
        (discord.DiscordBotTokenDetector(), True, (".",)),
        (ibm_cloud_iam.IbmCloudIamDetector(), True, ("key", "pwd", "pass", "token")),
        (ibm_cos_hmac.IbmCosHmacDetector(), True, ("secret",)),
        (softlayer.SoftlayerDetector(), True, ("softlayer", "sl_", "sl-", "slkey", "slapi", "slpass", "sltoken")),
        (telegram_token.TelegramBotTokenDetector(), True, (":",)),
        (twilio.TwilioKeyDetector(), True, ("ac", "sk")),
        (aws.AWSKeyDetector(), False, ("a3t", "abia", "acca", "akia", "asia", "aws")),
        (azure_storage_key.AzureStorageKeyDetector(), False, ("accountkey=",)),
        (github_token.GitHubTokenDetector(), False, ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
        (gitlab_token.GitLabTokenDetector(), False, ("gl", "gr1348941")),
        (mailchimp.MailchimpDetector(), False, ("-us",)),
        (pypi_token.PypiTokenDetector(), False, ("pypi-age",)),
        (sendgrid.SendGridDetector(), False, ("sg.",)),
        (slack.SlackDetector(), False, ("xox", "hooks.slack.com")),
        (square_oauth.SquareOAuthDetector(), False, ("sq0csp-",)),
        (stripe.StripeDetector(), False, ("k_live_",)),
    )


@cache
def _entropy() -> tuple[HighEntropyStringsPlugin, HighEntropyStringsPlugin]:
    from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString

    return Base64HighEntropyString(BASE64_LIMIT), HexHighEntropyString(HEX_LIMIT)


@cache
def _keyword() -> KeywordDetector:
    from detect_secrets.plugins.keyword import KeywordDetector

    return KeywordDetector()


def scanned_formats(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and plugin of everything in ``text`` that has one of the plugins' formats and is no example."""
    lowered = text.lower()
    pieces = _pieces(text)
    for plugin, must_look_random, triggers in _formats():
        if not any(trigger in lowered for trigger in triggers):
            continue
        name = type(plugin).__name__
        for expression in plugin.denylist:
            for match in (match for piece in pieces for match in expression.finditer(text, *piece)):
                start, end = _secret_span(match)
                value = text[start:end]
                if _inside_a_word(text, start, end) or is_example_token(value):
                    continue
                if not must_look_random or looks_like_token(value, quoted=True):
                    yield start, end, name


def _pieces(text: str) -> list[tuple[int, int]]:
    """Where ``text`` is cut so that nowhere in a piece there are many blanks in a row."""
    cuts = [0, *(place for match in _MANY_BLANKS.finditer(text) for place in match.span()), len(text)]
    return list(zip(cuts[::2], cuts[1::2], strict=True))


def scanned_keywords(text: str) -> Iterator[tuple[int, int]]:
    """The values that the keyword plugin finds in lines of ordinary length and that look like secrets."""
    start = 0
    for line in text.splitlines(keepends=True):
        lowered = line.lower() if len(line) <= _LONGEST_LINE else ""
        if 0 < sum(map(lowered.count, _KEYWORDS)) * len(line) <= _MOST_KEYWORD_WORK:
            for value in _keyword().analyze_string(line):
                place = line.find(value)
                if place < 0 or names_no_secret(line[:place]):
                    continue
                if looks_like_token(value, quoted=True) and looks_like_password(value, quoted=True):
                    yield start + place, start + place + len(value)
        start += len(line)


def scanned_random_strings(text: str) -> Iterator[tuple[int, int, str]]:
    """Quoted strings of high entropy: hexadecimal ones beside a word of secrets, others unless named as harmless."""
    for plugin in _entropy():
        hexadecimal = plugin.entropy_limit == HEX_LIMIT
        for match in plugin.regex.finditer(text):
            value = match[2]
            if not 24 <= len(value) <= 200 or plugin.calculate_shannon_entropy(value) <= plugin.entropy_limit:
                continue
            before = text[max(0, match.start() - 80) : match.start()].rpartition("\n")[2]
            if hexadecimal:
                if (
                    _SECRET_BEFORE.search(before)
                    and looks_like_token(value, quoted=True)
                    and not _HARMLESS_BEFORE.search(before)
                ):
                    yield *match.span(2), type(plugin).__name__
            elif looks_random(value) and not _HARMLESS_BEFORE.search(before):
                yield *match.span(2), type(plugin).__name__


def _secret_span(match: re.Match[str]) -> tuple[int, int]:
    """The one group that holds the secret where a plugin marks it, else the match without the signs around it."""
    groups = [index for index in range(1, (match.re.groups or 0) + 1) if len(match[index] or "") >= 16]
    start, end = match.span(groups[0]) if groups else match.span()
    while start < end and match.string[start] in " \t\r\n\"'=:":
        start += 1
    while end > start and match.string[end - 1] in " \t\r\n\"'":
        end -= 1
    return start, end


def _inside_a_word(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start] if start else "", text[end : end + 1]
    return bool(_LETTERS.match(before) or _LETTERS.match(after))
