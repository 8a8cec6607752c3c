import os
import resource
import signal
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.delivery import DeliveryState, MailKind
from runner.delivery.folder import MailFolder, file_name


def test_the_name_sorts_by_time_and_names_job_and_kind(make_mail):
    name = file_name(make_mail())
    assert name == "20251109T130032Z_daily_sales_results_01k9mabcdefghjkmnpqrstvwxy.eml"


def test_a_name_never_leaves_the_folder(tmp_path, make_mail, small_mail):
    folder = MailFolder(tmp_path / "mail")
    folder.send(replace(small_mail, run_id="../../evil"), ["anna@example.com"])
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["20251109T130000Z_j_results_-evil.eml"]
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]


def test_one_file_for_many_recipients_and_attempts(tmp_path, make_mail):
    folder, mail = MailFolder(tmp_path), make_mail()
    for recipients in (["anna@example.com", "bert@example.org"], ["bert@example.org"]):
        assert len(folder.send(mail, recipients)) == len(recipients)
    assert [path.name for path in tmp_path.iterdir()] == [file_name(mail)]


def test_a_result_names_the_file_that_stands_for_the_mail(tmp_path, small_mail):
    [result] = MailFolder(tmp_path).send(small_mail, ["anna@example.com"]).values()
    assert (result.state, result.kept_as) == (DeliveryState.SENT, str(tmp_path / file_name(small_mail)))


def test_a_folder_that_takes_nothing_defers(tmp_path, make_mail, caplog):
    (tmp_path / "mail").write_text("a file where the folder should be")
    [result] = MailFolder(tmp_path / "mail").send(make_mail(), ["anna@example.com"]).values()
    assert result.state is DeliveryState.DEFERRED
    assert f"cannot be kept in {tmp_path}/mail" in result.error
    assert "cannot be kept" in caplog.text


@pytest.fixture
def short_files():
    """No file of this process may have more than 64 KiB."""
    before, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


def test_a_mail_that_does_not_fit_takes_no_room_from_smaller_ones(tmp_path, small_mail, short_files):
    folder = MailFolder(tmp_path / "mail")
    large = replace(small_mail, run_id="r2", message=small_mail.message + b"x" * 100_000)
    [result] = folder.send(large, ["anna@example.com"]).values()
    assert result.state is DeliveryState.DEFERRED
    assert list((tmp_path / "mail").iterdir()) == []
    [result] = folder.send(small_mail, ["anna@example.com"]).values()
    assert result.state is DeliveryState.SENT


def test_nobody_else_may_read_what_is_kept(tmp_path, small_mail):
    folder = MailFolder(tmp_path / "state" / "mail")
    before = os.umask(0)
    try:
        folder.send(small_mail, ["anna@example.com"])
    finally:
        os.umask(before)
    [kept] = folder.path.iterdir()
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder.path, kept)] == [0o700, 0o600]


def test_two_notices_of_a_run_are_two_files(small_mail):
    names = {
        file_name(
            replace(small_mail, kind=MailKind.UNDELIVERED, message_id=f"<r1.undelivered-{number}@example.com>")
        )
        for number in ("1-1", "2-1")
    }
    assert names == {f"20251109T130000Z_j_undelivered_r1-{number}.eml" for number in ("1-1", "2-1")}


def test_the_check_of_a_folder_leaves_nothing_behind(tmp_path):
    assert MailFolder(tmp_path / "state" / "mail").check() == ""
    assert list((tmp_path / "state" / "mail").iterdir()) == []


@pytest.mark.parametrize("trouble", ["file", "rights"])
def test_the_check_tells_of_a_folder_that_takes_nothing(tmp_path, trouble):
    path = tmp_path / "mail"
    if trouble == "file":
        path.write_text("a file where the folder should be")
    elif os.geteuid() == 0:
        path = Path("/proc/mail")
    else:
        path.mkdir(mode=0o500)
    words = MailFolder(path).check()
    assert words.startswith(f"{path} takes no mails: ")
    assert "make the folder writable" in words
