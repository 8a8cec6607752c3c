import pytest

from runner.errors import FetchError
from runner.fetch.proxies import ca_bundle, proxies_for, proxy_words


def test_the_proxy_of_the_scheme_comes_first_and_lower_case_wins():
    environ = {"HTTPS_PROXY": "http://upper:1", "https_proxy": "lower:2", "ALL_PROXY": "http://all:3"}
    assert proxies_for("https://api.example.com/x", environ) == {"https": "http://lower:2"}
    assert proxies_for("http://api.example.com/x", environ) == {"http": "http://all:3"}
    assert proxies_for("http://api.example.com/x", {}) == {}


def test_a_proxy_is_named_with_its_variable_and_without_its_password():
    environ = {"ALL_PROXY": "http://u:pw4711@proxy.example.com:3128", "http_proxy": "lower:2"}
    words = [
        proxy_words(proxies_for(f"{scheme}://api.example.com/", environ), environ) for scheme in ("https", "http")
    ]
    assert words == ["proxy.example.com:3128, which ALL_PROXY names", "lower:2, which http_proxy names"]
    assert proxy_words({}, environ) == ""


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("*", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("EXAMPLE.com, other.org", True),
        ("api.example.com:8443", True),
        ("api.example.com:9000", False),
        ("ample.com", False),
        ("", False),
        (",", False),
    ],
)
def test_no_proxy_names_hosts(no_proxy, direct):
    environ = {"https_proxy": "http://proxy:3128", "no_proxy": no_proxy}
    assert (proxies_for("https://api.example.com:8443/x", environ) == {}) is direct


def test_no_proxy_names_networks():
    environ = {"http_proxy": "http://proxy:3128", "no_proxy": "10.0.0.0/8,fd00::/8"}
    assert proxies_for("http://10.1.2.3/x", environ) == {}
    assert proxies_for("http://[fd00::1]/x", environ) == {}
    assert proxies_for("http://11.1.2.3/x", environ) != {}
    assert proxies_for("http://[::1]:8080/x", {**environ, "no_proxy": "[::1]"}) == {}


@pytest.mark.parametrize("proxy", ["http://u:pw4711@[proxy:3128", "http://u:pw4711@proxy:31280000", "http://"])
def test_a_proxy_that_is_no_address_is_named_without_its_password(proxy):
    with pytest.raises(FetchError, match=r"^the proxy for https is no valid address$") as caught:
        proxies_for("https://api.example.com/x", {"HTTPS_PROXY": proxy})
    assert "https_proxy" in caught.value.hint


def test_the_authorities_are_never_off(tmp_path):
    assert ca_bundle({}) is True
    assert ca_bundle({"SSL_CERT_FILE": str(tmp_path)}) == str(tmp_path)
    with pytest.raises(FetchError, match=r"REQUESTS_CA_BUNDLE names /no/such.pem"):
        ca_bundle({"REQUESTS_CA_BUNDLE": "/no/such.pem"})
