"""What the marts of capitalisations and stablecoins must say about a generated market."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from .events import SUCCESSORS, events
from .generated import GeneratedMarket
from .series import STABLECOINS, Series, Stablecoin
from .truth_flows import summed
from .truth_ledger import ONE, Ledger, class_of, decimals, ratio
from .universe import DAY_0

CENT = ONE // 100
MEAN_DAYS = 200
LEAST_COVERED = 0.85
TOP = 125
CHANGES = (7, 30, 90)
# CoinMetrics' names that are not the ticker.
CAP_NAMES = {"luna2": "LUNA"}
SHARES = ("btc", "eth", "stablecoin", "other")
SHARE_OF = {"bitcoin": "btc", "ether": "eth", "stablecoin": "stablecoin"}
# Their worth is counted with another coin, or they have no capitalisation.
UNCAPPED = ("wrapped_or_staked", "leveraged", "fiat")


@dataclass(frozen=True)
class Cap:
    """10^-8 dollars, and the price in it (None: supply at its peg, or a volume)."""

    usd: int
    asset_class: str
    price: float | None = None
    is_estimated: bool = False


# --- capitalisations ----------------------------------------------------------------------------


def caps_of(ledger: Ledger, supplies: "Supplies") -> dict[date, dict[str, Cap]]:
    """By day and asset: as reported; else a stablecoin's supply at its peg; else close x the supply that the
    snapshot of the last day tells, within the era of that day."""
    market = ledger.market
    found: dict[date, dict[str, Cap]] = {}

    def add(day: date, name: str, cap: Cap) -> None:
        if cap.asset_class not in UNCAPPED:
            found.setdefault(day, {}).setdefault(name, cap)

    columns = (market.caps()[name].to_pylist() for name in ("asset", "time", "CapMrktEstUSD", "ReferenceRateUSD"))
    for upstream_name, day, usd, price in zip(*columns, strict=True):
        name = CAP_NAMES.get(upstream_name, str(upstream_name).upper())
        cap = Cap(int(Decimal(str(usd)).scaleb(8)), class_of(market, name), float(str(price)))
        add(date.fromisoformat(str(day)), name, cap)
    for coin in supplies.coins:
        failed = _failed_on(coin.symbol)
        for day, usd in supplies.dollars(coin).items():
            if day < failed:
                add(day, coin.symbol, Cap(round(usd), "stablecoin"))
    snapshot = {row["symbol"].upper(): row for row in market.coins()}
    for name, (close, _) in ledger.closes.items():
        if name not in snapshot:
            continue
        row, era, asset_class = snapshot[name], ledger.era(name), class_of(market, name)
        known = ~np.isnan(close) & (era == era[-1])
        if asset_class == "stablecoin":
            known[:-1] = False  # its supply is what changes: that of a later day says nothing
        for t in np.flatnonzero(known):
            price = float(close[t])
            usd = round(price * row["circulating_supply"] * 100) * CENT
            add(ledger.days[t], name, Cap(usd, asset_class, price, is_estimated=True))
    return dict(sorted(found.items()))


def _failed_on(name: str) -> date:
    """First day without its peg, for good; it may have had another name then."""
    names = {name, *(old for old, new in SUCCESSORS.items() if new == name)}
    failures = [event.first for event in events("depeg") if event.asset in names and event.end is None]
    return min(failures, default=date.max)


def daily_dominance(ledger: Ledger, caps: Mapping[date, Mapping[str, Cap]]) -> pa.Table:
    volumes: dict[date, dict[str, Cap]] = {}
    for name, flows in ledger.by_asset().items():
        if flows[0].asset_class == "fiat":
            continue
        sums = summed(ledger, flows)
        for t in np.flatnonzero(sums.symbols):
            volumes.setdefault(ledger.days[t], {})[name] = Cap(int(sums.volume[t]), flows[0].asset_class)
    rows: list[dict[str, Any]] = []
    for definition in ("cap_all", "cap_ex_stable", "cap_top_125", "spot_volume"):
        names_before: tuple[date, frozenset[str]] | None = None
        ether_exists = False
        for day, amounts in sorted((volumes if definition == "spot_volume" else caps).items()):
            listed = {
                name: cap
                for name, cap in amounts.items()
                if definition != "cap_ex_stable" or cap.asset_class != "stablecoin"
            }
            ether_exists = ether_exists or "ETH" in listed
            row = _dominance(ledger, definition, day, listed, ether_exists)
            names = frozenset(listed)
            if names_before and names_before[0] == day - timedelta(days=1):
                row["is_coin_set_changed"] = names != names_before[1]
            names_before = day, names
            rows.append(row)
    table = {name: [row.get(name) for row in rows] for name in rows[0] | {"is_coin_set_changed": None}}
    usd = decimals(table.pop("covered_usd"))
    return pa.table(table).append_column("covered_usd", usd)


def _dominance(
    ledger: Ledger, definition: str, day: date, listed: Mapping[str, Cap], ether_exists: bool
) -> dict[str, Any]:
    largest = sorted(listed, key=lambda name: (-listed[name].usd, name))
    counted = largest[:TOP] if definition == "cap_top_125" else largest
    parts: dict[str, int] = dict.fromkeys(SHARES, 0)
    for name in counted:
        parts[SHARE_OF.get(listed[name].asset_class, "other")] += listed[name].usd
    whole = sum(parts.values())
    estimated = [name for name in counted if listed[name].is_estimated]
    has_shares = "BTC" in counted and ("ETH" in counted or not ether_exists)
    shares = {name: ratio(part, whole) if has_shares else None for name, part in parts.items()}
    row: dict[str, Any] = {
        "definition_id": definition,
        "utc_date": day,
        "asset_count": len(counted),
        "covered_cap_ratio": None,
        "covered_usd": whole,
        "has_estimates": bool(estimated),
        "estimated_ratio": ratio(sum(listed[name].usd for name in estimated), whole),
        "coin_set_id": hashlib.md5(",".join(sorted(listed)).encode(), usedforsecurity=False).hexdigest(),
        # The whole market is known on one day only: no seven days in a row have a share.
        "btc_share_7d_median_ratio": None,
        "last_above_date": None,
        "comparable_days": 0,
    }
    row |= {f"covered_{name}_share_ratio": share for name, share in shares.items()}
    row |= {f"{name}_share_ratio": None for name in SHARES}
    if definition != "spot_volume" and day == ledger.days[-1]:
        row |= _of_the_market(ledger.market, definition, listed, shares)
    return row


def _of_the_market(
    market: GeneratedMarket, definition: str, listed: Mapping[str, Cap], shares: Mapping[str, float | None]
) -> dict[str, float | None]:
    """How much of all that the snapshot lists is covered, and the shares of all that."""
    coins = [(row["market_cap"], row["symbol"].upper()) for row in market.coins()]
    coins = [(cap, name, class_of(market, name)) for cap, name in coins]
    coins = [
        (cap, name, kind)
        for cap, name, kind in sorted(coins, key=lambda coin: -coin[0])
        if kind != "wrapped_or_staked" and not (definition == "cap_ex_stable" and kind == "stablecoin")
    ][: TOP if definition == "cap_top_125" else None]
    whole = sum(cap for cap, _, _ in coins)
    covered = sum(cap for cap, name, _ in coins if name in listed) / whole
    rest = {
        "stablecoin": sum(cap for cap, name, kind in coins if name not in listed and kind == "stablecoin") / whole,
        "other": sum(cap for cap, name, kind in coins if name not in listed and kind != "stablecoin") / whole,
    }
    found: dict[str, float | None] = {"covered_cap_ratio": covered}
    for name, share in shares.items():
        if share is not None and covered >= LEAST_COVERED:
            found[f"{name}_share_ratio"] = share * covered + rest.get(name, 0.0)
    return found


# --- stablecoins --------------------------------------------------------------------------------


class Supplies:
    """Supplies of the generated stablecoins in 10^-8 dollars, by day."""

    def __init__(self, market: GeneratedMarket) -> None:
        self.series = Series(market.paths, market.now)
        self.coins = [coin for coin in STABLECOINS if self.series.has(coin)]
        self._euros = self._by_day(*self.series.peg_cents("peggedEUR"))
        rates = market.paths.usd("EUR")
        # DefiLlama tells what all euro coins are worth, in whole cents; each of them is its part of that.
        self._euros_in_dollars = {
            day: int(np.rint(cents * rates[(day - DAY_0).days])) * CENT for day, cents in self._euros.items()
        }

    def _by_day(self, first: int, cents: np.ndarray) -> dict[date, int]:
        return {DAY_0 + timedelta(days=first + i): int(value) for i, value in enumerate(cents)}

    def _in_dollars(self, coin: Stablecoin, cents: Mapping[date, int]) -> dict[date, Fraction]:
        if coin.peg == "peggedUSD":
            return {day: Fraction(value * CENT) for day, value in cents.items()}
        return {day: Fraction(self._euros_in_dollars[day] * value, self._euros[day]) for day, value in cents.items()}

    def dollars(self, coin: Stablecoin) -> dict[date, Fraction]:
        return self._in_dollars(coin, self._by_day(*self.series.coin_cents(coin)))

    def chains(self, coin: Stablecoin) -> dict[str, dict[date, Fraction]]:
        return {
            chain: self._in_dollars(coin, self._by_day(*path)) for chain, path in self.series._chains[coin.id].items()
        }

    def total(self) -> dict[date, int]:
        found = {day: cents * CENT for day, cents in self._by_day(*self.series.peg_cents("peggedUSD")).items()}
        for day, usd in self._euros_in_dollars.items():
            found[day] = found.get(day, 0) + usd
        return found


def daily_stablecoin_supply(supplies: Supplies) -> pa.Table:
    total = supplies.total()
    dollars = {coin.id: supplies.dollars(coin) for coin in supplies.coins}
    covered: dict[date, Fraction] = {}
    for by_day in dollars.values():
        for day, usd in by_day.items():
            covered[day] = covered.get(day, Fraction(0)) + usd
    rows = []
    for coin in supplies.coins:
        for day, usd in dollars[coin.id].items():
            row: dict[str, Any] = {"stablecoin_id": coin.id, "symbol": coin.symbol, "utc_date": day}
            row |= {"peg_type": coin.peg, "is_usd_flagged": coin.peg != "peggedUSD"}
            row |= {"circulating_usd": round(usd), "total_circulating_usd": total[day]}
            row |= {f"net_{n}d_change_usd": _change(dollars[coin.id], day, n) for n in CHANGES}
            row |= {f"total_net_{n}d_change_usd": _change(total, day, n) for n in CHANGES}
            row |= {"share_ratio": float(usd / total[day]), "covered_share_ratio": float(covered[day] / total[day])}
            rows.append(row)
    return _table(rows)


def daily_stablecoin_chain_supply(supplies: Supplies) -> pa.Table:
    total = supplies.total()
    # day -> chain -> ticker -> dollars
    split: dict[date, dict[str, dict[str, Fraction]]] = {}
    own: dict[date, Fraction] = {}
    for coin in supplies.coins:
        for chain, by_day in supplies.chains(coin).items():
            for day, usd in by_day.items():
                split.setdefault(day, {}).setdefault(chain, {})[coin.symbol] = usd
        for day, usd in supplies.dollars(coin).items():
            own[day] = own.get(day, Fraction(0)) + usd
    counted = {day: sorted({name for coins in chains.values() for name in coins}) for day, chains in split.items()}
    sums = {day: {chain: sum(coins.values()) for chain, coins in chains.items()} for day, chains in split.items()}
    rows = []
    for day, chains in sums.items():
        everything = sum(chains.values())
        for chain, usd in chains.items():
            row: dict[str, Any] = {"chain": chain, "utc_date": day, "circulating_usd": round(usd)}
            for n in CHANGES:
                before = day - timedelta(days=n)
                comparable = counted.get(before) == counted[day] and chain in sums[before]
                row[f"net_{n}d_change_usd"] = round(usd - sums[before][chain]) if comparable else None
            row |= {"share_ratio": float(usd / total[day]), "chain_share_ratio": float(usd / everything)}
            row |= {"chain_stablecoins": ", ".join(sorted(split[day][chain]))}
            row |= {"stablecoins": ", ".join(counted[day]), "stablecoin_count": len(counted[day])}
            row |= {"chain_sum_ratio": float(everything / own[day])}
            row |= {"covered_share_ratio": float(everything / total[day])}
            rows.append(row)
    return _table(rows)


def daily_stablecoin_ratio(supplies: Supplies, caps: Mapping[date, Mapping[str, Cap]]) -> pa.Table:
    total = supplies.total()
    bitcoin = {day: caps[day]["BTC"] for day in total if "BTC" in caps.get(day, {})}
    quotients = {day: bitcoin[day].usd / usd for day, usd in total.items() if day in bitcoin}
    prices = {day: cap.price for day, cap in bitcoin.items() if cap.price is not None}
    pairs: list[tuple[float, float]] = []
    rows = []
    for day in sorted(total):
        cap = bitcoin.get(day)
        mean, deviation = _moments(quotients, day)
        price_mean, price_deviation = _moments(prices, day)
        score = (quotients[day] - mean) / deviation if mean is not None and deviation else None
        price_score = (
            (prices[day] - price_mean) / price_deviation if price_mean is not None and price_deviation else None
        )
        if score is not None and price_score is not None:
            pairs.append((score, price_score))
        last_days = [day - timedelta(days=i) for i in range(MEAN_DAYS)]
        rows.append(
            {
                "utc_date": day,
                "btc_cap_usd": cap and cap.usd,
                "stablecoin_cap_usd": total[day],
                "ssr": quotients.get(day),
                "ssr_mean": mean,
                "ssr_deviation": deviation,
                "oscillator": score,
                "btc_price": prices.get(day),
                "btc_price_z": price_score,
                "price_z_correlation_ratio": _correlation(pairs) if len(pairs) > 2 else None,
                "price_z_correlation_days": len(pairs),
                "is_estimated": bool(cap and cap.is_estimated),
                "estimated_days": sum(bitcoin[d].is_estimated for d in last_days if d in bitcoin),
            }
        )
    return _table(rows)


def _moments(values: Mapping[date, float], day: date) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation of the 200 calendar days that end with `day`, if all are there."""
    window = [values.get(day - timedelta(days=i)) for i in range(MEAN_DAYS)]
    known = [value for value in window if value is not None]
    return (float(np.mean(known)), float(np.std(known, ddof=1))) if len(known) == MEAN_DAYS else (None, None)


def _correlation(pairs: Sequence[tuple[float, float]]) -> float:
    return float(np.corrcoef(np.array(pairs), rowvar=False)[0, 1])


def _change(values: Mapping[date, Any], day: date, count: int) -> int | None:
    before = values.get(day - timedelta(days=count))
    return None if before is None else round(values[day] - before)


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Columns in …_usd are integers of 10^-8 dollars."""
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return pa.table({n: decimals(v) if n.endswith("_usd") else pa.array(v) for n, v in columns.items()})


def tables(ledger: Ledger) -> Iterator[tuple[str, pa.Table]]:
    supplies = Supplies(ledger.market)
    caps = caps_of(ledger, supplies)
    yield "daily_dominance", daily_dominance(ledger, caps)
    yield "daily_stablecoin_supply", daily_stablecoin_supply(supplies)
    yield "daily_stablecoin_chain_supply", daily_stablecoin_chain_supply(supplies)
    yield "daily_stablecoin_ratio", daily_stablecoin_ratio(supplies, caps)
