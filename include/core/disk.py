"""The few durable file operations on which landing and publish rest. Every write to the warehouse goes through here.

The calls are made as `os.<name>` on purpose: the fault tests replace this module's `os` and fail at every one of them.
"""
# ruff: noqa: PTH102, PTH104, PTH105, PTH108

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self


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
    if path.is_dir():
        return
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for directory in reversed(missing):
        try:
            os.mkdir(directory)
        except FileExistsError:
            continue
        fsync_dir(directory.parent)


class Spool:
    """Bytes on their way in: a temporary file that is hashed as it grows, and gone when its block ends.

    `place` gives the file a name that stays; it may be called once.
    """

    def __init__(self, folder: Path):
        make_dir(folder)
        self._fd, name = tempfile.mkstemp(prefix=".tmp-", dir=folder)
        self.path, self.n_bytes = Path(name), 0
        self.restart()

    def restart(self) -> None:
        """Forget what was written: another try begins."""
        if self.n_bytes:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._digest, self.n_bytes, self._only = hashlib.sha256(), 0, b""

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._only = None if self.n_bytes else piece
        self._digest.update(piece)
        self.n_bytes += len(piece)
        view = memoryview(piece)
        while view:
            view = view[os.write(self._fd, view) :]

    def fill(self, file: BinaryIO) -> None:
        """Append a whole file."""
        while piece := file.read(2**20):
            self.write(piece)

    @property
    def sha256(self) -> str:
        """Of what was written, in hex."""
        return self._digest.hexdigest()

    def open(self) -> BinaryIO:
        """All that was written, to be read. What came as one piece is not asked of the disk again."""
        return self.path.open("rb") if self._only is None else BytesIO(self._only)

    def place(self, path: Path) -> None:
        """Stand under `path` from now on, read-only: a name that holds the same bytes keeps its file.

        Neither the bytes nor the name are durable yet: the caller sees to that, for many files at once.
        """
        os.fchmod(self._fd, 0o444)
        try:
            os.link(self.path, path)
        except FileExistsError:
            # a name that nobody vouches for may stand on what a crash left of an earlier try
            if file_sha256(path) != self.sha256:
                os.replace(self.path, path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        os.close(self._fd)
        self.path.unlink(missing_ok=True)


def file_sha256(path: Path) -> str:
    """sha256 of a file's content in hex, read piece by piece; of nothing if there is no file."""
    if not path.exists():
        return hashlib.sha256().hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
