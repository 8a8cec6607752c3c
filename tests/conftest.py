"""For all tests."""

import os

import pytest
from hypothesis import settings

# Enough for every change; HYPOTHESIS_PROFILE=thorough looks longer, and few is for measuring coverage.
settings.register_profile("few", max_examples=5)
settings.register_profile("usual", max_examples=40)
settings.register_profile("thorough", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_xdist_auto_num_workers():
    """One more than there are cores: two tests wait for real minutes, and leave theirs idle."""
    return len(os.sched_getaffinity(0)) + 1


def pytest_collection_modifyitems(items):
    """Those that wait first, on one worker: the others share out what it has no time for."""
    items.sort(key=lambda item: item.path.name not in {"test_service.py", "test_pre_commit.py"})


@pytest.fixture(scope="session")
def zygote():
    """What runs the steps of all tests that need none of their own: to start one takes a second."""
    # Here, as most tests need none.
    from runner.execution.zygote import Zygote

    zygote = Zygote(sandbox_mode="best-effort")
    zygote.start()
    yield zygote
    zygote.close()
