"""Proxies and certificate authorities, from the run's environment.

requests reads the process environment, and with it `.netrc`, whose credentials no job has asked for. So that is
switched off, and what is wanted is read here.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from runner.errors import FetchError

_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def proxies_for(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The proxy for an address, in the form that requests takes; empty where it is reached directly.

    Reads `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, in lower case first, then in upper case.

    Raises:
        FetchError: what the environment names is no address.
    """
    parts = urlsplit(url)
    proxy = environ.get(_variable_of_proxy(parts.scheme, environ), "")
    if not proxy or _bypassed(parts.netloc, parts.hostname or "", _variable(environ, "no_proxy")):
        return {}
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not _is_address(proxy):
        # Not shown: nobody can tell which part of a broken address is a password.
        raise FetchError(
            f"the proxy for {parts.scheme} is no valid address",
            hint=f"Write {parts.scheme}_proxy, or all_proxy, in the environment of the service as "
            "http://proxy.example.com:3128; in a password, write %40 for @, %2F for /.",
        )
    return {parts.scheme: proxy}


def proxy_words(proxies: Mapping[str, str], environ: Mapping[str, str]) -> str:
    """What `proxies_for` has found, for people: host and port, and the variable; empty where there is none."""
    for scheme, proxy in proxies.items():
        return f"{urlsplit(proxy).netloc.rpartition('@')[2]}, which {_variable_of_proxy(scheme, environ)} names"
    return ""


def ca_bundle(environ: Mapping[str, str]) -> str | bool:
    """The file or folder of trusted authorities; True for the usual ones. Never False.

    Raises:
        FetchError: the environment names one that is not there.
    """
    for name in _CA_VARIABLES:
        value = environ.get(name)
        if value:
            if not Path(value).exists():
                raise FetchError(f"{name} names {value}, which is not there", hint=f"Mend or remove {name}.")
            return value
    return True


def _variable_of_proxy(scheme: str, environ: Mapping[str, str]) -> str:
    """The variable that names the proxy; empty where none does."""
    return _set_name(environ, f"{scheme}_proxy") or _set_name(environ, "all_proxy")


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(_set_name(environ, name), "")


def _set_name(environ: Mapping[str, str], name: str) -> str:
    return next((written for written in (name, name.upper()) if environ.get(written)), "")


def _is_address(proxy: str) -> bool:
    try:
        parts = urlsplit(proxy)
        return bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def _bypassed(netloc: str, host: str, no_proxy: str) -> bool:
    """Whether `no_proxy` names this host: `*`, a host or domain, host:port, or a network."""
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        domain = entry.removeprefix("*").lstrip(".")
        if entry == "*" or (domain and any(f".{name}".endswith(f".{domain}") for name in (host, netloc.lower()))):
            return True
        if _in_network(host, entry):
            return True
    return False


def _in_network(host: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return False
