"""Days and months as archives name them; instants are naive datetimes in UTC."""

import re
from datetime import date, datetime, time, timedelta

import numpy as np

from .market import DAY_MS, HOUR_MS, Listing, Market, day_of, midnight_ms

PERIOD = {"daily": re.compile(r"\d{4}-\d\d-\d\d"), "monthly": re.compile(r"\d{4}-\d\d")}


def start_of(day: date) -> datetime:
    return datetime.combine(day, time())


def next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def span_of(grain: str, period: str) -> tuple[date, date] | None:
    """First day and end of `2024-02-29` (daily) or `2024-02` (monthly); None for anything else."""
    if not PERIOD[grain].fullmatch(period):
        return None
    try:
        start = date.fromisoformat(period if grain == "daily" else period + "-01")
    except ValueError:
        return None
    return start, start + timedelta(days=1) if grain == "daily" else next_month(start)


def days_listed(pair: Listing, first: date, end: date) -> list[date]:
    """Days of a pair in [first, end)."""
    first, end = max(pair.first, first), min(pair.end or end, end)
    return [first + timedelta(days=i) for i in range((end - first).days)]


def days_traded(market: Market, exchange: str, pair: Listing, hours: int) -> list[date]:
    """Days, by a clock `hours` ahead of UTC, on which a pair was traded before now."""
    trades = market.trades(exchange, pair.name, 0, midnight_ms(market.now))
    if trades is None:
        return []
    days = np.unique((trades.times_us // 1000 + hours * HOUR_MS) // DAY_MS)
    return [day_of(day * DAY_MS) for day in days.tolist()]
