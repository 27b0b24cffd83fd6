"""The bundled record of December 2025 and January 2026, and a server that answers from it as the sources would have."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from include.core import disk
from include.core.clock import iso
from include.core.errors import ConfigError
from include.replay.encoders import absent, encoders
from include.replay.farside import deliver
from include.replay.record import PACK_CLOCK
from include.replay.server import ReplayServer
from include.settings import REPLAY_KEY, Settings

__all__ = ["PACK_CLOCK", "ReplayServer", "deliver", "session"]


@contextmanager
def session(load: Callable[[], Settings], *, live: bool) -> Iterator[Settings]:
    """The settings of one run: live, or against the pack with its saved pages waiting in the inbox.

    A warehouse made from the pack keeps the pack's clock in `clock`, so every later command reads the same one.
    The sources' base URLs stand in the environment for as long as the run lasts, since each task loads its own
    settings; one that the user has set stays. Raises `ConfigError` where the pack would be mixed with live data.
    """
    settings = load()
    marker = settings.home / "clock"
    if live and marker.exists():  # whatever the clock is set to: the past of this home is the pack's
        raise ConfigError(
            "this warehouse was made from the bundled pack, which live data must not be mixed with", source="replay",
            rule="config.mixed", action="leave --live out, or give another WAREHOUSE_HOME",
        )  # fmt: skip
    if live:
        yield settings
        return
    if not marker.exists():
        if (settings.home / "landing").exists():
            raise ConfigError(
                "this warehouse holds live data, which the bundled pack must not be mixed with", source="replay",
                rule="config.mixed", action="give --live, or another WAREHOUSE_HOME",
            )  # fmt: skip
        disk.make_dir(settings.home)
        disk.write_over(marker, f"{iso(PACK_CLOCK)}\n".encode())
        settings = load()
    deliver(settings.home / "inbox", settings.clock)
    with ReplayServer(settings.clock) as server:
        urls = {
            f"CAPMIG_BASE_URL__{source_id.upper()}": server.base_url(source_id)
            for source_id in encoders()
            if source_id not in settings.base_urls
        } | {REPLAY_KEY: ",".join(absent(settings.clock)) or "none"}
        os.environ.update(urls)
        try:
            yield load()
        finally:
            for key in urls:
                del os.environ[key]
