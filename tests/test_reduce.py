"""Trade files to daily flows: sums by hand, exact whatever the digits, every row counted once or refused."""

import gzip
import io
import json
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.reduce import Reduced, Task, reduce_file
from orchestration.sources.body import SourceError
from orchestration.sources.trades import Layout, Side
from orchestration.trade_sums import DaySum

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


def test_a_page_is_no_file(tmp_path: Path):
    with pytest.raises(SourceError, match="page or an error"):
        reduced(tmp_path, "<html>blocked</html>")


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
