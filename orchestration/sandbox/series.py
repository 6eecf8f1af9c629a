"""Series of the generated market that are not prices: stablecoins, policy rates, money, mood.

Each function returns a body as the upstream words it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from .market import Body, decimal_text, json_rows, midnight_ms
from .paths import Paths, level, wandering
from .universe import DAY_0, day_index

LLAMA, LLAMA_API = "stablecoins.llama.fi", "api.llama.fi"
FRED, FNG = "fred.stlouisfed.org", "api.alternative.me"


@dataclass(frozen=True)
class Stablecoin:
    id: str
    symbol: str
    name: str
    gecko_id: str
    mechanism: str
    billions: str
    chains: str  # chain:weight[:from]
    peg: str = "peggedUSD"


STABLECOINS = (
    Stablecoin(
        "1",
        "USDT",
        "Tether",
        "tether",
        "fiat-backed",
        "2020-01-01 4.1 2020-12-31 21 2021-12-31 78 2022-05-10 83 2022-12-31 66 2024-01-01 92 2025-01-01 138 "
        "2026-01-01 187 2026-12-31 196",
        "Ethereum:45 Tron:50 BSC:3:2020-09-15 Solana:2:2021-03-15 Avalanche:1:2021-09-10 "
        "Arbitrum:2:2021-09-20 TON:1:2024-04-19",
    ),
    Stablecoin(
        "2",
        "USDC",
        "USD Coin",
        "usd-coin",
        "fiat-backed",
        "2020-01-01 0.52 2020-12-31 4 2021-12-31 42 2022-07-01 55 2023-03-10 43 2023-12-31 24.5 2025-01-01 44 "
        "2026-12-31 80",
        "Ethereum:70 Solana:9:2020-11-10 Polygon:3:2021-05-31 Arbitrum:5:2021-09-20 Base:6:2023-08-09",
    ),
    Stablecoin(
        "3",
        "USTC",
        "TerraClassicUSD",
        "terrausd",
        "algorithmic",
        # After it failed, what it is worth.
        "2020-11-23 0.05 2021-06-30 1.9 2021-12-31 10.1 2022-05-08 18.6 2022-05-13 2.3 2022-06-18 0.25 2026-12-31 0.06",
        "Terra:92 Ethereum:8:2021-02-01",
    ),
    Stablecoin(
        "5",
        "DAI",
        "Dai",
        "dai",
        "crypto-backed",
        "2020-01-01 0.045 2020-12-31 1.2 2022-02-01 9.7 2022-12-31 5.2 2024-06-01 5.1 2026-12-31 4.4",
        "Ethereum:92 Polygon:4:2021-05-31 Arbitrum:3:2021-09-20",
    ),
    Stablecoin(
        "7",
        "TUSD",
        "TrueUSD",
        "true-usd",
        "fiat-backed",
        "2020-01-01 0.16 2021-12-31 1.3 2023-09-01 3.3 2024-06-01 0.5 2026-12-31 0.48",
        "Ethereum:40 Tron:55:2021-04-01 BSC:5:2020-09-15",
    ),
    Stablecoin(
        "50",
        "EURC",
        "Euro Coin",
        "euro-coin",
        "fiat-backed",
        "2022-07-01 0.012 2024-07-01 0.04 2026-12-31 0.35",
        "Ethereum:60 Solana:15:2024-01-01 Base:25:2024-07-30",
        "peggedEUR",
    ),
    Stablecoin(
        "119",
        "FDUSD",
        "First Digital USD",
        "first-digital-usd",
        "fiat-backed",
        "2023-07-26 0.02 2024-03-31 3 2025-01-01 1.8 2026-12-31 1.1",
        "Ethereum:65 BSC:35",
    ),
)
# What is locked in protocols and what decentralised exchanges trade, in billions of dollars; chain:weight[:from]
LOCKED = """2020-01-01 0.6 2020-06-15 1 2020-09-01 9 2021-05-11 130 2021-07-20 75 2021-11-10 175 2022-05-06 135
2022-06-18 52 2022-12-31 38 2023-10-12 36 2024-03-13 98 2024-08-05 80 2024-12-17 130 2025-04-08 88 2025-10-06 168
2026-02-06 95 2026-12-31 105"""
LOCKED_CHAINS = (
    "Ethereum:60, Tron:5:2020-08-20, BSC:7:2020-10-01, Solana:7:2021-03-15, Bitcoin:2:2021-01-01, "
    "Avalanche:2:2021-02-20, Polygon:2:2020-10-15, Arbitrum:3:2021-08-31, Optimism:1:2021-07-16, Base:4:2023-08-09, "
    "zkSync Era:0.3:2023-03-24"
)
SWAPPED = """2020-01-01 0.01 2020-06-15 0.06 2020-09-01 0.9 2021-01-08 2.2 2021-05-19 9 2021-07-20 2.4 2021-11-10 6.5
2022-06-18 3 2022-12-30 1.1 2023-03-11 4.5 2023-09-11 1.5 2024-03-13 8.5 2024-12-05 14 2025-01-18 24 2025-04-15 8
2025-10-11 21 2026-02-06 10 2026-12-31 9"""
SWAPPED_CHAINS = (
    "Ethereum:50, BSC:16:2020-09-20, Solana:24:2021-02-21, Avalanche:3:2021-02-20, Polygon:3:2020-10-15, "
    "Arbitrum:8:2021-08-31, Optimism:2:2021-07-16, Base:9:2023-08-09, zkSync Era:0.4:2023-03-24"
)
ELSEWHERE_RATIO = 0.06  # of the total, on chains that nobody asks for
MONTHLY_LAG, WEEKLY_LAG, DAILY_LAG = 25, 1, 2  # days after the period until FRED shows it
M2 = """2019-01-01 14430 2020-01-01 15400 2020-06-01 18130 2021-12-01 21480 2022-04-01 21720 2023-04-01 20700
2024-01-01 20770 2025-01-01 21490 2026-01-01 22450 2026-12-01 23300"""
RATE = """2019-01-01 2.40 2019-08-01 2.13 2019-11-01 1.55 2020-03-01 1.58 2020-03-16 0.08
2022-03-16 0.08 2022-03-17 0.33 2023-07-26 5.08 2023-07-27 5.33 2024-09-18 5.33 2024-09-19 4.83
2024-12-19 4.33 2025-09-17 4.33 2025-12-11 3.64
2026-12-31 3.1"""
ASSETS_OF_THE_FED = """2019-01-01 4058000 2020-02-26 4158000 2020-06-10 7168000 2022-04-13 8965000 2024-06-05 7255000
2025-12-03 6535000 2026-12-31 6700000"""


class Series:
    def __init__(self, paths: Paths, now: date) -> None:
        self.paths, self.now = paths, now
        self._chains = {coin.id: self._coin_chain_cents(coin) for coin in STABLECOINS}
        self.locked = self._decentralised("locked", LOCKED, LOCKED_CHAINS, 0.01)
        self.swapped = self._decentralised("swapped", SWAPPED, SWAPPED_CHAINS, 0.25)

    def bodies(self) -> list[Body]:
        found = [
            Body(LLAMA, "/stablecoins", {"includePrices": "true"}, self.stablecoin_list),
            Body(LLAMA, "/stablecoincharts/all", {}, self.stablecoin_total),
            Body(FNG, "/fng/", {"limit": "0"}, self.fear_and_greed),
        ]
        found += [
            Body(LLAMA, f"/stablecoin/{c.id}", {}, self._coin_reader(c)) for c in STABLECOINS if self._chains[c.id]
        ]
        found += [self._chart("/v2/historicalChainTvl", chain, _locked, path) for chain, path in self.locked.items()]
        found += [self._chart("/overview/dexs", chain, _swapped, path) for chain, path in self.swapped.items()]
        series = {
            "M2SL": self.money,
            "WALCL": self.balance_sheet,
            "DFF": self.daily_rate,
            "FEDFUNDS": self.monthly_rate,
        }
        found += [Body(FRED, "/graph/fredgraph.csv", {"id": name}, read, "text/csv") for name, read in series.items()]
        return found

    # --- stablecoins -------------------------------------------------------------------------

    def _coin_chain_cents(self, coin: Stablecoin) -> dict[str, tuple[int, np.ndarray]]:
        paths = self.paths
        start = day_index(coin.billions.split()[0])
        total = level(coin.billions, paths.days, True) * 1e11
        total = total * np.exp(wandering(0.002 * paths.normal("supply", coin.symbol), 0.9))
        return self._split(total, coin.symbol, start, coin.chains.split())

    def _split(
        self, total: np.ndarray, what: str, start: int, chains: Sequence[str]
    ) -> dict[str, tuple[int, np.ndarray]]:
        """Per chain: first day, and its part of `total` in cents from then to the last closed day."""
        paths, weights = self.paths, {}
        for item in chains:
            chain, weight, *since = item.split(":")
            first = max(start, day_index(since[0]) if since else 0)
            grown = np.clip((paths.days - first + 1) / 200, 0, 1) if since else 1.0
            sway = np.exp(wandering(0.004 * paths.normal("chain", what, chain), 0.98))
            weights[chain] = first, float(weight) * grown * sway * (paths.days >= first)
        everything = np.maximum(sum(weight for _, weight in weights.values()), 1e-9)
        return {
            chain: (first, np.rint(total * weight / everything).astype(np.int64)[first : paths.day_count])
            for chain, (first, weight) in weights.items()
            if first < paths.day_count
        }

    def _decentralised(self, what: str, anchors: str, chains: str, noise: float) -> dict[str, tuple[int, np.ndarray]]:
        """Cents by chain; `all` is more than their sum, since some is on chains that are not told one by one."""
        paths = self.paths
        total = level(anchors, paths.days, True) * 1e11 * np.exp(noise * paths.normal(what))
        parts = self._split(total, what, 0, chains.split(", "))
        whole = np.zeros(paths.day_count, np.int64)
        for first, cents in parts.values():
            whole[first:] += cents
        sway = np.exp(0.1 * paths.normal(what, "elsewhere")[: paths.day_count])
        elsewhere = np.rint(whole * ELSEWHERE_RATIO * sway).astype(np.int64)
        return {"all": (0, whole + elsewhere)} | parts

    def _chart(self, path: str, chain: str, write: Callable[[int, np.ndarray], bytes], cents: tuple) -> Body:
        own = path if chain == "all" else f"{path}/{chain}"
        return Body(LLAMA_API, own, {}, lambda: write(*cents))

    def has(self, coin: Stablecoin) -> bool:
        """False where it is issued only after the last closed day."""
        return bool(self._chains[coin.id])

    def coin_cents(self, coin: Stablecoin) -> tuple[int, np.ndarray]:
        """The sum of its chains, from its first day on."""
        chains = self._chains[coin.id].values()
        first = min(start for start, _ in chains)
        total = np.zeros(self.paths.day_count - first, np.int64)
        for start, cents in chains:
            total[start - first :] += cents
        return first, total

    def peg_cents(self, peg: str) -> tuple[int, np.ndarray]:
        """The sum of the coins of one peg, from the first day of the first."""
        coins = [self.coin_cents(c) for c in STABLECOINS if c.peg == peg and self._chains[c.id]]
        first = min((start for start, _ in coins), default=self.paths.day_count)
        total = np.zeros(self.paths.day_count - first, np.int64)
        for start, cents in coins:
            total[start - first :] += cents
        return first, total

    def _coin_reader(self, coin: Stablecoin) -> Callable[[], bytes]:
        return lambda: self.stablecoin(coin)

    def stablecoin(self, coin: Stablecoin) -> bytes:
        chains = self._chains[coin.id]
        head = json.dumps(self._identity(coin))[:-1]
        balances = ",".join(f'"{chain}":{{"tokens":{_tokens(coin.peg, *path)}}}' for chain, path in chains.items())
        current = {chain: {coin.peg: cents[-1] / 100} for chain, (_, cents) in chains.items()}
        tokens = _tokens(coin.peg, *self.coin_cents(coin))
        tail = json.dumps(current)
        return f'{head},"tokens":{tokens},"chainBalances":{{{balances}}},"currentChainBalances":{tail}}}'.encode()

    def stablecoin_total(self) -> bytes:
        """Supply per peg; dollars per euro at the day's price. The last point is the day that is not over."""
        first, dollars = self.peg_cents("peggedUSD")
        since, euros = self.peg_cents("peggedEUR")
        rate = self.paths.usd("EUR")[since : self.paths.day_count]
        in_dollars = np.rint(euros * rate).astype(np.int64)
        early, late = slice(0, since - first), slice(since - first, None)
        days = np.arange(first, self.paths.day_count)
        rows = _points(days[early], {"peggedUSD": dollars[early]}, {"peggedUSD": dollars[early]}).to_pylist()
        both = {"peggedUSD": dollars[late], "peggedEUR": euros}
        usd = {"peggedUSD": dollars[late], "peggedEUR": in_dollars}
        rows += _points(days[late], both, usd).to_pylist()
        if rows:
            rows.append(rows[-1].replace(str(_seconds(days[-1])), str(_seconds(days[-1] + 1))))
        return ("[" + ",".join(rows) + "]").encode()

    def stablecoin_list(self) -> bytes:
        pegged, by_chain = [], {}
        for coin in STABLECOINS:
            chains = self._chains[coin.id]
            if not chains:
                continue
            _, total = self.coin_cents(coin)
            euro = float(self.paths.usd("EUR")[self.paths.day_count - 1]) if coin.peg == "peggedEUR" else 1.0
            price = euro if coin.peg == "peggedEUR" else self._price(coin)
            circulating = {}
            for chain, (_, cents) in chains.items():
                circulating[chain] = {"current": {coin.peg: cents[-1] / 100}} | _previous(coin.peg, cents)
                usd = by_chain.setdefault(chain, {})
                usd[coin.peg] = round(usd.get(coin.peg, 0.0) + cents[-1] / 100 * euro, 2)
            order = sorted(chains, key=lambda chain: -chains[chain][1][-1])
            row = self._identity(coin) | {"priceSource": "defillama", "circulating": {coin.peg: total[-1] / 100}}
            row |= _previous(coin.peg, total) | {
                "chainCirculating": circulating,
                "chains": order,
                "price": round(price, 6),
            }
            pegged.append((-total[-1] * euro, row))
        rows = [row for _, row in sorted(pegged, key=lambda item: item[0])]
        names = [
            {"gecko_id": None, "totalCirculatingUSD": usd, "tokenSymbol": None, "name": c}
            for c, usd in by_chain.items()
        ]
        return json.dumps({"peggedAssets": rows, "chains": names}).encode()

    def _price(self, coin: Stablecoin) -> float:
        """Dollars at the end of the last day; that of tether is one."""
        name = {"USTC": "UST"}.get(coin.symbol, coin.symbol)
        return 1.0 if name == "USDT" else float(self.paths.peg(name)[self.paths.day_count - 1])

    def _identity(self, coin: Stablecoin) -> dict:
        return {
            "id": coin.id,
            "name": coin.name,
            "symbol": coin.symbol,
            "gecko_id": coin.gecko_id,
            "pegType": coin.peg,
            "pegMechanism": coin.mechanism,
        }

    # --- FRED --------------------------------------------------------------------------------

    def _days(self, step: str, lag: int) -> list[date]:
        """First days of the periods since 2019 whose figure is out before now."""
        day, found = date(2019, 1, 2) if step == "week" else date(2019, 1, 1), []
        while True:
            following = day + timedelta(days=7 if step == "week" else 1)
            if step == "month":
                following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            published = (day if step == "week" else following) + timedelta(days=lag)
            if published >= self.now:
                return found
            found.append(day)
            day = following

    def _csv(self, name: str, days: list[date], anchors: str, noise: float, places: int) -> bytes:
        at = np.array([(day - DAY_0).days for day in days])
        shocks = self.paths.normal(name) if noise else np.zeros(self.paths.padded)
        # Days before day 0 carry no noise: the streams begin there.
        wobble = np.where(at >= 0, noise * shocks[np.clip(at, 0, self.paths.padded - 1)], 0.0)
        values = level(anchors, at) * (1 + wobble) if days else []
        lines = [f"{day},{value:.{places}f}" for day, value in zip(days, values, strict=True)]
        return "\n".join([f"observation_date,{name}", *lines, ""]).encode()

    def money(self) -> bytes:
        return self._csv("M2SL", self._days("month", MONTHLY_LAG), M2, 0.0008, 1)

    def balance_sheet(self) -> bytes:
        return self._csv("WALCL", self._days("week", WEEKLY_LAG), ASSETS_OF_THE_FED, 0.002, 0)

    def daily_rate(self) -> bytes:
        return self._csv("DFF", self._days("day", DAILY_LAG), RATE, 0.0, 2)

    def monthly_rate(self) -> bytes:
        return self._csv("FEDFUNDS", self._days("month", 2), RATE, 0.0, 2)

    # --- alternative.me ----------------------------------------------------------------------

    def fear_and_greed(self) -> bytes:
        """Newest first. The value of a day knows closes up to the day before, so today's is there too."""
        paths = self.paths
        btc = np.log(paths.usd("BTC"))
        month = btc - btc[np.maximum(np.arange(paths.padded) - 30, 0)]
        mood = np.clip(np.rint(48 + 95 * month + 5 * paths.normal("mood")), 5, 95).astype(int)
        data = []
        for day in range(paths.day_count, 0, -1):
            value = int(mood[day - 1])
            point = {"value": str(value), "value_classification": _mood(value), "timestamp": str(_seconds(day))}
            data.append(point)
        if data:
            data[0]["time_until_update"] = "86400"
        return json.dumps({"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}}).encode()


def _mood(value: int) -> str:
    names = ((25, "Extreme Fear"), (46, "Fear"), (54, "Neutral"), (75, "Greed"))
    return next((name for top, name in names if value < top + (top == 54)), "Extreme Greed")


def _seconds(day: int) -> int:
    return midnight_ms(DAY_0) // 1000 + int(day) * 86_400


def _previous(peg: str, cents: np.ndarray) -> dict:
    """What stood a day, a week and a month ago; absent where the history is shorter."""
    lags = {"circulatingPrevDay": 1, "circulatingPrevWeek": 7, "circulatingPrevMonth": 30}
    return {name: {peg: cents[-1 - lag] / 100} if len(cents) > lag else {} for name, lag in lags.items()}


def _tokens(peg: str, first: int, cents: np.ndarray) -> str:
    """One point a day; the last is the day that is not over."""
    cents = np.append(cents, cents[-1:])
    days = pa.array(_seconds(first) + np.arange(len(cents), dtype=np.int64) * 86_400)
    rows = json_rows(['{"date":', days, f',"circulating":{{"{peg}":', decimal_text(cents, 2, 2), "}}"])
    return "[" + ",".join(rows.to_pylist()) + "]"


def _locked(first: int, cents: np.ndarray) -> bytes:
    """One point a day; the last is the day that is not over."""
    cents = np.append(cents, cents[-1:])
    days = pa.array(_seconds(first) + np.arange(len(cents), dtype=np.int64) * 86_400)
    rows = json_rows(['{"date":', days, ',"tvl":', decimal_text(cents, 2, 2), "}"])
    return ("[" + ",".join(rows.to_pylist()) + "]").encode()


def _swapped(first: int, cents: np.ndarray) -> bytes:
    """One point a day; the last is the day that is not over."""
    cents = np.append(cents, cents[-1:])
    days = pa.array(_seconds(first) + np.arange(len(cents), dtype=np.int64) * 86_400)
    rows = json_rows(["[", days, ",", decimal_text(cents, 2, 2), "]"])
    chart = ",".join(rows.to_pylist())
    return f'{{"totalDataChart":[{chart}],"totalDataChartBreakdown":[],"protocols":[]}}'.encode()


def _points(days: np.ndarray, native: dict[str, np.ndarray], usd: dict[str, np.ndarray]) -> pa.Array:
    parts: list[pa.Array | str] = ['{"date":"', pa.array(_seconds(0) + days * 86_400)]
    for label, columns in (('","totalCirculating":{', native), ('},"totalCirculatingUSD":{', usd)):
        parts.append(label)
        for i, (peg, cents) in enumerate(columns.items()):
            parts += [f'{"," if i else ""}"{peg}":', decimal_text(cents, 2, 2)]
    return json_rows([*parts, "}}"])
