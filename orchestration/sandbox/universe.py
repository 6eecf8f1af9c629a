"""Who is listed in the generated market: assets, their kinds and their lives, exchanges and their pairs.

Well-known tickers come first, so that classifications and joins have something to bite on; invented
ones fill up to the size asked for. Nothing depends on the day on which it is asked.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from .events import SUCCESSORS, events

DAY_0 = date(2020, 1, 1)


def day_index(text: str) -> int:
    return (date.fromisoformat(text) - DAY_0).days


def stream(seed: int, *key: object) -> np.random.Generator:
    """The random numbers of one purpose. One a day is drawn from it, so more days change no earlier one."""
    digest = hashlib.blake2b("/".join(map(str, (seed, *key))).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=np.frombuffer(digest, np.uint64)))


@dataclass(frozen=True)
class Asset:
    """`first` and `end` (excluded) are days since DAY_0; what follows under the same ticker is another one, `reborn`.

    What goes on after a rename or a redenomination follows the price of `origin`, `factor` old coins a new one.
    """

    name: str
    kind: str  # coin, stablecoin, fiat, gold, wrapped or leveraged
    price: float
    volume_usd: float
    coin_id: str = ""
    title: str = ""
    first: int = 0
    end: int | None = None
    supply: float = 0.0
    reborn: "Asset | None" = None
    origin: "Asset | None" = None
    factor: float = 1.0

    @property
    def eras(self) -> list["Asset"]:
        return [self] if self.reborn is None else [self, *self.reborn.eras]


@dataclass(frozen=True)
class Pair:
    """Base against quote on one exchange; `share` of the base's dollar volume on Binance.

    Listed from day `first` to `end` (excluded), as far as both assets and the exchange are there.
    """

    base: str
    quote: str
    share: float
    first: int = 0
    end: int | None = None
    exchange: str = "binance"

    @property
    def name(self) -> str:
        return f"{self.base}/{self.quote}"

    @property
    def symbol(self) -> str:
        return self.base + self.quote

    @property
    def key(self) -> str:
        """Of its random numbers."""
        return self.symbol if self.exchange == "binance" else f"{self.exchange}:{self.name}"


# ticker, CoinGecko id, title, price and day of the listing. Prices near those of the time.
WELL_KNOWN = """
BTC bitcoin Bitcoin 7200
ETH ethereum Ethereum 130
BNB binancecoin BNB 13.7
SOL solana Solana 2.9 2020-08-11
XRP ripple XRP 0.193
ADA cardano Cardano 0.0335
DOGE dogecoin Dogecoin 0.00203
TRX tron TRON 0.0133
LINK chainlink Chainlink 1.77
AVAX avalanche-2 Avalanche 5.3 2020-09-22
DOT polkadot Polkadot 2.9 2020-08-18
LTC litecoin Litecoin 41.4
BCH bitcoin-cash Bitcoin_Cash 204
UNI uniswap Uniswap 3.4 2020-09-17
NEAR near NEAR_Protocol 1.1 2020-10-14
ATOM cosmos Cosmos 4.2
XLM stellar Stellar 0.045
ETC ethereum-classic Ethereum_Classic 4.5
FIL filecoin Filecoin 31 2020-10-15
AAVE aave Aave 52 2020-10-15
ALGO algorand Algorand 0.21
HBAR hedera-hashgraph Hedera 0.0107
VET vechain VeChain 0.0053
ICP internet-computer Internet_Computer 410 2021-05-11
SUI sui Sui 1.4 2023-05-03
APT aptos Aptos 8.1 2022-10-19
ARB arbitrum Arbitrum 1.3 2023-03-23
OP optimism Optimism 1.5 2022-06-01
INJ injective-protocol Injective 1.3 2020-10-21
SEI sei-network Sei 0.19 2023-08-15
JUP jupiter-exchange-solana Jupiter 0.65 2024-01-31
GRT the-graph The_Graph 0.13 2020-12-17
SAND the-sandbox The_Sandbox 0.052 2020-08-14
MANA decentraland Decentraland 0.09 2020-08-06
CRV curve-dao-token Curve_DAO 3.1 2020-08-15
THETA theta-token Theta_Network 0.088
XTZ tezos Tezos 1.35
DASH dash Dash 41.8
ZEC zcash Zcash 27.6
ENJ enjincoin Enjin_Coin 0.075
CHZ chiliz Chiliz 0.0063
AXS axie-infinity Axie_Infinity 0.56 2020-11-04
SNX havven Synthetix 2.9 2020-07-09
COMP compound-governance-token Compound 170 2020-06-25
YFI yearn-finance yearn.finance 11500 2020-08-10
SUSHI sushi SushiSwap 2.9 2020-09-01
WIF dogwifcoin dogwifhat 1.9 2024-03-05
FTT ftx-token FTX_Token 2.2
"""
STABLECOINS = (
    "USDC usd-coin USDC|TUSD true-usd TrueUSD|DAI dai Dai|FDUSD first-digital-usd First_Digital_USD 2023-07-26"
)
INVENTED_ENDINGS_REFUSED = ("UP", "DOWN", "BULL", "BEAR", "USD", "EUR", "BTC", "ETH", "BNB", "TRY")
# Tickers that classifications know as something else than a coin.
TAKEN = (
    "LUNA WBTC WBETH BETH BNSOL PAXG XAUT EUR GBP AUD TRY BRL RUB UAH NGN ZAR PLN RON ARS JPY MXN COP CZK IDRT BIDR "
    "BVND USD USDT USDC TUSD DAI FDUSD UST USTC BUSD VAI SUSD PAX USDP USDE COCOS DREP SUN QUICK STRAX VIDT BTCUP "
    "MATIC POL KRW XBT GAL VEN BAL TON"
)
# CoinGecko id and title of what goes on under another ticker.
RENAMED = {"POL": ("polygon-ecosystem-token", "POL"), "USTC": ("terrausd", "TerraClassicUSD")}
# Coins of events.py come in where there is room for them.
SMALLEST_EVENTFUL = 20


def assets(seed: int, size: int) -> dict[str, Asset]:
    """`size` base assets, the greatest first; the classes that a flow metric must tell apart always among them."""
    found: list[Asset] = []
    for line in WELL_KNOWN.split("\n")[1:-1]:
        name, coin_id, title, price, *day = line.split()
        found.append(_coin(seed, len(found), name, coin_id, title.replace("_", " "), float(price), day))
    special = _special(seed) + (_eventful() if size >= SMALLEST_EVENTFUL else [])
    found = found[: max(2, size - len(special))]
    found += _invented(seed, size - len(special) - len(found), {asset.name for asset in found} | {*TAKEN.split()})
    return {asset.name: asset for asset in found + special}


def _eventful() -> list[Asset]:
    """Coins that are renamed or redenominated, and a stablecoin that fails."""
    found = []
    for asset in (
        Asset("MATIC", "coin", 0.0146, 1.6e8, "matic-network", "Polygon", 0, supply=2.8e9),
        Asset("UST", "stablecoin", 1.0, 4e7, "terrausd", "TerraUSD", day_index("2021-12-24")),
    ):
        event = events("rename", asset=asset.name)[0]
        assert event.end
        name = SUCCESSORS[asset.name]
        found.append(replace(asset, end=(event.first - DAY_0).days))
        following = (event.end - DAY_0).days
        coin_id, title = RENAMED[name]
        new = replace(asset, name=name, coin_id=coin_id, title=title, first=following, origin=asset)
        found.append(new)
    for asset in (
        Asset("COCOS", "coin", 0.00041, 6e6, "cocos-bcx", "COCOS BCX", 0, supply=4.1e10),
        Asset("DREP", "coin", 0.0038, 7e6, "drep-new", "DREP", 0, supply=3.2e9),
    ):
        event = events("redenomination", asset=asset.name)[0]
        assert event.end
        following = (event.end - DAY_0).days
        price, supply = asset.price * event.factor, asset.supply / event.factor
        new = replace(asset, first=following, origin=asset, factor=event.factor, price=price, supply=supply)
        found.append(replace(asset, end=(event.first - DAY_0).days, reborn=new))
    return found


def _volume(rank: int) -> float:
    """Dollars of an ordinary day, by rank: BTC and ETH apart, then a long tail."""
    return (2.0e9, 1.2e9)[rank] if rank < 2 else 1.5e9 / (rank + 1) ** 0.9


def _coin(seed: int, rank: int, name: str, coin_id: str, title: str, price: float, day: Sequence[str]) -> Asset:
    volume = _volume(rank)
    first = day_index(day[0]) if day else 0
    gone = events("delisting", asset=name)
    end = (gone[0].first - DAY_0).days if gone else None
    supply = {"BTC": 18_130_000.0, "ETH": 109_100_000.0}.get(name) or round(volume * 9 / price, -3)
    return Asset(name, "coin", price, volume, coin_id, title, first, end, supply)


def _special(seed: int) -> list[Asset]:
    found = []
    for line in STABLECOINS.split("|"):
        name, coin_id, title, *day = line.split()
        first = day_index(day[0]) if day else 0
        found.append(Asset(name, "stablecoin", 1.0, 4e7, coin_id, title.replace("_", " "), first))
    reused = events("reused_ticker", asset="LUNA")[0]
    assert reused.end
    new = Asset("LUNA", "coin", 8.9, 3e7, "terra-luna-2", "Terra", (reused.end - DAY_0).days, supply=2.1e8)
    old = replace(new, price=0.55, volume_usd=9e7, coin_id="terra-luna", first=day_index("2020-08-21"), supply=4e8)
    return found + [
        replace(old, end=(reused.first - DAY_0).days, reborn=new),
        Asset("EUR", "fiat", 1.12, 1.5e7),
        Asset("PAXG", "gold", 1530.0, 8e6, "pax-gold", "PAX Gold", day_index("2020-08-28"), supply=120_000.0),
        Asset(
            "WBTC", "wrapped", 7200.0, 1e7, "wrapped-bitcoin", "Wrapped Bitcoin", day_index("2023-03-31"), supply=15e4
        ),
        Asset("BTCUP", "leveraged", 10.0, 2e7, first=day_index("2020-05-14"), end=day_index("2024-02-28")),
    ]


def _invented(seed: int, count: int, taken: set[str]) -> list[Asset]:
    found: list[Asset] = []
    random = stream(0, "names")
    while len(found) < count:
        name = "".join(_syllable(random) for _ in range(random.integers(1, 4)))[: random.integers(3, 6)].upper()
        if len(name) < 3 or name in taken or name.endswith(INVENTED_ENDINGS_REFUSED):
            continue
        taken.add(name)
        draw = stream(seed, "listing", name)
        price = float(10 ** draw.uniform(-1.3, 1.2))
        first = 0 if draw.random() < 0.3 else int(draw.integers(60, 2050))
        end = first + int(draw.integers(250, 1700)) if draw.random() < 0.18 else None
        volume = _volume(len(WELL_KNOWN.split("\n")) + len(found)) * float(draw.uniform(0.5, 1.6))
        supply = round(volume * 9 / price, -3)
        found.append(Asset(name, "coin", price, volume, name.lower(), name.title(), first, end, supply))
    return found


ONSETS = "b c d f g k l m n p r s t v x z br dr fl gr kr pl st tr"
VOWELS, CODAS = "a e i o u", ("", "", "n", "r", "x", "l", "s")


def _syllable(random: np.random.Generator) -> str:
    return "".join(parts[int(random.integers(0, len(parts)))] for parts in (ONSETS.split(), VOWELS.split(), CODAS))


def pairs(listed: dict[str, Asset]) -> dict[str, Pair]:
    """Everything against USDT; the greatest also against coins, fiat and another dollar; TRY is the inverse pair."""
    coins = [asset.name for asset in listed.values() if asset.kind == "coin"]
    found = [Pair(name, "USDT", 1.0) for name in listed]
    found.append(Pair("USDT", "TRY", 1.0, day_index("2020-02-12")))
    others = (
        ("BTC", 25, 0.04, 0),
        ("ETH", 9, 0.015, 0),
        ("BNB", 12, 0.01, 0),
        ("EUR", 8, 0.02, day_index("2020-01-03")),
        ("TRY", 12, 0.03, day_index("2020-02-12")),
        ("USDC", 10, 0.05, day_index("2023-03-12")),
    )
    for quote, count, share, first in others:
        for base in coins[:count]:
            # A coin is not quoted in itself nor in one that ranks below it.
            if quote not in coins[: coins.index(base) + 1 if base != quote else count] and quote in coins:
                continue
            if base != quote:
                found.append(Pair(base, quote, share, first))
    return {pair.symbol: pair for pair in found}


@dataclass(frozen=True)
class Exchange:
    """`share` of the volume on Binance, `chance` that a coin is listed at all; `end` (excluded) where it is over."""

    name: str
    quote: str
    share: float
    chance: float
    first: int
    end: int | None = None


def _exchanges() -> dict[str, Exchange]:
    found = {}
    for line in EXCHANGE_TABLE.strip().splitlines():
        name, quote, share, chance, first = line.split()
        ended = events("exchange_end", exchange=name)
        end = (ended[0].first - DAY_0).days if ended else None
        found[name] = Exchange(name, quote, float(share), float(chance), day_index(first), end)
    return found


# Its main quote, volume against Binance's, chance of a listing, first day. binance_usdm: perpetuals.
EXCHANGE_TABLE = """
binance      USDT 1.00 1.00 2020-01-01
binance_usdm USDT 2.20 0.60 2020-01-01
okx          USDT 0.24 0.55 2020-01-01
bybit        USDT 0.26 0.60 2021-07-15
kucoin       USDT 0.08 0.80 2020-01-01
gate         USDT 0.10 0.90 2020-01-01
htx          USDT 0.05 0.45 2020-01-01
bitget       USDT 0.09 0.60 2020-01-01
coinbase     USD  0.16 0.40 2020-01-01
kraken       USD  0.06 0.40 2020-01-01
upbit        KRW  0.20 0.35 2020-01-01
bitstamp     USD  0.03 0.30 2020-01-01
crypto_com   USDT 0.05 0.40 2020-01-01
binance_us   USDT 0.02 0.35 2020-01-01
poloniex     USDT 0.01 0.35 2020-01-01
"""
EXCHANGES = _exchanges()
# Against other quotes: exchange, quote, how many of its greatest coins, share of its volume, first day, end.
OTHER_QUOTES = """
okx        BTC  8  0.02 2020-01-01
okx        USDC 6  0.03 2023-03-12
bybit      USDC 5  0.03 2022-03-01
kucoin     BTC  10 0.03 2020-01-01
gate       BTC  4  0.01 2020-01-01
coinbase   USDT 12 0.04 2021-05-04
coinbase   EUR  8  0.06 2020-01-01
kraken     EUR  25 0.60 2020-01-01
kraken     BTC  5  0.03 2020-01-01
upbit      BTC  10 0.01 2020-01-01
upbit      USDT 4  0.01 2020-01-01
binance_us USD  10 0.80 2020-01-01 2023-07-17
poloniex   BTC  6  0.05 2020-01-01
"""
# Dollars against tether, where dollars are traded.
DOLLAR_EXCHANGES = ("coinbase", "kraken", "bitstamp")
ALWAYS_LISTED = 8


def exchange_pairs(seed: int, listed: dict[str, Asset], exchange: str) -> dict[str, Pair]:
    """Pairs of one exchange by their name; Binance's are `pairs`."""
    if exchange == "binance":
        return {pair.name: pair for pair in pairs(listed).values()}
    venue = EXCHANGES[exchange]
    kinds = ("coin",) if exchange == "binance_usdm" else ("coin", "stablecoin", "gold", "wrapped")
    draws = stream(seed, "listings", exchange).random((len(listed), 4)).tolist()
    found: list[Pair] = []
    for rank, (asset, (luck, delay, ends, life)) in enumerate(zip(listed.values(), draws, strict=True)):
        # What is great or has a story is listed everywhere, at once and for good.
        is_sure = rank < ALWAYS_LISTED or asset.origin is not None or len(asset.eras) > 1 or asset.name in SUCCESSORS
        if asset.kind not in kinds or not (is_sure or luck < venue.chance):
            continue
        first = asset.first + int(60 * delay) if asset.first and not is_sure else 0
        end = max(first, venue.first) + 200 + int(2000 * life) if ends < 0.08 and not is_sure else None
        found.append(Pair(asset.name, venue.quote, venue.share, first, end, exchange))
    coins = [pair for pair in found if listed[pair.base].kind == "coin"]
    for line in OTHER_QUOTES.strip().splitlines():
        name, quote, count, share, since, *until = line.split()
        for pair in [pair for pair in coins if name == exchange and pair.base != quote][: int(count)]:
            ends = [end for end in (pair.end, *map(day_index, until)) if end is not None]
            first, end = max(pair.first, day_index(since)), min(ends, default=None)
            found.append(replace(pair, quote=quote, share=venue.share * float(share), first=first, end=end))
    if exchange in DOLLAR_EXCHANGES:
        found.append(Pair("USDT", "USD", venue.share, exchange=exchange))
    return {pair.name: pair for pair in found}
