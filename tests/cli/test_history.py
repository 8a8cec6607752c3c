"""`runner history`."""


def test_a_job_without_runs_and_one_that_nobody_knows(call, project, history):
    (project / "jobs.d" / "idle.yaml").write_text(
        (project / "jobs.d" / "sales.yaml").read_text().replace("sales", "idle")
    )
    idle = call("history", "idle")
    assert (idle.exit_code, idle.stdout) == (
        0,
        f"No runs of idle in {history.storage_path}. runner run idle makes one now.\n",
    )
    for form in ((), ("--json",)):
        unknown = call("history", "idles", *form)
        assert (unknown.exit_code, unknown.stdout) == (2, "")
        assert "no job 'idles'" in unknown.stderr
        assert "Did you mean 'idle'?" in unknown.stderr
        far = call("history", "nosuch", *form)
        assert far.exit_code == 2
        assert "no job 'nosuch'" in far.stderr
        assert "Did you mean" not in far.stderr


def test_a_job_of_the_past_is_known(call, project, history):
    (project / "jobs.d" / "sales.yaml").unlink()
    (project / "jobs.d").rmdir()
    assert "001" in call("history", "sales").stdout
    assert "Did you mean 'sales'?" in call("history", "sale").stderr
