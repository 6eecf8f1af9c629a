"""Binance.US: Binance's dialect, its own pairs and order books (https://docs.binance.us/#market-data-endpoints)."""

from orchestration.sources import binance
from orchestration.sources.http import Host

# Counted: 1,200 weight a minute for an address.
HOST = Host(
    name="binance_us",
    hosts=("api.binance.us",),
    per_minute=1000,
    burst=1000,
    connections=4,
    weight_header="X-MBX-USED-WEIGHT-1M",
)

EXCHANGE = binance.exchange(HOST)
