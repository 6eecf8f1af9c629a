"""A first look at what altflow published: `marimo edit notebooks/first_look.py`."""

import marimo

app = marimo.App(app_title="altflow: a first look")


@app.cell
def _():
    import os
    from pathlib import Path

    import altair as alt
    import duckdb
    import marimo as mo

    return Path, alt, duckdb, mo, os


@app.cell
def _(Path, duckdb, mo, os):
    source = os.environ.get("ALTFLOW_SOURCE", "sandbox")
    folder = Path(os.environ.get("ALTFLOW_DATA_DIR") or Path(__file__).parent.parent / "data" / source)
    published = folder / "published" / "marts.duckdb"
    mo.stop(not published.exists(), mo.md(f"Nothing is published in `{published.parent}`: run `altflow run` first."))
    marts = duckdb.connect(str(published), read_only=True)
    run_source, synthetic, last_date = marts.execute("SELECT source, synthetic, last_date FROM run_info").fetchall()[0]
    return last_date, marts, run_source, synthetic


@app.cell
def _(last_date, mo, run_source, synthetic):
    warning = (
        mo.callout(mo.md("**SYNTHETIC**: a generated market. None of these figures is real."), kind="danger")
        if synthetic
        else mo.md("")
    )
    mo.vstack(
        [
            mo.md(
                f"# Who sold, who bought?\n\nUp to {last_date}, source {run_source}. Taker-signed: buying means that "
                "the aggressor bought. It is aggressor imbalance on the covered venues, not capital leaving."
            ),
            warning,
        ]
    )
    return


@app.cell
def _(marts):
    control = marts.execute(
        "SELECT utc_date, flow_group, rolling_365d_imbalance_ratio AS imbalance_ratio FROM daily_control_flow "
        "WHERE quotes = 'all' AND flow_group IN ('ALT', 'BTC', 'ETH') AND rolling_365d_coverage_ratio >= 0.95 "
        "AND utc_date >= (SELECT first_date + 364 FROM run_info) AND dayofweek(utc_date) = 0 ORDER BY 1, 2"
    ).df()
    return (control,)


@app.cell
def _(alt, control, mo, synthetic):
    title = "Net taker flow of 365 days, share of volume" + (" (SYNTHETIC)" if synthetic else "")
    lines = (
        alt.Chart(control, title=title)
        .mark_line()
        .encode(
            x=alt.X("utc_date:T", title=None),
            y=alt.Y("imbalance_ratio:Q", title="net / volume", axis=alt.Axis(format=".1%")),
            color=alt.Color("flow_group:N", title=None),
            tooltip=["utc_date:T", "flow_group:N", alt.Tooltip("imbalance_ratio:Q", format=".2%")],
        )
        .properties(width=640, height=280)
    )
    mo.vstack(
        [
            mo.md("## The headline beside its control\n\nZero is not neutral: compare with Bitcoin and the past."),
            lines,
        ]
    )
    return (lines,)


@app.cell
def _(alt, marts, mo, synthetic):
    sellers = marts.execute(
        "FROM top_sellers((SELECT last_date - 29 FROM run_info), (SELECT last_date FROM run_info), 15) "
        "SELECT base_asset, net_taker_usd::DOUBLE / 1e6 AS net_millions, imbalance_ratio"
    ).df()
    bars = (
        alt.Chart(sellers, title="Most sold in 30 days" + (" (SYNTHETIC)" if synthetic else ""))
        .mark_bar()
        .encode(
            x=alt.X("net_millions:Q", title="net taker flow, millions of dollars"),
            y=alt.Y("base_asset:N", sort="x", title=None),
            tooltip=["base_asset:N", "net_millions:Q", alt.Tooltip("imbalance_ratio:Q", format=".2%")],
        )
        .properties(width=640, height=280)
    )
    mo.vstack([mo.md("## The coins behind it"), bars])
    return (bars,)


@app.cell
def _(marts, mo):
    claims = marts.execute(
        "SELECT claim_id, verdict, sentence, value, unit FROM claims ORDER BY claim_id[2:]::INTEGER"
    ).df()
    mo.vstack(
        [
            mo.md("## What is said, and whether it holds\n\nEach row of `claims` carries its query and its rule."),
            mo.ui.table(claims, page_size=10),
        ]
    )
    return (claims,)


@app.cell
def _(marts, mo):
    missing = marts.execute(
        "SELECT exchange, reason, sum(expected_count - present_count)::BIGINT AS missing_count FROM coverage_daily "
        "WHERE present_count < expected_count GROUP BY ALL ORDER BY 3 DESC"
    ).df()
    mo.vstack(
        [
            mo.md(
                "## What is missing\n\nNothing is filled in. `altflow trace` leads from any number to the bodies "
                "it was read from."
            ),
            missing,
        ]
    )
    return (missing,)


if __name__ == "__main__":
    app.run()
