"""Settings: the environment and `.env`, read once and passed in after that."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from dotenv import dotenv_values

from core.errors import ConfigurationError

EMBEDDERS = ("auto", "twelvelabs", "local")
MODELS = ("marengo3.5", "marengo3.0")
DIMENSIONS = {"marengo3.5": (512, 256, 128), "marengo3.0": (512,)}
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
LOG_FORMATS = ("text", "json")
SEGMENT_SEC = (2, 10)
# List prices of July 2026; that of marengo3.5 was not published yet and is taken to be the same.
PRICE_PER_MINUTE = {"marengo3.5": 0.042, "marengo3.0": 0.042}
PRICE_PER_1000_IMAGES = {"marengo3.5": 0.10, "marengo3.0": 0.10}
PRICE_PER_1000_TEXTS = {"marengo3.5": 0.07, "marengo3.0": 0.07}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set from outside. README documents each field by its variable."""

    embedder: str = "local"
    twelvelabs_api_key: str = field(default="", repr=False)
    twelvelabs_base_url: str = ""
    twelvelabs_model: str = "marengo3.5"
    twelvelabs_dimension: int = 512
    data_dir: Path = Path("data")
    # May have a login in it, as other addresses may.
    milvus_uri: str = field(default="", repr=False)
    milvus_token: str = field(default="", repr=False)
    milvus_database: str = ""
    # The certificate authority of a server with one of its own.
    milvus_ca_file: Path | None = None
    database_url: str = field(default="", repr=False)
    # Where videos are kept, as a folder or any address fsspec reads; empty: in `data_dir`.
    media_url: str = field(default="", repr=False)
    segment_sec: int = 4
    # Prices of the chosen model, in `currency`; budgets likewise, None for no limit.
    price_per_minute: float = PRICE_PER_MINUTE["marengo3.5"]
    price_per_1000_images: float = PRICE_PER_1000_IMAGES["marengo3.5"]
    price_per_1000_texts: float = PRICE_PER_1000_TEXTS["marengo3.5"]
    currency: str = "USD"
    budget_per_run: float | None = None
    budget_per_month: float | None = None
    # What the plan allows; the defaults are those of the smallest one.
    parallel_tasks: int = 5
    requests_per_minute: int = 25
    minutes_per_hour: int = 600
    keep_assets: bool = False
    # A folder on the server whose videos may be added from the page; none unless it is set.
    media_folder: Path | None = None
    allow_private_urls: bool = False
    # Who may do what, of those who logged in: addresses, or `*@example.com`.
    role_claim: str = ""
    admins: tuple[str, ...] = ()
    analysts: tuple[str, ...] = ()
    viewers: tuple[str, ...] = ()
    # Signs addresses of media; empty: one of its own in `data_dir`.
    secret: str = field(default="", repr=False)
    allowed_hosts: tuple[str, ...] = ()
    metrics_token: str = field(default="", repr=False)
    log_level: str = "INFO"
    log_format: str = "text"
    log_max_mb: int = 5
    log_files: int = 5

    def __post_init__(self) -> None:
        # Paths are made absolute once: two spellings of one file must never be opened twice.
        data_dir = _absolute(self.data_dir)
        object.__setattr__(self, "data_dir", data_dir)
        object.__setattr__(self, "milvus_uri", self.milvus_uri or str(data_dir / "milvus.db"))
        object.__setattr__(
            self, "database_url", self.database_url or _sqlite_url(data_dir / "seekpoint.db")
        )

    @property
    def on_servers(self) -> bool:
        """Whether vectors and records both lie on servers, so that several apps may share them."""
        return "://" in self.milvus_uri and not self.database_url.startswith("sqlite")

    def with_other_models(self) -> Iterator[Settings]:
        """The same with every embedder and model that these can use, also the present ones. Prices
        stay."""
        yield replace(self, embedder="local")
        for model in MODELS if self.twelvelabs_api_key else ():
            for dimension in DIMENSIONS[model]:
                yield replace(
                    self,
                    embedder="twelvelabs",
                    twelvelabs_model=model,
                    twelvelabs_dimension=dimension,
                )

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")
    ) -> Settings:
        """The settings of this environment; real variables win over those in `.env`.

        Raises:
            ConfigurationError: for a value that cannot work, naming the variable and what can.
        """
        values: dict[str, str] = {}
        if dotenv is not None:
            values.update(_read_dotenv(dotenv))
        values.update(os.environ if environ is None else environ)
        read = _Reader(values)

        api_key = read.text("TWELVELABS_API_KEY") or read.text("TWELVE_LABS_API_KEY")
        embedder = read.choice("SEEKPOINT_EMBEDDER", EMBEDDERS, "auto")
        if embedder == "auto":
            embedder = "twelvelabs" if api_key else "local"
        if embedder == "twelvelabs" and not api_key:
            raise ConfigurationError(
                "SEEKPOINT_EMBEDDER is twelvelabs, but there is no key.",
                "Set TWELVELABS_API_KEY, or set SEEKPOINT_EMBEDDER to auto or local.",
            )
        model = read.choice("TWELVELABS_MODEL", MODELS, MODELS[0])
        dimensions = DIMENSIONS[model]
        return cls(
            embedder=embedder,
            twelvelabs_api_key=api_key,
            twelvelabs_base_url=read.text("TWELVELABS_BASE_URL"),
            twelvelabs_model=model,
            twelvelabs_dimension=int(
                read.choice(
                    "TWELVELABS_DIMENSION", [str(d) for d in dimensions], str(dimensions[0])
                )
            ),
            data_dir=Path(read.text("SEEKPOINT_DATA_DIR") or "data"),
            milvus_uri=read.text("MILVUS_URI"),
            milvus_token=read.text("MILVUS_TOKEN"),
            milvus_database=read.text("MILVUS_DATABASE"),
            milvus_ca_file=read.file("MILVUS_CA_FILE"),
            database_url=read.text("DATABASE_URL"),
            media_url=read.text("SEEKPOINT_MEDIA_URL"),
            segment_sec=read.whole_number("SEEKPOINT_SEGMENT_SEC", *SEGMENT_SEC, default=4),
            price_per_minute=read.per_model("TWELVELABS_PRICE_PER_MINUTE", model, PRICE_PER_MINUTE),
            price_per_1000_images=read.per_model(
                "TWELVELABS_PRICE_PER_1000_IMAGES", model, PRICE_PER_1000_IMAGES
            ),
            price_per_1000_texts=read.per_model(
                "TWELVELABS_PRICE_PER_1000_TEXTS", model, PRICE_PER_1000_TEXTS
            ),
            currency=read.text("SEEKPOINT_CURRENCY") or "USD",
            budget_per_run=read.amount("SEEKPOINT_BUDGET_PER_RUN"),
            budget_per_month=read.amount("SEEKPOINT_BUDGET_PER_MONTH"),
            parallel_tasks=read.whole_number("TWELVELABS_PARALLEL_TASKS", 1, 100, default=5),
            requests_per_minute=read.whole_number(
                "TWELVELABS_REQUESTS_PER_MINUTE", 1, 100_000, default=25
            ),
            minutes_per_hour=read.whole_number(
                "TWELVELABS_MINUTES_PER_HOUR", 1, 1_000_000, default=600
            ),
            keep_assets=read.switch("TWELVELABS_KEEP_ASSETS"),
            media_folder=read.folder("SEEKPOINT_MEDIA_FOLDER"),
            allow_private_urls=read.switch("SEEKPOINT_ALLOW_PRIVATE_URLS"),
            role_claim=read.text("SEEKPOINT_ROLE_CLAIM"),
            admins=read.names("SEEKPOINT_ADMINS"),
            analysts=read.names("SEEKPOINT_ANALYSTS"),
            viewers=read.names("SEEKPOINT_VIEWERS"),
            secret=read.text("SEEKPOINT_SECRET"),
            allowed_hosts=read.names("SEEKPOINT_ALLOWED_HOSTS"),
            metrics_token=read.text("SEEKPOINT_METRICS_TOKEN"),
            log_level=read.choice("SEEKPOINT_LOG_LEVEL", LOG_LEVELS, "INFO"),
            log_format=read.choice("SEEKPOINT_LOG_FORMAT", LOG_FORMATS, "text"),
            log_max_mb=read.whole_number("SEEKPOINT_LOG_MAX_MB", 1, 10_000, default=5),
            log_files=read.whole_number("SEEKPOINT_LOG_FILES", 1, 1_000, default=5),
        )


def _absolute(data_dir: Path) -> Path:
    try:
        return data_dir.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(
            f"SEEKPOINT_DATA_DIR is {str(data_dir)!r}, which is no usable path.",
            "Choose a folder this user may write to.",
        ) from error


def _sqlite_url(path: Path) -> str:
    # In an address "?" begins the options and "%" an escape; in a path both are letters.
    return f"sqlite:///{quote(str(path), safe='/:')}"


def _read_dotenv(path: Path) -> dict[str, str]:
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The settings file {path} cannot be read.", "Save it as UTF-8 text, or remove it."
        ) from error


class _Reader:
    """Typed access to variables; every refusal names the variable and its legal values."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str) -> str:
        return self._values.get(name, "").strip()

    def choice(self, name: str, legal: tuple[str, ...] | list[str], default: str) -> str:
        given = self.text(name) or default
        for value in legal:
            if given.lower() == value.lower():
                return value
        raise self._refusal(name, given, ", ".join(legal))

    def switch(self, name: str) -> bool:
        return self.choice(name, ("0", "1", "false", "true", "no", "yes"), "0") in {
            "1",
            "true",
            "yes",
        }

    def whole_number(self, name: str, least: int, most: int, *, default: int) -> int:
        given = self.text(name) or str(default)
        if given.isdecimal() and least <= int(given) <= most:
            return int(given)
        raise self._refusal(name, given, f"whole numbers from {least} to {most}")

    def names(self, name: str) -> tuple[str, ...]:
        """What stands between commas, in small letters: nobody's address depends on them."""
        return tuple(part.strip().lower() for part in self.text(name).split(",") if part.strip())

    def amount(self, name: str) -> float | None:
        """A sum of money; None when nothing is given."""
        given = self.text(name)
        return self._number(name, given) if given else None

    def per_model(self, name: str, model: str, defaults: Mapping[str, float]) -> float:
        """The price for `model`: one number for every model, or `model=number, model=number`."""
        given = self.text(name)
        if not given:
            return defaults[model]
        if "=" not in given:
            return self._number(name, given)
        prices = dict(defaults)
        for entry in given.split(","):
            named, _, price = (part.strip() for part in entry.partition("="))
            if named not in prices:
                raise self._refusal(name, given, f"prices of {', '.join(defaults)}")
            prices[named] = self._number(name, price)
        return prices[model]

    def folder(self, name: str) -> Path | None:
        """A folder that is there; None when nothing is given."""
        given = self.text(name)
        if not given:
            return None
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise self._refusal(name, given, "a folder that exists")
        return folder.resolve()

    def file(self, name: str) -> Path | None:
        """A file that is there; None when nothing is given."""
        given = self.text(name)
        if not given:
            return None
        file = Path(given).expanduser()
        if not file.is_file():
            raise self._refusal(name, given, "a file that exists")
        return file.resolve()

    def _number(self, name: str, given: str) -> float:
        try:
            number = float(given)
        except ValueError:
            number = math.nan
        if not (math.isfinite(number) and number >= 0):
            raise self._refusal(name, given, "numbers from 0 up, like 12.50")
        return number

    @staticmethod
    def _refusal(name: str, given: str, legal: str) -> ConfigurationError:
        return ConfigurationError(f"{name} is {given!r}.", f"Legal values: {legal}.")
