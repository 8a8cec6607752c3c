import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.job_defaults import JobDefaults
from runner.jobfiles.document import Document
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.layers import Layer, LayerReader, Layers
from runner.jobfiles.load import JobFolder
from runner.jobfiles.parse import parse

TREES = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(st.sampled_from("abc"), TREES, max_size=3)


@pytest.fixture
def reader(project):
    return LayerReader(WorkingFiles(project), str(project / "jobs.d"), "jobs.d/", lambda _path, _document: ())


@pytest.fixture
def folder(project):
    return JobFolder(project / "jobs.d", project, JobDefaults(timeout_seconds=300))


def rules(layers):
    return [(found.path, found.rule, str(found.severity)) for found in layers.diagnostics]


def only(folder):
    (file,) = folder.scan()
    return file


def test_without_files_nothing_holds(reader):
    assert reader.layers("team/x") == Layers()


def test_the_nearest_defaults_win_key_by_key(reader, write):
    write(
        "jobs.d/_defaults.yaml",
        "timezone: UTC\nowner: a@example.com\nresources: {memory_mb: 100, cpu_seconds: 5}\n",
    )
    write("jobs.d/team/_defaults.yaml", "owner: b@example.com\nresources: {memory_mb: 200}\n")
    layers = reader.layers("team/x")
    assert rules(layers) == []
    assert layers.merged({"resources": {"cpu_seconds": 1}, "tags": ["x"]}) == {
        "timezone": "UTC",
        "owner": "b@example.com",
        "resources": {"cpu_seconds": 1, "memory_mb": 200},
        "tags": ["x"],
    }
    value, layer = layers.default(("resources", "cpu_seconds"))
    assert (value, layer.path) == (5, "jobs.d/_defaults.yaml")
    assert layers.digest != reader.layers("").digest != ""


def document(data):
    return Document(text="", data=data)


def slow_merge(data, *defaults):
    """Each leaf by itself: the first file that has anything at a place that is no mapping decides it."""
    merged = {}
    for key in {key for one in (data, *defaults) for key in one}:
        first, *rest = [one[key] for one in (data, *defaults) if key in one]
        below = []
        for value in rest:
            if not isinstance(value, dict):
                continue
            below.append(value)
        merged[key] = slow_merge(first, *below) if isinstance(first, dict) else first
    return merged


@given(DATA, DATA, DATA)
def test_merging_is_by_leaf(data, near, far):
    layers = Layers(
        defaults=(Layer(path="near", document=document(near)), Layer(path="far", document=document(far)))
    )
    assert layers.merged(data) == slow_merge(data, near, far)


def test_a_policy_counts_at_the_top_alone(reader, write):
    write("jobs.d/_policy.yaml", "max_memory_mb: 512\nallowed_hosts: [api.example.com]\n")
    write("jobs.d/team/_policy.yaml", "max_memory_mb: 9999\n")
    layers = reader.layers("team")
    assert (layers.policy.max_memory_mb, layers.policy.allowed_hosts) == (512, ("api.example.com",))
    assert rules(layers) == [("jobs.d/team/_policy.yaml", "policy-misplaced", "error")]


def test_misnamed_files_are_told(reader, write):
    write("jobs.d/_defaults.yml", "timezone: UTC\n")
    write("jobs.d/_policies.yaml", "max_memory_mb: 512\n")
    assert sorted(rules(reader.layers(""))) == [
        ("jobs.d/_defaults.yml", "settings-file-name", "warning"),
        ("jobs.d/_policies.yaml", "settings-file-name", "warning"),
    ]


def test_names_in_capitals_are_told_unless_the_file_itself_is_there(reader, write):
    write("jobs.d/_policy.YAML", "max_memory_mb: 512\n")
    assert rules(reader.layers("")) == [("jobs.d/_policy.YAML", "settings-file-name", "warning")]
    # As on a file system that takes the one name for the other.
    write("jobs.d/team/_Defaults.yaml", "timezone: UTC\n")
    write("jobs.d/team/_defaults.yaml", "timezone: UTC\n")
    assert [path for path, *_ in rules(reader.layers("team"))] == ["jobs.d/_policy.YAML"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("timezone: [\n", "yaml-syntax"),
        ("", "empty-file"),
        ("- a\n", "wrong-type"),
        ("job_name: x\n", "unknown-key"),
        ("timeout_seconds: 0\n", "out-of-range"),
    ],
)
def test_bad_defaults_are_told_at_their_place(reader, write, text, rule):
    write("jobs.d/_defaults.yaml", text)
    assert rules(reader.layers("team")) == [("jobs.d/_defaults.yaml", rule, "error")]


def test_a_job_has_the_values_of_its_folders(folder, write, minimal):
    write("jobs.d/sales.yaml", minimal + "resources: {cpu_seconds: 3}\n")
    write("jobs.d/_defaults.yaml", "timezone: Asia/Tokyo\nresources: {memory_mb: 256, cpu_seconds: 9}\n")
    write("jobs.d/_policy.yaml", "max_timeout_seconds: 60\nmax_memory_mb: 1000\n")
    job = only(folder).job
    assert (job.timezone, job.resources.memory_mb, job.resources.cpu_seconds) == ("Asia/Tokyo", 256, 3)
    assert job.timeout_seconds == 60.0


def test_a_policy_bounds_what_a_job_leaves_out(folder, write, minimal):
    write("jobs.d/sales.yaml", minimal)
    write("jobs.d/_policy.yaml", "max_memory_mb: 1000\n")
    assert only(folder).job.resources.memory_mb == 1000


def test_a_value_that_breaks_the_policy_is_told_where_it_stands(folder, write, minimal):
    write("jobs.d/sales.yaml", minimal)
    write("jobs.d/_defaults.yaml", "tags: [a]\ntimeout_seconds: 100\n")
    write("jobs.d/_policy.yaml", "max_timeout_seconds: 60\n")
    (found,) = only(folder).diagnostics
    assert (found.path, found.line, found.rule) == ("jobs.d/_defaults.yaml", 2, "over-policy-limit")
    assert "jobs.d/_policy.yaml" in found.hint


def test_broken_defaults_keep_every_job_below_out(folder, write, minimal):
    write("jobs.d/sales.yaml", minimal)
    write("jobs.d/_defaults.yaml", "timezone: Moon\n")
    file = only(folder)
    assert file.job is None
    assert [(found.path, found.rule) for found in file.diagnostics] == [
        ("jobs.d/_defaults.yaml", "unknown-timezone")
    ]
    write("jobs.d/_defaults.yaml", "timezone: UTC\n")
    assert only(folder).job is not None


def test_a_change_of_defaults_is_noticed_and_their_loss_must_be_seen_twice(folder, write, minimal, project):
    write("jobs.d/sales.yaml", minimal)
    write("jobs.d/_defaults.yaml", "timezone: Asia/Tokyo\n")
    assert only(folder).job.timezone == "Asia/Tokyo"
    write("jobs.d/_defaults.yaml", "timezone: Europe/Berlin\n")
    assert (only(folder).job.timezone, folder.unsettled) == ("Europe/Berlin", False)
    (project / "jobs.d/_defaults.yaml").unlink()
    assert (only(folder).job.timezone, folder.unsettled) == ("Europe/Berlin", True)
    assert (only(folder).job.timezone, folder.unsettled) == ("UTC", False)


def test_layers_are_plain_files_of_their_schemas(reader, write):
    write("jobs.d/_policy.yaml", json.dumps({"recipient_domains": ["Example.com"]}))
    (found,) = reader.layers("").diagnostics
    assert (found.path, found.rule) == ("jobs.d/_policy.yaml", "bad-value")
    document, findings = parse("a", "recipient_domains: []\n")
    assert (document.data, findings) == ({"recipient_domains": []}, ())


def test_the_revision_of_a_job_covers_the_files_around_it(repo, minimal):
    repo.write("sales.csv", "category,amount\na,1\n")
    repo.write("jobs.d/sales.yaml", minimal)
    repo.write("jobs.d/_defaults.yaml", "timezone: Asia/Tokyo\n")
    repo.write("jobs.d/team/_defaults.yaml", "owner: a@example.com\n")
    commit = repo.commit()
    folder = JobFolder(repo.path / "jobs.d", repo.path, JobDefaults())
    assert only(folder).job.revision == commit
    repo.write("jobs.d/team/_defaults.yaml", "owner: b@example.com\n")
    assert only(folder).job.revision == commit
    repo.write("jobs.d/_defaults.yaml", "timezone: Asia/Seoul\n")
    assert only(folder).job.revision == f"{commit}+dirty"
