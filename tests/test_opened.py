import contextlib
import os

import pytest

from runner.opened import NeverReadError, real_path, require_for_a_job


@contextlib.contextmanager
def _opened(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


def test_a_link_that_is_changed_meanwhile_makes_no_difference(tmp_path):
    link = tmp_path / "link"
    (tmp_path / "a").touch()
    link.symlink_to("a")
    with _opened(link) as handle:
        link.unlink()
        link.symlink_to("b")
        assert real_path(link, handle) == os.path.realpath(tmp_path / "a")


def test_what_has_no_path_there_has_its_own(tmp_path):
    reading, writing = os.pipe()
    os.close(writing)
    try:
        assert real_path(tmp_path / "x" / ".." / "pipe", reading) == os.path.realpath(tmp_path / "pipe")
    finally:
        os.close(reading)


def test_without_the_kernel_s_answer_links_are_followed(tmp_path):
    (tmp_path / "link").symlink_to("a")
    assert real_path(tmp_path / "link", 1 << 20) == os.path.realpath(tmp_path / "a")


def test_what_is_none_of_a_job_s_is_known_by_both_of_its_names(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / ".env").symlink_to("a")
    (tmp_path / "b").symlink_to(".env.production")
    (tmp_path / ".env.production").touch()
    for name in (".env", "b"):
        with _opened(tmp_path / name) as handle, pytest.raises(NeverReadError):
            require_for_a_job(tmp_path / name, handle)
    with _opened(tmp_path / "a") as handle:
        require_for_a_job(tmp_path / "a", handle)


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="only Linux has it")  # noqa: PTH110
def test_the_environment_of_a_process_is_none_also_by_a_link(tmp_path):
    (tmp_path / "step.py").symlink_to("/proc/self/environ")
    with _opened(tmp_path / "step.py") as handle, pytest.raises(NeverReadError):
        require_for_a_job(tmp_path / "step.py", handle)
