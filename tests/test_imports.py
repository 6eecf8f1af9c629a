"""`altflow import`: files as people have them, what is wrong with them line by line, the marts of what is right."""

# The types of pandas' indexing are unions that no indexing satisfies.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOperatorIssue=false

import gzip
import shutil
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from orchestration.archive import Archive
from orchestration.records import RECORDS
from orchestration.sources.imported import ImportRefused, read_file
from orchestration.sources.registry import IMPORTS
from tests import recorded
from tests.commandline import altflow

NOON = datetime(2026, 3, 8, 12)


def read(tmp_path: Path, table: str, content: str | bytes, unit: str | None = None) -> list[dict]:
    path = tmp_path / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows = IMPORTS[table](read_file(path, table, unit, NOON)).tables[table]
    assert rows.schema.equals(RECORDS[table].schema)
    return rows.to_pylist()


def flows(tmp_path: Path, content: str | bytes, unit: str | None = None) -> list[tuple]:
    return [(r["utc_date"], r["net_flow_usd"]) for r in read(tmp_path, "imported_etf_flows", content, unit)]


def problems(tmp_path: Path, table: str, content: str | bytes, unit: str | None = None) -> list[str]:
    with pytest.raises(ImportRefused) as refused:
        read(tmp_path, table, content, unit)
    return [problem.removeprefix("mine.csv line ") for problem in refused.value.problems]


# --- what can be read


def test_forms_of_days_numbers_and_footers(tmp_path: Path):
    content = (
        '\ufeffDate ,BTC,"Total"\r\n11 Jan 2024,1,655.3\r\n2024-01-12,1,"(1,045.5)"\r\n"Jan 15, 2024",1,-\r\n'
        "16 January 2024,1,−52.7\r\n2024/1/17,1,\r\n\r\nTotal,,(442.9)\r\nAverage,,1\r\nMinimum,,-1045.5\r\n"
    )
    assert flows(tmp_path, content) == [
        (date(2024, 1, 11), Decimal("655300000")),
        (date(2024, 1, 12), Decimal("-1045500000")),
        (date(2024, 1, 15), None),
        (date(2024, 1, 16), Decimal("-52700000")),
        (date(2024, 1, 17), None),
    ]


def test_units(tmp_path: Path):
    assert flows(tmp_path, "date;net_flow_usd\n2024-01-11;12.5\n") == [(date(2024, 1, 11), Decimal("12.5"))]
    assert flows(tmp_path, "date\tflow\n2024-01-11\t12.5\n", "millions") == [(date(2024, 1, 11), Decimal(12500000))]
    assert flows(tmp_path, "Date,Total\n11 Jan 2024,12.5\n", "dollars") == [(date(2024, 1, 11), Decimal("12.5"))]
    (only,) = problems(tmp_path, "imported_etf_flows", "date,flow\n2024-01-11,12.5\n")
    assert only == "1: does not tell what 'flow' counts: say --unit dollars or millions"


def test_coins_of_one_ticker_are_added(tmp_path: Path):
    content = gzip.compress(
        b"Date,Coin,Mkt Cap\n2024-01-07,bnx,3e8\n2024-01-07,BNX,$100\n2024-01-07,Odd (ATH),5000000\n"
    )
    found = read(tmp_path, "imported_caps", content)
    assert [(r["asset"], r["cap_usd"], r["coin_count"]) for r in found] == [
        ("BNX", Decimal(300000100), 2),
        ("ODD (ATH)", Decimal(5000000), 1),
    ]


# --- what is wrong, and what to do


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", ["1: the file is empty: it needs a header and lines below it"]),
        ("date,coin,mkt_cap\n", ["1: no line below the header"]),
        (
            "day,name,value\n2024-01-07,BTC,1\n",
            [
                "1: no column for the asset among 'day', 'name', 'value': call one of them 'coin'",
                "1: no column for the cap among 'day', 'name', 'value': call one of them 'mkt_cap'",
            ],
        ),
        (
            "date,coin,cap,mkt_cap\n2024-01-07,BTC,1,2\n",
            ["1: 2 columns for the cap among 'date', 'coin', 'cap', 'mkt_cap'"],
        ),
        (
            "date,coin,cap\n07/01/2024,BTC,1e9\n2024-02-30,BTC,1e9\n1999-01-01,BTC,1e9\n",
            [
                "2: date: '07/01/2024' is no day that can be read in one way only; write it as 2024-01-31",
                "3: date: '2024-02-30' is not in the calendar",
                "4: date: '1999-01-01' lies outside of 2009 to 2100",
            ],
        ),
        (
            'date,coin,cap\n2024-01-07,BTC,"1,23.5"\n2024-01-07,ETH,1.2.3\n2024-01-07,XRP,١٢\n2024-01-07,ADA,1e99\n',
            [
                "2: market capitalisation: '1,23.5' is no number",
                "3: market capitalisation: '1.2.3' is no number",
                "4: market capitalisation: '١٢' is no number",
                "5: market capitalisation: '1e99' is more than there is",
            ],
        ),
        (
            "date,coin,cap\n2024-01-07,BTC,-\n2024-01-07,ETH,0\n2024-01-07,,1e9\n2024-01-07,a;b,1e9\n",
            [
                "2: has no market capitalisation: delete the line, what is not known is not 0",
                "3: '0' is no market capitalisation in dollars: see --unit",
                "4: coin: there is none; write its ticker",
                "5: coin: 'a;b' is no ticker",
            ],
        ),
        (
            "date,coin,cap\n2024-01-07,BTC,1,000\n2024-01-07,BTC,1e9\n2024-01-07,BTC,1e9\n",
            [
                "2: has 4 fields, the header has 3: quote numbers that hold commas",
                "4: BTC 2024-01-07 stands there already, in line 3: delete one of the two",
            ],
        ),
        ("date,coin,cap\n2024-01-07,BTC,1.3\n", ["1: all coins of 2024-01-07 come to 1.3 dollars: is the unit right?"]),
        ('date,coin,cap\n2024-01-07,"BTC,1\n', ["2: is no line of a CSV file"]),
        (b"date,coin,cap\n2024-01-07,M\xe1ximo,1e9\n", ["2: is not UTF-8: save the file as CSV UTF-8"]),
        (gzip.compress(b"date,coin,cap\n" * 99, mtime=0)[:-9], ["1: a damaged gzip"]),
    ],
)
def test_every_bad_line_is_named_with_what_to_do(tmp_path: Path, content: str | bytes, expected: list[str]):
    found = problems(tmp_path, "imported_caps", content)
    assert len(found) == len(expected), found
    for problem, beginning in zip(found, expected, strict=True):
        assert problem.startswith(beginning), problem


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Date,Total\n11 Jan 2024,5\nTotal,9\n", "1: its days come to 5, its line of totals says 9: days are missing"),
        (
            "Date,Total\n11 Jan 2024,5\nTotal,5\n12 Jan 2024,1\n",
            "4: a day below the lines of totals: move it above them",
        ),
        ("Date,Total\n11 Jan 2024,5\n2024-01-11,5\n", "3: 2024-01-11 stands there already: delete one of the two"),
        ("Date,Total\n11 Jan 2024,655300000\n", "2: '655300000' is no flow of a day in millions: see --unit"),
    ],
)
def test_a_table_of_flows_must_be_whole(tmp_path: Path, content: str, expected: str):
    assert problems(tmp_path, "imported_etf_flows", content) == [expected]


def test_only_twenty_bad_lines_are_shown(tmp_path: Path):
    content = "date,coin,cap\n" + "x,BTC,1e9\n" * 30
    with pytest.raises(ImportRefused, match="and 10 more lines"):
        read(tmp_path, "imported_caps", content)


# --- the whole way, on the recorded market


@pytest.fixture(scope="module")
def data(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the recorded run, copied, with both reference files imported and the marts of them built."""
    folder = tmp_path_factory.mktemp("imports") / "data"
    folder.mkdir()
    run = recorded.run(market)
    shutil.copyfile(run / "warehouse.duckdb", folder / "warehouse.duckdb")
    for kind, file in (("caps", "cmc_monthly_snapshots.csv.gz"), ("etf-flows", "etf_farside_total.csv")):
        done = altflow("import", kind, str(market / "reference" / file), "--market", str(market), data=folder)
        assert done.returncode == 0, done.stderr
        assert "0 changed, 0 no longer there" in done.stdout and "SYNTHETIC" not in done.stdout
    with duckdb.connect(str(folder / "warehouse.duckdb")) as con:
        for mart in ("daily_dominance", "etf_flows_daily"):
            # What dbt made of the model in the run: the same statement, without waiting for dbt once more.
            (compiled,) = (run / "dbt" / "target" / "compiled").rglob(f"marts/{mart}.sql")
            con.execute(f"CREATE OR REPLACE TABLE marts.{mart} AS {compiled.read_text()}")
    return folder


def query(data: Path, sql: str) -> pd.DataFrame:
    with duckdb.connect(str(data / "warehouse.duckdb"), read_only=True) as con:
        return con.sql(sql).to_arrow_table().to_pandas()


@pytest.mark.recorded
def test_the_same_file_again_changes_nothing_and_a_bad_one_neither(data: Path, market: Path, tmp_path: Path):
    before = query(data, "SELECT count(*) AS n, max(load_id) AS load_id FROM raw.loads").iloc[0].tolist()
    reference = market / "reference" / "cmc_monthly_snapshots.csv.gz"
    done = altflow("import", "caps", str(reference), "--market", str(market), data=data)
    assert done.returncode == 0 and "are stored already" in done.stdout and "nothing changed" in done.stdout
    bad = tmp_path / "bad.csv"
    bad.write_text("Date,Total\nyesterday,1\n")
    done = altflow("import", "etf-flows", str(bad), "--market", str(market), data=data)
    assert done.returncode == 1
    assert "bad.csv line 2: date: 'yesterday' is no day" in done.stderr and "Traceback" not in done.stderr
    assert query(data, "SELECT count(*) AS n, max(load_id) AS load_id FROM raw.loads").iloc[0].tolist() == before


@pytest.mark.recorded
def test_every_imported_row_is_traced_to_its_file(data: Path, market: Path):
    files = query(
        data,
        "SELECT DISTINCT f.* FROM raw.source_files f JOIN (SELECT body_sha256 FROM raw.imported_caps UNION ALL "
        "SELECT body_sha256 FROM raw.imported_etf_flows) USING (body_sha256) ORDER BY url",
    )
    assert files["url"].tolist() == ["file:cmc_monthly_snapshots.csv.gz", "file:etf_farside_total.csv"]
    for row in files.itertuples():
        content = Archive(data / "archive").read(
            row.pack, row.pack_offset, row.pack_length, row.byte_count, row.body_sha256
        )
        assert content == (market / "reference" / str(row.url).removeprefix("file:")).read_bytes()


@pytest.fixture(scope="module")
def snapshots(market: Path) -> pd.DataFrame:
    rows = pd.read_csv(market / "reference/cmc_monthly_snapshots.csv.gz", parse_dates=["date"])
    return rows.assign(coin=rows["coin"].str.upper())


@pytest.mark.recorded
def test_imported_dominance_is_within_three_points_of_the_published_one(
    data: Path, market: Path, snapshots: pd.DataFrame
):
    """The file leaves out coins below 100 M dollars, so that Bitcoin's share of it is too high."""
    published = pd.read_csv(market / "reference/btc_dominance_cmc.csv.gz", parse_dates=["date"], index_col="date")
    rows = query(data, "SELECT * FROM marts.daily_dominance WHERE definition_id = 'cap_imported'")
    ours = rows.set_index(pd.to_datetime(rows["utc_date"]))["btc_share_ratio"].loc["2020-01-01":"2025-04-30"]
    caps = snapshots[snapshots["date"].between("2020-01-01", "2025-04-30")]
    total, bitcoin = caps.groupby("date")["mkt_cap"].sum(), caps[caps["coin"] == "BTC"].groupby("date")["mkt_cap"].sum()
    assert len(ours) == caps["date"].nunique() == 64
    np.testing.assert_allclose(ours, (bitcoin / total).loc[ours.index], rtol=1e-9)
    difference = (100 * ours - published["btc_dominance"].loc[ours.index]).abs()
    assert difference.max() < 3
    assert round(difference.max(), 2) == 2.89


@pytest.mark.recorded
def test_reported_dominance_says_how_much_of_the_imported_total_it_covers(
    data: Path, market: Path, snapshots: pd.DataFrame
):
    rows = query(data, "SELECT * FROM marts.daily_dominance WHERE definition_id = 'cap_reported'")
    rows = rows.set_index(pd.to_datetime(rows["utc_date"]))
    metrics = pd.read_parquet(market / "coinmetrics/asset_metrics.parquet")
    metrics["day"], metrics["cap"] = pd.to_datetime(metrics["time"].str[:10]), metrics["CapMrktEstUSD"].astype(float)
    caps = metrics.assign(asset=metrics["asset"].str.upper()).pivot(index="day", columns="asset", values="cap")
    caps = caps.loc["2020-01-01":"2025-02-05"]
    months = snapshots.groupby(["date", "coin"])["mkt_cap"].sum()
    taken = months.index.get_level_values("date").unique()
    sampled = caps.index[np.random.default_rng(20250614).choice(len(caps), 60, replace=False)]
    for day in sampled:
        held = caps.loc[day].dropna()
        got = rows.loc[day]
        assert got["asset_count"] == len(held)
        assert got["covered_btc_share_ratio"] == pytest.approx(held["BTC"] / held.sum(), rel=1e-9)
        whole = months.loc[taken[taken <= day].max()]
        covered = whole[whole.index.isin(held.index)].sum() / whole.sum()
        assert got["covered_cap_ratio"] == pytest.approx(covered, rel=1e-9)
        if covered < 0.85:
            assert pd.isna(got["btc_share_ratio"])
        else:
            assert got["btc_share_ratio"] == pytest.approx(covered * held["BTC"] / held.sum(), rel=1e-9)
    compared = rows.dropna(subset=["btc_share_7d_median_ratio"])
    for day in compared.index[:: len(compared) // 40]:
        week = rows.loc[day - pd.Timedelta(days=3) : day + pd.Timedelta(days=3)]
        assert len(week) == 7 and week["coin_set_id"].nunique() == 1, "no median where the coins changed"


@pytest.mark.recorded
def test_etf_flows(data: Path, market: Path):
    rows = query(data, "SELECT * FROM marts.etf_flows_daily ORDER BY utc_date")
    lines = pd.read_csv(market / "reference/etf_farside_total.csv", thousands=",")
    lines = lines[lines["Date"].str[0].str.isdigit()]
    file = pd.Series(lines["Total"].astype(float).to_numpy() * 1e6, pd.to_datetime(lines["Date"], format="%d %b %Y"))
    file = file[file.index <= pd.Timestamp(recorded.LAST_DATE)]
    assert pd.to_datetime(rows["utc_date"]).tolist() == file.index.tolist()
    np.testing.assert_allclose(rows["net_flow_usd"].astype(float), file, rtol=1e-12)
    np.testing.assert_allclose(rows["cumulative_net_flow_usd"].astype(float), file.cumsum(), rtol=1e-9)
    np.testing.assert_allclose(rows["rolling_30d_net_flow_usd"].astype(float), file.rolling("30D").sum(), atol=1e-3)
