"""DefiLlama: the chart of value locked in all chains, and the list of incidents, newest first.

The point of the day in progress is in the chart, as it is at the service, and holds no reading. Of an incident the pack
knows amounts, technique, classification and chains; its source page is left empty, and other fields are left out.
"""

import json
from datetime import UTC, date, datetime, time, timedelta

from include.replay.record import Ask, NoRecord, known

MEDIA = "application/json"
NUMBERS = ("amount", "returnedFunds")
FIELDS = ("classification", "technique", *NUMBERS)


def answer(ask: Ask, clock: datetime) -> bytes:
    """What was listed at `clock`."""
    if ask.path == "/v2/historicalChainTvl":
        table = known("defillama", "tvl_all", clock)
        points = [f'{{"date":{_stamp(day)},"tvl":{row["tvl"]}}}' for day, row in table.items()]
        points.append(f'{{"date":{_stamp(max(table) + timedelta(days=1))},"tvl":null}}')
        return f"[{','.join(points)}]".encode()
    if ask.path != "/hacks":
        raise NoRecord(f"defillama {ask.path}")
    incidents = []
    for day, row in reversed(known("defillama", "hacks", clock).items()):
        for name in sorted({series.split("|")[0] for series in row}):
            told: dict[str, object] = {"date": _stamp(day), "name": name}
            for key in FIELDS:
                raw = row.get(f"{name}|{key}")
                told[key] = int(raw) if raw is not None and key in NUMBERS else raw
            chains = row.get(f"{name}|chain")
            incidents.append(told | {"chain": chains and chains.split(", "), "source": ""})
    return json.dumps(incidents).encode()


def _stamp(day: date) -> int:
    return int(datetime.combine(day, time(0), UTC).timestamp())
