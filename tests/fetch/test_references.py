import base64
import json
import os
import threading
from urllib.parse import quote

import pytest

from runner.errors import FetchError
from runner.fetch.references import References

FACTS = {"job_name": "sales", "scheduled_date": "2025-11-09"}


def test_resolves_environment_file_and_run(tmp_path):
    token = tmp_path / "token"
    token.write_text("from-a-file\n")
    references = References({"USER_NAME": "anna"}, FACTS)
    text = f"${{env:USER_NAME}}/${{file:{token}}}/${{run:scheduled_date}}"
    assert references.resolve(text, "data_source.location") == "anna/from-a-file/2025-11-09"


def test_values_of_environment_and_files_are_secret_and_facts_are_not(tmp_path):
    references = References({"TOKEN": "s3cret-value"}, FACTS)
    references.resolve("${env:TOKEN} ${run:scheduled_date}", "x")
    assert references.mask("s3cret-value of 2025-11-09") == "*** of 2025-11-09"


@pytest.mark.parametrize(("environ", "word"), [({}, "not set"), ({"TOKEN": ""}, "empty")])
def test_a_missing_variable_is_named_with_its_place(environ, word):
    with pytest.raises(FetchError) as caught:
        References(environ, FACTS).resolve("${env:TOKEN}", "data_source.headers.X-Api-Key")
    assert caught.value.message == f"${{env:TOKEN}} in data_source.headers.X-Api-Key: the variable TOKEN is {word}"
    assert "Set TOKEN in the environment of the service, or in .env" in caught.value.hint


def test_files_that_hold_no_value(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "large").write_bytes(b"x" * 65537)
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "empty").write_text("\n")
    faults = {
        "absent": "No such file",
        "fifo": "no regular file",
        "large": "64 KiB",
        "latin": "UTF-8",
        "empty": "empty",
        "a\0b": "no path",
    }
    for name, word in faults.items():
        with pytest.raises(FetchError, match=word):
            References({}, FACTS).resolve(f"${{file:{tmp_path}/{name}}}", "data_source.auth.token")


def test_a_pipe_that_is_open_already_holds_no_value():
    reading, writing = os.pipe()
    try:
        with pytest.raises(FetchError, match="no regular file"):
            References({}, FACTS).resolve(f"${{file:/dev/fd/{reading}}}", "data_source.auth.token")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_value_cannot_break_out_of_its_json_string():
    references = References({"TOKEN": 'a", "admin": "yes'}, FACTS)
    text = references.resolve_json('{"token": "${env:TOKEN}", "days": ["${run:scheduled_date}", 3, null]}', "body")
    assert json.loads(text) == {"token": 'a", "admin": "yes', "days": ["2025-11-09", 3, None]}


def test_secrets_are_masked_in_the_forms_they_travel_in():
    secret = 'p/ä "w&rd'
    references = References({"PW": secret}, FACTS)
    references.resolve("${env:PW}", "x")
    forms = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote(secret, safe="").lower(),
        json.dumps(secret),
        base64.b64encode(secret.encode()).decode(),
        "p/ä &quot;w&amp;rd",
        ascii(secret)[1:-1],
    ]
    for form in forms:
        assert "rd" not in references.mask(form), form
        assert "***" in references.mask(form)


@pytest.mark.parametrize("secret", ["A=pass\0B=word", "pass\nword", "pass\x1b'\\word", "pass\u200bword"])
def test_a_secret_is_masked_as_python_shows_it(secret):
    references = References({"PW": secret}, FACTS)
    references.resolve("${env:PW}", "x")
    assert references.mask(f"{'data/' + secret!r} is no path") in {
        "'data/***' is no path",
        '"data/***" is no path',
    }


@pytest.mark.parametrize("place", [".env", ".git/config", "link", "/proc/self/environ"])
def test_a_file_of_many_secrets_is_no_value(tmp_path, place):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("pass")
    (tmp_path / ".env").write_text("A=pass")
    (tmp_path / "link").symlink_to("/proc/self/environ")
    path = place if place.startswith("/") else f"{tmp_path}/{place}"
    with pytest.raises(FetchError, match="holds more secrets than one"):
        References({}, FACTS).resolve(f"${{file:{path}}}", "data_source.body.x")


@pytest.mark.parametrize("place", ["data/runs/01k9m/result.csv", "data/mail/a.eml", "link"])
def test_what_the_runner_keeps_of_runs_and_mails_is_no_value(tmp_path, place):
    for kept in ("data/runs/01k9m/result.csv", "data/mail/a.eml", "data/runner.lock"):
        (tmp_path / kept).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / kept).write_text("salary\n100200\n")
    (tmp_path / "link").symlink_to("data/mail/a.eml")
    with pytest.raises(FetchError, match=r"in data_source\.body\.x belongs to the runner itself"):
        References({}, FACTS).resolve(f"${{file:{tmp_path}/{place}}}", "data_source.body.x")


def test_half_a_secret_at_a_cut_end_is_masked():
    references = References({"TOKEN": "0123456789abcdef"}, FACTS)
    references.resolve("${env:TOKEN}", "x")
    assert references.mask_cut("the token is 0123456789ab") == "the token is ***"
    assert references.mask_cut("the token is 012") == "the token is 012"


def test_a_reference_of_no_known_kind_is_told():
    with pytest.raises(FetchError, match=r"data_source.location: \$\{vault:x\} is no reference"):
        References({}, FACTS).resolve("${vault:x}", "data_source.location")


@pytest.mark.long
def test_a_file_that_gives_no_answer_holds_up_no_run(mount):
    (mount.path / "token").write_text("abc")
    place = f"${{file:{mount.path}/token}}"
    mount.goes()
    threads = threading.active_count()
    for _ in range(3):
        with pytest.raises(FetchError) as caught:
            References({}, FACTS).resolve(place, "data_source.auth.token")
    assert threading.active_count() == threads + 1, "one waits for all runs"
    assert caught.value.message == (
        f"where {place} in data_source.auth.token lies gives no answer: it was waited for 0.3 s"
    )
    assert "network mount" in caught.value.hint
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(FetchError, match="cancelled"):
        References({}, FACTS, cancelled).resolve(place, "data_source.auth.token")
    mount.comes_back()
    assert References({}, FACTS).resolve(place, "data_source.auth.token") == "abc"
