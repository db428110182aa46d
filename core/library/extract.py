"""Reads one file into a document: the right reader, where it belongs, cut into passages."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.ids import sha256_hex
from core.library.file_text import LARGEST_FILE, Unreadable, decode_text, read_bytes
from core.library.manifest import code_language, detect
from core.library.passages import cut
from core.library.readers.sections import Reading
from core.library.tokens import estimate_tokens, tokenizer_counter
from core.model import DocumentContent
from core.privacy import classification

PACKAGE_METADATA = "METADATA"
_CONTINUED = re.compile(r"\n(?: {8}| {7}\|)")
_LONGEST_LICENSE = 100


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One file to read: ``root`` is the source it belongs to, ``module`` its dotted name in a Python package.

    Non-empty ``language``, ``library`` and ``version`` win over what is read. With ``public_names`` (see
    ``core.library.reexports``) only those symbols of a private module are read. ``tokenizer`` is the model's tokenizer
    file; without one, tokens are estimated. ``max_bytes`` is the size from which a file is refused.
    """

    path: Path
    root: Path
    module: str = ""
    language: str = ""
    library: str = ""
    version: str = ""
    tokenizer: Path | None = None
    public_names: Mapping[str, str] | None = None
    max_bytes: int = LARGEST_FILE


@dataclass(frozen=True, slots=True)
class Extracted:
    """A document, the SHA-256 of the file it was read from, and whether there is a secret in it."""

    content: DocumentContent
    checksum: str
    holds_secret: bool = False


def extract(request: ReadRequest) -> Extracted:
    """Read a file; raises Unreadable with the reason. A file without text makes a document without passages."""
    data = read_bytes(request.path, request.max_bytes)
    format_name, reading = _read(request, data)
    blocks = [block for section in reading.sections for block in section.blocks]
    if request.module or request.path.name == PACKAGE_METADATA:
        language, library, version = "python", "", ""
    else:
        origin = detect(request.path, request.root, blocks)
        language, library, version = origin.language, origin.library, origin.version
    count = tokenizer_counter(request.tokenizer) if request.tokenizer is not None else estimate_tokens
    title = request.module or reading.title
    relative = request.path.name
    if request.path != request.root and request.path.is_relative_to(request.root):
        relative = request.path.relative_to(request.root).as_posix()
    metadata = {"format": format_name, "path": relative}
    if request.module:
        metadata["module"] = request.module
        metadata["package"] = request.module.partition(".")[0]
    elif example := code_language(blocks):
        metadata["code"] = example
    if request.path.name == PACKAGE_METADATA and (licence := _license(data)):
        metadata["license"] = licence
    content = DocumentContent(
        title=title,
        language=request.language or language,
        library=request.library or library,
        version=request.version or version,
        source=str(request.path),
        passages=cut(reading.sections, count),
        metadata=dict(metadata),
    )
    # As they were before the cutting, which may go through a secret.
    texts = [text for part in reading.sections for text in (part.title, *(block.text for block in part.blocks))]
    published = bool(request.module) or request.path.name == PACKAGE_METADATA
    holds_secret = classification.holds_secret("\n".join((title, *texts)), published=published)
    return Extracted(content, sha256_hex(data), holds_secret)


def _read(request: ReadRequest, data: bytes) -> tuple[str, Reading]:
    # Each reader brings a parser of its own, so only the one that is needed is imported.
    path = request.path
    suffix = path.suffix.lower()
    if path.name == PACKAGE_METADATA:
        return _read_metadata(request, data)
    text = decode_text(data, suffix)
    fallback = path.stem if path.stem.lower() not in ("index", "readme") else path.absolute().parent.name
    if suffix in (".py", ".pyi"):
        from core.library.readers import python_source

        module = request.module or ".".join(_module_parts(path, request.root))
        try:
            return "python", python_source.read(text, module, path, request.public_names)
        except python_source.NotPython as error:
            raise Unreadable(str(error)) from None
    return _read_prose(text, suffix, fallback)


def _read_prose(text: str, suffix: str, fallback: str) -> tuple[str, Reading]:
    if suffix in (".md", ".markdown", ".mdx"):
        from core.library.readers import markdown

        return "markdown", markdown.read(text, fallback, is_mdx=suffix == ".mdx")
    if suffix == ".rst":
        from core.library.readers import restructured_text

        return "rst", restructured_text.read(text, fallback)
    if suffix in (".html", ".htm"):
        from core.library.readers import html

        return "html", html.read(text, fallback)
    from core.library.readers import plain_text

    return "text", plain_text.read(text, fallback)


def _read_metadata(request: ReadRequest, data: bytes) -> tuple[str, Reading]:
    """The long description of an installed package, in the format it declares (core metadata, PEP 566 and 643)."""
    whole = decode_text(data, "")
    message = email.message_from_string(whole, policy=email.policy.compat32)
    declared = str(message.get("Description-Content-Type", "text/x-rst")).partition(";")[0].strip().lower()
    suffix = {"text/markdown": ".md", "text/plain": ".txt"}.get(declared, ".rst")
    name = str(message.get("Name", request.library))
    body = message.get_payload()
    if isinstance(body, str) and body.strip():
        text, lines_before = body, whole.count("\n", 0, len(whole) - len(body))
    else:
        text = _CONTINUED.sub("\n", str(message.get("Description", "")))
        lines_before = whole.count("\n", 0, whole.find("\nDescription:") + 1)
    format_name, reading = _read_prose("\n" * lines_before + text, suffix, name)
    return format_name, Reading(f"{name} README", reading.sections)


def _license(data: bytes) -> str:
    """What an installed package says of its licence in a line (core metadata, PEP 639), empty where it does not."""
    message = email.message_from_string(decode_text(data, ""), policy=email.policy.compat32)
    told = str(message.get("License-Expression") or message.get("License") or "").strip()
    return told if len(told) <= _LONGEST_LICENSE and told.isprintable() and told != "UNKNOWN" else ""


def _module_parts(path: Path, root: Path) -> list[str]:
    """The dotted name of a Python file by the packages it lies in, as far up as they go below the root."""
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").exists() and folder != folder.parent:
        parts.insert(0, folder.name)
        if folder == root:
            break
        folder = folder.parent
    return parts or [path.stem]
