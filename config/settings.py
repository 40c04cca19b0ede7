"""With what: every variable, read once from the environment, checked at start, all complaints in one go.

`load()` is for processes: it says on one screen what is wrong and ends with exit code 2.
"""

import base64
import ipaddress
import re
import sys
from enum import StrEnum
from typing import Annotated, Any, Literal, NoReturn, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from config.hook import find
from payconfirm.addresses import BROKERS, RESULTS, check_address, read_parts

#: A dead worker's receipt moves again within 20 s; a longer lease would break that.
LONGEST_LEASE_SECONDS = 19.0

#: A payment that nobody approved for a month is none any more.
LONGEST_DEADLINE_SECONDS = 30 * 24 * 3600

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Role(StrEnum):
    """What a process is, and so what it can't do without."""

    #: Calls the gateway, and changes rows.
    WORKER = "worker"
    #: Asks the gateway, and changes nothing.
    AUDIT = "audit"
    #: Sends callbacks.
    CALLBACKS = "callbacks"
    #: Answers HTTP.
    WEB = "web"
    #: None of these: the relay, migrations, the command line.
    OTHER = "other"


class SettingsError(Exception):
    """The environment can't be used; the message names every variable that is wrong, and no value of a secret."""


class Settings(BaseSettings):
    """Everything a process is told from outside. Times are in seconds."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, hide_input_in_errors=True, extra="ignore")

    #: Not a variable: which process asks, always given by the code.
    role: Role

    database_url: SecretStr
    redis_url: SecretStr
    broker_url: SecretStr | None = None
    events_url: SecretStr | None = None

    #: How long the database may work on one statement, and wait for a lock. A lease has room for one statement.
    statement_seconds: Positive = 4.0
    lock_seconds: Positive = 2.0
    lookup_lease_seconds: Positive = 10.0
    submit_lease_seconds: Positive = 18.0
    lookup_seconds: Positive = 5.0
    submit_seconds: Positive = 12.0
    confirm_deadline_seconds: Annotated[Positive, Field(le=LONGEST_DEADLINE_SECONDS)] = 600.0

    bootpay_api: Literal["v1", "v2"] = "v2"
    bootpay_url: str = "https://api.bootpay.co.kr"
    bootpay_application_id: str = ""
    bootpay_private_key: SecretStr = SecretStr("")
    bootpay_client_key: str = ""
    bootpay_secret_key: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")

    #: Calls a second, all workers together; 0: no limit.
    gateway_rate: Rate = 0.0

    #: The shop's own part in our commits: module:object.
    order_hook: str = ""

    worker_concurrency: Annotated[int, Field(ge=1, le=512)] = 32

    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535)] = 8000
    api_keys: Annotated[SecretStr | None, Field(validate_default=True)] = None
    operator_keys: SecretStr | None = None
    post_rate: Rate = 100.0
    callback_allowed_hosts: str = ""
    callback_secret: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")
    #: Networks that the gateway's webhooks may come from, separated by spaces; empty: any.
    webhook_sources: str = ""
    #: Networks of the proxies before `web`, whose X-Forwarded-For is believed; empty: nobody's is.
    trusted_proxies: str = ""

    log_format: Literal["json", "console"] = "json"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("database_url")
    @classmethod
    def _speak_psycopg2(cls, value: SecretStr) -> SecretStr:
        """However it is spelt: SQLAlchemy reads a plain postgresql:// as another driver."""
        scheme, separator, rest = value.get_secret_value().partition("://")
        if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
            raise ValueError("is an address such as postgresql://user:password@host:5432/shop")
        parts = read_parts(f"postgresql://{rest}")
        if not (parts.hostname or parts.path.strip("/") or parts.query):
            raise ValueError("names no database: postgresql://user:password@host:5432/shop")
        return SecretStr(f"postgresql+psycopg2://{rest}")

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, value: SecretStr) -> SecretStr:
        return SecretStr(check_address(value.get_secret_value(), RESULTS))

    @field_validator("broker_url", "events_url")
    @classmethod
    def _is_broker(cls, value: SecretStr | None) -> SecretStr | None:
        return value and SecretStr(check_address(value.get_secret_value(), BROKERS))

    @field_validator("lookup_lease_seconds", "submit_lease_seconds")
    @classmethod
    def _end_in_time(cls, value: float) -> float:
        if value > LONGEST_LEASE_SECONDS:
            raise ValueError(f"is at most {LONGEST_LEASE_SECONDS:g}: a dead worker's receipt moves again within 20 s")
        return value

    @field_validator("lookup_seconds", "submit_seconds")
    @classmethod
    def _fit_the_lease(cls, value: float, info: ValidationInfo) -> float:
        """A lease that ends during its call, or before the commit after it, would let a second worker in."""
        lease = info.data.get(str(info.field_name).replace("_seconds", "_lease_seconds"))
        statement = info.data.get("statement_seconds")
        if lease is not None and statement is not None and value > lease - statement:
            raise ValueError(
                f"leaves no room in its lease of {lease:g} s for the commit after it: at most {lease - statement:g}"
            )
        return value

    @field_validator("bootpay_url")
    @classmethod
    def _is_the_gateway(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
            raise ValueError("is an address such as https://api.bootpay.co.kr, without /v2")
        if parts.path.rstrip("/") == "/v2":
            raise ValueError("goes without /v2; BOOTPAY_API says which")
        return value.rstrip("/")

    @field_validator("bootpay_secret_key")
    @classmethod
    def _has_keys(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if info.data.get("role") not in (Role.WORKER, Role.AUDIT):
            return value
        basic = bool(value and info.data.get("bootpay_client_key"))
        token = bool(info.data.get("bootpay_application_id") and info.data.get("bootpay_private_key"))
        if missing := _missing_keys(info.data.get("bootpay_api"), basic=basic, token=token):
            raise ValueError(missing)
        return value

    @field_validator("order_hook")
    @classmethod
    def _is_there(cls, value: str, info: ValidationInfo) -> str:
        """Who needs no hook starts where it isn't installed."""
        if value and info.data.get("role") in (Role.WORKER, Role.WEB):
            find(value)
        return value

    @field_validator("api_keys", "operator_keys")
    @classmethod
    def _can_be_sent(cls, value: SecretStr | None) -> SecretStr | None:
        keys = "".join(value.get_secret_value().split()) if value else ""
        if not (keys.isascii() and keys.isprintable()):
            raise ValueError(
                "is a list of keys separated by spaces, of letters, digits and signs that a header may have"
            )
        return value

    @field_validator("api_keys")
    @classmethod
    def _needs_keys_outside(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        outside = not _is_loopback(info.data.get("web_host", "localhost"))
        if info.data.get("role") is Role.WEB and outside and not (value and value.get_secret_value().split()):
            raise ValueError("is needed unless WEB_HOST is a loopback address such as 127.0.0.1")
        return value

    @field_validator("operator_keys")
    @classmethod
    def _are_no_producers(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        producers = info.data.get("api_keys")
        if value and producers and set(value.get_secret_value().split()) & set(producers.get_secret_value().split()):
            raise ValueError("has a key of API_KEYS: its producer could void payments")
        return value

    @field_validator("callback_allowed_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for host in value.split():
            if not re.fullmatch(r"(\*\.)?[A-Za-z0-9_][A-Za-z0-9._-]*", host) and not _is_ipv6(host):
                raise ValueError(
                    "is a list of hosts without ports separated by spaces, such as shop.example *.shop.example"
                )
        return value

    @field_validator("webhook_sources", "trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for network in value.split():
            try:
                ipaddress.ip_network(network)
            except ValueError:
                raise ValueError(
                    "is a list of networks separated by spaces, such as 223.130.82.0/24 10.0.0.7"
                ) from None
        return value

    @field_validator("callback_secret")
    @classmethod
    def _are_signing_secrets(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        secrets = value.get_secret_value().split()
        if not all(map(_is_signing_secret, secrets)):
            raise ValueError("is whsec_ and the base64 of 24 to 64 bytes; several are separated by spaces")
        if info.data.get("role") is Role.CALLBACKS and info.data.get("callback_allowed_hosts") and not secrets:
            raise ValueError(
                "is needed where CALLBACK_ALLOWED_HOSTS names hosts: whsec_ and the base64 of 24 to 64 bytes"
            )
        return value

    @property
    def missing_gateway_keys(self) -> str | None:
        """What would have to be set before this process could call the gateway."""
        basic = bool(self.bootpay_client_key and self.bootpay_secret_key)
        token = bool(self.bootpay_application_id and self.bootpay_private_key)
        return _missing_keys(self.bootpay_api, basic=basic, token=token)

    @property
    def broker(self) -> str:
        """Where messages wait."""
        return (self.broker_url or self.redis_url).get_secret_value()

    @property
    def events(self) -> str:
        """Where events are published."""
        return self.events_url.get_secret_value() if self.events_url else self.broker

    @classmethod
    def read(cls, role: Role = Role.OTHER) -> Self:
        """Read the environment. Raises `SettingsError` that names all that is wrong."""
        given: dict[str, Any] = {"role": role}  # the rest comes from the environment
        try:
            return cls(**given)
        except ValidationError as error:
            lines = [f"  {_name(problem['loc'])}: {_say(problem)}" for problem in error.errors(include_input=False)]
            raise SettingsError("the environment can't be used:\n" + "\n".join(lines)) from None


def load(role: Role = Role.OTHER) -> Settings:
    """Read the environment, or end this process with what is wrong."""
    try:
        return Settings.read(role)
    except SettingsError as error:
        stop(str(error))


def stop(message: str) -> NoReturn:
    """End this process with one message on stderr and exit code 2."""
    sys.stderr.write(f"payconfirm: {message}\n")
    raise SystemExit(2)


def _missing_keys(api: str | None, *, basic: bool, token: bool) -> str | None:
    if api == "v1" and not token:
        return "v1 needs BOOTPAY_APPLICATION_ID and BOOTPAY_PRIVATE_KEY"
    if not basic and not token:
        return "set BOOTPAY_CLIENT_KEY and BOOTPAY_SECRET_KEY, or BOOTPAY_APPLICATION_ID and BOOTPAY_PRIVATE_KEY"
    return None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_ipv6(host: str) -> bool:
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        return ipaddress.IPv6Address(bare).scope_id is None
    except ValueError:
        return False


def _is_signing_secret(secret: str) -> bool:
    prefix, encoded = secret[:6], secret[6:]
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        return False
    return prefix == "whsec_" and 24 <= len(key) <= 64


def _name(location: tuple[int | str, ...]) -> str:
    return str(location[0]).upper() if location else "settings"


def _say(problem: Any) -> str:  # noqa: ANN401 — pydantic's own shape
    if problem["type"] == "missing":
        return "is missing"
    return str(problem["msg"]).removeprefix("Value error, ")
