"""`make bench`: our commands beside the physical floor and the peers, as ratios of CPU seconds in one run.
`python -m tests.bench landing` (or `job`, `versions`, `days`, `doors`) runs one part.

Each figure is the median of RUNS whole processes (user + system time of the process and its children); peak memory is
the largest resident set. Wall seconds stand beside. Absolute seconds depend on the machine: compare the ratios.
"""

import gzip
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench import calibration, readers
from tests.bench.workloads import N_PAGES, N_SMALL, payload

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
ROWS = {
    "20 small feeds, extract and load": ("small", ("floor", "ours", "pandas", "dlt")),
    "1M rows as one gz payload, to Parquet": ("one", ("floor", "ours", "pandas")),
    "1M rows in 1,000 pages, each landed": ("pages", ("floor", "kept", "ours", "pandas", "dlt")),
}


@cache
def _answer(path: str) -> bytes:
    name, _, n = path.strip("/").partition("/")
    body = payload(name, int(n or 0))
    return gzip.compress(body, mtime=0, compresslevel=1) if name == "one" else body


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # as every host does; who does not say that it stays is asked anew each time

    def do_GET(self) -> None:
        body = _answer(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if self.path == "/one":
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not what is shown here."""


def measure(
    command: list[str], env: dict[str, str] | None = None, told: str = os.devnull
) -> tuple[float, float, float]:
    """(CPU seconds, wall seconds, peak MB) of one whole process and its children; its standard error goes to `told`."""
    start = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        # what is installed has its bytecode beside it, whatever this shell says
        kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        os.execvpe(command[0], command, kept | (env or {}))
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"bench: {' '.join(command[-3:])} failed with status {status}")
    return used.ru_utime + used.ru_stime, time.monotonic() - start, used.ru_maxrss / 1024


def _line(label: str, figures: list[tuple[float, float, float]], floor: float) -> float:
    cpu, wall, peak = (statistics.median(f[i] for f in figures) for i in range(3))
    print(f"  {label:<28}{cpu:8.2f} s cpu {wall:8.2f} s wall {peak:7.0f} MB   x {cpu / (floor or cpu):.2f}", flush=True)
    return cpu


def landing(home: Path) -> None:
    """Fetch and store, against the floor and the peers."""
    with served() as base:
        for title, (name, kinds) in ROWS.items():
            print(title)
            figures: dict[str, list] = {kind: [] for kind in kinds}
            for n in range(RUNS):  # in turn: a machine that others use is now slow, now fast
                for kind in kinds:
                    # nothing is removed before the end: a file system is slow to make files where it has just lost some
                    command = [sys.executable, "-m", "tests.bench.workloads", f"{kind}_{name}", base]
                    figures[kind].append(measure([*command, str(home / name / f"{kind}{n}")]))
            floor = 0.0
            for kind in kinds:
                cpu = _line(kind, figures[kind], floor)
                floor = floor or cpu


def _stages(told: Path, wall: float) -> str:
    """Seconds by stage, from the progress lines `  12.3s  step`."""
    names = {"Airflow": "start", "land": "land", "build": "build", "check": "check", "publish": "publish"}
    marks: list[tuple[str, float]] = []
    for at, step in re.findall(r"^ *([0-9.]+)s  (.+)$", told.read_text(), re.M):
        word = step.removeprefix("build_warehouse.").split(" ")[0].split("__")[0]
        if word in names and (not marks or marks[-1][0] != names[word]):
            marks.append((names[word], float(at)))
    ends = [at for _, at in marks[1:]] + [wall]
    return " · ".join(f"{name} {end - at:.1f} s" for (name, at), end in zip(marks, ends, strict=True))


def whole_job(home: Path) -> None:
    """The job of `make run`, through Airflow and as plain functions, then again with nothing to do."""
    print("the whole job on the bundled pack")
    program = str(Path(sys.executable).with_name("capmig"))
    for label, args in {"plain functions": ["run", "--direct"], "through Airflow": ["run"]}.items():
        env = {"WAREHOUSE_HOME": str(home / label.replace(" ", "_"))}
        for suffix in ("", ", no change"):
            told = home / "told"
            figures = measure([program, *args], env, str(told))
            _FLOOR.setdefault("job", figures[0])
            _line(label + suffix, [figures], _FLOOR["job"])
            print(f"      {_stages(told, figures[1])}", flush=True)
    print("a build of the same landing, against one without its data tests")
    _against(["plain", "tested", "as_of"], home / "plain_functions")
    calibration.show(home / "plain_functions")


def _ledger(name: str, home: Path) -> list[str]:
    return [sys.executable, "-m", "tests.bench.ledger", name, str(home)]


def _against(names: list[str], home: Path) -> None:
    """Workloads of `tests.bench.ledger`, as ratios to the first."""
    floor = 0.0
    for name in names:
        cpu = _line(name, [measure(_ledger(name, home)) for _ in range(RUNS)], floor)
        floor = floor or cpu


def versions(home: Path) -> None:
    """What the ledger and a question as of an instant cost."""
    print("the ledger over three years of half-hourly restated pages, its models alone")
    for name in ("one", "three"):
        subprocess.run(_ledger(name, home), check=True)
    print("an aggregate as known at an instant over 10M versions, against the current table")
    measure(_ledger("versions", home))
    _against(["current", "interval", "window"], home)


def days(home: Path) -> None:
    """What a changed day of a big feed costs after a short and a long history."""
    print("one changed day of a big feed after 30, 300 and 3,000 days")
    subprocess.run([sys.executable, "-m", "tests.bench.partitions", str(home / "days")], check=True)


def doors(home: Path) -> None:
    """Readers of a served file beside PostgreSQL, and reads while publishes go on."""
    readers.show(home / "readers")
    readers.publishes(home / "publishes")


_FLOOR: dict[str, float] = {}
PARTS = {"landing": landing, "job": whole_job, "versions": versions, "days": days, "doors": doors}


def serve() -> None:
    """Answer with payloads, all made beforehand. Prints its port."""
    for n in range(N_PAGES):
        _answer(f"/pages/{n}")
    for path in ["/one", *(f"/small/{n}" for n in range(N_SMALL))]:
        _answer(path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@contextmanager
def served() -> Iterator[str]:
    """The base URL of a server in a process of its own: what this one holds would count as its children's memory."""
    command = [sys.executable, "-m", "tests.bench", "serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


def main() -> None:
    """Print the rows of the parts that are named, or every row of the bench."""
    if unknown := sorted(set(sys.argv[1:]) - set(PARTS)):
        sys.exit(f"no part {unknown[0]!r}: name some of {', '.join(PARTS)}, or none to run all")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, median of {RUNS} runs")
    with tempfile.TemporaryDirectory(prefix="capmig-bench-") as scratch:
        for part in sys.argv[1:] or PARTS:
            PARTS[part](Path(scratch))


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else main()
