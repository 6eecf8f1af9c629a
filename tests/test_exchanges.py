"""The contract of every exchange in the registry, on a fixture typed from what was recorded.

A fixture is `tests/fixtures/<exchange>.json`:

    symbols    what the bodies of `fetch_symbols` hold, one after the other (JSON, or text for anything else)
    pairs      symbol → [base, quote, is_trading], as they must be read
    flows      symbol (null: named in each row), start, end (days [start, end)), and one of
               klines: bodies of bars; lines: the lines of a trade file; pages: bodies of trades
    expected   rows of symbol, utc_date, taker_buy_quote, taker_sell_quote, trade_count
"""

import dataclasses
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.reduce import Task, reduce_file
from orchestration.sources.body import Body
from orchestration.sources.exchange import Exchange, Klines, TradeFiles, TradePages
from orchestration.sources.registry import EXCHANGES
from orchestration.sources.trades import TRADES, Side
from orchestration.trade_sums import Summer, Sums

FIXTURES = Path(__file__).parent / "fixtures"
TRADED = [name for name, exchange in EXCHANGES.items() if not isinstance(exchange.flows, Klines)]


def fixture_of(name: str) -> dict[str, Any]:
    path = FIXTURES / f"{name}.json"
    assert path.is_file(), f"{name} is in the registry and has no fixture {path}"
    return json.loads(path.read_text())


def body(name: str, dataset: str, content: Any, **context: str) -> Body:
    raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    return Body(name, dataset, f"https://{name}.example/", 200, datetime(2026, 8, 1), raw, context)


def flows_of(name: str, exchange: Exchange, tmp_path: Path) -> dict[tuple[str, date], tuple[Decimal, Decimal, int]]:
    """Taker buy, taker sell (quote) and count by symbol and day, as the exchange's own parsers give them."""
    flows = fixture_of(name)["flows"]
    now = datetime(2026, 8, 1).isoformat()
    context = {"symbol": flows["symbol"] or "*", "start": flows["start"], "end": flows["end"], "now": now}
    if isinstance(exchange.flows, Klines):
        bodies = [body(name, "spot_flows", content, **context) for content in flows["klines"]]
        parsed = exchange.flows.parse(*bodies)
        assert not parsed.refused
        rows = parsed.tables["spot_flows"].to_pylist()
        return {
            (r["symbol"], r["utc_date"]): (
                r["taker_buy_quote"],
                r["volume_quote"] - r["taker_buy_quote"],
                r["trade_count"],
            )
            for r in rows
        }
    sums = traded(name, exchange.flows, flows, context, tmp_path)
    return {
        key: (day.buys.quote, day.all.quote - day.buys.quote, day.all.count)
        for key, day in sums.items()
        if date.fromisoformat(flows["start"]) <= key[1] < date.fromisoformat(flows["end"])
    }


def traded(name: str, flows: TradeFiles | TradePages, typed: dict, context: dict, tmp_path: Path) -> Sums:
    if isinstance(flows, TradeFiles):
        path = tmp_path / "file"
        path.write_bytes("".join(line + "\n" for line in typed["lines"]).encode(flows.layout.encoding))
        done = reduce_file(Task(str(path), name, flows.layout, typed["symbol"]))
        assert not done.refused.rows
        return done.sums
    summer = Summer(typed["symbol"])
    for content in typed["pages"]:
        page = flows.parse(body(name, "spot_trades", content, **context))
        assert page.schema.equals(TRADES), page.schema
        side = pl.Series(page["side"].to_pylist(), dtype=pl.String).str.to_lowercase()
        assert set(side) <= {*flows.side.buy, *flows.side.sell}
        frame = pl.DataFrame(
            {"id": page["id"].to_pylist(), "time_us": page["time_us"].to_pylist()},
            schema={"id": pl.Int64, "time_us": pl.Int64},
        ).with_columns(
            pl.Series("price", page["price"].to_pylist(), pl.String),
            pl.Series("size", page["size"].to_pylist(), pl.String),
            side.is_in(list(flows.side.taker_buys)).alias("taker_buys"),
        )
        assert summer.add(frame.drop("id") if frame["id"].null_count() else frame) is None
    return summer.sums


def expected_of(name: str) -> dict[tuple[str, date], tuple[Decimal, Decimal, int]]:
    return {
        (row["symbol"], date.fromisoformat(row["utc_date"])): (
            Decimal(row["taker_buy_quote"]),
            Decimal(row["taker_sell_quote"]),
            row["trade_count"],
        )
        for row in fixture_of(name)["expected"]
    }


@pytest.mark.parametrize("name", EXCHANGES)
def test_symbols_are_read_as_pairs(name: str):
    typed = fixture_of(name)
    rows = [
        row
        for content in typed["symbols"]
        for row in EXCHANGES[name].parse_symbols(body(name, "spot_symbols", content)).tables["spot_symbols"].to_pylist()
    ]
    assert typed["pairs"], "a fixture without pairs proves nothing"
    assert {r["symbol"]: [r["base_asset"], r["quote_asset"], r["is_trading"]] for r in rows} == typed["pairs"]
    assert {row["exchange"] for row in rows} == {name}
    pair_of = EXCHANGES[name].pair_of
    if pair_of:
        assert {symbol: list(pair_of(symbol) or ()) for symbol in typed["pairs"]} == {
            symbol: pair[:2] for symbol, pair in typed["pairs"].items()
        }


@pytest.mark.parametrize("name", EXCHANGES)
def test_takers_buy_and_sell_what_was_worked_out_by_hand(name: str, tmp_path: Path):
    wanted = expected_of(name)
    assert wanted, "a fixture without rows proves nothing"
    assert any(buy != sell for buy, sell, _ in wanted.values()), "equal sides would not show a flipped one"
    assert flows_of(name, EXCHANGES[name], tmp_path) == wanted


@pytest.mark.parametrize("name", TRADED)
def test_a_flipped_side_is_caught(name: str, tmp_path: Path):
    """The polarity registry is not decoration: read the other way round, the fixture does not come out."""
    exchange = EXCHANGES[name]
    assert isinstance(exchange.flows, TradeFiles | TradePages)
    side = exchange.flows.side
    flipped = Side(side.buy, side.sell, "maker" if side.of == "taker" else "taker", side.source)
    if isinstance(exchange.flows, TradeFiles):
        flows = dataclasses.replace(exchange.flows, layout=dataclasses.replace(exchange.flows.layout, side=flipped))
    else:
        flows = dataclasses.replace(exchange.flows, side=flipped)
    wrong = flows_of(name, dataclasses.replace(exchange, flows=flows), tmp_path)
    assert wrong != expected_of(name)
    assert wrong == {key: (sell, buy, count) for key, (buy, sell, count) in expected_of(name).items()}


@pytest.mark.parametrize("name", EXCHANGES)
def test_every_exchange_says_whose_side_it_names_and_where_that_is_written(name: str):
    assert EXCHANGES[name].flows.side.source
