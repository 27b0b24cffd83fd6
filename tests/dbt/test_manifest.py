"""What the dbt project promises of itself, read from its manifest: no look-ahead by graph, contracts, words, keys."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
LAYERS = {"staging": ("ledger", "private"), "ledger": ("ledger", "protected"), "partitions": ("ledger", "protected"), "marts": ("marts", "public"),
          "ops": ("marts", "public")}  # fmt: skip

# The graph rule. A version may be later than what a question asks for, so versions are read where the known one is
# picked, by the facts whose rows are versions, and by the decision features, which pick at an instant of their own. Those
# facts in turn are read only by models that take their names, or rows with `known_to is null`.
READS_VERSIONS = {
    "observation_version": {
        "etf_fund_aum",
        "observation_known",
        "fct_observation",
        "fct_revision",
        "fct_etf_flow_daily",
        "mart_decision_feature",
        "mart_revision_profile",
    },
    "event_version": {"event_known", "mart_decision_feature"},
    "fct_observation": {"dim_series", "mart_coverage_calendar", "mart_daily_brief"},
    "fct_etf_flow_daily": {"brief_flow"},
    "fct_revision": set(),
}
CLOCKS = re.compile(r"\b(now|today|random|get_current_timestamp)\s*\(|\bcurrent_(date|time|timestamp)\b", re.I)
KNOWN_FROM = {"known_from", "scores_known_from", "capital_known_from", "board_known_from"}
FORMULAS = {
    "observation_version", "observation_derived", "observation_agreed", "lineage_copy", "lineage_shift",
    "fct_observation", "fct_revision",
    "fct_etf_flow_agg_daily", "fct_rate_differential_daily", "fct_asset_return_daily",
    "fct_policy_decision", "fct_policy_vote", "fct_policy_expectation", "dim_event", "dim_entity",
    "mart_coverage_calendar", "brief_series", "fct_regulatory_event", "fct_security_incident", "fct_document",
    "fct_channel_flow_daily", "mart_capital_migration_daily",
    "fct_etf_flow_native_daily",
    "brief_flow", "mart_decision_feature", "mart_revision_profile", "fct_carry_daily", "fct_positioning_weekly",
    "fct_stablecoin_supply_daily", "fct_protocol_tvl_daily", "fct_protocol_cashflow_daily", "brief_onchain",
    "fct_derivative_oi_daily", "fct_liquidation_daily", "brief_leverage", "position_day", "fct_account_position_daily",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """The parsed project: by `dbt` on its own, without a warehouse, and with every deprecation an error."""
    target = tmp_path_factory.mktemp("parse")
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "parse", "--no-partial-parse", "--target-path", target,
         "--log-path", target, "--warn-error-options", '{"error": ["Deprecations"]}'],
        cwd=PROJECT, capture_output=True, text=True, timeout=200,
        env=os.environ | {"CAPMIG_BUILD_DIR": str(target), "DO_NOT_TRACK": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    return json.loads((target / "manifest.json").read_text(encoding="utf-8"))


def nodes(manifest: dict, kind: str) -> dict[str, dict]:
    """Nodes of one resource type by name."""
    return {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == kind}


def layer(node: dict) -> str:
    """The folder below `models/` in which a model stands."""
    return Path(node["original_file_path"]).parts[1]


def rules(manifest: dict, model: dict) -> dict:
    """What the one `rules` test over a whole table says of it."""
    said = [t["test_metadata"]["kwargs"] for t in nodes(manifest, "test").values()
            if t["attached_node"] == model["unique_id"] and t["test_metadata"]["name"] == "rules"
            and not t["config"].get("where")]  # fmt: skip
    assert len(said) <= 1, model["name"]
    return said[0] if said else {}


def readers(manifest: dict, name: str) -> set[str]:
    """Models that refer to a model by name."""
    return {n["name"] for n in nodes(manifest, "model").values() if name in {r["name"] for r in n["refs"]}}


def test_versions_are_read_where_no_look_ahead_is_possible(manifest: dict) -> None:
    """Exactly the readers that are listed, so that a new one is looked at."""
    assert {name: readers(manifest, name) for name in READS_VERSIONS} == READS_VERSIONS
    every = nodes(manifest, "model")
    for name in READS_VERSIONS["fct_etf_flow_daily"] | READS_VERSIONS["fct_observation"] - {"dim_series"}:
        assert "known_to is null" in every[name]["raw_code"], name


def test_one_model_reads_the_cut_off_and_nothing_asks_for_the_time(manifest: dict) -> None:
    """`cutoff` alone reads the as-of variable and the run's clock."""
    code = {n["name"]: n["raw_code"] for n in nodes(manifest, "model").values()}
    macros = [m["macro_sql"] for m in manifest["macros"].values() if m["package_name"] == "capital_migration"]
    assert [name for name, sql in code.items() if "as_of'" in sql] == ["cutoff"]
    assert [name for name, sql in code.items() if "'landing', 'run'" in sql] == ["cutoff"]
    assert not any("as_of'" in sql for sql in macros)
    bare = [re.sub(r"--.*", "", sql) for sql in [*code.values(), *macros]]
    assert len(bare) > 40
    assert [found[0] for sql in bare if (found := CLOCKS.search(sql))] == []


def test_each_shape_has_one_staging_model_and_one_reader(manifest: dict) -> None:
    """Only staging reads the shapes, only the ledger and the day partitions read staging."""
    by_source: dict[str, set[str]] = {}
    for model in nodes(manifest, "model").values():
        for _, table in model["sources"]:
            by_source.setdefault(table, set()).add(model["name"])
        if any(r["name"].startswith("stg_") for r in model["refs"]):
            assert layer(model) in ("ledger", "partitions"), model["name"]
    for shape in ("observation", "event", "position", "document"):
        assert by_source[shape] == {f"stg_{shape}"}
    assert {n["name"] for n in nodes(manifest, "model").values() if layer(n) == "staging"} == {
        f"stg_{shape}" for shape in ("observation", "event", "position", "document")
    }


def test_groups_and_access(manifest: dict) -> None:
    """Staging is private, the ledger protected, marts public; the parts of the first screen are nobody's but its own."""
    for model in nodes(manifest, "model").values():
        group, access = LAYERS[layer(model)]
        if "parts" in model["path"].split("/"):
            access = "private"
            assert model["config"]["materialized"] == "ephemeral"
        assert (model["config"]["group"], model["access"]) == (group, access), model["name"]
    owners = {g["name"]: g["owner"]["name"] for g in manifest["groups"].values()}
    assert owners.keys() == {"ledger", "marts"}
    assert all(owners.values())


def public(manifest: dict) -> dict[str, dict]:
    """The models that readers query."""
    return {name: n for name, n in nodes(manifest, "model").items() if n["access"] == "public"}


def test_public_models_have_contracts_and_no_float(manifest: dict) -> None:
    """Every column typed; money and ratios are decimals."""
    assert len(public(manifest)) >= 20
    for name, model in public(manifest).items():
        assert model["config"]["contract"]["enforced"], name
        assert model["config"]["persist_docs"] == {"relation": True, "columns": True}, name
        assert len(model["columns"]) > 2, name
        types = {c["name"]: c["data_type"] for c in model["columns"].values()}
        assert all(types.values()), name
        assert not {"double", "float", "real"} & set(types.values()), name


def test_every_column_is_documented_by_the_block_of_its_name(manifest: dict) -> None:
    """One meaning a name; a block that no column uses goes."""
    named = set()
    for name, model in public(manifest).items():
        assert model["description"].startswith("Grain: "), name
        for column in model["columns"].values():
            assert column["doc_blocks"] == [f"doc.capital_migration.{column['name']}"], (name, column["name"])
            named.add(column["name"])
    blocks = {d["name"] for d in manifest["docs"].values() if d["package_name"] == "capital_migration"}
    assert blocks == named


def test_every_model_has_a_description_and_a_key(manifest: dict) -> None:
    """Runs in staging repeat by design, and the parts of a table are tested in it; all else has a key that is tested."""
    for name, model in nodes(manifest, "model").items():
        assert model["description"], name
        has_rows = layer(model) != "staging" and model["config"]["materialized"] != "ephemeral"
        assert rules(manifest, model).get("key") or not has_rows, name


def test_every_mart_is_tested_for_look_ahead(manifest: dict) -> None:
    """Rule G7 on every column that says when something became known."""
    tested = 0
    for name, model in public(manifest).items():
        looked = set(rules(manifest, model).get("known_by_cutoff", ()))
        instants = set(model["columns"]) & KNOWN_FROM
        assert looked == instants, name
        tested += len(instants)
    assert tested >= 10


def test_every_source_of_a_row_is_a_declared_one(manifest: dict) -> None:
    """No mart figure without a chain to its bytes: what names a payload fills it, and its source is known."""
    for name, model in public(manifest).items():
        if layer(model) == "ops" or "payload_sha256" not in model["columns"]:
            continue
        assert {"source_id", "payload_sha256", "known_from"} <= set(rules(manifest, model).get("filled", ())), name


def test_every_formula_has_a_unit_test(manifest: dict) -> None:
    """A model that computes has an example of what it computes."""
    assert {t["model"] for t in manifest["unit_tests"].values()} >= FORMULAS


def test_every_mart_has_a_reader(manifest: dict) -> None:
    """Each public table stands in an exposure; an exposure that names its code depends on what that code asks, exactly;
    what no page shows is asked through the doors alone."""
    tables, read = set(public(manifest)), {}
    for exposure in manifest["exposures"].values():
        used = read[exposure["name"]] = {ref["name"] for ref in exposure["refs"]}
        assert used <= tables and exposure["owner"]["name"] and exposure["description"], exposure["name"]
        if code := exposure["config"]["meta"].get("code"):
            asked = set(re.findall(r"\b(?:marts|ops)\.([a-z_]+)", _code(PROJECT.parent / code))) & tables
            assert used == asked, exposure["name"]
    dashboards = {p.stem for p in (PROJECT.parent / "include" / "bi" / "assets" / "dashboards").glob("*.yaml")}
    assert set(read) == {"daily_brief", "status", "report", "why", "doors"} | dashboards
    assert read.pop("doors") == tables - set().union(*read.values())


def _code(path: Path) -> str:
    """Python as it stands; of a dashboard, the datasets that its charts show."""
    if path.suffix != ".yaml":
        return "".join(p.read_text(encoding="utf-8") for p in (sorted(path.rglob("*.py")) or [path]))
    texts = {kind: [p.read_text(encoding="utf-8") for p in (path.parents[1] / kind).glob("*.yaml")]
             for kind in ("charts", "datasets")}  # fmt: skip
    shown = [t for t in texts["charts"] if yaml.safe_load(t)["uuid"] in path.read_text(encoding="utf-8")]
    named = {yaml.safe_load(t)["uuid"]: t for t in texts["datasets"]}
    return "".join(t for uuid, t in named.items() if any(uuid in chart for chart in shown))


def test_no_test_is_switched_off(manifest: dict) -> None:
    """Nothing disabled, nothing reduced to a warning, and test names are sentences."""
    assert manifest["disabled"] == {}
    for name, test in nodes(manifest, "test").items():
        assert test["config"]["severity"].lower() == "error", name
        assert test["config"]["limit"] is None, name
        assert name.count("_") >= 2, name
