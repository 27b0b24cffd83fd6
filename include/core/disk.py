"""The few durable file operations on which landing and publish rest. Every write to the warehouse goes through here.

The calls are made as `os.<name>` on purpose: the fault tests replace this module's `os` and fail at every one of them.
"""

import os
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


def _write_temp(path: Path, data: bytes, mode: int) -> Path:
    fd, name = tempfile.mkstemp(prefix=".tmp-", dir=path.parent)
    temp = Path(name)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
    except BaseException:
        temp.unlink(missing_ok=True)
        raise
    return temp


def write_new(path: Path, data: bytes, *, mode: int = 0o444, sync_dir: bool = True) -> bool:
    """Write `data` under a final name that is never overwritten. False if the name was there already."""
    if path.exists():
        return False
    temp = _write_temp(path, data, mode)
    try:
        os.link(temp, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(temp)
    if sync_dir:
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
    """Remove temporary files that a killed writer left. Call it under the writer's lock."""
    left = list(root.rglob(".tmp-*"))
    for temp in left:
        temp.unlink(missing_ok=True)
    return len(left)
