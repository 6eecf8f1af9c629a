"""Coins that recover: bought on balance, ahead of Bitcoin, with a rising share of volume."""

from orchestration.brief.parts import Column, Section, Sentence, Table
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    utc_date,
    count(*) as asset_count,
    count(*) filter (where is_net_bought) as bought_count,
    count(*) filter (where is_beating_btc) as beating_count,
    count(*) filter (where is_recovering) as recovering_count,
    count(*) filter (where is_persistent) as persistent_count
from daily_selective_recovery
where utc_date = (select max(utc_date) from daily_selective_recovery where score_count is not null)
    and score_count is not null
group by utc_date
"""
COINS = """
select
    base_asset, score_count, recovering_days, window_90d_net_taker_usd, return_90d_ratio, excess_return_90d_ratio,
    volume_share_30d_ratio, is_net_bought, is_beating_btc, is_share_rising
from daily_selective_recovery
where utc_date = (select max(utc_date) from daily_selective_recovery where score_count is not null)
    and score_count is not null
order by score_count desc, recovering_days desc, window_90d_net_taker_usd desc, base_asset
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "recovery",
        "Selective recovery",
        (
            Sentence(
                "recovery",
                NEWEST,
                "On {utc_date:day}, of {asset_count:count} altcoins, {bought_count:count} were net bought over 90 "
                "days, {beating_count:count} were ahead of Bitcoin, {recovering_count:count} were both with a rising "
                "share of volume, and {persistent_count:count} had been so for 60 days.",
                ("asset_count",),
            ),
            Table(
                "recovery",
                "All altcoins of the day",
                COINS,
                (
                    Column("base_asset", "coin"),
                    Column("score_count", "score", "count"),
                    Column("recovering_days", "days so", "count"),
                    Column("window_90d_net_taker_usd", "net, 90 days", "usd"),
                    Column("return_90d_ratio", "return", "percent0_plus"),
                    Column("excess_return_90d_ratio", "less Bitcoin's", "percent0_plus"),
                    Column("volume_share_30d_ratio", "volume share", "percent"),
                    Column("is_net_bought", "bought", "yes"),
                    Column("is_beating_btc", "ahead", "yes"),
                    Column("is_share_rising", "rising", "yes"),
                ),
                note="Score: one for each of bought, ahead, rising. Sort by any column.",
                is_sortable=True,
                filter_id="recovery-filter",
            ),
        ),
        (40,),
    )
