import json
import os
import subprocess
from datetime import UTC, datetime

import pytest

from runner.core.documents import plan_document
from runner.core.job_defaults import JobDefaults
from runner.errors import RunnerError
from runner.jobfiles.git.objects import ObjectStore
from runner.jobfiles.walk import SilentFolderError
from runner.planning.load import load_sides
from runner.planning.render import render
from runner.planning.sides import commit_side, working_side

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def actions(comparison):
    return {change.job.job_name: tuple(map(str, change.actions)) for change in comparison.plan.jobs}


def invalid(comparison):
    return {file.path: str(file.state) for file in comparison.plan.invalid}


def keys(comparison, name):
    change = next(one for one in comparison.plan.jobs if one.job.job_name == name)
    return {key.key: (key.before, key.after) for key in change.keys}


def test_nothing_changed(branch):
    found = branch.plan()
    assert not found.plan.changed
    assert (found.base.merge_base, found.base.commit, found.notes) == (False, found.head.commit, ())


def test_added_changed_removed_renamed_and_suspended(branch):
    branch.job("one", schedule="0 8 * * *")
    branch.git("rm", "-q", "jobs.d/two.yaml")
    branch.job("three", path="jobs.d/deep/er/three.yaml", more="suspend: true\n")
    branch.commit()
    assert actions(branch.plan()) == {"one": ("changed",), "three": ("added",), "two": ("removed",)}
    branch.job("uno", path="jobs.d/one.yaml", schedule="0 8 * * *", more="suspend: true\n")
    branch.commit()
    assert actions(branch.plan(base="HEAD~1")) == {"uno": ("renamed", "changed", "suspended")}


def test_a_service_does_not_believe_that_all_jobs_are_gone_unless_a_file_says_so(branch):
    branch.git("rm", "-rq", "jobs.d")
    branch.commit()
    found = branch.plan()
    assert set(actions(found).values()) == {("removed",)}
    assert ["goes on with every job" in note for note in found.notes] == [True]
    branch.write("jobs.d/.gitkeep", "")
    branch.commit()
    assert branch.plan().notes == ()
    branch.git("rm", "-q", "jobs.d/.gitkeep")
    assert ["goes on with every job" in note for note in branch.plan(working_tree=True).notes] == [True]


def test_a_moved_file_and_a_moved_and_renamed_one(branch):
    branch.git("mv", "jobs.d/one.yaml", "jobs.d/first.yaml")
    branch.commit()
    assert actions(branch.plan()) == {"one": ("moved",)}
    branch.git("mv", "jobs.d/two.yaml", "jobs.d/second.yaml")
    text = (branch.path / "jobs.d/second.yaml").read_text().replace("job_name: two", "job_name: second")
    branch.write("jobs.d/second.yaml", text)
    branch.commit()
    assert actions(branch.plan())["second"] == ("renamed", "moved")


def test_only_comments(branch):
    branch.job("one", more="# why\n")
    branch.commit()
    assert actions(branch.plan()) == {"one": ("edited",)}


def test_broken_mended_and_still_broken(branch):
    branch.write("jobs.d/one.yaml", "job_name: one\n")
    branch.commit()
    found = branch.plan()
    assert invalid(found) == {"jobs.d/one.yaml": "newly_invalid"}
    assert found.plan.invalid[0].kept.job_name == "one"
    assert all(one.path == "jobs.d/one.yaml" for one in found.plan.invalid[0].diagnostics)
    branch.commit()
    assert invalid(branch.plan(base="HEAD~1")) == {"jobs.d/one.yaml": "still_invalid"}
    branch.job("one")
    branch.commit()
    assert actions(branch.plan(base="HEAD~1")) == {"one": ("mended",)}
    branch.write("jobs.d/latin.yaml", "x")
    (branch.path / "jobs.d/latin.yaml").write_bytes(b"\xff")
    branch.commit()
    assert invalid(branch.plan(base="HEAD~1")) == {"jobs.d/latin.yaml": "newly_invalid"}


def test_a_second_file_of_a_name_is_the_one_at_fault(branch):
    branch.job("one", path="jobs.d/another.yaml")
    branch.commit()
    found = branch.plan()
    assert actions(found) == {}
    assert invalid(found) == {"jobs.d/another.yaml": "newly_invalid"}
    branch.git("rm", "-q", "jobs.d/one.yaml")
    branch.commit()
    assert actions(branch.plan()) == {"one": ("moved",)}
    again = branch.plan(base="HEAD~1")
    assert actions(again) == {"one": ("mended",)}
    assert dict(keys(again, "one"))["schedule_time"] == (None, "0 9 * * *")


def test_defaults_change_every_job_they_touch(branch):
    branch.write("jobs.d/_defaults.yaml", "timezone: Europe/Berlin\nowner: team@example.com\n")
    branch.commit()
    found = branch.plan()
    assert actions(found) == {"one": ("changed",), "two": ("changed",)}
    one, two = found.plan.jobs
    assert {key.key: key.after_origin for key in one.keys} == dict.fromkeys(
        ("timezone", "owner"), "jobs.d/_defaults.yaml"
    )
    assert [key.key for key in two.keys] == ["timezone"]
    assert [one.address for one in found.plan.recipients_gained] == ["team@example.com"]
    assert one.fires.before != one.fires.after
    branch.git("rm", "-q", "jobs.d/_defaults.yaml")
    branch.commit()
    back = branch.plan(base="HEAD~1").plan.jobs[0]
    assert {key.key: key.before_origin for key in back.keys}["timezone"] == "jobs.d/_defaults.yaml"


def test_defaults_of_a_folder_touch_it_alone(branch):
    branch.job("three", path="jobs.d/sub/three.yaml")
    branch.commit()
    branch.write("jobs.d/sub/_defaults.yaml", "tags: [x]\n")
    branch.commit()
    assert actions(branch.plan(base="HEAD~1")) == {"three": ("changed",)}


def test_a_policy_makes_jobs_invalid_and_bounds_them(branch):
    branch.write("jobs.d/_policy.yaml", "max_timeout_seconds: 60\nrequire_owner: true\n")
    branch.commit()
    found = branch.plan()
    assert invalid(found) == {"jobs.d/one.yaml": "newly_invalid"}
    assert keys(found, "two") == {"timeout_seconds": (300.0, 60)}
    assert found.plan.jobs[0].keys[0].after_origin == "jobs.d/_policy.yaml"


def test_a_policy_that_changes_no_job_is_told(branch):
    told = "jobs.d/_policy.yaml bounds every job otherwise after this: "
    branch.write(
        "jobs.d/_policy.yaml", "allowed_hosts: [api.example.com, x.example.com]\nmax_timeout_seconds: 900\n"
    )
    branch.commit()
    found = branch.plan()
    assert (found.plan.changed, found.notes) == (False, (f"{told}allowed_hosts, max_timeout_seconds.",))
    branch.write(
        "jobs.d/_policy.yaml",
        "# why\nmax_timeout_seconds: 900\nallowed_hosts:\n  - x.example.com\n  - api.example.com\n",
    )
    branch.commit()
    assert branch.plan(base="HEAD~1").notes == ()
    branch.git("rm", "-q", "jobs.d/_policy.yaml")
    branch.commit()
    assert branch.plan(base="HEAD~1").notes == (f"{told}allowed_hosts, max_timeout_seconds.",)
    assert branch.plan(base="HEAD~1", head="HEAD~2").notes == ()
    branch.write("jobs.d/_policy.yaml", "require_owner: false\nprivate_hosts: [db.example.com]\n")
    assert branch.plan(base="HEAD", working_tree=True).notes == (f"{told}private_hosts.",)


def test_a_broken_policy_is_told_of_every_file(branch):
    branch.write("jobs.d/_policy.yaml", "max_timeout: 60\n")
    branch.commit()
    found = branch.plan()
    assert set(invalid(found)) == {"jobs.d/one.yaml", "jobs.d/two.yaml"}
    assert {one.path for file in found.plan.invalid for one in file.diagnostics} == {"jobs.d/_policy.yaml"}
    assert found.notes == ()


def test_a_script_in_a_file_of_its_own(branch):
    branch.write("scripts/top.py", "result = data.head(1)\n")
    branch.job("one", more="processing_script_file: scripts/top.py\n")
    branch.job("two", more="processing_script_file: scripts/top.py\n")
    branch.commit()
    branch.write("scripts/top.py", "result = data.head(2)\n")
    branch.commit()
    found = branch.plan(base="HEAD~1")
    assert actions(found) == {"one": ("changed",), "two": ("changed",)}
    (key,) = found.plan.jobs[0].keys
    assert (key.key, key.after_origin) == ("processing_script", "scripts/top.py")
    assert key.diff[-2:] == ("-result = data.head(1)", "+result = data.head(2)")
    branch.git("rm", "-q", "scripts/top.py")
    branch.commit()
    assert set(invalid(branch.plan(base="HEAD~1"))) == {"jobs.d/one.yaml", "jobs.d/two.yaml"}


def test_a_link_that_leads_elsewhere_changes_the_job_behind_it(branch):
    branch.job("three", path="real/three.yaml")
    branch.job("three", path="real/other.yaml", schedule="0 8 * * *")
    (branch.path / "jobs.d/three.yaml").symlink_to("../real/three.yaml")
    branch.commit()
    (branch.path / "jobs.d/three.yaml").unlink()
    (branch.path / "jobs.d/three.yaml").symlink_to("../real/other.yaml")
    branch.commit()
    assert actions(branch.plan(base="HEAD~1")) == {"three": ("changed",)}


def test_a_link_on_the_way_to_data_counts_where_a_policy_bounds_paths(branch):
    file_job = "job_name: f\nschedule_time: '0 9 * * *'\ndata_source:\n  source_type: file\n"
    file_job += "  location: data/x.csv\n  file_type: csv\nconsumer_emails: [a@example.com]\n"
    branch.write("jobs.d/f.yaml", file_job)
    branch.write("jobs.d/_policy.yaml", "data_roots: [data]\n")
    branch.write("data/x.csv", "a\n1\n")
    branch.write("private/x.csv", "a\n1\n")
    branch.commit()
    (branch.path / "data/x.csv").unlink()
    (branch.path / "data/x.csv").symlink_to("../private/x.csv")
    branch.commit()
    assert invalid(branch.plan(base="HEAD~1")) == {"jobs.d/f.yaml": "newly_invalid"}


def test_the_base_is_where_the_two_parted(branch):
    parted = branch.git("rev-parse", "HEAD")
    branch.job("three")
    branch.commit()
    branch.git("checkout", "-q", "main")
    branch.git("rm", "-q", "jobs.d/two.yaml")
    branch.commit()
    branch.git("checkout", "-q", "change")
    found = branch.plan()
    assert actions(found) == {"three": ("added",)}
    assert (found.base.commit, found.base.merge_base, found.base.name) == (parted, True, "main")


def test_unrelated_histories_are_compared_as_they_are(branch):
    branch.git("checkout", "-q", "--orphan", "fresh")
    branch.job("three")
    branch.commit()
    found = branch.plan()
    assert actions(found) == {"three": ("added",)}
    assert "no common commit" in found.notes[0]


def test_head_is_any_commit(branch):
    branch.job("three")
    branch.commit()
    branch.git("checkout", "-q", "main")
    assert actions(branch.plan(head="change")) == {"three": ("added",)}
    assert actions(branch.plan(base="HEAD", head="change")) == {"three": ("added",)}


def test_the_files_on_disk(branch):
    branch.job("one", schedule="0 8 * * *")
    branch.job("three")
    found = branch.plan()
    assert actions(found) == {}
    assert "--working-tree" in found.notes[0]
    found = branch.plan(working_tree=True)
    assert actions(found) == {"one": ("changed",), "three": ("added",)}
    assert (found.head.working_tree, found.notes) == (True, ())


def test_no_file_and_no_index_is_touched(branch):
    branch.job("three")
    branch.commit()
    branch.job("four")

    def state():
        return {
            path: (path.stat().st_mtime_ns, path.read_bytes())
            for path in branch.path.rglob("*")
            if path.is_file() and path.parent.name != "objects"
        }

    before = state()
    branch.plan()
    branch.plan(working_tree=True)
    assert state() == before


def test_a_folder_on_one_side_alone(jobs):
    jobs.commit()
    jobs.git("checkout", "-qb", "change")
    jobs.job("one")
    jobs.commit()
    assert actions(jobs.plan()) == {"one": ("added",)}
    jobs.git("rm", "-qr", "jobs.d")
    jobs.commit()
    assert actions(jobs.plan(base="HEAD~1")) == {"one": ("removed",)}
    with pytest.raises(RunnerError, match=r"no folder jobs\.d on either side"):
        jobs.plan(base="main")


def test_the_folder_of_jobs_lies_anywhere(branch, tmp_path):
    branch.job("deep", path="teams/a/reports/deep.yaml", more="processing_query_file: q.sql\n")
    branch.write("teams/a/q.sql", "SELECT 1 AS one FROM data\n")
    branch.commit()
    env = {"JOBS_DIR": "teams/a/reports"}
    found = branch.plan(env=env)
    assert actions(found) == {"deep": ("added",)}
    assert found.plan.jobs[0].job.path == "reports/deep.yaml"
    assert actions(branch.plan(env={"JOBS_DIR": "reports"}, folder=branch.path / "teams" / "a")) == {
        "deep": ("added",)
    }
    (branch.path / "linked").symlink_to("teams/a/reports")
    branch.write("q.sql", "SELECT 1 AS one FROM data\n")
    branch.commit()
    assert actions(branch.plan(env={"JOBS_DIR": "linked"})) == {"deep": ("added",)}


def test_a_repository_whose_files_lie_elsewhere(branch, tmp_path):
    branch.git("config", "core.worktree", str(tmp_path))
    (tmp_path / "jobs.d").mkdir()
    branch.git("config", "core.worktree", str(tmp_path / "jobs.d"))
    with pytest.raises(RunnerError, match="not in the repository"):
        branch.plan()


def test_the_repository_itself_as_the_folder_of_jobs(branch):
    branch.job("top", path="top.yaml")
    branch.commit()
    branch.job("later")
    found = branch.plan(env={"JOBS_DIR": "."})
    assert actions(found) == {"top": ("added",)}
    assert len(found.notes) == 1


def test_settings_hold_on_both_sides(branch):
    branch.job("one", schedule="0 8 * * *")
    branch.commit()
    found = branch.plan(env={"TIMEZONE": "Asia/Tokyo", "SCRIPT_TIMEOUT": "77"})
    assert set(keys(found, "one")) == {"schedule_time"}
    assert found.plan.jobs[0].job.timezone == "Asia/Tokyo"
    assert found.plan.jobs[0].before.timeout_seconds == 77


def test_odd_names_of_files(branch):
    for name in ("a b", "quo\"te's", "line\nfeed", "ü", "tab\tbed"):
        branch.job(f"job{len(name)}{ord(name[1]) if len(name) > 1 else 0}", path=f"jobs.d/{name}.yaml")
    for number in (0xFE, 0xFF):
        name = os.fsdecode(b"raw" + bytes([number]) + b".yaml")
        text = (branch.path / "jobs.d/one.yaml").read_text().replace("one", f"raw{number}")
        (branch.path / "jobs.d" / name).write_text(text)
    branch.commit()
    found = branch.plan()
    assert len(found.plan.jobs) == 5
    assert invalid(found) == dict.fromkeys(["jobs.d/raw\ufffd.yaml", r"jobs.d/raw\xff.yaml"], "newly_invalid")
    json.dumps(plan_document(found)).encode()
    assert actions(branch.plan(working_tree=True)) == actions(found)


def test_a_shallow_clone_says_how_to_have_the_base(branch, clone):
    branch.job("three")
    branch.commit()
    shallow = clone(branch, "--depth=1", "--branch=change")
    with pytest.raises(RunnerError, match="shallow clone") as caught:
        shallow.plan()
    assert "fetch-depth: 0" in caught.value.hint
    remedy = caught.value.hint.removeprefix("Fetch it: ").split(";")[0]
    subprocess.run(remedy.split(), cwd=shallow.path, check=True, capture_output=True)
    found = shallow.plan()
    assert found.base.name == "origin/main"
    assert actions(found) == {"three": ("added",)}
    assert [note for note in found.notes if "origin/main is taken" in note]
    subprocess.run(["git", "fetch", "-q", "--unshallow"], cwd=shallow.path, check=True, capture_output=True)
    assert shallow.plan().base.commit == branch.git("rev-parse", "main")


def test_a_clone_without_a_checkout_is_enough(branch, clone):
    branch.job("three")
    branch.commit()
    bare = clone(branch, "--bare")
    assert actions(bare.plan(head="change")) == {"three": ("added",)}
    empty = clone(branch, "--no-checkout", "--branch=change")
    assert actions(empty.plan(base="origin/main")) == {"three": ("added",)}


def test_only_what_can_matter_is_given_to_the_plan(branch):
    branch.job("one", schedule="0 8 * * *")
    branch.write("jobs.d/broken.yaml", "job_name: broken\n")
    branch.commit()
    branch.job("three")
    branch.job("one", schedule="0 7 * * *")
    branch.commit()
    with ObjectStore(branch.path) as store:
        base, head = (
            commit_side(store, store.find_commit(name).object_id, branch.path / "jobs.d", branch.path)
            for name in ("HEAD~1", "HEAD")
        )
        disk = working_side(branch.path / "jobs.d", branch.path)
        for other in (head, disk):
            sides = load_sides(base, other, jobs_dir="jobs.d", defaults=JobDefaults(), now=NOW)
            names = [[one.file.job_name for one in files] for files in (sides.base, sides.head)]
            assert [sorted(some) for some in names] == [["broken", "one"], ["broken", "one", "three"]]


def test_a_name_that_an_unchanged_file_has_is_seen(branch):
    branch.job("two", path="jobs.d/again.yaml")
    branch.commit()
    found = branch.plan()
    assert [(file.path, file.diagnostics[0].rule) for file in found.plan.invalid] == [
        ("jobs.d/again.yaml", "duplicate-job-name")
    ]
    branch.git("checkout", "-qb", "less")
    branch.git("rm", "-q", "jobs.d/again.yaml")
    branch.commit()
    assert actions(branch.plan(base="change")) == {"two": ("mended",)}


def test_an_unchanged_broken_file_takes_over_the_job_of_its_name(branch):
    branch.write("jobs.d/broken.yaml", "job_name: two\n")
    branch.commit()
    branch.git("rm", "-q", "jobs.d/two.yaml")
    branch.commit()
    found = branch.plan(base="HEAD~1")
    (file,) = found.plan.invalid
    assert (file.kept.job_name, str(file.state), found.plan.changed) == ("two", "still_invalid", True)


def test_jobs_that_come_after_others(branch):
    def job(name, *names):
        branch.job(name)
        path = branch.path / f"jobs.d/{name}.yaml"
        path.write_text(path.read_text().replace('schedule_time: "0 9 * * *"', f"after: [{', '.join(names)}]"))

    job("report", "one", "two")
    branch.job("sums")
    branch.commit()
    found = branch.plan()
    assert (actions(found), invalid(found)) == ({"report": ("added",), "sums": ("added",)}, {})
    assert plan_document(found)["jobs"][0]["after"] == ["one", "two"]
    job("sums", "one")
    branch.commit()
    assert keys(branch.plan(base="HEAD~1"), "sums") == {
        "schedule_time": ("0 9 * * *", None),
        "after": (None, ("one",)),
    }
    text = render(branch.plan(base="HEAD~1"), "text")
    assert "next fires: none of its own, it runs after one\n" in text


def test_an_unchanged_job_whose_upstream_changes_is_told(branch):
    branch.job("report")
    path = branch.path / "jobs.d/report.yaml"
    path.write_text(path.read_text().replace('schedule_time: "0 9 * * *"', "after: [one, two]"))
    branch.commit()
    branch.git("rm", "-q", "jobs.d/two.yaml")
    branch.commit()
    found = branch.plan(base="HEAD~1")
    assert actions(found) == {"two": ("removed",)}
    assert invalid(found) == {"jobs.d/report.yaml": "newly_invalid"}
    assert found.plan.invalid[0].kept.job_name == "report"
    branch.job("two", schedule="0 10 * * *")
    branch.commit()
    found = branch.plan(base="HEAD~1")
    assert actions(found) == {"report": ("mended",), "two": ("added",)}
    assert [one.rule for one in found.plan.warnings] == ["after-never-meets"]
    # The two that have not changed count as well.
    branch.job("other")
    branch.commit()
    assert [one.rule for one in branch.plan(base="HEAD~1").plan.warnings] == []


SOURCES = """\
job_name: joined
schedule_time: "0 9 * * *"
data_sources:
  orders: {{source_type: api, location: "https://api.example.com/orders", retries: {retries}}}
  stock:
    source_type: database
    location: postgresql://ann:${{env:PW}}@{host}/stock
    query: SELECT 1
checks:
  - unique: {column}
consumer_emails: [a@example.com]
"""


def test_sources_and_checks_are_compared_value_by_value(branch):
    branch.write("jobs.d/joined.yaml", SOURCES.format(retries=3, host="db.example.com", column="a"))
    branch.commit()
    branch.write("jobs.d/joined.yaml", SOURCES.format(retries=5, host="db.example.org", column="b"))
    branch.commit()
    (change,) = branch.plan("HEAD~1").plan.jobs
    assert [key.key for key in change.keys] == [
        "data_sources.orders.retries",
        "data_sources.stock.location",
        "checks",
    ]
    retries, location, checks = change.keys
    assert (retries.before, retries.after) == (3, 5)
    assert location.after == "postgresql://***${env:PW}@db.example.org/stock"
    assert '+    "unique": "b"' in checks.diff


@pytest.mark.parametrize("working_tree", [False, True])
def test_a_folder_that_does_not_answer_is_told(branch, mount, working_tree):
    mount.path = branch.path / "jobs.d"
    mount.goes()
    with pytest.raises(SilentFolderError, match="does not answer"):
        branch.plan(working_tree=working_tree)
