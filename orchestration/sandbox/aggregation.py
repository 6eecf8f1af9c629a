"""Bars as exact sums of the generated trades."""

from collections.abc import Callable

import numpy as np

from .market import DAY_MS, HOUR_MS, midnight_ms
from .trades import Days, Grid, grid
from .universe import DAY_0

# Days whose trades are made at a time: they fit into the processor's cache.
BLOCK_DAYS = 320
Columns = tuple[np.ndarray, ...]


def daily_bars(days: Days, count: int, words: np.ndarray, unit: int) -> Columns:
    """Columns of market.Bars; a quote amount is price x size x `unit`."""
    columns = _in_blocks(days, count, words, unit, _of_days)
    return (midnight_ms(DAY_0) + days.days * DAY_MS, *columns, np.full(len(days.days), count))


def hourly_bars(days: Days, count: int, words: np.ndarray, unit: int) -> Columns:
    """Every hour from the first trade of an era to the end of its last day; hours without trades stand still."""
    traded, *columns, counts = _in_blocks(days, count, words, unit, _of_hours)
    hours = (days.days[:, None] * 24 + np.arange(24)).ravel()
    # The last hour with trades at or before each hour.
    at = np.searchsorted(traded, hours, side="right") - 1
    is_first_day = np.repeat(np.diff(days.days, prepend=-2) != 1, 24)
    is_open = (at >= 0) & ~(is_first_day & (traded[np.maximum(at, 0)] // 24 != hours // 24))
    hours, at = hours[is_open], at[is_open]
    is_traded = traded[at] == hours
    close = columns[3][at]
    prices = [np.where(is_traded, column[at], close) for column in columns[:3]]
    sums = [np.where(is_traded, column[at], 0) for column in (*columns[4:], counts)]
    return (midnight_ms(DAY_0) + hours * HOUR_MS, *prices, close, *sums)


def _in_blocks(days: Days, count: int, words: np.ndarray, unit: int, sums: Callable[..., Columns]) -> Columns:
    parts = []
    for first in range(0, max(len(days.days), 1), BLOCK_DAYS):
        part = days.part(first, first + BLOCK_DAYS)
        trades = grid(part, count, words[first : first + BLOCK_DAYS])
        parts.append(sums(part, trades, trades.price * trades.size * unit, trades.is_buy ^ part.is_flipped[:, None]))
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))


def _of_days(days: Days, trades: Grid, amount: np.ndarray, labelled: np.ndarray) -> Columns:
    price, size = trades.price, trades.size
    prices = price[:, 0], price.max(axis=1), price.min(axis=1), price[:, -1]
    bought = np.einsum("ij,ij->i", size, labelled), np.einsum("ij,ij->i", amount, labelled)
    return (*prices, np.einsum("ij->i", size), np.einsum("ij->i", amount), *bought)


def _of_hours(days: Days, trades: Grid, amount: np.ndarray, labelled: np.ndarray) -> Columns:
    """Hours since DAY_0 that have trades, the columns of their bars, and how many trades they have."""
    hours = (days.days[:, None] * 24 + trades.hours).ravel()
    starts = np.flatnonzero(np.diff(hours, prepend=-1))
    ends = np.append(starts[1:], len(hours)) - 1
    price = trades.price.ravel()
    prices = price[starts], np.maximum.reduceat(price, starts), np.minimum.reduceat(price, starts), price[ends]
    values = trades.size, amount, trades.size * labelled, amount * labelled
    sums = [np.add.reduceat(value.ravel(), starts) for value in values]
    return (hours[starts], *prices, *sums, ends + 1 - starts)
