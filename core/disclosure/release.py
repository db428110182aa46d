"""The one door: an item, an audience and a purpose go in; bytes that may leave come out, or a refusal with its rule."""

from __future__ import annotations

import json

from core.agent_model import Actor
from core.agentfs.agentfs import AgentFS
from core.agentfs.database import to_json
from core.content_format import decode, encode, portable
from core.errors import AccessDenied, BailiwickError
from core.model import Item, JSONValue, Kind, Operation, Sensitivity
from core.privacy import Action, Audience, Cleared, Decision, Purpose, decide, redact


def release(agentfs: AgentFS, item: Item, audience: Audience, purpose: Purpose, *, by: Actor) -> Cleared:
    """What of ``item`` may leave for ``audience``: whole, redacted or sealed.

    Content that leaves unsealed is classified anew, whatever was found when it was written; a classification that fails
    is a refusal. Raises AccessDenied, with the rule, after the refusal is recorded; Locked and SealBroken.
    """
    decision = decide(agentfs.guard.rules, agentfs.permissions.subject(item), audience, purpose)
    if decision.action is Action.REFUSE:
        agentfs.permissions.refuse(by, item, Operation.READ, decision.rule, decision.reason)
    if decision.action is Action.SEAL and item.sealed:
        return Cleared(item.id, audience, purpose, decision, agentfs.contents.read(item.sha256))
    content = agentfs.items.content(item)
    if item.kind is Kind.DOCUMENT and decision.action is not Action.SEAL:
        content = _without_place(content)
    if decision.action is Action.SEAL:
        return Cleared(item.id, audience, purpose, decision, agentfs.guard.seal(item.id, content))
    try:
        data = _unsealed(agentfs, content, redacts=decision.action is Action.REDACT)
    except (BailiwickError, ValueError) as error:
        reason = error.message if isinstance(error, BailiwickError) else "Its content cannot be classified."
        agentfs.permissions.refuse(by, item, Operation.READ, "content", reason)
    return Cleared(item.id, audience, purpose, decision, data)


def release_packed(agentfs: AgentFS, item: Item | None, name: str, packed: bytes) -> Cleared:
    """``packed``, which the user's devices make an item of, or without ``item`` an agent, sealed for them.

    Bound to ``name``, by which it is opened there, so that equal content need not be sent twice. Raises Locked.
    """
    devices = Audience.own_devices()
    if item is None:
        decision = Decision(
            Action.SEAL, "level", "What is told of an agent leaves only sealed, to its owner's devices."
        )
    else:
        decision = decide(agentfs.guard.rules, agentfs.permissions.subject(item), devices, Purpose.SYNC)
    item_id = item.id if item is not None else ""
    return Cleared(item_id, devices, Purpose.SYNC, decision, agentfs.guard.seal(name, packed))


def _without_place(content: bytes) -> bytes:
    """A document without the place where its file lies on this machine."""
    try:
        return encode(portable(decode(content)))
    except ValueError:
        return content


def _unsealed(agentfs: AgentFS, content: bytes, *, redacts: bool) -> bytes:
    """``content``, redacted where asked, once more without any secret; a ValueError says that it is no text."""
    text = content.decode("utf-8")
    value = _parsed(text)
    if redacts:
        value = redact(value, agentfs.guard.classifier()).value
        text = to_json(value)
    if agentfs.guard.scan(value) is not Sensitivity.NONE:
        raise AccessDenied("A secret was found in its content: nobody but its owner gets it.")
    return text.encode()


def _parsed(text: str) -> JSONValue:
    try:
        value: JSONValue = json.loads(text)
    except ValueError:
        return text
    return value
