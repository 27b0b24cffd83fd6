"""Every test starts from a clean configuration: no variable of the person who runs it reaches the code."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of few tests first: those are the long ones, and none should be left for one worker at the end."""
    n_tests = Counter(item.path for item in items)
    items.sort(key=lambda item: n_tests[item.path])


@pytest.fixture(scope="session", autouse=True)
def _clean_start() -> Iterator[None]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores Ctrl-C
    with pytest.MonkeyPatch.context() as monkeypatch:  # a module's fixture comes before a test's
        _clean(monkeypatch)
        yield


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    _clean(monkeypatch)


def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    from include.sources import registry

    keys = {source.key_env for source in registry().values() if source.key_env}
    for name in list(os.environ):
        if name.startswith(("CAPMIG_", "WAREHOUSE_")) or name.removesuffix("_FILE") in keys:
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def pack_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse made from the bundled pack by the direct run, once for all workers. Read it: of what
    it holds only the answers as of an instant grow, each built once."""
    from filelock import FileLock

    base = tmp_path_factory.getbasetemp()
    home = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "pack_home"
    with FileLock(f"{home}.lock", timeout=900):
        if not (home / "ready").exists():
            done = capmig(home, "run", "--direct")
            assert done.returncode == 0, done.stderr
            (home / "ready").write_text(done.stdout)
    return home


def capmig(home: Path, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as a user runs it, on a warehouse at `home`."""
    program = Path(sys.executable).with_name("capmig")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("CAPMIG_", "WAREHOUSE_"))}
    return subprocess.run([program, *args], env=clean | {"WAREHOUSE_HOME": str(home)} | env, capture_output=True,
                          text=True, timeout=600)  # fmt: skip
