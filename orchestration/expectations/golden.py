"""R30: the headline of the newest day, computed a second time without SQL.

Exact decimals in Arrow, nothing shared with the models: a mistake in a join, a window frame or a type shows
as a difference. Covers pairs quoted in USDT, where 1 USDT = 1 USD by definition and no price is needed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any, Literal

from orchestration.expectations.report import Failure, plain
from orchestration.expectations.suite import CRITICAL

if TYPE_CHECKING:
    import pyarrow as pa

WINDOW_DAYS = 365
PLACES = 8
LEVERAGED = ("UP", "DOWN", "BULL", "BEAR", "3L", "3S", "5L", "5S")


@dataclass(frozen=True)
class Golden:
    """The figures of one day; of the window, the day included, plain sums over 365 calendar days."""

    utc_date: date
    net_taker_usd: Decimal
    volume_usd: Decimal
    window_net_taker_usd: Decimal
    window_volume_usd: Decimal
    symbol_count: int


def leveraged_tokens(bases: Collection[str], listed: Collection[str]) -> set[str]:
    """Those of `bases` that are a listed asset followed by UP, DOWN, BULL, BEAR, 3L, 3S, 5L or 5S."""
    known = set(listed)
    return {
        base
        for base in bases
        if any(base.endswith(ending) and base.removesuffix(ending) in known for ending in LEVERAGED)
    }


def compute(
    flows: "pa.Table",
    not_alt: Collection[str],
    listed: Collection[str] = (),
    day: date | None = None,
    rounding: Literal["half_towards_infinity", "half_to_even"] = "half_towards_infinity",
) -> Golden:
    """Net and gross of all altcoins on `day` (default: the newest) and over the 365 days that end on it.

    `flows`: exchange, symbol, base_asset, quote_asset, utc_date, volume_quote, taker_buy_quote. `not_alt`: assets
    outside the universe. `listed`: base assets known from any listing, beside those in `flows`. Amounts are rounded
    once per symbol and day to 8 decimals, as USD amounts are; halves away from zero, as DuckDB's casts do.
    A day whose taker side is not reported (NULL) cannot be netted and counts for nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    bases = pc.unique(flows["base_asset"]).to_pylist()
    others = set(not_alt) | leveraged_tokens(bases, {*bases, *listed})
    alts = pa.array([base for base in bases if base not in others], pa.string())
    newest = day or pc.max(flows["utc_date"]).as_py()
    if newest is None:
        raise ValueError("no flows to compute the headline from; check that raw.spot_flows has rows")
    first = newest - timedelta(days=WINDOW_DAYS - 1)
    wanted = [
        pc.equal(flows["quote_asset"], "USDT"),
        pc.is_in(flows["base_asset"], value_set=alts),
        pc.greater_equal(flows["utc_date"], pa.scalar(first)),
        pc.less_equal(flows["utc_date"], pa.scalar(newest)),
        pc.is_valid(flows["taker_buy_quote"]),
    ]
    mask = wanted[0]
    for condition in wanted[1:]:
        mask = pc.and_(mask, condition)
    window = flows.select(["utc_date", "volume_quote", "taker_buy_quote"]).filter(mask)

    amounts = pa.table(
        {
            "utc_date": window["utc_date"],
            **{
                name: pc.cast(pc.round(window[name], PLACES, rounding), pa.decimal128(38, PLACES))
                for name in ("volume_quote", "taker_buy_quote")
            },
        }
    )
    days = amounts.group_by("utc_date").aggregate(
        [("volume_quote", "sum"), ("taker_buy_quote", "sum"), ("volume_quote", "count")]
    )
    per_day = {row["utc_date"]: row for row in days.to_pylist()}
    zero = Decimal(0).scaleb(-PLACES)
    with localcontext(prec=76):  # the default of 28 digits would round large sums
        volumes = {each: row["volume_quote_sum"] for each, row in per_day.items()}
        nets = {each: 2 * row["taker_buy_quote_sum"] - row["volume_quote_sum"] for each, row in per_day.items()}
        return Golden(
            utc_date=newest,
            net_taker_usd=nets.get(newest, zero),
            volume_usd=volumes.get(newest, zero),
            window_net_taker_usd=sum(nets.values(), zero),
            window_volume_usd=sum(volumes.values(), zero),
            symbol_count=per_day[newest]["volume_quote_count"] if newest in per_day else 0,
        )


def compare(golden: Golden, mart_row: Mapping[str, Any]) -> Failure | None:
    """None if the mart's row says the same, digit by digit; else what differs.

    `mart_row`: utc_date, net_taker_usd, volume_usd, window_net_taker_usd, window_volume_usd, decimals as decimals."""
    columns = ("utc_date", "net_taker_usd", "volume_usd", "window_net_taker_usd", "window_volume_usd")
    differing = {
        name: {"mart": mart_row.get(name), "golden": getattr(golden, name)}
        for name in columns
        if mart_row.get(name) != getattr(golden, name)
    }
    if not differing:
        return None
    return Failure(
        check="R30",
        expectation="headline_equals_second_computation",
        column=", ".join(differing),
        why="Two independent computations of the same day must agree to the last decimal.",
        severity=CRITICAL,
        unexpected_count=len(differing),
        row_level=False,
        sample=[plain(differing)],
        observed=plain(differing),
    )
