"""Recovery codes: enough bits, forgiving of how they are typed, and a typing error is told as such."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.crypto.recovery_code import new_recovery_code, read_recovery_code
from core.crypto.secret import Secret
from core.errors import InvalidInput

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE = new_recovery_code().text()
PLAIN = CODE.replace("-", "")


def read(typed: str) -> str:
    """The code that was meant."""
    return read_recovery_code(Secret(typed)).text()


def test_a_code_has_130_random_bits_in_groups() -> None:
    codes = {new_recovery_code().text() for _ in range(500)}
    assert len(codes) == 500
    assert all(re.fullmatch(f"[{ALPHABET}]{{4}}(-[{ALPHABET}]{{4}}){{6}}", code) for code in codes)
    for place in range(26):
        assert len({code.replace("-", "")[place] for code in codes}) == 32
    assert all(read(code) == code for code in codes)


@given(st.sampled_from(["-", " ", "", "–", "  "]), st.booleans(), st.booleans())
def test_case_dashes_and_lookalikes_do_not_matter(between: str, lower: bool, alike: bool) -> None:
    typed = between.join(PLAIN[at : at + 4] for at in range(0, 28, 4))
    typed = typed.replace("0", "O").replace("1", "l") if alike else typed
    assert read(f" {typed.lower() if lower else typed}\n") == CODE


def test_every_wrong_symbol_is_noticed() -> None:
    for place in range(28):
        for symbol in set(ALPHABET) - {PLAIN[place]}:
            with pytest.raises(InvalidInput, match="There is a typing error"):
                read(PLAIN[:place] + symbol + PLAIN[place + 1 :])


def test_every_exchange_of_two_symbols_is_noticed() -> None:
    for first in range(26):
        for second in range(first + 1, 26):
            if PLAIN[first] != PLAIN[second]:
                typed = list(PLAIN)
                typed[first], typed[second] = typed[second], typed[first]
                with pytest.raises(InvalidInput, match="There is a typing error"):
                    read("".join(typed))


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "this has 0"),
        (PLAIN[:-1], "this has 27"),
        (PLAIN + "0", "this has 29"),
        (CODE[:-5], "this has 24"),
        ("U" + PLAIN[1:], "has no 'U'"),
        ("é" + PLAIN[1:], "has no 'É'"),
    ],
    ids=["nothing", "one-less", "one-more", "a-group-less", "no-such-letter", "no-such-sign"],
)
def test_what_is_wrong_is_said(typed: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        read(typed)
