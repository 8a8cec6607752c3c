import pytest

from runner.settings import load_settings
from runner.state_files import is_kept_by_runner
from runner.store.locks import StateLock


@pytest.fixture
def settings(tmp_path):
    (tmp_path / "data").mkdir()
    return load_settings({}, folder=tmp_path)


def test_what_lies_beside_the_lock_of_a_runner_is_its_own(settings):
    StateLock(settings.state_dir).release()
    assert is_kept_by_runner(f"{settings.mail_dir}/a.eml")
    assert is_kept_by_runner(f"{settings.runs_dir}/01k9m/input/result.csv")
    assert is_kept_by_runner(f"{settings.runs_dir}/mail/runs/result.csv")
    assert not is_kept_by_runner(f"{settings.state_dir}/orders.csv")
    assert not is_kept_by_runner(f"{settings.state_dir}/mails/a.eml")
    assert not is_kept_by_runner(f"{settings.project_dir}/mail/a.sql")


def test_the_lock_of_a_database_behind_a_link_lies_elsewhere(settings):
    settings.storage_path.symlink_to("/srv/databases/runner.db")
    assert is_kept_by_runner(f"{settings.runs_dir}/01k9m/result.csv")


def test_folders_of_these_names_are_the_project_s_where_no_runner_works(settings):
    assert not is_kept_by_runner(f"{settings.runs_dir}/steps/clean.py")
    assert not is_kept_by_runner(f"{settings.mail_dir}/clean.py")
