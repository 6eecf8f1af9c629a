"""Exact sums of trades by symbol and UTC day.

Prices and sizes come as text. Those of up to 15 digits are whole numbers of some power of ten, proven for every
cell, and their sums are sums of 64-bit integers. Where a number, or price times size, has more digits, its row is
summed in 128 bits, and where these do not hold it, in Python's integers. Nothing is rounded.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Context, Decimal, Inexact
from typing import TYPE_CHECKING

import numpy as np

from orchestration.trade_groups import DAY_US, Groups, Key, grouped
from orchestration.trade_numbers import MOST_DIGITS, NEAR, checked, units_of, wholes

if TYPE_CHECKING:
    import polars as pl

SIZES = (1_000, 10_000, 100_000)
"""bounds of the size buckets, in units of the quote asset; a bound belongs to the bucket above it"""
SCREENS = ("sampled", *(f"digit_{digit}" for digit in range(1, 10)), "round", "twin", "crossed_twin")
"""counts of sampled trades: all of them; those whose size has this first digit; whose size is 1, 2 or 5 and zeros; that
the next trade of the file repeats at the same price and the same size but for 1 %; those of them with the other side"""
_MOST_SAMPLED = 8_192
"""about as many of a block are looked at: screens tell shares, and reading must not wait for them"""
_MOST_INT64, _MOST_INT128 = 2**63 - 1, 1.6e38
# Sums of products of two numbers of 38 digits, on either side of the point, of more trades than there will be.
WIDE = Context(prec=200, traps=[Inexact])
ZERO = Decimal(0)
_TENS = 10 ** np.arange(19, dtype=np.int64)
# Kinds of trades that are summed, each with count, base and quote: all, bought by takers, and both again per bound.
_ALL, _BUYS, _SIZED = 0, 1, 2
_KINDS = 2 + 2 * len(SIZES)


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
    """Trades of one symbol on one UTC day. `first` and `last`: (time in µs, id, price) in the order of time; where
    trades have no ids, their number in the file stands for it.

    `sized[i]`: those of SIZES[i] and more, both sides; `sized_buys[i]`: bought by takers. `screens`: see SCREENS;
    a sample, which is another one where blocks end elsewhere."""

    all: Amounts = field(default_factory=Amounts)
    buys: Amounts = field(default_factory=Amounts)
    low: Decimal | None = None
    high: Decimal | None = None
    first: tuple[int, int, Decimal] | None = None
    last: tuple[int, int, Decimal] | None = None
    sized: list[Amounts] = field(default_factory=lambda: [Amounts() for _ in SIZES])
    sized_buys: list[Amounts] = field(default_factory=lambda: [Amounts() for _ in SIZES])
    screens: list[int] = field(default_factory=lambda: [0] * len(SCREENS), compare=False)

    def merge(self, other: "DaySum") -> None:
        """Adds the trades of another part of the same day."""
        for mine, theirs in zip(self._amounts(), other._amounts(), strict=True):
            mine.add(theirs.count, theirs.base, theirs.quote)
        self.low = min((p for p in (self.low, other.low) if p is not None), default=None)
        self.high = max((p for p in (self.high, other.high) if p is not None), default=None)
        self.first = min((t for t in (self.first, other.first) if t is not None), default=None, key=_moment)
        self.last = max((t for t in (self.last, other.last) if t is not None), default=None, key=_moment)
        self.screens = [a + b for a, b in zip(self.screens, other.screens, strict=True)]

    def _amounts(self) -> Iterator[Amounts]:
        yield from (self.all, self.buys, *self.sized, *self.sized_buys)


Sums = dict[tuple[str, date], DaySum]


def merged(parts: list[Sums]) -> Sums:
    """The sums of several files or pages as one."""
    whole: Sums = {}
    for part in parts:
        for key, day in part.items():
            whole.setdefault(key, DaySum()).merge(day)
    return whole


@dataclass(frozen=True)
class _Part:
    """Some trades of one symbol and day, in whole units of 10^-price_scale and 10^-size_scale, amounts of both.

    `totals`: count, base and quote of each kind; `first` and `last` as in DaySum, with prices in units; `screens`: see
    SCREENS, none of what is longer than 64 bits."""

    price_scale: int
    size_scale: int
    totals: list[int]
    low: int
    high: int
    first: tuple[int, int, int]
    last: tuple[int, int, int]
    screens: Sequence[int] = (0,) * len(SCREENS)

    def rescaled(self, price_scale: int, size_scale: int) -> "_Part":
        """The same with at least these scales."""
        price_scale, size_scale = max(price_scale, self.price_scale), max(size_scale, self.size_scale)
        if (price_scale, size_scale) == (self.price_scale, self.size_scale):
            return self
        price, size = 10 ** (price_scale - self.price_scale), 10 ** (size_scale - self.size_scale)
        factors = (1, size, price * size)
        return _Part(
            price_scale,
            size_scale,
            [total * factors[i % 3] for i, total in enumerate(self.totals)],
            self.low * price,
            self.high * price,
            (*self.first[:2], self.first[2] * price),
            (*self.last[:2], self.last[2] * price),
            self.screens,
        )

    def plus(self, other: "_Part") -> "_Part":
        mine = self.rescaled(other.price_scale, other.size_scale)
        other = other.rescaled(mine.price_scale, mine.size_scale)
        return _Part(
            mine.price_scale,
            mine.size_scale,
            [a + b for a, b in zip(mine.totals, other.totals, strict=True)],
            min(mine.low, other.low),
            max(mine.high, other.high),
            min(mine.first, other.first, key=_moment),
            max(mine.last, other.last, key=_moment),
            [a + b for a, b in zip(mine.screens, other.screens, strict=True)],
        )

    def day_sum(self) -> DaySum:
        scales = (0, self.size_scale, self.price_scale + self.size_scale)
        amounts = [
            Amounts(self.totals[i], *(_decimal(self.totals[i + j], scales[j]) for j in (1, 2)))
            for i in range(0, len(self.totals), 3)
        ]
        low, high = _decimal(self.low, self.price_scale), _decimal(self.high, self.price_scale)
        first, last = ((*end[:2], _decimal(end[2], self.price_scale)) for end in (self.first, self.last))
        sized = amounts[_SIZED : _SIZED + len(SIZES)]
        sized_buys = amounts[_SIZED + len(SIZES) :]
        return DaySum(amounts[_ALL], amounts[_BUYS], low, high, first, last, sized, sized_buys, list(self.screens))


class Summer:
    """Adds blocks of trades. `symbol`: of all trades where the frames have no column `symbol`."""

    def __init__(self, symbol: str | None):
        self._symbol = symbol or ""
        self._parts: dict[Key, _Part] = {}
        self._scales: dict[str, tuple[int, int]] = {}
        self._row_count = 0

    @property
    def sums(self) -> Sums:
        return {(symbol, _date(day)): part.day_sum() for (symbol, day), part in self._parts.items()}

    def add(self, frame: "pl.DataFrame") -> "pl.Series | None":
        """Adds trades with the columns of trade_text.Reader. What trade_numbers.checked finds to be no trade is left
        out: the flags of such rows, None where there is none. Frames that were checked are not checked again."""
        import polars as pl

        flags = None
        if NEAR[0] not in frame.columns:
            frame, whys = checked(frame)
            if whys:
                flags = pl.Series([row in whys for row in range(len(frame))])
                frame = frame.filter(~flags)
        if "id" not in frame.columns:
            frame = frame.with_columns(pl.int_range(self._row_count, self._row_count + len(frame)).alias("id"))
            self._row_count += len(frame)
        left = []
        bad = np.isnan(frame[NEAR[0]].to_numpy()) | np.isnan(frame[NEAR[1]].to_numpy())
        while bad is not None:
            if bad.any():
                left.append(frame.filter(bad))
                frame = frame.filter(~bad)
            bad = self._add_64(frame) if len(frame) else None
        if left:
            self._add_long(pl.concat(left))
        return flags

    def _put(self, key: Key, part: _Part) -> None:
        mine = self._parts.get(key)
        self._parts[key] = part if mine is None else mine.plus(part)

    def _add_64(self, frame: "pl.DataFrame") -> np.ndarray | None:
        """Adds all rows, or none where not all can be added: the flags of those that cannot."""
        groups = grouped(frame, self._symbol)
        near = [groups.sorted(frame[name].to_numpy()) for name in NEAR]
        hints = np.array([self._scales.get(symbol, (0, 0)) for symbol, _ in groups.keys], np.int64)
        numbers = _Numbers.of(groups, near, hints)
        if numbers.bad is not None and hints.any():
            numbers = _Numbers.of(groups, near, np.zeros_like(hints))
        if numbers.bad is not None:
            bad = np.empty(len(frame), bool)
            bad[slice(None) if groups.order is None else groups.order] = numbers.bad
            return bad
        found = zip(groups.keys, numbers.price_scales.tolist(), numbers.size_scales.tolist(), strict=True)
        self._scales.update({symbol: (price, size) for (symbol, _), price, size in found})
        time, ids, buys = (groups.sorted(frame[name].to_numpy()) for name in ("time_us", "id", "taker_buys"))
        for key, part in zip(groups.keys, numbers.parts(time, ids, buys), strict=True):
            self._put(key, part)
        return None

    def _add_long(self, frame: "pl.DataFrame") -> None:
        import polars as pl

        price, size = _Wide.of(frame["price"]), _Wide.of(frame["size"])
        fits = price.values.is_not_null() & size.values.is_not_null()
        if fits.any():
            wide = frame.with_columns(price.values.alias("price"), size.values.alias("size")).filter(fits)
            near_price, near_size = (wide[name].cast(pl.Float64) for name in ("price", "size"))
            if max((near_price * near_size).sum(), near_size.sum()) < _MOST_INT128:
                self._add_128(wide, price.scale, size.scale)
                frame = frame.filter(~fits)
        for row in frame.iter_rows(named=True):
            self._put(*_part_of(row, self._symbol))

    def _add_128(self, frame: "pl.DataFrame", price_scale: int, size_scale: int) -> None:
        import polars as pl

        amount, size, buys = pl.col("amount"), pl.col("size"), pl.col("taker_buys")
        if "symbol" not in frame.columns:
            frame = frame.with_columns(pl.lit(self._symbol).alias("symbol"))
        frame = frame.with_columns((pl.col("price") * size).alias("amount"), (pl.col("time_us") // DAY_US).alias("day"))
        whole = price_scale + size_scale
        # In whole units of the quote asset, so that the bound fits whatever the scale is; no amount is above the most.
        sized = [
            amount // 10**whole >= bound if bound * 10**whole <= _MOST_INT128 else pl.lit(False) & buys
            for bound in SIZES
        ]
        kinds = [pl.lit(True) | buys, buys, *sized, *(is_sized & buys for is_sized in sized)]
        totals = [
            total.alias(f"{i}{name}")
            for i, rows in enumerate(kinds)
            for name, total in (("n", rows.sum()), ("b", size.filter(rows).sum()), ("q", amount.filter(rows).sum()))
        ]
        ordered = pl.struct("time_us", "id", "price").sort_by("time_us", "id", maintain_order=True)
        asked = [
            *totals, pl.col("price").min().alias("low"), pl.col("price").max().alias("high"),
            ordered.first().alias("first"), ordered.last().alias("last"),
        ]  # fmt: skip
        for symbol, day, *numbers, low, high, first, last in frame.group_by("symbol", "day").agg(asked).iter_rows():
            ends = (tuple(first.values()), tuple(last.values()))
            self._put((symbol, day), _Part(price_scale, size_scale, numbers, low, high, *ends))


@dataclass(frozen=True)
class _Numbers:
    """Prices and sizes of the rows of `groups` in whole units, with a price and a size scale per group.

    `bad`: rows that cannot be summed so, None where there are none."""

    groups: Groups
    price: np.ndarray
    size: np.ndarray
    price_scales: np.ndarray
    size_scales: np.ndarray
    bad: np.ndarray | None

    @classmethod
    def of(cls, groups: Groups, near: list[np.ndarray], scales: np.ndarray) -> "_Numbers":
        price, price_scales, bad_price = wholes(near[0], groups.starts, scales[:, 0])
        size, size_scales, bad_size = wholes(near[1], groups.starts, scales[:, 1])
        bad = bad_price | bad_size
        highest = [np.maximum.reduceat(units, groups.starts).tolist() for units in (price, size)]
        too_large = [p * s > _MOST_INT64 for p, s in zip(*highest, strict=True)]
        if any(too_large):
            bad |= np.repeat(too_large, groups.counts)
        return cls(groups, price, size, price_scales, size_scales, bad if bad.any() else None)

    def parts(self, time: np.ndarray, ids: np.ndarray, buys: np.ndarray) -> Iterator[_Part]:
        """What each group comes to. All columns are in the order of the groups."""
        starts, counts = self.groups.starts, self.groups.counts
        count, amount, group = len(starts), self.price * self.size, self.groups.numbers
        totals = [[0] * (3 * _KINDS) for _ in range(count)]

        def put(kind: int, groups: Iterable[int], *columns: list[int]) -> None:
            for i, *numbers in zip(groups, *columns, strict=True):
                totals[i][3 * kind : 3 * kind + 3] = numbers

        def put_some(kind: int, rows: np.ndarray) -> None:
            found, first = _runs(group[rows])
            sizes = np.diff(first, append=len(rows)).tolist()
            put(kind, found, sizes, *(_sums(column[rows], first) for column in (self.size, amount)))

        put(_ALL, range(count), counts.tolist(), _sums(self.size, starts), _sums(amount, starts))
        bought = buys.astype(np.int64)
        put(_BUYS, range(count), *(_sums(column, starts) for column in (bought, self.size * bought, amount * bought)))
        rows: np.ndarray | None = None
        for i, bound in enumerate(SIZES):
            least = np.array([min(bound * 10**scale, _MOST_INT64) for scale in self.amount_scales], np.int64)
            if rows is None:
                rows = np.flatnonzero(amount >= (least[0] if count == 1 else least[group]))
            else:
                rows = rows[amount[rows] >= least[group[rows]]]
            if not len(rows):
                break
            put_some(_SIZED + i, rows)
            put_some(_SIZED + len(SIZES) + i, rows[buys[rows]])
        yield from map(
            _Part,
            self.price_scales.tolist(),
            self.size_scales.tolist(),
            totals,
            np.minimum.reduceat(self.price, starts).tolist(),
            np.maximum.reduceat(self.price, starts).tolist(),
            self._ends(np.minimum, time, ids),
            self._ends(np.maximum, time, ids),
            self._screens(buys),
        )

    def _screens(self, buys: np.ndarray) -> list[list[int]]:
        """SCREENS of each group, over one row of every `step` of the block. Which one of them it is varies: who trades
        to and fro would show one side alone where they are equally spaced."""
        count, row_count, numbers = len(self.groups.starts), len(self.size), self.groups.numbers
        step = row_count // _MOST_SAMPLED + 1
        rows = np.arange(0, row_count - step + 1, step)
        rows += rows * 2_654_435_761 // 65_536 % step
        size, group, after = self.size[rows], numbers[rows], np.minimum(rows + 1, row_count - 1)
        power = _TENS[np.searchsorted(_TENS, size, "right") - 1]
        digit = size // power
        is_round = (digit * power == size) & ((digit == 1) | (digit == 2) | (digit == 5))
        is_twin = (after != rows) & (numbers[after] == group) & (self.price[after] == self.price[rows])
        is_twin &= np.abs(self.size[after] - size) <= size // 100
        is_crossed = is_twin & (buys[after] != buys[rows])
        digits = np.bincount(group * 10 + digit, minlength=count * 10).reshape(count, 10)[:, 1:]
        others = (np.bincount(group[flags], minlength=count) for flags in (is_round, is_twin, is_crossed))
        return np.column_stack([np.bincount(group, minlength=count), digits, *others]).tolist()

    @property
    def amount_scales(self) -> list[int]:
        return (self.price_scales + self.size_scales).tolist()

    def _ends(self, pick: np.ufunc, time: np.ndarray, ids: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """The first (np.minimum) or last (np.maximum) trade of each group by time and id."""
        ends, group = pick.reduceat(time, self.groups.starts), self.groups.numbers
        rows = np.flatnonzero(time == (ends[0] if len(ends) == 1 else ends[group]))
        group = group[rows]
        rows = rows[np.lexsort((ids[rows], group))]
        each = np.arange(len(ends))
        at = np.searchsorted(group, each) if pick is np.minimum else np.searchsorted(group, each, "right") - 1
        return zip(ends.tolist(), ids[rows[at]].tolist(), self.price[rows[at]].tolist(), strict=True)


@dataclass(frozen=True)
class _Wide:
    """Whole numbers (Int128) of 10^-scale, with the scale that the longest text of 38 characters needs; NULL where
    that holds no text of more, none with an exponent, and none of too many digits before the point."""

    values: "pl.Series"
    scale: int

    @classmethod
    def of(cls, texts: "pl.Series") -> "_Wide":
        import polars as pl

        is_plain = (texts.str.len_bytes() <= MOST_DIGITS) & ~texts.str.contains(r"[eE]")
        texts = pl.select(pl.when(is_plain).then(texts)).to_series()
        points = texts.str.find(".", literal=True)
        texts = texts.str.strip_chars_end("0").zip_with(points.is_not_null(), texts)
        scale = (texts.str.len_bytes().cast(pl.Int64) - points.cast(pl.Int64) - 1).max() or 0
        assert isinstance(scale, int)
        return cls(texts.cast(pl.Decimal(MOST_DIGITS, scale), strict=False).to_physical(), scale)


def _part_of(row: dict, symbol: str) -> tuple[Key, _Part]:
    """One trade."""
    (price, price_scale), (size, size_scale) = (units_of(Decimal(row[name])) for name in ("price", "size"))
    amount, whole = price * size, 10 ** (price_scale + size_scale)
    sized = [amount >= bound * whole for bound in SIZES]
    kinds = [True, row["taker_buys"], *sized, *(is_sized and row["taker_buys"] for is_sized in sized)]
    totals = [number for is_kind in kinds for number in ((1, size, amount) if is_kind else (0, 0, 0))]
    end = (row["time_us"], row["id"], price)
    key = (row.get("symbol", symbol), row["time_us"] // DAY_US)
    return key, _Part(price_scale, size_scale, totals, price, price, end, end)


def _runs(ascending: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Distinct values, and where each begins."""
    first = np.flatnonzero(np.diff(ascending, prepend=-1))
    return ascending[first].tolist(), first


def _sums(values: np.ndarray, starts: np.ndarray) -> list[int]:
    """The exact sum of each group of values that are not below zero."""
    if not len(values):
        return [0] * len(starts)
    if int(values.max()) * len(values) > _MOST_INT64:
        halves = _sums(values >> 31, starts), _sums(values & (2**31 - 1), starts)
        return [(high << 31) + low for high, low in zip(*halves, strict=True)]
    return [int(values.sum())] if len(starts) == 1 else np.add.reduceat(values, starts).tolist()


def _moment(end: tuple) -> tuple[int, int]:
    return end[:2]


def _decimal(units: int, scale: int) -> Decimal:
    return WIDE.scaleb(WIDE.create_decimal(units), -scale)


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)
