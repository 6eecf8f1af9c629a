"""What is asked of an exchange: half-open windows, holes, the last days again, nothing twice."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.plan import REPULL_DAYS, WEEKLY_REPULL_DAYS, Symbol, missing, repull_days, to_ask
from orchestration.sources.body import Window

FIRST = date(2020, 1, 1)


def window(start: int, end: int) -> Window:
    """Days [start, end) counted from 2020-01-01."""
    return Window(FIRST + timedelta(days=start), FIRST + timedelta(days=end))


def days(windows: list[Window]) -> list[date]:
    """Every day of every window, a day once for each window that holds it."""
    return [w.start + timedelta(days=n) for w in windows for n in range((w.end - w.start).days)]


TRADING = Symbol("SOLUSDT", True, FIRST + timedelta(days=99))
DELISTED = Symbol("SRMUSDT", False, FIRST + timedelta(days=49))


def test_everything_is_missing_at_first():
    assert missing(window(0, 10), []) == [window(0, 10)]
    assert to_ask(Symbol("NEW", True), window(0, 100), []) == [window(0, 100)]


def test_neighbouring_windows_share_no_day_and_lose_none():
    assert missing(window(0, 10), [window(0, 5), window(5, 10)]) == []
    assert missing(window(0, 10), [window(0, 5)]) == [window(5, 10)]
    assert missing(window(0, 10), [window(0, 4), window(5, 10)]) == [window(4, 5)]


def test_holes_before_between_and_after():
    answered = [window(60, 70), window(20, 30), window(25, 40)]
    assert missing(window(0, 100), answered) == [window(0, 20), window(40, 60), window(70, 100)]


def test_what_was_answered_beyond_the_wanted_days_does_not_matter():
    assert missing(window(10, 20), [window(0, 5), window(30, 40)]) == [window(10, 20)]
    assert missing(window(10, 20), [window(0, 15), window(18, 40)]) == [window(15, 18)]
    assert missing(window(10, 20), [window(0, 40)]) == []


def test_the_last_seven_days_are_asked_again():
    assert to_ask(TRADING, window(0, 100), [window(0, 100)]) == [window(93, 100)]
    assert to_ask(TRADING, window(0, 101), [window(0, 100)]) == [window(94, 101)]
    # Days without a run: one request closes the gap and repeats nothing older.
    assert to_ask(TRADING, window(0, 101), [window(0, 99)], again_days=2) == [window(99, 101)]
    assert to_ask(TRADING, window(0, 3), [window(0, 3)]) == [window(0, 3)]


def test_the_first_run_of_a_week_asks_for_the_last_thirty_five_days():
    # 2020-04-13 is a Monday, day 103: with it ends what the run on that day may ask for.
    monday = 103
    assert (FIRST + timedelta(days=monday)).weekday() == 0
    asked = {n: to_ask(TRADING, window(0, n), [window(0, n - 1)]) for n in range(monday - 6, monday + 8)}
    lengths = [(w.end - w.start).days for (w,) in asked.values()]
    assert lengths == [7] * 6 + [35] + [7] * 6 + [35]
    # Run again on the same day, or late in the week after nine silent days: once is enough, and it is not forgotten.
    assert to_ask(TRADING, window(0, monday), [window(0, monday)]) == [window(monday - 7, monday)]
    assert to_ask(TRADING, window(0, monday + 4), [window(0, monday - 5)]) == [window(monday + 4 - 35, monday + 4)]
    assert repull_days(None, FIRST) == REPULL_DAYS and WEEKLY_REPULL_DAYS == 35


def test_a_hole_and_the_last_days_stay_two_requests():
    assert to_ask(TRADING, window(0, 100), [window(0, 10), window(12, 100)]) == [window(10, 12), window(93, 100)]
    assert to_ask(TRADING, window(0, 100), [window(0, 90), window(93, 100)]) == [window(90, 100)]


def test_a_delisted_symbol_is_left_alone_after_seven_silent_days():
    # Its last bar is day 49: the first silent day is 50, and 50..56 are seven.
    for reached in (50, 56, 57):
        assert to_ask(DELISTED, window(0, 100), [window(0, reached)]) != []
    assert to_ask(DELISTED, window(0, 100), [window(0, 58)]) == []


def test_a_delisted_symbol_still_has_its_holes_filled():
    assert to_ask(DELISTED, window(0, 100), [window(0, 10), window(20, 80)]) == [window(10, 20)]
    assert to_ask(DELISTED, window(0, 100), [window(5, 80)]) == [window(0, 5)]


def test_a_symbol_that_trades_again_is_asked_again():
    back = Symbol("USDCUSDT", True, FIRST + timedelta(days=49))
    assert to_ask(back, window(0, 100), [window(0, 58)]) == [window(58, 100)]


def test_a_delisted_symbol_without_any_bar_is_asked_once():
    silent = Symbol("OLDBTC", False)
    assert to_ask(silent, window(0, 100), []) == [window(0, 100)]
    assert to_ask(silent, window(0, 100), [window(0, 90)]) == []


def test_an_empty_window_asks_nothing():
    assert to_ask(TRADING, window(5, 5), []) == []
    assert missing(window(5, 5), [window(0, 3)]) == []


spans = st.tuples(st.integers(-20, 140), st.integers(0, 60)).map(lambda pair: window(pair[0], pair[0] + pair[1]))
symbols = st.builds(
    Symbol,
    st.just("X"),
    st.booleans(),
    st.none() | st.integers(-5, 130).map(lambda n: FIRST + timedelta(days=n)),
)


@settings(max_examples=300, deadline=None)
@given(symbol=symbols, wanted=spans, answered=st.lists(spans, max_size=6))
def test_asked_and_answered_cover_the_wanted_days_and_nothing_is_asked_twice(symbol, wanted, answered):
    asked = to_ask(symbol, wanted, answered)
    listed = days(asked)
    assert len(listed) == len(set(listed)), "a day is asked for twice"
    assert set(listed) <= set(days([wanted]))
    assert all(a.end < b.start for a, b in zip(asked, asked[1:], strict=False)), "neighbours are one request"

    known = set(days(answered))
    again_days = repull_days(max((w.end for w in answered), default=None), wanted.end)
    last_days = {wanted.end - timedelta(days=n) for n in range(1, again_days + 1)}
    assert set(listed) <= (set(days([wanted])) - known) | last_days, "an old answer is asked for again"

    reached = max((w.end for w in answered), default=FIRST)
    left_alone = {d for d in days([wanted]) if not symbol.is_trading and answered and d >= reached}
    uncovered = set(days([wanted])) - known - set(listed)
    assert uncovered <= left_alone
    if uncovered:
        silent = symbol.last_bar + timedelta(days=1) if symbol.last_bar else date.min
        assert reached - silent > timedelta(days=REPULL_DAYS), "left alone before seven silent days were answered"


@settings(max_examples=200, deadline=None)
@given(wanted=spans, answered=st.lists(spans, max_size=6))
def test_missing_is_the_difference_of_days(wanted, answered):
    assert days(missing(wanted, answered)) == sorted(set(days([wanted])) - set(days(answered)))
