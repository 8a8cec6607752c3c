import pytest

from runner.jobfiles.scalars import Refusal, resolve_plain


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("null", None), ("true", True), ("False", False), ("0", 0), ("-12", -12), ("+7", 7),
        ("0x1F", 31), ("1.5", 1.5), ("-0.25", -0.25), (".5", 0.5), ("1.5e+3", 1500.0), ("1.", 1.0),
        ("9223372036854775807", 9223372036854775807),
    ],
)  # fmt: skip
def test_the_core_schema(text, value):
    answer = resolve_plain(text)
    assert (answer, type(answer)) == (value, type(value))


@pytest.mark.parametrize(
    "text",
    [
        "0 9 * * *",
        "nullable",
        "truth",
        "a1",
        "-",
        "1.2.3",
        "127.0.0.1:80",
        "1-5",
        "10 min",
        "2025-11",
        "nope",
        "e3",
        "~/x",
        "5d",
        "=a",
    ],
)
def test_other_text_is_text(text):
    assert resolve_plain(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "Yes",
        "ON",
        "off",
        "y",
        "N",
        "1:30",
        "12:30:45.5",
        "2025-11-09",
        "2025-11-09T10:00:00Z",
        "010",
        "-007",
        "0o17",
        "0b101",
        "1_000",
        "1e3",
        "1.5e3",
        "-.5",
        "+0x1F",
        "=",
        "<<",
    ],
)
def test_what_yaml_1_1_reads_otherwise_is_refused(text):
    answer = resolve_plain(text)
    assert isinstance(answer, Refusal)
    assert answer.rule == "ambiguous-value"
    assert f'"{text}"' in answer.hint


@pytest.mark.parametrize(
    "text", [".inf", "-.INF", ".nan", "9223372036854775808", "1" * 5000, "1." + "0" * 5000, "1.0e+999"]
)
def test_numbers_without_a_value_are_refused(text):
    assert resolve_plain(text).rule == "bad-value"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("1e3", "1e3 is 1000 to one YAML reader and text to another", "Write 1000;"),
        ("1.5e1", "1.5e1 is 15 to one YAML reader and text to another", "Write 15;"),
        ("-.25", "-.25 is -0.25 to one YAML reader and text to another", "Write -0.25;"),
        ("1_000", "1_000 is 1000 to one YAML reader and text to another", "Write 1000;"),
        ("0o17", "0o17 is 15 to one YAML reader and text to another", "Write 15;"),
        ("-0b11", "-0b11 is -3 to one YAML reader and text to another", "Write -3;"),
        ("0777", "0777 is 511 to one YAML reader and 777 to another", "Write 777;"),
        ("-089", "-089 is text to one YAML reader and -89 to another", "Write -89;"),
        ("007", "007 starts with a zero: to some YAML readers that makes another number", "Write 7;"),
        ("0_10", "0_10 is a number to one YAML reader and text to another", "Write a plain decimal number;"),
        ("0x_", "0x_ is a number to one YAML reader and text to another", "Write a plain decimal number;"),
        ("1e400", "1e400 is a number to one YAML reader and text to another", "Write a plain decimal number;"),
        ("no", "no is text to one YAML reader and true or false to another", "Write true or false;"),
        ("1:30", "1:30 is text to one YAML reader and a number in base 60 to another", 'Quote it: "1:30".'),
        ("0" * 50_000, "0" * 39 + "… is text to one YAML reader and a number to another", 'Quote it: "000'),
    ],
)
def test_both_readings_are_told(text, message, hint):
    answer = resolve_plain(text)
    assert answer.message == message
    assert answer.hint.startswith(hint)
    assert len(answer.hint) < 100
