"""The environment, and `.env`, as one frozen value."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from runner.errors import SettingsError
from runner.state_files import MAIL, RUNS

T = TypeVar("T")

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("text", "json")
SANDBOX_MODES = ("strict", "best-effort", "off")

DEFAULT_SENDER = "runner@localhost"
# A dot-atom on each side (RFC 5322). Letters of the domain may be of any language: only it has an ASCII form.
_ADDRESS = re.compile(r"(?a:[\w!#$%&'*+/=?^`{|}~-]+(\.[\w!#$%&'*+/=?^`{|}~-]+)*)@[\w-]+(\.[\w-]+)*")


class Secret:
    """A text that never shows itself: `repr` and `str` are masked, `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    __str__ = __repr__


@dataclass(frozen=True, kw_only=True, slots=True)
class SmtpSettings:
    """How mails leave. Without a host they are kept as files."""

    host: str = ""
    port: int = 587
    user: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    from_email: str = DEFAULT_SENDER
    use_tls: bool = True
    ca_file: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusSettings:
    """Where the read-only HTTP endpoint listens."""

    host: str = "127.0.0.1"
    port: int = 8000
    token: Secret = field(default_factory=lambda: Secret(""))

    def url_at(self, port: int) -> str:
        """Where this machine finds it when it listens at a port."""
        host = "127.0.0.1" if self.host in {"0.0.0.0", "::"} else self.host  # noqa: S104 - nothing is bound here
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LogSettings:
    """Where and how log lines are written."""

    level: str = "INFO"
    file: Path | None = None
    format: str = "text"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything the environment decides. Paths are absolute; times are seconds."""

    jobs_dir: Path
    storage_path: Path
    timezone: str = "UTC"
    script_timeout: float = 300.0
    api_fetch_timeout: float = 30.0
    max_concurrent_runs: int = 2
    run_retention_days: int = 90
    run_retention_count: int = 10_000
    sandbox: str = "strict"
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    status: StatusSettings = field(default_factory=StatusSettings)
    log: LogSettings = field(default_factory=LogSettings)

    @property
    def project_dir(self) -> Path:
        """The folder that holds `jobs.d`: relative locations are resolved against it."""
        return self.jobs_dir.parent

    @property
    def state_dir(self) -> Path:
        """The folder of the database, of kept mails and of run directories."""
        return self.storage_path.parent

    @property
    def mail_dir(self) -> Path:
        """Where mails are kept when no SMTP server is set."""
        return self.state_dir / MAIL

    @property
    def runs_dir(self) -> Path:
        """Where each run has its own folder."""
        return self.state_dir / RUNS


def read_environment(folder: Path) -> dict[str, str]:
    """The process environment, with `.env` of `folder` below it: what is set already wins.

    Raises:
        SettingsError: `.env` is there and cannot be read, or a line of it cannot be understood.
    """
    return {**read_env_file(folder / ".env"), **os.environ}


def read_env_file(path: Path) -> dict[str, str]:
    """What an `.env` sets; nothing where there is none. Taken as it stands: a password may hold `${`.

    Raises:
        SettingsError: as `read_environment`. The text of a line is not told: it may be a secret.
    """
    try:
        # Of the link itself: one to what is gone was meant to hold settings, as was a folder in the file's place.
        path.lstat()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, error) from error
    try:
        # The null device says that there is to be nothing, as where a container hides the file of the image.
        if not (path.is_file() or _is_null(path)):
            raise SettingsError(
                f"{path} leads to no file", hint="Put the file there, or remove what stands in its place."
            )
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(path, error) from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8", hint="Save it as UTF-8.") from error
    return _env_values(path, text)


def _is_null(path: Path) -> bool:
    # By its number: one that is mounted over a file is another node than that of /dev.
    return path.is_char_device() and path.stat().st_rdev == Path(os.devnull).stat().st_rdev


def _unreadable(path: Path, error: OSError) -> SettingsError:
    return SettingsError(
        f"{path} cannot be read: {error.strerror}", hint="Let the user of this process read it, and its folder."
    )


def _env_values(path: Path, text: str) -> dict[str, str]:
    from io import StringIO

    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:
            raise SettingsError(
                f"line {binding.original.line} of {path} cannot be understood",
                hint="Write NAME=value. A value in quotes ends with the same quote; one that is part of it has "
                "a \\ before it.",
            )
        if binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return values


def load_settings(environ: Mapping[str, str], *, folder: Path) -> Settings:
    """Settings from an environment; relative paths are those of `folder`. An empty value means the default.

    Raises:
        SettingsError: a value that cannot be used; the message names the setting and what it takes.
    """
    read = _Reader(environ, folder)
    return Settings(
        jobs_dir=read.path("JOBS_DIR", "jobs.d"),
        storage_path=read.utf8_path("JOB_STORAGE_PATH", "data/runner.db"),
        timezone=read.timezone("TIMEZONE", "UTC"),
        script_timeout=read.positive("SCRIPT_TIMEOUT", 300.0),
        api_fetch_timeout=read.positive("API_FETCH_TIMEOUT", 30.0),
        max_concurrent_runs=read.whole("MAX_CONCURRENT_RUNS", os.cpu_count() or 1, low=1, high=1024),
        run_retention_days=read.whole("RUN_RETENTION_DAYS", 90, low=1, high=36500),
        run_retention_count=read.whole("RUN_RETENTION_COUNT", 10_000, low=1, high=10_000_000),
        sandbox=read.choice("SANDBOX", "strict", SANDBOX_MODES),
        smtp=SmtpSettings(
            host=read.text("SMTP_HOST"),
            port=read.whole("SMTP_PORT", 587, low=1, high=65535),
            user=read.text("SMTP_USER"),
            password=Secret(read.text("SMTP_PASSWORD")),
            from_email=read.sender("SMTP_FROM_EMAIL", login=read.text("SMTP_USER")),
            use_tls=read.boolean("SMTP_USE_TLS", default=True),
            ca_file=read.optional_path("SMTP_CA_FILE"),
        ),
        status=StatusSettings(
            host=read.text("STATUS_HOST") or "127.0.0.1",
            port=read.whole("STATUS_PORT", 8000, low=0, high=65535),
            token=Secret(read.text("STATUS_TOKEN")),
        ),
        log=LogSettings(
            level=read.choice("LOG_LEVEL", "INFO", LOG_LEVELS),
            file=read.optional_path("LOG_FILE"),
            format=read.choice("LOG_FORMAT", "text", LOG_FORMATS),
        ),
    )


class _Reader:
    """Reads one setting at a time, and says which one is wrong."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ = environ
        self._folder = folder

    def text(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def sender(self, name: str, *, login: str) -> str:
        given = self.text(name)
        if not given:
            return login if _ADDRESS.fullmatch(login) else DEFAULT_SENDER
        if not _is_sender(given):
            raise SettingsError(
                f"{name}={given!r} is no mail address that every server takes",
                hint=f"Write {name}=reports@example.com or {name}=Reports <reports@example.com>.",
            )
        return given

    def path(self, name: str, default: str) -> Path:
        return Path(os.path.normpath(self._folder.absolute() / Path(self.text(name) or default).expanduser()))

    def utf8_path(self, name: str, default: str) -> Path:
        """One whose files are named in orders to other processes, and to DuckDB, which take no other."""
        path = self.path(name, default)
        written = os.fsencode(path)
        try:
            written.decode()
        except UnicodeDecodeError:
            raise SettingsError(
                f"{name}={written.decode(errors='replace')} is not UTF-8, as the path of each run must be",
                hint=f"Rename the folder, or set {name} to a file elsewhere.",
            ) from None
        return path

    def optional_path(self, name: str) -> Path | None:
        return self.path(name, "") if self.text(name) else None

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        given = self.text(name)
        if not given:
            return default
        for choice in choices:
            if given.lower() == choice.lower():
                return choice
        raise SettingsError(f"{name}={given!r} is not known", hint=f"Use one of: {', '.join(choices)}.")

    def boolean(self, name: str, *, default: bool) -> bool:
        given = self.text(name).lower()
        if not given:
            return default
        if given in {"true", "1", "yes", "on"}:
            return True
        if given in {"false", "0", "no", "off"}:
            return False
        raise SettingsError(
            f"{name}={given!r} is neither true nor false", hint=f"Write {name}=true or {name}=false."
        )

    def whole(self, name: str, default: int, *, low: int, high: int) -> int:
        value = self._number(name, default, int, "a whole number")
        if not low <= value <= high:
            raise SettingsError(f"{name}={value} is out of range", hint=f"Use {low} to {high}.")
        return value

    def positive(self, name: str, default: float) -> float:
        value = self._number(name, default, float, "a number of seconds")
        if not 0 < value <= 30 * 86400:
            raise SettingsError(
                f"{name}={value:g} is out of range", hint="Use more than 0 and at most 30 days, in seconds."
            )
        return value

    def timezone(self, name: str, default: str) -> str:
        given = self.text(name) or default
        try:
            ZoneInfo(given)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise SettingsError(
                f"{name}={given!r} is no time zone", hint="Use an IANA name such as Europe/Berlin, or UTC."
            ) from error
        return given

    def _number(self, name: str, default: T, convert: Callable[[str], T], what: str) -> T:
        given = self.text(name)
        if not given:
            return default
        try:
            return convert(given)
        except ValueError as error:
            raise SettingsError(
                f"{name}={given!r} is not {what}", hint=f"Write {name}={str(default).removesuffix('.0')}."
            ) from error


def _is_sender(text: str) -> bool:
    """Whether it is an address, or `Name <address>`, on one line."""
    if _ADDRESS.fullmatch(text):
        return True
    from email.utils import parseaddr

    address = parseaddr(text)[1]
    return text.isprintable() and text.endswith(f"<{address}>") and bool(_ADDRESS.fullmatch(address))
