"""Exact sums of trades by symbol and UTC day.

Prices and sizes come as text. Where a block's numbers have up to 15 digits, each is a whole number of some power
of ten (proven for every cell), and sums are sums of 64-bit integers. Where they have more, 128 bits; where that
is not enough, Python's integers. Nothing is rounded before the sum is complete.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Context, Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import polars as pl

DAY_US = 86_400_000_000
SIZES = (1_000, 10_000, 100_000)
"""bounds of the size buckets, in units of the quote asset; a bound belongs to the bucket above it"""
# A double holds 15 digits of any decimal number; with the point, 16 characters.
_EXACT_CHARACTERS, _EXACT_INTEGER = 16, 2**53
_MOST_INT64, _MOST_INT128 = 2**63 - 1, 1.6e38
_MOST_DECIMALS = 18
WIDE = Context(prec=100)
ZERO = Decimal(0)


@dataclass
class Amounts:
    """Count, base and quote of some trades."""

    count: int = 0
    base: Decimal = ZERO
    quote: Decimal = ZERO

    def add(self, count: int, base: Decimal, quote: Decimal) -> None:
        self.count += count
        self.base = WIDE.add(self.base, base)
        self.quote = WIDE.add(self.quote, quote)


@dataclass
class DaySum:
    """Trades of one symbol on one UTC day. `first` and `last`: (time in µs, id, price) in the order of time.

    `sized[i]`: those of SIZES[i] and more, both sides; `sized_buys[i]`: bought by takers."""

    all: Amounts = field(default_factory=Amounts)
    buys: Amounts = field(default_factory=Amounts)
    low: Decimal | None = None
    high: Decimal | None = None
    first: tuple[int, int, Decimal] | None = None
    last: tuple[int, int, Decimal] | None = None
    sized: list[Amounts] = field(default_factory=lambda: [Amounts() for _ in SIZES])
    sized_buys: list[Amounts] = field(default_factory=lambda: [Amounts() for _ in SIZES])

    def merge(self, other: "DaySum") -> None:
        """Adds the trades of another part of the same day."""
        for mine, theirs in zip(self._amounts(), other._amounts(), strict=True):
            mine.add(theirs.count, theirs.base, theirs.quote)
        self.widen(other.low, other.high, other.first, other.last)

    def _amounts(self) -> Iterator[Amounts]:
        yield from (self.all, self.buys, *self.sized, *self.sized_buys)

    def widen(self, low, high, first, last) -> None:
        self.low = min((p for p in (self.low, low) if p is not None), default=None)
        self.high = max((p for p in (self.high, high) if p is not None), default=None)
        self.first = min((t for t in (self.first, first) if t is not None), default=None, key=lambda t: t[:2])
        self.last = max((t for t in (self.last, last) if t is not None), default=None, key=lambda t: t[:2])


Sums = dict[tuple[str, date], DaySum]


def merged(parts: list[Sums]) -> Sums:
    """The sums of several files or pages as one."""
    whole: Sums = {}
    for part in parts:
        for key, day in part.items():
            whole.setdefault(key, DaySum()).merge(day)
    return whole


class Summer:
    """Adds blocks of trades. `symbol`: of all trades where the frames have no column `symbol`."""

    def __init__(self, symbol: str | None):
        self._symbol = symbol
        self._scales = [0, 0]
        self.sums: Sums = {}

    def add(self, frame: "pl.DataFrame") -> "pl.Series | None":
        """Adds trades with the columns of trade_text.Reader. What has a price or size that is not above zero or that
        cannot be held is left out: the flags of such rows, None where there is none."""
        if not len(frame):
            return None
        if "symbol" not in frame.columns:
            numbers = _Doubles.of(frame, self._scales)
            if numbers is not None:
                self._add_doubles(frame, numbers)
                return None
        return self._add_wide(frame)

    def _add_doubles(self, frame: "pl.DataFrame", numbers: "_Doubles") -> None:
        time, buys = frame["time_us"].to_numpy(), frame["taker_buys"].to_numpy()
        ids = frame["id"].to_numpy() if "id" in frame.columns else np.zeros(len(frame), np.int64)
        first, last = int(time.min()) // DAY_US, int(time.max()) // DAY_US
        if first == last:
            self._add_day(first, numbers, time, ids, buys)
            return
        days = time // DAY_US
        for day in np.unique(days):
            rows = days == day
            self._add_day(int(day), numbers.take(rows), time[rows], ids[rows], buys[rows])

    def _add_day(self, day: int, numbers: "_Doubles", time, ids, buys) -> None:
        assert self._symbol is not None
        total = self.sums.setdefault((self._symbol, _date(day)), DaySum())
        base_scale, quote_scale = numbers.scales[1], sum(numbers.scales)
        size, amount = numbers.size, numbers.amount

        def add(to: Amounts, rows: np.ndarray | None) -> None:
            base, quote = (size, amount) if rows is None else (size[rows], amount[rows])
            to.add(len(base), _decimal(_sum(base), base_scale), _decimal(_sum(quote), quote_scale))

        add(total.all, None)
        add(total.buys, np.flatnonzero(buys))
        big = np.arange(len(amount))
        for i, bound in enumerate(SIZES):
            least = bound * 10**quote_scale
            big = big[amount[big] >= least] if least <= _MOST_INT64 else big[:0]
            if not len(big):
                break
            add(total.sized[i], big)
            add(total.sized_buys[i], big[buys[big]])
        low, high = (_decimal(int(p), numbers.scales[0]) for p in (numbers.price.min(), numbers.price.max()))
        ends = []
        for pick, end in ((np.min, time[0]), (np.max, time[-1])):
            at = pick(time)
            rows = np.flatnonzero(time == at) if at != end or len(time) > 1 else np.zeros(1, int)
            row = rows[int(np.argmin(ids[rows]) if pick is np.min else np.argmax(ids[rows]))]
            ends.append((int(at), int(ids[row]), _decimal(int(numbers.price[row]), numbers.scales[0])))
        total.widen(low, high, *ends)

    def _add_wide(self, frame: "pl.DataFrame") -> "pl.Series | None":
        import polars as pl

        price, price_scale = _wide(frame["price"])
        size, size_scale = _wide(frame["size"])
        bad = price.is_null() | size.is_null() | (price <= 0).fill_null(True) | (size <= 0).fill_null(True)
        names = ["symbol"] if "symbol" in frame.columns else []
        kept = [c for c in (*names, "id", "time_us", "taker_buys") if c in frame.columns]
        frame = frame.select(kept).with_columns(price.alias("price"), size.alias("size"))
        if bad.any():
            frame = frame.filter(~bad)
        if len(frame):
            scales = (price_scale, size_scale)
            # Of the sums themselves: the dearest coin and the largest size of a block are of different symbols.
            sizes = frame["size"].cast(pl.Float64)
            if max((frame["price"].cast(pl.Float64) * sizes).sum(), sizes.sum()) < _MOST_INT128:
                self._add_128(frame, scales)
            else:
                self._add_any(frame, scales)
        return bad if bad.any() else None

    def _add_128(self, frame: "pl.DataFrame", scales: tuple[int, int]) -> None:
        import polars as pl

        amount, size, buys = pl.col("amount"), pl.col("size"), pl.col("taker_buys")
        by = [*(["symbol"] if "symbol" in frame.columns else []), "day"]
        frame = frame.with_columns(
            (pl.col("price") * pl.col("size")).alias("amount"), (pl.col("time_us") // DAY_US).alias("day")
        )
        if "id" not in frame.columns:
            frame = frame.with_columns(pl.lit(0, pl.Int64).alias("id"))
        asked: list[pl.Expr] = [
            pl.len().alias("n"), size.sum().alias("b"), amount.sum().alias("q"),
            buys.sum().alias("nb"), size.filter(buys).sum().alias("bb"), amount.filter(buys).sum().alias("qb"),
            pl.col("price").min().alias("low"), pl.col("price").max().alias("high"),
        ]  # fmt: skip
        whole = sum(scales)
        for i, bound in enumerate(SIZES):
            # In whole units of the quote asset, so that the bound fits whatever the scale is.
            is_sized = (amount // 10**whole) >= bound if bound * 10**whole < 2**126 else pl.lit(False)
            for mark, rows in (("", is_sized), ("b", is_sized & buys)):
                asked += [
                    rows.sum().alias(f"n{mark}{i}"),
                    size.filter(rows).sum().alias(f"b{mark}{i}"),
                    amount.filter(rows).sum().alias(f"q{mark}{i}"),
                ]
        ordered = pl.struct("time_us", "id", "price")
        asked += [ordered.sort_by("time_us", "id").first().alias("first")]
        asked += [ordered.sort_by("time_us", "id").last().alias("last")]
        for row in frame.group_by(by).agg(asked).iter_rows(named=True):
            key = (row["symbol"] if len(by) == 2 else self._symbol or "", _date(row["day"]))
            total = self.sums.setdefault(key, DaySum())

            def add(to: Amounts, mark: str, row=row) -> None:
                base, quote = _decimal(row[f"b{mark}"], scales[1]), _decimal(row[f"q{mark}"], whole)
                to.add(row[f"n{mark}"], base, quote)

            add(total.all, "")
            add(total.buys, "b")
            for i in range(len(SIZES)):
                add(total.sized[i], str(i))
                add(total.sized_buys[i], f"b{i}")
            ends = [(e["time_us"], e["id"], _decimal(e["price"], scales[0])) for e in (row["first"], row["last"])]
            total.widen(_decimal(row["low"], scales[0]), _decimal(row["high"], scales[0]), *ends)

    def _add_any(self, frame: "pl.DataFrame", scales: tuple[int, int]) -> None:
        for row in frame.iter_rows(named=True):
            key = (row.get("symbol", self._symbol or ""), _date(row["time_us"] // DAY_US))
            total = self.sums.setdefault(key, DaySum())
            price, size = _decimal(row["price"], scales[0]), _decimal(row["size"], scales[1])
            amount = WIDE.multiply(price, size)
            kinds = [total.all, *(total.sized[i] for i, bound in enumerate(SIZES) if amount >= bound)]
            if row["taker_buys"]:
                kinds += [total.buys, *(total.sized_buys[i] for i, bound in enumerate(SIZES) if amount >= bound)]
            for kind in kinds:
                kind.add(1, size, amount)
            end = (row["time_us"], row.get("id", 0), price)
            total.widen(price, price, end, end)


@dataclass
class _Doubles:
    """Prices and sizes of a block as whole numbers of 10^-scale, each proven to be the text's value."""

    price: np.ndarray
    size: np.ndarray
    scales: tuple[int, int]

    @classmethod
    def of(cls, frame: "pl.DataFrame", scales: list[int]) -> "_Doubles | None":
        """`scales`: where to begin to look; left where they were found. None where the block needs more."""
        import polars as pl

        found = []
        for i, name in enumerate(("price", "size")):
            texts = frame[name]
            if texts.str.len_bytes().max() > _EXACT_CHARACTERS:  # pyright: ignore
                return None
            numbers = texts.cast(pl.Float64, strict=False)
            if numbers.null_count():
                return None
            whole = _whole(numbers.to_numpy(), scales[i])
            if whole is None:
                return None
            units, scales[i] = whole
            found.append(units)
        price, size = found
        if int(price.max()) * int(size.max()) > _MOST_INT64 or price.min() <= 0 or size.min() <= 0:
            return None
        return cls(price, size, (scales[0], scales[1]))

    @cached_property
    def amount(self) -> np.ndarray:
        return self.price * self.size

    def take(self, rows: np.ndarray) -> "_Doubles":
        return _Doubles(self.price[rows], self.size[rows], self.scales)


def _whole(numbers: np.ndarray, scale: int) -> tuple[np.ndarray, int] | None:
    """`numbers` as whole units of 10^-scale, with the first scale from `scale` on that holds them all.

    The quotient of two whole numbers below 2^53 is the double nearest to it, and so is what a text of up to 15
    digits is read as: where they are equal, the text says no more than the units."""
    head = numbers[:1000]
    while scale <= _MOST_DECIMALS:
        power = 10.0**scale
        if (np.rint(head * power) / power == head).all():
            units = np.rint(numbers * power)
            if not np.abs(units).max() < _EXACT_INTEGER:
                return None
            if (units / power == numbers).all():
                return units.astype(np.int64), scale
        scale += 1
    return None


def _wide(texts: "pl.Series") -> tuple["pl.Series", int]:
    """Whole numbers (Int128) of 10^-scale, NULL for what is no number or has more than 38 digits at the scale that
    the longest needs; decimals after the 24th are rounded half-even."""
    import polars as pl

    exponents = texts.str.contains(r"[eE]")
    if exponents.any() or texts.str.len_bytes().max() > 38:  # pyright: ignore
        texts = pl.Series([_plain(text) if odd or len(text) > 38 else text for text, odd in zip(texts, exponents)])  # noqa: B905
    points = texts.str.find(".", literal=True)
    if points.null_count() < len(points):
        trimmed = texts.str.strip_chars_end("0")
        texts = trimmed.zip_with(points.is_not_null(), texts)
    scale = int((texts.str.len_bytes().cast(pl.Int64) - points.cast(pl.Int64) - 1).max() or 0)  # pyright: ignore
    values = texts.cast(pl.Decimal(38, scale), strict=False)
    return values.to_physical(), scale


def _plain(text: str) -> str:
    value = Decimal(text)
    if value.adjusted() > 40:
        return "none"
    if value.as_tuple().exponent < -24:  # pyright: ignore
        value = value.quantize(Decimal("1e-24"), context=WIDE)
    return f"{value:f}"


def _sum(values: np.ndarray) -> int:
    if not len(values):
        return 0
    if int(values.max()) * len(values) <= _MOST_INT64:
        return int(values.sum())
    return (int((values >> 31).sum()) << 31) + int((values & (2**31 - 1)).sum())


def _decimal(units: int, scale: int) -> Decimal:
    return WIDE.scaleb(Decimal(units), -scale)


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)
