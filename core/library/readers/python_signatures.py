"""Writes the first lines of Python symbols: what their definition says, without its body."""

from __future__ import annotations

import griffe

_LONGEST_VALUE = 80
_ENUMERATIONS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "ReprEnum"})
_DECORATORS = ("staticmethod", "classmethod")
_KIND = griffe.ParameterKind


def function_line(function: griffe.Function) -> str:
    """``def name(parameters) -> type`` on one line."""
    words = [f"@{label}" for label in _DECORATORS if label in function.labels]
    words.append("async def" if "async" in function.labels else "def")
    returns = "" if function.returns is None else f" -> {_one_line(function.returns)}"
    name = f"{function.name}{_type_parameters(function)}"
    return f"{' '.join(words)} {name}({_parameters(function)}){returns}"


def class_line(class_: griffe.Class) -> str:
    """``class Name(bases)`` on one line."""
    bases = [_one_line(each) for each in class_.bases]
    bases += [f"{name}={_one_line(value)}" for name, value in class_.keywords.items()]
    return f"class {class_.name}{_type_parameters(class_)}" + (f"({', '.join(bases)})" if bases else "")


def attribute_line(attribute: griffe.Attribute) -> str:
    """``name: type = value``, or ``property name: type``; a long value is left out."""
    is_property = "property" in attribute.labels
    words = f"property {attribute.name}" if is_property else attribute.name
    if attribute.annotation is not None:
        words += f": {_one_line(attribute.annotation)}"
    if is_property:
        return f"{words} (writable)" if "writable" in attribute.labels else words
    if attribute.value is None or _is_set_by_constructor(attribute):
        return words
    return f"{words} = {_shortened(attribute.value)}"


def is_enumeration(class_: griffe.Class) -> bool:
    """Whether a base of ``class_`` is named like one of the standard enumerations."""
    return any(str(each).rsplit(".", 1)[-1] in _ENUMERATIONS for each in class_.bases)


def _is_set_by_constructor(attribute: griffe.Attribute) -> bool:
    """Whether the value is what ``__init__`` assigns, not a default that stands in the class."""
    if "instance-attribute" not in attribute.labels or "class-attribute" not in attribute.labels:
        return "instance-attribute" in attribute.labels
    constructor = attribute.parent.members.get("__init__") if attribute.parent is not None else None
    if not isinstance(constructor, griffe.Function) or attribute.lineno is None:
        return False
    return (constructor.lineno or 0) <= attribute.lineno <= (constructor.endlineno or 0)


def _parameters(function: griffe.Function) -> str:
    parts: list[str] = []
    previous: griffe.ParameterKind | None = None
    for parameter in function.parameters:
        kind = parameter.kind
        if previous is _KIND.positional_only and kind is not _KIND.positional_only:
            parts.append("/")
        if kind is _KIND.keyword_only and previous not in (_KIND.keyword_only, _KIND.var_positional):
            parts.append("*")
        parts.append(_parameter(parameter))
        previous = kind
    if previous is _KIND.positional_only:
        parts.append("/")
    return ", ".join(parts)


def _parameter(parameter: griffe.Parameter) -> str:
    stars = {_KIND.var_positional: "*", _KIND.var_keyword: "**"}.get(parameter.kind or _KIND.positional_only, "")
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not None:
        text += f": {_one_line(parameter.annotation)}"
    if parameter.default is None or stars:
        return text
    equals = " = " if parameter.annotation is not None else "="
    return f"{text}{equals}{_shortened(parameter.default)}"


def _type_parameters(symbol: griffe.Function | griffe.Class) -> str:
    parameters = symbol.type_parameters
    return f"[{', '.join(str(each.name) for each in parameters)}]" if parameters else ""


def _one_line(expression: object) -> str:
    return " ".join(str(expression).split())


def _shortened(expression: object) -> str:
    text = _one_line(expression)
    return text if len(text) <= _LONGEST_VALUE else "…"
