"""`capmig why`: every figure made again from what lies beneath it, down to the bytes; and a bundle that proves it."""

import gzip
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.answers import reader
from include.answers.why.figures import CURRENT, fetch, find
from include.core.errors import ConfigError
from include.replay import PACK_CLOCK
from include.warehouse import holds
from tests.conftest import capmig

SESSION = ("net_flow_usd", "n_funds_reported", "breadth_out", "flow_hhi", "pct_aum_bp", "completeness_aum", "cum5_usd",
           "n_final_5", "cum20_usd", "n_final_20", "z60", "abs_flow_pctile", "n_prior_sessions", "streak")  # fmt: skip
GAP = ("us_pct", "jp_pct", "diff_bp", "diff_known_bp", "change_bp", "abs_change_pctile60")
BANDS = ("diff_lower_bp", "diff_upper_bp", "diff_effective_bp")
# What is asked, of which rows, in which columns.
KINDS = {
    "session": ("etf_flow {asset} {session_date}", "marts.fct_etf_flow_agg_daily", SESSION, 29),
    "fund": ("etf_flow {asset} {ticker} {session_date}",
             f"marts.fct_etf_flow_daily where is_published_lineage and {CURRENT}", ("net_flow_usd", "pct_aum_bp"), 151),
    "gap": ("rate_gap {tenor} {event_date}", "marts.fct_rate_differential_daily where tenor != 'policy'", GAP, 37),
    "policy gap": ("rate_gap {tenor} {event_date}", "marts.fct_rate_differential_daily where tenor = 'policy'",
                   GAP + BANDS, 37),
    "policy": ("policy {bank} {decision_date}", "marts.fct_policy_decision",
               ("rate_after_pct", "rate_before_pct", "change_bp", "n_members", "votes_for"), 1),
    "series": ("series {series_id} {event_date}", "marts.fct_corroboration where is_published", ("value",), 211),
    "revision": ("fct_revision series_id={series_id},event_date={event_date},source_id={source_id},version_no={version_no}",
                 "marts.fct_revision", ("delta", "previous_value", "value"), 3),
    "coverage": ("mart_coverage_calendar series_id={series_id},event_date={event_date},source_id={source_id}",
                 "marts.mart_coverage_calendar", ("n_readings",), 101),
    "fund list": ("dim_fund asset={asset},ticker={ticker}", "marts.dim_fund", ("listed_on",), 4),
    "vote": ("fct_policy_vote meeting_id={meeting_id},member_id={member_id}", "marts.fct_policy_vote",
             ("preferred_rate_pct",), 10),
}  # fmt: skip


@pytest.fixture(scope="module")
def con(pack_home: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The served file, as a reader has it."""
    with reader.connect(pack_home / "serve" / "warehouse.duckdb") as con:
        yield con


@pytest.mark.parametrize("kind", KINDS)
def test_every_figure_is_made_again_from_what_lies_beneath_it(con, kind: str) -> None:
    """The shown query gives the row, in every column that it gives; over days from the whole record."""
    asked, rows, columns, step = KINDS[kind]
    every = fetch(con, f"select * from {rows} order by all")
    wrong, filled = [], dict.fromkeys(columns, 0)
    for row in every[::-step]:
        words = asked.format(**row).split()
        key = [words.pop()] if "=" in words[-1] else []
        for column in columns:
            figure = find(con, words, key, column)
            made = fetch(con, figure.query)
            filled[column] += figure.row[column] is not None
            if len(made) != 1 or not {column} <= made[0].keys() <= figure.row.keys():
                wrong.append((words, key, column, made))
            elif any(figure.row[name] != value for name, value in made[0].items()):
                wrong.append((words, column, made[0], {n: figure.row[n] for n in made[0]}))
    assert wrong == []
    assert {c for c, n in filled.items() if not n} <= {"diff_effective_bp", "abs_change_pctile60"}
    assert kind == "policy gap" or all(filled.values())


def why(home: Path, *args: str) -> dict:
    """The command's answer as JSON, money exact."""
    done = capmig(home, "why", *args, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_float=Decimal)


def test_from_the_row_to_the_bytes(pack_home: Path) -> None:
    """22 January 2026: eleven funds, each printed text in the payload that is named, the other lineage beside."""
    told = why(pack_home, "etf_flow", "BTC", "2026-01-22")
    assert (told["value"], told["grade"], told["status"], told["result_equals_row"]) == (-32200000, "B", "final", True)
    assert told["row"]["n_funds_reported"] == len(told["inputs"]) == 11
    assert sum(i["value"] for i in told["inputs"]) == -32200000
    for version in told["inputs"]:
        body = (pack_home / version["path"]).read_bytes()
        assert hashlib.sha256(body).hexdigest() == version["payload_sha256"]
        assert version["value_raw"].encode() in body
        assert version["locator"] == f"row=2026-01-22 col={version['series_id'].split('.')[2]}"
    beside = {(b["series_id"], b["source_id"]): b["difference"] for b in told["beside"]}
    assert beside["ETF_FLOW.BTC.TOTAL", "sosovalue"] == 90000
    assert beside["ETF_FLOW.BTC.IBIT", "sosovalue"] == 50000
    assert beside["ETF_FLOW.BTC.TOTAL", "farside"] == 0
    assert told["why_this_grade"][1] == "2 publishers, 2 lineages, 1 measurement"
    assert told["formula"]["column"].startswith("Net creations in the session")
    pasted = json.loads(capmig(pack_home, "sql", told["query"], "--format", "json").stdout)
    assert pasted == [told["result"]]


def test_as_it_was_known(pack_home: Path) -> None:
    """At the decision of the Bank of Japan ten funds were known; the text names the one that was not."""
    at = ("--as-of", "2026-01-23T03:07Z")
    told = why(pack_home, "etf_flow", "BTC", "2026-01-22", *at)
    assert (told["value"], told["status"], len(told["inputs"])) == (-9800000, "partial", 10)
    assert told["notes"] == ["no reading yet of IBIT"]
    assert told["result_equals_row"]
    assert all(i["known_from"] <= "2026-01-23T03:07:00Z" for i in told["inputs"])
    page = capmig(pack_home, "why", "etf_flow", "BTC", "2026-01-22", *at)
    assert "as known at 2026-01-23T03:07:00Z" in page.stdout
    assert "equal to the row" in page.stdout
    assert "\x1b" not in page.stdout


def test_a_headline_is_the_figure_that_it_stands_on(con, pack_home: Path) -> None:
    """Every headline with a figure of its own names it; asked by its number it is made again, from the same inputs."""
    named = fetch(con, "select headline_no, value, value_text, why_figure, known_from from marts.mart_daily_brief "
                       "where why_figure is not null order by headline_no")  # fmt: skip
    kinds = {row["why_figure"].split()[0] for row in named}
    assert {"etf_flow", "etf_flow.cum5_usd", "rate_gap", "policy", "series"} <= kinds
    for row in named:
        figure = find(con, ["mart_daily_brief"], [f"headline_no={row['headline_no']}"], "")
        told = figure.row[figure.column]
        assert row["value"] in (told, told and told * 100), row  # a ratio is told in percent
        assert f"headline {row['headline_no']} of the brief" in figure.notes[0]
        made = fetch(con, figure.query)
        assert [made[0][n] == figure.row[n] for n in made[0]] == [True] * len(made[0]) and made, row
    number = next(r["headline_no"] for r in named if r["why_figure"].startswith("etf_flow BTC"))
    asked = why(pack_home, "mart_daily_brief", "--key", f"headline_no={number}")
    assert len(asked["inputs"]) == 11 and all(i["path"] for i in asked["inputs"])
    assert (
        why(pack_home, "mart_daily_brief", "--key", f"headline_no={number}", "--column", "value_text")["column"]
        == "value_text"
    )


def test_a_cell_that_is_read_back_is_no_proof(pack_home: Path) -> None:
    """A revision profile lists the printed totals beneath it; what is not made again is not called equal."""
    row = ("mart_revision_profile", "--key", "source_id=farside,asset=BTC,hours_since_close=10", "--column", "n_final")
    told = why(pack_home, *row)
    days = {i["event_date"] for i in told["inputs"]}
    assert {i["series_id"] for i in told["inputs"]} == {"ETF_FLOW.BTC.TOTAL"} and len(days) >= told["row"]["n_sessions"]
    assert all(i["path"] for i in told["inputs"]) and told["is_made_again"] is False
    page = capmig(pack_home, "why", *row).stdout
    assert "not made again" in page and "equal to the row" not in page
    assert why(pack_home, "etf_flow", "BTC", "2026-01-22")["is_made_again"] is True


def test_what_was_known_before(con, pack_home: Path) -> None:
    """A figure that was revised shows its earlier versions, with the instants between which each was known."""
    series, day = con.execute("""select series_id, event_date from marts.fct_revision
        where source_id = 'farside' and revision_kind is not null order by known_from desc limit 1""").fetchone()
    told = why(pack_home, "series", series, str(day))
    assert [(v["version_no"], v["known_to"] is not None) for v in told["earlier"]] == [
        (n, True) for n in range(1, told["row"]["version_no"])
    ]
    assert told["earlier"][-1]["known_to"] == told["inputs"][0]["known_from"]


@pytest.mark.parametrize(("column", "n"), [("z60", 60), ("abs_flow_pctile", 508), ("cum5_usd", 5), ("cum20_usd", 20)])
def test_a_score_lists_its_window(pack_home: Path, column: str, n: int) -> None:
    """Strictly prior sessions for scores, the session itself among a sum's."""
    told = why(pack_home, f"etf_flow.{column}", "BTC", "2026-01-22")
    window = told["window"]
    assert (window["n"], window["n_final"], len(window["rows"])) == (n, n, n)
    assert (window["rows"][0]["session_date"] == "2026-01-22") == column.startswith("cum")
    assert all(r["known_from"] <= told["known_from"] for r in window["rows"])
    assert told["result"][column] == told["value"]
    if column.startswith("cum"):
        assert sum(r["net_flow_usd"] for r in window["rows"]) == told["value"]


WRONG = {
    "etf_flows BTC 2026-01-22": "no figure",
    "etf_flow BTC": "etf_flow takes ASSET [TICKER] DAY",
    "etf_flow BTC 22.01.2026": "is not a day",
    "etf_flow BTC 2026-01-19": "no rows",
    "etf_flow.z61 BTC 2026-01-22": "no column 'z61'",
    "rate_gap 3y 2026-01-22": "no rows",
    "series YIELD.US.2Y 2026-01-25": "no reading",
    "policy BOJ' 2026-01-23": "no rows",
    "fct_observation": "which row of",
    "fct_observation --key serie=1": "no column 'serie'",
    "fct_etf_flow_daily --key asset=BTC,session_date=2026-01-22": "rows of fct_etf_flow_daily",
}


@pytest.mark.parametrize("asked", WRONG)
def test_a_wrong_name_is_one_line_that_says_what_there_is(con, asked: str) -> None:
    """Nothing is guessed, and a quote in an argument is text."""
    words, _, key = asked.partition(" --key ")
    with pytest.raises(ConfigError) as caught:
        find(con, words.split(), [key] if key else [], "")
    assert WRONG[asked] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.action


def test_wrong_arguments_end_with_code_2(pack_home: Path, tmp_path: Path) -> None:
    """One line on standard error, nothing on standard output, and no archive."""
    figure = ("etf_flow", "BTC", "2026-01-22")
    for args in ((), (*figure, "--rejected", "0" * 12), ("--rejected", "x"), (*figure, "--format", "xml"), ("x",),
                 (*figure, "--bundle", str(tmp_path / "a.rar")), (*figure, "--bundle", str(tmp_path / "no" / "a.zip")),
                 (*figure, "--bundle", "/dev/full.zip/x.zip"), ("--rejected", "0" * 12)):  # fmt: skip
        done = capmig(pack_home, "why", *args)
        assert (done.returncode, done.stdout) == (2, ""), args
        assert done.stderr.count("\n") == 1
        assert " -> " in done.stderr
    assert list(tmp_path.iterdir()) == []


# Bundles.


def unpack(archive: Path, folder: Path) -> Path:
    shutil.unpack_archive(archive, folder)
    return folder


def verify(folder: Path) -> tuple[int, str]:
    """The verifier as a third party runs it: from anywhere, with no part of the product at hand."""
    done = subprocess.run([sys.executable, "-I", folder / "verify.py"], cwd="/", env={}, capture_output=True, text=True,
                          timeout=60)  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def resign(folder: Path) -> None:
    """Write the manifest anew, as somebody would who changes a figure and its hash."""
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*")
                   if p.is_file() and p.name != "MANIFEST.sha256")  # fmt: skip
    sums = (f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    (folder / "MANIFEST.sha256").write_text("".join(sums))


@pytest.fixture(scope="module")
def bundle(pack_home: Path, tmp_path_factory) -> Path:
    """A session's total as an archive."""
    path = tmp_path_factory.mktemp("bundle") / "flow.zip"
    done = capmig(pack_home, "why", "etf_flow", "BTC", "2026-01-22", "--bundle", str(path))
    assert done.returncode == 0, done.stderr
    assert f"sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}" in done.stdout
    return path


@pytest.mark.parametrize("asked", ["etf_flow BTC 2026-01-22", "etf_flow.z60 BTC 2026-01-22", "rate_gap 10y 2026-01-22",
                                   "etf_flow.pct_aum_bp BTC FBTC 2026-01-22", "rate_gap policy 2026-01-22",
                                   "policy BOJ 2026-01-23", "series RATE.US.EFFR 2026-01-22"])  # fmt: skip
def test_a_bundle_is_checked_by_a_stranger(pack_home: Path, tmp_path: Path, asked: str) -> None:
    """Every kind; gzip payloads, Japanese encodings and events too; ten lines suffice."""
    path = tmp_path / "proof.tar.gz"
    told = why(pack_home, *asked.split(), "--bundle", str(path))
    assert told["bundle"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    folder = unpack(path, tmp_path / "elsewhere")
    assert verify(folder)[0] == 0, verify(folder)
    assert verify(folder)[1].startswith("OK: ")
    assert len((folder / "verify.py").read_text().splitlines()) == 10
    assert {p.name for p in (folder / "payload").iterdir()} >= {i["payload_sha256"] for i in told["inputs"]}
    assert {i["source_id"] for i in told["inputs"]} <= {
        line.split(":")[0].strip() for line in (folder / "ABOUT.txt").read_text().splitlines()
    }


def flip_a_payload(folder: Path) -> None:
    """One bit."""
    path = next(p for p in (folder / "payload").iterdir() if b"(22.4)" in p.read_bytes())
    path.write_bytes(path.read_bytes().replace(b"(22.4)", b"(22.5)"))


def change_rows(path: Path, column: str, change: Callable[[object], object]) -> None:
    """Rewrite a Parquet file with one column changed."""
    table = pq.read_table(path)
    values = [change(v) for v in table.column(column).to_pylist()]
    field = table.schema.field(column)
    at = table.column_names.index(column)
    pq.write_table(table.set_column(at, field, pa.array(values, field.type)), path)


def change_a_version(folder: Path) -> None:
    """A digit of a fund's flow."""
    change_rows(folder / "rows" / "fct_observation.parquet", "value",
                lambda v: Decimal(-22500000) if v == Decimal(-22400000) else v)  # fmt: skip


def change_what_was_printed(folder: Path) -> None:
    change_rows(folder / "rows" / "fct_observation.parquet", "value_raw", lambda v: "(29.4)" if v == "(22.4)" else v)


def change_the_row(folder: Path) -> None:
    change_rows(folder / "row.parquet", "net_flow_usd", lambda v: v + 1)


def change_the_query(folder: Path) -> None:
    path = folder / "query.sql"
    path.write_text(path.read_text().replace("sum(value)", "sum(value * 2)"))


def drop_a_payload(folder: Path) -> None:
    next((folder / "payload").iterdir()).unlink()


SPOILS = (flip_a_payload, change_a_version, change_what_was_printed, change_the_row, change_the_query, drop_a_payload)


@pytest.mark.parametrize("signed_again", [False, True])
@pytest.mark.parametrize("spoil", SPOILS)
def test_whatever_is_changed_is_found(bundle: Path, tmp_path: Path, spoil, signed_again: bool) -> None:
    """By its hash; and, where the hashes were written anew, because row, query and bytes no longer fit together."""
    folder = unpack(bundle, tmp_path / "spoilt")
    assert verify(folder)[0] == 0
    spoil(folder)
    if signed_again:
        resign(folder)
    code, said = verify(folder)
    assert (code, said.count("\n")) == (1, 1), said
    assert said.startswith("DIFFERS: ")


def test_a_bundle_is_the_same_bytes_again_and_is_replaced_whole(pack_home: Path, bundle: Path, tmp_path: Path) -> None:
    """Two archives of one warehouse are equal; a file in the way is replaced, what is no file is left alone."""
    again = tmp_path / "again.zip"
    again.write_text("an older bundle")
    done = capmig(pack_home, "why", "etf_flow", "BTC", "2026-01-22", "--bundle", str(again))
    assert done.returncode == 0, done.stderr
    assert again.read_bytes() == bundle.read_bytes()
    link = tmp_path / "link.zip"
    link.symlink_to(again)
    done = capmig(pack_home, "why", "etf_flow", "ETH", "2026-01-22", "--bundle", str(link))
    assert (done.returncode, again.read_bytes() == bundle.read_bytes()) == (2, True)


# What is not there.


CELL = {"rule_id": "G5.magnitude", "source_id": "farside", "event_date": date(2026, 1, 22), "event_at": None,
        "obs_status": "final", "why": "ten times what the other lineage says"}  # fmt: skip
HELD = (CELL | {"series_id": "ETF_FLOW.BTC.IBIT", "value": Decimal(-224000000)},
        CELL | {"series_id": "ETF_FLOW.BTC.TOTAL", "value": Decimal(-233800000)})  # fmt: skip


@pytest.fixture(scope="module")
def faulty(pack_home: Path, tmp_path_factory) -> Path:
    """The pack's warehouse after two more pages: an error page, and one that prints a fund ten times too large, in its total too."""
    base = tmp_path_factory.mktemp("faulty")
    home = base / "home"
    shutil.copytree(pack_home, home, ignore=shutil.ignore_patterns("run-*", "asof", "dbt", "ready"))
    good = max((home / "inbox" / "farside" / "done").glob("btc__*.html")).read_bytes()
    pages = {"error.html": b"<!doctype html><title>\x1b[31mJust a moment\x07...</title>" + b"x" * 600,
             "large.html": good.replace(b"(22.4)", b"(224.0)").replace(b"(32.2)", b"(233.8)")}  # fmt: skip
    assert pages["large.html"] != good
    for name, body in pages.items():
        (base / name).write_bytes(body)
        done = capmig(home, "import", "farside", str(base / name), "--asset", "BTC", "--observed-at",
                      "2026-01-31T12:00Z", CAPMIG_CLOCK="2026-01-31T23:59:59Z")  # fmt: skip
        assert done.returncode == (name == "error.html"), done.stderr
    holds.add(home, HELD, PACK_CLOCK)
    done = capmig(home, "publish", CAPMIG_CLOCK="2026-01-31T23:59:59Z")
    assert done.returncode == 0, done.stderr
    return home


def test_why_a_payload_was_refused(faulty: Path) -> None:
    """By a prefix of its sha256: rule, reason, when, from where, its first characters made harmless, what stands."""
    with reader.connect(faulty / "serve" / "warehouse.duckdb") as con:
        sha, rule = con.execute("select payload_sha256, rule_id from ops.fct_fetch_outcome "
                                "where outcome = 'REJECTED'").fetchone()  # fmt: skip
    told = why(faulty, "--rejected", sha[:8])
    assert (told["why"]["payload_sha256"], told["why"]["rule_id"]) == (sha, rule)
    assert told["why"]["origin"] == "import/error.html"
    assert hashlib.sha256((faulty / told["bytes"]["path"]).read_bytes()).hexdigest() == sha
    assert told["bytes"]["begins"].startswith("<!doctype html><title>\N{REPLACEMENT CHARACTER}[31mJust a moment")
    assert len(told["bytes"]["begins"]) == 200
    before = told["in_its_place"][0]
    assert (before["which"], before["outcome"]) == ("the page before", "LANDED")
    assert before["seen_at"] <= told["why"]["seen_at"]
    page = capmig(faulty, "why", "--rejected", sha)
    assert page.returncode == 0
    assert rule in page.stdout
    assert "\x1b" not in page.stdout


def test_why_a_figure_is_withheld(faulty: Path) -> None:
    """By the hold's id: what was printed, the page it stood on, and the last good figure that stands in its place."""
    hold_id = holds.hold_id(HELD[0])
    assert hold_id in capmig(faulty, "status").stdout
    told = why(faulty, "--rejected", hold_id)
    assert told["why"]["series_id"] == "ETF_FLOW.BTC.IBIT"
    assert told["versions"][0]["value_raw"] == "(224.0)"
    assert b"(224.0)" in (faulty / told["bytes"]["path"]).read_bytes()
    assert [(s["source_id"], s["value"]) for s in told["in_its_place"]][0] == ("farside", -22400000)
    assert told["next"].startswith(f"capmig publish --ack {hold_id}")


def test_a_figure_shows_what_is_withheld_of_it(faulty: Path) -> None:
    """The hold and the withheld version stand in the answer of the figure that they would have changed."""
    told = why(faulty, "etf_flow", "BTC", "2026-01-22")
    assert (told["value"], told["result_equals_row"]) == (-32200000, True)
    kinds = {h["what"] for h in told["holds"]}
    assert {"hold", "withheld version"} <= kinds
    assert any(h.get("rule_id", "").startswith("G5") for h in told["holds"])


def test_a_damaged_payload_is_told_and_not_bundled(faulty: Path, tmp_path: Path) -> None:
    """The bytes are checked against their name before they go into an archive."""
    told = why(faulty, "series", "RATE.US.EFFR", "2026-01-22")
    raw = faulty / told["inputs"][0]["path"]
    body = raw.read_bytes()
    raw.chmod(0o644)
    raw.write_bytes(gzip.compress(b"{}"))
    done = capmig(faulty, "why", "series", "RATE.US.EFFR", "2026-01-22", "--bundle", str(tmp_path / "a.zip"))
    raw.write_bytes(body)
    assert done.returncode == 1
    assert "[L.checksum]" in done.stderr
    assert list(tmp_path.iterdir()) == []
