"""`python -m include.replay --port 8900 --clock 2026-01-23T03:07Z`: the replay server, for hands-on use."""

import argparse
import signal
import sys
from datetime import datetime

from include.core.clock import iso, parse_instant
from include.core.errors import CapmigError, ConfigError
from include.replay.encoders import encoders
from include.replay.record import PACK_CLOCK
from include.replay.server import ReplayServer


def main(argv: list[str]) -> int:
    """Serve until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m include.replay", description="answer as the sources would have")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--clock", default=iso(PACK_CLOCK), help="the instant at which the sources are asked")
    options = parser.parse_args(argv)
    stop = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        clock = parse_instant(options.clock, key="--clock")
        with _bind(clock, options.port) as server:
            where = server.base_url("<source>")
            print(f"the record as of {iso(clock)} on {where}: {', '.join(encoders())}", flush=True)
            signal.sigwait(stop)
    except CapmigError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def _bind(clock: datetime, port: int) -> ReplayServer:
    try:
        return ReplayServer(clock, port=port)
    except (OSError, OverflowError) as error:
        raise ConfigError(f"port {port} cannot be used: {error}", source="replay", rule="config.port",
                          action="choose another --port, or 0 for a free one") from None  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
