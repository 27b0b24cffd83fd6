"""The few durable file operations on which landing and publish rest. Every write to the warehouse goes through here.

The calls are made as `os.<name>` on purpose: the fault tests replace this module's `os` and fail at every one of them.
"""
# ruff: noqa: PTH102, PTH104, PTH105, PTH108

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path


def fsync_dir(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_file(path: Path) -> None:
    """Make a file's content durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_dir(path: Path) -> None:
    """Create a directory and its parents, each name durable in its parent."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for directory in reversed(missing):
        try:
            os.mkdir(directory)
        except FileExistsError:
            continue
        fsync_dir(directory.parent)


def _write_temp(path: Path, data: bytes, mode: int, *, sync: bool = True) -> Path:
    fd, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    temp = Path(name)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    return temp


def write_new(path: Path, data: bytes, *, mode: int = 0o444, sync: bool = True) -> bool:
    """Write `data` under a final name that is never overwritten. False if the name was there already.

    With `sync=False` the caller makes file and name durable later, many at once.
    """
    if path.exists():
        return False
    temp = _write_temp(path, data, mode, sync=sync)
    try:
        os.link(temp, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temp)
    if sync:
        fsync_dir(path.parent)
    return True


def write_over(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file as a whole, durably: a reader sees the old content or the new."""
    temp = _write_temp(path, data, mode)
    try:
        os.replace(temp, path)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def append_lines(path: Path, lines: Iterable[str]) -> None:
    """Append whole lines with one fsync. A torn last line, left by a crash, is closed off first and stays unread.

    The caller holds the lock that makes it the only writer.
    """
    new = not path.exists()
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.lseek(fd, 0, os.SEEK_END)
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        data = memoryview((("\n" if torn else "") + "".join(f"{line}\n" for line in lines)).encode())
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    if new:
        fsync_dir(path.parent)


def sweep_temps(root: Path) -> int:
    """Remove temporary files and directories that a killed writer left. Call it under the writer's lock."""
    left = list(root.rglob(".tmp-*"))
    for temp in left:
        if temp.is_dir():
            shutil.rmtree(temp)
        else:
            temp.unlink(missing_ok=True)
    return len(left)


def seal(path: Path) -> None:
    """Make a file that another library wrote read-only and durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fchmod(fd, 0o444)
        os.fsync(fd)
    finally:
        os.close(fd)


def copy_new(source: Path, target: Path) -> None:
    """Copy a file to a name that is free, read-only and durable. The name's own durability is the caller's."""
    shutil.copyfile(source, target)
    seal(target)


def link_over(source: Path, target: Path) -> None:
    """Give `source` a second name over `target`, durably: a reader sees the old file or the new, never neither."""
    temp = target.with_name(f".tmp-{os.getpid()}-{target.name}")
    try:
        os.link(source, temp)
        os.replace(temp, target)
    finally:
        # A rename onto another name of the same file does nothing, and leaves this one.
        if temp.exists():
            os.unlink(temp)
    fsync_dir(target.parent)


def move(source: Path, target: Path) -> None:
    """Rename a finished file or directory to a name that is free, durably."""
    os.rename(source, target)
    fsync_dir(target.parent)


def remove_tree(path: Path) -> None:
    """Remove a directory. Its name goes first, so that nobody finds half of it."""
    gone = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    os.rename(path, gone)
    shutil.rmtree(gone)


def remove_file(path: Path) -> None:
    """Remove a file if it is there, durably."""
    if path.exists():
        os.unlink(path)
        fsync_dir(path.parent)
