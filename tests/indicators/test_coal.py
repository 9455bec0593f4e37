"""Coal equivalent: worked by hand, by the edition of the label's day; missing is never zero."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.errors import ConfigError
from config.models import FactorRow
from config.standards import Library, read_library
from indicators.coal import (
    add_coal,
    coal_equivalent,
    coefficient,
    comprehensive_energy,
    label_day,
)

LABELS = [
    ("2026", date(2026, 1, 1)),
    ("2026-10", date(2026, 10, 1)),
    ("2026-10-05", date(2026, 10, 5)),
    ("2026-10-05T13:00+08:00", date(2026, 10, 5)),
    ("2026-10-05T13:15+08:00", date(2026, 10, 5)),
]


@pytest.fixture
def library() -> Library:
    return read_library()


def rows(*cells: tuple[str, str, float | None, str]) -> pl.DataFrame:
    """Consumption of (energy, period, amount, unit)."""
    return pl.DataFrame(
        cells,
        schema={
            "energy_code": pl.String,
            "period": pl.String,
            "amount": pl.Float64,
            "unit": pl.String,
        },
        orient="row",
    )


@pytest.mark.parametrize(("period", "day"), LABELS)
def test_first_day_of_a_label(period: str, day: date) -> None:
    assert label_day(period) == day


def test_one_tonne_of_raw_coal() -> None:
    assert coal_equivalent(1000.0, 0.7143) == pytest.approx(714.3)


def test_comprehensive_energy_of_a_kiln() -> None:
    # 117,000 kg of raw coal, 30,000 kWh, 1,000 MJ of heat sent out
    parts = [(117_000.0, 0.7143), (30_000.0, 0.1229), (-1000.0, 0.03412)]
    assert comprehensive_energy(parts) == pytest.approx(83_573.1 + 3_687.0 - 34.12)
    assert comprehensive_energy([*parts, (1.0, None)]) is None
    assert comprehensive_energy([]) == 0.0


def test_both_bases_with_their_factors_and_the_weakest_confidence(library: Library) -> None:
    added = add_coal(rows(("electricity", "2024-05", 1000.0, "kWh")), library).row(0, named=True)
    assert added["kgce_calorific"] == pytest.approx(122.9)
    assert added["kgce_equivalent"] == pytest.approx(302.4)
    assert added["factors"] == (
        "GB/T 2589-2020|ELEC_EQ;national net coal rate (proxy)|ELEC_EQV_2024"
    )
    assert added["confidence"] == "recalled"


def test_missing_is_null_and_never_zero(library: Library) -> None:
    added = add_coal(
        rows(
            ("raw_coal", "2026", None, "kg"),  # no amount
            ("electricity", "2015", 1.0, "kWh"),  # no equivalent value known for 2015
            ("natural_gas", "2026", 1.0, "m3"),  # a range
            ("heat", "2026", 0.0, "MJ"),  # an equivalent row without a number
            ("raw_coal", "2001", 1.0, "kg"),  # before any edition
            ("no_such_energy", "2026", 1.0, "kg"),
        ),
        library,
    )
    assert added["kgce_calorific"].to_list() == [None, 0.1229, None, 0.0, None, None]
    assert added["kgce_equivalent"].to_list() == [None, None, None, None, None, None]
    raw_coal = "GB/T 2589-2020|RAW_COAL"
    assert added["factors"].to_list() == [
        f"{raw_coal};{raw_coal}",
        "GB/T 2589-2020|ELEC_EQ;",
        ";",
        "GB/T 2589-2020|HEAT_EQ;",
        ";",
        ";",
    ]
    assert added["confidence"].to_list() == ["seen"] * 6


def test_the_label_chooses_the_edition(library: Library) -> None:
    # The statistical month labelled 2021-04 starts on 26 March; the 2020 edition holds for all of
    # it, as its label's first day is 1 April.
    periods = ["2021-03", "2021-04", "2021-03-31", "2021-04-01", "2021", "2022"]
    added = add_coal(rows(*(("water_fresh", p, 1.0, "t") for p in periods)), library)
    assert added["kgce_calorific"].to_list() == [0.0857, 0.2571, 0.0857, 0.2571, 0.0857, 0.2571]


def test_amounts_in_another_unit_of_the_dimension(library: Library) -> None:
    given_rows = rows(("raw_coal", "2026", 2.0, "t"), ("electricity", "2026", 2.0, "MWh"))
    added = add_coal(given_rows, library)
    assert added["kgce_calorific"].to_list() == pytest.approx([1428.6, 245.8])
    with pytest.raises(ConfigError, match="does not convert"):
        add_coal(rows(("raw_coal", "2026", 2.0, "m3")), library)


def test_own_factor(library: Library) -> None:
    own = FactorRow(
        energy="natural_gas", unit="m3", kgce_per_unit=1.2143, effective_from=date(2026, 1, 1),
        source="supplier",
    )  # fmt: skip
    added = add_coal(rows(("natural_gas", "2026", 10.0, "m3")), library.with_own((own,)))
    assert added["kgce_equivalent"].to_list() == pytest.approx([12.143])
    plant = "plant|natural_gas|both|2026-01-01"
    assert added["factors"].to_list() == [f"{plant};{plant}"]


def test_lazy_is_as_eager_and_order_and_other_columns_stay(library: Library) -> None:
    frame = rows(
        *((e, p, a, u) for p, _ in LABELS for e, a, u in (("raw_coal", 1.0, "kg"),
                                                         ("electricity", 2.0, "kWh")))
    ).with_columns(node_id=pl.lit("kiln"))  # fmt: skip
    eager, lazy = add_coal(frame, library), add_coal(frame.lazy(), library)
    assert lazy.collect_schema() == eager.schema
    assert lazy.collect().equals(eager)
    assert lazy.select("kgce_calorific").collect().equals(eager.select("kgce_calorific"))
    assert eager.select(frame.columns).equals(frame)
    assert add_coal(eager, library).equals(eager)  # again: the same
    assert add_coal(frame.clear(), library).schema == eager.schema


@given(
    st.sampled_from(["raw_coal", "electricity", "diesel", "water_fresh"]),
    st.lists(st.floats(-1e9, 1e9) | st.none(), min_size=1, max_size=20),
)
def test_frame_and_formula_agree(energy: str, amounts: list[float | None]) -> None:
    library = read_library()
    unit = library.energies[energy]
    added = add_coal(rows(*((energy, "2026-10", a, unit) for a in amounts)), library)
    k = coefficient(library, energy, unit, "calorific", date(2026, 10, 1)).kgce_per_unit
    assert k is not None
    wanted = [None if a is None else coal_equivalent(a, k) for a in amounts]
    assert added["kgce_calorific"].to_list() == wanted
