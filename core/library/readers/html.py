"""Reads HTML as found in documentation trees: tolerant, and without loading anything it points to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree
from lxml.html import HtmlElement, HTMLParser, document_fromstring

from core.library.readers.sections import Outline, Reading

# fmt: off
_DROPPED = frozenset({
    "script", "style", "nav", "footer", "template", "noscript", "svg", "math", "head", "iframe", "object", "embed",
    "canvas", "form", "button", "input", "select", "textarea", "dialog", "audio", "video", "map",
})
# fmt: on
_DROPPED_ROLES = frozenset({"navigation", "search", "banner", "contentinfo"})
_PERMALINK = re.compile(r"[¶#§🔗\s]*")
# fmt: off
_BLOCKS = frozenset({
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "header", "hr", "html", "li", "main", "ol", "p", "section", "summary",
    "tbody", "td", "tfoot", "th", "thead", "tr", "ul", "table", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "hgroup",
    "menu",
})
# fmt: on
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CODE_TAGS = frozenset({"code", "tt", "kbd", "samp"})
_LANGUAGE = re.compile(r"(?:language|lang|highlight|brush:)-?\s*([\w+#.-]+)")
_NOT_A_LANGUAGE = frozenset({"default", "none", "text", "source", "notranslate"})
_ABSOLUTE_LINK = re.compile(r"(?:https?|mailto|ftp):", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\n\r\f\v\xa0]+")


def read(text: str, fallback_title: str) -> Reading:
    """The sections of ``text``: of its ``main`` element where there is one, without navigation and scripts."""
    outline = Outline()
    # An encoding declared inside the text no longer holds once it is decoded, and lxml refuses such a str.
    parser = HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    data = text.encode("utf-8", "replace")
    if not data.strip():
        return outline.finish(fallback_title)
    try:
        root = document_fromstring(data, parser=parser)
    except etree.ParserError:
        return outline.finish(fallback_title)
    reader = _HtmlReader(outline)
    reader.block(_main(root))
    reader.flush()
    return outline.finish(_page_title(root) or fallback_title)


def _main(root: HtmlElement) -> HtmlElement:
    found = root.xpath("//main | //*[@role='main']")
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], etree._Element):
        main = found[0]
        if "".join(str(text) for text in main.itertext()).strip():
            return main
    return root


def _page_title(root: HtmlElement) -> str:
    title = root.find(".//title")
    if title is None or not isinstance(title.tag, str):
        return ""
    return _SPACE.sub(" ", "".join(title.itertext())).strip()


class _HtmlReader:
    """Walks the elements; text between block elements gathers into one paragraph."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._parts: list[str] = []
        self._line = 1
        self._marker = ""
        self._counters: list[int] = []
        self._tight = False

    def flush(self) -> None:
        """Ends the paragraph that is being gathered."""
        text = _tidy("".join(self._parts))
        self._parts.clear()
        if not text:
            return
        depth = len(self._counters)
        first = "  " * max(0, depth - 1) + (self._marker or ("  " if depth else ""))
        text = first + text.replace("\n", "\n" + " " * len(first))
        self._outline.add(text, self._line, tight=self._tight)
        self._marker, self._tight = "", depth > 0

    def block(self, element: HtmlElement) -> None:
        """Adds a block element and all it holds."""
        stack: list[tuple[HtmlElement, Iterator[HtmlElement]]] = []
        self._open(element, stack)
        while stack:
            parent, children = stack[-1]
            child = next(children, None)
            if child is None:
                stack.pop()
                self._close(parent)
                if stack:
                    self._text(parent.tail, parent)
                continue
            if not isinstance(child.tag, str) or _is_dropped(child):
                self._text(child.tail, child)
            elif not self._whole(child):
                self._open(child, stack)
            else:
                self._text(child.tail, child)

    def _open(self, element: HtmlElement, stack: list[tuple[HtmlElement, Iterator[HtmlElement]]]) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self.flush()
        if tag in ("ul", "ol", "menu"):
            self._tight = bool(self._counters)
            self._counters.append(0)
        elif tag == "li":
            self._marker = self._next_marker(element)
        elif tag in _CODE_TAGS:
            self._parts.append("`")
        stack.append((element, iter(element)))
        self._text(element.text, element)

    def _close(self, element: HtmlElement) -> None:
        tag = element.tag
        if tag in _BLOCKS:
            self.flush()
        if tag in ("ul", "ol", "menu"):
            self._counters.pop()
            self._tight = bool(self._counters)
        elif tag in _CODE_TAGS:
            self._parts.append("`")
        elif tag == "a":
            address = str(element.get("href", ""))
            visible = "".join(element.itertext()).strip()
            if _ABSOLUTE_LINK.match(address) and visible and visible not in address:
                self._parts.append(f" ({address})")
        elif tag == "dt":
            self._tight = False

    def _whole(self, element: HtmlElement) -> bool:
        """Adds headings, code, tables of data, images and breaks at once; False for what has to be walked through."""
        tag = element.tag
        line = int(element.sourceline or self._line)
        if tag in _HEADINGS:
            self.flush()
            self._outline.heading(_HEADINGS[tag], _visible_text(element), line)
        elif tag == "pre":
            self.flush()
            self._code(element, line)
        elif tag == "table" and not element.xpath(".//pre | .//table | .//h1 | .//h2 | .//h3"):
            self.flush()
            self._outline.add(_table(element), line)
        elif tag == "img":
            self._text(str(element.get("alt", "")), element)
        elif tag == "br":
            self._parts.append("\x00")
        else:
            return False
        return True

    def _code(self, element: HtmlElement, line: int) -> None:
        text = "".join(element.itertext())
        if text.startswith("\n"):
            text, line = text[1:], line + 1
        self._outline.add(text, line, is_code=True, language=_language(element))
        self._tight = False

    def _text(self, text: str | None, element: HtmlElement) -> None:
        if not text:
            return
        if not any(each.strip() for each in self._parts):
            if not text.strip():
                return
            self._line = int(element.sourceline or self._line)
        self._parts.append(text)

    def _next_marker(self, item: HtmlElement) -> str:
        parent = item.getparent()
        if parent is None or parent.tag != "ol" or not self._counters:
            return "- "
        self._counters[-1] += 1
        return f"{self._counters[-1]}. "


def _is_dropped(element: HtmlElement) -> bool:
    if element.tag in _DROPPED or element.get("role") in _DROPPED_ROLES or element.get("hidden") is not None:
        return True
    if element.tag == "a":
        names = str(element.get("class", ""))
        is_permalink = "headerlink" in names or "anchor" in names
        return is_permalink and bool(_PERMALINK.fullmatch("".join(element.itertext())))
    return False


def _visible_text(element: HtmlElement) -> str:
    parts: list[str] = [element.text or ""]
    for child in element:
        if isinstance(child.tag, str) and not _is_dropped(child):
            text = _visible_text(child)
            parts.append(str(child.get("alt", "")) if child.tag == "img" else text)
        parts.append(child.tail or "")
    return _SPACE.sub(" ", "".join(parts))


def _table(table: HtmlElement) -> str:
    rows = []
    for row in table.iter("tr"):
        cells = [_visible_text(each).strip() for each in row if each.tag in ("td", "th")]
        rows.append(" | ".join(cells))
        if len(rows) == 1 and cells and all(each.tag == "th" for each in row if isinstance(each.tag, str)):
            rows.append(" | ".join("---" for _ in cells))
    caption = table.find("caption")
    if caption is not None:
        rows.insert(0, _visible_text(caption).strip())
    return "\n".join(each for each in rows if each.strip(" |"))


def _language(element: HtmlElement) -> str:
    holders = [element, *element.iter("code")]
    parent = element.getparent()
    while parent is not None and len(holders) < 5:
        holders.append(parent)
        parent = parent.getparent()
    for holder in holders:
        match = _LANGUAGE.search(str(holder.get("class", "")))
        if match and match[1] not in _NOT_A_LANGUAGE:
            return match[1]
    return ""


def _tidy(text: str) -> str:
    lines = (_SPACE.sub(" ", each).strip() for each in text.split("\x00"))
    return "\n".join(each for each in lines if each).replace("``", "")
