"""Reads reStructuredText, with Sphinx's directives and roles, without executing or including anything."""

from __future__ import annotations

import re
from collections.abc import Iterable

from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.parsers.rst import Parser
from docutils.utils import new_document

from core.library.readers.restructured_text_markup import SYMBOL, register_unknown_markup
from core.library.readers.sections import Outline, Reading

_TAB_WIDTH = 8
_ABSOLUTE_LINK = re.compile(r"(?:https?|mailto|ftp):", re.IGNORECASE)
_PAGE_SETTINGS = frozenset({"orphan", "nosearch", "nocomments", "tocdepth", "github_url"})
_SILENT = (
    nodes.comment,
    nodes.substitution_definition,
    nodes.target,
    nodes.pending,
    nodes.raw,
    nodes.meta,
    nodes.decoration,
    nodes.colspec,
)
_ERROR = 3


def read(text: str, fallback_title: str) -> Reading:
    """The sections of ``text``; a described symbol (``py:function::`` and its like) is a section of its own."""
    register_unknown_markup(text)
    settings = get_default_settings(Parser)
    settings.file_insertion_enabled = False
    settings.raw_enabled = False
    settings.report_level = 5
    settings.halt_level = 5
    settings.warning_stream = False
    settings.syntax_highlight = "none"
    settings.tab_width = _TAB_WIDTH
    settings.line_length_limit = len(text) * _TAB_WIDTH + 1
    document = new_document("<document>", settings)
    Parser().parse(text, document)
    renderer = _Renderer(document)
    renderer.children(document.children, 1)
    return renderer.outline.finish(fallback_title)


class _Renderer:
    """Writes the nodes of a document into an outline; lists and labelled texts become marked, indented paragraphs."""

    def __init__(self, document: nodes.document) -> None:
        self.outline = Outline()
        self._substitutions = document.substitution_defs
        self._line = 1
        self._indent = 0
        self._marker = ""
        self._tight = False

    def children(self, children: Iterable[nodes.Node], level: int) -> None:
        """Adds ``children``; a section among them has a heading of ``level``."""
        for node in children:
            self._node(node, level)

    def _node(self, node: nodes.Node, level: int) -> None:
        self._line = node.line or self._line
        match node:
            case nodes.section():
                self._section(node, level)
            case nodes.title() | nodes.subtitle() | nodes.rubric() | nodes.paragraph() | nodes.caption():
                self._add(self._text(node))
            case nodes.literal_block() | nodes.doctest_block():
                is_session = isinstance(node, nodes.doctest_block) or node.astext().startswith(">>> ")
                self._code(node, "pycon" if is_session else str(node.get("language", "")))
            case nodes.math_block() | nodes.line_block() | nodes.attribution() | nodes.image():
                self._add(self._text(node))
            case nodes.bullet_list():
                self._items((("- ", each.children) for each in node.children), level)
            case nodes.enumerated_list():
                start = int(node.get("start", 1))
                numbered = enumerate(node.children, start)
                self._items(((f"{number}. ", each.children) for number, each in numbered), level)
            case nodes.definition_list() | nodes.field_list() | nodes.docinfo() | nodes.option_list():
                self._labelled_items(node, level)
            case nodes.table():
                self._table(node)
            case nodes.footnote() | nodes.citation():
                label = next(iter(node.findall(nodes.label)), None)
                name = label.astext() if label is not None else ""
                self._items([(f"[{name}] ", [each for each in node.children if each is not label])], level)
            case nodes.system_message():
                self._recovered(node)
            case nodes.admonition() | nodes.topic() | nodes.sidebar():
                self.children(node.children, level)
            case nodes.Admonition():
                self._items([(f"{type(node).__name__.capitalize()}: ", node.children)], level)
            case nodes.Text() | nodes.Inline():
                self._add(self._text(node))
            case _ if not isinstance(node, _SILENT):
                self.children(node.children, level)

    def _section(self, node: nodes.section, level: int) -> None:
        first = node.children[0] if node.children else None
        if isinstance(first, nodes.title):
            is_symbol = SYMBOL in node["classes"]
            self.outline.heading(level, self._text(first), self._line if is_symbol else max(1, self._line - 1))
            self.children(node.children[1:], level + 1)
            if is_symbol:
                self.outline.end_heading(level)
        else:
            self.children(node.children, level)

    def _items(self, items: Iterable[tuple[str, Iterable[nodes.Node]]], level: int, *, tight: bool = False) -> None:
        outermost = self._indent == 0
        self._tight = tight or (not outermost and not self._marker)
        for marker, children in items:
            self._marker += marker
            self._indent += 2
            self.children(children, level)
            self._indent -= 2
            if self._marker:
                self._add("")
        if outermost:
            self._tight = False

    def _labelled_items(self, node: nodes.Element, level: int) -> None:
        for position, item in enumerate(node.children):
            self._line = item.line or self._line
            tight = position > 0
            match item:
                case nodes.definition_list_item():
                    terms = [self._text(each) for each in item.children if not isinstance(each, nodes.definition)]
                    definitions = [each for each in item.children if isinstance(each, nodes.definition)]
                    self._add(" : ".join(terms))
                    self._items((("", each.children) for each in definitions), level, tight=True)
                case nodes.field() if item.children:
                    name = self._text(item.children[0])
                    body = [child for each in item.children[1:] for child in each.children]
                    if body and name not in _PAGE_SETTINGS:
                        self._items([(f"{name}: ", body)], level, tight=tight)
                    elif name not in _PAGE_SETTINGS:
                        self._add(name)
                case nodes.option_list_item():
                    options = ", ".join(each.astext() for each in item.findall(nodes.option))
                    body = [child for each in item.findall(nodes.description) for child in each.children]
                    self._items([(f"{options}  ", body)], level, tight=tight)
                case _:
                    self._node(item, level)

    def _table(self, table: nodes.table) -> None:
        rows = []
        for row in table.findall(nodes.row):
            rows.append(" | ".join(" ".join(self._text(cell).split()) for cell in row.children))
            if isinstance(row.parent, nodes.thead):
                rows.append(" | ".join("---" for _ in row.children))
        caption = next(iter(table.findall(nodes.title)), None)
        if caption is not None:
            self._add(self._text(caption))
        self._add("\n".join(rows))

    def _recovered(self, message: nodes.system_message) -> None:
        """What docutils could not parse is kept as it was written."""
        if int(message.get("level", 0)) >= _ERROR:
            for block in message.findall(nodes.literal_block):
                self._add(block.astext())

    def _code(self, node: nodes.Element, language: str) -> None:
        self.outline.add(node.astext(), self._line, is_code=True, language=language)
        self._tight = False

    def _add(self, text: str) -> None:
        text = text.strip("\n")
        if not text.strip() and not self._marker.strip():
            return
        first = " " * max(0, self._indent - 2) + (self._marker or " " * min(2, self._indent))
        following = "\n" + " " * self._indent
        self.outline.add((first + text.replace("\n", following)).rstrip(), self._line, tight=self._tight)
        self._marker, self._tight = "", self._indent > 0

    def _text(self, node: nodes.Node) -> str:
        match node:
            case nodes.Text():
                return node.astext()
            case nodes.literal() | nodes.math():
                return f"`{node.astext()}`"
            case nodes.footnote_reference() | nodes.citation_reference():
                return f"[{node.astext()}]"
            case nodes.image():
                return str(node.get("alt", ""))
            case nodes.raw():
                return ""
            case nodes.reference():
                text, address = self._joined(node), str(node.get("refuri", ""))
                return f"{text} ({address})" if _ABSOLUTE_LINK.match(address) and text not in address else text
            case nodes.substitution_reference():
                definition = self._substitutions.get(str(node.get("refname", "")))
                return self._joined(definition) if definition is not None else node.astext()
            case nodes.line():
                return self._joined(node) + "\n"
            case nodes.paragraph() if not isinstance(node.parent, nodes.document):
                return self._joined(node) + "\n"
            case nodes.system_message():
                return ""
            case nodes.Element():
                return self._joined(node)
        return node.astext()

    def _joined(self, node: nodes.Element) -> str:
        return "".join(self._text(each) for each in node.children)
