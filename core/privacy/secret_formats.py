"""The formats of today's tokens and keys: what says by itself that it is a secret.

Each format names the literals that must be present before its expression is tried, so that a text without any of them
costs a few substring searches. The formats are those their issuers document (prefix, alphabet, length); lengths are
lower bounds where issuers have changed them. Source of the generic ones: RFC 7468 (PEM), RFC 7519 (JWT), RFC 3986
(user information in URLs), RFC 7617 and RFC 6750 (Authorization), the age v1 specification (Bech32 secret keys).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TypeAlias

_BEFORE = r"(?<![A-Za-z0-9_])"
_AFTER = r"(?![A-Za-z0-9])"
_WORD = r"[A-Za-z0-9_-]"
# Tried once in each unbroken run, or a run of many beginnings would be read as often as it is long.
_HEADER = rf"(?<!{_WORD})(?>(?:{_WORD}*?-)??(?=eyJ))"
_PEM_BODY = r"(?:(?!-----BEGIN)[\s\S]){40,20000}?"


@dataclass(frozen=True, slots=True)
class SecretFormat:
    """One format. ``triggers`` are lower-case literals; the secret is the group ``secret``, or the whole match.

    ``assigned``: the expression finds a name with a value, so the value must also look like a secret.
    """

    rule: str
    triggers: tuple[str, ...]
    expression: re.Pattern[str]
    assigned: bool


@dataclass(frozen=True, slots=True)
class SecretFormats:
    """All formats: ``tokens`` need not be tried on a text in which ``unbroken`` finds nothing."""

    unbroken: re.Pattern[str]
    tokens: tuple[SecretFormat, ...]
    shapes: tuple[SecretFormat, ...]


_Row: TypeAlias = tuple[str, tuple[str, ...], str]
_Table: TypeAlias = tuple[_Row, ...]


def _token(rule: str, prefix: str, body: str) -> _Row:
    return rule, (prefix.lower(),), f"{_BEFORE}{re.escape(prefix)}{body}{_AFTER}"


_TOKENS: _Table = (
    (
        "aws_key_id",
        ("akia", "asia", "abia", "acca", "a3t"),
        rf"{_BEFORE}(?:A(?:KIA|SIA|BIA|CCA)|A3T[A-Z0-9])[A-Z0-9]{{16}}{_AFTER}",
    ),
    (
        "aws_pair",
        ("akia", "asia"),
        (
            r"(?:AKIA|ASIA)[A-Z0-9]{16}[^A-Za-z0-9/+][\s\S]{0,120}?(?<![A-Za-z0-9/+=])"
            r"(?P<secret>(?=[A-Za-z0-9/+]{0,39}[A-Z])(?=[A-Za-z0-9/+]{0,39}[g-z])(?=[A-Za-z0-9/+]{0,39}[0-9])"
            r"[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
        ),
    ),
    ("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), rf"{_BEFORE}gh[pousr]_[A-Za-z0-9]{{36,255}}{_AFTER}"),
    _token("github_fine_grained", "github_pat_", r"[A-Za-z0-9]{22}_[A-Za-z0-9]{40,}"),
    ("gitlab_token", ("gl",), rf"{_BEFORE}gl(?:pat|dt|ft|soat|rt|rtr|cbt|ptt|agent|imt|ffct|oas)-{_WORD}{{20,}}"),
    _token("anthropic_key", "sk-ant-", rf"[a-z0-9]{{2,12}}-{_WORD}{{20,}}"),
    (
        "openai_key",
        ("sk-",),
        (
            rf"{_BEFORE}sk-(?:(?:proj|svcacct|admin|None)-{_WORD}{{20,}}"
            rf"|{_WORD}{{0,60}}[A-Za-z0-9]{{20}}T3BlbkFJ[A-Za-z0-9]{{20}}|[A-Za-z0-9]{{32,64}}){_AFTER}"
        ),
    ),
    _token("openrouter_key", "sk-or-v1-", r"[0-9a-f]{64}"),
    (
        "slack_token",
        ("xox", "xapp-"),
        rf"{_BEFORE}(?:xox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{{15,}}|xapp-\d-[A-Za-z0-9-]{{20,}}){_AFTER}",
    ),
    (
        "stripe_key",
        ("k_live_", "k_test_", "whsec_"),
        rf"{_BEFORE}(?:[rsp]k_(?:live|test)_[0-9a-zA-Z]{{16,}}|whsec_[A-Za-z0-9+/]{{24,}}){_AFTER}",
    ),
    _token("npm_token", "npm_", r"[A-Za-z0-9]{36}"),
    _token("pypi_token", "pypi-AgE", rf"{_WORD}{{50,}}"),
    _token("rubygems_key", "rubygems_", r"[0-9a-f]{48}"),
    _token("crates_token", "cio", r"[A-Za-z0-9]{32}"),
    _token("docker_token", "dckr_pat_", rf"{_WORD}{{20,}}"),
    (
        "age_secret_key",
        ("age-secret-key-",),
        r"AGE-SECRET-KEY-(?:PQ-)?1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7Lqpzry9x8gf2tvdw0s3jn54khce6mua7l]{40,}",
    ),
    ("google_key", ("aiza",), rf"{_BEFORE}AIza{_WORD}{{35}}(?!{_WORD})"),
    _token("google_client_secret", "GOCSPX-", rf"{_WORD}{{24,}}"),
    _token("google_access_token", "ya29.", rf"{_WORD}{{20,}}"),
    _token("google_refresh_token", "1//0", rf"{_WORD}{{40,}}"),
    ("azure_client_secret", ("q~",), rf"{_BEFORE}[A-Za-z0-9_~.]{{3}}[78]Q~[A-Za-z0-9_~.-]{{31,34}}(?![A-Za-z0-9_~.-])"),
    _token("sendgrid_key", "SG.", rf"{_WORD}{{20,24}}\.{_WORD}{{39,50}}"),
    ("mailgun_key", ("key-",), rf"{_BEFORE}key-[0-9a-f]{{32}}{_AFTER}"),
    ("mailchimp_key", ("-us",), rf"{_BEFORE}[0-9a-f]{{32}}-us\d{{1,2}}{_AFTER}"),
    ("twilio_key", ("sk",), rf"{_BEFORE}SK[0-9a-f]{{32}}{_AFTER}"),
    ("telegram_token", (":aa",), rf"(?<!\d)\d{{8,10}}:AA{_WORD}{{33}}(?!{_WORD})"),
    _token("huggingface_token", "hf_", r"[A-Za-z0-9]{30,}"),
    _token("replicate_token", "r8_", r"[A-Za-z0-9]{37}"),
    _token("groq_key", "gsk_", r"[A-Za-z0-9]{40,}"),
    _token("xai_key", "xai-", r"[A-Za-z0-9]{60,}"),
    _token("perplexity_key", "pplx-", r"[A-Za-z0-9]{40,}"),
    _token("databricks_token", "dapi", r"[0-9a-f]{32}(?:-\d)?"),
    ("digitalocean_token", ("_v1_",), rf"{_BEFORE}do[opr]_v1_[0-9a-f]{{64}}{_AFTER}"),
    ("shopify_token", ("shp",), rf"{_BEFORE}shp(?:at|ca|pa|ss)_[0-9a-fA-F]{{32}}{_AFTER}"),
    _token("linear_key", "lin_api_", r"[A-Za-z0-9]{40}"),
    _token("notion_token", "ntn_", r"[A-Za-z0-9]{40,}"),
    _token("figma_token", "figd_", rf"{_WORD}{{38,}}"),
    _token("postman_key", "PMAK-", r"[0-9a-f]{24}-[0-9a-f]{34}"),
    ("vault_token", ("hvs.", "hvb.", "hvr."), rf"{_BEFORE}hv[sbr]\.{_WORD}{{24,}}"),
    _token("terraform_token", ".atlasv1.", rf"{_WORD}{{40,}}"),
    (
        "grafana_token",
        ("glsa_", "glc_"),
        rf"{_BEFORE}(?:glsa_[A-Za-z0-9]{{32}}_[0-9a-f]{{8}}|glc_[A-Za-z0-9+/]{{32,}}={{0,2}})",
    ),
    _token("new_relic_key", "NRAK-", r"[A-Z0-9]{27}"),
    ("sentry_token", ("sntry",), rf"{_BEFORE}sntry[su]_[A-Za-z0-9+/=_]{{40,}}"),
    ("atlassian_token", ("atatt3", "atctt3"), rf"{_BEFORE}AT[AC]TT3[A-Za-z0-9_=-]{{40,}}"),
    ("supabase_key", ("sbp_", "sb_secret_"), rf"{_BEFORE}(?:sbp_[0-9a-f]{{40}}|sb_secret_{_WORD}{{20,}}){_AFTER}"),
    ("planetscale_token", ("pscale_",), rf"{_BEFORE}pscale_(?:tkn|pw|oauth)_{_WORD}{{32,}}"),
    _token("onepassword_token", "ops_eyJ", rf"{_WORD}{{40,}}"),
    ("square_token", ("sq0",), rf"{_BEFORE}sq0[a-z]{{3}}-{_WORD}{{22,}}"),
    ("fly_token", ("fm1", "fm2_"), rf"{_BEFORE}fm(?:1[ar]|2)_[A-Za-z0-9+/=_-]{{40,}}"),
    ("jwt", ("eyj",), rf"{_HEADER}(?P<secret>eyJ{_WORD}{{10,}}\.eyJ{_WORD}{{10,}}\.{_WORD}{{16,}})"),
    (
        "jwe",
        ("eyj",),
        rf"{_HEADER}(?P<secret>eyJ{_WORD}{{10,}}\.{_WORD}*\.{_WORD}{{8,}}\.{_WORD}{{8,}}\.{_WORD}{{16,}})",
    ),
)
"""Tokens that hold at least 20 characters without a break."""

_SHAPES: _Table = (
    (
        "slack_webhook",
        ("hooks.slack.com/",),
        r"hooks\.slack\.com/(?P<secret>(?:services|workflows|triggers)/[A-Za-z0-9+/]{30,})",
    ),
    ("npm_auth", (":_auth",), r":_auth(?:Token)?\s*=\s*(?P<secret>[A-Za-z0-9+/_-]{16,}={0,2})"),
    ("azure_account_key", ("accountkey=",), r"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    ("azure_sas", ("sig=",), r"[?&]sig=(?P<secret>[A-Za-z0-9%+/]{40,}={0,2})"),
    (
        "password_hash",
        ("$2", "$argon2", "$1$", "$5$", "$6$", "$y$"),
        (
            r"\$(?:2[abxy]\$\d\d\$[./A-Za-z0-9]{53}|argon2(?:id|i|d)\$[\w=,$]{8,60}\$[A-Za-z0-9+/]{8,}\$[A-Za-z0-9+/]{16,}|"
            r"(?:1|5|6|y)\$[./A-Za-z0-9=,$]{2,60}\$[./+A-Za-z0-9]{22,})"
        ),
    ),
    (
        "private_key",
        ("private key",),
        (
            r"-----BEGIN (?P<label>(?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?)-----"
            r"(?=(?:(?!-----)[\s\S]){0,600}?[A-Za-z0-9+/=]{24})"
            rf"(?:{_PEM_BODY}-----END (?P=label)-----"
            r"|(?:\s|\\[nr]|[#>*|\"',+])*(?:[A-Za-z0-9+/=:,\\-]{4,}\s*){1,400})"
        ),
    ),
    ("putty_private_key", ("private-lines:",), r"Private-Lines: \d+\s(?P<secret>(?:[A-Za-z0-9+/=]{16,}\s?){1,200})"),
)
"""Longer shapes, recognised by the words around the secret."""

_ASSIGNED: _Table = (
    (
        "url_password",
        ("://",),
        (
            r"[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\s:/?#\[\]@\"'<>`{}]{0,64}:"
            r"(?P<secret>[^\s/?#\[\]@\"'<>`]{3,200})@(?=[\w\[.%-])"
        ),
    ),
    (
        "authorization",
        ("authorization", "bearer ", "proxy-auth"),
        (
            r"(?i)(?:\bauthorization[\"']?\s{0,3}[:=]\s{0,3}[\"']?(?:basic|token|apikey|digest)\s+|\bbearer\s+)"
            r"[\"']?(?P<secret>[A-Za-z0-9._~+/-]{16,2000}={0,2})"
        ),
    ),
    ("sql_password", ("identified ",), r"(?i)\bidentified\s+(?:with\s+\S+\s+)?by\s+'(?P<secret>[^'\n]{4,200})'"),
    ("netrc", ("machine ",), r"\bmachine\s+\S{1,100}\s+login\s+\S{1,100}\s+password\s+(?P<secret>\S{3,200})"),
    (
        "curl_user",
        ("curl",),
        r"\bcurl\b[^\n]{0,300}?\s(?:-u|--user)[ =][\"']?[^\s:\"']{1,60}:(?P<secret>[^\s\"']{3,200})",
    ),
    (
        "option",
        ("--pass", "--token", "--secret", "--api", "--client-secret", "--auth", "sshpass"),
        (
            r"(?:--(?:[a-z]{1,20}-){0,3}(?:password|passwd|passphrase|token|secret|api-?key|secret-key)[ =]"
            r"|\bsshpass\s+-p\s?)"
            r"(?:\"(?P<quoted>[^\"\n]{4,200})\"|'(?P<single>[^'\n]{4,200})'|(?P<secret>[^\s\"']{4,200}))"
        ),
    ),
)


@cache
def secret_formats() -> SecretFormats:
    """Every format, compiled once per process on first use. Thread-safe."""
    return SecretFormats(
        re.compile(r"[A-Za-z0-9_+~.-]{20}"),
        _compiled(_TOKENS, assigned=False),
        (*_compiled(_SHAPES, assigned=False), *_compiled(_ASSIGNED, assigned=True)),
    )


def _compiled(table: _Table, assigned: bool) -> tuple[SecretFormat, ...]:
    return tuple(SecretFormat(rule, triggers, re.compile(expression), assigned) for rule, triggers, expression in table)
