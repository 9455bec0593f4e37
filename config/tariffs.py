"""What energy costs the plant: dated prices, and tariffs of electricity by the time of the day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from config.base import Model

TariffPeriod = Literal["sharp", "peak", "flat", "valley", "deep_valley"]
TARIFF_PERIODS: tuple[TariffPeriod, ...] = get_args(TariffPeriod)
HALF_HOURS = 48
ALL_MONTHS = tuple(range(1, 13))
_HALF = r"([01]\d|2[0-3]):(00|30)"

Span = Annotated[str, Field(pattern=rf"^{_HALF}-({_HALF}|24:00)$")]
Month = Annotated[int, Field(ge=1, le=12)]
CnyPerKwh = Annotated[float, Field(ge=0)]


class Price(Model):
    """What an energy costs from a day on."""

    energy: str = Field(description="Energy code, as in the ledger.")
    from_: date = Field(alias="from", description="First day; it holds until the next price.")
    unit: str = Field(description="Unit that the price is of, such as t.")
    cny_per_unit: float = Field(ge=0, description="Price without value added tax, CNY a unit.")
    source: str = Field(description="Where it is from: contract, invoice, notice.")


class Season(Model):
    """Which half-hours of a day belong to which tariff period, in some months of the year."""

    months: tuple[Month, ...] = Field(
        ALL_MONTHS, min_length=1, description="Months of the calendar; default all."
    )
    hours: dict[TariffPeriod, tuple[Span, ...]] = Field(
        min_length=1,
        description="Local times by tariff period (sharp 尖, peak 峰, flat 平, valley 谷, "
        "deep_valley 深谷), such as `peak: ['08:00-12:00']`; '22:00-06:00' goes over midnight. "
        "Together they are the whole day.",
    )
    prices: dict[TariffPeriod, CnyPerKwh] = Field(
        default_factory=dict, description="CNY/kWh where they are not the tariff's."
    )

    @model_validator(mode="after")
    def _day_covered_once(self) -> Season:
        owners: list[list[str]] = [[] for _ in range(HALF_HOURS)]
        for name, spans in self.hours.items():
            for span in spans:
                for slot in _slots(span):
                    owners[slot].append(name)
        for slot, names in enumerate(owners):
            if len(names) != 1:
                what = f"belongs to {' and '.join(names)}" if names else "belongs to no period"
                raise ValueError(f"{_clock(slot)}-{_clock(slot + 1)} {what}; allowed: exactly one")
        return self

    @property
    def by_half_hour(self) -> tuple[TariffPeriod, ...]:
        """The tariff period of each half-hour of the clock, from 00:00 on."""
        found = {
            slot: name for name, some in self.hours.items() for s in some for slot in _slots(s)
        }
        return tuple(found[slot] for slot in range(HALF_HOURS))


class Demand(Model):
    """The part of the tariff that is paid for power (基本电费)."""

    cny_per_kw_month: float = Field(ge=0, description="CNY for a kW (or kVA) and month.")
    minutes: Literal[15, 30] = Field(
        15, description="The month's highest mean power over this long is what counts."
    )
    contracted_kw: float | None = Field(
        None,
        gt=0,
        description="Contracted power (or transformer capacity, kVA) that is paid whatever was "
        "used; without it the highest demand of the month is.",
    )


class Tariff(Model):
    """A tariff of electricity from a day on; it holds until the next one."""

    from_: date = Field(alias="from", description="First day, local.")
    prices: dict[TariffPeriod, CnyPerKwh] = Field(
        default_factory=dict, description="CNY/kWh without value added tax, by tariff period."
    )
    seasons: tuple[Season, ...] = Field(
        (), description="Times of the day by month; without any, those of the tariff before it."
    )
    demand: Demand | None = Field(None, description="What is paid for power; none without.")
    meters: tuple[str, ...] = Field(
        (),
        description="Meters that it bills; default all that make up the plant's electricity. What "
        "the plant has from elsewhere, such as its own solar power, goes by `prices`.",
    )
    source: str = Field(description="Notice or contract that it is from.")

    @model_validator(mode="after")
    def _whole_year_once(self) -> Tariff:
        months = [month for season in self.seasons for month in season.months]
        for month in ALL_MONTHS if self.seasons else ():
            if months.count(month) != 1:
                raise ValueError(
                    f"month {month} stands in {months.count(month)} seasons; allowed: exactly one"
                )
        return self

    def season(self, month: int) -> Season:
        """The season of a month of the calendar."""
        return next(season for season in self.seasons if month in season.months)

    def price(self, month: int, period: TariffPeriod) -> float | None:
        """CNY/kWh of a tariff period in a month; None where neither season nor tariff says."""
        return self.season(month).prices.get(period, self.prices.get(period))


def tariffs_in_order(tariffs: Iterable[Tariff]) -> list[Tariff]:
    """By first day, each with the times of the day that hold: its own, or those before it.

    A tariff without any, the first one, is left out.
    """
    found: list[Tariff] = []
    for tariff in sorted(tariffs, key=lambda one: one.from_):
        if not tariff.seasons and found:
            bare = tuple(s.model_copy(update={"prices": {}}) for s in found[-1].seasons)
            tariff = tariff.model_copy(update={"seasons": bare})
        if tariff.seasons:
            found.append(tariff)
    return found


def prices_in_order(prices: Iterable[Price], energy: str) -> Sequence[Price]:
    """The prices of an energy, by first day."""
    return sorted((one for one in prices if one.energy == energy), key=lambda one: one.from_)


def _slots(span: str) -> list[int]:
    """The half-hours of a span of local time.

    >>> _slots("23:00-00:30"), _slots("23:00-24:00")
    ([46, 47, 0], [46, 47])
    """
    start, end = (int(clock[:2]) * 2 + clock.endswith("30") for clock in span.split("-"))
    length = (end - start - 1) % HALF_HOURS + 1
    return [(start + step) % HALF_HOURS for step in range(length)]


def _clock(slot: int) -> str:
    return f"{slot // 2:02}:{slot % 2 * 30:02}"
