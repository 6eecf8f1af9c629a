"""Decimal text from the wire: exact to 12 places, rounded half-even and counted, never silently dropped."""

from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchestration.records import AMOUNT
from orchestration.sources.exact import amounts, prices

UNIT = Decimal("1e-12")


def one(text: str | None) -> tuple[Decimal | None, int, str | None]:
    cell = amounts([text])
    return cell.values[0].as_py(), cell.rounded_count, cell.bad.get(0)


@pytest.mark.parametrize(
    ("text", "value", "rounded"),
    [
        ("148.97000000", "148.97", 0),
        ("0", "0", 0),
        ("-0.5", "-0.5", 0),
        ("1e5", "100000", 0),
        ("1.5E+3", "1500", 0),
        ("2.5e-7", "0.00000025", 0),
        ("1e-12", "0.000000000001", 0),
        ("1e-13", "0", 1),
        # Half to even, both ways, also beyond the 20 decimals that the fast path can hold.
        ("0.0000000000005", "0", 1),
        ("0.0000000000015", "0.000000000002", 1),
        ("0.0000000000025", "0.000000000002", 1),
        ("0.00000000000250000000000000001", "0.000000000003", 1),
        ("-0.0000000000015", "-0.000000000002", 1),
        ("42227.26345246999995235286000", "42227.263452470000", 1),
        ("0.12345678901234567890", "0.123456789012", 1),
        ("99999999999999999999999999.999999999999", "99999999999999999999999999.999999999999", 0),
        ("183727681018.3214", "183727681018.3214", 0),
    ],
)
def test_text_becomes_the_nearest_amount(text: str, value: str, rounded: int):
    assert one(text) == (Decimal(value), rounded, None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("NaN", "'NaN' is not a finite number"),
        ("sNaN", "'sNaN' is not a finite number"),
        ("Infinity", "'Infinity' is not a finite number"),
        ("-inf", "'-inf' is not a finite number"),
        ("1e308", "'1e308' has more than 26 digits before the point"),
        ("1E+999999999999999999999", "is not a number"),
        ("1" * 40, "has more than 26 digits before the point"),
        ("100000000000000000000000000", "has more than 26 digits before the point"),
        ("99999999999999999999999999.9999999999999", "has more than 26 digits before the point"),
        ("", "'' is not a number"),
        ("abc", "'abc' is not a number"),
        ("1,5", "'1,5' is not a number"),
        ("0x10", "'0x10' is not a number"),
        ("1_000", "'1_000' is not a number"),
        ("١٢", "'١٢' is not a number"),
        ("1.2.3", "'1.2.3' is not a number"),
    ],
)
def test_what_is_no_amount_is_said(text: str, why: str):
    value, rounded, bad = one(text)
    assert value is None and rounded == 0
    assert bad is not None and why in bad


@pytest.mark.parametrize("digits", range(27, 60))
@pytest.mark.parametrize("decimals", ["", ".0", ".5", "." + "7" * 25])
def test_no_length_wraps_into_a_number(digits: int, decimals: str):
    """Arrow keeps the low 128 bits of 1e28 and says nothing."""
    for lead in "123456789":
        value, _, bad = one(lead + "9" * (digits - 1) + decimals)
        assert value is None and bad is not None and "has more than 26 digits before the point" in bad


def test_missing_is_null_and_not_bad():
    assert one(None) == (None, 0, None)
    cells = amounts([None, "1", None])
    assert cells.values.to_pylist() == [None, Decimal(1), None] and not cells.bad


def test_one_bad_cell_does_not_touch_the_others():
    cells = amounts(["1.5", "NaN", None, "0.0000000000015", "1e400"])
    assert cells.values.to_pylist() == [Decimal("1.5"), None, None, Decimal("2e-12"), None]
    assert sorted(cells.bad) == [1, 4] and cells.rounded_count == 1


def test_an_empty_column_is_an_empty_column():
    assert amounts([]).values.type == AMOUNT and len(amounts([]).values) == 0
    assert amounts([]).rounded_count == 0


def test_long_text_and_short_text_agree():
    """A cell that needs the slow path moves its whole column there: the others must stay what they were."""
    texts = ["0.0000000000015", "12345678.123456789012345", "1e-7", None]
    fast, slow = amounts(texts), amounts([*texts, "NaN"])
    assert slow.values[:-1].to_pylist() == fast.values.to_pylist()
    assert slow.rounded_count == fast.rounded_count == 2


@pytest.mark.parametrize("cells", [[1.5], [True], [{"a": 1}], [["1"]], ["1", 2]])
def test_only_text_is_read(cells: list):
    """A JSON number has been through a float: its text is gone."""
    with pytest.raises(pa.ArrowTypeError):
        amounts(cells)


numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e30"), max_value=Decimal("1e30"))
written = st.one_of(numbers.map(str), numbers.map("{:f}".format), numbers.map("{:e}".format))


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(st.one_of(written, st.none(), st.text(max_size=6)), max_size=6))
@example(texts=["1e25", "0." + "5" * 40])
@example(texts=["14632141777614986070702723106"])
@example(texts=["65488392726610645.8705321809797802648912"])
def test_any_column_agrees_with_decimal(texts: list[str | None]):
    cells = amounts([t if t is None else t.encode("utf-8", "replace").decode() for t in texts])
    rounded = 0
    for index, text in enumerate(texts):
        found = cells.values[index].as_py()
        if text is None:
            assert found is None and index not in cells.bad
        elif index in cells.bad:
            assert found is None
        else:
            with localcontext() as context:
                context.prec = 80
                exact = Decimal(text)
                assert found == exact.quantize(UNIT, ROUND_HALF_EVEN)
                rounded += found != exact
    assert cells.rounded_count == rounded


@settings(max_examples=200, deadline=None)
@given(number=st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**25), max_value=10**25))
def test_twelve_decimals_are_never_refused_or_rounded(number: Decimal):
    with localcontext() as context:
        context.prec = 60
        assert one(format(number, "f")) == (number, 0, None)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("28923.63000000", 28923.63),
        ("1e-8", 1e-8),
        (None, None),
        ("NaN", None),
        ("inf", None),
        ("1e400", None),
        ("abc", None),
        ("", None),
        ("0", 0.0),
        ("-1", -1.0),
    ],
)
def test_prices_are_the_nearest_double_or_null(text: str | None, value: float | None):
    read = prices([text])
    assert read.values.to_pylist() == [value]
    assert (0 in read.bad) == (value is None and text is not None)
    read = prices([text, "abc", "2"])
    assert read.values.to_pylist() == [value, None, 2.0]
    assert read.bad[1] == "'abc' is not a finite number"
