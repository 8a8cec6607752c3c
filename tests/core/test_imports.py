import sys

import pytest

from runner.core.imports import LIBRARIES, ImportRefusal, import_allowed, import_refusal


@pytest.mark.parametrize(
    ("module", "refusal"),
    [
        ("subprocess", ImportRefusal.PROCESS),
        ("multiprocessing.pool", ImportRefusal.PROCESS),
        ("concurrent.futures.process", ImportRefusal.PROCESS),
        ("urllib.request", ImportRefusal.NETWORK),
        ("http.client", ImportRefusal.NETWORK),
        ("ctypes", ImportRefusal.NATIVE),
        ("_ctypes", ImportRefusal.PRIVATE),
        ("requests", ImportRefusal.NETWORK),
        ("aiohttp.client", ImportRefusal.NETWORK),
        ("pandas_extra", ImportRefusal.UNKNOWN),
        ("", ImportRefusal.UNKNOWN),
        ("urllib.parse", None),
        ("concurrent.futures", None),
        ("http", None),
        ("pandas.tseries.offsets", None),
        ("__future__", None),
    ],
)
def test_the_table(module, refusal):
    assert import_refusal(module) is refusal
    assert import_allowed(module) is (refusal is None)


def test_a_policy_adds_a_module_with_what_is_in_it_and_nothing_beside_it():
    assert import_allowed("polars.selectors", ("polars",))
    assert not import_allowed("polarsx", ("polars",))
    assert not import_allowed("google", ("google.cloud",))


def test_most_of_the_standard_library_is_allowed():
    public = [name for name in sys.stdlib_module_names if not name.startswith("_")]
    refused = [name for name in public if not import_allowed(name)]
    assert len(refused) < len(public) / 5
    assert all(import_allowed(name) for name in LIBRARIES)


@pytest.mark.parametrize(
    ("name", "refusal"),
    [(".".join(["os"] * 50_000), None), ("http.client" + ".a" * 50_000, ImportRefusal.NETWORK)],
)
def test_a_name_of_many_parts_is_answered_at_once(cpu_seconds, name, refusal):
    answer, seconds = cpu_seconds(import_refusal, name)
    assert answer is refusal
    assert seconds < 0.2
