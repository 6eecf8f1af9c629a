"""Alerts: told once when a condition begins, again until somebody takes it, never when it ends, and in nobody's way."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from orchestration import alerts, cli, publish, webhook
from orchestration.alerts import Condition
from orchestration.defs.failures import failures, tell_how_it_ended
from orchestration.defs.resources import close_dead_runs, run_resource
from orchestration.defs.window import EARLIER_PID_TAG, PID_TAG
from orchestration.settings import Settings
from orchestration.sources.body import Window
from orchestration.warehouse import Lock, Warehouse
from tests.served import served
from tests.test_publish import build_marts

SECRET = "services/T0/B0/a-secret"
DAY = date(2026, 3, 10)
LATE = Condition(alerts.EXCHANGE_STALE, "kraken", alerts.WARN, "kraken is late", date(2026, 3, 1))


class Receiver:
    """A webhook that keeps what it is sent; `status`: what it answers."""

    def __init__(self) -> None:
        self.status, self.url, self.bodies = 200, "", []

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part["body"], part.get("more_body", False)
        self.bodies.append(json.loads(body))
        headers = [(b"location", b"/elsewhere")] if self.status == 302 else []
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    @property
    def texts(self) -> list[str]:
        return [body["text"] for body in self.bodies]

    def taken(self) -> list[dict]:
        return [alert for body in self.bodies for alert in body["alerts"]]


@pytest.fixture(scope="module")
def server() -> Iterator[Receiver]:
    receiver = Receiver()
    with served(receiver) as url:
        receiver.url = f"{url}/{SECRET}"
        yield receiver


@pytest.fixture
def hook(server: Receiver) -> Receiver:
    server.status, server.bodies = 200, []
    return server


@pytest.fixture
def settings(tmp_path: Path, hook: Receiver) -> Settings:
    return Settings(source="recorded", data_dir=tmp_path / "data", webhook_url=hook.url)


@contextmanager
def never_answering() -> Iterator[str]:
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}/{SECRET}"


def standing(settings: Settings) -> list[tuple[str, str, bool]]:
    return [(a.kind, a.delivery, a.resolved_at is None) for a in alerts.read(settings.alerts_path)]


# --- once, again, never


def test_a_condition_is_told_once_and_its_end_is_only_noted(settings, hook):
    kinds = [alerts.EXCHANGE_STALE]
    for _ in range(3):
        assert alerts.tell(settings, [LATE], kinds, "run-1") is None
    assert len(hook.bodies) == 1
    assert hook.bodies[0]["text"] == "altflow, source recorded\n• kraken is late"
    told = hook.bodies[0]["alerts"][0]
    assert (told["subject"], told["severity"], told["utc_date"], told["run_id"]) == (
        *("kraken", "warn", "2026-03-01"),
        "run-1",
    )
    alerts.tell(settings, [], kinds)
    assert len(hook.bodies) == 1 and standing(settings) == [("exchange_stale", "sent", False)]
    alerts.tell(settings, [LATE], kinds)
    assert len(hook.bodies) == 2, "it began anew"


def test_the_second_threshold_is_told_and_its_easing_is_not(settings, hook):
    worse = Condition(LATE.kind, "kraken", alerts.FAIL, "kraken is very late")
    for present in ([LATE], [worse], [LATE], []):
        alerts.tell(settings, present, [LATE.kind])
    assert [alert["message"] for alert in hook.taken()] == ["kraken is late", "kraken is very late"]
    assert [alert.resolved_at is not None for alert in alerts.read(settings.alerts_path)] == [True, True, True]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_what_was_not_taken_is_sent_by_the_next_run(status, settings, hook):
    hook.status = status
    assert alerts.tell(settings, [LATE], [LATE.kind]) == f"HTTP {status}"
    assert alerts.tell(settings, [], [LATE.kind]) == f"HTTP {status}", "it is over, and nobody knows that it was"
    hook.status = 200
    assert alerts.tell(settings, []) is None
    assert "kraken is late (over since " in hook.texts[-1] and len(hook.bodies) == 3
    alerts.tell(settings, [])
    assert len(hook.bodies) == 3
    alert = alerts.read(settings.alerts_path)[0]
    assert (alert.delivery, alert.attempt_count) == ("sent", 3) and alert.sent_at


def test_without_a_webhook_it_is_recorded_and_never_sent_later(settings, hook):
    alerts.tell(settings.override(webhook_url=""), [LATE])
    alerts.tell(settings, [LATE])
    assert standing(settings) == [("exchange_stale", "quiet", True)] and not hook.bodies


def test_a_webhook_that_does_not_answer_keeps_nobody_waiting(settings, monkeypatch, capsys):
    monkeypatch.setattr(webhook.post, "__defaults__", (0.3,))
    with never_answering() as url:
        begun = time.monotonic()
        alerts.tell_of_run(settings.override(webhook_url=url), [LATE], "run-1")
    assert time.monotonic() - begun < 30
    assert "the next run tries again" in capsys.readouterr().err
    assert standing(settings) == [("exchange_stale", "pending", True)]


@pytest.mark.parametrize("address", [f"http://127.0.0.1:9/{SECRET}", f"not an address {SECRET}", f"ftp://x/{SECRET}"])
def test_the_address_is_in_no_message_and_no_log(address, tmp_path, capsys, caplog):
    settings = Settings(source="live", data_dir=tmp_path, webhook_url=address)
    with caplog.at_level("DEBUG"):
        alerts.tell_of_run(settings, [LATE], "run-1")
    said = capsys.readouterr()
    assert "ALTFLOW_WEBHOOK_URL" in said.err
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET not in said.err + said.out + caplog.text + repr(settings) + written


def test_the_log_of_requests_does_not_have_it_either(settings, caplog):
    with caplog.at_level("DEBUG"):
        alerts.tell(settings, [LATE])
    assert SECRET not in caplog.text


def test_synthetic_alerts_say_so_first_and_slack_is_given_no_markup(tmp_path, hook):
    settings = Settings(source="sandbox", data_dir=tmp_path, webhook_url=hook.url)
    alerts.tell(settings, [alerts.failed("dbt", "<!channel> a & b")])
    assert hook.texts[0].startswith("SYNTHETIC, ") and "&lt;!channel&gt; a &amp; b" in hook.texts[0]
    assert hook.bodies[0]["synthetic"] is True and "<!channel>" in hook.taken()[0]["message"]


def test_a_torn_or_foreign_line_costs_only_itself(settings, hook):
    alerts.tell(settings, [LATE])
    path = settings.alerts_path
    path.write_bytes(path.read_bytes() + b'\xff\n[]\n{"alert_id": "half')
    alerts.tell(settings, [LATE, alerts.blocked("quality_dq_grains", "2 rows")])
    assert [alert.subject for alert in alerts.read(path)] == ["kraken", "quality_dq_grains"]
    assert len(hook.taken()) == 2


def test_where_nothing_can_be_noted_it_is_posted_all_the_same(settings, hook):
    settings.alerts_path.mkdir(parents=True)
    assert "posted again each time" in str(alerts.tell(settings, [LATE]))
    assert len(hook.bodies) == 1


# --- what is judged when a snapshot is published


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    warehouse = Warehouse(settings.warehouse_path)
    warehouse.prepare(settings)
    return warehouse


def publish_day(
    warehouse: Warehouse,
    settings: Settings,
    day: date,
    kraken: date | None = None,
    regimes: dict[date, str] | None = None,
    records: tuple[date, ...] = (),
) -> list[tuple]:
    """Publishes small marts up to `day`: `kraken`, its newest day; `regimes`, what holds on a day; days with a record.
    Returns the alerts of the snapshot: kind, subject, whether it lasts."""
    run_id = f"run-{day}"
    warehouse.begin_run(run_id, settings, Window(date(2026, 1, 1), day + timedelta(days=1)), "test")
    build_marts(warehouse, 0)
    days = [DAY + timedelta(days=n) for n in range(-20, 1) if DAY + timedelta(days=n) <= day]
    rows = []
    for name in ("capitulation_d1", "accumulation", "absorption", "zero_threshold"):
        active = [(regimes or {}).get(each) == name for each in days]
        flips = [now != before for before, now in zip([False, *active], active, strict=False)]
        rows += [(name, each, name.split("_")[0], *row) for each, *row in zip(days, active, flips, strict=True)]
    names = ("definition_id", "utc_date", "family", "is_active", "is_flip")
    regimes_of_days = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    with warehouse.open() as con:
        con.execute("UPDATE marts.run_info SET last_date = ?", [day])
        con.register("regimes_of_days", regimes_of_days)
        con.execute("CREATE OR REPLACE TABLE marts.daily_regime AS FROM regimes_of_days")
        con.unregister("regimes_of_days")
        con.execute("DELETE FROM marts.daily_symbol_flows WHERE utc_date > ?", [day])
        con.execute(
            "INSERT INTO marts.daily_symbol_flows SELECT * REPLACE ('kraken' AS exchange) "
            "FROM marts.daily_symbol_flows WHERE utc_date <= ?",
            [kraken or day],
        )
        con.execute(
            "CREATE OR REPLACE TABLE marts.daily_altcoin_flow AS SELECT *, list_contains(?::DATE[], utc_date) AS "
            "is_record_low, -24.5e9 AS cumulative_net_taker_usd, -0.0131 AS window_imbalance_ratio, "
            "1 AS exchange_count FROM marts.daily_altcoin_flow WHERE utc_date <= ?",
            [list(records), day],
        )
    publish.publish(warehouse, settings, run_id)
    alerts.tell_of_run(settings, [], run_id)
    with publish.open_published(settings) as con:
        return con.execute(
            "SELECT kind, subject, resolved_at IS NULL FROM alerts ORDER BY begun_at, kind, subject"
        ).fetchall()


def test_a_snapshot_holds_what_began_with_it_and_ends_what_is_over(warehouse, settings, hook):
    alerts.tell(settings, [alerts.failed("dbt", "no room"), alerts.blocked("quality_dq_grains", "2 rows")])
    hook.bodies.clear()
    published = publish_day(warehouse, settings, DAY, kraken=DAY - timedelta(days=3), records=(DAY,))
    assert published == [
        ("check_failed", "quality_dq_grains", False),
        ("run_failed", "dbt", False),
        ("exchange_stale", "kraken", True),
        ("record_low", "rolling_365d.ex_btc_eth.all.all", True),
    ]
    assert len(hook.bodies) == 1
    assert "kraken: the newest day is 2026-03-07, 3 days ago" in hook.texts[0]
    assert "-$24.50 B (-1.31 % of volume) on 1 exchange: the lowest of the sample" in hook.texts[0]
    publish_day(warehouse, settings, DAY, kraken=DAY - timedelta(days=3), records=(DAY,))
    assert len(hook.bodies) == 1, "the same day published again tells nothing new"


def test_days_between_two_runs_are_judged_too_and_history_is_not(warehouse, settings, hook):
    first, missed = DAY - timedelta(days=9), DAY - timedelta(days=4)
    old = {first - timedelta(days=3): "capitulation_d1"}
    assert publish_day(warehouse, settings, first, regimes=old, records=(first - timedelta(days=2),)) == []
    since = {day: "accumulation" for day in (DAY - timedelta(days=1), DAY)}
    # They change every few days and are not told.
    old |= {DAY - timedelta(days=3): "absorption", DAY - timedelta(days=2): "zero_threshold"}
    published = publish_day(warehouse, settings, DAY, regimes=old | {missed: "capitulation_d1"} | since)
    assert published == [("regime_change", "accumulation", True), ("regime_change", "capitulation_d1", True)]
    assert "capitulation_d1 holds from 2026-03-06 on until 2026-03-06" in hook.texts[0]
    assert "accumulation holds from 2026-03-09 on, by rule" in hook.texts[0]
    assert publish_day(warehouse, settings, DAY, regimes=old | {missed: "capitulation_d1"} | since) == [
        ("regime_change", "accumulation", True),
        ("regime_change", "capitulation_d1", False),
    ]
    assert len(hook.bodies) == 1


def test_an_alert_that_cannot_be_judged_stops_no_publish(warehouse, settings, hook, monkeypatch, capsys):
    alerts.tell(settings, [LATE])
    monkeypatch.setattr(alerts, "judge", lambda *_: 1 / 0)
    assert publish_day(warehouse, settings, DAY) == [("exchange_stale", "kraken", True)]
    assert "an alert was lost: ZeroDivisionError" in capsys.readouterr().err


# --- runs


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as local:
        yield local


def test_a_run_that_cannot_begin_is_told_by_its_resource(instance, settings, hook):
    settings.data_dir.mkdir()
    settings.warehouse_path.write_bytes(b"no database at all" * 1000)

    @dg.asset(required_resource_keys={"run"})
    def anything() -> None: ...

    result = dg.materialize(
        [anything], resources={"run": run_resource(lambda: settings)}, instance=instance, raise_on_error=False
    )
    assert not result.success
    (told,) = hook.taken()
    assert (told["kind"], told["subject"], told["run_id"]) == ("run_failed", "start", result.run_id)
    assert "cannot be opened" in told["message"]


def test_a_step_that_fails_and_a_check_that_blocks_are_told_by_name(instance, settings, hook):
    @dg.asset
    def broken() -> None:
        raise ValueError("no such thing")

    @dg.asset
    def mart() -> None: ...

    @dg.asset_check(asset=mart, blocking=True)
    def quality_dq_grains() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, metadata={"findings": dg.MetadataValue.md("2 rows twice")})

    for assets, checks in (([broken], []), ([mart], [quality_dq_grains])):
        job = dg.Definitions(assets=assets, asset_checks=checks).resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        tell_how_it_ended(instance, settings, result.run_id)
        assert failures(result.all_events)
    assert [(alert["kind"], alert["subject"]) for alert in hook.taken()] == [
        ("run_failed", "broken"),
        ("check_failed", "quality_dq_grains"),
    ]
    assert "no such thing" in hook.texts[0] and "2 rows twice" in hook.texts[1]


@pytest.mark.parametrize("tag", [PID_TAG, EARLIER_PID_TAG])
def test_a_run_whose_process_is_gone_is_noted(tag, instance, settings):
    @dg.job
    def daily() -> None: ...

    instance.create_run_for_job(daily, status=dg.DagsterRunStatus.STARTED, tags={tag: "999999999:1"})
    assert len(close_dead_runs(instance, settings)) == 1
    assert standing(settings) == [("run_failed", "pending", True)]


def test_a_command_that_fails_before_dagster_is_told(hook, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALTFLOW_WEBHOOK_URL", hook.url)
    monkeypatch.setenv("ALTFLOW_SOURCE", "sandbox")
    monkeypatch.setenv("ALTFLOW_DATA_DIR", str(tmp_path / "of another"))
    Warehouse(tmp_path / "of another" / "warehouse.duckdb").prepare(Settings("live", tmp_path / "of another"))
    assert cli.main(["run", "--quiet"]) == 1
    assert "belongs to source live" in capsys.readouterr().err and "belongs to source live" in hook.texts[0]
    with_lock = Lock(tmp_path / "of another" / "warehouse.lock")
    with_lock.acquire()
    try:
        assert cli.main(["run", "--quiet"]) == 4
    finally:
        with_lock.release()
    assert len(hook.bodies) == 1, "to find another run at work is no failure"


# --- nothing was published for too long


@pytest.fixture
def doctor(hook: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = tmp_path / "live"
    monkeypatch.setenv("ALTFLOW_WEBHOOK_URL", hook.url)
    monkeypatch.setenv("ALTFLOW_SOURCE", "live")
    monkeypatch.setenv("ALTFLOW_DATA_DIR", str(data))

    def ask(published_hours_ago: float | None = None, *options: str) -> int:
        if published_hours_ago is not None:
            (data / "published").mkdir(parents=True, exist_ok=True)
            at = datetime.now(UTC) - timedelta(hours=published_hours_ago)
            manifest = json.dumps({"published_at": f"{at:%Y-%m-%dT%H:%M:%SZ}"})
            (data / "published" / "manifest.json").write_text(manifest)
        return cli.main(["doctor", "--alert-if-stale", *options])

    return ask


def test_the_dead_mans_switch_speaks_once_and_knows_when_it_is_over(doctor, hook):
    assert doctor(29) == 0 and not hook.bodies
    assert [doctor(31), doctor(32)] == [1, 1]
    assert len(hook.bodies) == 1 and "nothing was published for 31 hours, since " in hook.texts[0]
    assert doctor(1) == 0 and len(hook.bodies) == 1
    assert doctor(8, "--stale-after", "6") == 1 and len(hook.bodies) == 2


def test_it_speaks_when_nothing_was_ever_published_and_there_is_no_folder(doctor, hook):
    assert [doctor(), doctor()] == [1, 1]
    assert len(hook.bodies) == 1 and "nothing was ever published" in hook.texts[0]


def test_it_speaks_when_everything_else_is_broken(doctor, hook, tmp_path):
    data = tmp_path / "live"
    (data / "published" / "status.json").mkdir(parents=True)
    (data / "published" / "manifest.json").write_text("rubbish")
    (data / "warehouse.duckdb").write_bytes(b"rubbish")
    (data / "alerts.jsonl").write_bytes(b"\x00rubbish")
    lock = Lock(data / "warehouse.lock")
    lock.acquire()
    try:
        assert [doctor(), doctor()] == [1, 1]
    finally:
        lock.release()
    assert len(hook.bodies) == 1


def test_a_clock_in_the_future_is_no_excuse(doctor, hook):
    assert doctor(-48) == 1 and "in the future" in hook.texts[0]


def test_it_tries_again_and_says_so(doctor, hook, capsys):
    hook.status = 503
    assert doctor(40) == 1 and "HTTP 503" in capsys.readouterr().out
    hook.status = 200
    assert doctor(41) == 1
    assert [len(hook.bodies), doctor(42), len(hook.bodies)] == [2, 1, 2]
