"""The chronology since 2020, phase by phase."""

from orchestration.brief.parts import Column, Note, Section, Table
from orchestration.brief.snapshot import Snapshot

PHASES = """
select
    alt.first_date,
    alt.last_date,
    replace(alt.phase, '_', ' ') as phase,
    phases.description,
    alt.net_taker_usd as altcoins_usd,
    alt.imbalance_ratio as altcoins_ratio,
    btc.imbalance_ratio as bitcoin_ratio,
    eth.imbalance_ratio as ether_ratio,
    alt.median_return_ratio as altcoins_return_ratio,
    btc.median_return_ratio as bitcoin_return_ratio,
    cast(alt.day_count as double) / nullif(alt.phase_days, 0) as day_share_ratio
from phase_performance as alt
left join phase_performance as btc on alt.phase = btc.phase and btc.flow_group = 'BTC'
left join phase_performance as eth on alt.phase = eth.phase and eth.flow_group = 'ETH'
left join market_phases as phases on alt.phase = phases.phase
where alt.flow_group = 'ALT'
order by alt.first_date
"""


def section(snapshot: Snapshot) -> Section:
    return Section(
        "phases",
        "Chronology, 2020 to today",
        (
            Note(
                "Phases are a way to group days, cut with hindsight; they test nothing. The charts shade them. Returns "
                "are medians over the coins of a group, from the day before a phase to its last day."
            ),
            Table(
                "phases",
                "Market phases",
                PHASES,
                (
                    Column("first_date", "from", "day"),
                    Column("last_date", "to", "day"),
                    Column("phase", "phase"),
                    Column("altcoins_usd", "altcoins net", "usd"),
                    Column("altcoins_ratio", "altcoins", "percent"),
                    Column("bitcoin_ratio", "Bitcoin", "percent"),
                    Column("ether_ratio", "Ether", "percent"),
                    Column("altcoins_return_ratio", "return, altcoins", "percent0_plus"),
                    Column("bitcoin_return_ratio", "return, Bitcoin", "percent0_plus"),
                    Column("description", "what it was"),
                ),
                note="Net taker flow in US dollars and as a share of volume, by phase.",
                is_sortable=True,
            ),
        ),
        (11, 12, 13, 50),
    )
