"""The shell without its terminal: what it completes, when it sends, what it refuses, and that a query can be stopped."""

import io
import os
import signal
import stat
import threading
import time
from pathlib import Path

import duckdb
import pytest

from include.answers import reader
from include.answers.shell import HELP, Names, Shell, _history, is_complete
from include.core.errors import CapmigError
from tests.unit.test_reader import ESCAPES

SLOW = "select count(*) from range(10000000000) a, range(10000) b where (a.range * b.range) % 7 = 3;"


def write(path: Path, seq: int) -> Path:
    """A warehouse file of version `seq`."""
    with duckdb.connect(str(path)) as con:
        con.execute("create schema marts; create schema ops")
        con.execute("create table marts.fct_flow as select 1 as flow_id, 9.80::decimal(24,2) as net_flow_usd")
        con.execute("comment on column marts.fct_flow.net_flow_usd is 'What moved.'; "
                    "comment on table marts.fct_flow is 'Grain: flow.'")  # fmt: skip
        con.execute("create table marts.dim_unit as select 'usd' as unit, 2 as net_scale")
        con.execute(f"create table ops.fct_publication as select {seq} as seq, "
                    "timestamptz '2026-01-31 23:59:59Z' as cutoff_at")  # fmt: skip
    return path


@pytest.fixture
def shell(tmp_path):
    served, before = write(tmp_path / "warehouse.duckdb", 7), write(tmp_path / "before.duckdb", 6)
    (tmp_path / "secret.txt").write_text("canary-7f3a")
    made = Shell(lambda at: before if at else served, tmp_path / "sql_history", io.StringIO(), io.StringIO())
    made._open("")
    yield made
    made.con.close()


def said(shell: Shell, text: str) -> str:
    """What the shell prints for one entry."""
    shell.out.seek(0)
    shell.out.truncate()
    shell.answer(text)
    return shell.out.getvalue()


@pytest.mark.parametrize("escape", ESCAPES)
def test_row_62_no_entry_leaves_the_warehouse_file(shell, tmp_path, escape):
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    out = said(shell, escape.format(dir=tmp_path) + ";")
    assert out.startswith("sql: ") and out.count("\n") == 1
    assert "canary" not in out
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    "entry", [".read /etc/passwd", ".shell id", ".system id", ".open /etc/passwd", ".output /tmp/x", ".once x", ".import a b",
              ".load x", ".cd /", ".mode parquet", ".mode xlsx", ".mode", ".describe", ".databases", "!id", "\\! id", "\\copy a to b",
              ".describe fct_flow; drop table x", ".describe '; select 1 --"],
)  # fmt: skip
def test_row_62_no_command_reaches_beyond_it(shell, entry):
    out = said(shell, entry)
    assert out.startswith("sql: ") and out.count("\n") == 1


def test_commands_answer(shell):
    assert said(shell, ".help") == HELP
    assert "marts.fct_flow" in (tables := said(shell, ".tables")) and "Grain: flow." in tables
    assert all(word in said(shell, ".describe FCT_FLOW;") for word in ("net_flow_usd", "DECIMAL(24,2)", "What moved."))
    assert "net_flow_usd" in said(shell, ".describe marts.fct_flow")
    assert said(shell, "") == said(shell, " ;") == ""
    assert "9.8" in said(shell, "select net_flow_usd\nfrom marts.fct_flow;")


def test_mode_and_row_limit(shell):
    assert said(shell, ".mode json") == ""
    assert said(shell, "from marts.fct_flow;") == '[\n{"flow_id": 1, "net_flow_usd": 9.8}\n]\n'
    shell.fmt, shell.limit_rows = "table", 2
    assert "5 rows, of which the first 2 are shown" in said(shell, "from range(5);")


def test_as_of_turns_to_another_file_and_back(shell):
    assert shell.prompt == "v7, 2026-01-31 23:59Z> "
    assert said(shell, ".asof 2026-01-23T03:07Z") == ""
    assert shell.prompt == "as known at 2026-01-23 03:07Z> "
    assert "6" in said(shell, "select seq from ops.fct_publication;")
    said(shell, ".asof yesterday")
    assert shell.prompt == "as known at 2026-01-23 03:07Z> "
    said(shell, ".asof")
    assert shell.prompt == "v7, 2026-01-31 23:59Z> "


def test_a_version_that_was_published_meanwhile_is_said_once_and_read_when_asked_for(shell, tmp_path):
    shell._tell_newer()
    assert shell.out.getvalue() == ""
    write(tmp_path / "next.duckdb", 8).replace(tmp_path / "warehouse.duckdb")
    shell._tell_newer()
    shell._tell_newer()
    assert shell.out.getvalue() == "another version has been published: `.asof` reads it\n"
    assert "7" in said(shell, "select seq from ops.fct_publication;")
    said(shell, ".asof")
    assert shell.prompt.startswith("v8, ")


def test_a_wrong_instant_is_one_line(shell):
    assert "[config.instant]" in said(shell, ".asof yesterday")


def test_ctrl_c_stops_the_query_and_keeps_the_session(shell):
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    assert said(shell, SLOW).startswith("sql: stopped [sql.stopped]")
    assert time.monotonic() - started < 10
    assert "9.8" in said(shell, "from marts.fct_flow;")


def test_a_second_ctrl_c_leaves_no_query_running(shell):
    """It comes while the first one is being obeyed."""

    class Impatient:
        def __init__(self, con):
            self.con, self.n = con, 0

        def interrupt(self):
            self.n += 1
            if self.n == 1:
                os.kill(os.getpid(), signal.SIGINT)
            else:
                self.con.interrupt()

        def __getattr__(self, name):
            return getattr(self.con, name)

    shell.con = Impatient(shell.con)
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    assert said(shell, SLOW).startswith("sql: stopped [sql.stopped]")
    assert time.monotonic() - started < 10 and shell.con.n > 1
    assert "9.8" in said(shell, "from marts.fct_flow;")


def test_the_limit_is_named_and_the_session_goes_on(shell):
    shell.limit_s = 0.5
    assert said(shell, SLOW).startswith("sql: no whole answer after 0.5 s, the limit [sql.limit_seconds] -> ")
    assert "9.8" in said(shell, "from marts.fct_flow;")


@pytest.mark.parametrize(
    ("text", "whole"),
    [("select 1;", True), ("select 1", False), ("select 1;  \n", True), ("select ';", False), ("select 1 -- ;", False),
     ("select 1; -- why", True), ("select /* ; */", False), ('select "a;', False), ("select $$a;", False), ("select '円';", True),
     ("select '\udcff';", True), ("select '\udcff", False), ("select 1\0;", False), ("", True), ("  ", True), (".tables", True), ("select 1;\nselect", False)],
)  # fmt: skip
def test_enter_sends_a_whole_statement_only(text, whole):
    assert is_complete(text) is whole


@pytest.mark.parametrize(
    ("text", "word", "wanted", "unwanted"),
    [("select * from fct", "fct", "marts.fct_flow", "marts.dim_unit"),
     ("select * from marts.d", "marts.d", "marts.dim_unit", "marts.fct_flow"),
     ("select net from marts.fct_flow", "net", "net_flow_usd", "net_scale"),
     ("select f.net from fct_flow f", "f.net", "f.net_flow_usd", "f.net_scale"),
     ("select net", "net", "net_scale", "marts.fct_flow"),
     ("sel", "sel", "select", "SELECT"), ("SEL", "SEL", "SELECT", "select"),
     (".des", ".des", ".describe", ".tables"), (".describe dim", "dim", "marts.dim_unit", "dim_unit"),
     (".mode j", "j", "json", "csv")],
)  # fmt: skip
def test_completion_knows_tables_their_columns_and_keywords(shell, text, word, wanted, unwanted):
    found = list(shell.names.after(text, word))
    assert wanted in found and unwanted not in found
    assert all(name.lower().split(".")[-1].startswith(word.lower().strip(".").split(".")[-1]) for name in found)


def test_names_are_those_of_the_file(shell):
    assert isinstance(shell.names, Names)
    assert shell.names.tables == ["marts.dim_unit", "marts.fct_flow", "ops.fct_publication"]


def test_history_is_its_owner_s_alone_and_a_place_that_refuses_it_is_said(tmp_path):
    path = tmp_path / "sql_history"
    path.touch(mode=0o644)
    path.chmod(0o644)
    _history(path, io.StringIO()).append_string("select '\udcff';")
    assert path.read_text(encoding="utf-8").endswith("+select '?';\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    full = _history(path, io.StringIO())
    full.filename = "/dev/full"
    full.append_string("select 1;")
    assert full.get_strings() == ["select 1;"]
    out = io.StringIO()
    history = _history(tmp_path / "not" / "there", out)
    history.append_string("select 1;")
    assert "[sql.history]" in out.getvalue()


class Terminal(io.StringIO):
    """A text that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_who_waits_at_a_terminal_sees_the_time_and_it_is_wiped_before_the_answer(shell):
    out = line = Terminal()
    with pytest.raises(CapmigError, match="limit_seconds"):
        reader.within(
            shell.con, 2.6, lambda to: reader.write(reader.query(shell.con, SLOW), "csv", to), out=out, line=line
        )
    assert "\r\x1b[K   2." in out.getvalue()
    assert out.getvalue().endswith("\r\x1b[K")
    quiet = io.StringIO()
    reader.within(shell.con, 9, lambda to: to.write("answer"), out=quiet, line=quiet)
    assert quiet.getvalue() == "answer"
