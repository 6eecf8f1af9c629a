"""Spot beside perpetual contracts: context, never part of the spot flow."""

from orchestration.brief import charts
from orchestration.brief.parts import Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    utc_date, asset_count, perpetual_spot_volume_ratio as volume_ratio, spot_imbalance_ratio,
    perpetual_imbalance_ratio, funding_ratio, same_day_count
from daily_spot_vs_perpetual
where asset_group = 'ALT' and perpetual_volume_usd is not null
order by utc_date desc limit 1
"""
IMBALANCE = """
select utc_date, spot_imbalance_ratio as spot, perpetual_imbalance_ratio as perpetual
from daily_spot_vs_perpetual
where asset_group = 'ALT'
order by utc_date
"""
VOLUME = """
select
    utc_date,
    any_value(perpetual_spot_volume_ratio) filter (where asset_group = 'ALT') as altcoins,
    any_value(perpetual_spot_volume_ratio) filter (where asset_group = 'BTC') as bitcoin,
    any_value(perpetual_spot_volume_ratio) filter (where asset_group = 'ETH') as ether
from daily_spot_vs_perpetual
group by utc_date
order by utc_date
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "perpetuals",
        "Spot and perpetuals",
        (
            Sentence(
                "perpetuals",
                NEWEST,
                "On {utc_date:day} perpetuals on {asset_count:count} altcoins traded {volume_ratio:decimal} times "
                "their spot volume; imbalance {perpetual_imbalance_ratio:percent} there, "
                "{spot_imbalance_ratio:percent} on spot; funding {funding_ratio:percent3_plus} a day. "
                "{same_day_count:count} days hold both, and 60 are needed before anybody may speak of a lead.",
                ("volume_ratio",),
            ),
            charts.lines(
                "perpetuals",
                "Imbalance, altcoins",
                IMBALANCE,
                (Series("spot", "spot", 0), Series("perpetual", "perpetuals", 4)),
                "percent",
                "Lines of the daily imbalance of altcoins on spot and on perpetual contracts.",
                unit="Per cent of each one's volume",
                note=charts.DAILY,
            ),
            charts.lines(
                "perpetual-volume",
                "Perpetual volume as a multiple of spot",
                VOLUME,
                (Series("altcoins", "Altcoins", 0), Series("bitcoin", "Bitcoin", 1), Series("ether", "Ether", 2)),
                "number",
                "Lines of perpetual volume divided by spot volume.",
                unit="Times the spot volume of the same assets",
                note=charts.DAILY,
                is_log_offered=True,
            ),
        ),
        (7, 54),
    )
