"""Stablecoins as dry powder, and what altcoins are sold into."""

from orchestration.brief import charts
from orchestration.brief.parts import Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

NEWEST = """
with days as (select max(utc_date) as last_date from daily_stablecoin_supply)
select
    days.last_date as utc_date,
    max(total_circulating_usd) as total_usd,
    max(total_net_30d_change_usd) as total_change_usd,
    any_value(circulating_usd) filter (where symbol = 'USDT') as usdt_usd,
    any_value(circulating_usd) filter (where symbol = 'USDC') as usdc_usd,
    any_value(net_30d_change_usd) filter (where symbol = 'USDT') as usdt_change_usd,
    any_value(net_30d_change_usd) filter (where symbol = 'USDC') as usdc_change_usd
from daily_stablecoin_supply inner join days on daily_stablecoin_supply.utc_date = days.last_date
group by days.last_date
"""
SUPPLY = """
select
    utc_date,
    max(total_circulating_usd) as total,
    any_value(circulating_usd) filter (where symbol = 'USDT') as usdt,
    any_value(circulating_usd) filter (where symbol = 'USDC') as usdc
from daily_stablecoin_supply
where
    utc_date >= date '2020-01-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_stablecoin_supply)) % 7 = 0
group by utc_date
order by utc_date
"""
CHANGE = """
select
    utc_date,
    max(total_net_30d_change_usd) as total,
    any_value(net_30d_change_usd) filter (where symbol = 'USDT') as usdt,
    any_value(net_30d_change_usd) filter (where symbol = 'USDC') as usdc
from daily_stablecoin_supply
where
    utc_date >= date '2020-07-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_stablecoin_supply)) % 7 = 0
group by utc_date
order by utc_date
"""
RATIO = """
select utc_date, oscillator, btc_price_z as price_z
from daily_stablecoin_ratio
where
    utc_date >= date '2020-01-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_stablecoin_ratio)) % 7 = 0
order by utc_date
"""
RATIO_NEWEST = """
select utc_date, ssr, oscillator, btc_price_z, price_z_correlation_ratio, price_z_correlation_days
from daily_stablecoin_ratio
where oscillator is not null
order by utc_date desc limit 1
"""
ROTATION = """
with summed as (
    select
        cast(date_trunc('month', utc_date) as date) as utc_date,
        quote_class,
        cast(sum(taker_sell_usd) as double) as sold_usd
    from daily_quote_rotation
    group by all
)
select
    utc_date,
    any_value(sold_usd) filter (where quote_class = 'usd_pegged') / sum(sold_usd) as dollar_coins,
    any_value(sold_usd) filter (where quote_class = 'btc') / sum(sold_usd) as bitcoin,
    any_value(sold_usd) filter (where quote_class = 'eth_bnb') / sum(sold_usd) as ether_bnb,
    any_value(sold_usd) filter (where quote_class = 'fiat') / sum(sold_usd) as fiat
from summed
group by utc_date
having sum(sold_usd) > 0
order by utc_date
"""
COINS = (Series("total", "all stablecoins", 5), Series("usdt", "USDT", 3), Series("usdc", "USDC", 2))


def section(snapshot: Snapshot) -> Section:
    return Section(
        "stablecoins",
        "Stablecoins and rotation",
        (
            Sentence(
                "stablecoins",
                NEWEST,
                "All stablecoins together hold {total_usd:usd} ({total_change_usd:usd_plus} in 30 days); USDT "
                "{usdt_usd:usd} ({usdt_change_usd:usd_plus}), USDC {usdc_usd:usd} ({usdc_change_usd:usd_plus}). Where "
                "that money came from is not in supplies.",
                ("total_usd",),
            ),
            charts.lines(
                "supply",
                "Stablecoins in circulation",
                SUPPLY,
                COINS,
                "usd",
                "Lines of the circulating supply of all stablecoins, USDT and USDC.",
                unit="US dollars",
                is_log_offered=True,
            ),
            charts.lines(
                "supply-change",
                "Change over 30 days",
                CHANGE,
                COINS,
                "usd",
                "Lines of the 30-day change of the supply of all stablecoins, USDT and USDC.",
                unit="US dollars; from July 2020, after two additions to the list made the total jump",
            ),
            Sentence(
                "ratio",
                RATIO_NEWEST,
                "Bitcoin's capitalisation is {ssr:decimal} times that of stablecoins; the oscillator of that ratio "
                "stands at {oscillator:decimal}. It largely repeats Bitcoin's own price: correlation "
                "{price_z_correlation_ratio:decimal} over {price_z_correlation_days:count} days.",
                ("ssr",),
            ),
            charts.lines(
                "oscillator",
                "Stablecoin supply ratio, and what it repeats",
                RATIO,
                (
                    Series("oscillator", "oscillator of the ratio", 3),
                    Series("price_z", "Bitcoin's price, the same way", 1),
                ),
                "number",
                "Lines of the oscillator of the stablecoin supply ratio and of the z-score of Bitcoin's price.",
                unit="Standard deviations over 200 days",
            ),
            charts.lines(
                "rotation",
                "What altcoins are sold into",
                ROTATION,
                (
                    Series("dollar_coins", "dollar coins", 3),
                    Series("bitcoin", "Bitcoin", 1),
                    Series("ether_bnb", "Ether, BNB", 2),
                    Series("fiat", "fiat", 4),
                ),
                "percent",
                "Lines of the share of the altcoins' taker sells by what the pair is quoted in.",
                unit="Per cent of the covered taker sells by month; a class without covered pairs has no line",
                note="Monthly points, five digits. The share is among classes with covered pairs.",
                domain=[0, 1],
            ),
        ),
        (22, 23, 24, 25),
    )
