"""Rules G9 and G10, rows 26 and 27 of the fault matrix: a history that is rewritten, one that goes, and a copied table."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from include import pipeline
from include.core.clock import parse_instant
from include.core.errors import ConfigError
from include.settings import Settings
from include.warehouse import build as builds
from include.warehouse import gates, holds
from tests.e2e import declared

CLOCK = parse_instant("2026-02-01T06:00:00Z")
SEEN = parse_instant("2026-01-30T06:00:00Z")
LATER = SEEN + timedelta(days=1)
DAYS = [date(2025, 10, 1) + timedelta(days=n) for n in range(100)]
SERIES = ("SUPPLY.USDT", "SUPPLY.USDC")
WAS = {(series, day): 1000 + 7 * n for series in SERIES for n, day in enumerate(DAYS)}
Figures = dict[tuple[str, date], int]

MEASURED = ("fct_observation", "fct_etf_flow_daily", "fct_etf_flow_agg_daily", "fct_policy_decision", "fct_security_incident",
            "mart_coverage_calendar", "lineage_copy", "lineage_shift")  # fmt: skip


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    """A fresh warehouse with one source that restates all of its hundred days, seen once."""
    with declared.registered(declared.source("registrar", "origin", restates="all", late_after_days=9999)):
        made = declared.home(tmp_path / "home", CLOCK)
        assert take_in(made, "registrar", SEEN, WAS) == "LANDED"
        yield made


def take_in(settings: Settings, source_id: str, at: datetime, said: Figures) -> str:
    """A page with these figures, in millions, as seen at `at`."""
    cells = [(series.replace("SUPPLY", "AUM"), day, str(value)) for (series, day), value in said.items()]
    return declared.take_in(settings, source_id, "said", at, declared.body(cells, DAYS))


def judged(settings: Settings, *marts: str) -> builds.Build:
    """Build what is read here, `marts` too, and again with what the gate found to hold: the steps of a run without the
    checks of the whole project."""
    for n in range(4):
        made = declared.built(settings, f"judged-{n}", only=(*MEASURED, *marts))
        report = gates.check(made, holds_active=holds.active(settings.home))
        if not report.new_holds:
            return made
        holds.add(settings.home, report.new_holds, settings.clock)
    raise AssertionError("holds do not end")


def known(made: builds.Build, at: datetime = CLOCK) -> Figures:
    """What readers see as known at `at`, in millions."""
    rows = builds.query(made.warehouse, "select replace(series_id, 'AUM', 'SUPPLY'), event_date, value "
                        "from marts.fct_observation where known_from <= $1 and (known_to is null or $1 < known_to) "
                        "and obs_status not in ('held', 'retracted')", [at])  # fmt: skip
    return {(series, day): int(value / 10**6) for series, day, value in rows}


def batches(settings: Settings) -> dict[str, set[str]]:
    """Ids to acknowledge by rule."""
    found: dict[str, set[str]] = {}
    for row in holds.rows(settings.home):
        if row["released_at"] is None:
            found.setdefault(row["rule_id"], set()).add(row["batch_id"] or row["hold_id"])
    return found


def test_row_26_a_rewritten_history_waits_for_one_acknowledgement(settings: Settings) -> None:
    """A rebase of a fifth of the cells is withheld as one batch, told to readers, and let through by its one id."""
    rebased = WAS | {cell: value + 55 for n, (cell, value) in enumerate(WAS.items()) if n % 5 == 0}
    take_in(settings, "registrar", LATER, rebased)
    made = judged(settings, "mart_daily_brief")
    assert known(made) == WAS
    assert batches(settings).keys() == {"G9.mass_revision"}
    (batch,) = batches(settings)["G9.mass_revision"]
    assert len(holds.active(settings.home)) == 40
    told = builds.query(made.warehouse, "select value_text, reading, would_change_it from marts.mart_daily_brief "
                                        "where section = 'held'")  # fmt: skip
    assert told == [("40 figures withheld", "40 of 200 figures changed at 2026-01-31T06:00:00.000000Z",
                     f"capmig publish --ack {batch} --why ...")]  # fmt: skip
    with pytest.raises(ConfigError, match="no hold"):
        holds.release(settings.home, batch[:-1] + "x", at=CLOCK, why="a typing mistake")
    holds.release(settings.home, batch, at=CLOCK, why="the registrar has announced it")
    freed = judged(settings)
    assert known(freed) == rebased
    assert known(freed, CLOCK - timedelta(seconds=1)) == WAS  # nobody knew it before it was let through
    assert holds.active(settings.home) == set()


def test_row_27_days_that_go_are_kept_and_told(settings: Settings) -> None:
    """Thirty days dropped from the middle: every figure stays for readers, the withdrawal waits, and comes by its id."""
    gone = {day for day in DAYS[20:50]}
    left = {cell: value for cell, value in WAS.items() if cell[1] not in gone}
    take_in(settings, "registrar", LATER, left)
    made = judged(settings)
    assert known(made) == WAS
    assert builds.query(made.warehouse, "select count(*) from marts.fct_observation where obs_status = 'held'") == [
        (60,)
    ]
    (rule, (batch,)) = batches(settings).popitem()
    assert rule == "G9.mass_revision"  # three cells of ten
    holds.release(settings.home, batch, at=CLOCK, why="the registrar has withdrawn them")
    assert known(judged(settings)) == left


def test_a_few_days_that_go_are_held_and_a_single_cell_is_not(settings: Settings) -> None:
    """Two whole days are a withdrawal, however small a share; one cell of a day that stands is just retracted."""
    gone = set(DAYS[40:42])
    left = {cell: value for cell, value in WAS.items() if cell[1] not in gone and cell != (SERIES[0], DAYS[60])}
    take_in(settings, "registrar", LATER, left)
    made = judged(settings)
    assert known(made) == {cell: value for cell, value in WAS.items() if cell != (SERIES[0], DAYS[60])}
    assert batches(settings).keys() == {"G9.withdrawn"}
    assert len(holds.active(settings.home)) == 4
    said = builds.query(made.warehouse, "select obs_status from marts.fct_observation where known_to is null "
                                        "and series_id = 'AUM.USDT' and event_date = $1", [DAYS[60]])  # fmt: skip
    assert said == [("retracted",)]


def test_corrections_and_new_days_are_not_a_mass_revision(settings: Settings) -> None:
    """Nine corrections of two hundred figures and a new day pass; a rewrite behind a rewrite is found too."""
    corrected = WAS | {cell: value + 1 for cell, value in list(WAS.items())[:9]}
    corrected |= {(series, DAYS[-1] + timedelta(days=1)): 5 for series in SERIES}
    take_in(settings, "registrar", LATER, corrected)
    assert known(judged(settings)) == corrected
    assert holds.active(settings.home) == set()
    for hours, shift in ((1, 300), (2, 400)):
        take_in(settings, "registrar", LATER + timedelta(hours=hours), {c: v + shift for c, v in corrected.items()})
    assert known(judged(settings)) == corrected
    assert len(batches(settings)["G9.mass_revision"]) == 2  # the newer one was hiding the other
    # a publisher that takes it back is believed at once
    take_in(settings, "registrar", LATER + timedelta(hours=3), corrected)
    back = judged(settings, "fct_revision")
    assert known(back) == corrected
    assert builds.query(back.warehouse, "select count(*) from marts.fct_revision where known_from > $1",
                        [LATER + timedelta(hours=2)]) == [(0,)]  # fmt: skip


@pytest.mark.timeout(300)
def test_a_copy_that_is_declared_independent_counts_as_one_until_acknowledged(tmp_path: Path) -> None:
    """Sixty-five sessions equal to the last digit: one lineage, grade C; acknowledged, it is two, grade B."""
    days = [day for (day,) in _sessions()][:75]
    names = [f"ETF_FLOW.BTC.{ticker}" for ticker in ("IBIT", "FBTC")]
    table = [(name, day, f"{(n * 37 + k * 11) % 90 - 40}.{n % 10}") for n, day in enumerate(days)
             for k, name in enumerate(names)]  # fmt: skip
    third = [(name, day, str(Decimal(raw) + Decimal("0.01"))) for name, day, raw in table]
    # it left out the funds at first: what it does not print cannot agree
    copied = [cell for cell in table if cell[1] > days[9]]
    sources = [declared.source(name, "compilation", measures="issuers", rank=rank)
               for rank, name in enumerate(("printed", "copied", "third"), 1)]  # fmt: skip
    with declared.registered(*sources):
        settings = declared.home(tmp_path / "home", CLOCK)
        for source_id, cells in (("printed", table), ("copied", copied), ("third", third)):
            declared.take_in(settings, source_id, "said", SEEN, declared.body(cells))
        made = judged(settings, "fct_corroboration", "mart_daily_brief")
        assert counts(made, days[-1]) == [("copied", "printed", 3, 2, 1, "B"), ("printed", "printed", 3, 2, 1, "B"),
                                          ("third", "third", 3, 2, 1, "B")]  # fmt: skip
        assert batches(settings).keys() == {"G10.copy"}
        (name,) = batches(settings)["G10.copy"]
        told = builds.query(made.warehouse, "select headline, reading, would_change_it from marts.mart_daily_brief "
                                            "where section = 'held'")  # fmt: skip
        assert told == [("independence of copied from printed, ETF_FLOW.BTC",
                         f"equal to the last digit over 65 periods, {days[10]} to {days[-1]}",
                         f"capmig publish --ack {name} --why ...")]  # fmt: skip
        pipeline.release_hold(settings, name, "both wrote to us; they compile apart")
        freed = judged(settings, "fct_corroboration")
        assert [row[1:4] for row in counts(freed, days[-1])] == [("copied", 3, 3), ("printed", 3, 3), ("third", 3, 3)]
        past = declared.built(settings, "past", CLOCK - timedelta(hours=1), only=("fct_corroboration",))
        assert counts(past, days[-1])[0][:4] == (
            "copied",
            "printed",
            3,
            2,
        )  # the release is not known before it was made


def counts(made: builds.Build, day: date) -> list[tuple]:
    """Of one series on `day`: source, counted as, publishers, lineages, measurements, grade."""
    return builds.query(made.warehouse, "select source_id, counted_as, n_publishers, n_lineages, n_measurements, grade from "
                        "marts.fct_corroboration where series_id = 'ETF_FLOW.BTC.IBIT' and event_date = $1 order by 1",
                        [day])  # fmt: skip


def test_a_table_dated_a_session_late_is_recognised_and_compared_where_it_belongs(tmp_path: Path) -> None:
    """Three months of one fund by two sources, one of which dates by settlement: recorded, and no conflict."""
    sessions = [day for (day,) in _sessions()][:64]
    flows = [str((n * 7919) % 211 - 105) for n in range(63)]
    name = "ETF_FLOW.BTC.BITB"
    sources = [declared.source("trade", "compilation", rank=1), declared.source("settled", "compilation", rank=2)]
    with declared.registered(*sources):
        settings = declared.home(tmp_path / "home", CLOCK)
        for source_id, own in (("trade", sessions[:-1]), ("settled", sessions[1:])):
            cells = [(name, day, flow) for day, flow in zip(own, flows, strict=True)]
            declared.take_in(settings, source_id, "said", datetime(2026, 1, 30, tzinfo=UTC), declared.body(cells))
        made = declared.built(settings, "shift", only=(*MEASURED, "fct_corroboration"))
        report = gates.check(made, holds_active=set())
        rows = builds.query(made.warehouse, "select source_id, shift_sessions, agreement_status, n_lineages, grade "
                            "from marts.fct_corroboration where series_id = $1 and event_date = $2 order by 1",
                            [name, sessions[40]])  # fmt: skip
    assert rows == [("settled", 1, "agree", 2, "A"), ("trade", 0, "agree", 2, "A")]
    (shift,) = [r for r in report.results if r["rule_id"] == "G4.shift"]
    assert (shift["outcome"], shift["subject"]) == ("label", "settled/said")
    assert f"{name} 1 sessions from trade" in shift["evidence"]


def _sessions() -> list[tuple]:
    from include.core.calendars import sessions

    return [(row["session_date"],) for row in sessions("NYSE") if row["session_date"] >= date(2025, 10, 1)]
