"""Small frames of the marts for the checks before publishing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

import pyarrow as pa

from orchestration.expectations import golden
from orchestration.expectations.report import Failure, Report
from orchestration.headline import HEADLINE
from orchestration.warehouse import Warehouse

NEWEST_DAYS = 400
MOST_NAMED = 20
"""days that a finding quotes"""


def checked_frames(warehouse: Warehouse, suites: list[str]) -> list[tuple[str, pa.Table]]:
    """The frame of each suite: relations of `quality` whole, daily marts over their newest days."""
    frames = []
    with warehouse.open() as con:
        for suite in suites:
            schema, _, table = suite.partition("_")
            newest = ""
            if table.startswith("daily_"):
                newest = f" WHERE utc_date > (SELECT max(utc_date) FROM marts.{table}) - INTERVAL {NEWEST_DAYS} DAY"
            frames.append((suite, con.sql(f"FROM {schema}.{table}{newest}").to_arrow_table()))
    return frames


def no_exchange_answered(warehouse: Warehouse, run_id: str) -> bool:
    """Whether there is no flow at all, and a gap of this run says why: then there is nothing to judge."""
    with warehouse.open() as con:
        answer = con.execute(
            "SELECT NOT EXISTS (FROM raw.spot_flows) "
            "AND EXISTS (FROM raw.gaps WHERE run_id = ? AND dataset = 'spot_flows')",
            [run_id],
        ).fetchall()
    return bool(answer[0][0])


@dataclass(frozen=True)
class Headline:
    """The newest day of the headline, its control, and its window's sum on the days of the last year (None: not
    valid)."""

    utc_date: date
    net_usd: Decimal
    volume_usd: Decimal
    imbalance_ratio: float | None
    excess_imbalance_ratio: float | None
    symbol_count: int
    exchange_count: int
    last_year: list[float | None]


def headline(warehouse: Warehouse) -> Headline | None:
    """What the marts that stand say; None where they have no day."""
    with warehouse.open() as con:
        rows = con.execute(
            "SELECT utc_date, window_net_taker_usd, window_volume_usd, window_imbalance_ratio, excess_imbalance_ratio, "
            "symbol_count, exchange_count, cumulative_net_taker_usd::DOUBLE FROM marts.daily_altcoin_flow "
            "WHERE definition_id = ? ORDER BY utc_date DESC LIMIT 365",
            [HEADLINE],
        ).fetchall()
    return Headline(*rows[0][:-1], last_year=[row[-1] for row in reversed(rows)]) if rows else None


@dataclass(frozen=True)
class Compared:
    """R2: the days that were read from two sources, and what differs. `impact_usd`: the largest, on one symbol's day;
    None where no difference has one."""

    day_count: int
    differing_day_count: int
    difference_count: int
    impact_usd: Decimal | None
    worst: list[str]


def compared_sources(warehouse: Warehouse) -> Compared:
    """What the API and the archive say of the same days."""
    with warehouse.open() as con:
        days = con.execute("SELECT count(*) FROM intermediate.int_archive_days_compared").fetchall()[0][0]
        by_day = (
            "SELECT exchange, symbol, utc_date, file_grain, count(*) AS column_count, sum(impact_usd) AS impact_usd, "
            "string_agg(format('{}: klines {}, archive {}', column_name, coalesce(klines_value, 'nothing'), "
            "coalesce(archive_value, 'nothing')), '; ' ORDER BY column_name) AS said "
            "FROM quality.dq_archive_differences GROUP BY ALL"
        )
        found = con.execute(f"FROM ({by_day}) ORDER BY abs(impact_usd) DESC NULLS LAST, 1, 2, 3, 4").fetchall()
    worst = [f"{row[1]} {row[2]} ({row[3]} file), {row[5]} USD: {row[6]}" for row in found[:MOST_NAMED]]
    return Compared(days, len(found), sum(row[4] for row in found), found[0][5] if found else None, worst)


def golden_failure(warehouse: Warehouse) -> Failure | None:
    """R30: the newest day's headline computed again without SQL; None where both agree."""
    with warehouse.open() as con:
        flows = con.sql(
            "SELECT f.exchange, f.symbol, s.base_asset, s.quote_asset, f.utc_date, f.volume_quote, f.taker_buy_quote "
            "FROM raw.spot_flows f JOIN raw.spot_symbols s USING (exchange, symbol) WHERE s.quote_asset = 'USDT' "
            f"AND f.utc_date > (SELECT max(utc_date) FROM raw.spot_flows) - INTERVAL {golden.WINDOW_DAYS} DAY"
        ).to_arrow_table()
        if not flows.num_rows:
            return None
        seed = "SELECT DISTINCT asset FROM seeds.asset_classification WHERE asset_class != 'altcoin'"
        not_alt = [row[0] for row in con.execute(seed).fetchall()]
        listed = [row[0] for row in con.execute("SELECT DISTINCT base_asset FROM raw.spot_symbols").fetchall()]
        second = golden.compute(flows, not_alt, listed)
        row = con.sql(
            """
            WITH alts AS (
                FROM marts.daily_symbol_flows WHERE asset_class = 'altcoin' AND quote_asset = 'USDT'
                AND net_taker_usd IS NOT NULL AND utc_date BETWEEN $day::DATE - INTERVAL 364 DAY AND $day::DATE
            )
            SELECT
                $day::DATE AS utc_date,
                coalesce(sum(net_taker_usd) FILTER (utc_date = $day), 0)::DECIMAL(38, 8) AS net_taker_usd,
                coalesce(sum(volume_usd) FILTER (utc_date = $day), 0)::DECIMAL(38, 8) AS volume_usd,
                coalesce(sum(net_taker_usd), 0)::DECIMAL(38, 8) AS window_net_taker_usd,
                coalesce(sum(volume_usd), 0)::DECIMAL(38, 8) AS window_volume_usd
            FROM alts
            """,
            params={"day": second.utc_date},
        ).to_arrow_table()
    return golden.compare(second, row.to_pylist()[0])


MOST_REASON = 500


def note_verdicts(
    warehouse: Warehouse, reports: Sequence[Report], golden_failed: Failure | None, is_golden_judged: bool
) -> None:
    """Puts what is known only after dbt into raw.check_results, of which data_quality_results shows the rows: a suite's
    verdict replaces the one before, as R30 does. They are dated with the last day of the run."""
    rows = [
        ("suite", report.suite, not report.failures, len(report.failures), 0.0,
         "warning" if report.failures and not report.blocking else "block", report.message[:MOST_REASON])
        for report in reports
    ]  # fmt: skip
    if is_golden_judged:
        count = golden_failed.unexpected_count if golden_failed else 0
        reason = "figures of the newest day that a second computation, without SQL, does not confirm"
        rows.append(
            ("R30", "headline", not golden_failed, count, 0.0, "block",
             f"{reason}: {golden_failed.message}"[:MOST_REASON] if golden_failed else reason)
        )  # fmt: skip
    with warehouse.open() as con:
        con.execute("BEGIN TRANSACTION")
        for check_id, scope, passed, value, threshold, severity, reason in rows:
            con.execute("DELETE FROM raw.check_results WHERE check_id = ? AND scope = ?", [check_id, scope])
            con.execute(
                "INSERT INTO raw.check_results SELECT ?, ?, last_date, ?, ?, ?, ?, CASE WHEN ? THEN 0 END, ? "
                "FROM raw.runs ORDER BY started_at DESC, run_id DESC LIMIT 1",
                [check_id, scope, passed, value, threshold, severity, passed, reason],
            )
        con.execute("COMMIT")
