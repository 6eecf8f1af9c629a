"""Trade files to daily flows: sums by hand, exact whatever the digits, every row counted once or refused."""

import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from isal import igzip

from orchestration import trade_text
from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout, Side
from orchestration.trade_sums import SCREENS, Amounts, DaySum, Sums, merged

TAKER = Side(("buy",), ("sell",), "taker", "this test")
COLUMNS = {"id": "id", "timestamp": "time", "price": "price", "volume": "size", "side": "side"}
BYBIT_LIKE = Layout(("id", "time", "price", "size", "side"), COLUMNS, "ms", TAKER)
NOON_MS = 1_772_366_400_000  # 2026-03-01 12:00 UTC
DAY = date(2026, 3, 1)
HEADER = "id,timestamp,price,volume,side\n"


def reduced(
    tmp_path: Path, text: str | bytes, layout: Layout = BYBIT_LIKE, symbol: str | None = "BTCUSDT", **o
) -> Reduced:
    path = tmp_path / "trades"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    options = {name: o.pop(name) for name in ("spill_bytes",) if name in o}
    return reduce_file(Task(str(path), "bybit BTCUSDT 2026-03-01", layout, symbol, **o), **options)


def only_day(done: Reduced) -> DaySum:
    (day,) = done.sums.values()
    return day


def test_three_trades_by_hand(tmp_path: Path):
    rows = [
        f"1,{NOON_MS},100.5,2,buy",
        f"2,{NOON_MS + 1},100,0.5,sell",
        f"3,{NOON_MS + 2},101.25,20,buy",
    ]
    day = only_day(reduced(tmp_path, HEADER + "\n".join(rows) + "\n"))
    assert (day.all.count, day.all.base, day.all.quote) == (3, Decimal("22.5"), Decimal("2276"))
    assert (day.buys.count, day.buys.base, day.buys.quote) == (2, Decimal("22"), Decimal("2226"))
    assert (day.low, day.high) == (Decimal("100"), Decimal("101.25"))
    assert day.first is not None and day.last is not None
    assert (day.first[2], day.last[2]) == (Decimal("100.5"), Decimal("101.25"))
    # 101.25 x 20 = 2,025 is the only one of 1,000 and more.
    assert [(s.count, s.quote) for s in day.sized] == [(1, Decimal("2025")), (0, 0), (0, 0)]


def test_counts_of_screens_by_hand(tmp_path: Path):
    """Sizes 2, 2.01 and 0.5 begin with 2, 2 and 5; 2 and 0.5 are round. The second repeats the first from the other
    side, the fourth the third from the same; the fifth is another price."""
    rows = [
        f"1,{NOON_MS},100,2,buy",
        f"2,{NOON_MS + 1},100,2.01,sell",
        f"3,{NOON_MS + 2},101,0.5,sell",
        f"4,{NOON_MS + 3},101,0.5,sell",
        f"5,{NOON_MS + 4},102,0.5,buy",
    ]
    counts = dict(zip(SCREENS, only_day(reduced(tmp_path, HEADER + "\n".join(rows) + "\n")).screens, strict=True))
    assert {name: count for name, count in counts.items() if count} == {
        "sampled": 5,
        "digit_2": 2,
        "digit_5": 3,
        "round": 4,
        "twin": 2,
        "crossed_twin": 1,
    }


@pytest.mark.parametrize("packed", ["plain", "gzip", "zip", "two gzips", "crlf", "no header", "no last line end"])
def test_packing_does_not_matter(tmp_path: Path, packed: str):
    text = HEADER + f"1,{NOON_MS},3,2,buy\n2,{NOON_MS},3,1,sell\n"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../etc/x.csv", text)
    contents: dict[str, str | bytes] = {
        "plain": text,
        "gzip": gzip.compress(text.encode()),
        "zip": zipped.getvalue(),
        "two gzips": gzip.compress(text[:40].encode()) + gzip.compress(text[40:].encode()),
        "crlf": text.replace("\n", "\r\n"),
        "no header": text.removeprefix(HEADER),
        "no last line end": text.rstrip("\n"),
    }
    day = only_day(reduced(tmp_path, contents[packed]))
    assert (day.all.count, day.all.quote, day.buys.quote) == (2, Decimal(9), Decimal(6))


def test_the_recorded_answers_give_the_expected_sums(tmp_path: Path, shared: Path):
    expected = json.loads((shared / "fixtures" / "ORACLE.json").read_text())["expected"]
    name = "bybit/spot_trades_BTCUSDT_2026-07-29.csv"
    ((day, wanted),) = expected[name].items()
    covers = (datetime(2026, 7, 29), datetime(2026, 7, 30))
    done = reduced(tmp_path, (shared / "fixtures" / name).read_bytes(), covers=covers)
    total = done.sums["BTCUSDT", date.fromisoformat(day)]
    assert total.buys.quote == Decimal(wanted["taker_buy_quote"])
    assert total.all.quote - total.buys.quote == Decimal(wanted["taker_sell_quote"])
    assert total.all.count == wanted["trades"]


def test_ids_that_begin_anew_every_day_are_no_repetition(tmp_path: Path):
    """A month of Bybit numbers each of its days from 1."""
    noons = [NOON_MS + day * 86_400_000 for day in range(3)]
    rows = [f"{i},{noon + i},3,{i},buy" for noon in noons for i in (1, 2, 3)]
    done = reduced(tmp_path, HEADER + "\n".join([*rows, rows[4]]) + "\n")
    assert {day.day: total.all.quote for (_, day), total in done.sums.items()} == {1: 18, 2: 18, 3: 18}
    assert (done.trade_count, done.repeated_count) == (9, 1)


def test_the_dearest_and_the_smallest_coin_of_one_file_are_exact(tmp_path: Path):
    """Side by side their digits fill 128 bits, and nothing is rounded or counted into another bucket."""
    names = {"instrument": "symbol", "trade": "id", "side": "side", "price": "price", "size": "size", "at": "time"}
    layout = Layout(("symbol", "id", "side", "price", "size", "time"), names, "ms", TAKER)
    typed = {"BTC-USDT": ("118123.4", "0.84656893"), "TINY-USDT": ("1.4345e-09", "696969696969.7")}
    rows = [f"{name},{i},buy,{p},{s},{NOON_MS + i}" for i in range(50) for name, (p, s) in typed.items()]
    done = reduced(tmp_path, "instrument,trade,side,price,size,at\n" + "\n".join(rows) + "\n", layout, None)
    for name, (price, size) in typed.items():
        total, amount = done.sums[name, DAY], Decimal(price) * Decimal(size)
        assert (total.all.count, total.all.base, total.all.quote) == (50, 50 * Decimal(size), 50 * amount)
        assert [s.count for s in total.sized] == [50 * (amount >= bound) for bound in (1000, 10_000, 100_000)]
    assert done.sums["BTC-USDT", DAY].sized[1].count == 50 and done.sums["TINY-USDT", DAY].sized[0].count == 0


# --- against an independent computation ----------------------------------------------------------

SYMBOLS = ("AAA-USDT", "BBB-USDT", "C-BTC", "1INCH-USD", "ÄÖ-USDT")
ALL_NAMED = Layout(
    ("symbol", "id", "side", "price", "size", "time"),
    {"instrument_name": "symbol", "trade_id": "id", "side": "side", "price": "price", "size": "size", "at": "time"},
    "ms",
    TAKER,
)
ALL_HEADER = "instrument_name,trade_id,side,price,size,at,source\n"
UNITS = {"us": 1, "ms": 1000, "s": 1_000_000}
EXACT = Context(prec=500)
UNHURRIED = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]


@dataclass(frozen=True)
class Trade:
    symbol: str
    id: int
    time_us: int
    price: str
    size: str
    is_buy: bool

    def line(self, unit: str = "ms", side: str | None = None) -> str:
        time = f"{Decimal(self.time_us) / UNITS[unit]:f}" if unit == "s" else str(self.time_us // UNITS[unit])
        word = side or ("buy" if self.is_buy else "sell")
        return f"{self.symbol},{self.id},{word},{self.price},{self.size},{time},x"


def expected(trades: list[Trade]) -> tuple[dict[tuple[str, date], dict], int]:
    """What trade files say they must come to, one trade at a time; and how many were there twice."""
    days: dict[tuple[str, date], list[Trade]] = {}
    seen, repeated = set(), 0
    for trade in trades:
        key = (trade.symbol, (datetime(1970, 1, 1) + timedelta(microseconds=trade.time_us)).date())
        if (key, trade.id) in seen:
            repeated += 1
            continue
        seen.add((key, trade.id))
        days.setdefault(key, []).append(trade)

    def total(some: list[Trade]) -> tuple[int, Decimal, Decimal]:
        base = quote = Decimal(0)
        for trade in some:
            base = EXACT.add(base, Decimal(trade.size))
            quote = EXACT.add(quote, amount(trade))
        return len(some), base, quote

    def amount(trade: Trade) -> Decimal:
        return EXACT.multiply(Decimal(trade.price), Decimal(trade.size))

    found = {}
    for key, day in days.items():
        ordered = sorted(day, key=lambda trade: (trade.time_us, trade.id))
        bought = [trade for trade in day if trade.is_buy]
        found[key] = {
            "all": total(day),
            "buys": total(bought),
            "prices": [
                Decimal(ordered[0].price),
                max(Decimal(trade.price) for trade in day),
                min(Decimal(trade.price) for trade in day),
                Decimal(ordered[-1].price),
            ],
            "sized": [total([t for t in day if amount(t) >= bound]) for bound in (1_000, 10_000, 100_000)],
            "sized_buys": [total([t for t in bought if amount(t) >= bound]) for bound in (1_000, 10_000, 100_000)],
        }
    return found, repeated


def plain(sums: Sums) -> dict[tuple[str, date], dict]:
    """Sums in the form of `expected`."""

    def of(some: Amounts) -> tuple[int, Decimal, Decimal]:
        return some.count, some.base, some.quote

    found = {}
    for key, day in sums.items():
        assert day.first and day.last
        found[key] = {
            "all": of(day.all),
            "buys": of(day.buys),
            "prices": [day.first[2], day.high, day.low, day.last[2]],
            "sized": [of(some) for some in day.sized],
            "sized_buys": [of(some) for some in day.sized_buys],
        }
    return found


@contextmanager
def small_blocks(block: int, chunk: int, lines: int = 1) -> Iterator[None]:
    """Every border between blocks is met; `lines`: bytes below which a block with an unsound line is read by line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trade_text, "BLOCK_BYTES", block)
        patch.setattr(trade_text, "CHUNK_BYTES", chunk)
        patch.setattr(trade_text, "LINES_BYTES", lines)
        yield


def digits(most: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=1, max_size=most)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    """Decimal text above zero, of up to 38 digits, in every spelling that archives have."""
    whole, decimals = (
        draw(digits(draw(st.sampled_from([1, 3, 6, 12])))),
        draw(digits(draw(st.sampled_from([1, 4, 20])))),
    )
    form = draw(st.sampled_from(["whole", "plain", "plain", "plain", "tiny", "scientific", "zeros", "bare"]))
    text = {
        "whole": whole,
        "plain": f"{whole}.{decimals}",
        "tiny": "0." + "0" * draw(st.integers(0, 18)) + decimals[:4],
        "scientific": f"{whole[:1]}.{decimals[:8]}",
        "zeros": f"00{whole}.{decimals}000",
        "bare": draw(st.sampled_from([f"+{whole}.{decimals}", f"{whole}.", f".{decimals}"])),
    }[form]
    text = text if Decimal(text) else text.replace("0", "7")
    exponent = f"{draw(st.sampled_from('eE'))}{draw(st.sampled_from(['', '+', '-']))}{draw(st.integers(0, 12)):02d}"
    return text + exponent if form == "scientific" else text


@st.composite
def some_trades(draw: st.DrawFn) -> list[Trade]:
    count = draw(st.integers(1, 40))
    day_us = 86_400_000_000
    symbols = st.sampled_from(SYMBOLS[: draw(st.integers(1, 5))])
    times = st.integers(0, 3 * day_us // 1000 - 1) | st.sampled_from([0, 1, day_us // 1000 - 1, day_us // 1000])
    # Many trades of one coin have few digits, and in one file another coin has many.
    simple = st.builds("{}.{}".format, st.integers(1, 99_999), digits(2))
    number = draw(st.sampled_from([simple, numbers(), simple | numbers()]))
    trades = [
        Trade(
            draw(symbols),
            draw(st.integers(0, 12)) if draw(st.booleans()) else place,
            draw(times) * 1000 + 1_772_323_200_000_000,
            draw(number),
            draw(number),
            draw(st.booleans()),
        )
        for place in range(count)
    ]
    order = draw(st.sampled_from(["as it comes", "symbol", "time", "descending", "ids"]))
    keys: dict[str, Callable[[Trade], Any]] = {
        "as it comes": lambda trade: 0,
        "symbol": lambda trade: trade.symbol,
        "time": lambda trade: trade.time_us,
        "descending": lambda trade: -trade.time_us,
        "ids": lambda trade: -trade.id,
    }
    trades.sort(key=keys[order])
    again = draw(st.sampled_from(["no", "some", "all twice", "all three times"]))
    if again == "some":
        trades += [trades[draw(st.integers(0, len(trades) - 1))] for _ in range(3)]
    return trades * {"no": 1, "some": 1, "all twice": 2, "all three times": 3}[again]


@settings(max_examples=60, deadline=None, suppress_health_check=UNHURRIED)
@given(some_trades(), st.integers(1, 3000), st.integers(1, 3000), st.sampled_from(["plain", "gzip", "zip"]), st.data())
def test_sums_are_those_of_an_independent_computation(
    trades: list[Trade], block: int, chunk: int, packed: str, data: st.DataObject
):
    text = (ALL_HEADER + "\n".join(trade.line() for trade in trades) + data.draw(st.sampled_from(["", "\n"]))).encode()
    spill = data.draw(st.sampled_from([1, 100, 10**9]))
    with tempfile.TemporaryDirectory() as folder, small_blocks(block, chunk):
        done = reduced(Path(folder), PACKED[packed](text), ALL_NAMED, None, spill_bytes=spill)
    wanted, repeated = expected(trades)
    assert plain(done.sums) == wanted
    assert not done.refused.rows
    assert (done.repeated_count, done.trade_count) == (repeated, len(trades) - repeated)


def test_a_bound_is_told_from_numbers_of_thirty_three_decimals() -> None:
    """100,000 in units of 1e-33 is 1e38: more than 2**126, and not more than amounts may be."""
    large = Trade("AAA-USDT", 1, NOON_MS * 1000, "0039776.700366000", "3", True)
    fine = Trade("AAA-USDT", 2, NOON_MS * 1000, "7", "0.000000000000000413", False)
    text = (ALL_HEADER + "\n".join([large.line(), fine.line()])).encode()
    with tempfile.TemporaryDirectory() as folder:
        done = reduced(Path(folder), text, ALL_NAMED, None)
    (day,) = done.sums.values()
    assert [some.count for some in day.sized] == [1, 1, 1] and day.sized[2].quote == Decimal("119330.101098")


def zipped(text: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", method) as archive:
        archive.writestr("trades.csv", text)
    return body.getvalue()


PACKED: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gzip.compress, "zip": zipped}


# --- what is no trade ----------------------------------------------------------------------------

GOOD = Trade("AAA-USDT", 5, NOON_MS * 1000, "1.5", "2", True)
LATE = date(2026, 3, 1)
UNSOUND: dict[str, tuple[str | bytes, str, date | None]] = {
    "too few cells": (f"AAA-USDT,5,buy,1.5,2,{NOON_MS}", "6 cells instead of 7", LATE),
    "too many cells": (GOOD.line() + ",y", "8 cells instead of 7", LATE),
    "an empty cell too many": (GOOD.line() + ",", "8 cells instead of 7", LATE),
    "two lines in one": (GOOD.line() + GOOD.line(), "13 cells instead of 7", LATE),
    "one word": ("end", "1 cells instead of 7", None),
    "NaN": (f"AAA-USDT,5,buy,NaN,2,{NOON_MS},x", "price 'NaN' is not a positive number", LATE),
    "infinite": (f"AAA-USDT,5,buy,1.5,Infinity,{NOON_MS},x", "size 'Infinity' is not a positive number", LATE),
    "inf": (f"AAA-USDT,5,buy,inf,2,{NOON_MS},x", "price 'inf' is not a positive number", LATE),
    "huge": (f"AAA-USDT,5,buy,1e308,2,{NOON_MS},x", "price '1e308' has more than 38 digits", LATE),
    "beyond a double": (f"AAA-USDT,5,buy,1e999,2,{NOON_MS},x", "price '1e999' has more than 38 digits", LATE),
    "tiny": (f"AAA-USDT,5,buy,1e-300,2,{NOON_MS},x", "price '1e-300' has more than 38 digits", LATE),
    "below a double": (f"AAA-USDT,5,buy,1.5,1e-999999999,{NOON_MS},x", "has more than 38 digits", LATE),
    "40 digits": (f"AAA-USDT,5,buy,{'1234567890' * 4},2,{NOON_MS},x", "has more than 38 digits", LATE),
    "40 decimals": (f"AAA-USDT,5,buy,0.{'1234567890' * 4},2,{NOON_MS},x", "has more than 38 digits", LATE),
    "an amount of 27 digits": (f"AAA-USDT,5,buy,1e13,1e13,{NOON_MS},x", "more than 26 digits before the point", LATE),
    "zero": (f"AAA-USDT,5,buy,0,2,{NOON_MS},x", "price '0' is not above zero", LATE),
    "zero, long": (f"AAA-USDT,5,buy,1.5,0.00000000,{NOON_MS},x", "size '0.00000000' is not above zero", LATE),
    "negative": (f"AAA-USDT,5,buy,1.5,-2,{NOON_MS},x", "size '-2' is not a positive number", LATE),
    "space": (f"AAA-USDT,5,buy,1.5, 2,{NOON_MS},x", "size ' 2' is not a positive number", LATE),
    "thousands": (f"AAA-USDT,5,buy,1_000,2,{NOON_MS},x", "price '1_000' is not a positive number", LATE),
    "a comma for a point": (f"AAA-USDT,5,buy,1,5,2,{NOON_MS},x", "8 cells instead of 7", None),
    "quotes": (f'"AAA-USDT","5","buy","1.5","2","{NOON_MS}","x"', "id '\"5\"' is not a whole number", None),
    "one quoted": (f'AAA-USDT,5,buy,"1.5",2,{NOON_MS},x', "price '\"1.5\"' is not a positive number", LATE),
    "an open quote": (f'AAA-USDT,5,"buy,1.5,2,{NOON_MS},x', "side '\"buy' is no side", LATE),
    "no price": (f"AAA-USDT,5,buy,,2,{NOON_MS},x", "price is missing", LATE),
    "no symbol": (f",5,buy,1.5,2,{NOON_MS},x", "symbol is missing", LATE),
    "null": (f"AAA-USDT,5,buy,null,2,{NOON_MS},x", "price 'null' is not a positive number", LATE),
    "wrong side": (f"AAA-USDT,5,hold,1.5,2,{NOON_MS},x", "side 'hold' is no side", LATE),
    "no side": (f"AAA-USDT,5,,1.5,2,{NOON_MS},x", "side is missing", LATE),
    "an id that is no number": (f"AAA-USDT,5a,buy,1.5,2,{NOON_MS},x", "id '5a' is not a whole number below 2^63", LATE),
    "a negative id": (f"AAA-USDT,-5,buy,1.5,2,{NOON_MS},x", "id '-5' is not a whole number below 2^63", LATE),
    "an id of 65 bits": (f"AAA-USDT,{2**64},buy,1.5,2,{NOON_MS},x", "is not a whole number below 2^63", LATE),
    "a fraction as an id": (f"AAA-USDT,5.0,buy,1.5,2,{NOON_MS},x", "id '5.0' is not a whole number", LATE),
    "a time that is none": ("AAA-USDT,5,buy,1.5,2,noon,x", "time 'noon' is not a time", None),
    "a time after 9999": (f"AAA-USDT,5,buy,1.5,2,{2**62},x", "is not a time", None),
    "a time in µs": (f"AAA-USDT,5,buy,1.5,2,{NOON_MS * 1000},x", "is not a time", None),
    "a time in s": (f"AAA-USDT,5,buy,1.5,2,{NOON_MS // 1000},x", "is outside of the file's days", None),
    "the day before": (f"AAA-USDT,5,buy,1.5,2,{NOON_MS - 43_200_001},x", "is outside of the file's days", None),
    "the day after": (f"AAA-USDT,5,buy,1.5,2,{NOON_MS + 43_200_000},x", "is outside of the file's days", None),
    "1970": ("AAA-USDT,5,buy,1.5,2,-1,x", "time '-1' is not a time", None),
    "no text": (b"AAA-USDT,5,b\xffy,1.5,2,%d,x" % NOON_MS, "side b'b\\xffy' is not text", LATE),
    "no text, unused": (b"AAA-USDT,5,buy,1.5,2,%d,\xff\xfe" % NOON_MS, "a cell b'\\xff\\xfe' is not text", LATE),
    "NUL": (f"AAA-USDT,5,buy,1.5\x00,2,{NOON_MS},x", "is not a positive number", LATE),
    "a side with NUL": (f"AAA-USDT,5,bu\x00y,1.5,2,{NOON_MS},x", "is no side", LATE),
    "long": ("x" * 5000, "1 cells instead of 7", None),
}


@pytest.mark.parametrize("block", [1, 10_000])
@pytest.mark.parametrize("what", UNSOUND)
def test_what_is_no_trade_is_kept_with_the_reason(tmp_path: Path, what: str, block: int):
    line, why, day = UNSOUND[what]
    raw = line if isinstance(line, bytes) else line.encode()
    others = [Trade("AAA-USDT", i, NOON_MS * 1000 + i, "3", "0.125", i % 2 == 0) for i in (1, 2, 3)]
    rows = [trade.line().encode() for trade in others]
    text = b"\n".join([ALL_HEADER.strip().encode(), rows[0], rows[1], raw, rows[2], b""])
    with small_blocks(block, 64):
        done = reduced(tmp_path, text, ALL_NAMED, None, covers=(datetime(2026, 3, 1), datetime(2026, 3, 2)))
    assert plain(done.sums) == expected(others)[0]
    ((kept, reason, its_day),) = done.refused.rows
    assert kept == raw.decode("utf-8", "replace")[:500]
    assert why in reason
    assert its_day == day
    assert (done.trade_count, done.repeated_count, done.refused.count) == (3, 0, 1)


def test_a_row_with_more_cells_is_no_trade_even_where_those_that_are_known_are_sound(tmp_path: Path):
    """It may be two rows in one; a column that came in the middle of a file is told of, row by row."""
    rows = [f"1,{NOON_MS},3,2,buy,0", f"2,{NOON_MS},3,2,buy,0,3,{NOON_MS},3,2,sell,0", f"4,{NOON_MS},3,1,sell,0"]
    done = reduced(tmp_path, HEADER.replace("side", "side,rpi") + "\n".join(rows))
    assert only_day(done).all.count == 2
    assert done.refused.rows == [(rows[1], "12 cells instead of 6", DAY)]


def test_an_id_of_a_row_that_is_no_trade_is_free(tmp_path: Path):
    rows = [f"1,{NOON_MS},3,0,buy", f"1,{NOON_MS},3,2,buy", f"1,{NOON_MS},3,2,buy"]
    with small_blocks(1, 64):
        done = reduced(tmp_path, HEADER + "\n".join(rows))
    assert (done.trade_count, done.repeated_count, done.refused.count) == (1, 1, 1)


def test_the_first_thousand_rows_are_kept_the_others_counted(tmp_path: Path):
    rows = [f"{i},{NOON_MS},-1,2,buy" for i in range(1500)]
    done = reduced(tmp_path, HEADER + "\n".join([*rows, f"9999,{NOON_MS},1,2,buy"]))
    assert (len(done.refused.rows), done.refused.count, done.trade_count) == (1000, 1500, 1)


# Bytes that are likely to mean something to one of the parsers.
CELLS = st.sampled_from(
    [b"", b" ", b"1", b"-1", b"+1", b" 1", b"\t1", b"0", b"-0", b"1.5", b"1.", b".5", b".", b"1e5", b"1e-5", b"1e400"]
    + [b"1e-400", b"nan", b"inf", b"buy", b"BUY", b"Sell", b"sell", b"hold", b"\xff", b"\x00", b'"', b'"1"', b"\r"]
    + [str(NOON_MS).encode(), str(NOON_MS + 86_400_000).encode(), b"9" * 19, b"0" * 30 + b"1", b"1" * 45, b"x", b"#"]
    + [b"0.00000000000000000000000000000000000000001", b"12345678901234567890.12345678901234567890", "١".encode()]
)
SOUND_CELLS = st.tuples(
    st.just(b"A"), st.integers(0, 9).map(lambda i: b"%d" % i), st.sampled_from([b"buy", b"SELL"]),
    st.sampled_from([b"1.5", b"3"]), st.sampled_from([b"2", b"1e-3"]), st.just(str(NOON_MS).encode()), st.just(b""),
)  # fmt: skip


@st.composite
def some_lines(draw: st.DrawFn) -> list[bytes]:
    lines = []
    for _ in range(draw(st.integers(1, 25))):
        cells = list(draw(SOUND_CELLS))
        if draw(st.integers(0, 3)) == 0:
            cells[draw(st.integers(0, 6))] = draw(CELLS)
            cells += draw(st.lists(CELLS, max_size=1))
        lines.append(b",".join(cells) + draw(st.sampled_from([b"", b"", b"", b"\r"])))
    return lines


@settings(max_examples=80, deadline=None, suppress_health_check=UNHURRIED)
@given(some_lines(), st.integers(1, 500), st.sampled_from([1, 40, 200]), st.sampled_from(["ms", "us", "s"]))
def test_every_row_is_counted_once_wherever_blocks_end(
    lines: list[bytes], block: int, leaf: int, unit: Literal["us", "ms", "s"]
):
    layout = replace(ALL_NAMED, time_unit=unit)
    text = b"\n".join([ALL_HEADER.strip().encode(), *lines])
    with tempfile.TemporaryDirectory() as folder:
        whole = reduced(Path(folder), text, layout, None)
        with small_blocks(block, 16, leaf):
            parts = reduced(Path(folder), text, layout, None)
    assert whole.sums == parts.sums
    assert (whole.repeated_count, whole.refused.count) == (parts.repeated_count, parts.refused.count)
    assert sorted(map(str, whole.refused.rows)) == sorted(map(str, parts.refused.rows))
    rows = sum(1 for line in lines if line.strip())
    assert whole.trade_count + whole.repeated_count + whole.refused.count == rows


# --- times ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "text", "time_us"),
    [
        ("s", "1772366400", NOON_MS * 1000),
        ("s", "1772366400.5", NOON_MS * 1000 + 500_000),
        ("s", "1772366400.123456", NOON_MS * 1000 + 123_456),
        ("s", "1.7723664001e9", NOON_MS * 1000 + 100_000),
        ("s", "1772409599.9999999", NOON_MS * 1000 + 43_199_999_999),
        ("s", "1772409599.999999999999", NOON_MS * 1000 + 43_199_999_999),
        ("s", "1772409599.99999999999999999999999", NOON_MS * 1000 + 43_199_999_999),
        ("ms", f"{NOON_MS}", NOON_MS * 1000),
        ("us", f"{NOON_MS}001", NOON_MS * 1000 + 1),
        ("us", "0", 0),
        ("s", "0.0000019", 1),
        ("s", "253402300799.999999", 253_402_300_799_999_999),
        ("s", "253402300800", None),
        ("s", "nan", None),
        ("s", "-1", None),
        ("s", "1e999", None),
        ("s", "1e308", None),
    ],
)
@pytest.mark.parametrize("block", [1, 10_000])
def test_times_are_read_to_the_microsecond_and_never_into_the_next_day(
    tmp_path: Path, unit: Literal["us", "ms", "s"], text: str, time_us: int | None, block: int
):
    layout = replace(BYBIT_LIKE, time_unit=unit)
    with small_blocks(block, 64):
        done = reduced(tmp_path, f"{HEADER}1,{text},3,2,buy\n", layout)
    if time_us is None:
        assert (done.trade_count, done.refused.count) == (0, 1)
        return
    first = only_day(done).first
    assert first is not None and first[0] == time_us


def test_a_clock_ahead_of_utc_cuts_the_days_in_which_ids_count(tmp_path: Path):
    """Days of UTC+8 in one file, each numbered from 1: a UTC day holds the ends of two of them."""
    eve = NOON_MS + 4 * 3_600_000  # 16:00 UTC
    rows = [*(f"{i},{eve - 60_000 + i},3,1,buy" for i in (7, 8, 9)), *(f"{i},{eve + i},3,1,buy" for i in (7, 8, 9, 9))]
    done = reduced(tmp_path, HEADER + "\n".join(rows), replace(BYBIT_LIKE, clock_hours=8))
    assert (done.trade_count, done.repeated_count) == (6, 1)


def test_without_ids_nothing_repeats_and_the_row_breaks_ties(tmp_path: Path):
    layout = Layout(("time", "price", "size", "side"), {}, "ms", TAKER)
    rows = [f"{NOON_MS},{price},1,buy" for price in (5, 4, 6, 6)]
    with small_blocks(1, 64):
        done = reduced(tmp_path, "\n".join(rows), layout)
    day = only_day(done)
    assert day.first and day.last
    assert (day.first[2], day.last[2], day.all.count) == (5, 6, 4)


# --- digits --------------------------------------------------------------------------------------


def test_a_double_that_is_near_is_not_taken_for_the_text(tmp_path: Path):
    """In units of 10^-14, which the first cell asks for, 67.216198 has 16 digits; two such numbers are one double."""
    sizes = ["0.00000000000001", "67.216198", "23.5", "67.216198"]
    trades = [Trade("A", i, NOON_MS * 1000 + i, "1", size, True) for i, size in enumerate(sizes)]
    done = reduced(tmp_path, ALL_HEADER + "\n".join(trade.line() for trade in trades), ALL_NAMED, None)
    assert plain(done.sums) == expected(trades)[0]
    alone = reduced(tmp_path, "\n".join(trade.line() for trade in trades), replace(ALL_NAMED, positions=POSITIONS))
    assert alone.sums["A", DAY] == done.sums["A", DAY]


@pytest.mark.parametrize(
    ("price", "size"),
    [
        ("0.1234567890123456", "0.1234567890123456789"),
        ("99999999999.123456789012345678", "1234567.12345678901234567891"),
        ("0.00000000000000000000000000000000001", "9999999999999999999999999999999"),
        ("12345678901234567890", "0.00000000000000000000000000000001"),
        ("1", "99999999999999999999999999.999999999999"),
        ("9007199254740993", "1"),
        ("999999999999999", "9999"),
        ("1000", "1"),
        ("0.0001", "99999999.9999"),
        ("1e-20", "1e24"),
    ],
)
def test_any_number_of_digits_is_exact_beside_any_other(tmp_path: Path, price: str, size: str):
    trades = [
        Trade("A", 1, NOON_MS * 1000, "3.5", "2", True),
        *(Trade("A", i, NOON_MS * 1000, price, size, i % 2 == 0) for i in range(2, 6)),
        Trade("B", 1, NOON_MS * 1000, "0.0000000001", "123456789.5", False),
    ]
    done = reduced(tmp_path, ALL_HEADER + "\n".join(trade.line() for trade in trades), ALL_NAMED, None)
    assert not done.refused.rows
    assert plain(done.sums) == expected(trades)[0]


def test_sums_of_several_files_are_the_sums_of_their_trades(tmp_path: Path):
    trades = [Trade("A", i, NOON_MS * 1000 + i, f"{i}.1234567890123456789", f"1e-{i}", i % 3 == 0) for i in range(1, 9)]
    parts = []
    for some in (trades[:3], trades[3:4], trades[4:]):
        parts.append(
            reduced(tmp_path, "\n".join(t.line() for t in some), replace(ALL_NAMED, positions=POSITIONS), None)
        )
    assert plain(merged([part.sums for part in parts])) == expected(trades)[0]


POSITIONS = (*ALL_NAMED.positions, "")


# --- files ---------------------------------------------------------------------------------------

TEXT = (HEADER + "".join(f"{i},{NOON_MS + i},3,2,buy\n" for i in range(300))).encode()


def two_members(text: bytes) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text)
    return body.getvalue()


def of_one_line(count: int) -> bytes:
    return gzip.compress(b"0" * count)


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "cut gzip": (lambda: gzip.compress(TEXT)[:-20], "cannot be unpacked"),
    "two bytes of a gzip": (lambda: gzip.compress(TEXT)[:2], "cannot be unpacked"),
    "gzip of a wrong checksum": (lambda: gzip.compress(TEXT)[:-8] + b"\0" * 8, "cannot be unpacked"),
    "gzip with something behind": (lambda: gzip.compress(TEXT) + b"<html>", "cannot be unpacked"),
    "cut zip": (lambda: zipped(TEXT)[:-30], "cannot be unpacked"),
    "zip without its end": (lambda: zipped(TEXT)[:60], "cannot be unpacked"),
    "zip of a wrong checksum": (lambda: zipped(TEXT).replace(zip_crc(TEXT), b"\1\2\3\4"), "cannot be unpacked"),
    "zip of a wrong place": (lambda: zipped(TEXT).replace(b"PK\3\4", b"PK\3\3", 1), "no column|cannot be unpacked"),
    "zip of two files": (lambda: two_members(TEXT), "a zip of 2 files instead of one"),
    "zip by bzip2": (lambda: zipped(TEXT, zipfile.ZIP_BZIP2), "packed in a way that is not known"),
    "a page": (lambda: b"<html>blocked</html>", "a page or an error"),
    "a page in a gzip": (lambda: gzip.compress(b"<html>blocked</html>"), "no column for"),
    "an error": (lambda: b'{"code": 403}', "a page or an error"),
    "an error after a line": (lambda: b'\n{"code": 403}', "no column for"),
    "other columns": (lambda: b"id,when,price,volume,side\n1,2,3,4,buy\n", "no column for time"),
    "the same twice": (lambda: b"id,timestamp,price,price,volume,side\n", "two columns for one thing"),
    "no header, first time broken": (lambda: b"1,noon,3,2,buy\n", "no column for"),
    "quoted": (lambda: b'"id","timestamp","price","volume","side"\n', "no column for"),
    "one endless line": (lambda: of_one_line(12 << 20), "a line of more than 1 MiB"),
    "noise": (lambda: random.Random(3).randbytes(5000), "no column for"),
    "tar": (lambda: b"trades.csv".ljust(257, b"\0") + b"ustar" + TEXT, "no column for"),
}


def zip_crc(text: bytes) -> bytes:
    return zlib.crc32(text).to_bytes(4, "little")


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_cannot_be_read_says_so(tmp_path: Path, what: str):
    content, why = BROKEN[what]
    with pytest.raises(SourceError, match=why):
        reduced(tmp_path, content())


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\r\n", gzip.compress(b""), zipped(b""), b"PK\x05\x06" + bytes(18), HEADER.encode(), b"\xef\xbb\xbf"],
    ids=["nothing", "empty lines", "gzip of nothing", "zip of nothing", "zip without files", "a header", "a mark"],
)
def test_a_file_without_trades_is_a_file_without_trades(tmp_path: Path, content: bytes):
    done = reduced(tmp_path, content)
    assert (done.sums, done.trade_count, done.refused.count, done.byte_count) == ({}, 0, 0, len(content))


@pytest.mark.parametrize("chunk", [1, 7, 64, 1000, 1 << 19])
def test_all_that_is_packed_is_unpacked_wherever_chunks_end(tmp_path: Path, chunk: int):
    repeated = 20_000 if chunk > 1000 else 3_000
    contents = {
        "zip": zipped(TEXT),
        "stored": zipped(TEXT, zipfile.ZIP_STORED),
        "gzip": gzip.compress(TEXT),
        "gzips": b"".join(gzip.compress(TEXT[i : i + 700]) for i in range(0, len(TEXT), 700)) + bytes(100),
        "repetitive": zipped(HEADER.encode() + b"1,%d,3,2,buy\n" % NOON_MS * repeated),
    }
    for name, content in contents.items():
        with small_blocks(1000, chunk):
            done = reduced(tmp_path, content)
        count = (1, repeated - 1) if name == "repetitive" else (300, 0)
        assert (done.trade_count, done.repeated_count, done.refused.count) == (*count, 0), name


def test_files_put_together_keep_no_header_in_the_middle(tmp_path: Path):
    other = HEADER + f"900,{NOON_MS},3,2,sell\n"
    done = reduced(tmp_path, gzip.compress(TEXT) + gzip.compress(other.encode()))
    assert (done.trade_count, done.refused.count) == (301, 0)


@settings(max_examples=120, deadline=None, suppress_health_check=UNHURRIED)
@given(st.sampled_from(["plain", "gzip", "zip"]), st.data())
def test_a_damaged_file_is_told_of_or_read_as_it_is(packed: str, data: st.DataObject):
    """Whatever byte is wrong: a SourceError, or every line that came out is a trade, repeated or refused."""
    content = bytearray(PACKED[packed](TEXT))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))]
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = reduced(Path(folder), bytes(content))
        except SourceError:
            return
    if packed != "plain":
        # Names, times and comments are not covered by a checksum.
        assert done.trade_count in (0, 300)
        assert not done.refused.count


def test_what_unpacks_to_more_than_any_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(trade_text, "MOST_UNPACKED", 1 << 22)
    with pytest.raises(SourceError, match="unpacks to more than"):
        reduced(tmp_path, gzip.compress(HEADER.encode() + b"\n" * (5 << 20)))


def test_what_is_not_there_is_named(tmp_path: Path):
    for place in (str(tmp_path / "none"), f"file://{tmp_path}/none", str(tmp_path), f"file://{tmp_path}"):
        with pytest.raises(SourceError, match="no file at") as raised:
            reduce_file(Task(place, "bybit BTCUSDT", BYBIT_LIKE, "BTCUSDT"))
        assert raised.value.status == 404


def test_a_place_that_cannot_be_opened_is_named():
    with pytest.raises(SourceError, match="nowhere://.*cannot be read"):
        reduce_file(Task("nowhere://bucket/file", "bybit BTCUSDT", BYBIT_LIKE, "BTCUSDT"))


@pytest.mark.parametrize("spill", [1, 1000, 10**9])
@pytest.mark.parametrize("block", [500, 1 << 22])
def test_a_file_three_times_over_counts_once(tmp_path: Path, spill: int, block: int, monkeypatch: pytest.MonkeyPatch):
    # Its own: other tests hold ids on disk at the same time.
    spilled = tmp_path / "spilled"
    spilled.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spilled))
    rows = TEXT.removeprefix(HEADER.encode())
    with small_blocks(block, 1 << 19):
        once, thrice = (reduced(tmp_path, HEADER.encode() + rows * times, spill_bytes=spill) for times in (1, 3))
    assert thrice.sums == once.sums
    assert (thrice.trade_count, thrice.repeated_count) == (300, 600)
    assert not list(spilled.iterdir()), "what was held on disk is gone"


# --- a file larger than memory should be ---------------------------------------------------------

PEAK = """
import sys
from datetime import datetime
from pathlib import Path
from orchestration.reduce import Task, reduce_file
from orchestration.sources.trades import Layout, Side

side = Side(("buy",), ("sell",), "taker", "this test")
layout = Layout(("id", "time", "price", "size", "side"), {}, "ms", side)
done = reduce_file(Task(sys.argv[1], "a large file", layout, "BTCUSDT"))
(day,) = done.sums.values()
peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
print(done.trade_count, done.repeated_count, done.refused.count, day.all.quote, int(peak) // 1024)
"""


@pytest.mark.chaos
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
@pytest.mark.parametrize("times", [1, 3])
def test_three_gigabytes_are_reduced_in_less_than_one(tmp_path: Path, root: Path, times: int):
    """Each id once, in order; and each of them three times, far apart, so that all are compared on disk."""
    part, size, written = 1_000_000, 0, 0
    path = tmp_path / "trades.csv.gz"
    words = pl.Series("side", ["buy", "sell"] * (part // 2))
    cells = [NOON_MS, "63929.9", "0.004593", words, "0.00000000"]
    with igzip.IGzipFile(path, "wb", 0) as file:
        while size < 3 << 30:
            first = 10**10 + (written if times == 1 else written % (20 * part))
            ids = pl.int_range(first, first + part, eager=True).alias("id")
            others = [pl.lit(cell).alias(str(i)) for i, cell in enumerate(cells)]
            text = pl.DataFrame(ids).select("id", *others).write_csv(include_header=False).encode()
            file.write(text)
            size, written = size + len(text), written + part
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    command = [sys.executable, "-c", PEAK, str(path)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr[-3000:]
    count, repeated, refused, quote, peak_mb = done.stdout.split()
    distinct = written if times == 1 else min(written, 20 * part)
    assert (int(count), int(repeated), int(refused)) == (distinct, written - distinct, 0)
    assert Decimal(quote) == distinct * Decimal("63929.9") * Decimal("0.004593")
    assert int(peak_mb) < 1024
    print(f"{size / 2**30:.1f} GiB, {written:,} trades: {peak_mb} MiB at most")
