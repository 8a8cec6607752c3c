from datetime import UTC, datetime

import pytest

from runner.errors import RunnerError, UsageError
from runner.jobfiles.walk import SilentFolderError
from runner.service import lookup
from runner.service.coming import coming_fires
from runner.service.lookup import find_job, read_catalog, require_known


def test_a_folder_that_does_not_answer_is_told(settings, mount, monkeypatch):
    monkeypatch.setattr(lookup, "STUCK_SECONDS", 0.3)
    (settings.project_dir / "jobs.d").symlink_to(mount.path)
    mount.goes()
    with pytest.raises(SilentFolderError, match=r"does not answer: it was waited for 0\.3 s"):
        read_catalog(settings)


@pytest.fixture
def unreadable(settings):
    """A folder with two files that are no YAML: the name of their jobs cannot be read."""
    jobs = settings.project_dir / "jobs.d"
    jobs.mkdir()
    for name in ("sales", "stock"):
        (jobs / f"{name}.yaml").write_text(f"\tjob_name: {name}\n")
    return settings


def test_a_file_whose_name_cannot_be_read_is_the_one_that_its_path_suggests(unreadable):
    with pytest.raises(RunnerError, match=r"jobs\.d/sales\.yaml:1:1: error: a tab cannot indent YAML"):
        find_job(unreadable, "sales")
    with pytest.raises(RunnerError, match=r"jobs\.d/sales\.yaml:1:1: error: a tab cannot indent YAML"):
        coming_fires(unreadable, ("sales",), after=datetime(2026, 3, 2, tzinfo=UTC), count=1)
    assert require_known(unreadable, "sales") == ""


@pytest.mark.parametrize("look", [find_job, require_known])
def test_files_that_may_hold_a_job_are_named(unreadable, look):
    with pytest.raises(UsageError, match="there is no job 'orders'") as caught:
        look(unreadable, "orders")
    assert caught.value.hint == (
        "runner list shows the jobs. No job's name can be read in jobs.d/sales.yaml, jobs.d/stock.yaml: runner "
        "validate tells why."
    )
    for number in range(3):
        (unreadable.project_dir / "jobs.d" / f"{number}.yaml").write_text("[]\n")
    with pytest.raises(UsageError) as caught:
        look(unreadable, "orders")
    assert "in jobs.d/0.yaml, jobs.d/1.yaml, jobs.d/2.yaml and 2 more:" in caught.value.hint
