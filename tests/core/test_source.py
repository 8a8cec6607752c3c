import pytest

from runner.core.source import is_never_read


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "/srv/shop/.env",
        "shop/x/../.env",
        ".env.production",
        "conf/.env.local",
        ".git",
        ".git/config",
        "/srv/shop/.git/config",
        "/srv/shop//.git//config",
        "lib/.git",
        "/srv/shop/.git/modules/annex/objects/config",
        "/srv/shop/.git/annex/creds/bucket",
        "/srv/shop/.git/annex/objects/.git/config",
        "/srv/shop/.git/annex/objects/../../config",
        ".git/*",
        "/proc/self/environ",
        "//proc/self/environ",
        "/srv/../proc/self/environ",
        "/./sys/kernel",
        "/proc",
    ],
)
def test_what_is_never_read_for_a_job(path):
    assert is_never_read(path)


@pytest.mark.parametrize(
    "path",
    [
        "data/orders.csv",
        "prod.env",
        ".environment",
        "x.env.csv",
        ".env/orders.csv",
        ".gitignore",
        "/srv/shop.git/orders.csv",
        "/srv/shop/.git/annex/objects/Kx/7p/MD5E-s8--ab.csv/MD5E-s8--ab.csv",
        "proc/orders.csv",
        "/process/orders.csv",
        "/srv/proc/orders.csv",
    ],
)
def test_what_may_be(path):
    assert not is_never_read(path)
