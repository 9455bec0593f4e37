"""The models of plant.yaml. Frozen; an unknown key is refused; every field is described.

docs/configuration.md is generated from these descriptions.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, StringConstraints, field_validator, model_validator

from config.allocation import Allocation
from config.assessment import Assessment
from config.balance import Balance, Converts
from config.base import Identifier, Model, Role
from config.carbon import RenewableMeter
from config.connections import Connection
from config.installations import Installation
from config.register_map import BASES, Base, NumberType
from config.shifts import Shift, ShiftName
from config.standards_own import OwnBenchmark, OwnNorm
from config.virtual import VirtualMeter

Kind = Literal["counter", "gauge", "amount"]

# Net calorific value of a kilogram of standard coal, GB/T 2589-2020.
KJ_PER_KGCE = 29_307.6

# Credit code: GB 32100-2015, 4.5: 18 characters, the last a check character modulo 31.
_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


def credit_code_check_character(first_17: str) -> str:
    """Check character of a unified social credit code (GB 32100-2015, 4.5).

    >>> credit_code_check_character("91350100M000100Y4")
    '3'
    """
    total = sum(_CREDIT_ALPHABET.index(c) * pow(3, i, 31) for i, c in enumerate(first_17))
    return _CREDIT_ALPHABET[(31 - total % 31) % 31]


class PlantInfo(Model):
    """The plant itself."""

    id: Identifier = Field(description="Short id; part of every row and of the lake's folders.")
    name: str = Field(description="Name as on the business licence.")
    credit_code: str | None = Field(None, description="统一社会信用代码, 18 characters, checked.")
    region: str | None = Field(None, description="Administrative region, such as 350000 (Fujian).")
    industry: str | None = Field(None, description="GB/T 4754 industry code, such as 3011.")
    timezone: str = Field("Asia/Shanghai", description="IANA time zone of the plant's calendar.")
    month_end_day: int = Field(
        31,
        ge=1,
        le=31,
        description="Last day of the statistical month; 31 (or any day past the end) is the "
        "calendar month. With 25, October runs from 26 September to 25 October.",
    )
    altitude_m: float | None = Field(
        None, description="Altitude of the site, m; norms of cement correct level 3 above 1500 m."
    )
    mean_pressure_pa: float | None = Field(
        None, gt=30_000, lt=110_000, description="Yearly mean air pressure of the site, Pa."
    )
    metering_since: date | None = Field(
        None,
        description="First day with metering. Periods are clipped to it; without it, time before "
        "the first reading counts as missing.",
    )

    @field_validator("timezone")
    @classmethod
    def _zone_exists(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f"{zone!r} is no IANA time zone; allowed: names such as Asia/Shanghai")
        return zone

    @field_validator("credit_code")
    @classmethod
    def _credit_code_checks(cls, code: str | None) -> str | None:
        if code is None:
            return None
        if len(code) != 18 or any(c not in _CREDIT_ALPHABET for c in code):
            raise ValueError(f"{code!r} is no credit code; allowed: 18 of {_CREDIT_ALPHABET}")
        if (want := credit_code_check_character(code[:17])) != code[17]:
            raise ValueError(f"check character of {code!r} is {code[17]!r}; it must be {want!r}")
        return code

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)


class Node(Model):
    """One node of the tree: the plant, a process, or an equipment."""

    name: str = Field(description="Name shown.")
    level: Literal["plant", "process", "equipment"] = Field(description="Level in the tree.")
    parent: Identifier | None = Field(None, description="Node above; only the plant has none.")
    converts: Converts | None = Field(
        None, description="What it makes of other energies: a boiler, a compressor, a generator."
    )
    losses_ratio: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of what comes in that transformers, lines or pipes between its main "
        "meters and the branches may lose, such as 0.03.",
    )


class Meter(Model):
    """One row of the meter ledger (计量器具台账)."""

    meter_id: Identifier = Field(description="Id of the meter; unique in the plant.")
    name: str = Field(description="Name shown.")
    node: Identifier = Field(description="Node whose flow it measures.")
    energy: str | None = Field(
        None, description="Energy code of config/standards/factors.csv, such as electricity."
    )
    product: Identifier | None = Field(
        None, description="Product whose output it measures (instead of energy)."
    )
    role: Role = Field(
        "input",
        description="input: enters the node; output: leaves it (deducted; or a product's output); "
        "recovered: recovered inside the node (not counted again); feedstock: used as raw "
        "material (counted); non_production: part of the input used outside production "
        "(deducted); check: verification only.",
    )
    kind: Kind = Field(
        description="counter: a register that counts up; gauge: a rate, integrated over time; "
        "amount: what flowed in the span before each reading."
    )
    unit: str = Field(description="Unit of the readings before the multiplier, such as kWh or kW.")
    connection: Identifier | None = Field(
        None,
        description="Connection that it is read on; empty for statements typed or imported.",
    )
    unit_id: int | None = Field(None, ge=0, le=247, description="Modbus unit id (default 1).")
    device: str | None = Field(None, description="Register map of config/devices, without .yaml.")
    quantity: str | None = Field(
        None, description="Field of the register map; or a free name (default `value`)."
    )
    meter_address: str | None = Field(
        None, pattern=r"^\d{12}$", description="DL/T 645 address: the 12 digits on the meter."
    )
    register_address: int | None = Field(
        None, alias="register", ge=0, le=465536, description="Register without a device map."
    )
    register_base: Base = Field(
        0, description="What `register` counts from: 0, 1, 40001 (function 3), 30001 (function 4)."
    )
    function: Literal[3, 4] | None = Field(None, description="Modbus function (default 3).")
    type: NumberType | None = Field(None, description="Number type at `register`.")
    order: str | None = Field(
        None, description="Byte order on the wire, such as CDAB (default big-endian)."
    )
    scale: float | None = Field(None, description="Factor from register number to `unit`.")
    topic: str | None = Field(None, description="MQTT topic, wildcards + and # allowed.")
    metric: str | None = Field(
        None, description="Sparkplug B metric of the topic (extra `sparkplug`)."
    )
    opc_node: str | None = Field(None, description="OPC UA node id, such as ns=2;s=Meter1.Energy.")
    value_path: str | None = Field(
        None, description="JSON path of the value, such as `data.kwh`; empty: the payload itself."
    )
    time_path: str | None = Field(
        None, description="JSON path of the time; empty: the time of arrival."
    )
    time_unit: Literal["s", "ms", "us", "iso"] | None = Field(
        None, description="How the time is written: Unix time in s, ms, us, or ISO 8601 (default)."
    )
    multiplier: float = Field(1.0, gt=0, description="CT ratio x PT ratio.")
    modulus: float | None = Field(
        None, gt=0, description="Value at which the counter rolls over to 0, in `unit`."
    )
    rated_per_h: float | None = Field(
        None,
        gt=0,
        description="Rated power or flow: the most that can pass in an hour, after the "
        "multiplier, in the unit's hourly amount (kW for kWh). Bounds gaps and finds spikes.",
    )
    interval_s: float | None = Field(
        None,
        ge=0.1,
        le=2_678_400,
        description="Expected time between readings; default the connection's.",
    )
    span_minutes: float | None = Field(
        None,
        gt=0,
        description="Time that one reading stands for: needed for amounts; for a gauge it says "
        "that each value is the mean over this span.",
    )
    accuracy_class: str | None = Field(None, description="Accuracy class, such as 0.5S.")
    calibrated_on: date | None = Field(None, description="Date of the last calibration.")
    calibration_due: date | None = Field(None, description="Date by which the next is due.")

    @field_validator("function", "register_base", mode="before")
    @classmethod
    def _number_of_a_csv(cls, given: object) -> object:
        return int(given) if isinstance(given, str) and given.isdecimal() else given

    @model_validator(mode="after")
    def _register_fits_its_base(self) -> Meter:
        implied = BASES[self.register_base]
        if implied is not None and self.function not in (None, implied):
            raise ValueError(
                f"register_base {self.register_base} is function {implied}, not {self.function}"
            )
        if self.register_address is not None:
            last = self.register_base + 65535
            if not self.register_base <= self.register_address <= last:
                raise ValueError(
                    f"register {self.register_address}; allowed: {self.register_base} to {last} "
                    f"with register_base {self.register_base}"
                )
        return self

    @model_validator(mode="after")
    def _one_subject(self) -> Meter:
        if (self.energy is None) == (self.product is None):
            raise ValueError("a meter has either an energy or a product")
        if self.product is not None and self.role not in ("output", "check"):
            raise ValueError(f"role {self.role!r} with a product; allowed: output, check")
        if self.kind == "amount" and self.connection and self.span_minutes is None:
            raise ValueError("kind amount needs span_minutes: the time that one amount stands for")
        if self.kind == "counter" and self.span_minutes is not None:
            raise ValueError("a counter has no span_minutes")
        if self.modulus is not None and self.kind != "counter":
            raise ValueError("only a counter has a modulus")
        if self.modulus is not None and self.rated_per_h is None:
            raise ValueError(
                "modulus needs rated_per_h: without it nobody can say how often the counter "
                "rolled over while it was not read"
            )
        return self

    @property
    def quantity_name(self) -> str:
        return self.quantity or "value"


class ClinkerRatio(Model):
    """Share of clinker in the cement, from a day on."""

    from_: date = Field(alias="from", description="First day on which it holds.")
    ratio: float = Field(gt=0, le=1, description="Clinker in the cement, 0 to 1.")
    source: str = Field(description="Where the number is from, such as the mix of the year.")


class Product(Model):
    """One product whose unit energy consumption is computed."""

    name: str = Field(description="Name shown.")
    unit: str = Field(description="Unit of the output, such as t.")
    boundary: tuple[Identifier, ...] = Field(
        min_length=1, description="Nodes whose energy the product takes; none inside another."
    )
    norms: tuple[str, ...] = Field(
        (), description="Ids of norm rows, such as `GB 16780-2021|水泥熟料|单位产品综合能耗`."
    )
    benchmarks: tuple[str, ...] = Field(
        (), description="Ids of benchmark rows: `发改产业〔2023〕723号|水泥熟料|单位产品综合能耗`."
    )
    standard_factor: float = Field(
        1.0, gt=0, description="Standard product per unit of output (conversion of grades)."
    )
    clinker_ratio: tuple[ClinkerRatio, ...] = Field(
        (),
        description="Of cement: the share of clinker, by which GB 16780 corrects its levels. A "
        "period takes the one of its first day; without any, the levels are as printed for 75 %.",
    )


class FactorRow(Model):
    """The plant's own factor to standard coal; goes before the package's rows."""

    energy: str = Field(description="Energy code.")
    basis: Literal["calorific", "equivalent", "both"] = Field("both", description="Basis.")
    unit: str = Field(description="Unit that the factor is per.")
    kgce_per_unit: float | None = Field(None, ge=0, description="Coefficient to standard coal; or:")
    ncv_kj_per_unit: float | None = Field(
        None,
        gt=0,
        description="Net calorific value as measured or certified, kJ per unit, as received; the "
        "coefficient is this over 29307.6 (GB/T 2589-2020).",
    )
    effective_from: date = Field(
        description="First day it holds, until the next row; of a certificate its first delivery."
    )
    source: str = Field(description="Where the number is from: certificate, notice, edition.")

    @model_validator(mode="after")
    def _one_number(self) -> FactorRow:
        if (self.kgce_per_unit is None) == (self.ncv_kj_per_unit is None):
            raise ValueError("give either kgce_per_unit or ncv_kj_per_unit")
        return self

    @property
    def coefficient(self) -> float:
        """Coefficient to standard coal [kgce per unit]."""
        if self.kgce_per_unit is not None:
            return self.kgce_per_unit
        return (self.ncv_kj_per_unit or 0.0) / KJ_PER_KGCE


class TimeColumns(Model):
    """How an imported file writes time."""

    columns: tuple[str, ...] = Field(
        min_length=1, description="Column, or columns joined by a blank."
    )
    format: str | None = Field(
        None, description="strftime format; default ISO 8601. Numbers: s, ms or us for Unix time."
    )
    timezone: str | None = Field(None, description="Zone of the stamps; default the plant's.")
    label: Literal["end", "start", "instant"] = Field(
        "instant", description="What the stamp marks of a span: its end or its start."
    )
    midnight_of: Literal["same_date", "day_end"] = Field(
        "same_date",
        description="day_end: a stamp of 00:00 closes the day whose date it carries, as some "
        "historians print it; it is moved to the next day's 00:00.",
    )


class ImportMapping(Model):
    """How `kgce import readings` reads one layout of file."""

    files: str = Field("*", description="Glob of file names that the mapping is for.")
    delimiter: Annotated[str, StringConstraints(strip_whitespace=False)] = Field(
        ",", min_length=1, max_length=1, description="CSV delimiter."
    )
    time: TimeColumns = Field(description="The time stamp.")
    values: dict[Identifier, str] = Field(
        default_factory=dict, description="Wide layout: meter id to the column of its values."
    )
    meter_column: str | None = Field(None, description="Long layout: column of meter ids.")
    value_column: str | None = Field(None, description="Long layout: column of values.")
    missing: tuple[str, ...] = Field(
        ("", "?", "NA", "NaN", "nan", "null"), description="Texts that stand for no value."
    )
    status_column: str | None = Field(
        None, description="Column that says whether the values of its row are good."
    )
    status_columns: dict[Identifier, str] = Field(
        default_factory=dict,
        description="Wide layout: meter id to the column that says whether its value is good.",
    )
    good: tuple[str, ...] = Field(
        ("good",),
        min_length=1,
        description="Texts of a status column that mean good, such as Good or 192; case does not "
        "matter. A reading with any other, or none, is stored without value, as `flagged`.",
    )

    @model_validator(mode="after")
    def _wide_or_long(self) -> ImportMapping:
        long = self.meter_column is not None and self.value_column is not None
        if bool(self.values) == long:
            raise ValueError("give either `values`, or both `meter_column` and `value_column`")
        for meter_id in self.status_columns:
            if meter_id not in self.values:
                raise ValueError(
                    f"`status_columns` names {meter_id!r}, which `values` does not; allowed: "
                    + (", ".join(self.values) or "`status_column`, in the long layout")
                )
        if self.status_columns and self.status_column is not None:
            raise ValueError("give either `status_column` or `status_columns`")
        if "good" in self.model_fields_set and not self.statuses:
            raise ValueError("`good` needs `status_column` or `status_columns`")
        return self

    @property
    def statuses(self) -> tuple[str, ...]:
        """The columns that say whether values are good."""
        return tuple(filter(None, (self.status_column, *self.status_columns.values())))


class Intervals(Model):
    """How often things happen."""

    poll_s: float = Field(60.0, ge=0.1, le=86400, description="Default poll interval of meters.")
    flush_s: float = Field(10.0, gt=0, le=3600, description="Spool to lake.")
    refresh_s: float = Field(900.0, ge=1, le=86400, description="Lake to figures.")
    compact_h: float = Field(6.0, ge=1, le=720, description="Compaction of the lake's files.")


class Quality(Model):
    """When readings count as a gap, and when figures are refused."""

    gap_factor: float = Field(
        3.0, ge=1.5, le=100, description="A gap is more than this many expected intervals long."
    )
    dip_window_h: float = Field(
        24.0,
        gt=0,
        le=720,
        description="A counter that falls and jumps back within this time dipped; else it reset.",
    )
    overload_factor: float = Field(
        1.2,
        ge=1,
        le=10,
        description="Readings that need more than this times the rated power are not believed.",
    )
    required_coverage_ratio: float = Field(
        0.9, ge=0, le=1, description="Figures under this coverage are refused."
    )


class Storage(Model):
    """Where data is kept."""

    path: Path = Field(Path("data"), description="Folder; relative to plant.yaml.")
    spool_max_mb: int = Field(
        2048, ge=1, description="Cap of the spool; at the cap collectors wait, nothing is dropped."
    )
    dedupe_h: float = Field(
        48.0, ge=0, description="How long the spool remembers readings to refuse repeats."
    )


class Metrics(Model):
    """Where the daemon shows its metrics to Prometheus."""

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen at.")
    port: int = Field(9464, ge=1, le=65535, description="TCP port; the path is /metrics.")


class Plant(Model):
    """plant.yaml, whole."""

    plant: PlantInfo = Field(description="The plant itself.")
    nodes: dict[Identifier, Node] = Field(min_length=1, description="The tree, by node id.")
    connections: dict[Identifier, Connection] = Field(
        default_factory=dict, description="Connections, by id."
    )
    meters: dict[str, Meter] = Field(
        description="The ledger: a CSV file's name, or meters by id.", min_length=1
    )
    installations: tuple[Installation, ...] = Field(
        (), description="Replaced meters and changed ratios, dated."
    )
    virtual: dict[Identifier, VirtualMeter] = Field(
        default_factory=dict, description="Meters computed from others, by id."
    )
    products: dict[Identifier, Product] = Field(
        default_factory=dict, description="Products, by id."
    )
    allocations: tuple[Allocation, ...] = Field(
        (), description="How energy of shared nodes goes to products."
    )
    factors: tuple[FactorRow, ...] = Field((), description="The plant's own coal factors.")
    norms: tuple[OwnNorm, ...] = Field((), description="The plant's own rows of norms.")
    benchmarks: tuple[OwnBenchmark, ...] = Field(
        (), description="The plant's own benchmark and baseline levels."
    )
    shifts: dict[ShiftName, tuple[Shift, ...]] = Field(
        default_factory=dict,
        description="Shifts (班次), by name; a list where the times of one changed.",
    )
    imports: dict[Identifier, ImportMapping] = Field(
        default_factory=dict, description="Layouts of files for `kgce import readings`."
    )
    intervals: Intervals = Field(Intervals(), description="Schedules.")
    quality: Quality = Field(Quality(), description="Quality rules.")
    balance: Balance = Field(Balance(), description="Main meters against branches.")
    assessment: Assessment = Field(
        Assessment(),
        description="What sheets need and no meter gives; here, or the name of a YAML file.",
    )
    storage: Storage = Field(Storage(), description="Where data is kept.")
    metrics: Metrics | None = Field(
        None, description="Prometheus metrics of the daemon; `{}` for the defaults; none without."
    )

    @field_validator("shifts", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: [one] if isinstance(one, dict) else one for name, one in given.items()}

    @property
    def root(self) -> str:
        """The node that is the plant: the one without a parent."""
        return next(node_id for node_id, node in self.nodes.items() if node.parent is None)

    @property
    def all_meters(self) -> dict[str, Meter | VirtualMeter]:
        """Every meter that can count, by id: those of the ledger, then the virtual ones."""
        return {**self.meters, **self.virtual}

    def renewables(self, energy: str) -> list[RenewableMeter]:
        """The meters of renewable energy (`assessment.carbon`) that are of this energy."""
        tags = self.assessment.carbon.renewable_meters
        return [one for one in tags if self.all_meters[one.meter].energy == energy]

    def interval_s(self, meter: Meter) -> float:
        """Expected seconds between readings of ``meter``."""
        if meter.interval_s is not None:
            return meter.interval_s
        if meter.span_minutes is not None:
            return meter.span_minutes * 60
        connection: Any = self.connections.get(meter.connection or "")
        own = getattr(connection, "interval_s", None)
        return float(own) if own is not None else self.intervals.poll_s
