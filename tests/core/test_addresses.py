import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.addresses import address_fault, literal_address


@pytest.mark.parametrize(
    ("host", "fault"),
    [
        ("localhost", "a loopback address"),
        ("LOCALHOST.", "a loopback address"),
        ("db.localhost", "a loopback address"),
        ("127.0.0.1", "a loopback address"),
        ("127.1", "a loopback address"),
        ("0x7f.0.0.1", "a loopback address"),
        ("2130706433", "a loopback address"),
        ("017700000001", "a loopback address"),
        ("0", "the unspecified address"),
        ("10.0.0.5", "a private address"),
        ("172.16.0.1", "a private address"),
        ("192.168.1.1", "a private address"),
        ("169.254.169.254", "a link-local address"),
        ("100.64.0.1", "a shared address"),
        ("224.0.0.1", "a multicast address"),
        ("[::1]", "a loopback address"),
        ("fe80::1", "a link-local address"),
        ("fd00::1", "a private address"),
        ("::ffff:10.0.0.1", "a private address"),
        ("64:ff9b::a00:1", "a private address"),
        ("2002:a00:1::", "a reserved address"),
        ("8.8.8.8", None),
        ("2606:4700::1111", None),
        ("::ffff:8.8.8.8", None),
    ],
)
def test_hosts_that_are_addresses(host, fault):
    assert address_fault(literal_address(host)) == fault


@pytest.mark.parametrize(
    "host",
    [
        "api.example.com",
        "localhost.example.com",
        "notlocalhost",
        "1.2.3.4.5",
        "256.1.1.1.",
        "1.2.3.x",
        "09",
        "",
        "1..2",
    ],
)
def test_names_are_no_addresses(host):
    assert literal_address(host) is None


@given(
    st.one_of(
        st.from_regex(
            r"(?:[0-9]{1,10}|0x[0-9a-f]{1,8}|0[0-7]{1,11})(?:\.(?:[0-9]{1,4}|0x[0-9a-f]{1,2})){0,3}",
            fullmatch=True,
        ),
        st.ip_addresses(v=4).map(str),
    )
)
def test_numbers_are_read_as_the_system_reads_them(host):
    try:
        expected = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        expected = None
    assert literal_address(host) == expected
