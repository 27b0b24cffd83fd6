"""Statements of central banks as their publishers' pages write them: the words of the recorded cases, in a real PDF or HTML.

`python -m tests.sources.statements` writes the cases again.
"""

import textwrap
from pathlib import Path

CASES = Path(__file__).with_name("cases")
LINES = 46  # of a page


def pdf(text: str) -> bytes:
    """A PDF of one font whose pages show `text` line by line, wrapped as a printed page is."""
    lines = [piece for line in text.splitlines() for piece in textwrap.wrap(line, 95) or [""]]
    pages = [lines[n : n + LINES] for n in range(0, len(lines), LINES)]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /WinAnsiEncoding >>",
    ]
    for n, page in enumerate(pages):
        shown = "".join(f"({_escaped(line)}) Tj T*\n" for line in page)
        stream = f"BT /F1 11 Tf 60 780 Td 15 TL\n{shown}ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(stream.encode('cp1252'))} >>\nstream\n{stream}\nendstream",
        ]
    out, offsets = b"%PDF-1.4\n", []
    for n, body in enumerate(objects):
        offsets.append(len(out))
        out += f"{n + 1} 0 obj\n{body}\nendobj\n".encode("cp1252")
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    return out + f"{head}trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n".encode()


def _escaped(line: str) -> str:
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")


def article(heading: str, day: str, paragraphs: str) -> bytes:
    """A press release of the Federal Reserve Board: menus around, the text in `article`."""
    body = "\n".join(f"<p>{line}</p>" for line in paragraphs.splitlines())
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Federal Reserve Board - {heading}</title></head>
<body><nav><a href="/newsevents.htm">News &amp; Events</a></nav>
<div id="content"><div id="article"><p class="article__time">{day}</p><h3 class="title">{heading}</h3>
{body}
</div></div><footer>Last Update: {day}</footer></body></html>
""".encode()


PRESENT = "UEDA Kazuo, Chairman (Governor)\nHIMINO Ryozo (Deputy Governor)\nUCHIDA Shinichi (Deputy Governor)\n{}"
BOARD = "NOGUCHI Asahi\nNAKAGAWA Junko\nTAKATA Hajime\nTAMURA Naoki\nKOEDA Junko\nMASU Kazuyuki"
REFERENCE = """(Reference)
Meeting hours:
{hours}
Policy Board members present:
{present}
[Others present]
From the Ministry of Finance: a State Minister of Finance
Release dates and times:
{released}
Summary of Opinions -- {later} at 8:50
"""

BOJ_HELD = """January 23, 2026
Bank of Japan
Statement on Monetary Policy
1. At the Monetary Policy Meeting (MPM) held today, the Policy Board of the Bank of Japan decided, by an 8-1 majority vote, to set the following guideline for money market operations for the intermeeting period: [Note 1]
The Bank will encourage the uncollateralized overnight call rate to remain at around 0.75 percent.
2. Japan's economy has recovered moderately, although some weakness has been seen in part.
[Note 1] Voting for the action: UEDA Kazuo, HIMINO Ryozo, UCHIDA Shinichi, NOGUCHI Asahi, NAKAGAWA Junko, TAMURA Naoki, KOEDA Junko, and MASU Kazuyuki. Voting against the action: TAKATA Hajime. Takata Hajime considered that the price stability target had been more or less achieved, and proposed that the Bank set the guideline so that it would encourage the uncollateralized overnight call rate to remain at around 1.0 percent. The proposal was defeated by a majority vote.
""" + REFERENCE.format(
    hours="Thursday, January 22: 14:00-15:21\nFriday, January 23: 9:00-11:58", present=PRESENT.format(BOARD),
    released="Statement on Monetary Policy -- Friday, January 23 at 12:07", later="Monday, February 2",
)  # fmt: skip

BOJ_RAISED = """December 19, 2025
Bank of Japan
Change in the Guideline for Money Market Operations
1. At the Monetary Policy Meeting (MPM) held today, the Policy Board of the Bank of Japan decided, by a unanimous vote, to set the following guideline for money market operations for the intermeeting period:[1]
The Bank will encourage the uncollateralized overnight call rate to remain at around 0.75 percent.
2. The Bank decided, by an 8-1 majority vote, to change another measure. [Note 1]
[Note 1] Voting for the action: UEDA Kazuo and HIMINO Ryozo. Voting against the action: TAMURA Naoki. Tamura Naoki considered that yields should be determined by the market.
[1] The new guideline will be effective from December 22, 2025.
""" + REFERENCE.format(
    hours="Thursday, December 18: 14:00-15:40\nFriday, December 19: 9:00-12:02", present=PRESENT.format(BOARD),
    released="Change in the Guideline for Money Market Operations -- Friday, December 19 at 12:14",
    later="Monday, December 29",
)  # fmt: skip

# Two dissenters, one of them with a proposal; words broken by their kerning; the Governor absent; no stamp.
BOJ_TWO_AGAINST = """January 23, 2026
Bank of Japan
Change in the Guideline for Money Market Operations
1. At the Monetary Policy Meeting held today, the Policy Board of the Bank of Japan decided, by a 6-2 majority vote [Note], to set the following guideline for money market operations for the intermeeting period:
The Bank will encourage the uncollateralized overnight call rate to remain at around 1.0 percent.1
[Note] V oting for the action: HIMINO Ryozo, UCHIDA Shinichi, TAKA TA Hajime, TAMURA Naoki, KOEDA Junko, and MASU Kazuyuki. V oting against the action: NOGUCHI Asahi and NAKAGAWA Junko. Absent: UEDA Kazuo. Noguchi Asahi dissented, considering that downside risks were greater. Nakagawa Junko considered that risks were balanced. She proposed that the Bank would encourage the uncollateralized overnight call rate to remain at around 0.75 percent.
1 The new guideline will be effective from January 26, 2026.
"""

# Until March 2024 the Bank applied a negative rate, which no guideline sentence of this kind tells.
BOJ_NEGATIVE = """January 23, 2024
Bank of Japan
Statement on Monetary Policy
1. At the Monetary Policy Meeting held today, the Policy Board of the Bank of Japan decided upon the following.
(1) Yield curve control (a unanimous vote)
The Bank will apply a negative interest rate of minus 0.1 percent to the Policy-Rate Balances in current accounts.
"""

VOTED = "Voting for the monetary policy action were "
FOR_JANUARY = (
    "Jerome H. Powell, Chair; John C. Williams, Vice Chair; Michael S. Barr; Michelle W. Bowman; Lisa D. Cook; "
    "Beth M. Hammack; Philip N. Jefferson; Neel Kashkari; Lorie K. Logan; and Anna Paulson. "
)
FOR_DECEMBER = (
    "Jerome H. Powell, Chair; John C. Williams, Vice Chair; Michael S. Barr; Michelle W. Bowman; Susan M. Collins; "
    "Lisa D. Cook; Philip N. Jefferson; Alberto G. Musalem; and Christopher J. Waller. "
)
NOTED = "For media inquiries, please email media@frb.gov or call 202-452-2955.\nImplementation Note issued {}"
CUT_BY = "who preferred to lower the target range for the federal funds rate by {} percentage point at this meeting"

FED_HELD = (
    "For release at 2:00 p.m. EST\nAvailable indicators suggest that economic activity has been expanding.\n"
    "In support of its goals, the Committee decided to maintain the target range for the federal funds rate at "
    f"3\u20111/2 to 3\u20113/4 percent.\n{VOTED}{FOR_JANUARY}Voting against this action were Stephen I. Miran and "
    f"Christopher J. Waller, {CUT_BY.format('1/4')}.\n" + NOTED.format("January 28, 2026")
)
FED_CUT = (
    "For release at 2:00 p.m. EST\nIn light of the shift in the balance of risks, the Committee decided to lower the "
    "target range for the federal funds rate by 1/4 percentage point to 3-1/2 to 3-3/4 percent.\n"
    f"{VOTED}{FOR_DECEMBER}Voting against this action were Stephen I. Miran, {CUT_BY.format('1/2')}; and Austan D. "
    "Goolsbee and Jeffrey R. Schmid, who preferred no change to the target range for the federal funds rate at this "
    "meeting.\n" + NOTED.format("December 10, 2025")
)
# The shorter form: the split is said first, and only dissenters are named.
FED_SPLIT = (
    "For release at 2:00 p.m. EST\nThe Federal Open Market Committee approved the following statement for release by a "
    "9 \u2013 3 vote:\nThe Committee decided to maintain the target range for the federal funds rate at 3-1/2 to 3-3/4 "
    "percent.\nVoting against the monetary policy action were Beth M. Hammack, Neel Kashkari, and Lorie K. Logan, who "
    "preferred to raise the target range for the federal funds rate to 3-3/4 to 4 percent.\n"
    + NOTED.format("January 28, 2026")
)
FED_NOTE = (
    "The Federal Reserve has made the following decisions to implement the monetary policy stance:\n"
    "The Board voted unanimously to maintain the interest rate paid on reserve balances at 3.65 percent, effective "
    "January 29, 2026.\nEffective January 29, 2026, the Federal Open Market Committee directs the Desk to undertake "
    "open market operations as necessary to maintain the federal funds rate in a target range of 3-1/2 to 3-3/4 percent."
)
STATEMENT, NOTE = "Federal Reserve issues FOMC statement", "Implementation Note issued January 28, 2026"
DECISIONS = "Decisions Regarding Monetary Policy Implementation\n"

BOJ_SITE, FED_SITE = "http://www.boj.or.jp/en/", "https://www.federalreserve.gov/"
RULES, FLOWS = (
    "Amendment to &quot;Principal Terms and Conditions of Complementary Deposit Facility&quot;",
    "Flow of Funds",
)


def news(*items: tuple[str, str, str], head: str = "") -> bytes:
    """A list of news: title, link and stamp of each item."""
    body = "\n".join(
        f"<item><title>{title}</title><link>{link}</link><pubDate>{stamp}</pubDate></item>"
        for title, link, stamp in items
    )
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n{head}<rss version="2.0"><channel><title>News</title>\n{body}\n'
        "</channel></rss>\n"
    ).encode()


BOJ_NEWS = [
    (
        "Statement on Monetary Policy",
        f"{BOJ_SITE}mopo/mpmdeci/mpr_2026/k260123a.pdf",
        "Fri, 23 Jan 2026 12:10:00 +0900",
    ),
    (RULES, f"{BOJ_SITE}mopo/mpmdeci/mpr_2026/mpr260123b.pdf", "Fri, 23 Jan 2026 12:30:00 +0900"),
    (FLOWS, f"{BOJ_SITE}statistics/sj/sj.htm", "Thu, 22 Jan 2026 08:50:00 +0900"),
]
FED_NEWS = [
    ("<![CDATA[Federal Reserve issues FOMC statement]]>",
     f"<![CDATA[{FED_SITE}newsevents/pressreleases/monetary20260128a.htm]]>",
     "<![CDATA[Wed, 28 Jan 2026 19:00:00 GMT]]>"),
    ("<![CDATA[Minutes of the Board's discount rate meetings]]>",
     f"<![CDATA[{FED_SITE}newsevents/pressreleases/monetary20260113a.htm]]>",
     "<![CDATA[Tue, 13 Jan 2026 19:00:00 GMT]]>"),
]  # fmt: skip

RECORDED = {
    "boj_policy/statement__news.xml": news(*BOJ_NEWS),
    "boj_policy/statement__news_between_meetings.xml": news(BOJ_NEWS[2]),
    "boj_policy/statement__news_with_entities.xml": news(*BOJ_NEWS, head='<!DOCTYPE rss [<!ENTITY a "b">]>\n'),
    "boj_policy/statement__news_without_stamp.xml": news((*BOJ_NEWS[0][:2], "23 January 2026")),
    "boj_policy/statement__news_of_tomorrow.xml": news((*BOJ_NEWS[0][:2], "Tue, 03 Feb 2026 12:10:00 +0900")),
    "boj_policy/statement__no_channel.xml": b'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"></rss>\n',
    "fed/statement__news.xml": news(*FED_NEWS),
    "boj_policy/statement__ordinary.pdf": pdf(BOJ_HELD),
    "boj_policy/statement__raised.pdf": pdf(BOJ_RAISED),
    "boj_policy/statement__two_against.pdf": pdf(BOJ_TWO_AGAINST),
    "boj_policy/statement__vote_and_names_disagree.pdf": pdf(BOJ_HELD.replace("8-1 majority", "7-2 majority")),
    "boj_policy/statement__two_rates.pdf": pdf(BOJ_HELD.replace("2. Japan's", "The Bank will encourage the "
        "uncollateralized overnight call rate to remain at around 0.5 percent.\n2. Japan's")),
    "boj_policy/statement__change_without_a_day.pdf": pdf(BOJ_RAISED.replace("will be effective from", "of")),
    "boj_policy/statement__released_on_another_day.pdf": pdf(BOJ_HELD.replace("January 23 at", "January 24 at")),
    "boj_policy/statement__negative_rate.pdf": pdf(BOJ_NEGATIVE),
    "boj_policy/statement__another_document.pdf": pdf("Summary of Opinions\nBank of Japan\nJanuary 2026"),
    "boj_policy/statement__cut.pdf": pdf(BOJ_HELD)[:-200],
    "fed/statement__ordinary.html": article(STATEMENT, "January 28, 2026", FED_HELD),
    "fed/statement__lowered.html": article(STATEMENT, "December 10, 2025", FED_CUT),
    "fed/statement__split.html": article(STATEMENT, "January 28, 2026", FED_SPLIT),
    "fed/statement__note.html": article(NOTE, "January 28, 2026", DECISIONS + FED_NOTE),
    "fed/statement__split_and_names_disagree.html": article(STATEMENT, "January 28, 2026",
                                                            FED_SPLIT.replace("Beth M. Hammack, ", "")),
    "fed/statement__held_by_a_step.html": article(STATEMENT, "January 28, 2026",
                                                  FED_HELD.replace("funds rate at", "funds rate by 1/4 percentage point to")),
    "fed/statement__no_range.html": article(STATEMENT, "January 28, 2026", FED_HELD.replace("target range", "stance")),
    "fed/statement__summer_time_in_winter.html": article(STATEMENT, "January 28, 2026", FED_HELD.replace("EST", "EDT")),
    "fed/statement__note_of_two_days.html": article(NOTE, "January 28, 2026",
                                                    DECISIONS + FED_NOTE.replace("Effective January 29", "Effective January 30")),
    "fed/statement__another_release.html": article("Federal Reserve Board issues enforcement action", "January 28, 2026",
                                                   "For release at 11:00 a.m. EST"),
}  # fmt: skip


if __name__ == "__main__":
    for name, body in RECORDED.items():
        (CASES / name).parent.mkdir(exist_ok=True)
        (CASES / name).write_bytes(body)
