"""The headline, and in the same breath what a referee asks first: control, scale-free form, fixed panel, null, band."""

from orchestration.brief import charts
from orchestration.brief.parts import Note, Row, Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

HEADLINE = "rolling_365d.ex_btc_eth.all.all"
GROUPS = (Series("altcoins", "Altcoins", 0), Series("bitcoin", "Bitcoin", 1), Series("ether", "Ether", 2))

SAID = f"""
with headline as (
    select * from daily_altcoin_flow where definition_id = '{HEADLINE}'
),
newest as (
    select utc_date, window_net_taker_usd, window_coverage_ratio, is_window_complete, cumulative_net_taker_usd
    from headline order by utc_date desc limit 1
),
quoted as (
    select * from headline where cumulative_net_taker_usd is not null order by utc_date desc limit 1
)
select
    newest.utc_date,
    newest.window_net_taker_usd as newest_sum_usd,
    newest.window_coverage_ratio as newest_coverage_ratio,
    newest.is_window_complete as is_newest_complete,
    newest.cumulative_net_taker_usd is not null as is_newest_quotable,
    quoted.utc_date as quoted_date,
    quoted.window_start_date as first_date,
    quoted.cumulative_net_taker_usd as net_usd,
    quoted.window_volume_usd as volume_usd,
    quoted.window_imbalance_ratio as imbalance_ratio,
    quoted.window_coverage_ratio as coverage_ratio,
    quoted.symbol_count,
    quoted.exchange_count
from newest left join quoted on true
"""


def _headline(row: Row) -> str:
    if row["quoted_date"] is None:
        return (
            "No 365-day figure can be quoted yet. The plain sum of the days that are there, to {utc_date:day}, is "
            "{newest_sum_usd:usd}."
        )
    verb = "sold" if row["net_usd"] < 0 else "bought"
    other = "bought" if row["net_usd"] < 0 else "sold"
    said = (
        f"In the 365 days to {{quoted_date:day}} takers {verb} <strong>{{net_usd:usd_size}}</strong> more of altcoins "
        f"than they {other} on {{exchange_count:exchanges}}."
    )
    if row["is_newest_quotable"]:
        return said
    if not row["is_newest_complete"]:
        why = "its window of 365 days is incomplete"
    else:
        why = "only {newest_coverage_ratio:percent1} of what its window should hold is there, and 95 % is asked for"
    return (
        f"The newest day, {{utc_date:day}}, cannot be quoted: {why} (plain sum {{newest_sum_usd:usd}}). "
        f"The last day that can: {said[0].lower()}{said[1:]}"
    )


BREATH = f"""
with quoted as (
    select * from daily_altcoin_flow
    where definition_id = '{HEADLINE}' and cumulative_net_taker_usd is not null
    order by utc_date desc limit 1
),
panel as (
    select flows.* from daily_altcoin_flow as flows inner join quoted using (utc_date)
    where flows.definition_id = '{HEADLINE}.fixed_panel'
),
control as (
    select
        any_value(rolling_365d_net_taker_usd) filter (where flow_group = 'BTC') as bitcoin_usd,
        any_value(rolling_365d_imbalance_ratio) filter (where flow_group = 'BTC') as bitcoin_ratio,
        any_value(rolling_365d_net_taker_usd) filter (where flow_group = 'ETH') as ether_usd,
        any_value(rolling_365d_imbalance_ratio) filter (where flow_group = 'ETH') as ether_ratio
    from daily_control_flow inner join quoted using (utc_date)
    where daily_control_flow.quotes = 'all'
),
ranks as (
    select
        min(window_imbalance_ratio) as lowest_ratio,
        arg_min(utc_date, window_imbalance_ratio) as lowest_ratio_date,
        min(cumulative_net_taker_usd) as lowest_usd,
        arg_min(utc_date, cumulative_net_taker_usd) as lowest_usd_date,
        min(utc_date) as first_valid_date,
        avg((window_imbalance_ratio < (select window_imbalance_ratio from quoted))::int) as lower_share_ratio
    from daily_altcoin_flow
    where definition_id = '{HEADLINE}' and cumulative_net_taker_usd is not null
)
select
    quoted.utc_date,
    quoted.cumulative_net_taker_usd as net_usd,
    quoted.window_volume_usd as volume_usd,
    quoted.window_imbalance_ratio as imbalance_ratio,
    quoted.excess_imbalance_ratio as excess_ratio,
    panel.cumulative_net_taker_usd as panel_usd,
    panel.window_imbalance_ratio as panel_ratio,
    panel.symbol_count as panel_symbol_count,
    quoted.window_coverage_ratio as coverage_ratio,
    quoted.symbol_count,
    quoted.exchange_count,
    quoted.percentile_rank_ratio as rank_ratio,
    control.*,
    ranks.*
from quoted left join panel on true cross join control cross join ranks
"""


def _breath(row: Row) -> str:
    than = "more" if (row["excess_ratio"] or 0) < 0 else "less"
    parts = [
        "That is {imbalance_ratio:percent} of {volume_usd:usd} traded, the scale-free form. Control: Bitcoin "
        "{bitcoin_ratio:percent} ({bitcoin_usd:usd}), Ether {ether_ratio:percent} ({ether_usd:usd})"
    ]
    if row["excess_ratio"] is not None:
        parts.append(f"; altcoins were sold <em>{than}</em> than Bitcoin, by {{excess_ratio:points}} of volume")
    if row["panel_usd"] is not None:
        parts.append(
            ". On a fixed panel, the coins that traded at both ends of the window, it is {panel_usd:usd} "
            "({panel_ratio:percent})"
        )
    return "".join(parts) + "."


NULL = f"""
select
    max(last_date) as utc_date,
    any_value(p_value) filter (where statistic = 'is_record_low_today') as p_value,
    any_value(p_value) filter (where statistic = 'is_record_low_within_10_days') as ten_days_p,
    any_value(p_value) filter (where statistic = 'longest_negative_months_claimed') as months_p,
    any_value(threshold_value) filter (where statistic = 'longest_negative_months_claimed') as claimed_months,
    any_value(p_value) filter (where statistic = 'longest_negative_window_days_claimed') as days_p,
    any_value(threshold_value) filter (where statistic = 'longest_negative_window_days_claimed') as claimed_days,
    max(path_count) as path_count
from flow_null_tests
where definition_id = '{HEADLINE}' and null_hypothesis = 'zero_mean' and block_days = 60
"""


def section(snapshot: Snapshot) -> Section:
    band = f"""
select utc_date, cumulative_net_taker_usd as net_usd, band_low_usd as low_usd, band_high_usd as high_usd, exchange_count
from daily_altcoin_flow
where definition_id = '{HEADLINE}' and cumulative_net_taker_usd is not null
order by utc_date desc limit 1
"""

    def has_ends(row: Row) -> bool:
        return row["low_usd"] is not None and row["high_usd"] is not None

    def band_figure(row: Row) -> str:
        return "{low_usd:usd} to {high_usd:usd}" if has_ends(row) else "not computed"

    def band_text(row: Row) -> str:
        if has_ends(row):
            return "with the volume that exchanges report and that is not covered, at 95 %"
        return "it takes three exchanges and what the others report; here {exchange_count:exchanges}"

    # A band that is nowhere is neither asked for by every day nor drawn.
    known, _ = snapshot.row(
        f"select count(band_low_usd) as n from daily_altcoin_flow where definition_id = '{HEADLINE}'"
    )
    has_band = bool(known.get("n"))
    drawn_band = ",\n    flows.band_low_usd as low_usd,\n    flows.band_high_usd as high_usd" if has_band else ""
    drawn = f"""
select
    flows.utc_date,
    flows.cumulative_net_taker_usd as altcoins,
    any_value(control.rolling_365d_net_taker_usd) filter (where control.flow_group = 'BTC') as bitcoin,
    any_value(control.rolling_365d_net_taker_usd) filter (where control.flow_group = 'ETH') as ether{drawn_band}
from daily_altcoin_flow as flows
left join daily_control_flow as control on flows.utc_date = control.utc_date and control.quotes = 'all'
where flows.definition_id = '{HEADLINE}' and flows.cumulative_net_taker_usd is not null
group by all
order by flows.utc_date
"""
    return Section(
        "lead",
        "The headline and its control",
        (
            Sentence(
                "headline", SAID, _headline, ("newest_sum_usd",), "No flow of altcoins is stored yet.", kind="headline"
            ),
            Sentence(
                "breath", BREATH, _breath, ("net_usd",), "Control, imbalance and fixed panel: no data.", kind="deck"
            ),
            Sentence(
                "altcoins",
                BREATH,
                "lowest {lowest_usd:usd} on {lowest_usd_date:day}",
                ("net_usd",),
                label="Altcoins, 365 days",
                figure="{net_usd:usd}",
            ),
            Sentence(
                "imbalance",
                BREATH,
                "of volume; lowest {lowest_ratio:percent} on {lowest_ratio_date:day}",
                ("imbalance_ratio",),
                label="The same, scale-free",
                figure="{imbalance_ratio:percent}",
            ),
            Sentence(
                "bitcoin",
                BREATH,
                "{bitcoin_ratio:percent} of volume, the control",
                ("bitcoin_usd",),
                label="Bitcoin",
                figure="{bitcoin_usd:usd}",
            ),
            Sentence(
                "ether",
                BREATH,
                "{ether_ratio:percent} of volume",
                ("ether_usd",),
                label="Ether",
                figure="{ether_usd:usd}",
            ),
            Sentence(
                "panel",
                BREATH,
                "{panel_ratio:percent} of volume, {panel_symbol_count:count} pairs",
                ("panel_usd",),
                label="Altcoins, fixed panel",
                figure="{panel_usd:usd}",
            ),
            Sentence(
                "null",
                NULL,
                "that noise with a mean of zero ends on a record low",
                ("p_value",),
                "The covered stretch is too short.",
                label="Null hypothesis",
                figure="p {p_value:p}",
            ),
            Sentence(
                "coverage",
                BREATH,
                "of {symbol_count:count} pairs on {exchange_count:exchanges}",
                ("coverage_ratio",),
                label="Coverage of the window",
                figure="{coverage_ratio:percent1}",
            ),
            Sentence(
                "band",
                band,
                band_text,
                ("net_usd",),
                label="Band for the uncovered",
                figure=band_figure,
            ),
            Sentence(
                "definition",
                BREATH,
                "Definition: taker buys less taker sells, in US dollars, of every altcoin without Bitcoin, Ether, "
                "stablecoins, fiat, gold, wrapped and leveraged tokens, in all quotes, on the exchanges that are "
                "covered. {lower_share_ratio:percent0} of the valid days since {first_valid_date:day} had a lower "
                "imbalance than this one.",
                ("net_usd",),
                "Definition: taker buys less taker sells of altcoins without Bitcoin and Ether, 365 days.",
            ),
            Sentence(
                "nulls",
                NULL,
                "What noise does: with a mean of zero and the same autocorrelation it ends on a record low with p "
                "{p_value:p} and within ten days of one with p {ten_days_p:p}; it has {claimed_months:count} negative "
                "months in a row somewhere with p {months_p:p}, and {claimed_days:count} days in a row with a negative "
                "365-day sum with p {days_p:p} ({path_count:count} paths, blocks of 60 days).",
                ("p_value",),
                "What noise does: the covered stretch is too short to tell.",
            ),
            charts.lines(
                "headline",
                "Takers' buys less sells, summed over 365 days",
                drawn,
                GROUPS,
                "usd",
                "Lines of the 365-day net taker flow of altcoins, Bitcoin and Ether in dollars.",
                unit="US dollars; below zero: more sold than bought by takers. Only days that can be quoted.",
                note=charts.DAILY,
                band=("low_usd", "high_usd") if has_band else None,
            ),
            Note(
                "In every chart: shaded are the market phases. Point at a day for its values, drag to move, turn the "
                "wheel with Ctrl to zoom, double click to go back; press a name to hide its line. Behind <em>Data</em> "
                "stands the table of what is drawn, behind <em>SQL</em> the query that made it."
            ),
        ),
    )
