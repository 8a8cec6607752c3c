"""The settings: whether they can be read, and whether `.env` says what it means."""

import stat
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from runner.core.health import Finding
from runner.errors import SettingsError
from runner.service.doctor.findings import problem, warning
from runner.settings import Settings, load_settings, read_env_file, read_environment

SUBJECT = "settings"
_SECRET_WORDS = ("PASSWORD", "TOKEN", "SECRET", "KEY")


class _Asked(Mapping[str, str]):
    """An environment that notes what it is asked for: the settings there are."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read_settings(folder: Path) -> tuple[Settings | None, Finding]:
    """The settings of a folder, None where they cannot be read."""
    try:
        environ = _Asked(read_environment(folder))
        settings = load_settings(environ, folder=folder)
    except SettingsError as error:
        return None, problem(SUBJECT, error.message, error.hint)
    env_file = folder / ".env"
    if not env_file.is_file():
        return settings, Finding(subject=SUBJECT, message=f"from the environment; there is no .env in {folder}")
    return settings, _check_env_file(env_file, environ.names)


def _check_env_file(env_file: Path, known: set[str]) -> Finding:
    given = read_env_file(env_file)
    for name in given:
        near = get_close_matches(name, known, n=1, cutoff=0.85) if name not in known else []
        if near:
            return warning(
                SUBJECT,
                f"{env_file} sets {name}, which is no setting",
                f"Did you mean {near[0]}? As it is, the default holds.",
            )
    secret = next(
        (name for name, value in given.items() if value and any(word in name.upper() for word in _SECRET_WORDS)),
        "",
    )
    if secret and stat.S_IMODE(env_file.stat().st_mode) & stat.S_IROTH:
        return warning(
            SUBJECT,
            f"{env_file} holds {secret} and can be read by every user of this machine",
            f"chmod 600 {env_file}",
        )
    return Finding(subject=SUBJECT, message=f"from the environment and {env_file}")
