"""Value locked and volumes per chain, as DefiLlama answers."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from orchestration.records import RECORDS
from orchestration.sources import defillama_api as api
from orchestration.sources.body import Body, Parsed, SourceError
from orchestration.sources.http import Answer
from orchestration.sources.registry import parse

NOON = datetime(2026, 3, 8, 12)
MIDNIGHT = 1704067200  # 2024-01-01


def body(dataset: str, content: object, chain: str = "Base") -> Body:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Body("defillama_api", dataset, "https://api.example/x", 200, NOON, raw, {"chain": chain})


def rows(parsed: Parsed, table: str) -> list[dict]:
    assert parsed.tables[table].schema.equals(RECORDS[table].schema)
    return parsed.tables[table].to_pylist()


def test_value_locked_keeps_its_text_and_the_first_point_of_a_day():
    content = (
        f'[{{"date":{MIDNIGHT + 86_400},"tvl":2.5}},{{"date":{MIDNIGHT},"tvl":1234567890.123456789}},'
        f'{{"date":{MIDNIGHT + 40_000},"tvl":7}},{{"date":{MIDNIGHT + 172_800},"tvl":null}}]'
    ).encode()
    parsed = api.parse_tvl(body("chain_tvl", content))
    found = [(r["chain"], r["utc_date"], r["tvl_usd"]) for r in rows(parsed, "chain_tvl")]
    assert found == [
        ("Base", date(2024, 1, 1), Decimal("1234567890.123456789")),
        ("Base", date(2024, 1, 2), Decimal("2.5")),
    ]


def test_volumes():
    overview = {"totalDataChart": [[str(MIDNIGHT), 5.25], [MIDNIGHT + 86_400, 0]], "protocols": [{"name": "Uniswap"}]}
    found = rows(api.parse_volumes(body("dex_volumes", overview)), "dex_volumes")
    assert [(r["utc_date"].day, r["volume_usd"]) for r in found] == [(1, Decimal("5.25")), (2, Decimal(0))]


def test_a_number_that_is_none_is_refused_alone():
    content = f'[{{"date":{MIDNIGHT},"tvl":1e308}},{{"date":{MIDNIGHT + 86_400},"tvl":NaN}},{{"date":1,"tvl":3}}]'
    parsed = api.parse_tvl(body("chain_tvl", content.encode()))
    assert [r["tvl_usd"] for r in rows(parsed, "chain_tvl")] == [Decimal(3)]
    assert [r.key for r in parsed.refused] == ["Base 2024-01-01", "Base 2024-01-02"]


def test_a_chain_without_exchanges_has_no_rows_and_the_total_always_has():
    assert rows(api.parse_volumes(body("dex_volumes", {"totalDataChart": []})), "dex_volumes") == []
    with pytest.raises(SourceError, match="no point at all"):
        api.parse_volumes(body("dex_volumes", {"totalDataChart": []}, "all"))


@pytest.mark.parametrize(
    "content", [{"message": "Internal error"}, [{"tvl": 1}], [1], [{"date": "x", "tvl": 1}], b"<p>"]
)
def test_what_is_something_else_is_said(content: object):
    for dataset in ("chain_tvl", "dex_volumes"):
        with pytest.raises(SourceError, match=r"https://api\.example/x: "):
            parse([body(dataset, content)])


class Script:
    """Stands for `Http`: the paths of `missing` are refused with 404."""

    def __init__(self, *missing: str):
        self.missing, self.asked = missing, []

    def get(self, host, path, params=None, weight=1, wrong=None) -> Answer:
        self.asked.append(path)
        if path in self.missing:
            raise SourceError("not there", status=404)
        return Answer(f"https://{host.hosts[0]}{path}", 200, b"[]", NOON)


def test_a_renamed_chain_is_asked_for_by_both_names():
    http = Script("/v2/historicalChainTvl/Optimism")
    (asked,) = api.fetch_tvl(http, "Optimism")  # pyright: ignore[reportArgumentType]
    assert http.asked == ["/v2/historicalChainTvl/Optimism", "/v2/historicalChainTvl/OP%20Mainnet"]
    assert asked.context == {"chain": "Optimism"}
    http = Script("/overview/dexs/Base")
    with pytest.raises(SourceError, match="not there"):
        list(api.fetch_volumes(http, "Base"))  # pyright: ignore[reportArgumentType]
    assert http.asked == ["/overview/dexs/Base"]


def test_the_total_has_no_chain_in_its_path():
    http = Script()
    list(api.fetch_tvl(http, "all"))  # pyright: ignore[reportArgumentType]
    list(api.fetch_volumes(http, "zkSync Era"))  # pyright: ignore[reportArgumentType]
    assert http.asked == ["/v2/historicalChainTvl", "/overview/dexs/zkSync%20Era"]


@pytest.mark.recorded
def test_recorded_answers(market: Path):
    import gzip

    folder = market / "http/api.llama.fi/v2/historicalChainTvl"
    for file in folder.glob("*.gz"):
        content = gzip.decompress(file.read_bytes())
        parsed = api.parse_tvl(body("chain_tvl", content))
        assert len(rows(parsed, "chain_tvl")) == len({p["date"] // 86_400 for p in json.loads(content)}) > 600
        assert not parsed.refused
