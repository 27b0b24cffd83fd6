"""Vega-Lite specifications of the report, authored with Altair. Colours are names of the page's own, `--in` or `--ink`:
the script puts in what they are in the reader's scheme. Data come by name; floats place pixels, texts are exact.
"""

import altair as alt

FLOW = ["--in", "--out"]
STATES = ["landed", "late", "held", "source_gap", "holiday", "not_due"]
STATE_COLOURS = ["--in", "--out", "--ink", "--panel", "--rule", "--paper"]
TENORS = ["10y", "2y", "policy"]


def _spec(chart: alt.TopLevelMixin, height: int) -> dict:
    return chart.properties(width="container", height=height, padding=4).to_dict(validate=True)


def flows(step: int, millions: list[float]) -> dict:
    """Bars a session as known at stop `step`; a tick marks what is known today. Data `rows` hold `[from_no, to_no)`.

    `millions`: every value that a stop may show, so that the scale stays while the stop moves.
    """
    low, high = min(0, *millions), max(0, *millions)
    room = (high - low or 1) * 0.09
    y = _millions([low - room, high + room])
    step = alt.param(name="step", value=step)
    today = alt.Chart(alt.NamedData("today")).mark_tick(thickness=2, color="--ink", opacity=0.75)
    known = (
        alt.Chart(alt.NamedData("rows"))
        .transform_filter("datum.from_no <= step && step < datum.to_no && datum.text != null")
        .encode(x=_sessions(), y=y)
    )
    bars = known.mark_bar(strokeWidth=1.5).encode(
        color=alt.Color("way:N", scale=alt.Scale(domain=["in", "out"], range=FLOW), legend=None),
        stroke=alt.Stroke("way:N", scale=alt.Scale(domain=["in", "out"], range=FLOW), legend=None),
        fillOpacity=alt.condition("datum.status == 'final'", alt.value(0.9), alt.value(0.25)),
        tooltip=[alt.Tooltip(f"{name}:N", title=title) for name, title in
                 (("session", "session"), ("text", "m USD"), ("status", "status"), ("funds", "funds"))],
    )  # fmt: skip
    labels = [
        known.transform_filter(f"datum.way == '{way}'")
        .mark_text(dy=dy, fontSize=11, color="--ink")
        .encode(text=alt.Text("text:N"))
        for way, dy in (("in", -8), ("out", 10))
    ]
    zero = alt.Chart(alt.NamedData("zero")).mark_rule(color="--muted").encode(y=y)
    layers = alt.layer(zero, bars, today.encode(x=_sessions(), y=y), *labels)
    return _spec(layers.add_params(step), 250)


def _sessions() -> alt.X:
    return alt.X("session:O", axis=alt.Axis(title=None, labelAngle=0, labelExpr="slice(datum.label, 5)", ticks=False,
                                            labelOverlap=True),
                 scale=alt.Scale(paddingInner=0.38, paddingOuter=0.25))  # fmt: skip


def _millions(domain: list[float]) -> alt.Y:
    return alt.Y(
        "m:Q",
        stack=None,
        scale=alt.Scale(domain=domain, nice=False),
        axis=alt.Axis(title="net flow, m USD", tickCount=5),
    )


def first_print() -> dict:
    """From the first printed total (open) to the newest (filled), a session a column."""
    data = alt.NamedData("rows")
    tip = [alt.Tooltip(f"{name}:N", title=title) for name, title in
           (("session", "session"), ("first", "first print, m USD"), ("newest", "newest, m USD"))]  # fmt: skip
    span = alt.Chart(data).mark_rule(color="--muted", strokeWidth=1.5).encode(
        x=_sessions(), y=alt.Y("first_m:Q", axis=alt.Axis(title="printed total, m USD", tickCount=5)), y2="newest_m:Q",
        tooltip=tip,
    )  # fmt: skip
    first = alt.Chart(data).mark_point(size=60, filled=True, fill="--panel", stroke="--ink", strokeWidth=1.5,
                                       opacity=1).encode(x=_sessions(), y="first_m:Q", tooltip=tip)  # fmt: skip
    newest = alt.Chart(data).mark_point(size=70, filled=True, opacity=1).encode(
        x=_sessions(), y="newest_m:Q", tooltip=tip,
        color=alt.Color("way:N", scale=alt.Scale(domain=["in", "out"], range=FLOW), legend=None),
    )  # fmt: skip
    return _spec(alt.layer(span, first, newest), 230)


def rates() -> dict:
    """The three differences over time: the policy gap as steps, the yields as lines; dashes tell them apart too."""
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("day:T", axis=alt.Axis(title=None, format="%b %y", tickCount=6, grid=False)),
        y=alt.Y("bp:Q", scale=alt.Scale(zero=False), axis=alt.Axis(title="US minus Japan, bp", tickCount=5)),
        color=alt.Color("tenor:N", scale=alt.Scale(domain=TENORS, range=["--in", "--out", "--ink"]),
                        legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolSize=400)),
        strokeDash=alt.StrokeDash("tenor:N", scale=alt.Scale(domain=TENORS, range=[[1, 0], [6, 3], [2, 2]])),
    )  # fmt: skip
    lines = [
        base.transform_filter(f"{test} 'policy'").mark_line(interpolate=how, strokeWidth=1.8)
        for test, how in (("datum.tenor !=", "linear"), ("datum.tenor ==", "step-after"))
    ]
    # a wide, unseen line of points: a pointer need not hit the day
    hover = base.mark_point(size=120, opacity=0).encode(
        tooltip=[alt.Tooltip("date:N"), alt.Tooltip("tenor:N"), alt.Tooltip("text:N", title="bp")]
    )
    return _spec(alt.layer(*lines, hover), 270)


def coverage(n_series: int) -> dict:
    """Series by day. What did not land also carries a shape, so that nothing rests on colour."""
    base = alt.Chart(alt.NamedData("rows")).encode(
        x=alt.X("day:O", axis=alt.Axis(title=None, labelAngle=0, ticks=False, labelExpr="slice(datum.label, 5)",
                                       labelOverlap=True, labelSeparation=12, domain=False)),
        y=alt.Y("series:N", axis=alt.Axis(title=None, labelLimit=220, ticks=False, domain=False)),
        tooltip=[alt.Tooltip(f"{name}:N") for name in ("series", "source", "day", "state", "reason")],
    )  # fmt: skip
    cells = base.mark_rect(stroke="--rule", strokeWidth=0.5).encode(
        color=alt.Color("state:N", scale=alt.Scale(domain=STATES, range=STATE_COLOURS), legend=None)
    )
    marks = (
        base.transform_filter("datum.state == 'late' || datum.state == 'held' || datum.state == 'source_gap'")
        .mark_point(size=60, filled=False, strokeWidth=1, color="--out", opacity=1)
        .encode(shape=alt.Shape("state:N", scale=alt.Scale(domain=["late", "held", "source_gap"],
                                range=["triangle-up", "diamond", "cross"]), legend=None))
    )  # fmt: skip
    return _spec(alt.layer(cells, marks), max(n_series, 1) * 17)
