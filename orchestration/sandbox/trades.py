"""Trades of a pair from its days: exact integers, one random word per trade, addressable by the day.

Every day of a pair has the same number of trades. The first stands at the day's open, the last at its close; the sizes
of buys and of sells add up to what the day wants bought and sold.
"""

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np

from .market import HOUR_MS

WORDS_A_COUNT = 4  # random words that one step of Philox' counter yields
BRIDGE_BITS = 20  # places after the binary point of a price on its way
# Share of the day's trades that falls into each UTC hour, in units of one in 2,400: Europe's and America's afternoon.
HOURS = np.array(
    [95, 88, 84, 80, 76, 72, 74, 82, 92, 96, 94, 92, 98, 118, 138, 142, 134, 122, 112, 106, 104, 100, 101, 100]
)
# Round sizes that wash traders like.
ROUND = np.array(sorted(digit * 10**power for power in range(16) for digit in (1, 2, 5)))


@dataclass(frozen=True)
class Days:
    """What the trades of each day must come to; arrays of one length.

    `days` since DAY_0, ascending; prices in ticks; `swing`: ticks x 2^BRIDGE_BITS per unit of the random walk inside
    the day; `buys` and `sells` in lots; `is_washed`, `is_flipped`: what the exchange does on that day.
    """

    days: np.ndarray
    open: np.ndarray
    close: np.ndarray
    swing: np.ndarray
    buys: np.ndarray
    sells: np.ndarray
    is_washed: np.ndarray
    is_flipped: np.ndarray

    def part(self, first: int, last: int) -> "Days":
        return Days(*(column[first:last] for column in vars(self).values()))


@dataclass(frozen=True)
class Grid:
    """Trades as rows of days x trades of the day."""

    price: np.ndarray
    size: np.ndarray
    is_buy: np.ndarray
    moment: np.ndarray  # place in the day, in units of HOURS x 2^16

    @property
    def hours(self) -> np.ndarray:
        return _hour_of()[self.moment >> 16]

    @property
    def times_us(self) -> np.ndarray:
        """Microseconds since midnight, ascending within the day."""
        hours = self.hours
        since = self.moment - (np.cumsum(HOURS) - HOURS)[hours] * 65_536
        return hours * (HOUR_MS * 1000) + since * (HOUR_MS * 1000) // (HOURS[hours] * 65_536)


@cache
def _hour_of() -> np.ndarray:
    return np.repeat(np.arange(24), HOURS)


@cache
def _weights() -> np.ndarray:
    """4,096 log-normal sizes, from their quantiles."""
    normal = NormalDist()
    return np.rint(np.exp([5 + 0.9 * normal.inv_cdf((i + 0.5) / 4096) for i in range(4096)])) + 1.0


def swing_of(ticks: np.ndarray, ratio: np.ndarray | float, count: int) -> np.ndarray:
    """`Days.swing` for a standard deviation of `ratio` x `ticks` at midday."""
    return np.rint(ticks * ratio * 2**BRIDGE_BITS / (9459 * np.sqrt(count))).astype(np.int64)


def grid(days: Days, count: int, words: np.ndarray) -> Grid:
    """`count` trades on each of `days`, from their `words_of`."""
    jitter, step, luck, side = (words[:, :, i] for i in range(4))
    place = np.arange(count)
    # A walk of uniform steps, bent so that it starts at the open and ends at the close.
    walk = np.cumsum(step, axis=1, dtype=np.int32)
    walk -= walk[:, :1].copy()
    last = walk[:, -1] - (count - 1) * 32_768
    slope = (((days.close - days.open) << BRIDGE_BITS) - last * days.swing) // (count - 1) - 32_768 * days.swing
    price = walk * days.swing[:, None]
    price += slope[:, None] * place
    price >>= BRIDGE_BITS
    price += days.open[:, None]
    np.maximum(price, 1, out=price)
    price[:, -1] = days.close
    # Takers buy rather where the price rises; the first two trades differ, so that no side is empty.
    is_buy = step > ~side
    is_buy[:, 1] = ~is_buy[:, 0]
    weight = _weights()[luck >> 4]
    of_buys = np.einsum("ij,ij->i", weight, is_buy)
    of_sells = np.einsum("ij->i", weight) - of_buys
    weight *= np.where(is_buy, (days.buys / of_buys)[:, None], (days.sells / of_sells)[:, None])
    size = weight.astype(np.int64)
    size += 1
    if days.is_washed.any():
        _wash(days, price, size, is_buy, luck)
    return Grid(price, size, is_buy, (place * 65_536 + jitter) * HOURS.sum() // count)


def words_of(days: np.ndarray, count: int, source: np.random.BitGenerator) -> np.ndarray:
    """Four words of 16 bits for each of `count` trades (a multiple of four) a day; `source` stands at day 0."""
    if not len(days):
        return np.zeros((0, count, 4), np.uint16)
    first, last = int(days[0]), int(days[-1])
    source.advance(first * count // WORDS_A_COUNT)  # pyright: ignore[reportAttributeAccessIssue]
    raw = source.random_raw((last - first + 1) * count).astype("<u8", copy=False)
    words = raw.view("<u2").reshape(last - first + 1, count, 4)
    return words if len(words) == len(days) else words[days - first]


def _wash(days: Days, price: np.ndarray, size: np.ndarray, is_buy: np.ndarray, luck: np.ndarray) -> None:
    """Make the second and third of every four trades a round trip: bought and sold at one price, in round sizes."""
    washed = np.flatnonzero(days.is_washed)
    typical = (days.buys + days.sells)[washed] // size.shape[1] * 4
    for first in range(1, size.shape[1] - 2, 4):
        at = np.minimum(np.searchsorted(ROUND, typical) + luck[washed, first] % 3, len(ROUND) - 1)
        size[washed, first] = ROUND[at]
        size[washed, first + 1] = ROUND[at] - ROUND[at] * (luck[washed, first + 1] % 8) // 1000
        price[washed, first + 1] = price[washed, first]
        is_buy[washed, first], is_buy[washed, first + 1] = True, False
