"""Vega-Lite specifications, as the data that they are. Colours are names (`@0`, `@ink`) that page.js looks up in the
theme; the data sets `table` and `phases` are put in there too."""

from collections.abc import Sequence
from typing import Any

from orchestration.brief.parts import Chart, Series

WEEKLY = "Weekly points, five digits; the query gives what is drawn."
DAILY = "Daily points, five digits."

PHASES = {
    "data": {"name": "phases"},
    "mark": {"type": "rect", "color": "@phase", "clip": True},
    "encoding": {
        "x": {"field": "first", "type": "temporal"},
        "x2": {"field": "last"},
        "opacity": {"field": "shade", "type": "quantitative", "scale": None, "legend": None},
    },
}
ZERO = {"mark": {"type": "rule", "color": "@ink", "strokeWidth": 1}, "encoding": {"y": {"datum": 0}}}
# Dragging pans and ctrl + wheel zooms; a finger scrolls the page.
ZOOM = {
    "name": "zoom",
    "select": {
        "type": "interval",
        "encodings": ["x"],
        "translate": "[mousedown, window:mouseup] > window:mousemove!",
        "zoom": "wheel![event.ctrlKey]",
    },
    "bind": "scales",
}


def lines(
    chart_id: str,
    title: str,
    sql: str,
    series: Sequence[Series],
    form: str,
    about: str,
    *,
    unit: str = "",
    note: str = WEEKLY,
    has_phases: bool = True,
    is_log_offered: bool = False,
    mark: str = "line",
    band: tuple[str, str] | None = None,
    domain: list | None = None,
) -> Chart:
    """Lines (or stacked areas) of columns over utc_date. page.js moves a rule to the day under the pointer (`at`),
    tells its values and hides series (`off`): Vega-Lite's own way lays a cell over every point and takes seconds.

    `band`: columns of a lower and an upper bound. `domain`: of the y axis."""
    columns = [each.column for each in series]
    value = {"field": "value", "type": "quantitative", "axis": _axis(form), "title": None}
    scale: dict[str, Any] = {"zero": False} if domain is None else {"domain": domain}
    color = {"domain": columns, "range": [f"@{each.color}" for each in series]}
    fold = [{"fold": columns, "as": ["series", "value"]}, {"filter": "indexof(off, datum.series) < 0"}]
    drawn = (
        {"type": "area", "line": False, "opacity": 0.85, "clip": True}
        if mark == "area"
        else {"type": "line", "strokeWidth": 1.8, "clip": True}
    )
    layers: list[dict] = [PHASES] if has_phases else []
    if band:
        layers.append(
            {
                "mark": {"type": "area", "color": "@0", "opacity": 0.18, "clip": True},
                "encoding": {"y": {"field": band[0], "type": "quantitative"}, "y2": {"field": band[1]}},
            }
        )
    if form in ("usd", "percent") and domain is None:
        layers.append(ZERO)
    layers += [
        {
            "transform": fold,
            "mark": drawn,
            "params": [ZOOM],
            "encoding": {
                "y": {**value, "scale": scale, "stack": "zero" if mark == "area" else None},
                "color": {"field": "series", "type": "nominal", "scale": color, "legend": None},
            },
        }
    ]
    layers.append(
        {
            "transform": [{"filter": "time(datum.utc_date) == at"}],
            "mark": {"type": "rule", "color": "@ink", "strokeWidth": 1, "opacity": 0.6, "clip": True},
            "encoding": {},
        }
    )
    spec = _spec(
        {
            "params": [{"name": "off", "value": []}, {"name": "at", "value": 0}],
            "encoding": {
                "x": {
                    "field": "utc_date",
                    "type": "temporal",
                    "scale": {"type": "utc"},
                    "axis": {"title": None, "format": "%Y", "tickCount": "year", "labelFlush": False},
                }
            },
            "layer": layers,
        },
        260,
    )
    return Chart(
        chart_id, title, sql, spec, about, unit, note, tuple(series), form, True, is_log_offered and mark == "line"
    )


def bars(
    chart_id: str, title: str, sql: str, form: str, about: str, *, column: str, unit: str, note: str = ""
) -> Chart:
    """Upright bars of one column over utc_date, coloured by sign; every other column is told under the pointer."""
    spec = _spec(
        {
            "encoding": {
                "x": {
                    "field": "utc_date",
                    "type": "temporal",
                    "scale": {"type": "utc"},
                    "axis": {"title": None, "format": "%Y", "tickCount": "year", "labelFlush": False},
                }
            },
            "layer": [
                PHASES,
                {
                    "params": [ZOOM],
                    "mark": {"type": "bar", "clip": True, "width": {"band": 0.8}},
                    "encoding": {
                        "x": {
                            "field": "utc_date",
                            "type": "temporal",
                            "timeUnit": "utcyearmonth",
                            "scale": {"type": "utc"},
                        },
                        "y": {"field": column, "type": "quantitative", "axis": _axis(form), "title": None},
                        "color": {
                            "condition": {"test": f"datum['{column}'] < 0", "value": "@0"},
                            "value": "@3",
                        },
                        "tooltip": [
                            {"field": "utc_date", "type": "temporal", "title": "month", "format": "%Y-%m"},
                            {"field": column, "title": unit, "type": "quantitative", **_format(form)},
                        ],
                    },
                },
                ZERO,
            ],
        },
        220,
    )
    return Chart(chart_id, title, sql, spec, about, unit, note, (), form, True)


def ranked(
    chart_id: str, title: str, sql: str, form: str, about: str, *, label: str, column: str, unit: str, note: str = ""
) -> Chart:
    """Lying bars, one for each row in the order of the query."""
    spec = _spec(
        {
            "encoding": {
                "y": {"field": label, "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 150}}
            },
            "layer": [
                {
                    "mark": {"type": "bar", "height": {"band": 0.7}},
                    "encoding": {
                        "x": {"field": column, "type": "quantitative", "axis": _axis(form), "title": None},
                        "color": {"condition": {"test": f"datum['{column}'] < 0", "value": "@0"}, "value": "@3"},
                        "tooltip": [
                            {"field": label, "title": label.replace("_", " ")},
                            {"field": column, "title": unit, "type": "quantitative", **_format(form)},
                        ],
                    },
                },
            ],
        },
        {"step": 18},
    )
    return Chart(chart_id, title, sql, spec, about, unit, note, (), form, False)


def intervals(
    chart_id: str, title: str, sql: str, form: str, about: str, *, label: str, column: str, low: str, high: str,
    unit: str, note: str = "",
) -> Chart:  # fmt: skip
    """A point with its interval for each row in the order of the query."""
    axis = {"type": "quantitative", "axis": _axis(form), "title": None}
    place = {"field": label, "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 190}}
    spec = _spec(
        {
            "layer": [
                {"mark": {"type": "rule", "color": "@ink"}, "encoding": {"x": {"datum": 0}}},
                {
                    "mark": {"type": "rule", "strokeWidth": 2, "opacity": 0.55, "color": "@0"},
                    "encoding": {"y": place, "x": {"field": low, **axis}, "x2": {"field": high}},
                },
                {
                    "mark": {"type": "point", "filled": True, "size": 55, "color": "@0"},
                    "encoding": {
                        "y": place,
                        "x": {"field": column, **axis},
                        "tooltip": [
                            {"field": label, "title": label.replace("_", " ")},
                            {"field": column, "title": unit, "type": "quantitative", **_format(form)},
                            {"field": low, "title": "low", "type": "quantitative", **_format(form)},
                            {"field": high, "title": "high", "type": "quantitative", **_format(form)},
                        ],
                    },
                },
            ],
        },
        {"step": 20},
    )
    return Chart(chart_id, title, sql, spec, about, unit, note, (), form, False)


def heat_map(
    chart_id: str, title: str, sql: str, about: str, *, x: str, y: str, value: str, ratio: str, shade: str,
    unit: str, note: str,
) -> Chart:  # fmt: skip
    """Cells of `value` in dollars, shaded by `shade` from -1 to 1; `ratio` is told under the pointer."""
    place = {
        "x": {"field": x, "type": "nominal", "sort": None, "title": None, "axis": {"labelAngle": 0, "orient": "top"}},
        "y": {"field": y, "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 240}},
    }
    spec = _spec(
        {
            "encoding": place,
            "layer": [
                {
                    "transform": [{"calculate": f"abs(datum['{shade}'])", "as": "size"}],
                    "mark": {"type": "rect", "stroke": "@paper", "strokeWidth": 2},
                    "encoding": {
                        "color": {"condition": {"test": f"datum['{shade}'] < 0", "value": "@sold"}, "value": "@bought"},
                        "opacity": {
                            "field": "size",
                            "type": "quantitative",
                            "scale": {"domain": [0, 1], "range": [0.05, 1]},
                            "legend": None,
                        },
                        "tooltip": [
                            {"field": y, "title": "variant"},
                            {"field": x, "title": "window"},
                            {"field": value, "title": "net taker flow", "type": "quantitative", **_format("usd")},
                            {"field": ratio, "title": "of volume", "type": "quantitative", **_format("percent")},
                        ],
                    },
                },
                {
                    "mark": {"type": "text", "fontSize": 11, "color": "@ink"},
                    "encoding": {"text": {"field": value, "type": "quantitative", **_format("usdcell")}},
                },
            ],
        },
        {"step": 30},
    )
    return Chart(chart_id, title, sql, spec, about, unit, note, (), "usd", False, is_wide=True)


def _spec(body: dict, height: int | dict) -> dict:
    return {
        "data": {"name": "table"},
        "width": "container",
        "height": height,
        **body,
    }


def _format(form: str) -> dict:
    """Numbers as numbers.py writes them, by functions that page.js registers."""
    registered = {"usd", "usdtick", "usdcell", "percent"}
    return {"format": "", "formatType": form if form in registered else "plain"}


def _axis(form: str) -> dict:
    return {"tickCount": 5, **_format("usdtick" if form == "usd" else form)}
