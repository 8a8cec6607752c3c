import pytest

from runner.core.source import may_hold_secrets


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        "/srv/shop/.env",
        ".git",
        ".git/config",
        "/srv/shop/.git/config",
        "lib/.git",
        "/srv/shop/.git/modules/annex/objects/config",
        "/srv/shop/.git/annex/creds/bucket",
        "/srv/shop/.git/annex/objects/.git/config",
        ".git/*",
    ],
)
def test_what_may_hold_secrets(path):
    assert may_hold_secrets(path)


@pytest.mark.parametrize(
    "path",
    [
        "data/orders.csv",
        "prod.env",
        ".env.example",
        ".gitignore",
        "/srv/shop.git/orders.csv",
        "/srv/shop/.git/annex/objects/Kx/7p/MD5E-s8--ab.csv/MD5E-s8--ab.csv",
    ],
)
def test_what_does_not(path):
    assert not may_hold_secrets(path)
