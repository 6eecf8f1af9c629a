"""What happens in the generated market beside prices going up and down: dated, and of known effect.

Days are UTC; `end` is excluded, None where the state lasts. Terms and dates of coins are those of the real events that
they are modelled on; what is told of an exchange is invented.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Event:
    """`exchange` and `asset` empty: all of them. `factor`: price after over price before, by the announced terms."""

    kind: str
    first: date
    end: date | None
    exchange: str
    asset: str
    factor: float
    note: str


# kind, first day, end, exchange, asset, factor, note. For coins that pause, [first, end) is the pause.
TABLE = """
redenomination | 2021-01-19 | 2021-01-23 |          | COCOS | 1000 | 1,000 old coins become one
wash_trades    | 2021-03-01 | 2024-07-01 | gate     |       | 1    | half of the trades outside BTC and ETH
redenomination | 2021-03-29 | 2021-04-02 |          | DREP  | 100  | 100 old coins become one
depeg          | 2022-05-09 |            |          | UST   | 1    | falls to 15 cents in five days, for good
reused_ticker  | 2022-05-14 | 2022-05-31 |          | LUNA  | 1    | collapses; another coin takes over its ticker
rename         | 2022-05-14 | 2022-05-25 |          | UST   | 1    | goes on as USTC
zero_fee       | 2022-07-08 | 2023-03-22 | binance  | BTC   | 1    | free trades: volume against dollars and fiat x4
delisting      | 2022-11-15 |            |          | FTT   | 1    | collapses and is gone
flipped_labels | 2023-02-01 | 2023-05-01 | kucoin   |       | 1    | taker sides are labelled the wrong way round
depeg          | 2023-03-11 | 2023-03-13 |          | USDC  | 1    | below 97 cents for two days
rename         | 2024-09-10 | 2024-09-13 |          | MATIC | 1    | goes on as POL
exchange_end   | 2025-10-01 |            | poloniex |       | 1    | stops, and never comes back
"""


def _events() -> tuple[Event, ...]:
    found = []
    for line in TABLE.strip().splitlines():
        kind, first, end, exchange, asset, factor, note = (cell.strip() for cell in line.split("|"))
        until = date.fromisoformat(end) if end else None
        found.append(Event(kind, date.fromisoformat(first), until, exchange, asset, float(factor), note))
    return tuple(found)


EVENTS = _events()
SUCCESSORS = {"MATIC": "POL", "UST": "USTC"}


def events(kind: str, exchange: str = "", asset: str = "") -> list[Event]:
    """Of one kind; those that hold for `exchange` and `asset`, where one is named."""
    return [
        event
        for event in EVENTS
        if event.kind == kind
        and (not exchange or event.exchange in ("", exchange))
        and (not asset or event.asset in ("", asset))
    ]
