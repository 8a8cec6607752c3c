"""For all tests."""

import os


def pytest_xdist_auto_num_workers():
    """One more than there are cores: two tests wait for real minutes, and leave theirs idle."""
    return len(os.sched_getaffinity(0)) + 1
