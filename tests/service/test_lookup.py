import pytest

from runner.jobfiles.walk import SilentFolderError
from runner.service import lookup
from runner.service.lookup import read_catalog


def test_a_folder_that_does_not_answer_is_told(settings, mount, monkeypatch):
    monkeypatch.setattr(lookup, "STUCK_SECONDS", 0.3)
    (settings.project_dir / "jobs.d").symlink_to(mount.path)
    mount.goes()
    with pytest.raises(SilentFolderError, match=r"does not answer: it was waited for 0\.3 s"):
        read_catalog(settings)
