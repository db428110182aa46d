"""Text from agents and files made safe for a terminal: nothing in it can steer the screen or hide."""

from __future__ import annotations

import re

# Controls (C0, DEL, C1), line and paragraph separators, bidirectional overrides, invisible operators and tags, and
# lone surrogates, which cannot even be encoded. The joiners and marks that real scripts and emoji need stay.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
_SHOWN = {"\t": " ", "\n": "↵", "\x7f": "␡", "\u2028": "↵", "\u2029": "↵"}
_CONTROL_PICTURES = 0x2400
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """``text`` as one harmless line of the same length: an escape becomes ``␛``, a line's end ``↵``, a tab a space.

    Characters correspond one to one, so that positions in ``text`` hold in the result.
    """
    return text if text.isprintable() else _UNPRINTABLE.sub(_shown, text)


def _shown(match: re.Match[str]) -> str:
    character = match[0]
    if character in _SHOWN:
        return _SHOWN[character]
    return chr(_CONTROL_PICTURES + ord(character)) if character < " " else _REPLACEMENT
