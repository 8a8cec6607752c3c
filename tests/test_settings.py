import dataclasses
import re
from pathlib import Path

import pytest

from runner.core.references import OWN_SECRETS
from runner.errors import SettingsError
from runner.settings import Secret, load_settings, read_env_file, read_environment
from runner.shipped import shipped_path


def test_defaults_are_those_that_users_know(tmp_path):
    settings = load_settings({}, folder=tmp_path)
    assert settings.smtp.port == 587
    assert settings.smtp.use_tls is True
    assert settings.storage_path == tmp_path / "data" / "runner.db"
    assert (settings.log.level, settings.log.file) == ("INFO", None)
    assert (settings.script_timeout, settings.api_fetch_timeout) == (300, 30)
    assert (settings.status.host, settings.status.port) == ("127.0.0.1", 8000)
    assert settings.sandbox == "strict"
    assert settings.project_dir == tmp_path


def test_a_job_may_name_none_of_the_settings_that_are_secrets(tmp_path):
    settings = load_settings({name: f"the value of {name}" for name in OWN_SECRETS}, folder=tmp_path)
    parts = [getattr(settings, part.name) for part in dataclasses.fields(settings)]
    inner = [
        getattr(part, one.name)
        for part in parts
        if dataclasses.is_dataclass(part)
        for one in dataclasses.fields(part)
    ]
    secrets = [value for value in (*parts, *inner) if isinstance(value, Secret)]
    assert sorted(secret.reveal() for secret in secrets) == [f"the value of {name}" for name in OWN_SECRETS]


def test_relative_paths_are_those_of_the_folder(tmp_path):
    settings = load_settings({"JOBS_DIR": "../other/jobs", "LOG_FILE": "logs/a.log"}, folder=tmp_path / "here")
    assert settings.jobs_dir == tmp_path / "other" / "jobs"
    assert settings.log.file == tmp_path / "here" / "logs" / "a.log"


@pytest.mark.parametrize("environ", [{}, {"JOB_STORAGE_PATH": "\udce9tat/runner.db"}], ids=["default", "set"])
def test_a_state_folder_in_another_encoding_is_refused(tmp_path, environ):
    folder = tmp_path if environ else tmp_path / "\udce9t\udce9"
    with pytest.raises(SettingsError, match=r"^JOB_STORAGE_PATH=/.*\ufffdt.*/runner\.db is not UTF-8") as refused:
        load_settings(environ, folder=folder)
    assert "set JOB_STORAGE_PATH to a file elsewhere" in refused.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMTP_PORT", "70000"),
        ("SMTP_PORT", "many"),
        ("SMTP_USE_TLS", "perhaps"),
        ("SCRIPT_TIMEOUT", "0"),
        ("API_FETCH_TIMEOUT", "nan"),
        ("SCRIPT_TIMEOUT", "5m"),
        ("LOG_LEVEL", "LOUD"),
        ("SANDBOX", "please"),
        ("TIMEZONE", "Europe/Berlin2"),
        ("TIMEZONE", "../etc/passwd"),
        ("MAX_CONCURRENT_RUNS", "0"),
    ],
)
def test_a_bad_value_is_refused_by_name_with_a_remedy(tmp_path, name, value):
    with pytest.raises(SettingsError) as refused:
        load_settings({name: value}, folder=tmp_path)
    assert name in refused.value.message
    assert refused.value.hint
    assert ".0" not in refused.value.hint


def test_env_file_is_below_the_environment(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("SMTP_HOST=from-file\nSMTP_PORT=2525\n")
    monkeypatch.setenv("SMTP_PORT", "26")
    environ = read_environment(tmp_path)
    assert (environ["SMTP_HOST"], environ["SMTP_PORT"]) == ("from-file", "26")


@pytest.mark.parametrize(
    "line",
    [
        "SMTP_HOST: mail.example.com",
        "SMTP_HOST mail.example.com",
        'SMTP_PASSWORD="hunter22',
        "SMTP_PASSWORD='it's hunter22'",
    ],
)
def test_a_line_of_the_env_file_that_is_no_setting_is_named_and_not_shown(tmp_path, line):
    (tmp_path / ".env").write_text(f"# Mail\n\nLOG_LEVEL=INFO\n{line}\n")
    with pytest.raises(SettingsError) as refused:
        read_environment(tmp_path)
    assert refused.value.message == f"line 4 of {tmp_path / '.env'} cannot be understood"
    assert "hunter22" not in refused.value.message + refused.value.hint


def test_an_env_file_may_have_quotes_comments_a_mark_and_dos_line_ends(tmp_path, monkeypatch):
    for name in ("SMTP_HOST", "SMTP_USER", "SMTP_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    lines = (
        "export SMTP_HOST = 'mail.example.com' # ours",
        'SMTP_USER="a b#c"',
        r"SMTP_PASSWORD='it\'s ${x}'",
        "#",
    )
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    environ = read_environment(tmp_path)
    assert environ["SMTP_HOST"] == "mail.example.com"
    assert environ["SMTP_USER"] == "a b#c"
    assert environ["SMTP_PASSWORD"] == "it's ${x}"


@pytest.mark.parametrize("kind", ["a folder", "a link to nothing", "UTF-16"])
def test_an_env_file_that_cannot_be_one_is_refused_with_a_remedy(tmp_path, kind):
    env_file = tmp_path / ".env"
    if kind == "a folder":
        env_file.mkdir()
    elif kind == "a link to nothing":
        env_file.symlink_to("gone")
    else:
        env_file.write_text("SMTP_HOST=mail.example.com\n", encoding="utf-16")
    with pytest.raises(SettingsError) as refused:
        read_environment(tmp_path)
    assert re.search("leads to no file|is not UTF-8", refused.value.message)
    assert refused.value.hint


def test_an_env_file_that_is_hidden_sets_nothing(tmp_path):
    """As `docker run -v /dev/null:/app/.env`."""
    (tmp_path / ".env").symlink_to("/dev/null")
    assert read_env_file(tmp_path / ".env") == {}


def test_an_env_file_that_cannot_be_looked_for_is_an_error_of_settings(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"file/\.env cannot be read: Not a directory$"):
        read_environment(tmp_path / "file")


def test_a_secret_never_shows_itself(tmp_path):
    settings = load_settings({"SMTP_PASSWORD": "hunter22", "STATUS_TOKEN": "token-1"}, folder=tmp_path)
    assert settings.smtp.password.reveal() == "hunter22"
    assert settings.smtp.password == Secret("hunter22")
    assert "hunter22" not in repr(settings)
    assert "hunter22" not in f"{settings.smtp.password}"
    assert "token-1" not in str(dataclasses.asdict(settings))


def test_env_example_names_every_setting_and_only_those():
    example = shipped_path(".env.example").read_text()
    named = set(re.findall(r"(?m)^([A-Z_]+)=", example))
    source = Path(load_settings.__code__.co_filename).read_text()
    read = set(re.findall(r'read\.\w+\(\s*"([A-Z_]+)"', source))
    assert named == read


def test_env_example_as_it_stands_is_the_defaults(tmp_path):
    example = read_env_file(shipped_path(".env.example"))
    assert load_settings(example, folder=tmp_path) == load_settings({}, folder=tmp_path)


def test_env_file_is_taken_as_it_stands(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("SMTP_PASSWORD=pa${HOME}x\n")
    monkeypatch.delenv("SMTP_PASSWORD", raising=False)
    assert read_environment(tmp_path)["SMTP_PASSWORD"] == "pa${HOME}x"


@pytest.mark.parametrize(
    "sender",
    [
        "reports@example.com",
        "runner@localhost",
        "o'neil+x@mail.example.co.uk",
        "berichte@bücher.example",
        "Reports <reports@example.com>",
        '"Reports, Inc." <reports@example.com>',
        "Bücher <reports@example.com>",
    ],
)
def test_a_sender_is_an_address_with_or_without_a_name(tmp_path, sender):
    assert load_settings({"SMTP_FROM_EMAIL": sender}, folder=tmp_path).smtp.from_email == sender


@pytest.mark.parametrize(
    "sender",
    [
        "x@",
        "@example.com",
        '"',
        "Reports",
        "Reports reports@example.com",
        "a@example.com, b@example.com",
        "Reports, Inc <reports@example.com>",
        "Reports <reports>",
        "Reports <reports@example.com> x",
        "Reports\nBcc: x@example.com <reports@example.com>",
        "a b@example.com",
        "a..b@example.com",
        "a@example..com",
        "jürgen@example.com",
        "Jürgen <jürgen@example.com>",
    ],
)
def test_what_is_no_sender_is_refused_by_name(tmp_path, sender):
    with pytest.raises(SettingsError, match="SMTP_FROM_EMAIL") as refused:
        load_settings({"SMTP_FROM_EMAIL": sender}, folder=tmp_path)
    assert "SMTP_FROM_EMAIL=" in refused.value.hint


@pytest.mark.parametrize(
    ("login", "sender"),
    [("reports@example.com", "reports@example.com"), ("apikey", "runner@localhost"), ("", "runner@localhost")],
)
def test_the_login_is_the_sender_only_where_it_is_an_address(tmp_path, login, sender):
    assert load_settings({"SMTP_USER": login}, folder=tmp_path).smtp.from_email == sender


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:81"),
        ("::", "http://127.0.0.1:81"),
        ("::1", "http://[::1]:81"),
        ("a.example", "http://a.example:81"),
    ],
)
def test_this_machine_finds_the_page_wherever_it_listens(tmp_path, host, url):
    assert load_settings({"STATUS_HOST": host}, folder=tmp_path).status.url_at(81) == url
