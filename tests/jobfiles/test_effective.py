import pytest

from runner.core.effective import Origin
from runner.core.job_defaults import JobDefaults
from runner.jobfiles.load import JobFolder


@pytest.fixture
def values(project, write, minimal):
    def call(extra="", **layers):
        for name, text in layers.items():
            write(f"jobs.d/_{name}.yaml", text)
        write("jobs.d/sales.yaml", minimal + extra)
        folder = JobFolder(project / "jobs.d", project, JobDefaults(timezone="Asia/Tokyo", timeout_seconds=300.0))
        (file,) = folder.scan()
        found = {value.name: value for value in folder.effective("jobs.d/sales.yaml")}
        return file.job, found

    return call


def origin(value):
    return (value.value, value.origin, value.source, value.line)


def test_every_value_has_its_origin(values):
    _, found = values(
        "delivery: {on_empty: skip}\n",
        defaults="owner: a@example.com\ndelivery:\n  preview_rows: 5\n",
        policy="max_timeout_seconds: 60\n",
    )
    assert origin(found["job_name"]) == ("sales", Origin.FILE, "jobs.d/sales.yaml", 1)
    assert origin(found["data_source.location"]) == ("sales.csv", Origin.FILE, "jobs.d/sales.yaml", 5)
    assert origin(found["owner"]) == ("a@example.com", Origin.DEFAULTS, "jobs.d/_defaults.yaml", 1)
    assert origin(found["delivery.on_empty"]) == ("skip", Origin.FILE, "jobs.d/sales.yaml", 9)
    assert origin(found["delivery.preview_rows"]) == (5, Origin.DEFAULTS, "jobs.d/_defaults.yaml", 3)
    assert origin(found["delivery.notify_failures"]) == ("consumers", Origin.BUILT_IN, "", None)
    assert origin(found["timezone"]) == ("Asia/Tokyo", Origin.SETTING, "TIMEZONE", None)
    assert origin(found["timeout_seconds"]) == (60, Origin.POLICY, "jobs.d/_policy.yaml", None)
    assert origin(found["resources.memory_mb"]) == (2048, Origin.BUILT_IN, "", None)


def test_the_effective_values_are_those_of_the_job(values):
    job, found = values("suspend: true\n", defaults="resources: {memory_mb: 99}\n", policy="max_memory_mb: 100\n")
    assert found["timezone"].value == job.timezone
    assert found["timeout_seconds"].value == job.timeout_seconds
    assert repr(found["timeout_seconds"].value) == "300"
    assert found["resources.memory_mb"].value == job.resources.memory_mb == 99
    assert found["on_missed"].value == job.on_missed
    assert found["suspend"].value is job.suspend is True
    assert found["delivery.preview_rows"].value == job.delivery.preview_rows


def test_a_job_after_others_has_nothing_of_schedules(values, write, minimal):
    defaults = "on_missed: skip\nstarting_deadline_seconds: 60\nretry: {limit: 3}\n"
    _, found = values("retry: {backoff_seconds: 5}\n", defaults=defaults)
    assert origin(found["on_missed"]) == ("skip", Origin.DEFAULTS, "jobs.d/_defaults.yaml", 1)
    assert origin(found["retry.limit"]) == (3, Origin.DEFAULTS, "jobs.d/_defaults.yaml", 3)
    assert origin(found["retry.max_delay_seconds"]) == (3600, Origin.BUILT_IN, "", None)
    text = minimal.replace('schedule_time: "0 9 * * 1-5"', "after: [orders]")
    path = write("jobs.d/sales.yaml", text)
    folder = JobFolder(path.parent, path.parent.parent, JobDefaults())
    assert folder.scan()[0].job.after == ("orders",)
    found = {value.name: value for value in folder.effective("jobs.d/sales.yaml")}
    assert origin(found["after"]) == (["orders"], Origin.FILE, "jobs.d/sales.yaml", 2)
    assert {"schedule_time", "on_missed", "starting_deadline_seconds"}.isdisjoint(found)
    assert found["concurrency_policy"].value == "forbid"


def test_what_the_kind_of_source_does_not_know_is_not_shown(values):
    _, found = values()
    assert {name for name in found if name.startswith("data_source")} == {
        "data_source.source_type",
        "data_source.location",
        "data_source.file_type",
    }


def test_several_sources_and_what_belongs_to_them_are_told_value_by_value(values, write, minimal):
    text = minimal.replace("data_source:\n", "data_sources:\n  orders:\n").replace(
        "  source_type", "    source_type"
    )
    text = text.replace("  location", "    location").replace("  file_type", "    file_type")
    text += "incremental: {cursor: a, initial_value: 0}\nprocessing_script: result = data[data.a > run.cursor]\n"
    path = write("jobs.d/sales.yaml", text + "checks: [{unique: a}]\n")
    folder = JobFolder(path.parent, path.parent.parent, JobDefaults())
    assert folder.scan()[0].diagnostics == ()
    found = {value.name: value for value in folder.effective("jobs.d/sales.yaml")}
    assert {name for name in found if name.startswith("data_source")} == {
        "data_sources.orders.source_type",
        "data_sources.orders.location",
        "data_sources.orders.file_type",
    }
    assert origin(found["data_sources.orders.location"]) == ("sales.csv", Origin.FILE, "jobs.d/sales.yaml", 6)
    assert (found["incremental.cursor"].value, found["checks"].value) == ("a", [{"unique": "a"}])
    assert not [name for name in found if name.startswith("chart")]
