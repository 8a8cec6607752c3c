import pytest

from runner.core.job_policy import JobPolicy


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("api.example.com", True),
        ("API.Example.com.", True),
        ("x.internal.example.com", True),
        ("a.b.internal.example.com", True),
        ("internal.example.com", False),
        ("evilinternal.example.com", False),
        ("example.com", False),
        ("api.example.com.evil.org", False),
        ("", False),
    ],
)
def test_hosts(host, allowed):
    policy = JobPolicy(allowed_hosts=("api.example.com", "*.internal.example.com"))
    assert policy.allows_host(host) is allowed


def test_recipients_are_bound_by_what_stands_after_the_last_at():
    policy = JobPolicy(recipient_domains=("example.com",))
    assert policy.allows_recipient("a@EXAMPLE.com")
    assert not policy.allows_recipient("a@sub.example.com")
    assert not policy.allows_recipient('"a@example.com"@evil.org')


def test_what_is_left_out_bounds_nothing_and_an_empty_list_allows_nothing():
    assert JobPolicy().allows_host("anything")
    assert JobPolicy().allows_recipient("a@anything")
    closed = JobPolicy(allowed_hosts=(), recipient_domains=())
    assert not closed.allows_host("api.example.com")
    assert not closed.allows_recipient("a@example.com")
