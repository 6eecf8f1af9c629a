"""What OKX says of days whose trades it has not published yet: what it traded, until the archive says so itself."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any, cast

import duckdb
import pytest

from orchestration.asking.context import Asking, Known, Listing
from orchestration.asking.estimates import ask_estimates, together
from orchestration.builder import Builder
from orchestration.defs.raw import raw_assets
from orchestration.defs.window import months
from orchestration.expectations.validator import Validator
from orchestration.load import Fetched
from orchestration.plan import Symbol
from orchestration.run import Companions, Upstreams, open_run
from orchestration.sandbox.generated import GeneratedMarket
from orchestration.sandbox.market import DAY_MS, HOUR_MS, midnight_ms
from orchestration.settings import Settings
from orchestration.sources import okx
from orchestration.sources.body import SourceError, Window
from orchestration.sources.exchange import TradeFiles
from orchestration.sources.http import Http
from tests.commandline import altflow
from tests.test_all_exchanges import SIZE, days, sandbox, told
from tests.test_sources import Script

START, NOW = date(2023, 2, 1), date(2023, 2, 9)
LATER = NOW + timedelta(days=4)
DIGITS = Decimal("0.0001")
"""what the endpoint prints of an hour"""
DATASETS = {"spot_symbols", "spot_flows", "taker_estimates"}

Told = dict[tuple[str, date], tuple[Decimal, Decimal]]
"""by asset and day: bought, sold"""


def unpublished(now: date, start: date = START) -> list[date]:
    flows = cast(TradeFiles, okx.EXCHANGE.flows)
    return [day for day in days(start, now) if flows.due(day) > datetime(now.year, now.month, now.day)]


def traded(market: GeneratedMarket, day: date, hour: int | None = None) -> dict[str, tuple[Decimal, Decimal]]:
    """Bought and sold on OKX on a day, or in one of its hours, by the sides on its labels and over all quotes."""
    start = midnight_ms(day) + (hour or 0) * HOUR_MS
    end = start + (DAY_MS if hour is None else HOUR_MS)
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for name, pair in market.listings("okx").items():
        trades = market.trades("okx", name, start, end)
        sides = [sum(map(int, trades.size[which])) for which in (trades.labelled_buys, ~trades.labelled_buys)]
        bought, sold = (Decimal(units).scaleb(-pair.base_decimals) for units in sides)
        before = found.get(pair.base, (Decimal(0), Decimal(0)))
        found[pair.base] = before[0] + bought, before[1] + sold
    return found


def printed(market: GeneratedMarket, day: date) -> dict[str, tuple[Decimal, Decimal]]:
    """The same as the sum of hours, each as the endpoint prints it."""
    sums: dict[str, tuple[Decimal, Decimal]] = {}
    for hour in range(24):
        for asset, sides in traded(market, day, hour).items():
            before = sums.get(asset, (Decimal(0), Decimal(0)))
            bought, sold = (side.quantize(DIGITS, ROUND_HALF_UP) for side in sides)
            sums[asset] = before[0] + bought, before[1] + sold
    return sums


def check_told(told: Mapping[tuple[str, date], tuple[Decimal, Decimal]], now: date, wanted: list[date]) -> None:
    market = GeneratedMarket(now=now, size=SIZE)
    assets = {pair.base for pair in market.listings("okx").values() if pair.end is None}
    assert set(told) == {(asset, day) for asset in assets for day in wanted}
    fine = {pair.base for pair in market.listings("okx").values() if pair.base_decimals > 4}
    assert fine and assets - fine, "an asset of either kind"
    for day in wanted:
        exact, told_of = traded(market, day), printed(market, day)
        for asset in assets:
            assert told[asset, day] == told_of[asset], (asset, day)
            if asset in fine:
                assert all(abs(a - b) <= 12 * DIGITS for a, b in zip(told[asset, day], exact[asset], strict=True))
            else:
                assert told[asset, day] == exact[asset], (asset, day)
    assert any(len([1 for p in market.listings("okx").values() if p.base == asset]) > 1 for asset in assets)


# --- the whole command


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, list[dict]], dict]]:
    """What was published by a run, and by one four days later in the same folder; what each of them asked."""
    data = tmp_path_factory.mktemp("estimates") / "data"
    found = []
    for now in (NOW, LATER):
        with sandbox(now) as url:
            settings = {"UPSTREAMS": url, "START": START.isoformat(), "EXCHANGES": "binance okx"}
            run = altflow("run", "--source", "sandbox", "--quiet", data=data, settings=settings)
            assert run.returncode == 0, run.stdout + run.stderr
            log = told(url, "log")
        with duckdb.connect(str(data / "published" / "marts.duckdb"), read_only=True) as con:
            queries = {
                "estimates": "FROM daily_taker_estimates",
                "days": "SELECT DISTINCT utc_date FROM daily_symbol_flows WHERE exchange = 'okx' ORDER BY 1",
                "assets": "FROM daily_asset_flows",
                "untraced": "SELECT * FROM daily_taker_estimates ANTI JOIN source_files USING (body_sha256)",
                "urls": "SELECT DISTINCT url FROM source_files WHERE url LIKE '%taker-volume%'",
                "reasons": "SELECT DISTINCT utc_date, reason FROM coverage_daily WHERE exchange = 'okx' "
                "AND reason IS NOT NULL ORDER BY 1",
            }
            tables = {name: con.sql(query).to_arrow_table().to_pylist() for name, query in queries.items()}
        with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
            tables["raw"] = con.sql("FROM raw.taker_estimates").to_arrow_table().to_pylist()
            tables["stored"] = (
                con.sql(
                    "SELECT base_asset, utc_date, sum(taker_buy_base) AS bought, sum(volume_base) AS volume "
                    "FROM raw.spot_flows JOIN raw.spot_symbols USING (exchange, symbol) WHERE exchange = 'okx' "
                    "GROUP BY ALL"
                )
                .to_arrow_table()
                .to_pylist()
            )
        found.append((tables, log))
    return found


def sides(rows: list[dict], asset: str = "base_asset") -> Told:
    return {(row[asset], row["utc_date"]): (row["taker_buy_base"], row["taker_sell_base"]) for row in rows}


@pytest.mark.chaos
@pytest.mark.parametrize(("run", "now"), [(0, NOW), (1, LATER)], ids=("first", "four days later"))
def test_days_that_are_not_published_are_told_as_they_were_traded(published, run: int, now: date):
    tables, log = published[run]
    check_told(sides(tables["estimates"]), now, unpublished(now))
    assert all(row["exchange"] == "okx" and row["is_estimate"] is True for row in tables["estimates"])
    assert tables["untraced"] == [] and tables["urls"]
    assert tables["reasons"] == [{"utc_date": day, "reason": "not_published_yet"} for day in unpublished(now)]
    assert set(log["statuses"]) == {"200"}, "nobody was asked too fast"
    asked = log["requests"]["www.okx.com"]
    counted = Counter(path.partition("?")[0].rpartition("/")[2] for path in asked for _ in range(asked[path]))
    assets = {row["base_asset"] for row in tables["estimates"]}
    assert counted.pop("books") > 0, "a dataset of its own"
    assert counted == {"time": 1, "instruments": 1, "support-coin": 1, "taker-volume": len(assets)}


@pytest.mark.chaos
def test_no_other_mart_holds_an_estimate(published):
    for (tables, _), now in zip(published, (NOW, LATER), strict=True):
        assert [row["utc_date"] for row in tables["days"]] == days(START, unpublished(now)[0])


@pytest.mark.chaos
def test_dollars_are_those_of_the_day_s_price(published):
    tables, _ = published[0]
    prices = {(row["base_asset"], row["utc_date"]): row["close_price_usd"] for row in tables["assets"]}
    signs = set()
    for row in tables["estimates"]:
        price = row["price_usd"]
        assert price == prices[row["base_asset"], row["utc_date"]]
        bought, sold = float(row["taker_buy_base"]), float(row["taker_sell_base"])
        assert float(row["taker_buy_usd"]) == pytest.approx(bought * price, rel=1e-12)
        assert float(row["volume_usd"]) == pytest.approx((bought + sold) * price, rel=1e-12)
        assert row["taker_sell_usd"] == row["volume_usd"] - row["taker_buy_usd"]
        assert row["net_taker_usd"] == row["taker_buy_usd"] - row["taker_sell_usd"]
        signs.add((row["net_taker_usd"] > 0, bought > sold))
    assert signs == {(True, True), (False, False)}


@pytest.mark.chaos
def test_what_was_told_stays_in_the_raw_table_and_is_what_the_archive_says(published):
    (before, _), (after, _) = published
    kept, now = sides(after["raw"], "asset"), sides(before["raw"], "asset")
    assert now.items() <= kept.items() and len(kept) == len(now) + len(after["estimates"])
    came = {(row["base_asset"], row["utc_date"]): row for row in after["stored"]}
    for key, (bought, sold) in now.items():
        row = came[key]
        assert abs(row["bought"] - bought) <= 12 * DIGITS
        assert abs(row["volume"] - row["bought"] - sold) <= 12 * DIGITS


# --- loading


@pytest.fixture(scope="module")
def validator() -> Iterator[Validator]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Validator, "close", lambda self: None)
        yield Validator.start()


def load(data: Path, url: str, validator: Validator, start: date, end: date, run_id: str) -> list[dict]:
    """Loads OKX up to `end` (excluded); returns the gaps."""
    data.mkdir(exist_ok=True)
    settings = Settings("sandbox", data, start=start, exchanges=("okx",), upstreams=url)
    companions = Companions(validator, Upstreams(url), Builder(settings))
    with open_run(settings, run_id, DATASETS, end=end, companions=companions) as run:
        for dataset in sorted(DATASETS):
            run.ingest.load(dataset)
        return run.warehouse.gaps(run_id)


def rows(data: Path, query: str) -> list[tuple]:
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        return con.sql(query).fetchall()


@pytest.mark.chaos
def test_who_does_not_answer_is_a_gap_and_everybody_is_asked_again(tmp_path: Path, validator: Validator):
    """Also the days of a file that is late: that of 2023-01-25 holds parts of the 24th and the 25th."""
    start, now, data = date(2023, 1, 21), date(2023, 1, 30), tmp_path / "data"
    late = [date(2023, 1, 24), date(2023, 1, 25)]
    faults = ("--faults", "okx:missing:*2023-01-25.zip", "--faults", "okx:missing:*ccy=ETH&*")
    with sandbox(now, *faults) as url:
        (gap,) = load(data, url, validator, start, now, "first")
        assert (gap["upstream"], gap["dataset"], gap["reason"]) == ("okx", "taker_estimates", "failed")
        assert (gap["first_scope"], gap["count"]) == ("ETH", 2), "of two runs of days"
        told_first = rows(data, "SELECT asset, utc_date, load_id FROM raw.taker_estimates ORDER BY ALL")
        assert {row[1] for row in told_first} == {*late, *unpublished(now, start)}
        assert "ETH" not in {row[0] for row in told_first}

        told(url, "faults", {"faults": []})
        before = told(url, "log")["request_count"]
        assert load(data, url, validator, start, now, "second") == []
        again = rows(data, "SELECT asset, utc_date, load_id FROM raw.taker_estimates ORDER BY ALL")
        assert {row for row in again if row[0] != "ETH"} == set(told_first), "told again, it stays as it was stored"
        # What was late has come: its days are not asked for any more, and ETH says the others.
        assert {row[1] for row in again if row[0] == "ETH"} == set(unpublished(now, start))
        assets = {row[0] for row in again}
        assert told(url, "log")["request_count"] - before >= len(assets)
    wanted = set(unpublished(now, start))
    market = GeneratedMarket(now=now, size=SIZE)
    raw = rows(data, "SELECT asset, utc_date, taker_buy_base, taker_sell_base FROM raw.taker_estimates")
    assert {(a, d): (b, s) for a, d, b, s in raw if d in wanted} == {
        (asset, day): sides for day in wanted for asset, sides in printed(market, day).items()
    }
    asked = rows(data, "SELECT scope, max(end_date) FROM raw.asked WHERE dataset = 'taker_estimates' GROUP BY 1")
    assert dict(asked) == dict.fromkeys(assets, now)


def test_a_run_that_asks_for_no_files_asks_for_the_same_days(tmp_path: Path, validator: Validator):
    """As the one of a backfill that loads what has no partitions."""
    start, now, data = date(2023, 1, 21), date(2023, 1, 30), tmp_path / "data"
    data.mkdir()
    with sandbox(now) as url:
        settings = Settings("sandbox", data, start=start, exchanges=("okx",), upstreams=url)
        companions = Companions(validator, Upstreams(url), Builder(settings))
        with open_run(settings, "alone", {"taker_estimates"}, end=now, companions=companions) as run:
            assert run.ingest.load("taker_estimates").gaps == []
    told_of = rows(data, "SELECT DISTINCT utc_date FROM raw.taker_estimates ORDER BY 1")
    assert [day for (day,) in told_of] == unpublished(now, start)


class Silent(Script):
    """Answers, but not about what is in `silent`."""

    def __init__(self, *silent: str):
        super().__init__({"code": "0", "data": {"spot": ["SOL", "ETH", "ADA"], "contract": ["XRP"]}})
        self.silent = silent

    def get(self, host, path, params=None, weight=1, wrong=None) -> Any:
        if (params or {}).get("ccy", "list") in self.silent:
            self.asked.append({"path": path, **(params or {})})
            raise SourceError(f"{path}: HTTP 500")
        return super().get(host, path, params, weight, wrong)


def asked(http: Script, symbols: Mapping[str, bool], error: SourceError | None = None) -> list[Fetched]:
    """What is put for two days of 2026."""
    put: list[Fetched] = []
    listing = Listing(
        Fetched("okx", "spot_symbols", "", Window(date.min, date.max), error=error),
        [Symbol(name, is_trading) for name, is_trading in symbols.items()],
        datetime(2026, 3, 8, 12),
        Window(date(2026, 1, 1), date(2026, 3, 8)),
    )
    asking = Asking(
        cast(Http, http),
        listing.window,
        put.append,
        progress=lambda *_: None,
        stop=threading.Event(),
        spool=Path(),
        pool=cast(Any, None),
        open_days=Path(),
    )
    unpublished = [Window(date(2026, 3, 7), date(2026, 3, 8)), Window(date(2026, 3, 6), date(2026, 3, 7))]
    ask_estimates(asking, "okx", okx.EXCHANGE, Known([], {}, {}, {}), listing, unpublished)
    return sorted(put, key=lambda item: item.scope)


def test_each_currency_of_what_trades_is_asked_for_once():
    http = Silent()
    symbols = {
        "SOL-USDT": True,
        "SOL-BTC": True,
        "ADA-USDT": False,
        "ETH-EUR": True,
        "XRP-USDT": True,
        "nonsense": True,
    }
    items = asked(http, symbols)
    assert [(item.scope, item.window, item.error) for item in items] == [
        (asset, Window(date(2026, 3, 6), date(2026, 3, 8)), None) for asset in ("ETH", "SOL")
    ]
    assert Counter(request.get("ccy") for request in http.asked) == {None: 1, "SOL": 1, "ETH": 1}


def test_one_that_is_silent_costs_itself_only():
    items = asked(Silent("ETH"), {"SOL-USDT": True, "ETH-USDT": True})
    assert [(item.scope, item.error is None) for item in items] == [("ETH", False), ("SOL", True)]


def test_where_nobody_knows_what_can_be_asked_nobody_is_asked():
    symbols = {"SOL-USDT": True, "ETH-USDT": True}
    for http, error in ((Silent("list"), None), (Silent(), SourceError("no listing"))):
        (item,) = asked(http, symbols, error)
        assert (item.scope, item.dataset, item.window.start) == ("every asset", "taker_estimates", date(2026, 3, 6))
        assert item.error and len(http.asked) <= 1


def test_days_are_asked_for_in_the_longest_runs():
    def window(first: int, end: int) -> Window:
        return Window(date(2026, 3, first), date(2026, 3, end))

    assert together([]) == []
    assert together([window(8, 9), window(2, 4), window(3, 5), window(7, 8)]) == [window(2, 5), window(7, 9)]


def test_the_asset_is_there_only_where_an_exchange_tells_estimates():
    for exchanges, wanted in (("binance", "bybit"), False), (("binance", "okx"), True):
        assets = raw_assets(months(START), exchanges)
        found = [asset for asset in assets for key in asset.keys if key.path == ["raw", "taker_estimates"]]
        assert bool(found) is wanted
        for asset in found:
            assert {key.path[-1] for keys in asset.asset_deps.values() for key in keys} == {"okx"}
