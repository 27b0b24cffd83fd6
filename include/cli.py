"""`capmig`: what a person asks and does, one command each. Errors are one line on standard error."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy comes: its threads spin at the start, for nothing

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from include.core.clock import parse_instant
from include.core.errors import CapmigError, ConfigError
from include.settings import Settings, load

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Capital Migration Warehouse: where capital moved, what was known when, and how sure one may be.",
)
ASK = """capmig sql "select * from marts.fct_etf_flow_agg_daily order by session_date desc limit 5\""""
STOPPED, CUT_PIPE = 130, 141  # as a shell tells SIGINT and SIGPIPE
AsOf = Annotated[str, typer.Option("--as-of", metavar="T", help="answer as known at this instant, 2026-01-23T03:07Z")]


def main() -> None:
    """Entry point: a user's mistake is one line and an exit code, never a trace."""
    try:
        code = _run()
    except CapmigError as error:
        _fail(str(error), error.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = STOPPED
    except UnicodeError:
        _fail("capmig: text that is not UTF-8 [cli.encoding] -> write the statement or the file's name in UTF-8", 2)
    except BrokenPipeError:
        os._exit(CUT_PIPE)
    except OSError as error:
        where = f" at {error.filename}" if error.filename else ""
        _fail(f"capmig: {error.strerror or error}{where} [os.error] -> free or repair the disk; nothing was lost", 1)
    except Exception as error:
        if type(error).__module__.split(".")[0] not in ("click", "typer"):
            raise
        if not str(error):  # no command: the help has been shown
            sys.exit(getattr(error, "exit_code", 2))
        said = error.format_message() if hasattr(error, "format_message") else str(error)
        _fail(f"capmig: {said} [cli.usage] -> see `capmig --help`", getattr(error, "exit_code", 2))
    if code == STOPPED:  # typer turns Ctrl-C into this code, and says nothing
        _fail("capmig: stopped [cli.stopped] -> run it again: what had landed is kept", STOPPED)
    sys.exit(code if isinstance(code, int) else 0)


def _run() -> object:
    """The command's code, once all that it said is written."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        return code
    except SystemExit as error:
        if isinstance(
            error.__context__, BrokenPipeError
        ):  # the libraries between end a cut pipe with a code of their own
            raise error.__context__ from None
        raise


def _fail(line: str, code: int) -> None:
    sys.stderr.write(" ".join(line.split()) + "\n")
    sys.exit(code)


@contextmanager
def _progress() -> Iterator:
    """One moving line on a terminal, one line a step elsewhere, all on standard error."""
    start, last = time.monotonic(), [""]
    live = sys.stderr.isatty()

    def say(text: str) -> None:
        if live:
            sys.stderr.write(f"\r\033[K{time.monotonic() - start:6.1f}s  {text[:110]}")
        elif text.split(":")[0] != last[0]:
            sys.stderr.write(f"{time.monotonic() - start:6.1f}s  {text}\n")
        last[0] = text.split(":")[0]
        sys.stderr.flush()

    try:
        yield say
    finally:
        if live:
            sys.stderr.write("\r\033[K")


def _warehouse(settings: Settings, as_of: str) -> Path:
    """The served file, or the one built as known at `as_of`."""
    from include.warehouse import publish

    if as_of:
        from include import pipeline  # the build's machinery is heavy, and what is served needs none of it

        with _progress() as say:
            return pipeline.build_as_of(settings, parse_instant(as_of, key="--as-of"), progress=say)
    path = publish.served_file(settings.home)
    if not path.exists():
        raise CapmigError("nothing has been published yet", rule="serve.empty", action="run `make run` or `capmig run`")
    return path


@app.command()
def run(
    live: Annotated[bool, typer.Option("--live", help="ask the real sources, not the bundled replay pack")] = False,
    direct: Annotated[bool, typer.Option("--direct", help="the same steps as plain functions, no Airflow")] = False,
) -> None:
    """Land every feed, build, check, publish, and show the brief."""
    from include import pipeline
    from include.answers import brief, status
    from include.orchestration import runner
    from include.replay import session

    with session(load, live=live) as settings, _progress() as say:
        before = pipeline.state_of(settings)
        if direct:
            pipeline.run_direct(settings, progress=say)
        else:
            runner.run_once(settings, progress=say)
    served = _warehouse(settings, "")
    brief.show(served, sys.stdout)
    sys.stdout.write(f"\nGATE {status.gate_summary(served)}\n{pipeline.run_summary(settings, before)}")
    sys.stdout.write(f"\nASK  {ASK}\n     capmig brief --as-of 2026-01-23T03:07Z\n     capmig status --sources\n"
                     f"     {served}\n")  # fmt: skip


@app.command()
def status(
    number: Annotated[
        int | None,
        typer.Argument(metavar="[N]", help="with --diff the newer version, default the served; with --watch seconds"),
    ] = None,
    sources: Annotated[bool, typer.Option("--sources", help="every feed: last outcome, age, terms, requests")] = False,
    verify: Annotated[bool, typer.Option("--verify", help="check every stored byte against its checksum")] = False,
    diff: Annotated[
        int | None, typer.Option("--diff", metavar="SEQ", help="what changed since this kept version, by key")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="draw it again every 10 s, or every N s, until Ctrl-C")
    ] = False,
) -> None:
    """What is served, how old it is, what is held; with --sources, the state of every feed."""
    from include import pipeline
    from include.answers import status as answers

    settings = load()
    if number is not None and (number < 1 or not (watch or diff is not None)):
        raise ConfigError("a number belongs to --diff or --watch, and is 1 or more", rule="cli.number",
                          action="capmig status --diff SEQ [SEQ2], or capmig status --watch [SECONDS]")  # fmt: skip
    if verify:
        problems = pipeline.verify(settings)
        sys.stdout.write("".join(f"{p}\n" for p in problems) or "every stored file is as it was written\n")
        raise typer.Exit(1 if problems else 0)
    if diff is not None:
        sys.stdout.write(_what_changed(settings, diff, number))
        return

    def draw() -> str:
        served = _warehouse(settings, "")
        if sources:
            return answers.sources(served, pipeline.disabled_sources())
        return answers.overview(served) + pipeline.canary_line(load())

    if watch:
        _watch(draw, number or 10)
    else:
        sys.stdout.write(draw())


def _what_changed(settings: Settings, older: int, newer: int | None) -> str:
    """The publications between two versions, then the difference of their tables."""
    from include.answers import diff
    from include.warehouse import publish
    from include.warehouse.keys import keys

    kept = {version.seq: version for version in publish.versions(settings.home)}
    if newer is None and (now := publish.current(settings.home)):
        newer = now.seq
    for seq in (older, newer):
        if seq not in kept:
            raise ConfigError(f"there is no version {seq}", rule="status.diff",
                              action=f"choose of {', '.join(map(str, kept)) or 'none: publish first'}")  # fmt: skip
    columns = {name: key.columns for name, key in keys().items()}
    record = kept[max(older, newer)].path / publish.FILE
    changes = diff.compare(kept[older].path, kept[newer].path, columns)
    return (
        f"From version {older} to version {newer}\n{diff.changelog(record, *sorted((older, newer)))}\n"
        f"Rows\n{diff.show(changes, len(kept[newer].rows))}"
    )


def _watch(draw: Callable[[], str], seconds: float) -> None:
    """Frames until Ctrl-C, cut to the terminal; what cannot be drawn now is said, and tried again."""
    live = sys.stdout.isatty()
    with suppress(KeyboardInterrupt):
        while True:
            try:
                frame = draw()
            except CapmigError as error:
                frame = f"{error}\n"
            if live:
                width, height = shutil.get_terminal_size()
                lines = [f"every {seconds} s, Ctrl-C leaves", *frame.splitlines()]
                frame = "\033[H\033[J" + "\n".join(line[: width - 1] for line in lines[: height - 1]) + "\n"
            sys.stdout.write(frame)
            sys.stdout.flush()
            time.sleep(seconds)


@app.command()
def sql(
    statement: Annotated[
        str,
        typer.Argument(metavar="[SQL]", help="one SELECT; `-` reads standard input; none opens a shell at a terminal"),
    ] = "",
    as_of: AsOf = "",
    fmt: Annotated[
        str,
        typer.Option("--format", help="table, csv or json; parquet and xlsx with --output, whose ending may say it"),
    ] = "",
    output: Annotated[Path | None, typer.Option("--output", help="write the answer to this file")] = None,
    limit_seconds: Annotated[float, typer.Option("--limit-seconds", help="stop a query after this long")] = 300,
    limit_rows: Annotated[
        int, typer.Option("--limit-rows", help="rows that a table shows, the rest is counted; 0 for all")
    ] = 10_000,
) -> None:
    """Ask the warehouse, in one statement or in a shell. Read-only and locked; decimals are exact in every format."""
    from include.answers import reader

    fmt = _form(fmt, output, reader.FORMATS)
    if limit_seconds <= 0 or limit_rows < 0:
        raise ConfigError("a limit is a positive number", rule="cli.limit", action="--limit-rows 0 shows every row")
    settings = load()
    if not statement and output is None and sys.stdin.isatty() and sys.stdout.isatty():
        from include.answers.shell import Shell

        Shell(lambda at: _warehouse(settings, at), settings.home / "sql_history", sys.stdout, sys.stderr, fmt,
              limit_seconds, limit_rows, as_of).run()  # fmt: skip
        return
    text = sys.stdin.read() if statement in ("", "-") else statement
    with reader.connect(_warehouse(settings, as_of)) as con:

        def work(out: TextIO) -> None:
            if output is None:
                reader.write(reader.query(con, text), fmt, out, limit_rows=limit_rows)
            elif fmt == "xlsx":
                _workbook(con, text, output, settings, as_of)
            elif fmt == "parquet":
                _to_file(output, lambda file: reader.write_parquet(reader.query(con, text), file), binary=True)
            else:
                _to_file(output, lambda file: reader.write(reader.query(con, text), fmt, file))

        reader.within(con, limit_seconds, work, out=sys.stdout, line=sys.stderr)


def _form(fmt: str, output: Path | None, texts: tuple[str, ...]) -> str:
    """The format that is asked for, else what the file's ending says, else a table."""
    forms = (*texts, "parquet", "xlsx")
    ending = output.suffix[1:].lower() if output else ""
    fmt = fmt or (ending if ending in forms else "table")
    if fmt not in forms:
        raise ConfigError(f"no format {fmt[:20]!r}", rule="cli.format", action=f"use one of {', '.join(forms)}")
    if fmt not in texts and output is None:
        raise ConfigError(f"{fmt} is a file, not text", rule="cli.format", action=f"add --output answer.{fmt}")
    return fmt


def _workbook(con: "DuckDBPyConnection", text: str, output: Path, settings: Settings, as_of: str) -> None:
    from include.answers import reader, workbook

    seq, cutoff = (None, parse_instant(as_of, key="--as-of")) if as_of else reader.served(con)
    asked = workbook.Asked(text.strip(), seq, cutoff, settings.clock)
    _to_file(output, lambda file: workbook.write(con, asked, file), binary=True)


def _to_file(path: Path, write: Callable, *, binary: bool = False) -> None:
    """Write beside the target and move over it, so that a failed answer leaves no half file."""
    temp = path.with_name(f".{path.name}.part")
    try:
        with temp.open("wb") if binary else temp.open("w", encoding="utf-8", newline="") as out:
            write(out)
        temp.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", rule="cli.output",
                          action="choose another --output") from None  # fmt: skip
    finally:
        temp.unlink(missing_ok=True)


@app.command()
def why(
    figure: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FIGURE",
            help="etf_flow ASSET [TICKER] DAY, rate_gap TENOR DAY, policy BANK DAY, series SERIES_ID DAY, or a TABLE",
        ),
    ] = None,
    key: Annotated[list[str] | None, typer.Option("--key", metavar="COL=VALUE,...", help="which row of TABLE")] = None,
    column: Annotated[str, typer.Option("--column", help="the column asked about, e.g. z60; or FIGURE.z60")] = "",
    rejected: Annotated[
        str, typer.Option("--rejected", metavar="ID", help="a refused payload's sha256, or a hold")
    ] = "",
    as_of: AsOf = "",
    fmt: Annotated[str, typer.Option("--format", help="text or json")] = "text",
    bundle: Annotated[Path | None, typer.Option("--bundle", metavar="FILE", help="write it as .zip or .tar.gz")] = None,
) -> None:
    """From a published row to its inputs, versions, sources, payload bytes and query; or why something is not there."""
    from include import pipeline
    from include.answers import reader
    from include.answers.why import command

    asked = command.Asked(figure or [], key or [], column, rejected, fmt, bundle)
    asked.check()
    settings = load()
    with reader.connect(_warehouse(settings, as_of)) as con:
        command.answer(con, asked, pipeline.locate_payloads(settings), pipeline.held_figures(settings), sys.stdout)


@app.command()
def brief(as_of: AsOf = "") -> None:
    """The first screen: headlines with who says them and how sure, then what is late, held, missing and due."""
    from include.answers import brief as answers

    answers.show(_warehouse(load(), as_of), sys.stdout)


@app.command(name="import")
def import_(
    source: Annotated[str, typer.Argument(help="source, e.g. farside")],
    file: Annotated[Path, typer.Argument(help="the saved page")],
    feed: Annotated[str, typer.Option("--feed", help="which of the source's feeds")] = "",
    asset: Annotated[str, typer.Option("--asset", help="the same for ETF tables: BTC, ETH, SOL")] = "",
    observed_at: Annotated[str, typer.Option("--observed-at", metavar="T", help="UTC instant the page was seen")] = "",
    undated: Annotated[bool, typer.Option("--undated", help="a copy whose instant nobody knows")] = False,
) -> None:
    """Land a page that a person saved, as seen at an instant in the past; any order."""
    from include.landing.land import import_file
    from include.warehouse.build import new_run_id

    if bool(observed_at) == undated:
        raise ConfigError("say when the page was seen", source=source[:40], rule="cli.import",
                          action="give --observed-at 2026-01-23T05:00Z, or --undated if nobody knows")  # fmt: skip
    if bool(feed) == bool(asset):
        raise ConfigError("say which feed", source=source[:40], rule="cli.import",
                          action="give --feed NAME or --asset BTC")  # fmt: skip
    settings = load()
    seen = None if undated else parse_instant(observed_at, key="--observed-at")
    attempt = import_file(
        settings, source, feed or asset.lower(), file, observed_at=seen, run_id=new_run_id(settings.clock)
    )
    if attempt.outcome == "REJECTED":
        raise CapmigError(attempt.reason, source=source, rule=attempt.rule,
                          action="nothing was taken in; the bytes are kept in the landing zone")  # fmt: skip
    sys.stdout.write(f"{attempt.outcome}: {attempt.n_rows} rows, sha256 {attempt.sha256}; "
                     "`capmig publish` builds and publishes\n")  # fmt: skip


@app.command()
def build(as_of: AsOf = "") -> None:
    """Build a candidate and run its tests, without publishing; with --as-of, the warehouse as known at T."""
    from include import pipeline
    from include.warehouse.build import new_run_id

    settings = load()
    if as_of:
        sys.stdout.write(f"{_warehouse(settings, as_of)}\n")
        return
    with _progress() as say:
        made = pipeline.build_step(settings, new_run_id(settings.clock), progress=say)
    sys.stdout.write(f"{settings.home / 'build' / made['run_id']}\n" if made else "nothing changed\n")


@app.command()
def publish(
    target: Annotated[str, typer.Argument(metavar="[postgres]", help="bring PostgreSQL to the served version")] = "",
    ack: Annotated[str, typer.Option("--ack", metavar="ID[,ID]", help="release what is held first")] = "",
    why: Annotated[str, typer.Option("--why", help="the reason, kept with the release")] = "",
) -> None:
    """Build, check and publish what has landed; with --ack, release a hold first. `postgres` publishes there."""
    from include import pipeline
    from include.warehouse.build import new_run_id

    settings = load()
    if target:
        if target != "postgres" or ack or why:
            raise ConfigError(f"cannot publish to {target[:20]!r}" if target != "postgres" else "--ack builds anew",
                              rule="cli.target", action="`capmig publish`, then `capmig publish postgres`")  # fmt: skip
        there = pipeline.publish_postgres(settings)
        said = "published" if there["changed"] else "nothing to do: PostgreSQL serves"
        sys.stdout.write(f"{said} version {there['seq']}\n")
        return
    if why and not ack:
        raise ConfigError("--why is the reason of a release", rule="cli.why", action="name the held figure: --ack ID")
    if ack:
        pipeline.release_hold(settings, ack, why)
    with _progress() as say:
        done = pipeline.refresh(settings, new_run_id(settings.clock), progress=say)
    sys.stdout.write(f"published version {done['seq']}\n" if done else "nothing changed: the served version stands\n")


@app.command()
def rollback(
    seq: Annotated[int | None, typer.Argument(help="version to serve; default the one before the served")] = None,
) -> None:
    """Serve an earlier kept version again, in under a second."""
    from include import pipeline
    from include.warehouse import publish as publishing

    settings = load()
    served = publishing.rollback(settings.home, seq)
    sys.stdout.write(f"serving version {served.seq}\n")
    sys.stdout.flush()
    pipeline.report_step(settings)  # the page and the badge follow; readers of the file have it already
    pipeline.status_step(settings)


@app.command()
def probe(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE...]", help="sources; default every one")] = None,
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="keep the answers as recorded cases below DIR")
    ] = None,
) -> None:
    """Ask each feed once: as declared, drifted, blocked, unreachable, disabled or not asked. Nothing is landed.

    What to run first on a connected machine. The exit code is 1 if a feed that was asked is not as declared.
    """
    from include.landing import probe as probes
    from include.sources import feeds, find_source

    for name in names or ():
        find_source(name)
    settings = load(live=True)
    counts: dict[str, int] = {}
    for source, feed in feeds():
        if names and source.source_id not in names:
            continue
        with _progress() as say:
            say(f"ask {source.source_id}/{feed.name}")
            found = probes.probe(settings, source, feed)
        counts[found.verdict] = counts.get(found.verdict, 0) + 1
        rule = f" [{found.rule}]" if found.rule else ""
        sys.stdout.write(f"{found.verdict:<12}  {found.source_id}/{found.feed}: {found.detail}{rule}\n")
        sys.stdout.flush()
        if keep and found.body:
            sys.stdout.write(f"{'':<12}  kept {probes.keep(found, feed, keep, settings.clock)}\n")
    sys.stdout.write(", ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) + "\n")
    if set(counts) & {"drifted", "blocked", "unreachable"}:
        raise typer.Exit(1)


@app.command(name="new-source")
def new_source(
    domain: Annotated[str, typer.Argument(help="macro, etf, chain or events")],
    provider: Annotated[str, typer.Argument(help="its name, e.g. snb: the file's, and the source_id")],
) -> None:
    """Start a source: its declaration with a parser, and recorded cases that the contract test finds by itself."""
    from include import scaffold
    from include.settings import ROOT
    from include.sources import registry

    made = scaffold.write(ROOT, domain, provider, set(registry()))
    sys.stdout.write("".join(f"{path.relative_to(ROOT)}\n" for path in made))
    sys.stdout.write(f"\nNEXT put the real contract and cases in, then\n"
                     f"     .venv/bin/pytest tests/sources -k {provider}\n"
                     f"     capmig probe {provider}\n")  # fmt: skip
