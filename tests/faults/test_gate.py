"""Rows 19, 20, 30, 36, 47 and 72 of the fault matrix: what the gate lets through, on builds of the bundled pack."""

import random
import shutil
import subprocess
import sys
import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from include import pipeline
from include.core.clock import iso, parse_instant
from include.core.errors import GateRefused
from include.core.parse import inflate
from include.landing.land import import_file
from include.landing.store import Store
from include.settings import Settings
from include.warehouse import build as builds
from include.warehouse import gates, holds, publish, suites
from include.warehouse.build import Build

CLOCK = parse_instant("2026-01-31T23:59:59Z")
CURRENT = "known_to is null and obs_status not in ('held', 'retracted') and value != 0"


def newest_build(home: Path) -> Path:
    """The finished build that the pack's run left."""
    return max((p.parent for p in (home / "build").glob("run-*/state.json")), key=lambda p: p.stat().st_mtime)


@pytest.fixture
def candidate(pack_home: Path, tmp_path: Path) -> Build:
    """A copy of the pack's build that a test may spoil."""
    for name in ("scratch.duckdb", "warehouse.duckdb"):
        shutil.copyfile(newest_build(pack_home) / name, tmp_path / name)
    return Build("run-test", tmp_path, CLOCK, None, "")


def spoil(path: Path, *statements: str) -> None:
    """Change a build's file as a fault would have left it."""
    with duckdb.connect(str(path)) as con:
        for statement in statements:
            con.execute(statement)


def refusals(build: Build) -> set[str]:
    """Rules that refuse, and the proof that anything at all was refused."""
    report = gates.check(build, holds_active=set())
    assert report.refused
    return {row["rule_id"] for row in report.results if row["outcome"] == "refuse"}


def held(build: Build) -> dict[tuple[str, date], str]:
    """Rule by (series, day) of what the gate would hold. Every hold has its row in the results."""
    report = gates.check(build, holds_active=set())
    assert not report.refused
    shown = {row["rule_id"] for row in report.results if row["outcome"] == "hold"}
    assert shown == {h["rule_id"] for h in report.new_holds}
    return {(h["series_id"], h["event_date"]): h["rule_id"] for h in report.new_holds}


def test_the_record_passes_with_labels_and_without_a_hold(candidate: Build) -> None:
    """Two years of genuine fund flows, extremes and all: no false hold, every check evaluated, in seconds."""
    gates.check(candidate, holds_active=set())  # imports take seconds, once
    started = time.process_time()
    report = gates.check(candidate, holds_active=set())
    assert time.process_time() - started < 3
    assert report.new_holds == []
    assert not report.refused
    assert report.evaluated == sum(len(suites.checks_of(s)) for s in (*suites.PROFILES, *suites.MARTS)) > 60
    labels = {(r["rule_id"], r["subject"]): r for r in report.results if r["outcome"] == "label"}
    assert report.n_labels == len(labels) > 0
    gap = labels["G2.gap", "farside/sol"]
    assert (gap["owner"], 0 < gap["n_failed"] <= gap["n_evaluated"]) == ("source: farside", True)
    assert labels["G3.not_yet", "SOL"]["n_failed"] == 10
    single = labels["G4.single_source", "farside/btc"]
    assert 0 < single["n_failed"] < single["n_evaluated"]
    assert not any(subject.startswith(("mof/", "ust/")) for rule, subject in labels if rule == "G4.single_source")
    lines = gates.as_table(report)
    assert len(lines) == 1 + report.n_labels


def test_a_fund_that_reports_and_is_not_listed_is_told(candidate: Build) -> None:
    """A new fund's column, non-zero while its listing is missing, is absent from our total: the gate names it."""
    spoil(candidate.scratch, "insert into ledger.observation_version select * replace "
                             "(replace(series_id, 'IBIT', 'MSBT') as series_id) from ledger.observation_version "
                             "where series_id = 'ETF_FLOW.BTC.IBIT' and source_id = 'farside' and known_to is null "
                             "and event_date = '2026-01-29'")  # fmt: skip
    results = gates.check(candidate, holds_active=set()).results
    (told,) = [r for r in results if r["rule_id"] == "G3.unlisted" and r["outcome"] == "label"]
    assert (told["subject"], told["n_failed"]) == ("BTC", 1)
    assert "MSBT 2026-01-29 (317.8)" in told["evidence"]


# Row 19: units.


def test_row_19_a_hundred_seeded_units_are_found(candidate: Build) -> None:
    """Fund cells, whole sessions and rates in another unit: at least 95 of 100 are held, and nothing beside them."""
    rng = random.Random(19)
    with duckdb.connect(str(candidate.scratch)) as con:
        cells = con.execute(
            f"select series_id, event_date from ledger.observation_version where {CURRENT} "
            "and source_id = 'farside' and series_id not like '%.TOTAL' order by all"
        ).fetchall()
        rates = con.execute(f"select series_id, event_date from ledger.observation_version where {CURRENT} "
                            "and source_id in ('mof', 'ust', 'nyfed', 'frb') order by all").fetchall()  # fmt: skip
        wrong = dict.fromkeys(rng.sample([c for c in cells if c[1] > date(2024, 9, 1)], 40))
        flows = [(series, day, rng.choice([10**3, 10**6])) for series, day in wrong]
        days = {day for _, day in wrong}
        asset_days = sorted({(s.split(".")[1], d) for s, d in cells if d > date(2024, 9, 1) and d not in days})
        rows = [(asset, day, 10**3) for asset, day in rng.sample(asset_days, 20)]
        levels = [(s, d, rng.choice(["100", "0.01", "1000"])) for s, d in rng.sample(rates, 40)]
        change = "update ledger.observation_version set value = value * $3::decimal(12, 4) where source_id "
        for one in flows:
            con.execute(change + "= 'farside' and series_id = $1 and event_date = $2 and known_to is null", one)
        for one in rows:
            con.execute(change + "= 'farside' and series_id like 'ETF_FLOW.' || $1 || '.%' and event_date = $2 "
                                 "and known_to is null", one)  # fmt: skip
        for one in levels:
            con.execute(change + "!= 'farside' and series_id = $1 and event_date = $2 and known_to is null", one)
    found = held(candidate)
    sessions = {(series.split(".")[1], day) for series, day in found if series.startswith("ETF_FLOW.")}
    hits = sum((s, d) in found for s, d, _ in (*flows, *levels)) + sum((a, d) in sessions for a, d, _ in rows)
    assert hits >= 95
    spoiled = {(s.split(".")[1], d) for s, d, _ in flows} | {(a, d) for a, d, _ in rows}
    assert sessions <= spoiled
    assert {key for key in found if not key[0].startswith("ETF_FLOW.")} <= {(s, d) for s, d, _ in levels}


# Rows 20, 30, 36: signs and closed days.


def test_row_20_a_day_with_its_signs_turned_is_held(candidate: Build) -> None:
    """The funds of 22 January against a total that says the contrary: the whole row is withheld."""
    spoil(candidate.scratch, "update ledger.observation_version set value = -value where source_id = 'farside' "
                             "and event_date = '2026-01-22' and series_id like 'ETF_FLOW.BTC.%' "
                             "and series_id not like '%.TOTAL' and known_to is null")  # fmt: skip
    found = held(candidate)
    assert {rule for rule in found.values()} == {"G5.reconciliation"}
    assert {day for _, day in found} == {date(2026, 1, 22)}
    assert len(found) >= 11


def test_row_30_a_negative_price_is_held_and_a_negative_yield_is_not(candidate: Build) -> None:
    """The sign of a price is its family's; a yield may be below zero."""
    spoil(candidate.scratch,
          "update ledger.observation_version set value = -value where series_id = 'FX.USDJPY.NOON_NY' "
          "and event_date = '2026-01-22'",
          "update ledger.observation_version set value = -0.05 where series_id = 'YIELD.JP.1Y' "
          "and event_date = '2026-01-22'")  # fmt: skip
    assert held(candidate) == {("FX.USDJPY.NOON_NY", date(2026, 1, 22)): "G5.sign"}


def test_row_36_a_flow_on_a_holiday_is_held_and_a_printed_zero_is_a_label(candidate: Build) -> None:
    """Markets were closed on 19 January 2026; the zeros that stand on closed days are named, never held."""
    spoil(candidate.scratch, "update ledger.observation_version set event_date = '2026-01-19' "
                             "where source_id = 'farside' and series_id = 'ETF_FLOW.BTC.IBIT' "
                             "and event_date = '2026-01-22' and known_to is null")  # fmt: skip
    assert held(candidate) == {("ETF_FLOW.BTC.IBIT", date(2026, 1, 19)): "G8.closed_day"}
    results = gates.check(candidate, holds_active=set()).results
    assert any(r["rule_id"] == "G8.holiday" and r["outcome"] == "label" for r in results)


def test_a_released_figure_is_not_found_again_and_an_unseen_hold_refuses(candidate: Build) -> None:
    """What a person let through stays through; a candidate that was built before a hold may not be published."""
    spoil(candidate.scratch, "update ledger.observation_version set value = 0 - value "
                             "where series_id = 'FX.USDJPY.NOON_NY' and event_date = '2026-01-22'")  # fmt: skip
    (found,) = gates.check(candidate, holds_active=set()).new_holds
    name = holds.hold_id(found)
    with duckdb.connect(str(candidate.scratch)) as con:
        con.execute(_replaced("hold", "true"))
        said = {n: found[n] for n in holds.KEY} | {"hold_id": name, "released_at": CLOCK}
        con.execute(f"insert into landing.hold ({', '.join(said)}) values ({', '.join('?' * len(said))})",
                    list(said.values()))  # fmt: skip
    assert gates.check(candidate, holds_active=set()).new_holds == []
    report = gates.check(candidate, holds_active={"0badc0de0bad"})
    assert [r["rule_id"] for r in report.results if r["outcome"] == "refuse"] == ["G5.applied"]


# Row 72 and the structural rules: fail closed.


@pytest.mark.parametrize(
    ("rule", "statement"),
    [
        ("G2.mart_rows", "delete from marts.fct_policy_vote"),
        ("G2.mart_rows", "drop table marts.fct_rate_differential_daily"),
        ("G1.evaluated", "drop table marts.fct_policy_vote"),
        ("G1.mart_words", "update marts.fct_policy_vote set vote = 'abstained' where member_id = 'takata_hajime'"),
        ("G1.mart_key", "insert into marts.fct_policy_decision select * from marts.fct_policy_decision limit 1"),
        ("G1.mart_float", "alter table marts.fct_etf_flow_agg_daily alter net_flow_usd type double"),
        ("G6.identity", "update marts.fct_etf_flow_agg_daily set net_flow_usd = net_flow_usd + 0.01 "
                        "where asset = 'BTC' and session_date = '2026-01-22'"),
        ("G6.identity", "update marts.fct_policy_decision set votes_for = 9 where meeting_id = 'BOJ.2026-01-23'"),
        ("G7.known_from", "update marts.fct_observation set known_from = known_from + interval 3 year "
                          "where series_id = 'YIELD.JP.2Y' and event_date = '2026-01-22'"),
        ("G7.event_date", "update marts.fct_observation set event_date = '2026-02-05' "
                          "where series_id = 'YIELD.JP.2Y' and event_date = '2026-01-22'"),
        ("G1.readable", "alter table marts.fct_policy_vote drop column vote"),
    ],
)  # fmt: skip
def test_a_broken_mart_is_refused(rule: str, statement: str, candidate: Build) -> None:
    """Keys, words, types, identities, look-ahead and empty marts each refuse under their own rule."""
    with duckdb.connect(str(candidate.warehouse)) as con:
        con.execute(statement)
    assert rule in refusals(candidate)


def test_row_72_an_exception_inside_an_expectation_refuses(candidate: Build) -> None:
    """A column that cannot be compared is an exception in Great Expectations, not an exception of ours."""
    spoil(candidate.warehouse, "alter table marts.fct_etf_flow_agg_daily alter breadth_out type varchar using 'half'")
    report = gates.check(candidate, holds_active=set())
    row = next(r for r in report.results if r["check_name"] == "breadth_out_is_in_range")
    assert (row["outcome"], row["evidence"].startswith("could not be evaluated")) == ("refuse", True)
    assert report.refused


def test_row_72_no_expectations_and_no_subjects_refuse(candidate: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty suite and an empty batch pass in Great Expectations by design; here they refuse."""
    spoil(candidate.scratch, _replaced("feed", "false"))
    assert "G2.rows" in refusals(candidate)
    monkeypatch.setattr(gates, "checks_of", lambda suite: ())
    assert refusals(candidate) == {"G1.evaluated"}


# Row 47 and the whole way of a hold, on a warehouse of its own.


@pytest.fixture
def own_home(pack_home: Path, tmp_path: Path) -> Path:
    """A copy of the pack's warehouse."""
    return Path(shutil.copytree(pack_home, tmp_path / "home", symlinks=True))


@pytest.mark.parametrize("seconds", [0.5, 2.0])
def test_row_47_killed_in_the_gate_nothing_is_published(seconds: float, own_home: Path) -> None:
    """An unchecked candidate is refused; the check can be made again, and then it is published."""
    path = newest_build(own_home)
    builds.write_table(path / "inputs" / "gate_result.parquet", "gate_result", [])
    before = publish.current(own_home)
    code = (
        "import sys; from pathlib import Path; from include import pipeline; from include.settings import Settings; "
        "from include.core.clock import parse_instant; home, clock = Path(sys.argv[1]), parse_instant(sys.argv[3]); "
        "print('on', flush=True); pipeline.check_step(Settings(warehouse_home=home, clock=clock), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, str(own_home), path.name, iso(CLOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "on\n"
        time.sleep(seconds)
        child.kill()
    assert child.returncode == -9
    settings = Settings(warehouse_home=own_home, clock=CLOCK)
    with pytest.raises(GateRefused, match="not checked"):
        pipeline.publish_step(settings, path.name)
    assert publish.current(own_home) == before
    assert publish.verify(own_home) == []
    assert pipeline.check_step(settings, path.name)["evaluated"] > 60


@pytest.mark.timeout(900)
def test_a_held_figure_stays_out_until_it_is_released(own_home: Path) -> None:
    """A day of yields in basis points lands, is held in one more build, and comes in when a person says so."""
    settings = Settings(warehouse_home=own_home, clock=parse_instant("2026-02-01T06:00Z"))
    good = _served(own_home)
    assert good[0][1:] == (good[0][1], None) and good[0][1] < 10
    page = own_home / "page.csv"
    page.write_bytes(_in_basis_points(own_home))
    import_file(settings, "mof", "jgbcm", page, observed_at=parse_instant("2026-02-01T05:00Z"), run_id="import")
    done = pipeline.refresh(settings, "run-hold")
    assert done["n_holds"] >= 10
    now = _served(own_home)
    assert [r for r in now if r[0] != "held"] == good
    assert [r[1] for r in now if r[0] == "held"] == [None]
    name = next(h["hold_id"] for h in holds.rows(own_home) if h["series_id"] == "YIELD.JP.2Y")
    served = own_home / "serve" / "warehouse.duckdb"
    told = builds.query(served, "select would_change_it from marts.mart_daily_brief where section = 'held'")
    assert any(name in row[0] for row in told)  # a reader sees what to release, and how
    assert builds.query(served, "select count(*) from ops.fct_gate_result where outcome = 'hold'")[0][0] >= 1
    pipeline.release_hold(settings, name, "the ministry says so")
    assert pipeline.refresh(settings, "run-release")["n_holds"] == done["n_holds"] - 1
    current = [r for r in _served(own_home) if r[0] != "held" and r[2] is None]
    assert current == [("final", good[0][1] * 100, None)]


def _replaced(name: str, condition: str) -> str:
    """Statements that turn a view of the frozen inputs into a table of its own, which can be changed."""
    return (f"create table landing.changed as select * from landing.{name} where {condition}; "
            f"drop view landing.{name}; alter table landing.changed rename to {name}")  # fmt: skip


def _served(home: Path) -> list[tuple[str, Decimal | None, object]]:
    return builds.query(home / "serve" / "warehouse.duckdb",
                        "select obs_status, value, known_to from marts.fct_observation where series_id = 'YIELD.JP.2Y' "
                        "and source_id = 'mof' and event_date = '2026-01-28' order by version_no")  # fmt: skip


def _in_basis_points(home: Path) -> bytes:
    """The landed page of January with the figures of the 28th times a hundred."""
    store = Store(home)
    attempt = next(a for a in store.attempts("mof", "jgbcm") if a.outcome == "LANDED")
    lines = inflate(store.read(attempt), attempt.encoding, 2**24).decode("cp932").split("\r\n")
    at = next(n for n, line in enumerate(lines) if line.startswith("R8.1.28"))
    day, *cells = lines[at].split(",")
    lines[at] = ",".join([day, *(str(Decimal(c) * 100) if c != "-" else c for c in cells)])
    return "\r\n".join(lines).encode("cp932")
