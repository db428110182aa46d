"""Reads Markdown: CommonMark with tables, front matter and MyST's fenced directives."""

from __future__ import annotations

import re
from collections.abc import Sequence

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from core.library.readers.sections import Outline, Reading

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_DIRECTIVE = re.compile(r"\{([\w:.-]+)\}\s*(.*)")
_DIRECTIVE_OPTION = re.compile(r":[\w-]+:")
_CODE_DIRECTIVES = {"code", "code-block", "code-cell", "sourcecode", "testcode", "doctest", "eval-rst"}
_ABSOLUTE_LINK = re.compile(r"(?:https?|mailto|ftp):", re.IGNORECASE)
_TAG = re.compile(r"<!--.*?-->|</?[A-Za-z][^<>]*>|<!--.*\Z", re.DOTALL)
_MODULE_STATEMENT = re.compile(r"(?:import|export)\s.*")
_RULE = re.compile(r"-{4,}")
_PADDING = re.compile(r"[ \t]{2,}")
_DEEPEST_DIRECTIVE = 8


def read(text: str, fallback_title: str, *, is_mdx: bool = False) -> Reading:
    """The sections of ``text``; links keep their text, and their address where it is absolute.

    ``is_mdx`` leaves out the import and export statements of MDX.
    """
    own_title, first_line = "", 0
    front_matter = _FRONT_MATTER.match(text)
    if front_matter:
        own_title = _front_matter_title(front_matter[1])
        first_line = front_matter[0].count("\n")
        text = text[front_matter.end() :]
    walker = _Walker(Outline(), is_mdx=is_mdx)
    walker.read(text, first_line)
    return walker.outline.finish(fallback_title, own_title)


def _front_matter_title(source: str) -> str:
    try:
        values = yaml.safe_load(source)
    except (yaml.YAMLError, ValueError, RecursionError):
        return ""
    title = values.get("title") if isinstance(values, dict) else None
    return " ".join(title.split()) if isinstance(title, str) else ""


class _Walker:
    """Goes through the tokens once and keeps track of the lists and quotes it is in."""

    def __init__(self, outline: Outline, *, is_mdx: bool) -> None:
        self.outline = outline
        self._is_mdx = is_mdx
        self._parser = MarkdownIt("commonmark").enable("table")
        self._depth = 0
        self._list_counters: list[int | None] = []
        self._marker = ""
        self._tight = False

    def read(self, text: str, first_line: int) -> None:
        """Adds ``text``, whose first line has the 0-based number ``first_line``, to the outline."""
        lines = text.split("\n")
        tokens = self._parser.parse(text)
        position = 0
        while position < len(tokens):
            token = tokens[position]
            line = first_line + (token.map[0] if token.map else 0) + 1
            if token.type == "heading_open":
                self.outline.heading(int(token.tag[1:]), _inline(tokens[position + 1].children or ()), line)
                position += 2
            elif token.type == "table_open" and token.map:
                self._add(_compact_table(lines[token.map[0] : token.map[1]]), line)
                position = _closing(tokens, position)
            elif token.type == "inline":
                self._paragraph(token, line)
            elif token.type == "fence":
                self._fence(token, line)
            elif token.type == "code_block":
                self.outline.add(token.content, line, is_code=True)
            elif token.type == "html_block":
                self._add(_TAG.sub("", token.content), line)
            else:
                self._list(token)
            position += 1

    def _list(self, token: Token) -> None:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            start = int(token.attrs.get("start", 1)) if token.type == "ordered_list_open" else None
            self._list_counters.append(start)
            self._tight = len(self._list_counters) > 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            self._list_counters.pop()
            self._tight = bool(self._list_counters)
        elif token.type == "list_item_open":
            number = self._list_counters[-1]
            self._marker = "- " if number is None else f"{number}. "
            if number is not None:
                self._list_counters[-1] = number + 1

    def _paragraph(self, token: Token, line: int) -> None:
        text = _inline(token.children or ())
        if self._is_mdx and all(_MODULE_STATEMENT.fullmatch(each) for each in text.split("\n")):
            return
        self._add(text, line)

    def _add(self, text: str, line: int) -> None:
        if not text.strip():
            return
        leading = len(text) - len(text.lstrip("\n"))
        text, line = text[leading:].rstrip(), line + leading
        if not self._list_counters:
            self.outline.add(text, line)
            return
        indent = "  " * (len(self._list_counters) - 1)
        first = indent + (self._marker or "  ")
        following = "\n" + " " * len(first)
        self.outline.add(first + text.replace("\n", following), line, tight=self._tight)
        self._marker, self._tight = "", True

    def _fence(self, token: Token, line: int) -> None:
        self._tight = False
        info = token.info.strip()
        directive = _DIRECTIVE.match(info)
        if directive is None:
            self.outline.add(token.content, line + 1, is_code=True, language=info.split(" ", 1)[0])
            return
        name, argument = directive[1], directive[2]
        if name in _CODE_DIRECTIVES:
            self.outline.add(token.content, line + 1, is_code=True, language=argument)
            return
        body = [" " * len(each) if _DIRECTIVE_OPTION.match(each) else each for each in token.content.split("\n")]
        if argument:
            self._add(argument, line)
        if self._depth < _DEEPEST_DIRECTIVE:
            self._depth += 1
            self.read("\n".join(body), line)
            self._depth -= 1
        else:
            self._add("\n".join(body), line + 1)


def _compact_table(rows: Sequence[str]) -> str:
    """Table rows without their padding, which costs a token for every dash."""
    return "\n".join(_PADDING.sub(" ", _RULE.sub("---", row.strip())) for row in rows)


def _closing(tokens: Sequence[Token], position: int) -> int:
    depth = 0
    for index in range(position, len(tokens)):
        depth += tokens[index].nesting
        if depth == 0:
            return index
    return len(tokens)


def _inline(tokens: Sequence[Token]) -> str:
    """The visible text of inline tokens; code keeps its backticks and each source line stays a line."""
    parts: list[str] = []
    open_links: list[tuple[str, int]] = []
    for token in tokens:
        match token.type:
            case "softbreak" | "hardbreak":
                parts.append("\n")
            case "code_inline":
                ticks = "``" if "`" in token.content else "`"
                parts.append(f"{ticks}{token.content}{ticks}")
            case "image":
                parts.append(token.content)
            case "link_open":
                open_links.append((str(token.attrs.get("href", "")), len(parts)))
            case "link_close" if open_links:
                address, start = open_links.pop()
                visible = "".join(parts[start:])
                is_image = any(each.type == "image" for each in tokens)
                if _ABSOLUTE_LINK.match(address) and visible not in address and not is_image:
                    parts.append(f" ({address})")
            case "html_inline":
                parts.append("\n" if token.content.lower().startswith("<br") else "")
            case _:
                parts.append(token.content)
    return "".join(parts)
