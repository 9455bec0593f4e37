"""The models of ``connections:`` in plant.yaml: how meters are reached."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field, field_validator, model_validator

from config.base import Model
from config.sql_query import ALLOWED, query_parameters, query_problem
from config.topic_filter import filter_problem

Seconds = Annotated[float, Field(gt=0, le=60)]
Interval = Annotated[float, Field(ge=0.1, le=86400)]
Port = Annotated[int, Field(ge=1, le=65535)]


class Tls(Model):
    """TLS of a connection. Certificates are verified always."""

    ca_file: Path | None = Field(None, description="CA certificate; default the system's.")
    cert_file: Path | None = Field(None, description="Client certificate.")
    key_file: Path | None = Field(None, description="Client key.")
    server_name: str | None = Field(
        None, description="Name in the server's certificate; default `host`."
    )

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


class SerialPort(Model):
    """A serial port, and how bits travel on it."""

    device: str = Field(
        min_length=1,
        description="Device name, such as /dev/ttyUSB0; better a stable /dev/serial/by-id/ name.",
    )
    baud_rate: int = Field(9600, ge=300, le=921600, description="Bits per second.")
    data_bits: Literal[7, 8] = Field(8, description="Data bits; RTU needs 8.")
    parity: Literal["none", "even", "odd"] = Field("none", description="Parity.")
    stop_bits: Literal[1, 2] = Field(1, description="Stop bits.")

    @property
    def bits_per_byte(self) -> int:
        """Bits on the wire for one byte: start, data, parity and stop."""
        return 1 + self.data_bits + (self.parity != "none") + self.stop_bits


class Polled(Model):
    """What every polled line has: one request in flight, a reply awaited for so long."""

    timeout_s: Seconds = Field(3.0, description="Longest wait for one reply.")
    interval_s: Interval | None = Field(
        None, description="Poll interval; default intervals.poll_s."
    )
    pause_s: float = Field(
        0.0, ge=0, le=10, description="Rest between a reply and the next request, for weak devices."
    )


class ModbusLine(Polled):
    """What every Modbus line has."""

    max_registers: int = Field(
        125, ge=1, le=125, description="Most registers in one request (the device's own limit)."
    )
    max_hole: int = Field(
        8, ge=0, le=124, description="Largest run of unwanted registers that is read over."
    )


class ModbusTcp(ModbusLine):
    """Modbus TCP, or Modbus Security (TLS): one socket, one request in flight."""

    type: Literal["modbus_tcp"] = Field(description="Kind of connection.")
    host: str = Field(min_length=1, description="Host name or address of the meter or gateway.")
    port: Port = Field(502, description="TCP port; 802 is usual with TLS.")
    tls: Tls | None = Field(None, description="TLS settings; `{}` for TLS with system CAs.")

    @property
    def peer(self) -> str:
        return f"{self.host}:{self.port}"


class SerialLine(Model):
    """A serial bus: on a port of this machine, or behind a transparent TCP gateway."""

    serial: SerialPort | None = Field(None, description="Serial port of this machine.")
    host: str | None = Field(None, min_length=1, description="Transparent serial gateway (TCP).")
    port: Port = Field(4001, description="TCP port of the gateway.")
    bus_baud_rate: int | None = Field(
        None,
        ge=300,
        le=921600,
        description="Bits per second of the bus behind the gateway; its load is checked.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> SerialLine:
        if (self.serial is None) == (self.host is None):
            raise ValueError("give either `serial`, or `host` (and `port`) of a serial gateway")
        if self.serial is not None and self.bus_baud_rate is not None:
            raise ValueError("bus_baud_rate is for a gateway; a port states serial.baud_rate")
        return self

    @property
    def peer(self) -> str:
        return self.serial.device if self.serial is not None else f"{self.host}:{self.port}"

    @property
    def bits_per_s(self) -> int | None:
        """Bits per second of the bus; None where nobody stated it."""
        return self.serial.baud_rate if self.serial is not None else self.bus_baud_rate

    @property
    def bits_per_byte(self) -> int:
        return self.serial.bits_per_byte if self.serial is not None else 11


class ModbusRtu(ModbusLine, SerialLine):
    """Modbus RTU frames, on a serial port or over TCP."""

    type: Literal["modbus_rtu"] = Field(description="Kind of connection.")

    @model_validator(mode="after")
    def _eight_bits(self) -> ModbusRtu:
        if self.serial is not None and self.serial.data_bits != 8:
            raise ValueError("RTU needs data_bits: 8")
        return self


class Dlt645(Polled, SerialLine):
    """DL/T 645-2007 electricity meters, on a serial port or over TCP."""

    type: Literal["dlt645"] = Field(description="Kind of connection.")
    wake_bytes: int = Field(4, ge=0, le=16, description="Bytes FE sent before each frame.")

    @model_validator(mode="after")
    def _as_the_meters_talk(self) -> Dlt645:
        if self.serial is None:
            return self
        if self.serial.data_bits != 8:
            raise ValueError("DL/T 645 needs data_bits: 8")
        if not {"baud_rate", "parity"} <= self.serial.model_fields_set:
            raise ValueError(
                "state serial.baud_rate and serial.parity: as a rule meters come with 2400 or "
                "9600, and even"
            )
        return self


class GatewayStatus(Model):
    """A topic on which a device, or the broker by its last will, says that it is gone."""

    topic: str = Field(
        description="Topic, such as `gw1/status`; with + or # one gateway for each topic."
    )
    offline: str = Field("offline", description="Text that means offline; any other is online.")
    value_path: str | None = Field(
        None, description="JSON path of that text; empty: the payload itself."
    )

    @field_validator("topic")
    @classmethod
    def _is_a_filter(cls, topic: str) -> str:
        if (problem := filter_problem(topic)) is not None:
            raise ValueError(f"{topic!r} {problem[0]}; allowed: {problem[1]}")
        return topic


class Mqtt(Model):
    """An MQTT broker: QoS 1, persistent session, acknowledged only after the data is on disk."""

    type: Literal["mqtt"] = Field(description="Kind of connection.")
    host: str = Field(min_length=1, description="Host name or address of the broker.")
    port: Port = Field(1883, description="TCP port; 8883 is usual with TLS.")
    version: Literal["3.1.1", "5"] = Field("3.1.1", description="MQTT version.")
    client_id: str | None = Field(
        None, description="Client id of the persistent session; default kgce-<plant>-<connection>."
    )
    username: str | None = Field(None, description="User name.")
    password_file: Path | None = Field(
        None, description="File that holds the password; relative to plant.yaml."
    )
    keepalive_s: int = Field(30, ge=5, le=3600, description="Keep-alive.")
    session_expiry_s: int = Field(
        604800,
        ge=0,
        le=4_294_967_295,
        description="How long a version 5 broker keeps the session (7 days).",
    )
    status: tuple[GatewayStatus, ...] = Field(
        (), description="Where gateways say that they are offline (last wills)."
    )
    tls: Tls | None = Field(None, description="TLS settings; `{}` for TLS with system CAs.")

    @model_validator(mode="after")
    def _password_has_a_name(self) -> Mqtt:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file without username")
        return self

    @property
    def peer(self) -> str:
        return f"{self.host}:{self.port}"


class OpcUa(Model):
    """An OPC UA server, read by subscription. Needs the extra ``opcua``."""

    type: Literal["opcua"] = Field(description="Kind of connection.")
    url: str = Field(
        pattern=r"^opc\.tcp://[^/\s]+(/.*)?$", description="Such as opc.tcp://10.0.0.5:4840."
    )
    interval_s: Interval | None = Field(
        None, description="Sampling and publishing interval; default intervals.poll_s."
    )
    timeout_s: Seconds = Field(4.0, description="Longest wait for one answer.")
    username: str | None = Field(None, description="User name; default anonymous.")
    password_file: Path | None = Field(
        None, description="File that holds the password; relative to plant.yaml."
    )
    security: Literal["none", "sign", "sign_and_encrypt"] = Field(
        "none", description="Security mode, with the policy Basic256Sha256."
    )
    cert_file: Path | None = Field(None, description="Client certificate (security).")
    key_file: Path | None = Field(None, description="Client key (security).")
    server_cert_file: Path | None = Field(
        None, description="The server's certificate, checked byte for byte (security)."
    )

    @model_validator(mode="after")
    def _secure_or_not(self) -> OpcUa:
        files = (self.cert_file, self.key_file, self.server_cert_file)
        if self.security != "none" and None in files:
            raise ValueError("security needs cert_file, key_file and server_cert_file")
        if self.security == "none" and any(file is not None for file in files):
            raise ValueError("certificates without security: state sign or sign_and_encrypt")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file without username")
        return self

    @property
    def peer(self) -> str:
        return self.url


class Folder(Model):
    """A watched folder: files of readings that are dropped into it are imported, each once."""

    type: Literal["folder"] = Field(description="Kind of connection.")
    path: Path = Field(description="Folder to watch; relative to plant.yaml.")
    files: str = Field(
        "*.csv", min_length=1, description="Glob of the files to take, without regard to case."
    )
    mapping: str | None = Field(
        None, description="Mapping of `imports:`; default: the one that fits the file's name."
    )
    partial: bool = Field(
        False, description="Take the good rows of a file that has refused ones too."
    )
    look_s: Interval = Field(5.0, description="How often the folder is looked at.")
    settle_s: float = Field(
        2.0, ge=0, le=3600, description="A file is taken once it has not changed for so long."
    )

    @property
    def peer(self) -> str:
        return str(self.path)


class SqlDatabase(Model):
    """A production database, asked on a schedule by one SELECT. Needs the extra ``sql``."""

    type: Literal["sql"] = Field(description="Kind of connection.")
    url: str = Field(
        min_length=1,
        description="SQLAlchemy URL without a password: `postgresql+psycopg://kgce@10.0.0.9/mes`; "
        "`sqlite:///mes.db` is relative to plant.yaml.",
    )
    password_file: Path | None = Field(
        None, description="File that holds the password; relative to plant.yaml."
    )
    password_env: str | None = Field(
        None, min_length=1, description="Environment variable that holds the password."
    )
    holds: Literal["production", "statements", "readings"] = Field(
        "production", description="What the rows are."
    )
    query: str = Field(
        min_length=1,
        description="One SELECT. Its parameter `:since`, if it has one, is the start of the time "
        "that is read again.",
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Column of the entry (`product_id`, `start`, `end`, `date`, `shift`, "
        "`qualified_quantity`, ...; of readings `meter`, `time`, `value`) to the query's column; "
        "default the same name.",
    )
    look_back_days: float = Field(
        3.0,
        ge=0,
        le=400,
        description="How far `:since` lies before the last answer that was taken: production is "
        "often corrected afterwards.",
    )
    first_day: date | None = Field(
        None, description="`:since` of the very first query; default 1990-01-01."
    )
    every_s: float = Field(3600.0, ge=1, le=86400, description="How often the daemon asks.")
    timeout_s: float = Field(30.0, gt=0, le=600, description="Longest time for one query.")
    max_rows: int = Field(1_000_000, ge=1, description="More rows than this are refused.")
    partial: bool = Field(False, description="Take the good rows of an answer with bad ones.")

    @model_validator(mode="after")
    def _as_it_may_be(self) -> SqlDatabase:
        """Checked here, not by field: a message about a field shows its value."""
        try:
            parts = urlsplit(self.url)
            secret = parts.password is not None or any(
                key.lower() in ("password", "passwd", "pwd") for key in parse_qs(parts.query)
            )
        except ValueError as error:
            raise ValueError("url: no URL that can be read") from error
        if not parts.scheme or "://" not in self.url:
            raise ValueError("url: no URL; allowed: such as postgresql+psycopg://kgce@10.0.0.9/mes")
        if secret:
            raise ValueError("url: it holds a password; allowed: password_file, or password_env")
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("password_file and password_env; allowed: one of the two")
        if (problem := query_problem(self.query)) is not None:
            raise ValueError(f"query: {problem}; allowed: {ALLOWED}")
        if strange := sorted(query_parameters(self.query) - {"since"}):
            raise ValueError(f"query: parameter :{strange[0]}; allowed: :since")
        return self

    @property
    def peer(self) -> str:
        return self.url


class Files(Model):
    """Readings that come by `kgce import`, not by a poll."""

    type: Literal["files"] = Field(description="Kind of connection.")

    @property
    def peer(self) -> str:
        return "kgce import"


Connection = Annotated[
    ModbusTcp | ModbusRtu | Dlt645 | Mqtt | OpcUa | Folder | SqlDatabase | Files,
    Field(discriminator="type"),
]
Modbus = ModbusTcp | ModbusRtu
POLLED = (ModbusTcp, ModbusRtu, Dlt645)  # every tick has an outcome


def file_settings(connection: Any) -> dict[tuple[str, ...], Path]:
    """The files that a connection's settings name, by key path."""
    named: dict[tuple[str, ...], Path] = {}
    for key in ("password_file", "cert_file", "key_file", "server_cert_file"):
        if (path := getattr(connection, key, None)) is not None:
            named[key,] = path
    tls = getattr(connection, "tls", None)
    for key in ("ca_file", "cert_file", "key_file"):
        if tls is not None and (path := getattr(tls, key)) is not None:
            named["tls", key] = path
    return named
