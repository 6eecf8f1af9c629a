"""Named sets of faults: what they stand for, and their rules as text."""

PRESETS: dict[str, tuple[str, tuple[str, ...]]] = {
    "storm": ("one request in ten meets a fault of any kind that passes", ("*:*:0.1",)),
    "rate-limits": (
        "upstreams count strictly, and not all of them say how long to wait",
        ("*:429=1:0.1", "*:429-date=1:0.05", "*:429-bare:0.05", "binance:418=120:30"),
    ),
    "geo-block": (
        "blocked from this place: Binance's main hosts in JSON, CoinGecko by its proxy",
        ("api.binance.com:451", "api.coingecko.com:403-html", "data-api.binance.vision:451:3+"),
    ),
    "flaky-network": (
        "a bad line: slow, and one answer in twenty is cut, reset or lost",
        ("*:reset|reset-before|truncated|stall:0.05", "*:slow=0.05,500000"),
    ),
    "bad-gateway": ("bursts of 5xx", ("*:500|502|503|504:0.2",)),
    "bad-data": (
        "rows that repeat, move, lose their unit or hold nonsense",
        (
            "*:duplicated|triplicated|unordered|open-bar|mixed-units|microseconds|columns:0.05",
            "*:nan|infinity|negative|1e308|40-digits:0.05",
        ),
    ),
    "bad-files": (
        "archives that are late, broken, or not what their checksum says",
        ("*:missing|corrupt|truncated|empty|bomb:*.zip:0.05", "*:missing|corrupt|bomb:*.gz:0.05", "*:checksum:0.05"),
    ),
    "moving-market": (
        "a symbol is renamed, one is new, one is gone, one is another coin",
        ("binance:renamed|listed|delisted|reused",),
    ),
}
