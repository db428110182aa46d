"""Personal data in a text: e-mail addresses, telephone numbers, IP addresses, home paths, names of users and hosts.

Reserved and fictitious values are nobody's and are not found: RFC 2606 and RFC 6761 domains, RFC 5737, RFC 3849 and
RFC 9637 address ranges, the numbers that American and British regulators keep for fiction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from core.privacy.findings import Finding, FindingKind
from core.privacy.known_texts import KnownWords

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

_EMAIL = re.compile(
    r"(?<![\w.+%/@-])(?P<local>\w[\w.+'-]{0,63})(?:@|%40)(?P<domain>\w(?:[\w-]{0,62}\.){1,8}(?P<top>[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59}))"
    r"(?![\w@-])(?!\.\w)(?!:[\w./~-]+\.git\b)"
)
_RESERVED_DOMAIN = re.compile(
    r"(?i)(?:^|\.)(?:(?:example|test|invalid|localhost|local|internal|lan|home|corp|intranet)|example\.(?:com|org|net|edu)|(?:your|my)?-?_?(?:domain|company|site|host|server)\.\w+)$"
)
_NO_TOP_DOMAIN = frozenset(
    [
        "png",
        "jpg",
        "jpeg",
        "gif",
        "svg",
        "webp",
        "ico",
        "js",
        "jsx",
        "ts",
        "tsx",
        "mjs",
        "css",
        "scss",
        "py",
        "pyc",
        "rb",
        "go",
        "rs",
        "java",
        "kt",
        "php",
        "html",
        "htm",
        "xml",
        "json",
        "yml",
        "yaml",
        "toml",
        "md",
        "txt",
        "log",
        "lock",
        "tgz",
        "gz",
        "zip",
        "whl",
        "service",
        "socket",
        "timer",
        "target",
        "so",
        "dll",
        "exe",
        "conf",
        "cfg",
        "ini",
        "env",
        "local",
        "internal",
    ]
)
_COMMON_TOP_DOMAIN = frozenset(
    ["com", "org", "net", "edu", "gov", "mil", "int", "info", "biz", "name", "pro", "dev", "app", "cloud", "email"]
)
_NOBODY = re.compile(
    r"(?i)(?:no[-_.]?reply|do[-_.]?not[-_.]?reply|mailer-daemon|postmaster|git|hg|svn|you|your[-_.]?(?:name|email)?|"
    r"user(?:name)?|name|email|someone|somebody|foo|bar|root)"
)

_PHONE_INTERNATIONAL = re.compile(
    r"(?<![\w.+/=-])(?:\+|\(\+|00 ?(?=[1-9]))\d[\d \u00a0().\u2010-\u2013/-]{6,22}\d(?![\w])"
)
_PHONE_NATIONAL = re.compile(r"(?<![\w.+/=:#$€-])\(?\d[\d \u00a0().\u2010-\u2013/-]{6,18}\d(?![\w])")
_FICTION = re.compile(
    r"1\d{3}55501\d\d|44(?:207946|1[1-9]14960|7700900|2079460|8081570|909879|3069990)\d{3}|44\d{2,4}4960\d{3}"
)

_IPV4 = re.compile(r"(?<![\w.+~^=<>!-])(?<!\d,)(?:\d{1,3}\.){3}\d{1,3}(?![\w+~]|\.\d|-[a-z\d])")
_IPV6 = re.compile(
    r"(?i)(?<![\w:.])(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe[89ab][0-9a-f])(?::[0-9a-f]{0,4}){2,7}(?::\d{1,3}(?:\.\d{1,3}){3})?(?![\w:]|\.\d)"
)
_VERSION_BEFORE = re.compile(
    r"(?i)(?:\bv(?:er(?:sion)?)?s?|version\w*|release\w*|build|firmware|section|chapter|clause|chrome|safari|edge|opera|"
    r"assembly|revision|schema|oid|figure|table|step|part|kernel|driver|sdk|requires?|upgrade[ds]?(?:\s+(?:to|from))?|"
    r"bump\w*|package\w*|product\w*)[\"'\])]*\s*(?:[:=#/@]|is|to|from|number|no\.?)?\s*[\"'(]{0,2}$"
)
_PUBLIC_RESOLVERS = frozenset({"1.1.1.1", "1.0.0.1", "8.8.8.8", "8.8.4.4", "9.9.9.9", "169.254.169.254"})

_HOME = re.compile(
    r"(?i)(?<![\w.-])(?:(?P<unix>/(?:home|users)/)|(?P<windows>(?:/mnt/[a-z]/|/[a-z]/|[a-z]:(?:\\{1,4}|/))Users(?:\\{1,4}|/)))"
    r"(?P<name>\w[\w.@-]*(?<![.,;:]))"
)
_NO_HOME_NAME = frozenset(
    [
        "user",
        "users",
        "username",
        "name",
        "you",
        "your",
        "yourname",
        "your-name",
        "your_name",
        "me",
        "my",
        "myuser",
        "example",
        "someone",
        "somebody",
        "nobody",
        "app",
        "application",
        "runner",
        "runneradmin",
        "ubuntu",
        "debian",
        "ec2-user",
        "vscode",
        "vagrant",
        "node",
        "jovyan",
        "circleci",
        "travis",
        "jenkins",
        "gitpod",
        "codespace",
        "linuxbrew",
        "shared",
        "public",
        "default",
        "root",
        "admin",
        "guest",
        "foo",
        "bar",
        "build",
        "builder",
        "container",
        "docker",
        "docs",
        "git",
        "www-data",
        "postgres",
        "test",
        "site",
        "packages",
        "api",
        "login",
        "list",
        "search",
        "new",
        "edit",
        "index",
        "all",
        "profile",
        "settings",
        "create",
        "delete",
        "update",
        "count",
        "id",
    ]
)
_PLAIN_NAME = re.compile(r"[^\W_][\w.-]{2,63}")


def emails(text: str) -> Iterator[Finding]:
    """E-mail addresses, also with ``%40`` for ``@``; none of reserved domains, machines' senders or file names."""
    if "@" not in text and "%40" not in text:
        return
    for match in _EMAIL.finditer(text):
        domain, top = match["domain"].lower(), match["top"].lower()
        if len(top) > 2 and top not in _COMMON_TOP_DOMAIN and min(len(match["local"]), domain.find(".")) < 3:
            continue
        if (
            _RESERVED_DOMAIN.search(domain)
            or match["top"].lower() in _NO_TOP_DOMAIN
            or _NOBODY.fullmatch(match["local"])
        ):
            continue
        yield Finding(match.start(), match.end(), FindingKind.EMAIL, "email")


def phones(text: str, region: str | None = None) -> Iterator[Finding]:
    """Telephone numbers that exist by the numbering plans: international ones, with ``region`` also national ones.

    ``region`` is an ISO 3166 code such as ``DE``. A national number needs a separator in it: ten bare digits are more
    often an identifier. Numbers of organisations (toll-free, premium, shared cost) are not found.
    """
    if "+" in text or "00" in text:
        for match in _PHONE_INTERNATIONAL.finditer(text):
            number = match[0]
            plain = "+" + number[2:] if number.startswith("00") else number
            if _is_personal_number(plain.replace("+ ", "+"), None):
                yield Finding(match.start(), match.end(), FindingKind.PHONE, "phone_international")
    if region:
        for match in _PHONE_NATIONAL.finditer(text):
            if re.search(r"\d[ ()/\u00a0-]+\d", match[0]) and _is_personal_number(match[0], region):
                yield Finding(match.start(), match.end(), FindingKind.PHONE, "phone_national")


@lru_cache(maxsize=1024)
def _is_personal_number(number: str, region: str | None) -> bool:
    import phonenumbers

    matcher = phonenumbers.PhoneNumberMatcher(number, region, phonenumbers.Leniency.VALID)
    found = next(iter(matcher), None)
    if found is None or found.end - found.start < len(number.strip("() ")) - 1:
        return False
    kind = phonenumbers.number_type(found.number)
    unowned = (
        phonenumbers.PhoneNumberType.TOLL_FREE,
        phonenumbers.PhoneNumberType.PREMIUM_RATE,
        phonenumbers.PhoneNumberType.SHARED_COST,
    )
    plain = phonenumbers.format_number(found.number, phonenumbers.PhoneNumberFormat.E164).lstrip("+")
    return kind not in unowned and not _FICTION.fullmatch(plain)


def ip_addresses(text: str) -> Iterator[Finding]:
    """IPv4 and IPv6 addresses of hosts: no loopback, documentation, multicast or unspecified ones, masks, versions."""
    if text.count(".") >= 3:
        for match in _IPV4.finditer(text):
            before = text[max(0, match.start() - 40) : match.start()]
            if not _is_version(before) and _is_host(match[0], _prefix_length(text, match.end())):
                yield Finding(match.start(), match.end(), FindingKind.IP_ADDRESS, "ipv4")
    if text.count(":") >= 2:
        for match in _IPV6.finditer(text):
            end = match.end() - (1 if match[0].endswith(":") and not match[0].endswith("::") else 0)
            if _is_host(text[match.start() : end], _prefix_length(text, end)):
                yield Finding(match.start(), end, FindingKind.IP_ADDRESS, "ipv6")


def _is_version(before: str) -> bool:
    return _VERSION_BEFORE.search(before) is not None


def _prefix_length(text: str, end: int) -> int | None:
    match = re.compile(r"/(\d{1,3})(?![\w/])").match(text, end)
    return int(match[1]) if match else None


@lru_cache(maxsize=1024)
def _is_host(text: str, prefix: int | None) -> bool:
    from ipaddress import ip_address, ip_network

    try:
        address = ip_address(text)
        if (
            prefix is not None
            and prefix < address.max_prefixlen
            and ip_network(f"{text}/{prefix}", strict=False)[0] == address
        ):
            return False
    except ValueError:
        return False
    return text not in _PUBLIC_RESOLVERS and not _is_reserved(address)


def _is_reserved(address: IPv4Address | IPv6Address) -> bool:
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        return True
    if address.version == 4 and _is_network_or_mask(int(address)):
        return True
    return _is_documented(address)


def _is_network_or_mask(address: int) -> bool:
    """``x.y.z.0``, ``0.…`` and ``255.…``, and what is a version of four small numbers rather than an address."""
    first, last = address >> 24, address & 255
    small = first < 10 and address >> 16 & 255 < 10 and address >> 8 & 255 < 10 and last < 20
    return first in (0, 255) or last == 0 or small


@cache
def _documentation() -> tuple[object, ...]:
    from ipaddress import ip_network

    return tuple(
        ip_network(each) for each in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
    )


def _is_documented(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _documentation())  # type: ignore[operator]


def home_paths(text: str) -> Iterator[tuple[Finding, str]]:
    """Paths of people's home folders, each with the name of its owner; none of machines' accounts and placeholders."""
    lowered = text.lower()
    if "/home/" not in lowered and "users" not in lowered:
        return
    for match in _HOME.finditer(text):
        name = match["name"]
        if name.lower() in _NO_HOME_NAME or name.isdigit() or _is_file_name(name, text[match.end() : match.end() + 1]):
            continue
        if match["unix"] and match["unix"] == "/users/":
            continue
        yield Finding(match.start(), match.end(), FindingKind.HOME_PATH, "home_path"), name


def _is_file_name(name: str, after: str) -> bool:
    return "." in name and after not in ("/", "\\") and name.rpartition(".")[2].lower() in _NO_TOP_DOMAIN


def names(text: str, known: KnownWords, kind: FindingKind, rule: str) -> Iterator[Finding]:
    """Every place where one of ``known`` stands as a word of its own."""
    return (Finding(start, end, kind, rule) for start, end in known.spans(text))


def is_telling_name(name: str) -> bool:
    """Whether a name taken from a home path is worth looking for by itself in the rest of the item."""
    return _PLAIN_NAME.fullmatch(name) is not None and name.lower() not in _NO_HOME_NAME
