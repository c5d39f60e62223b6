"""A folder as a disk would hold it after each call that a program made of the file system.

A program runs once under strace; what it asked for is then applied to a copy of the folder, call by
call. After each call stand the states that a crash there could leave:

| crash | what is left |
|---|---|
| the process is killed | all that was asked for |
| the power fails | what was synced; of the rest all, nothing or some, names and contents apart |

Where a program reads and then writes on through the same handle is not followed: none here does.
A file's content counts as synced after fsync on it, a name after fsync on its folder: what POSIX
promises and no more. The method is that of ALICE (Pillai et al., OSDI 2014), for one program.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random

import pytest

TRACED = (
    *("openat", "creat", "close", "lseek", "write", "pwrite64", "writev"),
    *("pwritev", "ftruncate", "truncate", "fallocate", "copy_file_range", "sendfile"),
    *("rename", "renameat", "renameat2", "unlink", "unlinkat", "link", "linkat"),
    *("mkdir", "mkdirat", "rmdir", "fsync", "fdatasync"),
)


def _traceable() -> bool:
    """Whether strace is there and may trace: some containers forbid it."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True)
    return tried.returncode == 0


needs_strace = pytest.mark.skipif(not _traceable(), reason="needs strace and the right to trace")


def _mounts() -> bool:
    """Whether this account may mount in a namespace of its own."""
    if shutil.which("unshare") is None:
        return False
    tried = ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(tried, capture_output=True).returncode == 0


needs_mounts = pytest.mark.skipif(not _mounts(), reason="needs unshare and the right to mount")

Change = tuple[int, bytes | None]
"""Bytes at an offset; None cuts the file off there."""
Pick = str
"""Which of the changes that were not synced are there: "all", "none" or "some"."""


@dataclass(eq=False)
class Node:
    """A file or a folder, with what of it is sure."""

    folder: bool
    sure: bytes = b""
    since: list[Change] = field(default_factory=list)
    """What was written after the last sync."""
    names: dict[str, "Node"] = field(default_factory=dict)
    sure_names: dict[str, "Node"] = field(default_factory=dict)

    def content(self, changes: Sequence[Change] | None = None) -> bytes:
        """The file with these changes, or with all of them."""
        content = bytearray(self.sure)
        for at, data in self.since if changes is None else changes:
            if data is None:
                content = content[:at].ljust(at, b"\0")
            else:
                content = content.ljust(at, b"\0")
                content[at : at + len(data)] = data
        return bytes(content)

    def sync(self) -> None:
        """What was asked for is sure from now on."""
        self.sure, self.since, self.sure_names = self.content(), [], dict(self.names)


@dataclass(frozen=True)
class Crash:
    """What a crash after `calls` calls would leave, and what the program had said by then."""

    calls: int
    kind: str
    said: tuple[str, ...]
    left: Path


def crashes(program: Sequence[str], folder: Path, scratch: Path, **env: str) -> Iterator[Crash]:
    """Run the program, which changes `folder`, and give each different state of it, one at a time.

    The state lies at the folder's own path, as paths in it may be whole; `folder` holds what the
    program has left afterwards. Raises AssertionError when the program fails.
    """
    root = _read(folder)
    trace = scratch / "trace"
    calls = ",".join(TRACED)
    strace = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-y",
        "-xx",
        "-s",
        "100000000",
        "-e",
        f"trace={calls}",
        "-o",
    ]
    ran = subprocess.run(
        [*strace, str(trace), *program], capture_output=True, text=True, env=os.environ | env
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    kept = folder.with_name(f"{folder.name}-kept")
    folder.rename(kept)
    seen: set[bytes] = set()
    disk = _Disk(folder, root)
    for number, line in enumerate(_whole_lines(trace)):
        if not disk.apply(line):
            continue
        for kind, names, contents in (
            ("killed", "all", "all"),
            ("power, nothing more", "none", "none"),
            ("power, names", "all", "none"),
            ("power, contents", "none", "all"),
            ("power, some", "all", "some"),
        ):
            state = {} if root is None else _state(root, names, contents, Random(number))
            mark = _mark(state, disk.said)
            if mark not in seen:
                seen.add(mark)
                _lay_out(state, folder)
                yield Crash(number, kind, tuple(disk.said), folder)
                shutil.rmtree(folder)
    kept.rename(folder)


def _read(path: Path) -> Node:
    """The folder as it is, all of it sure."""
    if path.is_file():
        return Node(False, path.read_bytes())
    names = {one.name: _read(one) for one in path.iterdir()}
    return Node(True, names=names, sure_names=dict(names))


def _state(
    node: Node, names: Pick, contents: Pick, chance: Random, at: str = "."
) -> dict[str, bytes | None]:
    """Path to content (None: a folder) of what is left."""
    found: dict[str, bytes | None] = {at: None}
    for name, one in (node.names if names == "all" else node.sure_names).items():
        path = f"{at}/{name}"
        if one.folder:
            found |= _state(one, names, contents, chance, path)
        elif not name.endswith("-shm"):  # SQLite makes it anew; it is written without calls
            some = [change for change in one.since if chance.random() < 0.5]
            found[path] = one.content({"all": None, "none": [], "some": some}[contents])
    return found


def _mark(state: dict[str, bytes | None], said: Sequence[str]) -> bytes:
    """What tells this state from another."""
    digest = sha256(repr((sorted(state), said)).encode())
    for path in sorted(state):
        digest.update(sha256(state[path] or b"").digest())
    return digest.digest()


def _lay_out(state: dict[str, bytes | None], folder: Path) -> None:
    for path, content in state.items():
        if content is None:
            (folder / path).mkdir(mode=0o700)
        else:
            (folder / path).write_bytes(content)
            (folder / path).chmod(0o600)


def _whole_lines(trace: Path) -> Iterator[str]:
    """The calls; one that another thread interrupted is put together again."""
    begun: dict[str, str] = {}
    for line in trace.read_text().splitlines():
        thread, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if rest.endswith("<unfinished ...>"):
            begun[thread] = rest.removesuffix("<unfinished ...>")
        elif resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", rest):
            yield begun.pop(thread, "") + resumed[1]
        else:
            yield rest


_CALL = re.compile(r"(\w+)\((.*)\)\s+= (\d+)(?:<([^>]*)>)?")
_HANDLE = re.compile(r"(\d+|AT_FDCWD)(?:<([^>]*)>)?")


def _text(hexed: str) -> str:
    return os.fsdecode(_bytes(hexed))


def _bytes(hexed: str) -> bytes:
    return bytes.fromhex(hexed.strip('"').replace("\\x", ""))


class _Disk:
    """The nodes under `folder`, changed by each call."""

    def __init__(self, folder: Path, root: Node) -> None:
        self._top, self._root = str(folder), root
        self._hexed = "".join(f"\\x{byte:02x}" for byte in os.fsencode(folder))
        self._places: dict[tuple[int, Node], int] = {}
        self._open: dict[int, Node] = {}
        self.said: list[str] = []

    def apply(self, line: str) -> bool:
        """Whether the call changed anything."""
        found = _CALL.match(line)
        if found is None:
            return False
        name, given, result = found[1], found[2].split(", "), int(found[3])
        method = getattr(self, f"_{name}", None)
        if method is None:
            assert self._hexed not in line, f"{name} is not understood"
            return False
        return bool(method(given, result))

    # ---- where

    def _path(self, folder: str, hexed: str) -> str:
        path = _text(hexed)
        if not path.startswith("/"):
            found = _HANDLE.match(folder)
            assert found is not None and found[2]
            path = os.path.join(_text(found[2]), path)
        return os.path.normpath(path)

    def _at(self, path: str) -> tuple[Node, str] | None:
        """The folder that holds the name, and the name; None outside of the disk."""
        if not path.startswith(self._top + "/"):
            return None
        *above, name = path[len(self._top) + 1 :].split("/")
        node = self._root
        for part in above:
            node = node.names[part]
        return node, name

    def _node(self, handle: str) -> Node | None:
        found = _HANDLE.match(handle)
        return self._open.get(int(found[1])) if found and found[1].isdigit() else None

    # ---- names

    def _openat(self, given: list[str], result: int) -> bool:
        folder, hexed, flags = given[:3]
        path = self._path(folder, hexed)
        self._open.pop(result, None)
        if path == self._top:
            self._open[result] = self._root
        where = self._at(path)
        if where is None:
            return False
        above, name = where
        new = name not in above.names
        if new:
            if "O_TMPFILE" in flags or not above.folder:
                return False
            assert "O_CREAT" in flags, path
            above.names[name] = Node(False)
        node = above.names[name]
        self._open[result] = node
        self._places[result, node] = len(node.content()) if "O_APPEND" in flags else 0
        if "O_TRUNC" in flags and not new:
            node.since.append((0, None))
        return new or "O_TRUNC" in flags

    def _close(self, given: list[str], result: int) -> bool:
        found = _HANDLE.match(given[0])
        assert found is not None
        self._open.pop(int(found[1]), None)
        return False

    def _rename(self, given: list[str], result: int) -> bool:
        return self._renamed(_text(given[0]), _text(given[1]))

    def _renameat(self, given: list[str], result: int) -> bool:
        return self._renamed(self._path(*given[:2]), self._path(*given[2:4]))

    _renameat2 = _renameat

    def _renamed(self, old: str, new: str) -> bool:
        source, target = self._at(old), self._at(new)
        if source is None and target is None:
            return False
        assert source is not None and target is not None, f"{old} comes from elsewhere"
        target[0].names[target[1]] = source[0].names.pop(source[1])
        return True

    def _link(self, given: list[str], result: int) -> bool:
        source, target = self._at(_text(given[0])), self._at(_text(given[1]))
        if target is None:
            return False
        assert source is not None
        target[0].names[target[1]] = source[0].names[source[1]]
        return True

    def _unlink(self, given: list[str], result: int) -> bool:
        return self._gone(_text(given[0]))

    _rmdir = _unlink

    def _unlinkat(self, given: list[str], result: int) -> bool:
        return self._gone(self._path(*given[:2]))

    def _gone(self, path: str) -> bool:
        where = self._at(path)
        return where is not None and where[0].names.pop(where[1], None) is not None

    def _mkdir(self, given: list[str], result: int) -> bool:
        return self._made(_text(given[0]))

    def _mkdirat(self, given: list[str], result: int) -> bool:
        return self._made(self._path(*given[:2]))

    def _made(self, path: str) -> bool:
        where = self._at(path)
        if where is not None:
            where[0].names[where[1]] = Node(True)
        return where is not None

    # ---- contents

    def _write(self, given: list[str], result: int) -> bool:
        found = _HANDLE.match(given[0])
        assert found is not None
        if found[1] == "1":
            self.said += _text(given[1]).split()
            return True
        node = self._node(given[0])
        return node is not None and self._put(int(found[1]), node, _bytes(given[1])[:result])

    def _put(self, handle: int, node: Node, data: bytes) -> bool:
        place = self._places[handle, node]
        node.since.append((place, data))
        self._places[handle, node] = place + len(data)
        return True

    def _pwrite64(self, given: list[str], result: int) -> bool:
        node = self._node(given[0])
        if node is not None:
            node.since.append((int(given[3]), _bytes(given[1])[:result]))
        return node is not None

    def _lseek(self, given: list[str], result: int) -> bool:
        node, found = self._node(given[0]), _HANDLE.match(given[0])
        assert found is not None
        if node is not None:
            self._places[int(found[1]), node] = result
        return False

    def _sendfile(self, given: list[str], result: int) -> bool:
        node, found = self._node(given[0]), _HANDLE.match(given[0])
        source, start = _HANDLE.match(given[1]), re.match(r"\[(\d+)\]", given[2])
        assert found and source and source[2] and start
        if node is None or not result:
            return False
        inner = self._node(given[1])
        whole = inner.content() if inner else Path(_text(source[2])).read_bytes()
        return self._put(int(found[1]), node, whole[int(start[1]) :][:result])

    def _ftruncate(self, given: list[str], result: int) -> bool:
        node = self._node(given[0])
        if node is not None:
            node.since.append((int(given[1]), None))
        return node is not None

    def _fsync(self, given: list[str], result: int) -> bool:
        node = self._node(given[0])
        if node is not None:
            node.sync()
        return node is not None

    _fdatasync = _fsync
