"""Strict readers shared by parsers. Everything unknown is refused with `ContractError` (rules G1.*)."""

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from include.core.errors import ContractError

T = TypeVar("T")

# 28 digits, the default, fail on quantize to 18 places above 1e10.
CONTEXT = Context(prec=60)
PIECE = 2**20  # bytes of a body that is read piece by piece
MAX_CELLS = 350_000  # of a body that becomes objects; the longest there is, a curve since 1974, has 200,000
SCALE = Decimal(1).scaleb(-18)
INTEGER_DIGITS = 20  # of DECIMAL(38,18)
ABSENT = frozenset({"", "-", "\u2013", "\u2014", ".", "ND", "NaN", "null", "N/A", "n/a"})
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,3})?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_EPOCH = re.compile(r"[1-3]\d{12}", re.ASCII)
_SECONDS = re.compile(r"\d{1,11}", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


def refuse(
    message: str, rule: str, action: str = "look at the rejected payload; if the source changed, change its parser"
) -> ContractError:
    """The error for bytes that break a contract. `raise refuse(...)`."""
    return ContractError(message, rule=rule, action=action)


def number(text: str | Decimal | int, *, grouped: bool = False, parens: bool = False) -> Decimal:
    """An exact Decimal that fits DECIMAL(38,18). Floats, NaN, infinities and unknown tokens are refused.

    `grouped` admits 1,234.5; `parens` admits (56.7) as a negative.
    """
    if isinstance(text, bool) or not isinstance(text, str | Decimal | int):
        raise refuse(f"not a number: {type(text).__name__}", "G1.type")
    raw = str(text).strip()
    token = raw
    if parens and token.startswith("(") and token.endswith(")"):
        token = "-" + token[1:-1]
    if grouped and _GROUPED.fullmatch(token):
        token = token.replace(",", "")
    if not _NUMBER.fullmatch(token):
        raise refuse(f"not a number: {raw[:40]!r}", "G1.type")
    try:
        value = Decimal(token)
        exact = value.quantize(SCALE, context=CONTEXT)
    except InvalidOperation:
        raise refuse(f"number out of range: {raw[:40]!r}", "G1.range") from None
    if exact.adjusted() >= INTEGER_DIGITS:
        raise refuse(f"number out of range: {raw[:40]!r}", "G1.range")
    if exact != value:
        raise refuse(f"more than 18 decimals: {raw[:40]!r}", "G1.range")
    return exact


def maybe_number(text: str | None, **kinds: bool) -> Decimal | None:
    """`number`, or None for a token that means "no reading". Absent is never zero."""
    return None if text is None or text.strip() in ABSENT else number(text, **kinds)


def above_zero(text: str | Decimal | int, what: str) -> Decimal:
    """`number`, refused unless it is greater than zero (rule G1.sign)."""
    value = number(text)
    if value <= 0:
        raise refuse(f"{what} is not above zero: {str(text)[:40]!r}", "G1.sign")
    return value


def at_least_zero(text: str, what: str) -> Decimal:
    """`number`, refused if it is less than zero (rule G1.sign)."""
    value = number(text)
    if value < 0:
        raise refuse(f"{what} is negative: {text[:40]!r}", "G1.sign")
    return value


def decode(body: bytes, codec: str) -> str:
    """Strict text in the declared codec, without BOM; NUL is refused."""
    if codec.lower().replace("-", "") != "utf16" and body[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise refuse("UTF-16 where another encoding is declared", "G1.encoding")
    try:
        text = body.decode("utf-8-sig" if codec == "utf-8" else codec, errors="strict")
    except (UnicodeDecodeError, LookupError):
        raise refuse(f"bytes are not {codec}", "G1.encoding") from None
    if "\x00" in text:
        raise refuse("NUL byte in text", "G1.encoding")
    return text


def _no_constant(token: str) -> Any:
    raise refuse(f"{token} in JSON", "G1.nan")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise refuse("duplicate key in JSON", "G1.duplicate_key")
    return out


def read_json(body: bytes) -> Any:
    """JSON with exact numbers; NaN, infinities, duplicate keys and deep nesting are refused."""
    text = decode(body, "utf-8")
    try:
        return json.loads(text, parse_float=_exact, parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        rule = "G1.depth" if isinstance(error, RecursionError) else "G1.syntax"
        raise refuse("JSON nested too deep" if rule == "G1.depth" else "not JSON", rule) from None


def read_part(body: bytes, kind: type[T]) -> T:
    """What a msgspec `kind` names of a large JSON value; the rest is read past, as JSON that it must be.

    A member that is `msgspec.Raw` is handed over unread, for `read_json`: no number becomes a float.
    """
    decode(body, "utf-8")  # what is read past is text too
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=kind)
    except msgspec.ValidationError as error:
        raise refuse(str(error), "G1.columns" if "missing required field" in str(error) else "G1.shape") from None
    except (ValueError, RecursionError):
        raise refuse("not JSON", "G1.syntax") from None


def _exact(token: str) -> Decimal:
    try:
        value = Decimal(token)
    except InvalidOperation:
        raise refuse(f"number out of range: {token[:40]!r}", "G1.range") from None
    if not value.is_finite():
        raise refuse(f"number out of range: {token[:40]!r}", "G1.range")
    return value


def member(value: Any, key: str | None, kind: type[T]) -> T:
    """`value[key]` (`value` itself for no key) if it is of `kind`; a missing key or another type is refused."""
    if key is not None:
        if not isinstance(value, dict) or key not in value:
            raise refuse(f"no {key!r} where one is due", "G1.columns")
        value = value[key]
    if not isinstance(value, kind):
        raise refuse(f"{key or 'the answer'} is a {type(value).__name__}, not a {kind.__name__}", "G1.shape")
    return value


def read_csv(text: str, *, closed: bool = False) -> list[list[str]]:
    """All cells as text. A bare quote is refused; so is a last line without its newline where files are `closed`."""
    if closed and not text.endswith("\n"):
        raise refuse("the last line is cut off", "G1.truncated")
    try:
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise refuse(f"not CSV: {error}", "G1.syntax") from None


def ended(text: str, lines: list[list[str]]) -> list[list[str]]:
    """The lines of a table whose file may end without a newline: a last figure that was cut shows in its digits."""
    digits = [len(cell.partition(".")[2]) for line in lines for cell in line]
    if not text.endswith("\n") and digits and re.search(r"\d", lines[-1][-1]) and digits[-1] < max(digits):
        raise refuse("the last cell is cut off", "G1.truncated")
    return lines


def columns(header: list[str], required: dict[str, str]) -> dict[str, int]:
    """Position by column name: `required` maps our name to the header's text. Missing or doubled: refused."""
    found = [h.strip() for h in header]
    out = {}
    for name, title in required.items():
        if found.count(title) != 1:
            raise refuse(f"column {title!r} stands {found.count(title)} times in the header", "G1.columns")
        out[name] = found.index(title)
    return out


def listed(path: Path, names: tuple[str, ...]) -> list[dict[str, str]]:
    """Cells by name of each line of a list that is shipped as CSV; its other columns are for people."""
    header, *lines = read_csv(path.read_text(encoding="utf-8"), closed=True)
    at = columns(header, {name: name for name in names})
    if any(len(line) != len(header) for line in lines):
        raise refuse(f"a line of another width than the header of {path.name}", "G1.columns", "correct the list")
    return [{name: line[at[name]] for name in names} for line in lines]


def day(text: str, fmt: str) -> date:
    """A date in the one declared format (`%Y-%m-%d`, `%m/%d/%Y`, ...)."""
    try:
        if text.isascii():  # strptime would read full-width digits
            return datetime.strptime(text.strip(), fmt).date()  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        pass
    raise refuse(f"not a date in {fmt}: {text[:40]!r}", "G1.date")


def instant(text: str) -> datetime:
    """An instant written as `2026-01-23T03:07:00Z`, and in no other way."""
    if _INSTANT.fullmatch(text):
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise refuse(f"not an instant in UTC: {text[:40]!r}", "G1.date")


def epoch_ms(ms: int | str, *, every_hours: int = 0) -> datetime:
    """The instant of an epoch in milliseconds, as a number or its digits, since 2001.

    With `every_hours` the full period of which it is the stamp: venues write some milliseconds after it, each time
    others. A stamp more than ten minutes past its period is refused, so a venue that changes its interval is noticed.
    """
    if isinstance(ms, bool) or not _EPOCH.fullmatch(str(ms)):
        raise refuse(f"not an instant in milliseconds: {str(ms)[:40]!r}", "G1.date")
    value, step = int(ms), every_hours * 3_600_000
    if step and value % step > 600_000:
        raise refuse(f"not a stamp of every {every_hours} hours: {value}", "G1.date")
    seconds, rest = divmod(value - value % step if step else value, 1000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)


def utc_day(stamp: object) -> date:
    """The day that begins at a stamp in seconds, an int or its digits. Any other stamp is refused (rule G1.date)."""
    text = "" if isinstance(stamp, bool) or not isinstance(stamp, int | str) else str(stamp)
    if not _SECONDS.fullmatch(text) or int(text) % 86_400:
        raise refuse(f"not the first second of a day: {str(stamp)[:40]!r}", "G1.date")
    return datetime.fromtimestamp(int(text), UTC).date()


def not_after(day_: date, limit: date, what: str) -> date:
    """Refuses days after `limit` (rule G1.future)."""
    if day_ > limit:
        raise refuse(f"{what} {day_} lies in the future", "G1.future")
    return day_


def unique(cells: Iterator[tuple[Any, Any]] | list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Cells by key: an identical repeat is one cell, a conflicting repeat is refused (rule G1.conflict)."""
    out: dict[Any, Any] = {}
    for key, value in cells:
        if key in out and out[key] != value:
            raise refuse(f"two values for {key}", "G1.conflict")
        out[key] = value
    return out


_HTML = re.compile(rb"(?:<\?xml[^>]*>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL)
_CHALLENGE = re.compile(rb"<title>\s*(just a moment\.\.\.|attention required! \| cloudflare)", re.IGNORECASE)
_THROTTLED = re.compile(rb"\A[^<{\[]{0,200}?(?:please limit requests|too many requests)", re.IGNORECASE)
_FIRST = {
    "json": (b"{", b"["), "xml": (b"<",), "html": (b"<",),
    "pdf": (b"%PDF-", b"<?xml"),  # the list of news that leads to a PDF is of the same feed
}  # fmt: skip


def inflate(wire: bytes, encoding: str, cap: int) -> bytes:
    """The body behind a `Content-Encoding`, of `cap` bytes at most; refusals as `inflating`."""
    return b"".join(inflating(io.BytesIO(wire), encoding, cap))


def inflating(wire: BinaryIO, encoding: str, cap: int) -> Iterator[bytes]:
    """The body behind a `Content-Encoding`, piece by piece. gzip is checked to its end: CRC and length.

    `ContractError`: G1.encoding (unknown, or more than one), G1.truncated, G1.corrupt, G1.too_large (over `cap` bytes).
    It may come after pieces: nothing is to be kept before the end was seen.
    """
    name = encoding.strip().lower()
    if name not in ("", "identity", "gzip", "x-gzip"):
        raise refuse(f"unknown content encoding {name[:40]!r}", "G1.encoding")
    zipped = name.endswith("gzip")
    source, size = gzip.GzipFile(fileobj=wire) if zipped else wire, 0
    try:
        if zipped and not wire.read(1):
            raise EOFError
        wire.seek(0)
        while piece := source.read(PIECE):
            size += len(piece)
            if size > cap:
                raise refuse(f"body larger than {cap:,} bytes", "G1.too_large")
            yield piece
    except EOFError:
        raise refuse("gzip body ends early", "G1.truncated", "fetch it again") from None
    except (gzip.BadGzipFile, zlib.error):
        raise refuse("gzip body is damaged", "G1.corrupt", "fetch it again") from None


def bounded(body: bytes) -> None:
    """Refuse a body of more cells than 500 MB hold as objects (G1.too_large). A cell ends in one of three bytes; commas
    within texts count too."""
    if (n := sum(map(body.count, (b",", b"\n", b"<")))) > MAX_CELLS:
        raise refuse(f"about {n:,} cells where {MAX_CELLS:,} are read one by one", "G1.too_large",
                     "ask for a shorter window, or declare the feed's columns (core/columnar.py)")  # fmt: skip


def sniff(body: bytes, media: str) -> None:
    """Refuse a body that is not of its feed's `media` (csv, json, html, xml, pdf), before anyone parses it.

    `ContractError`: G1.empty, G1.throttled for a sentence that asks for fewer requests (with HTTP 200, as some do), or
    G1.sniff for an error page, a challenge page, or JSON where there should be none.
    """
    head = body[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head and not body[4096:].strip():
        raise refuse("empty body", "G1.empty")
    if _THROTTLED.match(head):
        raise refuse("the source asks for fewer requests", "G1.throttled", "the next run of its clock asks again")
    if head.startswith(b"<") and _CHALLENGE.search(head):
        raise refuse("a challenge page instead of an answer", "G1.sniff", "a person must save the page; see the inbox")
    if media != "html" and _HTML.match(head):
        raise refuse(f"an HTML page instead of {media}", "G1.sniff")
    if media == "csv":
        fits = not head.lower().startswith((b"<", b"{", b"just a moment"))
    else:
        fits = head.startswith(_FIRST[media])
    if not fits:
        raise refuse(f"the body does not begin like {media}", "G1.sniff")
