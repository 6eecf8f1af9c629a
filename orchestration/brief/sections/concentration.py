"""Where volume gathers, and what a trade moves."""

from orchestration.brief import charts
from orchestration.brief.parts import Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

NEWEST = """
with newest as (select max(utc_date) as utc_date from daily_liquidity_concentration where universe = 'alts')
select
    newest.utc_date,
    any_value(hhi_ratio) filter (where universe = 'alts') as hhi_ratio,
    any_value(effective_count) filter (where universe = 'alts') as effective_count,
    any_value(asset_count) filter (where universe = 'alts') as asset_count,
    any_value(top_10_share_ratio) filter (where universe = 'alts') as top_10_ratio,
    any_value(hhi_ratio) filter (where universe <> 'alts') as all_hhi_ratio,
    any_value(top_10_share_ratio) filter (where universe <> 'alts') as all_top_10_ratio
from daily_liquidity_concentration inner join newest using (utc_date)
group by newest.utc_date
"""
SHARES = """
select
    utc_date,
    any_value(top_1_share_ratio) filter (where universe = 'alts') as top_1,
    any_value(top_10_share_ratio) filter (where universe = 'alts') as top_10,
    any_value(top_10_share_ratio) filter (where universe <> 'alts') as all_top_10
from daily_liquidity_concentration
where date_diff('day', utc_date, (select max(utc_date) from daily_liquidity_concentration)) % 7 = 0
group by utc_date
order by utc_date
"""
IMPACT = """
select
    utc_date,
    median_amihud_down_ratio / 1e3 as falls,
    median_amihud_up_ratio / 1e3 as rises,
    btc_amihud_ratio / 1e3 as bitcoin
from daily_illiquidity_breadth
where date_diff('day', utc_date, (select max(utc_date) from daily_illiquidity_breadth)) % 7 = 0
order by utc_date
"""
IMPACT_NEWEST = """
select
    utc_date, median_amihud_down_ratio / 1e3 as falls_ratio, median_amihud_up_ratio / 1e3 as rises_ratio,
    amihud_down_share_ratio, amihud_count, lambda_minus_share_ratio, lambda_count
from daily_illiquidity_breadth
where median_amihud_ratio is not null
order by utc_date desc limit 1
"""
DISPERSION = """
select
    utc_date,
    average_correlation_90d_ratio as correlation,
    first_component_share_90d_ratio as first_component
from daily_market_dispersion
where
    average_correlation_90d_ratio is not null
order by utc_date
"""
QUALITY = """
select utc_date, rolling_90d_return_spread_ratio as returns, rolling_90d_imbalance_spread_ratio as imbalance
from daily_quality_spread
where date_diff('day', utc_date, (select max(utc_date) from daily_quality_spread)) % 7 = 0
order by utc_date
"""
MEMES = """
select utc_date, meme_volume_share_ratio as memes, layer_2_volume_share_ratio as layer_2
from daily_meme_rotation
where date_diff('day', utc_date, (select max(utc_date) from daily_meme_rotation)) % 7 = 0
order by utc_date
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "concentration",
        "Concentration and liquidity",
        (
            Sentence(
                "concentration",
                NEWEST,
                "On {utc_date:day} the volume of {asset_count:count} altcoins was spread as over "
                "{effective_count:count} equal ones (HHI {hhi_ratio:number}); the ten largest had "
                "{top_10_ratio:percent0}. With Bitcoin and Ether the HHI is {all_hhi_ratio:number}, the ten largest "
                "{all_top_10_ratio:percent0}.",
                ("hhi_ratio",),
            ),
            charts.lines(
                "concentration",
                "The largest coins' share of spot volume",
                SHARES,
                (
                    Series("top_1", "largest altcoin", 4),
                    Series("top_10", "ten largest altcoins", 0),
                    Series("all_top_10", "ten largest with BTC and ETH", 1),
                ),
                "percent",
                "Lines of the share of volume of the largest and of the ten largest coins.",
                unit="Per cent of the day's volume",
                domain=[0, 1],
            ),
            Sentence(
                "impact",
                IMPACT_NEWEST,
                "A million dollars of volume goes with a fall of {falls_ratio:percent} on falling days and a rise of "
                "{rises_ratio:percent} on rising ones (Amihud, median of {amihud_count:count} altcoins, 30 days); "
                "falls are steeper for {amihud_down_share_ratio:percent0} of them. By Kyle's lambda sells move more "
                "than buys for {lambda_minus_share_ratio:percent0} of {lambda_count:count}: the two families "
                "disagree where one is above a half and the other is not.",
                ("falls_ratio",),
            ),
            charts.lines(
                "impact",
                "Price change per million dollars of volume",
                IMPACT,
                (
                    Series("falls", "altcoins, falls", 0),
                    Series("rises", "altcoins, rises", 3),
                    Series("bitcoin", "Bitcoin, both", 1),
                ),
                "percent",
                "Lines of the Amihud half-measures of falls and rises, medians of altcoins, and of Bitcoin.",
                unit="Amihud 2002 by the sign of the return, 30 days",
                is_log_offered=True,
            ),
            charts.lines(
                "dispersion",
                "Do altcoins go together?",
                DISPERSION,
                (Series("correlation", "average correlation", 0), Series("first_component", "first component", 2)),
                "number",
                "Lines of the average pairwise correlation and of the share of the first principal component.",
                unit="90 days of log returns",
                note="Computed once a week; all points, five digits.",
                domain=[0, 1],
            ),
            charts.lines(
                "quality",
                "Large less small altcoins",
                QUALITY,
                (Series("returns", "daily return", 0), Series("imbalance", "imbalance", 2)),
                "percent",
                "Lines of the difference between large and small altcoins in mean daily return and imbalance.",
                unit="Tenth traded most less tenth traded least, 90-day means",
            ),
            charts.lines(
                "memes",
                "Memecoins and layer 2",
                MEMES,
                (Series("memes", "memecoins", 4), Series("layer_2", "layer 2 tokens", 7)),
                "percent",
                "Lines of the share of memecoins and of layer 2 tokens in the altcoins' volume.",
                unit="Share of the altcoins' spot volume, by a frozen list",
            ),
        ),
        (10, 18, 19, 20, 26, 27, 28, 29, 30, 45, 47),
    )
