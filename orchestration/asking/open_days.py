"""Trades of days that are not over, kept between runs, for APIs that reach back a day and no further.

A closed day can then be had though no single answer holds all of it: what the run before saw of it, and what came
since. One file per exchange and data folder, replaced whole; it holds sums, not trades. Lost, it costs a day.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from orchestration.trade_sums import Amounts, DaySum

OVERLAP = timedelta(minutes=5)
"""so long before the last answer its trades are known by their ids: one may have been published late"""


@dataclass(frozen=True)
class OpenDay:
    """What is known of one symbol's day: every trade up to `until` (naive UTC); `ids`: (id, time in µs) of
    those at or after `until` - OVERLAP."""

    until: datetime
    total: DaySum | None
    ids: list[tuple[int, int]] = field(default_factory=list)
    files: list[dict] = field(default_factory=list)
    """the answers it was read from: url, sha256, byte_count"""


Days = dict[str, dict[date, OpenDay]]
"""by symbol and day"""


def load(path: Path) -> Days:
    """Nothing where there is no file, or none that can be read."""
    try:
        kept = json.loads(path.read_text())
        return {symbol: {date.fromisoformat(d): _read(one) for d, one in days.items()} for symbol, days in kept.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return {}


def save(path: Path, days: Mapping[str, Mapping[date, OpenDay]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(
        {symbol: {d.isoformat(): _written(one) for d, one in each.items()} for symbol, each in days.items()}
    )
    aside = path.with_suffix(".new")
    with open(aside, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def _written(day: OpenDay) -> dict:
    total = day.total
    return {
        "until": day.until.isoformat(),
        "ids": day.ids,
        "files": day.files,
        "total": total
        and {
            "all": _amounts(total.all),
            "buys": _amounts(total.buys),
            "sized": [_amounts(each) for each in total.sized],
            "sized_buys": [_amounts(each) for each in total.sized_buys],
            "screens": total.screens,
            "low": str(total.low),
            "high": str(total.high),
            "first": [*total.first[:2], str(total.first[2])] if total.first else None,
            "last": [*total.last[:2], str(total.last[2])] if total.last else None,
        },
    }


def _amounts(amounts: Amounts) -> list:
    return [amounts.count, str(amounts.base), str(amounts.quote)]


def _read(kept: dict) -> OpenDay:
    total = kept["total"]
    day = total and DaySum(
        _read_amounts(total["all"]),
        _read_amounts(total["buys"]),
        Decimal(total["low"]),
        Decimal(total["high"]),
        _read_end(total["first"]),
        _read_end(total["last"]),
        [_read_amounts(each) for each in total["sized"]],
        [_read_amounts(each) for each in total["sized_buys"]],
        # A file of before trades were screened has none.
        total.get("screens", DaySum().screens),
    )
    return OpenDay(datetime.fromisoformat(kept["until"]), day, [(i, at) for i, at in kept["ids"]], kept["files"])


def _read_amounts(kept: list) -> Amounts:
    return Amounts(kept[0], Decimal(kept[1]), Decimal(kept[2]))


def _read_end(kept: list) -> tuple[int, int, Decimal]:
    return kept[0], kept[1], Decimal(kept[2])
