"""What `altflow run` says at its end: headline, control, what is missing, where the results are."""

import shutil
import sys
from pathlib import Path

from orchestration import status
from orchestration.headline import HEADLINE, percent, usd
from orchestration.publish import open_published
from orchestration.settings import Settings


def brief(settings: Settings, result) -> str:
    """Where the brief is, or why it was not written: what is published stands either way."""
    from orchestration.brief.page import index

    for event in result.all_events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.event_specific_data
            if check.check_name == "brief_written" and not check.passed:
                return f"brief:   NOT written: {check.metadata['reason'].value}; published all the same"
    return f"brief:   {index(settings)}"


def summary(settings: Settings, only_gaps: bool = False) -> list[str]:
    lines = [] if only_gaps else _published(settings)
    gaps = status.read(settings).get("gaps") or []
    if gaps:
        lines.append("missing:")
    for gap in gaps:
        many = f"{gap['count']} x " if gap["count"] > 1 else ""
        lines.append(f"  {gap['upstream']}/{gap['dataset']}: {many}{gap['reason']}: {gap['message']}")
    if not gaps and not only_gaps:
        lines.append("missing: nothing that was asked for")
    for absence in status.read(settings).get("absences") or []:
        days = f"{absence['start']} .. {absence['end']} (excluded)"
        of = absence["upstream"] + (f"/{absence['dataset']}" if absence["dataset"] != "spot_flows" else "")
        lines.append(f"not there: {of}: {absence['reason'].replace('_', ' ')}, days of {days}")
    if not only_gaps:
        lines.append(f"results: {settings.published_dir / 'marts.duckdb'}")
        question = 'altflow sql "from daily_altcoin_flow limit 5"'
        lines.append(f"next:    {_on_the_path()}altflow brief --open; {question}; altflow status")
    return lines


def _on_the_path() -> str:
    """What has to be typed first where the shell does not find `altflow`."""
    activate = Path(sys.prefix) / "bin" / "activate"
    if shutil.which("altflow") or not activate.exists():
        return ""
    here = activate.relative_to(Path.cwd()) if activate.is_relative_to(Path.cwd()) else activate
    return f"source {here}; "


def _published(settings: Settings) -> list[str]:
    with open_published(settings) as con:
        info = con.execute("SELECT source, synthetic, first_date, last_date FROM run_info").fetchall()[0]
        head = con.execute(
            "SELECT utc_date, window_net_taker_usd, window_volume_usd, window_imbalance_ratio, window_coverage_ratio, "
            "cumulative_net_taker_usd, excess_imbalance_ratio, symbol_count, exchange_count, is_record_low "
            "FROM daily_altcoin_flow WHERE definition_id = ? ORDER BY utc_date DESC LIMIT 1",
            [HEADLINE],
        ).fetchall()
        control = con.execute(
            "SELECT flow_group, rolling_365d_net_taker_usd, rolling_365d_volume_usd FROM daily_control_flow "
            "WHERE quotes = 'all' AND flow_group IN ('BTC', 'ETH') AND utc_date = ?",
            [head[0][0] if head else None],
        ).fetchall()
    lines = []
    if info[1]:
        lines.append("SYNTHETIC: a generated market. None of these figures is real.")
    if not head:
        return [*lines, "headline: no data"]
    day, net, volume, imbalance, coverage, cumulative, excess, symbols, exchanges, is_low = head[0]
    venues = f"{exchanges or 0} exchange{'' if exchanges == 1 else 's'}"
    lines.append(
        f"headline {day}: altcoins (ex BTC and ETH), takers' buys minus sells over 365 days: {usd(net)} of "
        f"{usd(volume)} traded ({percent(imbalance)}), {symbols or 0} symbols on {venues}"
    )
    if cumulative is None:
        covered = "unknown" if coverage is None else f"{100 * coverage:.1f} %"
        lines.append(f"  not quotable as a 365-day figure: the window is incomplete or its coverage ({covered}) is low")
    elif is_low:
        lines.append("  the lowest of the sample (in dollars; see imbalance and the fixed panel before quoting it)")
    for group, group_net, group_volume in sorted(control):
        share = float(group_net) / float(group_volume) if group_volume else None
        lines.append(f"control  {group}: {usd(group_net)} ({percent(share)})")
    lines.append(f"  altcoins against BTC: {percent(excess)} of volume (below 0: more sold than BTC)")
    covered = "venue" if exchanges == 1 else "venues"
    lines.append(
        f"  taker-signed aggressor imbalance on the covered {covered}, not capital leaving, not the whole market"
    )
    lines.append(f"history: {info[2]} .. {info[3]}, source {info[0]}")
    return lines
