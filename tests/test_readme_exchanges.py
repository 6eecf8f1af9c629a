"""The README's table of exchanges says what the registry says."""

import re
from pathlib import Path

import pytest

from orchestration.commands.status import READ_FROM
from orchestration.sources.exchange import Klines, TradeFiles
from orchestration.sources.registry import EXCHANGES

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()
ROWS = {
    cells[0]: cells[1:]
    for line in README.partition("## Exchanges")[2].partition("## ")[0].splitlines()
    if (cells := [cell.strip() for cell in line.strip("|").split("|")])[0] in EXCHANGES
}


@pytest.mark.parametrize("name", EXCHANGES)
def test_how_an_exchange_is_read_and_asked_stands_in_the_table(name: str):
    exchange = EXCHANGES[name]
    assert name in ROWS, "a row of the README's table"
    read_from, history, _, asked, side = ROWS[name]
    assert read_from == READ_FROM[type(exchange.flows)]
    assert asked == ("by default" if exchange.is_default else "by name")
    assert side == ("sums itself" if isinstance(exchange.flows, Klines) else exchange.flows.side.of)
    if isinstance(exchange.flows, TradeFiles) and exchange.flows.first:
        assert re.match(f"{exchange.flows.first:%Y-%m}", history)
