from pathlib import Path

import pytest

from runner import mounts
from runner.core.mounts import Mount


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="mounts are listed by Linux")
def test_mounts_are_told_by_the_kernel():
    assert {"/", "/proc"} <= {mount.point for mount in mounts.read_mounts()}


def test_without_a_list_there_are_none(tmp_path, monkeypatch):
    monkeypatch.setattr(mounts, "_LIST", tmp_path / "none")
    assert mounts.read_mounts() == ()
    assert mounts.shared_file_system(tmp_path) == ""


def test_a_path_is_judged_by_where_links_lead(tmp_path, monkeypatch):
    share = tmp_path / "share"
    share.mkdir()
    (tmp_path / "link").symlink_to(share)
    listed = (Mount(point="/", kind="ext4"), Mount(point=str(share.resolve()), kind="nfs4"))
    monkeypatch.setattr(mounts, "read_mounts", lambda: listed)
    assert mounts.shared_file_system(tmp_path / "link" / "not" / "there.db") == "nfs4"
    assert mounts.shared_file_system(tmp_path / "runner.db") == ""
