"""Recovery codes: 130 random bits that a person can write on paper, with a check that finds typing errors."""

from __future__ import annotations

import secrets

from core.crypto.secret import Secret
from core.errors import InvalidInput

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"} | dict.fromkeys("- _\t\r\n\u2010\u2011\u2012\u2013\u2014"))
_SYMBOLS = 28
_GROUP = 4
# The largest prime below 32²: any one wrong symbol, and any two exchanged among the first 26, change the remainder.
_MODULUS = 1021


def new_recovery_code() -> Secret:
    """A new code as it is shown and as it is the passphrase: seven groups of four symbols of Crockford's base 32."""
    return _code(Secret(secrets.token_bytes(17)))


def read_recovery_code(typed: Secret) -> Secret:
    """The code that was meant: case, dashes, spaces, and O for 0 or I and L for 1 do not matter.

    Raises InvalidInput that says what is wrong with it: a symbol that no code has, its length, or a typing error.
    The wrong code of another workspace passes.
    """
    problem = _problem(typed)
    if problem:
        raise InvalidInput(problem, "A recovery code looks like 7KQ2-… with seven groups of four symbols.")
    return Secret(_grouped(_plain(typed)))


def looks_like_recovery_code(typed: Secret) -> bool:
    """Whether ``typed`` is a code without a typing error, of whichever workspace."""
    return not _problem(typed)


def _code(random: Secret) -> Secret:
    number = Secret((int.from_bytes(random.reveal(), "big") >> 6).to_bytes(17, "big"))
    return Secret(_grouped(_digits(number, 26) + _digits(_check(number), 2)))


def _problem(typed: Secret) -> str:
    strange = sorted(set(_plain(typed)) - set(_ALPHABET))
    if strange:
        return f"A recovery code has no {strange[0]!r}."
    length = len(_plain(typed))
    if length != _SYMBOLS:
        return f"A recovery code has {_SYMBOLS} symbols; this has {length}."
    if _digits(_check(_number(_plain(typed)[:26])), 2) != _plain(typed)[26:]:
        return "There is a typing error in the recovery code."
    return ""


def _plain(typed: Secret) -> str:
    return typed.text().upper().translate(_READ_AS)


def _grouped(symbols: str) -> str:
    return "-".join(symbols[at : at + _GROUP] for at in range(0, len(symbols), _GROUP))


def _number(symbols: str) -> Secret:
    return Secret(sum(_ALPHABET.index(symbol) << 5 * place for place, symbol in enumerate(symbols[::-1])).to_bytes(17))


def _check(number: Secret) -> Secret:
    return Secret((int.from_bytes(number.reveal(), "big") % _MODULUS).to_bytes(2, "big"))


def _digits(number: Secret, count: int) -> str:
    return "".join(
        _ALPHABET[int.from_bytes(number.reveal(), "big") >> 5 * place & 31] for place in range(count - 1, -1, -1)
    )
