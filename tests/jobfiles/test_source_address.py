import duckdb
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util import parse_url

from runner.jobfiles.lint.source_address import host_of, location_fault, names_of_host
from runner.jobfiles.lint.source_database import database_file, database_host
from runner.jobfiles.lint.source_file import fixed_part
from runner.jobfiles.lint.source_names import SQL_WORDS


@pytest.mark.parametrize(
    ("location", "host"),
    [
        ("https://api.example.com/sales", "api.example.com"),
        ("HTTPS://API.Example.COM:8443?a=b", "api.example.com"),
        ("http://localhost", "localhost"),
        ("https://api.example.com./x", "api.example.com."),
        ("https://a_b.example.com#x", "a_b.example.com"),
        ("https://user:pass%40word@api.example.com/", "api.example.com"),
        ("https://[2001:db8::1]:8443/x", "2001:db8::1"),
        ("https://bücher.example.com/x", "bücher.example.com"),
        ("https://api.example.com/${env:PATH}?${env:QUERY}#${env:PART}", "api.example.com"),
        ("https://api.example.com/a@b:c", "api.example.com"),
    ],
)
def test_the_host_of_an_address(location, host):
    assert location_fault(location) is None
    assert host_of(location) == host


@pytest.mark.parametrize(
    "location",
    [
        "${env:BASE}/sales",
        "https://${env:HOST}/sales",
        "https://api.${env:ZONE}.com/sales",
        "https://api.example.com:${env:PORT}/sales",
        "https://api.example.com${env:REST}",
        "https://${env:USER}:${file:/run/password}@api.example.com/sales",
        "https://${run:job_name}@api.example.com/sales",
    ],
)
def test_a_reference_before_the_end_of_the_host_can_move_it(location):
    assert location_fault(location) is None
    assert host_of(location) is None


@pytest.mark.parametrize(
    "location",
    [
        r"https://evil.example.net\@api.example.com/x",
        r"https://evil.example.net\.example.com/x",
        r"https://api.example.com/a\b",
        r"${env:BASE}\@api.example.com",
        "https://evil.example.net@x@api.example.com/",
        "https://evil.example.net\t.example.com/",
        "https://api.example.com\n@evil.example.net/",
        " https://api.example.com/",
        "https://api.example.com\u3000/",
        "https://api\u00ad.example.com/",
        "https://api\u200b.example.com/",
        "https://api。example.com/",
        "https://ａpi.example.com/",
        "https://\u212aelvin.example.com/",
        "https://api%2eexample.com/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://[::1",
        "https://[::1]x/",
        "https://api.example.com:80:[::1]/",
        "https://api.example.com:８０/",
        "https://api.example.com:x/",
        "https://api.example.com:99999/",
        "https://api..example.com/",
        "https://.example.com/",
        "https://*.example.com/",
        "https://" + "a" * 64 + ".example.com/",
        "https:///sales",
        "https:/api.example.com",
        "https:api.example.com",
        "ftp://api.example.com/",
        "",
    ],
)
def test_what_is_read_in_two_ways_is_no_address(location):
    assert location_fault(location)
    assert host_of(location) == ""


PIECES = st.sampled_from(
    [
        "api.example.com", "evil.example.net", "bücher.example", "@", "\\", "/", ":", "8080", "?", "#", "[", "]", "[::1]", "::1",
        "%25", "%2e", "%40", "。", "ｅ", "é", "ü", "ß", "\u212a", "user", "..", ".", "\t", "\n", " ", "\u200b", "//", "xn--", "-", "_",
        "*", "&", "=", ";", "'", "^", "|", "~", "{", "}", "<", "0x7f.1", "1.2.3.4",
    ]
)  # fmt: skip


@given(st.sampled_from(["https://", "http://", "HTTPS://"]), st.lists(PIECES, min_size=1, max_size=7))
def test_the_host_seen_in_review_is_the_one_that_is_connected_to(scheme, pieces):
    location = scheme + "".join(pieces)
    host = host_of(location)
    if not host:
        return
    prepared = requests.PreparedRequest()
    prepared.prepare_url(location, None)
    connected = parse_url(prepared.url).host.strip("[]").lower()
    assert connected in {host, *names_of_host(host)}


def test_the_names_of_a_host():
    assert names_of_host("api.example.com") == ("api.example.com",)
    assert set(names_of_host("bücher.example")) == set(names_of_host("xn--bcher-kva.example"))
    assert names_of_host("xn--.example") == ()


@pytest.mark.parametrize(
    ("location", "host", "file"),
    [
        ("${env:DB_URL}", None, None),
        ("postgresql://ann:${env:PW}@DB.example.com:5432/shop", "db.example.com", None),
        ("postgresql+psycopg://${env:HOST}/shop", None, None),
        ("postgresql://${env:USER}@[::1]:5432/shop", "::1", None),
        ("postgresql://a.example.com,b.example.com/shop", None, None),
        ("postgresql://db.example.com/shop?host=10.0.0.1", None, None),
        ("postgresql:///shop", "localhost", None),
        ("mysql+pymysql://ann@/shop", "localhost", None),
        ("duckdb:///a.db", "", "a.db"),
        ("sqlite:///data/shop.db", "", "data/shop.db"),
        ("sqlite:////srv/shop%20a.db?mode=ro", "", "/srv/shop a.db"),
        ("sqlite://", "", None),
        ("no url", "", None),
    ],
)
def test_what_a_policy_bounds_of_a_database(location, host, file):
    assert database_host(location) == host
    assert database_file(location) == file


@pytest.mark.parametrize(
    ("location", "fixed"),
    [
        ("data/*.csv", "data"),
        ("data/in/2026-*/a?.csv", "data/in"),
        ("/srv/[ab]/x.csv", "/srv"),
        ("*.csv", "."),
        ("/*.csv", "/"),
        ("data/sales.csv", "data/sales.csv"),
    ],
)
def test_the_part_of_a_pattern_that_is_fixed(location, fixed):
    assert fixed_part(location) == fixed


def test_words_of_sql_are_those_of_duckdb():
    words = duckdb.sql("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category = 'reserved'").fetchall()
    assert {word for (word,) in words} <= SQL_WORDS


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("https:/u:PLANTED@a.example/x", "https:/u:***@a.example/x"),
        ("u:PLANTED@a.example", "u:***@a.example"),
        ("ftp//u:PLAN/TED@a.example", "ftp//u:***@a.example"),
        ("https:/u:${env:P}@a.example", "https:/u:${env:P}@a.example"),
        ("https://u:PLANTED@a.example:x", "https://u:***@a.example:x"),
        ("in/a@b.csv", "in/a@b.csv"),
    ],
)
def test_a_password_in_what_is_no_address_is_not_shown(location, shown):
    fault = location_fault(location)
    assert f"{shown!r} is no" in fault
    assert "PLANTED" not in fault
