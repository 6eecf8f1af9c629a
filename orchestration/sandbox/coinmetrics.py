"""CoinMetrics community v4: https://docs.coinmetrics.io/api/v4 (asset metrics, one day apart)."""

import base64
import re
from datetime import date, timedelta
from functools import lru_cache
from urllib.parse import urlencode

import numpy as np
import pyarrow as pa

from .limits import SlidingWindow
from .market import Market, Rows, json_rows, ranges, text_of
from .wire import Reply, Request, absent, json_reply

HOSTS = ("community-api.coinmetrics.io",)
SERIES, CATALOG = "/v4/timeseries/asset-metrics", "/v4/catalog-v2/asset-metrics"
# Metrics that exist but are not in the community tier of what is served here.
PAID = frozenset({"CapMrktCurUSD", "CapMrktFFUSD", "SplyCur", "SplyFF", "PriceUSD", "ReferenceRate"})


class CoinMetricsError(Exception):
    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class CoinMetrics:
    """Ten requests in six seconds; rows sorted by asset, then time."""

    def __init__(self, market: Market, is_limited: bool = True) -> None:
        self.market = market
        self.window = SlidingWindow(10 if is_limited else 0, 6.0)
        self.rows = lru_cache(maxsize=8)(self._rows)

    def __call__(self, request: Request) -> Reply:
        if request.path not in (SERIES, CATALOG):
            return absent(request, [SERIES, CATALOG])
        charge = self.window.charge()
        remaining = max(0, 10 - charge.used)
        headers = (
            ("X-RateLimit-Limit", "10"),
            ("X-RateLimit-Remaining", str(remaining)),
            ("X-RateLimit-Reset", str(charge.retry_after or 6)),
        )
        try:
            if charge.retry_after is not None:
                raise CoinMetricsError(429, "too_many_requests", "Too many requests.")
            body = self._series(request) if request.path == SERIES else self._catalog(request)
        except CoinMetricsError as error:
            body = json_reply({"error": {"type": error.kind, "message": error.message}}, error.status).body
            return Reply(body, error.status, headers=headers)
        return Reply(body, headers=headers)

    @property
    def metrics(self) -> list[str]:
        return self._table.column_names[2:]

    @property
    def assets(self) -> dict[str, tuple[int, int]]:
        return self._index[1]

    @property
    def _table(self) -> pa.Table:
        return self._index[0]

    @property
    def _index(self) -> tuple[pa.Table, dict[str, tuple[int, int]], np.ndarray]:
        if not hasattr(self, "_loaded"):
            table = self.market.caps().combine_chunks()
            days = np.array(table["time"].to_pylist()) if table.num_rows else np.array([], "U10")
            self._loaded = table, ranges(table["asset"]) if table.num_rows else {}, days
        return self._loaded

    def _rows(self, metrics: tuple[str, ...]) -> Rows:
        """All rows of all assets with these metrics, as JSON text."""
        table, _, days = self._index
        parts: list[pa.Array | str] = ['{"asset":"', table["asset"].combine_chunks(), '","time":"']
        parts += [table["time"].combine_chunks(), 'T00:00:00.000000000Z"']
        for metric in metrics:
            parts += [f',"{metric}":"', table[metric].combine_chunks(), '"']
        offsets, text = text_of(json_rows([*parts, "},"]))
        return Rows(days, offsets, text)

    def _series(self, request: Request) -> bytes:
        query = request.query
        assets, metrics = self._asked(request)
        if query.get("frequency", "1d") != "1d":
            raise bad("frequency", query["frequency"])
        size = query.get("page_size", "100")
        if not size.isdecimal() or not 1 <= int(size) <= 10_000:
            raise bad("page_size", size)
        from_start = query.get("paging_from", "end") == "start"
        start, end = self._bounds(query)
        parts = [(first, last) for first, last in (self._part(a, start, end) for a in assets) if last > first]
        total = sum(last - first for first, last in parts)
        done = self._offset(query.get("next_page_token"))
        if done > total:
            raise bad("next_page_token", query["next_page_token"])
        stop = min(done + int(size), total)
        low, high = (done, stop) if from_start else (total - stop, total - done)
        rows = self.rows(tuple(sorted(metrics)))
        texts, seen = [], 0
        for first, last in parts:
            a, b = max(first, first + low - seen), min(last, first + high - seen)
            if b > a:
                texts.append(rows.slice(a, b))
            seen += last - first
        body = b'{"data":[' + b",".join(texts) + b"]"
        if stop < total:
            token = base64.urlsafe_b64encode(f"0.{stop}".encode()).decode().rstrip("=")
            following = {k: v for k, v in query.items() if k != "next_page_token"} | {"next_page_token": token}
            # Points back here, not to the real host: a client of the sandbox must stay on loopback.
            url = f"{request.base_url}/{request.host}{request.path}?{urlencode(following)}"
            body += f',"next_page_token":"{token}","next_page_url":"{url}"'.encode()
        return body + b"}"

    def _asked(self, request: Request) -> tuple[list[str], list[str]]:
        query, chosen = request.query, {}
        for name in ("assets", "metrics"):
            if not query.get(name):
                raise CoinMetricsError(400, "missing_parameter", f"Missing required parameter '{name}'.")
            chosen[name] = list(dict.fromkeys(query[name].split(",")))
        lenient = query.get("ignore_unsupported_errors") == "true"
        allowed = query.get("ignore_forbidden_errors") == "true"
        assets = sorted(self.assets) if chosen["assets"] == ["*"] else chosen["assets"]
        for name, values, known in (("assets", assets, set(self.assets)), ("metrics", chosen["metrics"], self._known)):
            unknown = [value for value in values if value not in known]
            if unknown and not lenient:
                raise bad(name, unknown[0])
        paid = [metric for metric in chosen["metrics"] if metric in PAID]
        if paid and not allowed:
            message = f"Requested metric '{paid[0]}' with frequency '1d' for asset '{assets[0]}' is not available "
            raise CoinMetricsError(403, "forbidden", message + "with supplied credentials.")
        served = [metric for metric in chosen["metrics"] if metric in self.metrics]
        return sorted(a for a in assets if a in self.assets) if served else [], served

    @property
    def _known(self) -> set[str]:
        return set(self.metrics) | (PAID - set(self.metrics))

    def _bounds(self, query) -> tuple[str, str]:
        start, end = query.get("start_time", "0000"), query.get("end_time", "9999")
        for name, value in (("start_time", start), ("end_time", end)):
            if not re.match(r"\d{4}(-\d\d-\d\d|$)", value):
                raise bad(name, value)
        if query.get("start_inclusive") == "false":
            start = start[:10] + "T"
        if query.get("end_inclusive") == "false":
            end = day_before(end)
        return start[:11] if start.endswith("T") else start[:10], end[:10]

    def _part(self, asset: str, start: str, end: str) -> tuple[int, int]:
        first, last = self.assets[asset]
        days = self._index[2][first:last]
        low = np.searchsorted(days, start)
        high = min(np.searchsorted(days, end, side="right"), np.searchsorted(days, self.market.now.isoformat()))
        return first + int(low), first + int(high)

    def _offset(self, token: str | None) -> int:
        if token is None:
            return 0
        try:
            text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
            return int(re.fullmatch(r"0\.(\d+)", text)[1])  # pyright: ignore[reportOptionalSubscript]
        except (ValueError, TypeError) as error:
            raise bad("next_page_token", token) from error

    def _catalog(self, request: Request) -> bytes:
        wanted = set(request.query.get("metrics", ",".join(self.metrics)).split(","))
        assets = request.query.get("assets", ",".join(sorted(self.assets))).split(",")
        data = []
        for asset in assets:
            if asset not in self.assets:
                raise bad("assets", asset)
            first, last = self._part(asset, "0000", "9999")
            if last == first:
                continue
            times = [f"{self._index[2][i]}T00:00:00.000000000Z" for i in (first, last - 1)]
            span = {"frequency": "1d", "min_time": times[0], "max_time": times[1], "community": True}
            metrics = [{"metric": m, "frequencies": [span]} for m in self.metrics if m in wanted]
            if metrics:
                data.append({"asset": asset, "metrics": metrics})
        return json_reply({"data": data}).body


def bad(name: str, value: str) -> CoinMetricsError:
    return CoinMetricsError(400, "bad_parameter", f"Bad parameter '{name}'. Value '{value}' is not supported.")


def day_before(text: str) -> str:
    return (date.fromisoformat(text[:10]) - timedelta(days=1)).isoformat() if text[:4] != "9999" else text
