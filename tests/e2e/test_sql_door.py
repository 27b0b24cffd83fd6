"""The doors of ad-hoc SQL as their users meet them: a real terminal, files, plain DuckDB, guides, versions compared."""

import json
import os
import pty
import re
import select
import shlex
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from fcntl import ioctl
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from include.settings import ROOT, load
from include.warehouse import publish
from include.warehouse.keys import keys
from tests.conftest import capmig
from tests.postgres import server

SLOW = "select count(*) from range(10000000000) a, range(10000) b where (a.range * b.range) % 7 = 3"
ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])|\r")
GUIDES = ROOT / "include" / "guides"


class Terminal:
    """`capmig` in a pseudo-terminal of 110 x 50: keys go in, what it wrote comes out."""

    def __init__(self, home: Path, *args: str):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            program = str(Path(sys.executable).with_name("capmig"))
            env = os.environ | {"WAREHOUSE_HOME": str(home), "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}
            os.execve(program, [program, *args], env)
        ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 110, 0, 0))
        self.raw = ""

    def keys(self, text: str) -> None:
        """Type."""
        os.write(self.fd, text.encode())

    def until(self, wanted: str, seconds: float = 60) -> str:
        """What was written up to the text that was waited for, without the terminal's own codes; the rest waits."""
        end = time.monotonic() + seconds
        while wanted not in (text := ESCAPE.sub("", self.raw)):
            ready, *_ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            assert ready, f"no {wanted!r} in {text[-2000:]!r}"
            self.raw += os.read(self.fd, 65536).decode(errors="replace")  # the terminal echoes what was typed
        before, _, self.raw = text.partition(wanted)
        return before + wanted

    def wait(self) -> int:
        """The exit code, once it has ended by itself."""
        end = time.monotonic() + 30
        while not (done := os.waitpid(self.pid, os.WNOHANG))[0]:
            assert time.monotonic() < end, "it does not end"
            if select.select([self.fd], [], [], 0.1)[0]:
                try:
                    os.read(self.fd, 65536)
                except OSError:  # the other side has closed
                    time.sleep(0.05)
        self.pid = 0
        return os.waitstatus_to_exitcode(done[1])

    def close(self) -> None:
        """End it, if it has not."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


@pytest.fixture
def terminal(home) -> Iterator:
    """Starts `capmig` at a terminal; ended with the test."""
    started: list[Terminal] = []

    def start(*args: str) -> Terminal:
        started.append(Terminal(home, *args))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture(scope="module")
def home(pack_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The served side of the bundled warehouse, to write beside."""
    copy = tmp_path_factory.mktemp("door") / "warehouse"
    copy.mkdir()
    shutil.copytree(pack_home / "serve", copy / "serve")
    shutil.copy(pack_home / "clock", copy / "clock")
    return copy


def next_version(home: Path, run: str, statements: str) -> publish.Publication:
    """The served file, changed by some statements and told in its own record, as the next version."""
    seq, build = publish.next_seq(home), home / "build" / run
    build.mkdir(parents=True)
    shutil.copy(publish.served_file(home), build / publish.FILE)
    with duckdb.connect(str(build / publish.FILE)) as con:
        con.execute(statements.format(seq=seq))
        con.execute(f"insert into ops.fct_publication by name select * replace ({seq} as seq, '{run}' as run_id, "
                    f"'{run}' as marts_hash) from ops.fct_publication order by seq desc limit 1")  # fmt: skip
    done = publish.publish(home, build, seq=seq, run_id=run, clock=load(home).clock, as_of=None, meta={}, keep=40)
    shutil.rmtree(build)
    return done


def test_every_table_and_column_of_the_file_is_described_in_it_and_in_the_dictionary(home: Path) -> None:
    with duckdb.connect(str(publish.served_file(home)), read_only=True) as con:
        tables = con.execute("select schema_name || '.' || table_name, comment from duckdb_tables()").fetchall()
        columns = con.execute("select schema_name, table_name, column_name, column_index, lower(data_type), comment "
                              "from duckdb_columns() where not internal order by all").fetchall()  # fmt: skip
        said = con.execute("select schema_name, table_name, column_name, ordinal_no, data_type, meaning, table_meaning, is_key "
                           "from marts.data_dictionary order by all").fetchall()  # fmt: skip
    assert len(tables) >= 25 and len(columns) >= 390
    assert all(comment and comment.strip() for *_, comment in tables + columns)
    flat = {name: " ".join(comment.split()) for name, comment in tables}
    assert [row[:7] for row in said] == [(*column, " ".join(comment.split()), flat[f"{column[0]}.{column[1]}"])
                                         for *column, comment in columns]  # fmt: skip
    keyed: dict[str, set[str]] = {}
    for _, table, column, *_, is_key in said:
        keyed.setdefault(table, set()).update({column} if is_key else ())
    assert keyed == {table: set(keys()[table].columns) for table in keyed}


def test_the_shell_at_a_terminal(home: Path, terminal) -> None:
    """Lines until `;`, commands, Tab, a query that is watched and stopped, errors of one line, history, Ctrl-D."""
    shell = terminal("sql")
    assert "SQL ends with `;`" in shell.until("v1, 2026-01-31 23:59Z>")
    shell.keys("select session_date, net_flow_usd\rfrom marts.fct_etf_flow_agg_daily\r")
    shell.until("-> from marts")
    shell.keys("where asset = 'BTC' and session_date = '2026-01-30';\r")
    assert "-509700000" in shell.until("1 row\n")
    shell.keys(".describe mart_daily_br\t")
    shell.until("marts.mart_daily_brief")
    shell.keys("\r")
    assert "would_change_it" in shell.until("rows\n")
    shell.keys(".tables\r")
    assert "marts.data_dictionary" in shell.until("rows\n")
    shell.keys("select hea\t")
    shell.until("headline")
    shell.keys("\x03")
    shell.until("Z>")
    shell.keys(SLOW + ";\r")
    shell.until("s  ", 20)  # the time spent, while one waits
    shell.keys("\x03")
    shell.until("sql: stopped [sql.stopped]", 20)
    shell.keys("select read_text('/etc/passwd');\r")
    assert shell.until("[sql.").count("root:") == 0
    os.write(shell.fd, b"select '\xff';\r")
    shell.until("bytes that are not UTF-8 [sql.refused]")
    shell.keys(".mode json\rselect 1.50::decimal(8,2) as a;\r")
    shell.until('{"a": 1.5}')
    shell.until("Z>")
    shell.keys("\x04")
    assert shell.wait() == 0
    history = home / "sql_history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "net_flow_usd" in history.read_text()
    again = terminal("sql")
    again.until("Z>")
    again.keys("\x1b[A")  # the last entry of the session before
    again.until("select 1.50::decimal(8,2) as a;")
    again.keys("\x03.quit\r")
    assert again.wait() == 0


def test_one_question_is_stopped_by_ctrl_c(terminal) -> None:
    asked = terminal("sql", SLOW)
    asked.until("asking")
    asked.keys("\x03")
    asked.until("capmig: stopped [cli.stopped]")
    assert asked.wait() == 130


def test_status_watches_until_ctrl_c(terminal) -> None:
    watching = terminal("status", "1", "--watch")
    for _ in range(2):
        frame = watching.until("Gate, served version")
        assert "every 1 s, Ctrl-C leaves" in frame and "Versions" in frame
    watching.keys("\x03")
    assert watching.wait() == 0


def ask(home: Path, *args: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """`capmig sql` with something on its standard input."""
    return subprocess.run([Path(sys.executable).with_name("capmig"), "sql", *args], input=text, capture_output=True,
                          text=True, timeout=120, env=os.environ | {"WAREHOUSE_HOME": str(home)})  # fmt: skip


def test_a_pipe_is_the_statement(home: Path) -> None:
    done = ask(home, "--format", "json", text="select net_flow_usd from marts.fct_etf_flow_agg_daily\n"
               "where asset = 'BTC' and session_date = '2026-01-30'")  # fmt: skip
    assert json.loads(done.stdout, parse_float=Decimal) == [{"net_flow_usd": -509700000}]


def test_files_say_what_was_asked(home: Path, tmp_path: Path) -> None:
    flows = "select session_date, net_flow_usd, grade, source_id from marts.fct_etf_flow_agg_daily"
    assert ask(home, flows, "--output", str(tmp_path / "a.parquet")).returncode == 0
    table = pq.read_table(tmp_path / "a.parquet")
    assert str(table.schema.field("net_flow_usd").type) == "decimal128(24, 2)" and table.num_rows > 100
    assert ask(home, flows, "--output", str(tmp_path / "a.xlsx")).returncode == 0
    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        about = book.read("xl/worksheets/sheet2.xml").decode()
    assert all(word in about for word in (flows, "2026-01-31T23:59:59", "farside", "Farside Investors", "How sure"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "a.xlsx"]


@pytest.mark.parametrize(
    ("args", "line", "code"),
    [(("select 1", "--format", "xlsx"), "capmig: xlsx is a file, not text [cli.format] -> add --output answer.xlsx", 2),
     (("select 1", "--format", "parquet"), "capmig: parquet is a file, not text [cli.format] -> add --output answer.parquet", 2),
     (("select 1", "--format", "xml"), "capmig: no format 'xml' [cli.format] -> use one of table, csv, json, parquet, xlsx", 2),
     (("select 1", "--limit-seconds", "0"), "capmig: a limit is a positive number [cli.limit] -> --limit-rows 0 shows every row", 2),
     ((SLOW, "--limit-seconds", "1", "--output", "{tmp}/a.csv"), "sql: no whole answer after 1 s, the limit [sql.limit_seconds] -> narrow the statement, or raise --limit-seconds", 1),
     (("select 1 as a, 2 as a", "--output", "{tmp}/a.parquet"), "sql: two columns have one name [sql.columns] -> name them apart with AS", 1)],
)  # fmt: skip
def test_bad_input_is_one_line_and_leaves_no_file(home: Path, tmp_path: Path, args, line: str, code: int) -> None:
    done = ask(home, *(a.format(tmp=tmp_path) for a in args))
    assert (done.stderr, done.stdout, done.returncode) == (line + "\n", "", code)
    assert list(tmp_path.iterdir()) == []


def test_two_versions_are_compared_by_key(home: Path) -> None:
    with duckdb.connect(str(publish.served_file(home)), read_only=True) as con:
        first = con.execute("select min(unit) from marts.dim_unit").fetchone()[0]
    done = next_version(home, "run-changed", f"""
        update marts.dim_unit set meaning = 'another meaning' where unit = '{first}';
        delete from marts.dim_fund where ticker = 'IBIT';
        insert into marts.dim_unit by name select * replace ('shekel' as unit) from marts.dim_unit limit 1""")  # fmt: skip
    told = capmig(home, "status", "--diff", "1")
    assert (told.returncode, told.stderr) == (0, "")
    lines = {line.split()[0]: line.split() for line in told.stdout.splitlines() if line.strip()}
    rows = told.stdout.split("Rows\n")[1].split("Examples")[0]
    changes = {line.split()[0]: line.split()[1:4] for line in rows.splitlines() if line.strip()[:3] in ("mar", "ops")}
    assert changes == {"marts.dim_fund": ["0", "1", "0"], "marts.dim_unit": ["1", "0", "1"],
                       "ops.fct_publication": ["1", "0", "0"]}  # fmt: skip
    assert lines["From"] == ["From", "version", "1", "to", "version", str(done.seq)]
    assert re.search(rf"^ +{done.seq} .* marts *$", told.stdout, re.M)
    assert "another meaning" in told.stdout and "unit=shekel" in told.stdout
    assert capmig(home, "status", "--diff", "1", "1").stdout.endswith("tables is the same\n")
    gone = capmig(home, "status", "--diff", "77")
    assert (gone.returncode, gone.stderr) == (2, "capmig: there is no version 77 [status.diff] -> choose of 1, 2\n")


def snippets() -> list[str]:
    """The Python of the page, block by block."""
    return re.findall(r"^```python\n(.*?)^```", (GUIDES / "connect.md").read_text(encoding="utf-8"), re.M | re.S)


def _python(*args: str, home: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """A reader's own Python, where the page says it stands: beside `warehouse`."""
    return subprocess.run([sys.executable, *args], cwd=home.parent, capture_output=True, text=True, timeout=120,
                          env=os.environ | {"PYTHONPATH": str(ROOT)} | env)  # fmt: skip


def test_the_snippets_of_connect_your_tool_run(home: Path) -> None:
    """Each as it is printed; those of PostgreSQL against a real one, as a reader with nothing but the role."""
    with server() as postgres:
        assert capmig(home, "publish", "postgres", WAREHOUSE_POSTGRES_URL=postgres.url()).returncode == 0
        postgres.sql("create role analyst login password 'once' in role capmig_reader")
        url = postgres.url("analyst", "once").replace("postgresql://", "postgresql+psycopg://")
        found = [(code, _python("-c", code, home=home, READER_URL=url)) for code in snippets()]
    assert len(found) == 4
    for code, done in found:
        assert (done.returncode, done.stderr) == (0, ""), code
        assert done.stdout.count("\n") >= 1
    package, alone, parquet, sqlalchemy = (done.stdout for _, done in found)
    assert "decimal128(24, 2)" in package and "decimal128(24, 2)" in parquet
    assert "Decimal('-509700000.00')" in alone and "would_change_it" in alone
    assert "Decimal('-509700000.00')" in sqlalchemy and "NUMERIC(24, 2)" in sqlalchemy


def test_the_questions_of_the_readme_are_answered(home: Path) -> None:
    """Its commands as they stand there; those of another instant are asked by the acceptance tests."""
    block = re.search(
        r"^## How to ask\n+```bash\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S
    )
    commands = [shlex.split(line, comments=True) for line in block[1].split(".venv/bin/capmig ")[1:]]
    asked = [command for command in commands if "--as-of" not in command and "why" not in command]
    assert len(commands) >= 5 and len(asked) >= 3
    for command in asked:
        done = capmig(home, *command)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert len(done.stdout.splitlines()) > 5


def test_the_first_questions_run(home: Path) -> None:
    done = _python(str(GUIDES / "first_questions.py"), home=home)
    assert (done.returncode, done.stderr) == (0, "")
    answers = done.stdout.split("\n\n")
    assert len(answers) == 7 and all(len(answer.splitlines()) > 1 for answer in answers[1:])


# Reads as the page does, over and over: whole versions only, newer ones as they come. Prints the versions it saw.
READER = """
import io, sys, time
from contextlib import redirect_stdout
from pathlib import Path
import duckdb
snippet, seen, first = sys.stdin.read(), [], True
until = time.monotonic() + 300
while time.monotonic() < until:
    stop = Path("stop").exists()
    with redirect_stdout(io.StringIO()):
        exec(snippet, {})
    with duckdb.connect() as con:
        con.execute("attach 'warehouse/serve/warehouse.duckdb' as warehouse (read_only)")
        told = con.execute("select max(seq) from warehouse.ops.fct_publication").fetchone()[0]
        marked = con.execute("select max(headline) from warehouse.marts.mart_daily_brief").fetchone()[0]
        assert first or f"version {told}" == marked, (told, marked)
        if not seen or seen[-1] != told: seen.append(told)
    first = False
    if stop:
        break
print(*seen)
"""


def test_plain_duckdb_reads_whole_versions_while_20_are_published(home: Path) -> None:
    base = publish.current(home).seq
    mark = "update marts.mart_daily_brief set headline = 'version {seq}'"
    next_version(home, "run-mark", mark)
    stop = home.parent / "stop"
    reader = subprocess.Popen([sys.executable, "-c", READER], cwd=home.parent, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
    reader.stdin.write(snippets()[1])
    reader.stdin.close()
    for n in range(20):
        last = next_version(home, f"run-{n}", mark).seq
    stop.touch()
    assert (reader.wait(120), reader.stderr.read()) == (0, "")
    seen = list(map(int, reader.stdout.read().split()))
    assert seen == sorted(seen) and seen[-1] == last == base + 21
    assert len(seen) >= 5


def test_a_file_opened_directly_is_shared_in_a_process_until_it_is_closed(home: Path) -> None:
    """Why the page attaches: the claim that it makes of `duckdb.connect(FILE, read_only=True)`."""
    file, newest = str(publish.served_file(home)), "select max(seq) from ops.fct_publication"
    held = duckdb.connect(file, read_only=True)
    before = held.execute(newest).fetchone()
    after = (next_version(home, "run-shared", "select 1").seq,)
    with duckdb.connect(file, read_only=True) as second:
        assert second.execute(newest).fetchone() == before
    with duckdb.connect() as con:
        con.execute(f"attach '{file}' as warehouse (read_only)")
        assert con.execute("select max(seq) from warehouse.ops.fct_publication").fetchone() == after
    held.close()
    with duckdb.connect(file, read_only=True) as third:
        assert third.execute(newest).fetchone() == after


@pytest.mark.parametrize("args", [["sql", "select * from marts.fct_observation limit 1000"], ["brief"], ["status"],
                                  ["sql", "--format", "csv", "select * from marts.fct_observation"], ["sql", "select 1"],
                                  ["why", "etf_flow", "BTC", "2026-01-22"]])  # fmt: skip
def test_a_pipe_that_is_cut_ends_it_quietly(pack_home: Path, args: list[str]) -> None:
    """As `capmig ... | head` does: the code that a shell gives for SIGPIPE, and not a word."""
    read, write = os.pipe()
    os.close(read)
    program = Path(sys.executable).with_name("capmig")
    done = subprocess.run([program, *args], env=os.environ | {"WAREHOUSE_HOME": str(pack_home)}, stdout=write,
                          stderr=subprocess.PIPE, text=True, timeout=60)  # fmt: skip
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")
