"""The one registry of what a person can do: it feeds bindings, key line, help, palette and keymap.yml."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from textual.actions import parse
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import KEY_NAME_REPLACEMENTS, format_key

KEYMAP_FILE = "keymap.yml"


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """One action.

    ``keys`` are comma-separated Textual key names; ``action`` is a Textual action string in the namespace of the app,
    or of the pane named by ``pane``. ``footer`` puts it into the key line, earlier entries first; ``typing`` puts it
    there while a text field has the focus. ``priority`` makes the key win over the focused widget.
    """

    id: str
    keys: str
    action: str
    label: str
    description: str
    group: str
    pane: str | None = None
    footer: bool = False
    priority: bool = False
    typing: bool = False

    @property
    def binding(self) -> Binding:
        """The Textual binding, re-mappable by its id."""
        return Binding(self.keys, self.action, self.label, id=self.id, priority=self.priority, show=self.footer)


PANES = "Panes"
VIEW = "View"
FIND = "Search"
AGENTS = "Agents"
MESSAGES = "Messages"
AUDIT = "Audit"
PRIVACY = "Privacy"
SYNC = "Sync"
CONFLICTS = "Conflicts"
WORK = "Work"
APP = "Bailiwick"

# fmt: off
ACTIONS: tuple[ActionSpec, ...] = (
    ActionSpec("pane.agents", "1", "show_pane('agents')", "Agents", "Who is alive and doing what", PANES),
    ActionSpec("pane.messages", "2", "show_pane('messages')", "Messages", "What agents say to each other", PANES),
    ActionSpec("pane.search", "3", "show_pane('search')", "Search", "Search the documents", PANES),
    ActionSpec("pane.sync", "4", "show_pane('sync')", "Sync", "What other machines have", PANES),
    ActionSpec("pane.conflicts", "5", "show_pane('conflicts')", "Conflicts", "What waits for your ruling", PANES),
    ActionSpec("pane.hardware", "6", "show_pane('hardware')", "Hardware", "The machine and our share of it", PANES),
    ActionSpec("pane.audit", "7", "show_pane('audit')", "Audit", "Who changed what, and whether that is whole", PANES),
    ActionSpec("pane.privacy", "8", "show_pane('privacy')", "Privacy", "What is private, who would get what", PANES),
    ActionSpec("search.hits", "down", "down_to_hits", "Hits", "Go to the hits", FIND, "search", typing=True),
    ActionSpec("search.back", "escape", "back", "Back", "One step back", FIND, "search", typing=True),
    ActionSpec("sync.back", "escape", "back", "Back", "Stop what runs, else no filter, else the overview", SYNC, "sync",
               footer=True, typing=True),
    ActionSpec("sync.answer", "b", "ask('answer')", "Answer", "Answer what a safety brake asks", SYNC, "sync",
               footer=True),
    ActionSpec("sync.fetch", "f", "ask('fetch')", "Fetch", "Fetch the content of the row at the cursor", SYNC, "sync",
               footer=True),
    ActionSpec("sync.now", "s", "ask('sync_now')", "Sync now", "Send and fetch what waits", SYNC, "sync", footer=True),
    ActionSpec("sync.section", "right_square_bracket", "section(1)", "Section", "The next section", SYNC, "sync",
               footer=True),
    ActionSpec("sync.section.previous", "left_square_bracket", "section(-1)", "Previous section",
               "The previous section", SYNC, "sync"),
    ActionSpec("sync.pause", "p", "ask('pause')", "Pause / resume", "Move nothing until you go on", SYNC, "sync",
               footer=True),
    ActionSpec("sync.plan", "l", "ask('plan')", "Plan", "What a sync would do, with operations and price", SYNC, "sync",
               footer=True),
    ActionSpec("sync.strategy", "m", "ask('strategy')", "Strategy", "Realtime, adaptive, on demand, or by itself", SYNC,
               "sync", footer=True),
    ActionSpec("sync.verify", "v", "ask('verify')", "Verify", "Check that the whole remote is as it was written", SYNC,
               "sync", footer=True),
    ActionSpec("sync.repair", "r", "ask('repair')", "Repair", "Mend the remote from what this device has", SYNC, "sync",
               footer=True),
    ActionSpec("sync.remote", "e", "ask('set_remote')", "Set a remote", "A folder or bucket to synchronise with", SYNC,
               "sync", footer=True),
    ActionSpec("sync.join", "j", "ask('join')", "Join", "Join a remote that holds a workspace already", SYNC, "sync",
               footer=True),
    ActionSpec("conflicts.apply", "ctrl+s", "apply", "Apply", "Have the result hold, once everything is decided",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.local", "less_than_sign,left", "choose('local')", "Local", "Take the local side here",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.remote", "greater_than_sign,right", "choose('remote')", "Remote", "Take the remote side here",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.both", "plus", "both", "Both", "Take both sides here; again, in the other order", CONFLICTS,
               "conflicts", footer=True),
    ActionSpec("conflicts.next", "n", "step(1)", "Next open", "The next place that is open", CONFLICTS, "conflicts",
               footer=True),
    ActionSpec("conflicts.edit", "e", "edit", "Edit", "Write what shall hold here", CONFLICTS, "conflicts",
               footer=True),
    ActionSpec("conflicts.undo", "u", "undo", "Undo", "Take the last choice back; in the list, the last ruling",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.back", "escape", "back", "Back", "To the list, the draft is kept; else no filter", CONFLICTS,
               "conflicts", footer=True, typing=True),
    ActionSpec("conflicts.base", "equals_sign", "choose('base')", "Base", "Leave it here as it was before", CONFLICTS,
               "conflicts", footer=True),
    ActionSpec("conflicts.previous", "p", "step(-1)", "Previous open", "The previous place that is open", CONFLICTS,
               "conflicts"),
    ActionSpec("conflicts.any.next", "N", "step_any(1)", "Next place", "The next place, also one that is decided",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.any.previous", "P", "step_any(-1)", "Previous place",
               "The previous place, also one that is decided", CONFLICTS, "conflicts"),
    ActionSpec("conflicts.reopen", "backspace", "reopen", "Open again",
               "Undecided again: this place, or in the list what was settled", CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.redo", "ctrl+r", "redo", "Redo", "Do again what was taken back", CONFLICTS, "conflicts",
               footer=True),
    ActionSpec("conflicts.rest.local", "L", "rest('local')", "Rest local", "Everything open here from the local side",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.rest.remote", "R", "rest('remote')", "Rest remote",
               "Everything open here from the remote side", CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.editor", "E", "edit_whole", "Editor", "The whole result in $EDITOR", CONFLICTS, "conflicts",
               footer=True),
    ActionSpec("conflicts.words", "w", "words", "Words / lines", "Show changes word by word, or line by line",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.fold", "f", "fold", "Fold", "Hide or show what is equal", CONFLICTS, "conflicts",
               footer=True),
    ActionSpec("conflicts.show.base", "b,B", "show_base", "Show base", "Base over local, over remote, over neither",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.advance", "A", "advance", "Auto-advance", "Whether a choice goes on to the next open place",
               CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.open", "enter", "open", "Open", "Rule on the conflict at the cursor", CONFLICTS, "conflicts",
               footer=True),
    ActionSpec("conflicts.rule", "r", "rule", "Rule", "Rule on those that are marked, after a preview", CONFLICTS,
               "conflicts", footer=True),
    ActionSpec("conflicts.mark", "m", "mark", "Mark", "Mark the conflict, to rule on several at once", CONFLICTS,
               "conflicts", footer=True),
    ActionSpec("conflicts.mark.all", "M", "mark_all", "Mark all", "Mark all that are listed, or none", CONFLICTS,
               "conflicts", footer=True),
    ActionSpec("conflicts.section", "v,right_square_bracket,left_square_bracket", "section", "Open / settled",
               "What is settled, by whom and why; or what is open", CONFLICTS, "conflicts", footer=True),
    ActionSpec("conflicts.sort", "o", "sort", "Order", "Important, oldest, last changed first, or by path", CONFLICTS,
               "conflicts", footer=True),
    ActionSpec("messages.back", "escape", "back", "Back", "Out of the message, the search, a filter", MESSAGES,
               "messages", footer=True, typing=True),
    ActionSpec("messages.next", "n", "match(1)", "Next match", "The next message that has the text", MESSAGES,
               "messages", footer=True),
    ActionSpec("messages.previous", "p", "match(-1)", "Previous", "The previous message that has the text", MESSAGES,
               "messages", footer=True),
    ActionSpec("messages.open", "enter", "open", "Open", "Go into the message; one for you is read then", MESSAGES,
               "messages", footer=True),
    ActionSpec("messages.write", "w", "write", "Write", "Write to an agent, a type of agents, or everyone", MESSAGES,
               "messages", footer=True),
    ActionSpec("audit.back", "escape", "back", "Back", "Out of the record, then one filter less", AUDIT, "audit",
               footer=True),
    ActionSpec("audit.open", "enter", "open", "Open", "Go into the record", AUDIT, "audit", footer=True),
    ActionSpec("audit.verify", "v", "verify", "Verify", "Check that the whole trail is as it was written", AUDIT,
               "audit", footer=True),
    ActionSpec("audit.bad", "b", "bad_record", "Bad record", "Go to what is wrong, again for the next", AUDIT, "audit",
               footer=True),
    ActionSpec("privacy.back", "escape", "back", "Back", "One step back, or no filter", PRIVACY, "privacy",
               footer=True, typing=True),
    ActionSpec("privacy.open", "enter", "open", "Explain", "What a pattern catches, which rules decide on an item",
               PRIVACY, "privacy", footer=True),
    ActionSpec("privacy.section", "right_square_bracket", "section(1)", "Section", "The next section", PRIVACY,
               "privacy", footer=True),
    ActionSpec("privacy.section.previous", "left_square_bracket", "section(-1)", "Previous section",
               "The previous section", PRIVACY, "privacy"),
    ActionSpec("privacy.share", "s", "share", "Share", "Share the item, after seeing who gets it how", PRIVACY,
               "privacy", footer=True),
    ActionSpec("privacy.unshare", "u", "unshare", "Unshare", "Take the item back, or keep it from the team", PRIVACY,
               "privacy", footer=True),
    ActionSpec("privacy.code", "r", "recovery_code", "Recovery code", "Make a code that opens what is sealed",
               PRIVACY, "privacy", footer=True),
    ActionSpec("agents.back", "escape", "back", "Back", "One step back, or no filter", AGENTS, "agents", footer=True,
               typing=True),
    ActionSpec("agents.open", "enter", "open", "Open", "Go to the agent's detail", AGENTS, "agents"),
    ActionSpec("agents.section", "right_square_bracket", "section(1)", "Section", "The detail's next section", AGENTS,
               "agents", footer=True),
    ActionSpec("agents.section.previous", "left_square_bracket", "section(-1)", "Previous section",
               "The detail's previous section", AGENTS, "agents"),
    ActionSpec("agents.history", "h", "history", "History", "Every version of the state", AGENTS, "agents",
               footer=True),
    ActionSpec("agents.register", "n", "register", "New", "Register an agent", AGENTS, "agents", footer=True),
    ActionSpec("agents.message", "m", "message", "Message", "Write to the agent, its type or everyone", AGENTS,
               "agents", footer=True),
    ActionSpec("view.filter", "slash", "filter", "Search", "Go to this pane's search or filter field", VIEW,
               footer=True),
    ActionSpec("work.add", "a", "add_documents", "Add", "Add a folder, a file or a Python package", WORK, footer=True),
    ActionSpec("work.cancel", "x", "toggle_work", "Cancel / continue", "Stop the work, or go on with it", WORK),
    ActionSpec("keys.toggle", "ctrl+l", "toggle_lock", "Lock / unlock", "Lock what is sealed, or unlock it", APP,
               priority=True),
    ActionSpec("app.help", "question_mark,f1", "help", "Help", "Every key that works now", APP, footer=True),
    ActionSpec("app.palette", "ctrl+p", "command_palette", "Palette", "Find an action by name", APP,
               footer=True, priority=True, typing=True),
    ActionSpec("app.quit", "q", "quit", "Quit", "Leave Bailiwick", APP, footer=True),
    ActionSpec("app.quit.always", "ctrl+q", "quit", "Quit", "Leave, even while typing", APP,
               priority=True, typing=True),
    ActionSpec("search.filters", "f", "filters", "Filters", "Choose library, version …", FIND, "search", footer=True),
    ActionSpec("search.mode", "m", "mode", "Mode", "By meaning, by words, or both", FIND, "search", footer=True),
    ActionSpec("search.edit", "o", "edit", "Open", "Open the file in your editor", FIND, "search", footer=True),
    ActionSpec("search.previous", "left_square_bracket", "passage(-1)", "Previous", "Previous passage", FIND, "search"),
    ActionSpec("search.next", "right_square_bracket", "passage(1)", "Next", "Next passage", FIND, "search"),
    ActionSpec("agents.retire", "d,delete", "retire", "Retire", "End the agent for good", AGENTS, "agents",
               footer=True),
    ActionSpec("agents.snapshot", "s", "snapshot", "Snapshot", "Take a snapshot of everything", AGENTS, "agents",
               footer=True),
    ActionSpec("agents.restore", "r", "restore", "Restore", "Bring states back from a snapshot", AGENTS, "agents",
               footer=True),
    ActionSpec("agents.retired", "v", "retired", "Retired", "Show or hide who has retired", AGENTS, "agents"),
    ActionSpec("messages.reply", "r", "reply", "Reply", "Answer the message, in its thread", MESSAGES, "messages",
               footer=True),
    ActionSpec("messages.acknowledge", "k", "acknowledge", "Acknowledge", "Tell the sender that you took note",
               MESSAGES, "messages", footer=True),
    ActionSpec("messages.filters", "f", "filters", "Filter", "Only messages of an agent, a type, a thread", MESSAGES,
               "messages", footer=True),
    ActionSpec("messages.thread", "h", "thread", "Thread", "Only the thread of this message", MESSAGES, "messages",
               footer=True),
    ActionSpec("audit.filters", "f", "filters", "Filter", "Only records of an actor, an action, a subject", AUDIT,
               "audit", footer=True),
    ActionSpec("audit.subject", "s", "subject", "Subject", "Only records of this record's subject", AUDIT, "audit",
               footer=True),
    ActionSpec("view.freeze", "space", "freeze", "Freeze", "Stop or resume this pane's updates", VIEW, footer=True),
    ActionSpec("view.copy", "c", "copy", "Copy", "Copy what this pane shows", VIEW, footer=True),
    ActionSpec("view.zoom", "z", "zoom", "Zoom", "Hide or show the other panes' cards", VIEW, footer=True),
    ActionSpec("view.theme", "t", "toggle_theme", "Light / dark", "Switch between light and dark", VIEW),
    ActionSpec("focus.next", "tab", "focus_next", "Next field", "Move the focus forward", VIEW, typing=True),
    ActionSpec("focus.previous", "shift+tab", "focus_previous", "Previous field", "Move the focus back", VIEW),
    ActionSpec("pane.next", "ctrl+pagedown", "next_pane(1)", "Next pane", "Also while typing", PANES, typing=True),
    ActionSpec("pane.previous", "ctrl+pageup", "next_pane(-1)", "Previous pane", "Also while typing", PANES),
)
# fmt: on


def bindings_for(pane: str | None, actions: Iterable[ActionSpec] = ACTIONS) -> list[Binding]:
    """The bindings of the app (``None``) or of one pane."""
    return [spec.binding for spec in actions if spec.pane == pane]


def keys_of(spec: ActionSpec, keymap: Mapping[str, str]) -> tuple[str, ...]:
    """The key names that run ``spec`` under the user's ``keymap``."""
    return tuple(key.strip() for key in keymap.get(spec.id, spec.keys).split(",") if key.strip())


@dataclass(frozen=True, slots=True)
class UsableAction:
    """An action that works now: ``node`` is the app or pane whose namespace it is in, ``keys`` how its keys read.

    ``label`` is what it is called in the pane in view.
    """

    spec: ActionSpec
    node: DOMNode
    keys: tuple[str, ...]
    label: str


def usable_actions(
    app: DOMNode,
    pane: DOMNode | None,
    pane_id: str,
    keymap: Mapping[str, str],
    labels: Mapping[str, str],
    actions: Iterable[ActionSpec] = ACTIONS,
) -> tuple[UsableAction, ...]:
    """Every action of the app and of the pane in view that ``check_action`` allows now, in the registry's order.

    ``labels`` are what the pane in view calls actions of the app, where that differs.
    """
    usable = []
    for spec in actions:
        node = app if spec.pane is None else pane if spec.pane == pane_id else None
        if node is not None:
            _, name, parameters = parse(spec.action)
            if node.check_action(name, parameters):
                keys = tuple(key_label(key) for key in keys_of(spec, keymap))
                usable.append(UsableAction(spec, node, keys, labels.get(spec.id, spec.label)))
    return tuple(usable)


def key_label(key: str) -> str:
    """A key as people write it: ``?``, ``^p``, ``^PgDn``."""
    *modifiers, name = key.split("+")
    names = {"pagedown": "PgDn", "pageup": "PgUp", "space": "Space", "tab": "Tab", "enter": "Enter", "escape": "Esc"}
    text = names.get(name) or format_key(name)
    prefix = "".join({"ctrl": "^", "shift": "⇧", "alt": "⌥"}.get(each, f"{each}+") for each in modifiers)
    return prefix + text


@dataclass(frozen=True, slots=True)
class KeymapFile:
    """A read keymap: usable ``keys`` by action id, and one sentence for each entry left out."""

    keys: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def read_keymap(path: Path, actions: Iterable[ActionSpec] = ACTIONS) -> KeymapFile:
    """Read a ``keymap.yml`` (``action id: "key,key"``); a missing file is an empty keymap, and nothing is raised."""
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return KeymapFile()
    except (OSError, UnicodeDecodeError):
        return KeymapFile(problems=(f"{path} cannot be read.",))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        return KeymapFile(problems=(f"{path}, line {mark.line + 1 if mark else 1}: this is not valid YAML.",))
    if loaded is None:
        return KeymapFile()
    if not isinstance(loaded, dict):
        return KeymapFile(problems=(f"{path}: lines must read `action: key`.",))
    specs = tuple(actions)
    known = {spec.id for spec in specs}
    keys: dict[str, str] = {}
    problems: list[str] = []
    for name, value in loaded.items():
        if name not in known:
            problems.append(f"there is no action {name}")
        elif (usable := _usable_keys(value)) is None:
            problems.append(f"{name}: {value!r} is not a key")
        else:
            keys[str(name)] = usable
    return _without_clashes(specs, keys, problems)


def _usable_keys(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    names = [part.strip() for part in str(value).split(",")]
    if not all(names) or any(" " in name or not name.isprintable() for name in names):
        return None
    return ",".join(_key_name(name) for name in names)


def _key_name(text: str) -> str:
    """Textual's name of a key that was written as its character."""
    if len(text) != 1 or text.isalnum():
        return text
    name = unicodedata.name(text, text).lower().replace("-", "_").replace(" ", "_")
    return KEY_NAME_REPLACEMENTS.get(name, name)


def _without_clashes(specs: tuple[ActionSpec, ...], keys: dict[str, str], problems: list[str]) -> KeymapFile:
    """Leave out the entries of ``keys`` that would take a key away from an action that can work at the same time."""
    clash = True
    while clash:
        clash = False
        owners: dict[tuple[str, str], ActionSpec] = {}
        for spec in sorted(specs, key=lambda spec: spec.id in keys):
            for key in keys_of(spec, keys):
                rivals = [owner for (name, _), owner in owners.items() if name == key and _together(owner, spec)]
                if rivals and spec.id in keys:
                    problems.append(f"{spec.id}: {key_label(key)} is already {rivals[0].id}")
                    del keys[spec.id]
                    clash = True
                    break
                owners[key, spec.id] = spec
            if clash:
                break
    return KeymapFile(keys, tuple(problems))


def _together(one: ActionSpec, other: ActionSpec) -> bool:
    """Whether both can be asked for at the same time: panes of different names cannot."""
    return one.pane is None or other.pane is None or one.pane == other.pane
