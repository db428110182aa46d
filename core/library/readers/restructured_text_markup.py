"""Directives and roles that docutils does not know, or must not obey: they keep their text and do nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive, directives, roles
from docutils.parsers.rst.languages import en

SYMBOL = "symbol"
"""The class of a section that describes one symbol or setting, not a part of the text."""

_DIRECTIVE = re.compile(r"^[ \t]*\.\.[ \t]+(?:\|[^|\n]+\|[ \t]+)?(\w[\w:+.-]*?)[ ]?::(?:[ \t]|$)", re.MULTILINE)
_ROLE = re.compile(r":(\w[\w:+.-]*):`|`:(\w[\w:+.-]*):")
_TITLE_AND_TARGET = re.compile(r"(.+?)\s*<[^<>]*>", re.DOTALL)
_STYLE_CLASS = re.compile(r"[a-z0-9 -]*")

# fmt: off
_CODE = frozenset({
    "code", "code-block", "sourcecode", "code-tab", "code-cell", "ipython", "ipython3", "plot", "testcode",
    "testoutput", "testsetup", "testcleanup", "doctest", "prompt", "console", "command-output", "productionlist",
    "jupyter-execute", "graphviz", "digraph", "graph", "mermaid", "uml",
})
_SYMBOLS = frozenset({
    "function", "method", "classmethod", "staticmethod", "class", "exception", "attribute", "property", "data",
    "decorator", "decoratormethod", "type", "macro", "struct", "union", "enum", "enumerator", "member", "var",
    "option", "cmdoption", "envvar", "confval", "setting", "describe", "object", "directive", "role", "opcode",
})
_SILENT = frozenset({
    "highlight", "default-role", "role", "raw", "include", "sectnum", "contents", "index", "currentmodule",
    "module", "tags", "meta", "title", "testsetup", "testcleanup", "rst-class", "cssclass",
})
_ARGUMENT_IS_SETTING = frozenset({
    "only", "ifconfig", "container", "tab-set", "grid", "grid-item", "toctree", "autosummary",
})
_REFERENCES_TO_CODE = frozenset({
    "class", "func", "meth", "mod", "attr", "exc", "data", "obj", "const", "type", "macro", "struct", "enum",
    "option", "envvar", "program", "command", "file", "kbd", "samp", "code", "cpp", "c", "py", "js", "any",
    "member", "var", "expr", "opcode", "dir", "pymod",
})
# fmt: on
_LABELS = {
    "versionadded": "Added in version",
    "versionchanged": "Changed in version",
    "versionremoved": "Removed in version",
    "deprecated": "Deprecated since version",
    "seealso": "See also:",
}


class _AnyOption(dict[str, Callable[[str | None], str]]):
    """An option specification that takes every option as text."""

    def __bool__(self) -> bool:
        return True

    def __missing__(self, name: str) -> Callable[[str | None], str]:
        return lambda value: value or ""


class _TextDirective(Directive):
    """A directive whose argument and content are text."""

    optional_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar[Any] = _AnyOption()

    def run(self) -> Sequence[nodes.Node]:
        """The argument as a paragraph, then the parsed content."""
        name = _plain(self.name)
        argument = "" if name in _ARGUMENT_IS_SETTING else " ".join(self.arguments)
        texts = (f"{_LABELS.get(name, '')} {argument}".strip(), self.options.get("caption", ""))
        result = [self._paragraph(text) for text in texts if text]
        holder = nodes.container()
        self.state.nested_parse(self.content, self.content_offset, holder)
        return [*result, *holder.children]

    def _paragraph(self, text: str) -> nodes.paragraph:
        children, messages = self.state.inline_text(text, self.lineno)
        paragraph = nodes.paragraph(text, "", *children, *messages)
        paragraph.line = self.lineno
        return paragraph


class _CodeDirective(_TextDirective):
    """A directive whose content is code and whose argument is its language."""

    def run(self) -> Sequence[nodes.Node]:
        """The caption and the code."""
        result: list[nodes.Node] = []
        if self.options.get("caption"):
            result.append(self._paragraph(self.options["caption"]))
        code = "\n".join(self.content)
        block = nodes.literal_block(code, code)
        block["language"] = self.arguments[0].split()[0] if self.arguments else ""
        block.line = self.content_offset + 1
        return [*result, block] if code.strip() else result


class _SymbolDirective(_TextDirective):
    """The description of a function, class, option …: its signatures, then the parsed content."""

    def run(self) -> Sequence[nodes.Node]:
        """One section titled with the symbol's name."""
        signatures = [each.strip() for each in " ".join(self.arguments).split("\n") if each.strip()]
        if _plain(self.name) == "class" and not self.content and _STYLE_CLASS.fullmatch(" ".join(signatures)):
            return []
        section = nodes.section()
        section["classes"].append(SYMBOL)
        section.line = self.lineno
        if signatures:
            name = re.split(r"[(\[]|\s->", signatures[0], maxsplit=1)[0].strip()
            section += nodes.title("", name or signatures[0])
            text = "\n".join(signatures)
            block = nodes.paragraph(text, text)
            block.line = self.lineno
            section += block
        self.state.nested_parse(self.content, self.content_offset, section)
        return [section]


class _SilentDirective(_TextDirective):
    """A directive that sets something or inserts what is not text."""

    def run(self) -> Sequence[nodes.Node]:
        """Nothing."""
        return []


def register_unknown_markup(text: str) -> None:
    """Make docutils accept every directive and role that occurs in ``text``.

    Docutils keeps them for the whole process; a name always gets the same meaning, so that order does not matter.
    """
    for name in {match[1].lower() for match in _DIRECTIVE.finditer(text)}:
        kind = _directive_kind(name)
        if kind is not None:
            directives.register_directive(name, kind)
    for match in _ROLE.finditer(text):
        name = (match[1] or match[2]).lower()
        if name not in en.roles or _plain(name) in _REFERENCES_TO_CODE:
            roles.register_local_role(name, _text_role)


def _plain(name: str) -> str:
    """The name of a directive or role without its domain."""
    return name.lower().rsplit(":", 1)[-1]


def _directive_kind(name: str) -> type[Directive] | None:
    plain = _plain(name)
    if plain in _SILENT:
        return _SilentDirective
    if plain in _CODE:
        return _CodeDirective
    if plain in _SYMBOLS:
        return _SymbolDirective
    return None if name in en.directives else _TextDirective


def _text_role(name: str, rawtext: str, text: str, *_unused: object, **_options: object) -> tuple[list[Any], list[Any]]:
    titled = _TITLE_AND_TARGET.fullmatch(nodes.unescape(text))
    visible = titled[1] if titled else nodes.unescape(text).lstrip("~!")
    if _plain(name) in _REFERENCES_TO_CODE:
        return [nodes.literal(rawtext, visible)], []
    return [nodes.inline(rawtext, visible)], []
