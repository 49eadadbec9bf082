"""Where things lie and what they run on: the one reader of the environment (`ITRP_…`)."""

import os
import re
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.errors import SettingsError, StoreError
from infra.object_store.addresses import BucketAddress, parse_store_url

PREFIX = "ITRP_"
OTHERS_SECRETS = (
    "PREFECT_API_AUTH_STRING", "PREFECT_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY",
    "HF_TOKEN",
)  # fmt: skip
"""Variables of the libraries we use whose values must not stand in a log either (user:password: neither must the password)."""

SHORTEST_SECRET = 32
"""Characters of a secret that signs what browsers keep."""


class Settings(BaseSettings):
    """The settings of one process. What is not set lies in `work_dir`; an empty variable is not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    work_dir: Path = Field(default_factory=lambda: Path("~/.itrp"), validate_default=True)
    """Absolute. Caches, and everything that is not set elsewhere."""
    object_store_url: str = Field(default_factory=lambda known: (known["work_dir"] / "objects").as_uri())
    """file:///folder or s3://bucket?endpoint=http://host:port"""
    object_store_access_key: SecretStr | None = None
    object_store_secret_key: SecretStr | None = None
    catalog_url: str = Field(default_factory=lambda known: f"sqlite:///{known['work_dir']}/catalog.db", repr=False)
    """An SQLAlchemy URL of SQLite or PostgreSQL; may hold a password."""
    mlflow_uri: str = Field(default_factory=lambda known: f"sqlite:///{known['work_dir']}/mlflow.db", repr=False)
    """MLflow's tracking URI; may hold a password."""
    mlflow_page_url: str | None = None
    """Where people open MLflow's pages, if it is another address than the one the flows use."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Literal["auto", "fp32", "bf16", "openvino", "int8"] = "auto"
    """What scoring computes in; auto is bf16 where that is quicker on the processor. Whatever it is, the models' labels have
    to stay what they are on example pairs."""
    backfill: bool = True
    """Scoring also labels what a new pair of champions finds labelled by older pairs only; false: only when asked to."""
    compiled: bool = False
    """Training steps of a fine-tuned encoder by torch.compile, on a GPU one replayed graph: minutes once, then quicker steps."""
    webhook_secret: SecretStr | None = None
    """What MLflow signs its webhooks with; shared by `itrp deploy` and `itrp bridge`."""
    bridge_url: str | None = None
    """Where MLflow reaches `itrp bridge`, such as http://bridge:4300; without it the registry is only polled."""
    notify_url: SecretStr | None = None
    """Whom Prefect's automations notify: any Apprise URL."""
    quarantine_alert: int = Field(default=100, ge=1, le=2**31 - 1)
    """Tweets quarantined by one run from which somebody is notified."""
    scoring_pool: str = Field(default="cpu", pattern=r"[A-Za-z0-9_-]{1,64}")
    """The work pool of score-tweets: `cpu`, or one of its own, whose workers need no right to change a model."""
    review_secret: SecretStr | None = None
    """Signs the sessions and forms of `itrp review`. With it the page asks for a name and a password; without, it is for one
    person on this machine."""
    review_url: str | None = None
    """Where people open the review page, such as https://review.example.org; it answers under no other name."""
    review_people: int = Field(default=2, ge=1, le=100)
    """How many people label a tweet of a queue: two or more, and their agreement can be measured."""
    review_password: SecretStr | None = None
    """What `itrp review add-person` takes as the password, in place of asking for it."""

    @property
    def cache_dir(self) -> Path:
        """Embeddings and downloads: may be deleted at any time."""
        return self.work_dir / "cache"

    @property
    def mlflow_pages(self) -> str | None:
        """The address links to MLflow begin with; None where it has no pages, because it is a database in a folder."""
        found = self.mlflow_page_url or (self.mlflow_uri if self.mlflow_uri.startswith("http") else None)
        return found.rstrip("/") if found else None

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every value that must not stand in a log."""
        held = (
            *(self.object_store_access_key, self.object_store_secret_key, self.webhook_secret, self.notify_url),
            *(self.review_secret, self.review_password),
        )
        return (
            *[secret.get_secret_value() for secret in held if secret],
            *_passwords(self.catalog_url),
            *_passwords(self.mlflow_uri),
            *_secrets_of_others(),
        )

    @field_validator("work_dir")
    @classmethod
    def _make_absolute(cls, value: Path) -> Path:
        if re.search(r"[?#%]", str(value)):
            raise ValueError("expected a folder whose name holds none of ? # %, which mean something in a URL")
        try:
            return value.expanduser().absolute()
        except RuntimeError:
            raise ValueError("expected a folder, found a home directory (~) that is not known") from None

    @field_validator("object_store_url")
    @classmethod
    def _check_store_url(cls, value: str) -> str:
        try:
            parse_store_url(value)
        except StoreError as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("catalog_url")
    @classmethod
    def _check_catalog_url(cls, value: str) -> str:
        if not re.match(r"(sqlite:///|postgresql(\+psycopg)?://)", value):
            raise ValueError(f"expected sqlite:////folder/file.db or postgresql://…, found {_name_scheme(value)}")
        return _check_address(value)

    @field_validator("mlflow_uri")
    @classmethod
    def _check_mlflow_uri(cls, value: str) -> str:
        if not re.match(r"(sqlite:///|postgresql(\+\w+)?://|https?://)", value):
            raise ValueError(f"expected http://host:port or sqlite:////folder/file.db, found {_name_scheme(value)}")
        return _check_address(value)

    @field_validator("mlflow_page_url", "bridge_url", "review_url")
    @classmethod
    def _check_page_url(cls, value: str | None) -> str | None:
        if value is not None and not re.match(r"https?://", value):
            raise ValueError(f"expected http://host:port, found {_name_scheme(value)}")
        return value and _check_address(value)

    @field_validator("review_secret")
    @classmethod
    def _check_review_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(
                f"expected {SHORTEST_SECRET} characters or more, found fewer: openssl rand -hex 24 makes some"
            )
        return value

    @field_validator("notify_url")
    @classmethod
    def _check_notify_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not re.match(r"[A-Za-z][\w+.-]*://\S", value.get_secret_value()):
            raise ValueError("expected an Apprise URL such as mailto://… or slack://…, found no URL")
        return value

    @field_validator("device")
    @classmethod
    def _check_device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:[0-9]{1,3})?", value):
            raise ValueError(f"expected auto, cpu, cuda or cuda:N, found {value[:40]!r}")
        return value

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if isinstance(parse_store_url(self.object_store_url), BucketAddress):
            for name in ("object_store_access_key", "object_store_secret_key"):
                if not getattr(self, name):
                    raise ValueError(f"{PREFIX}{name.upper()}: expected a key for the S3 server, found none: set it")
        return self


def _name_scheme(value: str) -> str:
    """What may be said of a wrong URL: the rest can be a password."""
    return value.partition("://")[0][:40] if "://" in value else "no URL"


def _check_address(value: str) -> str:
    """The URL itself where it can be one. Raises ValueError without the URL, which can hold a password.

    A database's is left to its driver: its password may hold what ends a host elsewhere.
    """
    if not value.isprintable():
        raise ValueError("expected printable characters, found others")
    try:
        parts = urlsplit(value)
        if value.startswith("http") and (not parts.hostname or parts.port == 0):
            raise ValueError
    except ValueError:
        raise ValueError("expected a host, and a port from 1 to 65535 if any, found others") from None
    return value


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment; arguments that are not None come first.

    Raises SettingsError, one line that names the variable.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(error))) from None


def find_unknown_variables() -> list[str]:
    """Variables with our prefix that are no setting of ours: most likely misspelt, and without any effect."""
    known = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)


def _explain(error: ValidationError) -> list[str]:
    """One sentence a wrong setting. Never the value pydantic saw: it can be a secret."""
    sentences = []
    for problem in error.errors(include_url=False, include_input=False):
        if problem["type"] == "default_factory_not_called":
            continue  # the default of a setting that depends on a wrong one
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "extra_forbidden":
            message = f"no such setting; there are {', '.join(Settings.model_fields)}"
        name = f"{PREFIX}{str(problem['loc'][0]).upper()}: " if problem["loc"] else ""
        sentences.append(name + " ".join(message.split()))
    return sentences


def _secrets_of_others() -> list[str]:
    """What Prefect, MLflow and the hub's clients read from the environment by themselves."""
    found = [os.environ[name] for name in OTHERS_SECRETS if os.environ.get(name)]
    return [*found, *(each.partition(":")[2] for each in found if ":" in each)]


def _passwords(url: str) -> list[str]:
    """The password of a URL as written and as meant; none when there is none."""
    password = urlsplit(url).password
    return sorted({password, unquote(password)}) if password else []
