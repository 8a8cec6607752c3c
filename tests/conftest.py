"""For all tests."""

import os

from hypothesis import settings

# Enough for every change; HYPOTHESIS_PROFILE=thorough looks longer.
settings.register_profile("usual", max_examples=40)
settings.register_profile("thorough", max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_xdist_auto_num_workers():
    """One more than there are cores: two tests wait for real minutes, and leave theirs idle."""
    return len(os.sched_getaffinity(0)) + 1
