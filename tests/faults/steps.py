"""Fail at every n-th call of the storage layer, or be killed there, as SQLite tests itself.

A scenario is `module:function`, called with a home directory in a process of its own. That process is forked from a
warm server which has the modules loaded and has opened no database, so a point costs milliseconds.

    steps = Steps("tests.faults.test_publish:publish_second", ("include.core.disk", "include.warehouse.publish"))
    total = len(steps.run(home).calls)
    for n in range(1, total + 1):
        outcome = steps.run(fresh_home(), "kill", n)
"""

import errno
import importlib
import multiprocessing
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

MODES = ("error", "broken", "kill")
COUNTED = {
    "os": {"open", "write", "fsync", "fchmod", "link", "rename", "replace", "unlink", "mkdir"},
    "shutil": {"rmtree", "copyfile"},
    "tempfile": {"mkstemp"},
    "duckdb": {"connect", "execute"},
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one run: the calls it made, the error it ended with ("" if none), whether it was killed."""

    calls: tuple[str, ...]
    error: str
    error_type: str
    killed: bool


class Steps:
    """Runs a scenario with the storage calls of `modules` counted, and one of them failing."""

    def __init__(self, scenario: str, modules: Sequence[str]):
        self.scenario, self.modules = scenario, tuple(modules)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([scenario.split(":")[0], *self.modules])

    def run(self, home: Path, mode: str = "", n: int = 0) -> Outcome:
        """One run. `error`: call n fails, once. `broken`: it and every later call fail. `kill`: SIGKILL at call n.

        A failing or killed `write` writes half of its bytes first. A killed run tells no calls.
        """
        reader, writer = self._context.Pipe(duplex=False)
        child = self._context.Process(target=_child, args=(writer, self.scenario, self.modules, home, mode, n))
        child.start()
        writer.close()
        try:
            said = reader.recv()
        except EOFError:
            said = ((), "", "")
        child.join()
        if child.exitcode not in (0, -signal.SIGKILL) or (child.exitcode == 0 and not said[0]):
            raise RuntimeError(f"{self.scenario} did not run: exit code {child.exitcode}, see its standard error")
        return Outcome(*said, killed=child.exitcode == -signal.SIGKILL)


class _Counter:
    def __init__(self, mode: str, n: int):
        self.mode, self.n, self.calls = mode, n, []

    def call(self, module: str, name: str, function: Any, args: tuple, kwargs: dict) -> Any:
        self.calls.append(f"{module}.{name}")
        at = len(self.calls) - self.n
        if at == 0 or (at > 0 and self.mode == "broken"):
            if name == "write":
                function(args[0], bytes(args[1])[: len(args[1]) // 2])
            self._fail(module)
        return function(*args, **kwargs)

    def _fail(self, module: str) -> None:
        if self.mode == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.mode and module == "duckdb":
            import duckdb

            raise duckdb.IOException("IO Error: Could not write file: No space left on device")
        if self.mode:
            code = errno.ENOSPC if self.mode == "error" else errno.EIO
            raise OSError(code, os.strerror(code))


class _Proxy:
    """Stands for a module or a connection; passes everything on and counts the calls that reach the disk."""

    def __init__(self, target: Any, module: str, counter: _Counter):
        self._target, self._module, self._counter = target, module, counter

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in COUNTED[self._module] or not callable(found):
            return found

        def counted(*args: Any, **kwargs: Any) -> Any:
            made = self._counter.call(self._module, name, found, args, kwargs)
            return _Proxy(made, self._module, self._counter) if name == "connect" else made

        return counted


def _child(writer: Any, scenario: str, modules: tuple[str, ...], home: Path, mode: str, n: int) -> None:
    counter = _Counter(mode, n)
    module, name = scenario.split(":")
    function = getattr(importlib.import_module(module), name)
    for layer in map(importlib.import_module, modules):
        for attribute in COUNTED:
            if isinstance(getattr(layer, attribute, None), ModuleType):
                setattr(layer, attribute, _Proxy(getattr(layer, attribute), attribute, counter))
    try:
        function(home)
        said = ("", "")
    except Exception as error:
        said = (str(error), type(error).__name__)
    writer.send((tuple(counter.calls), *said))
