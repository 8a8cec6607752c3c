"""A folder of jobs that holds no job file all at once, as after an unmount, as each verb shows it."""

import json
from dataclasses import replace

import pytest

from runner.service.lookup import find_job
from runner.store.store import Store


@pytest.fixture
def emptied(history, project):
    """Its jobs are in force with a service; the folder is empty now, and not on purpose."""
    with Store.open(history.storage_path) as store:
        store.save_jobs({"jobs.d/sales.yaml": find_job(history, "sales")})
    (project / "jobs.d" / "sales.yaml").unlink()
    return project / "jobs.d"


def said(folder):
    return (
        f"The folder {folder} holds no job file any more: every job stays in force as it was. Where it is a mount, "
        "see whether it is there; if there is to be no job, put a file .gitkeep into it."
    )


@pytest.mark.parametrize("verb", [("run", "sales"), ("show", "sales"), ("next", "sales"), ("history", "nosuch")])
def test_a_verb_that_needs_a_job_says_so(call, emptied, verb):
    done = call(*verb)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: there is no ")
    assert said(emptied) in done.stderr
    (emptied / ".gitkeep").touch()
    told = call(*verb).stderr
    assert "any more" not in told
    assert f"No job files in {emptied}. runner init makes a first one." in told


@pytest.mark.parametrize(("verb", "document"), [("list", {"jobs": []}), ("next", [])])
def test_a_verb_that_lists_says_so(call, emptied, verb, document):
    assert call(verb).stdout == f"{said(emptied)}\n"
    done = call(verb, "--json")
    assert (json.loads(done.stdout), done.stderr) == (document, f"{said(emptied)}\n")


def test_the_past_is_shown_as_ever(call, emptied, history):
    assert "001" in call("history", "sales").stdout
    assert call("history").exit_code == 0


def test_a_job_in_force_that_has_not_run_yet_is_known(call, emptied, history):
    with Store.open(history.storage_path) as store:
        (job,) = store.load_jobs().values()
        store.save_jobs({"jobs.d/idle.yaml": replace(job, job_name="idle")})
    done = call("history", "idle")
    assert (done.exit_code, done.stdout) == (0, f"No runs of idle in {history.storage_path}. {said(emptied)}\n")
