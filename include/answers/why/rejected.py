"""Why something is not in the figures: a payload that was refused, or a figure that the gate withheld."""

import re
from collections.abc import Iterable

from include.answers.reader import _printable
from include.answers.why import Landed, Locate
from include.answers.why.figures import CURRENT, Con, fetch, literal
from include.core.errors import CapmigError, ConfigError
from include.core.parse import inflate

_PREVIEW = 200
_CAP = 64 * 2**20


def explain(con: Con, name: str, locate: Locate, holds: Iterable[dict]) -> dict:
    """A hold by its id (of one figure or of a batch), or a rejected payload by its sha256 or a prefix of 8 digits.

    `ConfigError` in one line if there is none, or more than one.
    """
    name = name.strip().lower()
    held = [h for h in holds if name in (h.get("hold_id"), h.get("batch_id"))]
    if held:
        return _held(con, name, held, locate)
    if not re.fullmatch(r"[0-9a-f]{8,64}", name):
        raise _none(con, f"{name[:40]!r} is neither a hold nor 8 to 64 hexadecimal digits of a payload")
    found = fetch(con, f"""select * from ops.fct_fetch_outcome where starts_with(payload_sha256, {literal(name)})
        order by outcome != 'REJECTED', seen_at, recorded_at""")  # fmt: skip
    refused = [r for r in found if r["outcome"] == "REJECTED"]
    if not refused:
        raise _none(con, f"payload {name[:16]} was accepted" if found else f"no payload {name[:16]} was refused")
    if len({r["payload_sha256"] for r in refused}) > 1:
        raise _none(con, f"{name[:16]} names more than one payload")
    return _refused(con, name, refused[0], locate)


def _none(con: Con, message: str) -> ConfigError:
    some = fetch(con, """select payload_sha256[:12] as sha, max(seen_at) as seen from ops.fct_fetch_outcome
        where outcome = 'REJECTED' group by all order by seen desc, sha limit 5""")  # fmt: skip
    there = ", ".join(r["sha"] for r in some if r["sha"])
    return ConfigError(message, source="why", rule="why.rejected", action=(f"refused payloads: {there}; " if there else
                       "no payload was refused; ") + "held figures: `capmig status`")  # fmt: skip


def _bytes(landed: Landed | None) -> dict | None:
    """Where they are, how many, and how they begin."""
    if landed is None:
        return None
    try:
        wire = landed.read()
        body = inflate(wire, landed.encoding, _CAP)
    except CapmigError as error:
        return {"path": landed.path, "n_bytes": landed.n_bytes, "begins": error.message}
    begins = _printable(body[: 4 * _PREVIEW].decode("utf-8", "replace"))[:_PREVIEW]
    return {"path": landed.path, "n_bytes": landed.n_bytes, "begins": begins}


def _refused(con: Con, name: str, row: dict, locate: Locate) -> dict:
    source, feed = literal(row["source_id"]), literal(row["feed"])
    stands = [
        fetch(con, f"""select {literal(words)} as which, seen_at, outcome, origin, n_rows, payload_sha256
            from ops.fct_fetch_outcome where source_id = {source} and feed = {feed}
            and outcome in ('LANDED', 'UNCHANGED', 'EMPTY_OK') and seen_at {sign} {literal(row['seen_at'])}
            order by seen_at {order}, recorded_at limit 1""")
        for words, sign, order in (("the page before", "<=", "desc"), ("the page after", ">", "asc"))
    ]  # fmt: skip
    why = {n: row[n] for n in ("rule_id", "reason", "source_id", "feed", "seen_at", "recorded_at", "origin",
                               "http_status", "payload_sha256", "run_id")}  # fmt: skip
    return {
        "id": name, "what": "a payload that was refused", "why": why, "versions": [],
        "bytes": _bytes(locate(row["source_id"], row["feed"], row["payload_sha256"])),
        "in_its_place": [r for rows in stands for r in rows],
        "next": "its bytes are kept; a corrected page lands beside it, nothing is overwritten",
    }  # fmt: skip


def _held(con: Con, name: str, held: list[dict], locate: Locate) -> dict:
    first, versions, stands = held[0], [], []
    for hold in held[:20]:  # a batch may hold a whole history: its first figures tell what it is
        at = f" and event_at = {literal(hold['event_at'])}" if hold.get("event_at") else ""
        cell = f"series_id = {literal(hold.get('series_id'))} and event_date = {literal(hold.get('event_date'))}{at}"
        mine = f"{cell} and source_id = {literal(hold.get('source_id'))}"
        versions += fetch(con, f"""select series_id, event_date, source_id, feed, value_raw, known_from, known_to,
            payload_sha256, locator from marts.fct_observation where {mine} and obs_status = 'held'
            order by version_no""")  # fmt: skip
        stands += fetch(con, f"""select source_id, series_id, event_date, value, obs_status, known_from, locator
            from marts.fct_observation where {cell} and {CURRENT} order by source_id""")  # fmt: skip
    payload = versions[0] if versions else {}
    released = first.get("released_at")
    return {
        "id": name, "what": "released by a person" if released else f"{len(held)} withheld by the gate"
        if len(held) > 1 else "a figure withheld by the gate",
        "why": first, "versions": versions[:5],
        "bytes": _bytes(locate(payload["source_id"], payload["feed"], payload["payload_sha256"])) if payload else None,
        "in_its_place": stands,
        "next": "" if released else f"capmig publish --ack {name} --why \"...\"",
    }  # fmt: skip
