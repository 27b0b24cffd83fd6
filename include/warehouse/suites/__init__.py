"""What a candidate must keep to be published: the gate's checks, a suite per shape and a suite per published mart.

A suite named here has its profile query beside it (`<suite>.sql`, one row a subject) or is a mart in `MARTS`.
A profile counts what is wrong: column `n_<what>`, with examples in `<what>_eg`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Outcome = Literal["label", "hold", "refuse"]
GRADES = ["A", "B", "C", "D", "X"]
STATUSES = ["final", "partial", "reported_zero", "not_yet", "holiday", "source_gap", "held", "retracted"]
CUT = 1000  # newest rows of a mart that its suite looks at; keys over whole tables are dbt tests


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: what it is called in results, what its failure means, and who looks at it."""

    rule_id: str
    name: str
    outcome: Outcome
    expectation: str
    arguments: dict
    owner: str = "data engineering"  # or "source": the feed's publisher
    among: str = "n_rows"  # the profile's column that says of how many


@dataclass(frozen=True, slots=True)
class Mart:
    """A published table: the columns that name a row, whether it may be empty, and its own checks."""

    key: tuple[str, ...]
    may_be_empty: bool = False
    checks: tuple[Check, ...] = field(default=())


def _none(rule_id: str, name: str, outcome: Outcome, what: str, owner: str = "data engineering",
          among: str = "n_rows") -> Check:  # fmt: skip
    arguments = {"column": f"n_{what}", "max_value": 0}
    return Check(rule_id, name, outcome, "expect_column_values_to_be_between", arguments, owner, among)


def _within(column: str, low: int | None, high: int | None) -> Check:
    arguments = {"column": column, "min_value": low, "max_value": high}
    name = f"{column}_is_in_range"
    return Check("G1.mart_range", name, "refuse", "expect_column_values_to_be_between", arguments)


def _one_of(column: str, words: list[str]) -> Check:
    arguments = {"column": column, "value_set": words}
    return Check("G1.mart_words", f"{column}_is_a_known_word", "refuse", "expect_column_values_to_be_in_set", arguments)


def _present(column: str) -> Check:
    name = f"{column}_is_present"
    return Check("G1.mart_present", name, "refuse", "expect_column_values_to_not_be_null", {"column": column})


ROWS = Check("G2.rows", "there_is_something_to_check", "refuse", "expect_table_row_count_to_be_between",
             {"min_value": 1})  # fmt: skip
_KEYED = (
    Check("G1.mart_key", "every_row_has_its_whole_key", "refuse", "expect_column_values_to_not_be_null",
          {"column": "subject"}),
    Check("G1.mart_key", "no_key_stands_twice", "refuse", "expect_column_values_to_be_unique", {"column": "subject"}),
)  # fmt: skip

PROFILES: dict[str, tuple[Check, ...]] = {
    "observation": (
        ROWS,
        _none("G1.quarantine", "batch_quarantined", "label", "rejected", "source", "n_attempts"),
        _none("G1.unit", "every_figure_is_in_the_unit_of_its_family", "refuse", "bad_unit"),
        _none("G1.value", "a_final_figure_has_a_value", "refuse", "no_value"),
        _none("G2.late", "figures_come_when_they_are_due", "label", "late", "source", "n_expected"),
        _none("G2.gap", "no_figure_is_missing_for_good", "label", "gap", "source", "n_expected"),
        _none("G4.single_source", "more_than_one_lineage_stands_behind_a_figure", "label", "single_source"),
        _none("G4.conflict", "lineages_agree_within_tolerance", "label", "conflict"),
        _none("G4.shift", "lineages_date_a_flow_to_the_same_session", "label", "shift", "source"),
        _none("G5.magnitude", "no_figure_is_in_another_unit", "hold", "magnitude", "source"),
        _none("G5.lineage", "no_lineage_is_a_power_of_ten_away", "hold", "lineage", "source"),
        _none("G5.reconciliation", "printed_totals_are_the_sum_of_their_funds", "hold", "reconciliation", "source"),
        _none("G5.sign", "prices_and_stocks_are_positive", "hold", "sign", "source"),
        _none("G5.basket", "shares_change_by_whole_baskets", "label", "basket", "source"),
        _none("G5.held", "nothing_is_withheld", "label", "held", "source"),
        _none("G8.not_yet", "no_placeholder_stands_for_a_figure", "label", "not_yet", "source"),
        _none("G8.holiday", "no_zero_is_printed_on_a_closed_day", "label", "holiday", "source"),
        _none("G8.closed_day", "no_flow_is_printed_on_a_closed_day", "hold", "closed_day", "source"),
        _none("G9.mass_revision", "no_landing_rewrites_a_feeds_history", "hold", "mass_revision", "source"),
        _none("G9.withdrawn", "no_landing_drops_days_of_a_feeds_history", "hold", "withdrawn", "source"),
        _none("G10.copy", "lineages_that_are_declared_independent_differ", "hold", "copy"),
    ),
    "event": (
        ROWS,
        _none("G1.quarantine", "batch_quarantined", "label", "rejected", "source", "n_attempts"),
        _none("G1.value", "an_attribute_says_something", "refuse", "no_value"),
    ),
    "session": (
        ROWS,
        _none("G3.partial", "closed_sessions_are_complete", "label", "partial", "source"),
        _none("G3.not_yet", "closed_sessions_have_figures", "label", "not_yet", "source"),
        _none("G3.unlisted", "every_fund_that_reports_is_listed", "label", "unlisted"),
    ),
    "mart": (
        ROWS,
        _none("G1.mart_float", "no_mart_has_a_float", "refuse", "float_columns"),
        _none("G2.mart_rows", "required_marts_have_rows", "refuse", "missing"),
        _none("G7.known_from", "nothing_was_known_after_the_cutoff", "refuse", "known_later"),
        _none("G7.event_date", "nothing_is_dated_after_the_cutoff", "refuse", "dated_later"),
    ),
    "identity": (ROWS, _none("G6.identity", "totals_are_the_sum_of_their_parts", "refuse", "broken")),
}  # fmt: skip

MARTS: dict[str, Mart] = {
    "fct_observation": Mart(
        ("series_id", "source_id", "event_date", "event_at?", "version_no"),
        checks=(_one_of("obs_status", STATUSES), _present("payload_sha256"), _present("known_from")),
    ),
    "fct_etf_flow_daily": Mart(
        ("asset", "ticker", "session_date", "source_id", "version_no"),
        may_be_empty=True,
        checks=(_one_of("obs_status", STATUSES), _within("aum_prev_usd", 0, None), _present("payload_sha256")),
    ),
    "fct_etf_flow_agg_daily": Mart(
        ("asset", "session_date"),
        checks=(
            _one_of("obs_status", ["final", "partial", "not_yet"]),
            _one_of("grade", GRADES),
            _within("completeness_aum", 0, 1),
            _within("breadth_out", 0, 1),
            _within("abs_flow_pctile", 0, 1),
            _within("n_funds_missing", 0, None),
        ),
    ),
    "mart_revision_profile": Mart(
        ("source_id", "asset", "hours_since_close"),
        may_be_empty=True,  # no session has settled yet
        checks=tuple(_within(f"{what}_share", 0, 1) for what in ("final", "wrong_sign", "last_ticker")),
    ),
    "fct_etf_flow_native_daily": Mart(
        ("asset", "ticker", "session_date"),
        may_be_empty=True,
        checks=(_one_of("native_method", ["holdings", "price"]), _one_of("grade", GRADES)),
    ),
    "fct_asset_return_daily": Mart(
        ("asset", "session_date"),
        may_be_empty=True,
        checks=(_present("close_usd"), _one_of("grade", GRADES), _within("n_days", 1, None)),
    ),
    "fct_rate_differential_daily": Mart(
        ("event_date", "tenor"), checks=(_one_of("tenor", ["policy", "2y", "10y"]), _one_of("grade", GRADES))
    ),
    "fct_stablecoin_supply_daily": Mart(
        ("asset", "chain", "event_date"),
        may_be_empty=True,
        checks=(_within("supply_native", 0, None), _one_of("grade", GRADES), _present("payload_sha256")),
    ),
    "fct_derivative_oi_daily": Mart(
        ("venue", "asset", "instrument", "event_date"),
        may_be_empty=True,  # no venue has been landed yet
        checks=(_within("oi_usd", 0, None), _one_of("grade", GRADES)),
    ),
    "fct_account_position_daily": Mart(
        ("venue", "account", "instrument", "event_date"),
        may_be_empty=True,  # nobody is watched, or nobody has a position
        checks=(_one_of("side", ["long", "short"]), _within("notional_usd", 0, None), _present("payload_sha256")),
    ),
    "fct_liquidation_daily": Mart(
        ("venue", "asset", "event_date"),
        may_be_empty=True,
        checks=(
            _within("liquidated_long_usd", 0, None),
            _within("liquidated_short_usd", 0, None),
            _present("coverage"),
        ),
    ),
    "fct_carry_daily": Mart(
        ("event_date", "tenor"),
        may_be_empty=True,  # no market has printed yet
        checks=(_one_of("grade", GRADES), _within("fx_realised_vol_pct", 0, 200), _present("known_from")),
    ),
    "fct_positioning_weekly": Mart(
        ("market", "trader_group", "event_date"),
        may_be_empty=True,  # the bundled record has no reports
        checks=(_one_of("grade", GRADES), _within("net_share_oi", -1, 1), _present("payload_sha256")),
    ),
    "fct_protocol_tvl_daily": Mart(
        ("subject", "subject_kind", "event_date"),
        may_be_empty=True,
        checks=(_within("tvl_usd", 0, None), _one_of("grade", GRADES), _present("payload_sha256")),
    ),
    "fct_protocol_cashflow_daily": Mart(
        ("protocol", "event_date", "distribution_kind"),
        may_be_empty=True,
        checks=(
            _one_of("distribution_kind", ["none", "recurring", "liquidating"]),
            _one_of("grade", GRADES),
            _present("payload_sha256"),
        ),
    ),
    "fct_policy_decision": Mart(("meeting_id",), checks=(_one_of("grade", GRADES), _within("votes_for", 0, None))),
    "fct_policy_expectation": Mart(
        ("meeting_id", "expectation_kind"), may_be_empty=True, checks=(_one_of("grade", GRADES),)
    ),
    "fct_policy_vote": Mart(("meeting_id", "member_id"), checks=(_one_of("vote", ["for", "against"]),)),
    "fct_document": Mart(("doc_sha256", "source_id"), may_be_empty=True, checks=(_present("payload_sha256"),)),
    "fct_regulatory_event": Mart(
        ("event_id",), may_be_empty=True, checks=(_one_of("grade", GRADES), _within("limit_value", 0, None))
    ),
    "fct_security_incident": Mart(
        ("incident_id",),
        may_be_empty=True,
        checks=(_one_of("grade", GRADES), _within("recovery_ratio_native", 0, 1), _within("loss_usd", 0, None)),
    ),
    "fct_channel_flow_daily": Mart(
        ("channel", "session_date"),
        may_be_empty=True,
        checks=(_one_of("grade", GRADES), _within("score", -5, 5), _within("share_of_gross", 0, 1)),
    ),
    "mart_capital_migration_daily": Mart(
        ("session_date",),
        may_be_empty=True,
        checks=(_one_of("grade", GRADES), _one_of("link_kind", ["comovement", "traced"]), _present("label_reason")),
    ),
    "mart_coverage_calendar": Mart(
        ("series_id", "source_id", "event_date"),
        checks=(_one_of("state", ["landed", "late", "held", "source_gap", "holiday", "not_due"]),),
    ),
    "mart_daily_brief": Mart(("headline_no",), checks=(_present("headline"), _one_of("grade", GRADES))),
}

HOLDING = {c.rule_id: c.arguments["column"][2:] for c in PROFILES["observation"] if c.outcome == "hold"}


def checks_of(suite: str) -> tuple[Check, ...]:
    """Every check of a suite, row count first."""
    if suite in PROFILES:
        return PROFILES[suite]
    mart = MARTS[suite]
    return (*(() if mart.may_be_empty else (ROWS,)), *_KEYED, *mart.checks)


def profile_sql(suite: str) -> str:
    """The query behind a profile, over a build attached as `scratch` and `warehouse`."""
    return (Path(__file__).parent / f"{suite}.sql").read_text(encoding="utf-8")
