"""Bitcoin's share: of the whole market where that is known, else of the coins that are covered."""

from orchestration.brief import charts
from orchestration.brief.parts import Note, Section, Sentence, Series
from orchestration.brief.snapshot import Snapshot

NEWEST = """
select
    max(utc_date) as utc_date,
    arg_max(btc_share_ratio, utc_date) filter (where definition_id = 'cap_all') as share_ratio,
    max(utc_date) filter (where definition_id = 'cap_all' and btc_share_ratio is not null) as share_date,
    arg_max(covered_btc_share_ratio, utc_date) filter (where definition_id = 'cap_all') as covered_ratio,
    arg_max(covered_btc_share_ratio, utc_date) filter (where definition_id = 'cap_ex_stable') as ex_stable_ratio,
    arg_max(covered_btc_share_ratio, utc_date) filter (where definition_id = 'spot_volume') as volume_ratio,
    arg_max(asset_count, utc_date) filter (where definition_id = 'cap_all') as asset_count,
    arg_max(estimated_ratio, utc_date) filter (where definition_id = 'cap_all') as estimated_ratio
from daily_dominance
"""
SHARES = """
select
    utc_date,
    any_value(btc_share_7d_median_ratio) filter (where definition_id = 'cap_all') as whole_market,
    any_value(covered_btc_share_ratio) filter (where definition_id = 'cap_all') as covered_coins,
    any_value(covered_btc_share_ratio) filter (where definition_id = 'cap_ex_stable') as without_stablecoins,
    any_value(covered_btc_share_ratio) filter (where definition_id = 'spot_volume') as spot_volume
from daily_dominance
where
    utc_date >= date '2020-01-01'
    and date_diff('day', utc_date, (select max(utc_date) from daily_dominance)) % 7 = 0
group by utc_date
order by utc_date
"""
OTHERS = """
select
    utc_date,
    covered_btc_share_ratio as bitcoin,
    covered_eth_share_ratio as ether,
    covered_stablecoin_share_ratio as stablecoins,
    covered_other_share_ratio as others
from daily_dominance
where
    definition_id = 'cap_all' and utc_date >= date '2020-01-01' and covered_btc_share_ratio is not null
    and date_diff('day', utc_date, (select max(utc_date) from daily_dominance)) % 7 = 0
order by utc_date
"""


def _said(row) -> str:
    covered = (
        "Among the {asset_count:count} covered coins Bitcoin has {covered_ratio:percent1} of the capitalisation, "
        "{ex_stable_ratio:percent1} without stablecoins, and {volume_ratio:percent1} of the covered spot volume"
    )
    if row["share_ratio"] is None:
        return covered + "; of the whole market, whose total is not known that day, no share can be told."
    return "Bitcoin's share of the whole market was {share_ratio:percent1} on {share_date:day}. " + covered + "."


def section(snapshot: Snapshot) -> Section:
    return Section(
        "dominance",
        "Dominance",
        (
            Note(
                "A share of the covered coins is higher than the share of the market that others call dominance. Where "
                "less than 85 % of the market is known to be covered, there is no share of the market."
            ),
            Sentence("dominance", NEWEST, _said, ("covered_ratio",)),
            charts.lines(
                "dominance",
                "Bitcoin's share, four ways",
                SHARES,
                (
                    Series("whole_market", "of the whole market", 0),
                    Series("covered_coins", "of covered coins", 1),
                    Series("without_stablecoins", "of these without stablecoins", 2),
                    Series("spot_volume", "of covered spot volume", 4),
                ),
                "percent",
                "Lines of Bitcoin's share by capitalisation and by volume.",
                unit="Per cent. Whole market: centred 7-day median, only where it is known",
                domain=[0, 1],
            ),
            charts.lines(
                "shares",
                "Who holds what among covered coins",
                OTHERS,
                (
                    Series("bitcoin", "Bitcoin", 1),
                    Series("ether", "Ether", 2),
                    Series("stablecoins", "stablecoins", 3),
                    Series("others", "all others", 0),
                ),
                "percent",
                "Stacked areas of the shares of Bitcoin, Ether, stablecoins and all others.",
                unit="Per cent of the covered capitalisation",
                mark="area",
                domain=[0, 1],
                has_phases=False,
            ),
        ),
        (14, 15, 16, 53),
    )
