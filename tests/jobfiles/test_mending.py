import pytest

from runner.jobfiles.wording.mending import mended_list, mended_name, mended_number, mended_text


@pytest.mark.parametrize(
    ("key", "text", "whole", "number"),
    [
        ("timeout_seconds", "5 min", False, "300"),
        ("timeout_seconds", "1.5s", False, "1.5"),
        ("timeout_seconds", "300", False, "300"),
        ("timeout_seconds", "\uff13\uff10\uff10", False, "300"),
        ("starting_deadline_seconds", "1h", True, "3600"),
        ("starting_deadline_seconds", "0.5 s", True, None),
        ("memory_mb", "512 MB", True, "512"),
        ("memory_mb", "2GiB", True, "2048"),
        ("max_bytes", "1GB", True, "1073741824"),
        ("preview_rows", "10", True, "10"),
        ("preview_rows", "10 rows", True, None),
        ("timeout_seconds", "5 MB", False, None),
        ("timeout_seconds", "ten", False, None),
        ("timeout_seconds", "", False, None),
        ("timeout_seconds", "9" * 100_000, False, None),
    ],
)
def test_numbers(key, text, whole, number):
    assert mended_number(key, text, whole=whole) == number


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a@example.com", "[a@example.com]"),
        ("a@example.com, b@example.com", "[a@example.com, b@example.com]"),
        ("a@example.com;b@example.com", "[a@example.com, b@example.com]"),
        ("a@example.com b@example.com", "[a@example.com, b@example.com]"),
        ("-a@example.com -b-c@example.com", "[a@example.com, b-c@example.com]"),
        ("north east", "[north east]"),
        ("*.example.com", '["*.example.com"]'),
        ("yes, 5", '["yes", "5"]'),
        (" ,; ", None),
        ("", None),
        ("a," * 1000, None),
    ],
)
def test_lists(text, items):
    assert mended_list(text) == items


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, '"5"'),
        (True, '"true"'),
        (["sales"], "sales"),
        (["* * * * *"], '"* * * * *"'),
        (["a", "b"], None),
        ([1], None),
        ({}, None),
        (["x" * 1000], None),
    ],
)
def test_texts(value, text):
    assert mended_text(value) == text


@pytest.mark.parametrize(
    ("kind", "text", "name"),
    [
        ("job_name", "Daily Sales!", "daily_sales"),
        ("job_name", "verk\u00e4ufe", "verkaufe"),
        ("job_name", "s\u0430les", "sales"),
        ("job_name", "!!!", ""),
        ("tags", "a b", "a_b"),
        ("tags", "-a", "a"),
        ("name", " two\nlines", "two lines"),
        ("allowed_hosts", "https://API.example.com:8080/v1", "api.example.com"),
        ("private_hosts", "10.0.0.0/8", ""),
        ("private_hosts", "fd00::/8", ""),
        ("recipient_domains", "ann@Example.com", "example.com"),
        ("allowed_imports", "import scipy", "scipy"),
        ("headers", "a\nb", ""),
    ],
)
def test_names(kind, text, name):
    assert mended_name(kind, text) == name
