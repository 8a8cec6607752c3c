from runner.core.delivery import DeliveryState
from runner.delivery.folder import MailFolder, file_name


def test_the_name_sorts_by_time_and_names_job_and_kind(make_mail):
    name = file_name(make_mail())
    assert name == "20251109T130032Z_daily_sales_results_01k9mabcdefghjkmnpqrstvwxy.eml"


def test_a_name_never_leaves_the_folder(tmp_path, make_mail, small_mail):
    from dataclasses import replace

    folder = MailFolder(tmp_path / "mail")
    folder.send(replace(small_mail, run_id="../../evil"), ["anna@example.com"])
    assert [path.name for path in (tmp_path / "mail").iterdir()] == ["20251109T130000Z_j_results_-evil.eml"]
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]


def test_one_file_for_many_recipients_and_attempts(tmp_path, make_mail):
    folder, mail = MailFolder(tmp_path), make_mail()
    for recipients in (["anna@example.com", "bert@example.org"], ["bert@example.org"]):
        assert len(folder.send(mail, recipients)) == len(recipients)
    assert [path.name for path in tmp_path.iterdir()] == [file_name(mail)]


def test_a_folder_that_takes_nothing_defers(tmp_path, make_mail, caplog):
    (tmp_path / "mail").write_text("a file where the folder should be")
    [result] = MailFolder(tmp_path / "mail").send(make_mail(), ["anna@example.com"]).values()
    assert result.state is DeliveryState.DEFERRED
    assert f"cannot be kept in {tmp_path}/mail" in result.error
    assert "cannot be kept" in caplog.text
