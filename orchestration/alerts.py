"""What somebody should be told, once: failed runs, blocking checks, late exchanges, regimes, records.

A condition that begins becomes an alert and is posted to ALTFLOW_WEBHOOK_URL; while it lasts nothing more is said, and
when it ends that is noted and not posted. The truth is `alerts.jsonl` in the data folder, a line for each change, the
last line of an alert_id counts: it can be written when the warehouse is locked, corrupt or not there. Publishing copies
it into `marts.alerts` with what begins by that very publish; whether that was posted follows with the next one.

Nothing here raises into a run or keeps it waiting for longer than a post may take (webhook.WITHIN_SECONDS).
"""

import fcntl
import json
import os
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from orchestration import webhook
from orchestration.headline import HEADLINE, percent, usd
from orchestration.settings import Settings

RUN_FAILED, CHECK_FAILED, NOTHING_PUBLISHED = "run_failed", "check_failed", "nothing_published"
EXCHANGE_STALE, REGIME_CHANGE, RECORD_LOW = "exchange_stale", "regime_change", "record_low"
ENDED_BY_PUBLISHING = (RUN_FAILED, CHECK_FAILED, NOTHING_PUBLISHED)
KINDS = (*ENDED_BY_PUBLISHING, EXCHANGE_STALE, REGIME_CHANGE, RECORD_LOW)
FAIL, WARN, NEWS = "fail", "warn", "news"
PENDING, SENT, QUIET = "pending", "sent", "quiet"
"""Delivery. Quiet: no webhook was set when it began, or it began as another one eased."""
LONGEST_MESSAGE = 500
MOST_LINES = 20
"""lines of a text; the structured fields have all"""
LOCK_SECONDS = 1.0


@dataclass(frozen=True)
class Condition:
    """Something that holds now. `kind`, `subject` and `severity` say whether it is the same as before."""

    kind: str
    subject: str
    severity: str
    message: str
    utc_date: date | None = None


@dataclass(frozen=True)
class Alert:
    """One condition from its beginning to its end. Times are naive UTC; `resolved_at` None: it lasts."""

    alert_id: str
    kind: str
    subject: str
    severity: str
    utc_date: date | None
    message: str
    run_id: str | None
    begun_at: datetime
    resolved_at: datetime | None
    delivery: str
    sent_at: datetime | None
    attempt_count: int

    @property
    def same(self) -> tuple[str, str, str]:
        return self.kind, self.subject, self.severity


def failed(step: str, why: str) -> Condition:
    """A run ended in `step` and published nothing."""
    return Condition(RUN_FAILED, step, FAIL, f"the run failed in step {step}, nothing was published: {why}")


def failed_at_start(why: str) -> Condition:
    """A run could not begin, or not be closed."""
    return Condition(RUN_FAILED, "start", FAIL, f"the run could not be carried out, nothing was published: {why}")


def killed(run_ids: Sequence[str]) -> Condition:
    """Processes of runs are gone."""
    why = f"run {', '.join(run_ids)} ended without a word: killed, or the power went"
    return Condition(RUN_FAILED, "process", FAIL, why)


def blocked(check: str, findings: str) -> Condition:
    """A check kept a snapshot from being published."""
    return Condition(CHECK_FAILED, check, FAIL, f"{check} failed and blocks publishing: {findings}")


def changes(
    alerts: Sequence[Alert],
    present: Sequence[Condition],
    judged: Collection[str],
    settings: Settings,
    run_id: str | None,
    now: datetime,
) -> list[Alert]:
    """The alerts that begin or end: `present` is what holds now, and of the kinds in `judged` nothing else does."""
    standing = {alert.same: alert for alert in alerts if alert.resolved_at is None}
    holding = {(each.kind, each.subject, each.severity): each for each in present}
    ended = [
        replace(alert, resolved_at=now)
        for same, alert in standing.items()
        if alert.kind in judged and same not in holding
    ]
    begun = []
    for same, condition in holding.items():
        if same in standing:
            continue
        eases = condition.severity == WARN and (condition.kind, condition.subject, FAIL) in standing
        begun.append(
            Alert(
                f"{condition.kind}/{condition.subject}/{now.isoformat()}",
                *same,
                condition.utc_date,
                condition.message.strip()[:LONGEST_MESSAGE],
                run_id,
                now,
                None,
                PENDING if settings.webhook_url and not eases else QUIET,
                None,
                0,
            )
        )
    return ended + begun


def read(path: Path) -> list[Alert]:
    """All alerts, oldest first; a line that a power cut tore is left out. Raises OSError."""
    found: dict[str, Alert] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    for line in lines:
        try:
            alert = _from_json(json.loads(line))
        except (ValueError, TypeError, KeyError):
            continue
        found[alert.alert_id] = alert
    return list(found.values())


def record(
    settings: Settings,
    present: Sequence[Condition],
    judged: Collection[str] = (),
    run_id: str | None = None,
    at: datetime | None = None,
) -> None:
    """Notes what begins and ends, `at` or now. Raises OSError where the log cannot be written."""
    with _locked(settings.alerts_path):
        _append(
            settings.alerts_path,
            changes(read(settings.alerts_path), present, judged, settings, run_id, at or now()),
        )


def deliver(settings: Settings) -> str | None:
    """Posts what no webhook has taken yet, as one message. Returns why it was not taken, without the address."""
    if not settings.webhook_url:
        return None
    pending = [alert for alert in read(settings.alerts_path) if alert.delivery == PENDING]
    if not pending:
        return None
    problem = webhook.post(settings.webhook_url, message(settings, pending))
    with _locked(settings.alerts_path):
        # Somebody may have noted an end meanwhile.
        standing = {alert.alert_id: alert for alert in read(settings.alerts_path)}
        _append(settings.alerts_path, [_tried(standing[each.alert_id], problem) for each in pending])
    return problem


def tell(
    settings: Settings, present: Sequence[Condition], judged: Collection[str] = (), run_id: str | None = None
) -> str | None:
    """Notes and posts; where nothing can be noted, it is posted all the same. Returns why nobody took it, if so."""
    try:
        record(settings, present, judged, run_id)
        return deliver(settings)
    except OSError as error:
        problem = f"{settings.alerts_path} cannot be used ({error.strerror or error})"
        begun = changes([], present, (), settings, run_id, now())
        if begun and settings.webhook_url:
            refused = webhook.post(settings.webhook_url, message(settings, begun))
            return f"{problem}; {refused}" if refused else f"{problem}: this is posted again each time"
        return problem


@contextmanager
def never_in_the_way() -> Iterator[None]:
    """No alert is worth a run: what goes wrong with one is printed."""
    try:
        yield
    except Exception as error:
        print(f"altflow: an alert was lost: {type(error).__name__}: {error}", file=sys.stderr)


def tell_of_run(settings: Settings, present: Sequence[Condition], run_id: str | None) -> None:
    """`tell` at the end of a run."""
    with never_in_the_way():
        problem = tell(settings, present, run_id=run_id)
        if problem:
            print(f"altflow: the webhook did not take an alert ({problem}); the next run tries again", file=sys.stderr)


def message(settings: Settings, alerts: Sequence[Alert]) -> dict[str, Any]:
    """The JSON that is posted: `text` as Slack reads it, and the same as fields."""
    title = f"altflow, source {settings.source}"
    if settings.synthetic:
        title = f"SYNTHETIC, a generated market, nothing here is real: {title}"
    lines = [f"• {alert.message}{_since(alert)}" for alert in alerts[:MOST_LINES]]
    if len(alerts) > MOST_LINES:
        lines.append(f"• and {len(alerts) - MOST_LINES} more")
    text = "\n".join([title, *lines])
    for sign, written in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, written)
    return {
        "text": text,
        "source": settings.source,
        "synthetic": settings.synthetic,
        "alerts": [_to_json(alert) for alert in alerts],
    }


def _since(alert: Alert) -> str:
    return f" (over since {alert.resolved_at:%Y-%m-%d %H:%M} UTC)" if alert.resolved_at else ""


def _tried(alert: Alert, problem: str | None) -> Alert:
    tried = replace(alert, attempt_count=alert.attempt_count + 1)
    return tried if problem else replace(tried, delivery=SENT, sent_at=now())


def judge(con: Any, settings: Settings, last_published: date | None) -> list[Condition]:
    """What holds in the marts of the open connection `con`; `last_published`: the last day of the snapshot that
    analysts read so far. A regime or record of any day after it counts, so that none is missed by runs that
    were missed; in a first snapshot only those of its newest day."""
    newest_day = con.execute("SELECT last_date FROM marts.run_info").fetchall()[0][0]
    since = min(last_published or newest_day, newest_day - timedelta(days=1))
    return [*_stale(con, settings, newest_day), *_regimes(con, since), *_record(con, since)]


def _stale(con: Any, settings: Settings, last_day: date) -> Iterator[Condition]:
    from orchestration.freshness import state

    today = now().date() if settings.source == "live" else last_day
    rows = con.execute("SELECT exchange, max(utc_date) FROM marts.daily_symbol_flows GROUP BY 1 ORDER BY 1").fetchall()
    for exchange, newest in rows:
        severity = {"warn": WARN, "FAIL": FAIL}.get(state(exchange, newest, today))
        if severity:
            text = f"{exchange}: the newest day is {newest}, {(today - newest).days} days ago; see altflow status"
            yield Condition(EXCHANGE_STALE, exchange, severity, text, newest)


def _regimes(con: Any, since: date) -> Iterator[Condition]:
    """Not absorption, which changes every few days, nor zero_threshold, which is shown because it tells nothing."""
    rows = con.execute(
        "SELECT definition_id, max(utc_date) FILTER (is_active AND is_flip) AS began, "
        "max(utc_date) FILTER (is_active) AS last_active, max(utc_date) AS newest FROM marts.daily_regime "
        "WHERE is_active IS NOT NULL AND family != 'absorption' AND definition_id != 'zero_threshold' "
        "GROUP BY 1 HAVING last_active > $since OR last_active = newest ORDER BY 1",
        {"since": since},
    ).fetchall()
    for definition, began, last_active, newest in rows:
        until = "" if last_active == newest else f" until {last_active}"
        text = f"regime {definition} holds from {began or last_active} on{until}, by rule, on the covered exchanges"
        yield Condition(REGIME_CHANGE, definition, NEWS, text, began or last_active)


def _record(con: Any, since: date) -> Iterator[Condition]:
    rows = con.execute(
        "SELECT utc_date, cumulative_net_taker_usd, window_imbalance_ratio, exchange_count "
        "FROM marts.daily_altcoin_flow WHERE definition_id = $id AND is_record_low AND utc_date > $since "
        "ORDER BY utc_date DESC LIMIT 1",
        {"id": HEADLINE, "since": since},
    ).fetchall()
    for day, net, imbalance, exchanges in rows:
        venues = f"{exchanges} exchange{'' if exchanges == 1 else 's'}"
        text = (
            f"{day}: altcoins (ex BTC and ETH), takers' buys minus sells over 365 days, {usd(net)} "
            f"({percent(imbalance)} of volume) on {venues}: the lowest of the sample, in dollars; see imbalance, "
            "fixed panel and control before quoting it"
        )
        yield Condition(RECORD_LOW, HEADLINE, NEWS, text, day)


def _to_json(alert: Alert) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in asdict(alert).items()}


def _from_json(told: dict[str, Any]) -> Alert:
    values = {each.name: told[each.name] for each in fields(Alert)}
    for name in ("begun_at", "resolved_at", "sent_at"):
        values[name] = values[name] and datetime.fromisoformat(values[name])
    values["utc_date"] = values["utc_date"] and date.fromisoformat(values["utc_date"])
    return Alert(**values)


def _append(path: Path, changed: Sequence[Alert]) -> None:
    """Adds a line for each; the caller holds the lock."""
    if not changed:
        return
    text = "".join(json.dumps(_to_json(alert), ensure_ascii=False) + "\n" for alert in changed)
    with open(path, "a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            # Half a line of a write that was cut off must not spoil this one.
            text = text if file.read(1) == b"\n" else "\n" + text
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer of the log at a time: runs and doctor. Raises TimeoutError after LOCK_SECONDS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise TimeoutError(f"{path}: another process is writing to it") from None
                time.sleep(0.02)
        yield


def now() -> datetime:
    """Naive UTC."""
    return datetime.now(UTC).replace(tzinfo=None)
