"""What can be asked of the engine through its door: adding a call is adding its one line to a protocol below."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol, cast, get_type_hints

from core.events import Event
from core.model import Answer, IndexCounts
from core.search.query import Query
from core.serving.wire import WireError, decode, encode, not_understood


class EngineCalls(Protocol):
    """The engine as every process sees it, in this process or through the door.

    All are safe from any thread, and must bear being asked twice: a caller whose connection broke asks again.
    """

    def search(self, query: Query, *, wait_for_model: bool = False) -> Answer: ...
    def counts(self) -> IndexCounts: ...
    def cancel_work(self) -> None: ...
    def resume_work(self) -> None: ...
    def idle(self) -> bool: ...
    def searchable(self) -> bool: ...
    def model_state(self) -> str: ...
    def record_access(self, document_id: str) -> None: ...
    def rebuilt(self) -> str: ...
    def lock_keys(self) -> None: ...
    def unlock_keys(self, way: str, given: str) -> None: ...


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events in their order; ``next`` is what to ask with next.

    ``missed`` says that older ones were dropped meanwhile: these are then what still holds.
    """

    events: tuple[Event, ...]
    next: int
    missed: bool = False


class FeedCalls(Protocol):
    """The engine's events, for other processes."""

    def events(self, after: int | None) -> EventBatch: ...


@dataclass(frozen=True, slots=True)
class CallShape:
    """One call as its protocol declares it; ``takes`` are the type hints of its arguments by name."""

    name: str
    signature: inspect.Signature
    takes: Mapping[str, Any]
    answers: Any

    def write(self, *given: Any, **named: Any) -> dict[str, Any]:
        """The arguments of a call as a JSON object."""
        return {name: encode(each) for name, each in self.signature.bind(*given, **named).arguments.items()}

    def read(self, arguments: object) -> dict[str, Any]:
        """The arguments that ``write`` wrote; raises WireError when they do not fit."""
        if not isinstance(arguments, dict):
            raise WireError("the arguments must be an object")
        if unknown := arguments.keys() - self.takes.keys():
            raise WireError(f"{self.name} takes no {min(unknown)[:40]!r}")
        for name, parameter in self.signature.parameters.items():
            if parameter.default is parameter.empty and name not in arguments:
                raise WireError(f"{self.name} lacks {name}")
        return {name: decode(self.takes[name], each, name) for name, each in arguments.items()}


@cache
def shapes(protocol: type) -> Mapping[str, CallShape]:
    """The calls that ``protocol`` declares, by name."""
    found = {}
    for name, function in vars(protocol).items():
        if not name.startswith("_") and inspect.isfunction(function):
            hints = get_type_hints(function)
            answers = hints.pop("return")
            _, *parameters = inspect.signature(function).parameters.values()
            found[name] = CallShape(name, inspect.Signature(parameters), hints, answers)
    return found


Send = Callable[[str, dict[str, Any]], Any]
"""Sends a call's name and arguments through a door and returns the JSON it answered."""


def remote_engine(send: Send) -> EngineCalls:
    """The engine behind a door."""
    return cast(EngineCalls, _Remote(EngineCalls, send))


def remote_feed(send: Send) -> FeedCalls:
    """The events of the engine behind a door."""
    return cast(FeedCalls, _Remote(FeedCalls, send))


class _Remote:
    """Has the methods of a protocol, and sends each call of them through ``send``."""

    def __init__(self, protocol: type, send: Send) -> None:
        for shape in shapes(protocol).values():
            setattr(self, shape.name, self._caller(shape, send))

    @staticmethod
    def _caller(shape: CallShape, send: Send) -> Callable[..., Any]:
        def call(*given: Any, **named: Any) -> Any:
            answer = send(shape.name, shape.write(*given, **named))
            try:
                return decode(shape.answers, answer)
            except WireError:
                raise not_understood() from None

        return call
