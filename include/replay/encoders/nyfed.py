"""New York Fed markets API: the effective federal funds rate with the target range of its day, newest day first.

The pack knows the rate and the range; percentiles, volume and the revision mark are left out, not guessed.
"""

from datetime import datetime

from include.replay.record import Ask, NoRecord, between, known

MEDIA = "application/json"
PATH = "/api/rates/unsecured/effr/search.json"


def answer(ask: Ask, clock: datetime) -> bytes:
    """Every rate of `[startDate, endDate]` that was out at `clock`."""
    if ask.path != PATH:
        raise NoRecord(f"nyfed {ask.path}")
    start, end = ask.day("startDate", "%Y-%m-%d"), ask.day("endDate", "%Y-%m-%d")
    ranges = known("nyfed", "target_range", clock)
    rows = []
    for day, row in between(known("nyfed", "effr", clock), start, end).items():
        # A range holds from the day on which it takes effect: the row of a meeting day still shows the old one.
        band = ranges[max(since for since in ranges if since <= day)]
        rows.append(
            f'{{"effectiveDate":"{day}","type":"EFFR","percentRate":{row["EFFR"]},'
            f'"targetRateFrom":{band["TARGET_FROM"]},"targetRateTo":{band["TARGET_TO"]}}}'
        )
    return ('{"refRates":[' + ",".join(reversed(rows)) + "]}").encode()
