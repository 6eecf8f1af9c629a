"""Altcoin season, and how far below their peaks altcoins lie."""

from orchestration.brief import charts
from orchestration.brief.parts import Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

SEASON = """
select
    utc_date,
    any_value(altseason_index) filter (where definition_id = 'top_50') as top_50,
    any_value(altseason_index) filter (where definition_id = 'top_100') as top_100
from daily_altseason
where date_diff('day', utc_date, (select max(utc_date) from daily_altseason)) % 7 = 0
group by utc_date
order by utc_date
"""
SEASON_NEWEST = """
select
    max(utc_date) as utc_date,
    arg_max(altseason_index, utc_date) filter (where definition_id = 'top_50') as top_50,
    arg_max(altseason_index, utc_date) filter (where definition_id = 'top_100') as top_100,
    arg_max(replace(ranking, '_', ' '), utc_date) filter (where definition_id = 'top_50') as ranking,
    arg_max(median_return_90d_ratio, utc_date) filter (where definition_id = 'top_50') as median_ratio,
    arg_max(btc_return_90d_ratio, utc_date) filter (where definition_id = 'top_50') as bitcoin_ratio
from daily_altseason
where altseason_index is not null
"""
DRAWDOWN = """
select
    utc_date,
    survivor_median_drawdown_ratio as survivors,
    last_price_median_drawdown_ratio as with_delisted,
    total_loss_median_drawdown_ratio as delisted_lost
from daily_drawdown_breadth
where
    definition_id = 'peak_2021.basket_2021'
    and date_diff('day', utc_date, (select max(utc_date) from daily_drawdown_breadth)) % 7 = 0
order by utc_date
"""
BREADTH = """
select
    utc_date,
    survivor_below_50_share_ratio as below_50,
    survivor_below_80_share_ratio as below_80,
    survivor_below_90_share_ratio as below_90
from daily_drawdown_breadth
where
    definition_id = 'running_peak.all'
    and date_diff('day', utc_date, (select max(utc_date) from daily_drawdown_breadth)) % 7 = 0
order by utc_date
"""
DRAWDOWN_NEWEST = """
select
    utc_date, survivor_count, delisted_count, survivor_median_drawdown_ratio as median_ratio,
    survivor_50_to_80_share_ratio as middle_ratio, survivor_below_80_share_ratio as deep_ratio,
    total_loss_median_drawdown_ratio as lost_median_ratio
from daily_drawdown_breadth
where definition_id = 'peak_2021.basket_2021' and survivor_median_drawdown_ratio is not null
order by utc_date desc limit 1
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "season",
        "Altcoin season and drawdowns",
        (
            Sentence(
                "season",
                SEASON_NEWEST,
                "{top_50:count} of 100 on the index of the 50 largest coins, {top_100:count} on that of 100: a coin "
                "counts where it beat Bitcoin over 90 days. Median return {median_ratio:percent0_plus}, Bitcoin "
                "{bitcoin_ratio:percent0_plus}. Members ranked by {ranking}.",
                ("top_50",),
            ),
            charts.lines(
                "season",
                "Altcoin season index",
                SEASON,
                (Series("top_50", "50 coins", 0), Series("top_100", "100 coins", 2)),
                "number",
                "Lines of the altcoin season index of 50 and of 100 coins, from 0 to 100.",
                unit="0 to 100; 75 and more is called an altcoin season, 25 and less a Bitcoin season",
                domain=[0, 100],
            ),
            Sentence(
                "drawdown",
                DRAWDOWN_NEWEST,
                "Of {survivor_count:count} altcoins that traded at the end of 2021 and still do, the median stands "
                "{median_ratio:percent0} from its peak of 2021; {middle_ratio:percent0} lie 50 to 80 % below, "
                "{deep_ratio:percent0} deeper. With {delisted_count:count} delisted ones counted as lost the median is "
                "{lost_median_ratio:percent0}.",
                ("median_ratio",),
            ),
            charts.lines(
                "drawdown",
                "From the peaks of 2021",
                DRAWDOWN,
                (
                    Series("survivors", "survivors alone", 2),
                    Series("with_delisted", "delisted at their last price", 1),
                    Series("delisted_lost", "delisted as lost", 0),
                ),
                "percent",
                "Lines of the median drawdown from the peak of 2021, with delisted coins counted in three ways.",
                unit="Median close against the highest close up to 2021-12-31",
            ),
            charts.lines(
                "breadth",
                "How many lie how far below their own peak",
                BREADTH,
                (
                    Series("below_50", "50 % or more", 1),
                    Series("below_80", "more than 80 %", 0),
                    Series("below_90", "90 % or more", 5),
                ),
                "percent",
                "Lines of the share of altcoins that lie 50, 80 and 90 per cent below their highest close so far.",
                unit="Share of the altcoins that trade",
                domain=[0, 1],
            ),
        ),
        (17, 38, 39, 44),
    )
