"""Value on chains, how it is spread, and what decentralised exchanges trade."""

from orchestration.brief import charts
from orchestration.brief.parts import Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    max(utc_date) as utc_date,
    arg_max(tvl_usd, utc_date) as tvl_usd,
    arg_max(tvl_30d_change_ratio, utc_date) as change_ratio,
    max(utc_date) filter (where dex_volume_usd is not null) as volume_date,
    arg_max(dex_volume_usd, utc_date) as dex_volume_usd,
    arg_max(dex_cex_volume_ratio, utc_date) as dex_cex_ratio
from daily_dex_liquidity
where tvl_usd is not null or dex_volume_usd is not null
"""
VALUE = """
select utc_date, tvl_usd as locked, dex_volume_usd as volume
from daily_dex_liquidity
where
    utc_date >= date '2020-01-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_dex_liquidity)) % 7 = 0
order by utc_date
"""
SPREAD = """
select
    utc_date,
    any_value(hhi_ratio) filter (where measure = 'tvl') as locked,
    any_value(hhi_ratio) filter (where measure = 'dex_volume') as volume,
    any_value(hhi_ratio) filter (where measure = 'stablecoin') as stablecoins,
    any_value(four_rollups_share_ratio) filter (where measure = 'tvl') as rollups
from daily_chain_fragmentation
where
    utc_date >= date '2020-01-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_chain_fragmentation)) % 7 = 0
group by utc_date
order by utc_date
"""


def _said(row) -> str:
    said = "Value locked on chains is {tvl_usd:usd} ({change_ratio:percent_plus} in 30 days)"
    if row["dex_volume_usd"] is None:
        return said + "; the volume of decentralised exchanges is not stored."
    return said + (
        "; decentralised exchanges traded {dex_volume_usd:usd} on {volume_date:day}, {dex_cex_ratio:percent1} of the "
        "covered spot volume."
    )


def section(snapshot: Snapshot) -> Section:
    return Section(
        "chains",
        "Chains and decentralised exchanges",
        (
            Sentence("chains", NEWEST, _said, ("tvl_usd",)),
            charts.lines(
                "locked",
                "Value locked, and volume of decentralised exchanges",
                VALUE,
                (Series("locked", "value locked", 2), Series("volume", "daily volume", 0)),
                "usd",
                "Lines of the value locked on chains and of the daily volume of decentralised exchanges.",
                unit="US dollars",
                is_log_offered=True,
            ),
            charts.lines(
                "chain-spread",
                "How concentrated on few chains",
                SPREAD,
                (
                    Series("locked", "HHI of value locked", 2),
                    Series("volume", "HHI of volume", 0),
                    Series("stablecoins", "HHI of stablecoins", 3),
                    Series("rollups", "share of four roll-ups", 4),
                ),
                "number",
                "Lines of the Herfindahl index over chains and of the share of four roll-ups.",
                unit="0 to 1; roll-ups: Arbitrum, Optimism, Base, zkSync. Where covered chains hold most of the total",
                domain=[0, 1],
            ),
        ),
        (21, 42),
    )
