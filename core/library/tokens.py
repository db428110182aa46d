"""Counting the tokens of the embedding model, with its tokenizer or without."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

TokenCounter = Callable[[str], int]
"""Tokens of a text without the model's special ones: never more for two texts joined by whitespace than for both."""

_WORD = re.compile(r"[A-Za-z]+|[0-9]+|[^\sA-Za-z0-9]")
_ONE_TOKEN_LETTERS = 5
_LETTERS_PER_TOKEN = 3
_DIGITS_PER_TOKEN = 2
_FIRST_HANGUL, _LAST_HANGUL = "\uac00", "\ud7a3"


def estimate_tokens(text: str) -> int:
    """About how many WordPiece tokens ``text`` has, rather too many than too few; for use where there is no model.

    Up to five letters count as one token, every three more as another; digits by two; everything else one by one, and
    a Hangul syllable as its three letters.
    """
    total = 0
    for word in _WORD.findall(text):
        first = word[0]
        if first.isascii() and first.isalpha():
            total += 1 + max(0, len(word) - _ONE_TOKEN_LETTERS + _LETTERS_PER_TOKEN - 1) // _LETTERS_PER_TOKEN
        elif first.isascii() and first.isdigit():
            total += -(-len(word) // _DIGITS_PER_TOKEN)
        else:
            total += 3 if _FIRST_HANGUL <= first <= _LAST_HANGUL else 1
    return total


@lru_cache(maxsize=4)
def tokenizer_counter(tokenizer_json: Path) -> TokenCounter:
    """A counter that asks the tokenizer stored in ``tokenizer_json``, safe to call from any thread.

    Raises ``ValueError`` if the file is missing or is not a tokenizer.
    """
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_buffer(tokenizer_json.read_bytes())
    except Exception as error:  # The library raises bare Exception for a malformed file.
        raise ValueError(f"{tokenizer_json} is not a usable tokenizer: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def count(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    return count
