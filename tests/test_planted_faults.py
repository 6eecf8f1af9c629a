"""Twelve faults of data, planted as far upstream as they arise: a check that has a name catches each before publishing.

What is outcome where is the table in docs/operations.md: a block, a row in quarantine, a named gap, or a row of
data_quality_results for what may also be news. The first half fetches a small market whose symbols each have one
fault, through parsers, raw suites and loader; the second half (chaos) builds and judges raw tables.
"""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from orchestration.archive import Archive
from orchestration.expectations.validator import Validator
from orchestration.ingest import Ingest
from orchestration.load import Loaded
from orchestration.marts import checked_frames
from orchestration.reduce import Task, reduce_file
from orchestration.settings import Settings
from orchestration.sources import binance_us, binance_vision, defillama
from orchestration.sources.body import SourceError, Window
from orchestration.sources.daily_bars import DAY_MS, ms
from orchestration.sources.http import Answer
from orchestration.sources.registry import EXCHANGES
from orchestration.warehouse import Warehouse
from tests import raw_market
from tests.test_source_binance_archives import Shelf, shelf

FIRST, TODAY = date(2026, 2, 1), date(2026, 3, 8)
MIDDLE = TODAY - timedelta(days=4)
BAR = [0, "2.0", "2.5", "1.5", "2.1", "100.0", DAY_MS - 1, "200.0", 70, "40.0", "80.0", "0"]
OPENED, HIGH, LOW, BASE, CLOSED, QUOTE, TAKER_BASE, TAKER = 0, 2, 3, 5, 6, 7, 9, 10


def swapped(bar: list, one: int, other: int) -> list:
    bar[one], bar[other] = bar[other], bar[one]
    return bar


def shifted(bar: list, ahead: int) -> list:
    bar[OPENED] += ahead
    bar[CLOSED] += ahead
    return bar


def in_unit(bar: list, of: float) -> list:
    return [int(cell * of) if at in (OPENED, CLOSED) else cell for at, cell in enumerate(bar)]


def is_middle(bar: list) -> bool:
    return bar[OPENED] == ms(MIDDLE)


FAULTS = {
    "SOLUSDT": lambda bars: bars,
    "SECUSDT": lambda bars: [in_unit(bar, 0.001) for bar in bars],
    "MICUSDT": lambda bars: [in_unit(bar, 1000) for bar in bars],
    "DUPUSDT": lambda bars: [*bars, *([*bar[:TAKER], "81.0", "0"] for bar in bars if is_middle(bar))],
    "SAMEUSDT": lambda bars: [*bars, *bars],
    "SWAPUSDT": lambda bars: [swapped(bar, BASE, QUOTE) if is_middle(bar) else bar for bar in bars],
    "TAKEUSDT": lambda bars: [swapped(bar, TAKER_BASE, TAKER) if is_middle(bar) else bar for bar in bars],
    "HIGHUSDT": lambda bars: [swapped(bar, HIGH, LOW) if is_middle(bar) else bar for bar in bars],
    "OPENUSDT": lambda bars: bars,
    "ZONEUSDT": lambda bars: [shifted(bar, -8 * 3_600_000) for bar in bars],
}
"""What the API does to the bars of a symbol."""
OPEN = "OPENUSDT"
CUT = "CUTUSDT"
"""Only the archive knows it, and its file is cut."""


class World:
    """Stands for `Http`: the API and the archive of Binance, and Binance.US, which does not answer."""

    def __init__(self):
        self.restated = {}
        cut = shelf({"2026-02": list(range(1, 29))}, [], CUT).files
        self.archive = Shelf({key: content[:-40] for key, content in cut.items()})

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        if host is binance_us.HOST:
            raise SourceError("binance_us /api/v3/exchangeInfo: HTTP 500 after 5 tries")
        if host in (binance_vision.HOST, binance_vision.LISTING):
            return self.archive.get(host, path, params, weight, wrong)
        query = params or {}
        content = self.listing() if path == "/api/v3/exchangeInfo" else self.klines(query)
        url = f"https://{host.hosts[0]}{path}?{query}"
        return Answer(url, 200, json.dumps(content).encode(), datetime.now(UTC).replace(tzinfo=None))

    def listing(self) -> dict:
        symbols = [
            {"symbol": name, "status": "TRADING", "baseAsset": name[:-4], "quoteAsset": "USDT"} for name in FAULTS
        ]
        return {"serverTime": ms(TODAY) + 9 * 3_600_000, "symbols": symbols}

    def klines(self, query: dict) -> list[list]:
        """OPENUSDT has the bar that is still open, too, whatever the end that was asked for."""
        last = ms(TODAY) if query["symbol"] == OPEN else query["endTime"]
        bars = []
        for opened in range(max(query["startTime"], ms(FIRST)), last + 1, DAY_MS):
            bar = [opened, *BAR[1:CLOSED], opened + DAY_MS - 1, *BAR[QUOTE:]]
            if query["symbol"] == "SOLUSDT" and is_middle(bar):
                bar = [self.restated.get(at, cell) for at, cell in enumerate(bar)]
            bars.append(bar)
        return FAULTS[query["symbol"]](bars)


class House:
    """A warehouse that runs fill from the world."""

    def __init__(self, folder: Path, validator: Validator):
        self.settings = Settings("sandbox", folder, start=FIRST, exchanges=("binance", "binance_us"))
        self.warehouse = Warehouse(self.settings.warehouse_path)
        self.warehouse.prepare(self.settings)
        self.validator = validator
        self.world = World()

    def run(self, run_id: str) -> Loaded:
        window = Window(FIRST, TODAY)
        self.warehouse.begin_run(run_id, self.settings, window, "test")
        archive = Archive(self.settings.archive_dir)
        ingest = Ingest(
            self.settings, run_id, window, self.world, archive, self.warehouse, self.validator, None  # pyright: ignore[reportArgumentType]
        )  # fmt: skip
        ingest.start({"spot_symbols", "spot_flows"})
        ingest.load("spot_symbols")
        loaded = ingest.load("spot_flows")
        ingest.stop()
        archive.close()
        return loaded

    def ask(self, sql: str) -> list[tuple]:
        return [tuple(row.values()) for row in self.warehouse.read(sql).to_pylist()]

    def days(self, symbol: str) -> int:
        return self.ask(f"SELECT count(*) FROM raw.spot_flows WHERE symbol = '{symbol}'")[0][0]

    def refused(self, symbol: str) -> list[tuple]:
        where = f"table_name = 'spot_flows' AND row_key LIKE '% {symbol} %'"
        return self.ask(f"SELECT DISTINCT utc_date, reason FROM raw.quarantine WHERE {where} ORDER BY ALL")

    def gap(self, scope: str) -> str:
        """The message of the last run's gap."""
        return self.ask(f"SELECT message FROM raw.gaps WHERE scope = '{scope}' ORDER BY noticed_at DESC LIMIT 1")[0][0]


ALL = (TODAY - FIRST).days


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with Validator.start() as started:
        yield started


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> House:
    """Fetched twice: between the two the upstream changes a day of SOLUSDT."""
    house = House(tmp_path_factory.mktemp("planted"), validator)
    house.run("first")
    house.world.restated = {TAKER_BASE: "45.0", TAKER: "90.0"}
    house.run("second")
    return house


def test_without_a_fault_nothing_is_refused(house: House):
    assert (house.days("SOLUSDT"), house.refused("SOLUSDT")) == (ALL, [])
    # A page that repeats itself to the letter says nothing new.
    assert (house.days("SAMEUSDT"), house.refused("SAMEUSDT")) == (ALL, [])
    assert house.ask("SELECT count(*) FROM raw.gaps WHERE scope IN ('SOLUSDT', 'SAMEUSDT')") == [(0,)]


@pytest.mark.parametrize(
    ("symbol", "why"),
    [
        ("SECUSDT", "not 00:00 UTC of a day in milliseconds"),
        ("MICUSDT", "outside of the days that were asked for"),
        ("ZONEUSDT", "not 00:00 UTC of a day in milliseconds"),
    ],
)
def test_a_unit_switch_and_a_lost_timezone_are_quarantined_and_a_named_gap(house: House, symbol: str, why: str):
    refused = house.refused(symbol)
    assert house.days(symbol) == 0 and len(refused) >= ALL
    assert all(why in reason for _, reason in refused)
    assert why in house.gap(symbol) and "see raw.quarantine" in house.gap(symbol)


def test_a_duplicated_day_that_contradicts_itself_is_quarantined(house: House):
    refused = house.refused("DUPUSDT")
    assert [day for day, _ in refused] == [MIDDLE]
    assert refused[0][1].startswith("grain ")
    assert house.days("DUPUSDT") == ALL - 1


@pytest.mark.parametrize(
    ("symbol", "check"),
    [
        ("SWAPUSDT", "R4 is_mean_price_within_range"),
        ("TAKEUSDT", "R4 is_taker_price_within_range"),
        ("HIGHUSDT", "R4 is_high_highest"),
    ],
)
def test_swapped_columns_are_quarantined(house: House, symbol: str, check: str):
    """TAKEUSDT: what takers bought in base and in quote, either within its volume."""
    ((day, reason),) = house.refused(symbol)
    assert day == MIDDLE and check in reason and house.days(symbol) == ALL - 1


def test_a_missing_venue_is_a_named_gap_and_the_others_are_stored(house: House):
    gaps = house.ask("SELECT DISTINCT dataset, reason, message FROM raw.gaps WHERE upstream = 'binance_us' ORDER BY 1")
    assert [(dataset, reason) for dataset, reason, _ in gaps] == [("spot_flows", "failed"), ("spot_symbols", "failed")]
    assert all("HTTP 500 after 5 tries" in message for *_, message in gaps)
    assert house.days("SOLUSDT") == ALL


def test_the_partial_last_bar_is_quarantined(house: House):
    ((_, reason),) = house.refused(OPEN)
    assert reason == f"opens at {ms(TODAY)} ms, outside of the days that were asked for"
    assert house.days(OPEN) == ALL and reason in house.gap(OPEN)
    assert house.ask("SELECT max(utc_date) FROM raw.spot_flows") == [(TODAY - timedelta(days=1),)]


def test_a_restated_day_keeps_both_values(house: House):
    kept = "SELECT utc_date, taker_buy_quote::INT FROM raw.spot_flows{} WHERE symbol = 'SOLUSDT' AND utc_date = '{}'"
    assert house.ask(kept.format("", MIDDLE)) == [(MIDDLE, 90)]
    assert house.ask(kept.format("_history", MIDDLE)) == [(MIDDLE, 80)]
    assert house.ask("SELECT count(*) FROM raw.spot_flows_history") == [(1,)]


def test_a_cut_file_is_a_named_gap(house: House):
    message = house.ask(f"SELECT DISTINCT message FROM raw.gaps WHERE scope = '{CUT}'")
    assert "a cut zip of" in message[0][0] and house.days(CUT) == 0


def test_a_supply_in_another_unit_of_time_is_refused_as_a_whole():
    """Milliseconds where there were seconds: a chart of the year 58,000."""
    points = [{"date": str(ms(FIRST)), "totalCirculatingUSD": {"peggedUSD": 1e11}}]
    body = defillama.Body(
        "defillama", "stablecoin_totals", "https://x.example", 200, datetime.now(), json.dumps(points).encode()
    )
    with pytest.raises(SourceError, match="not a chart of stablecoins"):
        defillama.parse_totals(body)


TRADES = 600


def trades(first: datetime) -> bytes:
    """A day of trades, evenly from `first` on."""
    start = int(first.replace(tzinfo=UTC).timestamp() * 1000)
    step = DAY_MS // TRADES
    lines = [f"{n},{start + n * step},100,1,{'buy' if n % 2 else 'sell'},0" for n in range(TRADES)]
    return ("id,timestamp,price,volume,side,rpi\n" + "\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(("hours", "lost"), [(0, 0), (8, 200)])
def test_trades_by_another_clock_are_quarantined(hours: int, lost: int, tmp_path: Path):
    path, day = tmp_path / "trades", datetime(2026, 3, 1)
    path.write_bytes(trades(day + timedelta(hours=hours)))
    layout = EXCHANGES["bybit"].flows.layout  # pyright: ignore[reportAttributeAccessIssue]
    done = reduce_file(Task(str(path), "bybit 2026-03-01", layout, "BTCUSDT", (day, day + timedelta(days=1))))
    assert done.refused.count == lost
    assert all("outside of the file's days" in why for _, why, _ in done.refused.rows)
    assert sum(total.all.count for total in done.sums.values()) == TRADES - lost


def test_a_cut_file_of_trades_is_refused_as_a_whole(tmp_path: Path):
    path, day = tmp_path / "trades", datetime(2026, 3, 1)
    path.write_bytes(gzip.compress(trades(day))[:-100])
    layout = EXCHANGES["bybit"].flows.layout  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(SourceError, match="bybit 2026-03-01"):
        reduce_file(Task(str(path), "bybit 2026-03-01", layout, "BTCUSDT", (day, day + timedelta(days=1))))


# --- raw tables, built and judged

LAST = raw_market.LAST
COINS = 22
"""of each exchange: R10 judges a quarter of twenty symbols"""
SOUND = [
    f"""
    INSERT INTO raw.spot_symbols
    SELECT exchange, 'F' || n || tail, 'F' || n, 'USDT', 'TRADING', true, true, 'b', 1, now()::TIMESTAMP
    FROM range({COINS}) AS coins(n), (VALUES ('binance', 'USDT'), ('okx', '-USDT')) AS e(exchange, tail)
    """,
    "INSERT INTO raw.spot_symbols VALUES ('binance', 'NEWUSD1USDT', 'NEWUSD1', 'USDT', 'TRADING', true, true, 'b', 1, "
    "now()::TIMESTAMP)",
    *(
        f"INSERT INTO raw.stablecoins BY NAME SELECT '{id}' AS stablecoin_id, '{name}' AS symbol, '{name}' AS name, "
        "'peggedUSD' AS peg_type, true AS is_followed, 'b' AS body_sha256, 1 AS load_id, now()::TIMESTAMP AS loaded_at"
        for id, name in ((1, "USDT"), (2, "USDC"))
    ),
    """
    INSERT INTO raw.stablecoin_supplies BY NAME
    SELECT id AS stablecoin_id, name AS symbol, 'peggedUSD' AS peg_type, day::DATE AS utc_date,
        1e9 + 1e6 * (day::DATE - DATE '2025-06-01') AS circulating_peg, 'b' AS body_sha256, 1 AS load_id,
        now()::TIMESTAMP AS loaded_at
    FROM generate_series(DATE '2025-06-01', DATE '2025-06-30', INTERVAL 1 DAY) AS days(day),
        (VALUES ('1', 'USDT'), ('2', 'USDC')) AS coins(id, name)
    """,
]
"""Beside raw_market's pairs: coins whose takers buy when they rise, a coin of a dollar, two supplies."""
SIDES = """
    UPDATE raw.spot_flows AS f SET trade_count = 70, load_id = {load}, taker_buy_quote = (
        f.volume_quote * CASE WHEN (f.close_price > y.close_price) = ({is_right}) THEN 0.6 ELSE 0.4 END
    )::DECIMAL(38, 12)
    FROM raw.spot_flows AS y
    WHERE y.exchange = f.exchange AND y.symbol = f.symbol AND y.utc_date = f.utc_date - 1 AND f.utc_date >= '{first}'
"""
PLANTED = [
    SIDES.format(is_right="f.exchange = 'binance'", load=2, first="2025-04-01"),
    # A day read twice.
    "UPDATE raw.spot_flows AS f SET (volume_quote, taker_buy_quote) = (y.volume_quote, y.taker_buy_quote), load_id = 2 "
    "FROM raw.spot_flows AS y WHERE f.symbol = 'F0USDT' AND y.symbol = 'F0USDT' AND f.utc_date = '2025-05-20' "
    "AND y.utc_date = '2025-05-19'",
    # A thousand old ones became one.
    "UPDATE raw.spot_flows SET (open_price, high_price, low_price, close_price, load_id) = "
    "(open_price * 1000, high_price * 1000, low_price * 1000, close_price * 1000, 2) "
    "WHERE symbol = 'F1-USDT' AND utc_date >= '2025-05-10'",
    "UPDATE raw.spot_flows SET (open_price, high_price, low_price, close_price, load_id) = (1, 1.01, 0.99, 1, 2) "
    "WHERE symbol = 'NEWUSD1USDT'",
    # A month's file whose checksum is right and whose last days lack.
    "UPDATE raw.spot_flows SET (source_kind, load_id) = ('archive', 2) "
    "WHERE symbol = 'F2USDT' AND utc_date < '2025-05-01'",
    "DELETE FROM raw.spot_flows WHERE symbol = 'F2USDT' AND utc_date BETWEEN '2025-04-26' AND '2025-04-30'",
    # A day that the upstream changed.
    "INSERT INTO raw.spot_flows_history BY NAME SELECT *, 2 AS replaced_by_load_id, now()::TIMESTAMP AS replaced_at "
    "FROM raw.spot_flows WHERE symbol = 'SOLUSDT' AND utc_date = '2025-06-01'",
    "UPDATE raw.spot_flows SET (taker_buy_quote, load_id) = (0, 2) "
    "WHERE symbol = 'SOLUSDT' AND utc_date = '2025-06-01'",
    # One supply stands still, the other is not told any more.
    "UPDATE raw.stablecoin_supplies SET circulating_peg = 1e9 WHERE symbol = 'USDT' AND utc_date > '2025-06-20'",
    "DELETE FROM raw.stablecoin_supplies WHERE symbol = 'USDC' AND utc_date > '2025-06-20'",
    # A venue that is no more.
    "DELETE FROM raw.spot_flows WHERE exchange = 'okx' AND utc_date > '2025-06-24'",
    # What no parser and no suite at the door has seen: a day of the future, and takers above the volume.
    "INSERT INTO raw.spot_flows BY NAME SELECT * REPLACE (DATE '2025-07-15' AS utc_date, 2 AS load_id) "
    "FROM raw.spot_flows WHERE symbol = 'F3USDT' AND utc_date = '2025-06-15'",
    "UPDATE raw.spot_flows SET (taker_buy_quote, load_id) = (volume_quote + 1, 2) WHERE symbol = 'F4USDT'",
]
CHECKS = ("bars", "polarity", "stablecoins", "revisions", "coverage", "dates", "flow_bounds", "unclassified_assets")
SUITES = ["quality_dq_dates", "quality_dq_flow_bounds", "quality_dq_unclassified_assets"]
SELECTED = ["--exclude-resource-type", "test", "unit_test", "--select", *(f"+dq_{name}" for name in CHECKS)]


@dataclass(frozen=True)
class Judged:
    """What checks said: rows that do not pass as check, scope, severity → days; suites that block; suites' messages."""

    failing: dict[tuple[str, str, str], list[date]]
    blocking: set[str]
    messages: str


def judged(data: Path, validator: Validator) -> Judged:
    warehouse = Warehouse(data / "warehouse.duckdb")
    failing: dict[tuple[str, str, str], list[date]] = {}
    for name in ("bars", "polarity", "stablecoins", "revisions", "coverage"):
        rows = f"SELECT * FROM quality.dq_{name} WHERE NOT passed OR check_id = 'R23' ORDER BY utc_date"
        for row in warehouse.read(rows).to_pylist():
            failing.setdefault((row["check_id"], row["scope"], row["severity"]), []).append(row["utc_date"])
    reports = validator.check_many(checked_frames(warehouse, SUITES))
    blocking = {report.suite for report in reports if report.blocking}
    return Judged(failing, blocking, "\n".join(report.message for report in reports))


@pytest.fixture(scope="module")
def before_and_after(tmp_path_factory: pytest.TempPathFactory, validator: Validator) -> tuple[Judged, Judged]:
    """The market without a fault, then with all of them, built as one more run builds it."""
    data = tmp_path_factory.mktemp("built")
    raw_market.make(data)
    raw_market.execute(data, *SOUND)
    raw_market.execute(data, raw_market.ROWS, load=1, first=raw_market.START, last=LAST)
    raw_market.execute(
        data,
        "UPDATE raw.spot_flows SET volume_quote = volume_quote + (utc_date - DATE '2020-01-01') / 1000",
        SIDES.format(is_right="true", load=1, first=raw_market.START),
        "DELETE FROM raw.spot_flows WHERE symbol = 'NEWUSD1USDT' AND utc_date <= '2025-06-20'",
    )
    raw_market.build(data, ["--full-refresh", *SELECTED, "int_days_built"])
    before = judged(data, validator)
    raw_market.execute(data, *PLANTED)
    raw_market.build(data, [*SELECTED, "int_days_built"], same_models=True)
    return before, judged(data, validator)


@pytest.mark.chaos
def test_without_a_fault_nothing_blocks(before_and_after: tuple[Judged, Judged]):
    before, _ = before_and_after
    assert before.blocking == set()
    assert before.failing == {("R23", "all tables", "report"): [LAST]}


@pytest.mark.chaos
def test_every_planted_fault_is_told_by_the_check_that_knows_it(before_and_after: tuple[Judged, Judged]):
    _, after = before_and_after
    # A unit of time and swapped columns that nobody saw at the door block.
    assert after.blocking == {"quality_dq_dates", "quality_dq_flow_bounds"}
    assert "Priced at one US dollar: a stablecoin among the altcoins?" in after.messages
    assert "base_asset=NEWUSD1, is_near_dollar=True" in after.messages
    restated = after.failing.pop(("R23", "spot_flows", "report"))
    assert len(restated) == 1
    gone = [date(2025, 6, day) for day in range(25, 31)]
    assert after.failing == {
        ("R4", "binance", "block"): [LAST],
        ("R6", "binance repeated", "warning"): [date(2025, 5, 20)],
        ("R6", "binance cut month", "warning"): [date(2025, 5, 1)],
        ("R6", "okx unit", "warning"): [date(2025, 5, 10)],
        ("R7", "binance days", "warning"): [date(2025, 4, day) for day in range(26, 31)],
        ("R7", "okx days", "warning"): gone,
        ("R7", "okx", "warning"): [LAST],
        ("R10", "okx", "warning"): [LAST],
        ("R20", "USDT 1 flat", "flag"): [LAST],
        ("R20", "USDC 2 age", "flag"): [date(2025, 6, 20)],
        ("R27", "okx", "warning"): [LAST],
    }
