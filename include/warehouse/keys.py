"""The key of every published table, as the dbt project tests it: there it is said, and nowhere else."""

from dataclasses import dataclass
from functools import cache

import yaml

from include.settings import ROOT


@dataclass(frozen=True, slots=True)
class Key:
    """The columns that name a row. `never_null`: none of them is NULL in any row, so they may be a primary key."""

    columns: tuple[str, ...]
    never_null: bool


@cache
def keys() -> dict[str, Key]:
    """Keys by model name: `key` and `filled` of the `rules` over a whole table, in the models' YAML."""
    found = {}
    for path in sorted((ROOT / "dbt_project" / "models").rglob("*.yml")):
        said = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
        for model in said.get("models") or []:
            for test in model.get("data_tests", []):
                body = test.get("rules", {})
                # Among the rows that a `where` picks, another key may hold.
                if "key" in body.get("arguments", {}) and "where" not in body.get("config", {}):
                    columns = tuple(body["arguments"]["key"])
                    found[model["name"]] = Key(columns, set(columns) <= set(body["arguments"].get("filled", ())))
    return found
