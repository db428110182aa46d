"""Names that promise a secret, with the value given to them, in whatever language or format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from core.privacy.secret_values import looks_like_password, looks_like_token

_PASSWORDS = r"pass(?:word|wd|phrase|wort|code)?|pwd|contrase(?:ñ|n)a|kennwort|mot_de_passe"
_TOKENS = (
    r"secret(?:[_-]?(?:access[_-]?)?key)?|token|credentials?|"
    r"(?:api|access|auth|private|encryption|signing|account|service|client|master|license|session|hmac|webhook|storage|"
    r"shared|admin|app|db|database)[_-]?key"
)
_NO_SECRET_BEFORE = re.compile(
    r"(?:(?<![A-Za-z])|(?<=[a-z])(?=[A-Z]))(?i:next|page|continuation|cancel(?:lation)?|pagination|sync|pad|eos|bos|unk|mask|sep|cls|special|start|end|"
    r"stop|max|min|num|total|input|output|prompt|completion|cached?|public|primary|foreign|partition|sort|idempotency|"
    r"per|by|no|has|is|show|hide|forgot|reset|confirm|verify|csrf|xsrf|nonce|cursor|ssh|host)[_.-]?$"
)
_NO_SECRET_AFTER = re.compile(
    r"(?i)[_.-]?(?:len|length|min|max|policy|field|input|label|prompt|hint|regex|pattern|file|path|dir|folder|url|uri|"
    r"endpoint|env|var|variable|name|id|type|kind|count|limit|ttl|expir\w*|age|timeout|required|enabled|strength|reset|"
    r"error|message|help|title|placeholder|format|version|status|rotation|manager|store|provider|header|prefix|suffix|"
    r"algorithm|algo|encoding|column|param\w*|arg\w*|class|validator|generator|scope|scopes|issuer|audience|usage|"
    r"budget|size|index|ref|selector|arn|hash|digest|checksum|fingerprint|at|on|by|policy|rules?|group|vault|iz\w+)$"
)
_VALUE = (
    r"(?:\\?\"(?P<double>(?:[^\"\\\n]|\\[^\"\n]){1,600})\\?\"|'(?P<single>(?:[^'\\\n]|\\.){1,600})'|`(?P<tick>[^`\n]{1,600})`|"
    r"(?P<bare>[^\s\"'`,;<>(){}\[\]|][^\s\"'`,;<>|]{2,600}))"
)
_SIGN = (
    r"(?:[ \t]{0,20}(?::[ \t]{0,4}[A-Za-z_][\w.\[\]|]{0,30}[ \t]{0,4}=(?!=)|:=|=>|={1,3}|!==?|:(?!:))[ \t]{0,20}"
    r"(?:[bruf]{1,2}(?=[\"']))?"
    r"|,?\s{1,40}[\"']?value[\"']?[ \t]{0,4}[:=][ \t]{0,4}|[\"']?[ \t]{0,4}[,)][ \t]{0,4}(?=[\"'])|>(?=[^<\s]{4,200}</)"
    r"|[ \t]{1,4}(?:(?:is|lautet|est|es):?[ \t]{1,4}|(?='))|\([ \t]{0,4}(?=[\"'])"
    r"|:[ \t]{0,4}[>|][+-]?[ \t]{0,4}\n[ \t]{1,40})"
)


@cache
def _expressions() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    return (
        re.compile(rf"(?P<password>{_PASSWORDS})|(?P<token>{_TOKENS})"),
        re.compile(rf"(?P<suffix>[A-Za-z0-9_.-]{{0,32}})(?:\\?[\"'])?\]?{_SIGN}{_VALUE}"),
        re.compile(r"\\?[\"'](?P<value>[^\"'\\\n]{8,600})\\?[\"'][ \t]{0,4}[!=]={1,2}[ \t]{0,4}$"),
    )


def assigned_secrets(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    """The places of values in ``text`` whose name promises a secret and which look like one. Linear in the length.

    ``lowered`` is ``text.lower()``, in which the names are looked for.
    """
    keyword, assignment, compared = _expressions()
    for found in keyword.finditer(lowered if len(lowered) == len(text) else _lowered(text)):
        weak = found.lastgroup == "password"
        before = _name_before(text, found.start())
        if _is_part_of_a_word(text, found, before) or _NO_SECRET_BEFORE.search(before):
            continue
        earlier = compared.search(text, max(0, found.start() - len(before) - 200), found.start() - len(before))
        if earlier and _looks_secret(earlier["value"], weak, quoted=True):
            yield earlier.span("value")
        match = assignment.match(text, found.end())
        if match is None or _NO_SECRET_AFTER.fullmatch(match["suffix"]):
            continue
        group = str(match.lastgroup)
        start, end = match.span(group)
        end -= _trailing(match[group]) if group == "bare" else 0
        if found[0] == "pass" and not before and group == "bare":
            continue
        if _looks_secret(text[start:end], weak, quoted=group != "bare"):
            yield start, end


def promises_secret(name: str, value: str) -> bool:
    """Whether ``value`` under the JSON key ``name`` is a secret because of the name."""
    if len(name) > 200 or "\n" in name:
        return False
    keyword = _expressions()[0]
    for found in keyword.finditer(_lowered(name)):
        before = name[: found.start()]
        if _is_part_of_a_word(name, found, before) or _NO_SECRET_BEFORE.search(before):
            continue
        if not _NO_SECRET_AFTER.fullmatch(name[found.end() :]):
            return _looks_secret(value.strip(), found.lastgroup == "password", quoted=True)
    return False


def _lowered(text: str) -> str:
    """``text`` in lower case with every character at its place, which ``str.lower`` does not promise."""
    return "".join(each.lower() if len(each.lower()) == 1 else each for each in text)


def names_no_secret(before: str) -> bool:
    """Whether the last keyword of ``before``, the code in front of a value, names something about a secret only."""
    keywords = tuple(_expressions()[0].finditer(_lowered(before)))
    if not keywords:
        return False
    rest = re.match(r"[A-Za-z0-9_.-]{0,32}", before[keywords[-1].end() :])
    return rest is not None and _NO_SECRET_AFTER.fullmatch(rest[0]) is not None


def _looks_secret(value: str, weak: bool, quoted: bool) -> bool:
    return looks_like_password(value, quoted) if weak else looks_like_token(value, quoted)


def _name_before(text: str, start: int) -> str:
    begin = start
    while begin > 0 and start - begin < 60 and (text[begin - 1].isalnum() or text[begin - 1] in "_-."):
        begin -= 1
    return text[begin:start]


def _is_part_of_a_word(text: str, found: re.Match[str], before: str) -> bool:
    """``tokenizer``, ``bypass``: the keyword is no word of its own, neither by ``_`` nor by camel case."""
    word, after = text[found.start() : found.end()], text[found.end() : found.end() + 1]
    if after.isalpha() and (after.isupper() == word[-1].isupper() or not after.isupper()):
        return True
    if word.lower() == "pass" and before and before[-1].isalpha():
        return not (word[0].isupper() and before[-1].islower())
    return False


def _trailing(value: str) -> int:
    """How many characters at the end of an unquoted value belong to the sentence or the code around it."""
    kept = value.rstrip(".:!?\\")
    while kept and kept[-1] in ")]}" and kept.count(kept[-1]) > kept.count({")": "(", "]": "[", "}": "{"}[kept[-1]]):
        kept = kept[:-1]
    return len(value) - len(kept) if not value.endswith("!") else 0
