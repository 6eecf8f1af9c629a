"""What every published figure of a generated market must be, computed from the market itself.

The definitions are those of METRICS.md, and what the marts' descriptions add where it leaves a choice. The wire, the
warehouse, the models and the seeds are not asked: what an asset is, when it was listed, what was traded and what is in
circulation is the generator's own knowledge. Dollars are exact integers or fractions; float only for prices and ratios.

    truth_ledger.py   what was traded, in dollars
    truth_flows.py    flows per symbol, asset and definition; controls; coverage
    truth_caps.py     dominance, stablecoins
"""

from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import truth_caps, truth_flows
from .generated import GeneratedMarket
from .truth_ledger import Ledger


def flows(market: GeneratedMarket, exchanges: Iterable[str] | None = None) -> pa.Table:
    """One row per exchange, symbol and UTC day. Columns: exchange, symbol, utc_date, taker_buy_quote,
    taker_sell_quote (exact, in the quote asset). The true sides of the takers, also where the labels are wrong."""
    return truth_flows.flow_table(Ledger(market, exchanges, as_labelled=False))


def marts(
    market: GeneratedMarket,
    exchanges: Iterable[str] | None = None,
    start: date | None = None,
    as_labelled: bool = True,
) -> dict[str, pa.Table]:
    """Every row of every published mart that the generator knows, by the mart's name, after a run over the days
    [start, market.now) in which nothing failed.

    Columns are named and typed as in the mart; those that tell where a row was read from (source_kind, body_sha256)
    are left out. `exchanges`: those that the run asked, None for all; `start`: None for the market's own.
    `as_labelled`: by the sides that the exchanges write, all that a pipeline is told; else by the true ones."""
    ledger = Ledger(market, exchanges, start, as_labelled=as_labelled)
    return dict([*truth_flows.tables(ledger), *truth_caps.tables(ledger)])


def write(market: GeneratedMarket, folder: Path, exchanges: Iterable[str] | None = None) -> list[Path]:
    """One Parquet file per mart, and flows.parquet; what stands there under these names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, table in {"flows": flows(market, exchanges), **marts(market, exchanges)}.items():
        path = folder / f"{name}.parquet"
        pq.write_table(table, path)
        written.append(path)
    return written
