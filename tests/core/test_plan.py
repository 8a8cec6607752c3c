"""What becomes of the jobs when one set of files takes the place of another."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.catalog import CheckedFile
from runner.core.diagnostic import Diagnostic, Severity
from runner.core.documents import plan_document
from runner.core.job import Incremental, Job
from runner.core.names import LinkedJob, NamePlace
from runner.core.plan import Action, Comparison, InvalidState, Plan, PlanFile, Side
from runner.core.plan_diff import make_plan
from runner.core.plan_values import JobValue, changed_keys, masked_text, masked_value
from runner.core.source import DataSource, FileType, SourceType

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOURCE = DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV)


def file(path, name, *, schedule="0 9 * * *", people=("a@example.com",), digest="", **keys):
    job = Job(
        job_name=name,
        schedule_time=schedule,
        timezone=keys.pop("timezone", "UTC"),
        data_source=SOURCE,
        consumer_emails=people,
        path=path,
        **keys,
    )
    values = (
        JobValue(key="job_name", value=name),
        JobValue(key="schedule_time", value=schedule),
        JobValue(key="timezone", value=job.timezone, given=False),
        JobValue(key="consumer_emails", value=people),
        JobValue(key="suspend", value=job.suspend, given=job.suspend),
        JobValue(key="owner", value=job.owner),
        JobValue(key="description", value=job.description),
    )
    digest = digest or repr((path.rpartition("/")[2], values))
    checked = CheckedFile(path=path, digest=digest, job=replace(job, digest=digest), job_name=name)
    return PlanFile(file=checked, values=values)


def after(path, name, *names, **keys):
    """A file of a job that comes after others."""
    one = file(path, name, schedule=None, after=names, **keys)
    places = tuple(NamePlace(other, path, 2, 9) for other in names)
    values = (*(value for value in one.values if value.key != "schedule_time"), JobValue(key="after", value=names))
    return PlanFile(file=replace(one.file, after=places), values=values)


def bad(path, name=None, *, message="wrong", digest="bad", where=None):
    found = Diagnostic(path=where or path, rule="bad-value", message=message)
    return PlanFile(file=CheckedFile(path=path, digest=digest, job=None, job_name=name, diagnostics=(found,)))


def warned(one, rule, message="mind this"):
    found = Diagnostic(path=one.file.path, rule=rule, severity=Severity.WARNING, message=message)
    return replace(one, file=replace(one.file, diagnostics=(found,)))


def plan(before, after, **others):
    return make_plan(before, after, **others, now=NOW)


def actions(found):
    return {change.job.job_name: tuple(map(str, change.actions)) for change in found.jobs}


def test_the_same_is_no_change():
    files = [file("a.yaml", "a"), bad("b.yaml")]
    found = plan(files, files)
    assert (found.jobs, found.changed, found.broken) == ((), False, True)
    assert [(one.state, one.changed) for one in found.invalid] == [(InvalidState.STILL_INVALID, False)]
    assert plan([], []) == Plan()


def test_added_and_removed():
    found = plan([file("a.yaml", "a")], [file("b.yaml", "b", schedule="0 8 * * *", people=("b@example.com",))])
    assert actions(found) == {"a": ("removed",), "b": ("added",)}
    gone, come = found.jobs
    assert (gone.after, come.before) == (None, None)
    assert [key.key for key in come.keys] == ["job_name", "schedule_time", "consumer_emails", "description"]
    assert come.fires.after[0] == datetime(2026, 11, 24, 8, tzinfo=UTC)
    assert (len(come.fires.after), come.fires.before, gone.fires) == (3, (), None)


def test_changed_keys_are_told_with_their_values_and_the_file_they_are_from():
    before, after = file("a.yaml", "a"), file("a.yaml", "a")
    other = JobValue(key="timezone", value="Europe/Berlin", origin="jobs.d/_defaults.yaml")
    job = replace(after.file.job, timezone="Europe/Berlin")
    after = replace(
        after,
        file=replace(after.file, job=job),
        values=tuple(other if one.key == "timezone" else one for one in after.values),
    )
    (change,) = plan([before], [after]).jobs
    (key,) = change.keys
    assert change.actions == (Action.CHANGED,)
    assert (key.key, key.before, key.after) == ("timezone", "UTC", "Europe/Berlin")
    assert (key.before_origin, key.after_origin) == ("", "jobs.d/_defaults.yaml")
    assert change.fires.before[0].hour == 9
    assert change.fires.after[0].hour == 8


def test_a_file_that_differs_in_form_alone_is_edited():
    (change,) = plan([file("a.yaml", "a", digest="1")], [file("a.yaml", "a", digest="2")]).jobs
    assert (change.actions, change.keys, change.fires) == ((Action.EDITED,), (), None)


def test_a_job_that_comes_after_another_has_no_fires():
    before = [file("a.yaml", "a"), file("b.yaml", "b")]
    (change,) = plan(before, [file("a.yaml", "a"), after("b.yaml", "b", "a")]).jobs
    assert [(key.key, key.before, key.after) for key in change.keys] == [
        ("after", None, ("a",)),
        ("schedule_time", "0 9 * * *", None),
    ]
    assert (len(change.fires.before), change.fires.after) == (3, ())
    assert change.after.after == ("a",)


def test_what_comes_after_a_removed_job_is_newly_invalid():
    before = [file("a.yaml", "a"), after("b.yaml", "b", "a")]
    found = plan(before, [after("b.yaml", "b", "a")])
    assert actions(found) == {"a": ("removed",)}
    (invalid,) = found.invalid
    assert (invalid.path, invalid.state, invalid.kept.job_name) == ("b.yaml", InvalidState.NEWLY_INVALID, "b")
    assert [one.rule for one in invalid.diagnostics] == ["after-unknown-job"]
    assert not plan(before, [bad("a.yaml", "a"), after("b.yaml", "b", "a")]).jobs


def test_jobs_that_both_sides_have_alike_count_too():
    new = [after("b.yaml", "b", "a")]
    assert actions(plan([], new, alike=[LinkedJob("a.yaml", "a", "@daily")])) == {"b": ("added",)}
    alike = [LinkedJob("a.yaml", "a", "@daily", suspend=True)]
    assert [one.rule for one in plan([], new, alike=alike).warnings] == ["after-suspended-job"]
    (invalid,) = plan([], new, alike=[LinkedJob("a.yaml", "a", after=(NamePlace("b", "a.yaml"),))]).invalid
    assert [one.rule for one in invalid.diagnostics] == ["after-cycle"]


def test_a_job_may_come_after_the_last_good_version_that_a_service_goes_on_with():
    before = [file("a.yaml", "a"), file("b.yaml", "b")]
    broken = bad("a.yaml", "renamed_and_broken")
    found = plan(before, [broken, after("b.yaml", "b", "a")])
    assert [(one.path, one.kept.job_name) for one in found.invalid] == [("a.yaml", "a")]
    assert actions(found) == {"b": ("changed",)}
    found = plan([bad("a.yaml", "a"), file("b.yaml", "b")], [broken, after("b.yaml", "b", "a")])
    assert [one.path for one in found.invalid] == ["a.yaml", "b.yaml"]


def test_suspended_and_resumed():
    running, resting = file("a.yaml", "a"), file("a.yaml", "a", suspend=True)
    (change,) = plan([running], [resting]).jobs
    assert change.actions == (Action.SUSPENDED,)
    assert (len(change.fires.before), change.fires.after) == (3, ())
    (change,) = plan([resting], [running]).jobs
    assert change.actions == (Action.RESUMED,)
    assert (change.fires.before, len(change.fires.after)) == ((), 3)


def test_another_name_in_the_same_file_is_a_rename():
    (change,) = plan([file("a.yaml", "a")], [file("a.yaml", "b", schedule="0 8 * * *")]).jobs
    assert (change.before.job_name, change.after.job_name) == ("a", "b")
    assert change.actions == (Action.RENAMED, Action.CHANGED)


@pytest.mark.parametrize(
    ("name", "old", "new", "anew"),
    [
        ("a", ("id", 0), ("id", 0), False),
        ("a", ("id", 0), ("id", 5), True),
        ("a", ("id", 0), ("day", 0), True),
        ("b", ("id", 0), ("id", 0), True),
        ("b", None, ("id", 0), False),
        ("a", ("id", 0), None, False),
    ],
)
def test_a_load_that_begins_anew_is_told(name, old, new, anew):
    loads = [given and Incremental(cursor=given[0], initial_value=given[1]) for given in (old, new)]
    (change,) = make_plan(
        [file("a.yaml", "a", incremental=loads[0])],
        [file("a.yaml", name, incremental=loads[1], owner="a@example.com")],
        now=NOW,
    ).jobs
    assert change.loads_anew == anew
    side = Side(name="main", commit="1" * 40)
    (document,) = plan_document(Comparison(base=side, head=side, plan=Plan(jobs=(change,))))["jobs"]
    assert document["loads_anew"] == anew


def test_the_same_name_in_another_file_has_moved():
    assert actions(plan([file("a.yaml", "a")], [file("x/a.yaml", "a")])) == {"a": ("moved",)}


def test_another_name_and_file_is_a_rename_only_where_all_else_is_the_same():
    before = [file("a.yaml", "a", schedule="1 1 * * *")]
    assert actions(plan(before, [file("b.yaml", "b", schedule="1 1 * * *")])) == {"b": ("renamed", "moved")}
    other = [file("b.yaml", "b", schedule="2 1 * * *")]
    assert actions(plan(before, other)) == {"a": ("removed",), "b": ("added",)}


def test_two_that_are_alike_are_not_guessed_apart():
    found = plan([file("a.yaml", "a")], [file("b.yaml", "b"), file("c.yaml", "c")])
    assert actions(found) == {"a": ("removed",), "b": ("added",), "c": ("added",)}


def test_swapped_names_are_two_moves():
    found = plan([file("a.yaml", "a"), file("b.yaml", "b")], [file("a.yaml", "b"), file("b.yaml", "a")])
    assert actions(found) == {"a": ("moved", "edited"), "b": ("moved", "edited")}


def test_a_file_that_becomes_invalid_keeps_its_job():
    found = plan([file("a.yaml", "a")], [bad("a.yaml", "a")])
    assert found.jobs == ()
    (invalid,) = found.invalid
    assert (invalid.state, invalid.kept.job_name, found.changed) == (InvalidState.NEWLY_INVALID, "a", True)
    assert found.recipients_lost == ()


def test_a_job_that_goes_on_is_not_renamed_to_a_copy_of_it():
    for broken, path in ((bad("a.yaml"), "a.yaml"), (bad("c.yaml", "a"), "c.yaml")):
        found = plan([file("a.yaml", "a")], [broken, file("b.yaml", "b")])
        assert actions(found) == {"b": ("added",)}
        assert [(one.path, one.kept.job_name) for one in found.invalid] == [(path, "a")]


def test_renamed_and_broken_at_once_keeps_its_job():
    (invalid,) = plan([file("a.yaml", "a")], [bad("b.yaml", "a")]).invalid
    assert invalid.kept.job_name == "a"


def test_mended_and_gone():
    found = plan([bad("a.yaml"), bad("b.yaml")], [file("a.yaml", "a")])
    assert actions(found) == {"a": ("mended",)}
    assert [(one.path, one.state) for one in found.invalid] == [("b.yaml", InvalidState.GONE)]
    assert not found.broken


def test_a_name_belongs_to_the_file_that_had_it():
    held = file("b.yaml", "a")
    found = plan([held], [file("a.yaml", "a"), held])
    assert found.jobs == ()
    assert [(one.path, one.diagnostics[0].rule) for one in found.invalid] == [("a.yaml", "duplicate-job-name")]


def test_a_clash_that_ends_mends_the_file_that_stays():
    one, other = file("a.yaml", "x"), file("b.yaml", "x")
    found = plan([one, other], [one])
    assert actions(found) == {"x": ("mended",)}
    assert [invalid.path for invalid in found.invalid] == ["b.yaml"]


def test_recipients_gained_and_lost_over_all_jobs():
    before = [file("a.yaml", "a"), file("b.yaml", "b", people=("b@example.com",)), file("c.yaml", "c")]
    after = [
        file("a.yaml", "a", owner="boss@example.com"),
        file("b.yaml", "b", people=("b@example.com", "boss@example.com")),
    ]
    found = plan(before, after)
    assert [(one.address, one.job_names) for one in found.recipients_gained] == [("boss@example.com", ("a", "b"))]
    assert [(one.address, one.job_names) for one in found.recipients_lost] == [("a@example.com", ("c",))]


def test_only_new_warnings_are_told_and_missing_data_is_no_news():
    one = file("a.yaml", "a")
    before = [warned(one, "cron-both-days")]
    after = [warned(one, "cron-both-days"), warned(file("b.yaml", "b", schedule="0 8 * * *"), "many-runs")]
    assert [found.rule for found in plan(before, after).warnings] == ["many-runs"]
    assert plan([one], [warned(one, "missing-file")]).warnings == ()


def test_credentials_are_masked_in_findings():
    found = plan([], [bad("a.yaml", message="'https://u:hunter2@example.com' is no address")])
    assert "hunter2" not in str(found)


def value(text, key="processing_script"):
    return (JobValue(key=key, value=text),)


def test_a_text_of_several_lines_is_told_as_a_diff():
    (change,) = changed_keys(value("a\nb\nc\n"), value("a\nx\nc\n"))
    assert change.diff == ("@@ -1,3 +1,3 @@", " a", "-b", "+x", " c")
    (change,) = changed_keys(value("a\nb"), value("a\nb\n"))
    assert len(change.diff) == 1


def test_numbers_and_truth_values_are_told_apart():
    assert changed_keys(value(True), value(1)) != ()
    assert changed_keys(value(5.0), value(5)) == ()


@pytest.mark.parametrize(
    ("key", "given", "shown"),
    [
        ("data_source.location", "https://me:pass@x.example.com/", "https://***@x.example.com/"),
        ("data_source.location", "https://${env:U}:${env:P}@x.example.com/", None),
        (
            "data_source.location",
            "https://x.example.com/?api_key=abc&a=b",
            "https://x.example.com/?api_key=***&a=b",
        ),
        ("data_source.location", "https://x.example.com/?token=${env:T}", None),
        ("data_source.headers.Authorization", "Bearer ${env:T}", None),
        ("data_source.headers.Authorization", "Bearer abc", "Bearer ***"),
        ("data_source.headers.X-Api-Key", "abc", "***"),
        ("data_source.headers.Accept", "text/csv", None),
        ("data_source.params.sort_key", "amount", None),
        ("data_source.params.pin_token", 1234, "***"),
        ("data_source.auth.password", "x${env:P}", "***${env:P}"),
        ("data_source.auth.type", "basic", None),
        ("data_source.auth.header", "X-Api-Key", None),
        ("data_sources.orders.auth.token", "x${env:P}", "***${env:P}"),
        (
            "data_sources.orders.location",
            "postgresql://ann:pw-1@db.example.com/x?a=b",
            "postgresql://***@db.example.com/x?a=b",
        ),
        ("data_source.body", '{\n "password": "abcd"\n}', '{\n "password": "***"\n}'),
        ("processing_script", "key = 'AKIAABCDEFGHIJKLMNOP'", "key = '***'"),
        ("processing_script", "secret_name = 'abc'", "secret_name = '***'"),
        ("description", "Basic calculations of sales", None),
        ("tags", ("a", "b"), None),
    ],
)
def test_literal_credentials_are_masked(key, given, shown):
    assert masked_value(key, given) == (given if shown is None else shown)


def test_a_difference_in_what_is_masked_is_told():
    (change,) = changed_keys(value("a", "data_source.auth.token"), value("b", "data_source.auth.token"))
    assert (change.masked, change.before, change.after) == (True, "***", "***")


@pytest.mark.parametrize(
    "text",
    [
        "eyJ-" * 16_000,
        "password" * 8_000,
        "basic " * 11_000,
        "://" * 22_000,
        "?a" * 33_000,
        "a" * 65_000,
        "${" * 33_000,
        "token=" * 11_000,
        "://" + "a" * 65_000,
        "\n".join(f"x{n % 90}" for n in range(20_000)),
    ],
)
def test_no_text_takes_long(cpu_seconds, text):
    before, after = value(f"{text}\n1"), value(f"{text[::-1]}\n2")
    assert cpu_seconds(masked_text, text)[1] + cpu_seconds(changed_keys, before, after)[1] < 2


names = st.sampled_from(["a", "b", "c", "d"])
paths = st.sampled_from(["1.yaml", "2.yaml", "3.yaml", "x/4.yaml"])
good = st.builds(
    file,
    paths,
    names,
    schedule=st.sampled_from(["0 9 * * *", "0 8 * * *"]),
    people=st.sampled_from([("a@example.com",), ("b@example.com", "a@example.com")]),
    suspend=st.booleans(),
    owner=st.sampled_from([None, "o@example.com"]),
    description=st.sampled_from(["", "one\ntwo\n", "one\nthree\n"]),
    digest=st.sampled_from(["", "1", "2"]),
)
broken = st.builds(bad, paths, st.none() | names, digest=st.sampled_from(["x", "y"]))
sides = st.lists(good | broken, max_size=4, unique_by=lambda one: one.file.path)


def in_force(files):
    """The jobs of one side by name, as a plan of it against nothing has them."""
    return {one.file.job.job_name: one.file.job for one in files if one.file.job is not None}


def has_unique_names(files):
    found = [one.file.job.job_name for one in files if one.file.job is not None]
    return len(found) == len(set(found))


@given(sides.filter(has_unique_names), sides.filter(has_unique_names))
def test_a_plan_applied_to_the_old_jobs_gives_the_new_ones(before, after):
    found = plan(before, after)
    jobs = in_force(before)
    for change in found.jobs:
        if change.before is not None:
            assert jobs.pop(change.before.job_name) == change.before
    for invalid in found.invalid:
        if invalid.kept is not None:
            assert jobs.pop(invalid.kept.job_name) == invalid.kept
    for change in found.jobs:
        if change.after is not None:
            assert jobs.setdefault(change.after.job_name, change.after) is change.after
    wanted = {one.file.job.job_name: one for one in after if one.file.job is not None}
    assert jobs == in_force(after)
    for change in found.jobs:
        if change.before is not None and change.after is not None:
            old = next(one for one in before if one.file.job == change.before)
            told = {one.key: one.value for one in old.values} | {key.key: key.after for key in change.keys}
            assert told == {one.key: one.value for one in wanted[change.after.job_name].values}


@pytest.mark.long
@given(sides, sides, st.randoms(use_true_random=False))
def test_order_does_not_matter(before, after, random):
    found = plan(before, after)
    random.shuffle(before)
    random.shuffle(after)
    assert plan(before, after) == found


@given(sides)
def test_nothing_changes_where_nothing_differs(files):
    found = plan(files, list(files))
    assert not found.changed
    assert not found.recipients_gained + found.recipients_lost + found.warnings


@given(sides, sides)
def test_back_is_the_opposite_of_forth(before, after):
    forth, back = plan(before, after), plan(after, before)
    if has_unique_names(before) and has_unique_names(after):
        assert forth.changed == back.changed


def test_the_document_is_stable():
    found = plan([file("a.yaml", "a")], [file("a.yaml", "a", schedule="0 8 * * *"), bad("b.yaml")])
    document = plan_document(
        Comparison(
            base=Side(name="main", commit="1" * 40, merge_base=True),
            head=Side(name="HEAD", commit="2" * 40),
            plan=found,
            notes=("mind this",),
        )
    )
    assert document["base"] == {"name": "main", "commit": "1" * 40, "merge_base": True, "working_tree": False}
    assert document["changed"] is True
    (job,) = document["jobs"]
    assert (job["job_name"], job["actions"]) == ("a", ["changed"])
    assert job["keys"][0] == {
        "key": "schedule_time",
        "before": "0 9 * * *",
        "after": "0 8 * * *",
        "masked": False,
        "diff": None,
        "from_before": None,
        "from_after": None,
    }
    assert job["fires_after"][0] == "2026-11-24T08:00:00Z"
    assert document["invalid"][0]["state"] == "newly_invalid"
    assert document["invalid"][0]["diagnostics"][0]["rule"] == "bad-value"
