import socket
import ssl
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from runner.core.job_policy import RunBounds
from runner.core.source import Auth, AuthType
from runner.errors import FetchError
from runner.fetch.addresses import fault_of, judged

ROOT = Path(__file__).resolve().parents[2]

ROWS = b'[{"a": 1}]'
OPEN = RunBounds()
LOCAL = RunBounds(private_hosts=("127.0.0.1",))


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.1", "169.254.169.254", "172.16.0.1",
        "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1",
        "64:ff9b::a00:1", "64:ff9b::169.254.169.254", "64:ff9b:1::808:808", "100::1", "2001::1", "2001:db8::1",
        "2002:a00:1::1", "3fff::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1",
        "4000::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert "address" in fault_of(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_addresses_that_are_public(address):
    assert fault_of(address) is None


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "127.0.0.1 is a loopback address"),
        ("localhost", r"localhost lies at \S+, a loopback address"),
        ("0x7f.1", "0x7f.1 lies at 127.0.0.1, a loopback address"),
        ("2130706433", "2130706433 lies at 127.0.0.1, a loopback address"),
        ("127.1", "127.1 lies at 127.0.0.1, a loopback address"),
        ("0177.0.0.1", "0177.0.0.1 lies at 127.0.0.1, a loopback address"),
        ("[::ffff:127.0.0.1]", r"::ffff:.* a loopback address"),
        ("169.254.169.254", "169.254.169.254 is a link-local address"),
        ("[fd00::1]", "fd00::1 is a private address"),
    ],
)
def test_such_addresses_are_not_asked(server, fetch_api, host, words):
    server.answer("/", ROWS)
    with pytest.raises(FetchError, match=words) as caught:
        fetch_api(server.url(host=host), bounds=OPEN)
    assert "private_hosts" in caught.value.hint
    assert server.seen == []


def test_a_host_that_the_policy_names_may_lie_anywhere(server, fetch_api):
    server.answer("/", ROWS)
    for bounds in (LOCAL, RunBounds(allowed_hosts=("127.0.0.1",))):
        assert fetch_api(server.url(), bounds=bounds).bytes == len(ROWS)


def test_a_redirect_to_the_inside_is_refused(server, make_server, fetch_api):
    inside = make_server()
    server.answer("/", status=302, Location=inside.url("/", host="localhost"))
    with pytest.raises(FetchError, match="localhost lies at"):
        fetch_api(server.url(), bounds=LOCAL)
    assert inside.seen == []


@pytest.mark.parametrize("status", [0, 302])
def test_the_policy_is_held_against_every_host(server, fetch_api, status):
    """After references are resolved, and at redirects."""
    server.answer("/old", status=302, Location=server.url("/new", host="localhost"))
    location = server.url("/old") if status else server.url("/new", host="${env:HOST}")
    with pytest.raises(FetchError, match=r"is no host that sources may be fetched from") as caught:
        fetch_api(location, bounds=RunBounds(allowed_hosts=("127.0.0.1",)), environ={"HOST": "localhost"})
    assert "allowed_hosts" in caught.value.hint
    assert "/new" not in {path for _, path, *_ in server.seen}


def entry(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (family, socket.SOCK_STREAM, 6, "", (address, 80))


def test_a_name_is_looked_up_once_and_its_judged_address_is_used(server, fetch_api, monkeypatch):
    """What a server of names says the second time cannot matter."""
    asked, look_up = [], socket.getaddrinfo

    def changing(host, port, *args, **kwargs):
        asked.append(host)
        answer = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return look_up(answer, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    server.answer("/", ROWS)
    fetch_api(server.url(host="api.example.com"), bounds=RunBounds(private_hosts=("*.example.com",)))
    assert asked == [b"api.example.com"]
    with pytest.raises(FetchError, match=r"api\.example\.com lies at 10.0.0.1, a private address"):
        fetch_api(server.url(host="api.example.com"), bounds=OPEN)


def test_of_several_addresses_the_public_ones_are_kept():
    mixed = [entry("10.0.0.1"), entry("8.8.8.8"), entry("::1")]
    assert judged("api.example.com", mixed, OPEN) == [mixed[1]]
    assert judged("api.example.com", mixed, RunBounds(private_hosts=("api.example.com",))) == mixed


def test_the_next_address_is_tried_where_one_does_not_answer(server, fetch_api, monkeypatch):
    with socket.create_server(("127.0.0.2", 0)) as listening:
        closed = listening.getsockname()
    both = [(*entry(closed[0])[:4], closed), (*entry("127.0.0.1")[:4], ("127.0.0.1", server.server_port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    server.answer("/", ROWS)
    assert fetch_api(server.url()).bytes == len(ROWS)


def test_an_address_that_is_silent_takes_no_time_from_the_next(server, fetch_api, monkeypatch, silent):
    both = [(*entry("127.0.0.1")[:4], silent), (*entry("127.0.0.1")[:4], ("127.0.0.1", server.server_port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    server.answer("/", ROWS)
    began = time.monotonic()
    assert fetch_api(server.url(), timeout_seconds=20).bytes == len(ROWS)
    assert time.monotonic() - began < 5


def test_tls_verifies_the_name_and_not_the_address(make_server, authority, fetch_api, ca_file):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    server = make_server(tls)
    server.answer("/", ROWS)
    environ = {"REQUESTS_CA_BUNDLE": str(ca_file)}
    assert fetch_api(server.url(host="localhost", scheme="https"), environ=environ).bytes == len(ROWS)
    with pytest.raises(FetchError, match=r"certificate of 127\.0\.0\.1"):
        fetch_api(server.url(scheme="https"), environ=environ)


@pytest.mark.parametrize("host", ["169.254.169.254", "0x7f.1", "localhost", "[::1]"])
def test_a_proxy_is_not_asked_for_the_inside(server, fetch_api, host):
    with pytest.raises(FetchError, match="address"):
        fetch_api(f"http://{host}/", bounds=OPEN, environ={"http_proxy": server.url()})
    assert server.seen == []


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("evil.example.com\\@127.0.0.1", "the location holds a backslash"),
        ("127.0.0.1\tx", r"the location holds the control character U\+0009"),
        ("127.0.0.1\x7f", r"U\+007F"),
    ],
)
def test_what_readers_of_addresses_disagree_on_is_refused(fetch_api, key, words):
    with pytest.raises(FetchError, match=words) as caught:
        fetch_api("http://${env:KEY}/", environ={"KEY": key})
    assert "127.0.0.1" not in caught.value.message


def test_a_backslash_in_a_redirect_is_refused(server, fetch_api):
    server.answer("/", status=302, Location="http://other.example.com\\@127.0.0.1/")
    with pytest.raises(FetchError, match="the target of a redirect holds a backslash"):
        fetch_api(server.url())


def test_cookies_stay_with_their_host(server, make_server, fetch_api):
    """Also where only the port differs, which cookies by themselves do not tell apart."""
    other = make_server()
    server.answer("/old", status=302, Location="/gate", Set_Cookie="s=c-12345; Path=/")
    server.answer("/gate", status=302, Location=other.url("/new"))
    other.answer("/new", ROWS)
    fetch_api(server.url("/old"), auth=Auth(type=AuthType.HEADER, header="X-Key", token="t-12345"))
    assert server.seen[1][2]["Cookie"] == "s=c-12345"
    assert server.seen[1][2]["x-key"] == "t-12345"
    assert not {"cookie", "x-key"} & {name.lower() for name in other.seen[0][2]}


def test_no_release_of_requests_is_let_in_that_makes_its_connections_past_the_guard():
    # `get_connection_with_tls_context`, which the guard stands in, came with 2.32.2; those below do not call it.
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {found.name: found.specifier for found in map(Requirement, project["dependencies"])}
    assert [version for version in ("2.32.0", "2.32.1") if wanted["requests"].contains(version)] == []
    assert wanted["requests"].contains("2.32.2")
