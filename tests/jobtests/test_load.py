import pytest

from runner.errors import RunnerError, UsageError
from runner.jobfiles.walk import FolderGoneError
from runner.jobtests.load import check_folder, find_job, load_tests

TESTS = "tests:\n  - {name: one, given: {data: []}, expect: {row_count: 0}}\n"


@pytest.fixture
def jobs(project):
    project.write(TESTS, name="orders")
    project.write(name="plain")
    project.write(TESTS, name="deep", file="sales/deep.yaml")
    project.write("nonsense: 1\n", name="broken")
    return project


def names(selection):
    return [job.job.job_name for job in selection.jobs], [result.job_name for result in selection.broken]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ((), (["orders", "plain", "deep"], ["broken"])),
        (("orders",), (["orders"], [])),
        (("jobs.d/plain.yaml", "orders", "orders"), (["orders", "plain"], [])),
        (("jobs.d/sales",), (["deep"], [])),
        (("broken",), ([], ["broken"])),
    ],
)
def test_jobs_by_name_file_and_folder(jobs, asked, found):
    assert names(jobs.select(*asked)) == found


def test_a_job_after_one_that_is_not_there_is_not_valid(jobs):
    for name, before in (("good", "orders"), ("lost", "ordres")):
        path = jobs.write(TESTS, name=name)
        path.write_text(path.read_text().replace('schedule_time: "@daily"', f"after: [{before}]"))
    selection = jobs.select("good", "lost")
    assert names(selection) == (["good"], ["lost"])
    (broken,) = selection.broken
    assert broken.message == "the job file is not valid: lost comes after ordres, and there is no such job"


def test_paths_may_start_at_the_working_folder(jobs):
    assert names(jobs.select("deep.yaml", folder=jobs.jobs / "sales")) == (["deep"], [])
    assert names(jobs.select(str(jobs.jobs / "plain.yaml"))) == (["plain"], [])


def test_an_unknown_name_is_told_with_the_nearest(jobs):
    with pytest.raises(UsageError, match="no job 'ordrs'") as caught:
        jobs.select("ordrs")
    assert "Did you mean 'orders'?" in caught.value.hint


def test_a_file_that_is_not_valid_is_told_at_its_place(jobs):
    (result,) = jobs.select("broken").broken
    assert (result.path, result.outcome, result.name) == ("jobs.d/broken.yaml", "error", "")
    assert result.line == (jobs.jobs / "broken.yaml").read_text().split("\n").index("nonsense: 1") + 1
    assert "unknown key 'nonsense'" in result.message


def test_a_file_whose_name_cannot_be_read_is_the_one_that_its_path_suggests(jobs):
    jobs.write(TESTS, name="stock", file="copy.yaml")
    for name in ("stock", "torn"):
        (jobs.jobs / f"{name}.yaml").write_text("\tjob_name: no one\n")
    assert names(jobs.select("stock", "torn")) == (["stock"], [""])
    with pytest.raises(UsageError) as caught:
        jobs.select("nosuch")
    assert "can be read in jobs.d/stock.yaml, jobs.d/torn.yaml: runner validate tells why" in caught.value.hint


def test_two_jobs_of_one_name_are_both_in_the_way(project):
    project.write(TESTS, name="orders")
    project.write(TESTS, name="orders", file="copy.yaml")
    assert names(project.select()) == ([], ["orders", "orders"])


def test_one_job_by_name(jobs):
    assert len(find_job(jobs.settings, "orders", folder=jobs.folder).tests) == 1
    with pytest.raises(UsageError, match="more than one job"):
        find_job(jobs.settings, "jobs.d", folder=jobs.folder)
    with pytest.raises(RunnerError, match=r"jobs\.d/broken\.yaml:\d+: the job file is not valid"):
        find_job(jobs.settings, "broken", folder=jobs.folder)


def test_no_folder_of_jobs(project):
    project.jobs.rmdir()
    with pytest.raises(FolderGoneError):
        project.select()


def test_a_key_in_escapes_is_a_key(project):
    project.write(TESTS.replace("tests:", '"\\x74ests":'))
    (job,) = project.select().jobs
    assert len(job.tests) == 1


def test_a_file_that_cannot_be_found_again_is_in_the_way(jobs):
    (file,) = [file for file in check_folder(jobs.jobs, jobs.folder, jobs.settings) if file.job_name == "orders"]
    (jobs.jobs / "orders.yaml").unlink()
    assert load_tests(file, jobs.folder).rule == "missing-file"
