"""The files of an AgentFS file: its folders walked from the root, every name and every piece checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from core.interchange.agentfs_format import FILE_TYPE, FOLDER_TYPE, LINK_TYPE, ROOT_INODE, TYPE_MASK
from core.interchange.file_states import StoredFile, is_plain_name
from core.interchange.foreign_tables import ForeignTables

MOST_FILES = 10_000
NO_FILES = "--no-files leaves the files out."
_LONGEST_PATH = 4096


@dataclass(frozen=True, slots=True)
class FileTree:
    """The files and links, and by path why others could not be read."""

    files: tuple[StoredFile, ...]
    unread: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Inode:
    mode: int
    size: int


def read_tree(tables: ForeignTables, largest: int) -> FileTree:
    """Every file that can be reached from the root, in the order of their paths, but for those over ``largest`` bytes.

    Raises InvalidInput for what no program of the format writes: folders in a circle, names that lead elsewhere, cells
    of the wrong type.
    """
    inodes = _inodes(tables)
    files: list[StoredFile] = []
    unread: dict[str, str] = {}
    for path, inode in sorted(_reached(tables, inodes).items()):
        kind, size = inodes[inode].mode & TYPE_MASK, inodes[inode].size
        if kind == LINK_TYPE:
            files.append(StoredFile(path, target=_target(tables, inode)))
        elif kind != FILE_TYPE:
            unread[path] = "it is neither a file nor a symbolic link"
        elif size > largest:
            unread[path] = f"its {size:,} bytes are more than the {largest:,} that one state holds"
        elif (data := _data(tables, inode, size)) is None:
            unread[path] = "its pieces do not make up its size"
        else:
            files.append(StoredFile(path, data, inodes[inode].mode & 0o777))
    return FileTree(tuple(files), unread)


def _inodes(tables: ForeignTables) -> dict[int, _Inode]:
    inodes: dict[int, _Inode] = {}
    for inode, mode, size in tables.all("fs_inode", ("ino", "mode", "size"), 2 * MOST_FILES, NO_FILES):
        if not isinstance(inode, int) or not isinstance(mode, int) or not isinstance(size, int) or size < 0:
            raise tables.malformed("fs_inode holds cells of the wrong type")
        inodes[inode] = _Inode(mode, size)
    return inodes


def _reached(tables: ForeignTables, inodes: dict[int, _Inode]) -> dict[str, int]:
    """The inode of every path below the root that is no folder."""
    entries: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for name, parent, inode in tables.all("fs_dentry", ("name", "parent_ino", "ino"), 2 * MOST_FILES, NO_FILES):
        if not isinstance(name, str) or not isinstance(parent, int) or not isinstance(inode, int):
            raise tables.malformed("fs_dentry holds cells of the wrong type")
        if not is_plain_name(name):
            raise tables.malformed("a file in it has a name that leads elsewhere")
        if inode not in inodes:
            raise tables.malformed("a name in it belongs to no file")
        entries[parent].append((name, inode))
    reached: dict[str, int] = {}
    walked = {ROOT_INODE}
    waiting = [("", ROOT_INODE)]
    while waiting:
        folder, number = waiting.pop()
        for name, inode in entries[number]:
            path = f"{folder}{name}"
            if len(path) > _LONGEST_PATH:
                raise tables.malformed(f"a path in it is longer than {_LONGEST_PATH:,} characters")
            if path in reached:
                raise tables.malformed("a name stands twice in one folder")
            if inodes[inode].mode & TYPE_MASK != FOLDER_TYPE:
                reached[path] = inode
            elif inode in walked:
                raise tables.malformed("a folder in it lies in itself or in two others")
            else:
                walked.add(inode)
                waiting.append((f"{path}/", inode))
    return reached


def _target(tables: ForeignTables, inode: int) -> str:
    targets = [target for (target,) in tables.of("fs_symlink", ("target",), "ino", inode)]
    if len(targets) != 1 or not isinstance(targets[0], str) or not targets[0]:
        raise tables.malformed("a symbolic link in it has no target")
    return targets[0]


def _data(tables: ForeignTables, inode: int, size: int) -> bytes | None:
    pieces: dict[int, bytes] = {}
    total = 0
    for index, piece in tables.of("fs_data", ("chunk_index", "data"), "ino", inode):
        if not isinstance(index, int) or not isinstance(piece, bytes):
            raise tables.malformed("fs_data holds cells of the wrong type")
        total += len(piece)
        if total > size or index in pieces:
            return None
        pieces[index] = piece
    if total != size or sorted(pieces) != list(range(len(pieces))):
        return None
    return b"".join(pieces[index] for index in range(len(pieces)))
