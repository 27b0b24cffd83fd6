"""Federal Reserve Board, Data Download Program: the H.10 package as CSV, series in columns.

The package holds every currency; the pack has the yen.
"""

from datetime import datetime
from decimal import Decimal

from include.replay.record import Ask, BadRequest, NoRecord, between, known

MEDIA = "text/csv"
PATH = "/datadownload/Output.aspx"
SERIES = "RXI_N.B.JA"
HEAD = f'''"Series Description","Japanese Yen"
"Unit:","Currency"
"Multiplier:","1"
"Currency:","JPY"
"Unique Identifier: ","H10/H10/{SERIES}"
"Time Period","{SERIES}"
'''


def answer(ask: Ask, clock: datetime) -> bytes:
    """Every business day from `from` to `to` that had been released by `clock`; a holiday is `ND`."""
    if ask.path != PATH or ask.params.get("rel") != "H10":
        raise NoRecord(f"frb {ask.path} {ask.params.get('rel', '')}")
    if (ask.params.get("filetype"), ask.params.get("layout")) != ("csv", "seriescolumn"):
        raise BadRequest("filetype is csv and layout is seriescolumn")
    rows = between(known("frb", "h10", clock), ask.day("from", "%m/%d/%Y"), ask.day("to", "%m/%d/%Y"))
    cells = ((day, row[SERIES]) for day, row in rows.items())
    return (HEAD + "".join(f"{day},{v if v == 'ND' else f'{Decimal(v):.4f}'}\n" for day, v in cells)).encode()
