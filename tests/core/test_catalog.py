from dataclasses import replace
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.catalog import (
    Catalog,
    CatalogChange,
    CheckedFile,
    SyncState,
    advance,
    find_broken_links,
    find_duplicates,
    restore,
)
from runner.core.diagnostic import Diagnostic, Severity
from runner.core.job import Job
from runner.core.job_policy import RunBounds
from runner.core.names import LinkedJob, NamePlace
from runner.core.source import DataSource, FileType, SourceType


def job_of(job_name, path, **changes):
    source = DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV)
    values = {"schedule_time": "@daily", "timezone": "UTC", "data_source": source, "digest": path}
    return Job(job_name=job_name, path=path, consumer_emails=("team@example.com",), **{**values, **changes})


def good(job_name, path=None, **changes):
    path = path or f"{job_name}.yaml"
    job = job_of(job_name, path, **changes)
    return CheckedFile(
        path=path, digest=job.digest, job=job, job_name=job_name, job_name_line=2, job_name_column=11
    )


def after_jobs(job_name, *names, path=None, **changes):
    """A good file of a job that comes after others."""
    file = good(job_name, path, schedule_time=None, after=names, **changes)
    return replace(file, after=tuple(NamePlace(name, file.path, 3, 9) for name in names))


def bad(path, digest="bad", job_name=None):
    finding = Diagnostic(path=path, rule="yaml-syntax", message="no YAML")
    return CheckedFile(path=path, digest=digest, job=None, job_name=job_name, diagnostics=(finding,))


def after(*rescans):
    """The catalog after these rescans, and the last change."""
    catalog, change = Catalog(), CatalogChange()
    for files in rescans:
        catalog, change = advance(catalog, files)
    return catalog, change


def syncs(catalog):
    return {entry.path: (entry.sync.value, entry.job.job_name if entry.job else None) for entry in catalog.entries}


class TestAdvance:
    def test_first_rescan_adds(self):
        catalog, change = after([good("b"), good("a")])
        assert list(syncs(catalog)) == ["a.yaml", "b.yaml"]
        assert sorted(catalog.jobs) == ["a", "b"]
        assert change == CatalogChange(added=("a", "b"))
        assert catalog.generation == 1

    def test_nothing_new_is_no_change_and_no_generation(self):
        catalog, change = after([good("a")], [good("a")])
        assert not change
        assert catalog.generation == 1

    def test_empty_folder(self):
        catalog, change = after([])
        assert (catalog.generation, catalog.entries, bool(change)) == (0, (), False)

    def test_changed_file(self):
        catalog, change = after([good("a")], [good("a", schedule_time="@hourly", digest="new")])
        assert change == CatalogChange(changed=("a",))
        assert catalog.jobs["a"].schedule_time == "@hourly"
        assert catalog.generation == 2

    def test_new_revision_of_an_unchanged_file_is_no_change(self):
        catalog, change = after([good("a", revision="1")], [good("a", revision="2")])
        assert not change
        assert catalog.jobs["a"].revision == "2"

    def test_suspended_and_resumed(self):
        _, change = after([good("a")], [good("a", suspend=True)])
        assert change == CatalogChange(changed=("a",), suspended=("a",))
        _, change = after([good("a", suspend=True)], [good("a")])
        assert change == CatalogChange(changed=("a",), resumed=("a",))

    def test_broken_file_keeps_its_last_good_job(self):
        catalog, change = after([good("a")], [bad("a.yaml")])
        assert change == CatalogChange(broken=("a.yaml",))
        assert syncs(catalog) == {"a.yaml": ("invalid", "a")}
        (entry,) = catalog.entries
        assert (entry.digest, entry.job.digest, entry.job_name) == ("bad", "a.yaml", "a")
        assert entry.diagnostics[0].rule == "yaml-syntax"

    def test_broken_again_in_another_way_is_told_again(self):
        _, change = after([good("a")], [bad("a.yaml", "1")], [bad("a.yaml", "1")])
        assert not change
        _, change = after([good("a")], [bad("a.yaml", "1")], [bad("a.yaml", "2")])
        assert change == CatalogChange(broken=("a.yaml",))

    def test_mended(self):
        catalog, change = after([good("a")], [bad("a.yaml")], [good("a")])
        assert change == CatalogChange(mended=("a.yaml",))
        assert syncs(catalog) == {"a.yaml": ("in_force", "a")}

    def test_broken_from_the_start_has_no_job(self):
        catalog, change = after([bad("a.yaml", job_name="a")])
        assert change == CatalogChange(broken=("a.yaml",))
        assert catalog.jobs == {}
        assert catalog.entries[0].job_name == "a"

    def test_removed_after_two_rescans(self):
        catalog, change = after([good("a")], [])
        assert not change
        assert syncs(catalog) == {"a.yaml": ("removed_pending", "a")}
        catalog, change = advance(catalog, [])
        assert change == CatalogChange(removed=("a",))
        assert (catalog.entries, catalog.jobs) == ((), {})

    def test_the_policy_of_the_folder_is_that_of_its_files_and_lasts_while_none_says_another(self):
        loose, tight = RunBounds(recipient_domains=("a.example", "b.example")), RunBounds(recipient_domains=())
        catalog, _ = after([replace(good("a"), bounds=loose)], [replace(bad("a.yaml"), bounds=tight)])
        assert catalog.bounds == tight
        catalog, _ = after([replace(good("a"), bounds=loose)], [bad("a.yaml")], [], [])
        assert (catalog.bounds, catalog.jobs) == (loose, {})
        assert restore({"a.yaml": job_of("a", "a.yaml", bounds=tight)}).bounds == tight

    def test_seen_again_after_one_miss_was_never_gone(self):
        catalog, change = after([good("a")], [], [good("a")])
        assert not change
        assert syncs(catalog) == {"a.yaml": ("in_force", "a")}

    def test_removing_a_broken_file_does_not_mend_it(self):
        catalog, change = after([good("a")], [bad("a.yaml")], [])
        assert change.mended == ()
        assert syncs(catalog) == {"a.yaml": ("removed_pending", "a")}
        _, change = advance(catalog, [])
        assert change == CatalogChange(removed=("a",))

    def test_rename_of_a_file_keeps_the_job_running(self):
        catalog, change = after([good("a")], [good("a", "sub/a.yaml", digest="a.yaml")])
        assert syncs(catalog) == {"sub/a.yaml": ("in_force", "a")}
        assert (change.removed, change.added) == ((), ())

    def test_rename_of_a_job_in_place(self):
        catalog, change = after([good("a")], [good("b", "a.yaml")])
        assert change == CatalogChange(added=("b",), removed=("a",))
        assert list(catalog.jobs) == ["b"]

    def test_two_files_swap_their_names(self):
        catalog, change = after([good("a"), good("b")], [good("b", "a.yaml"), good("a", "b.yaml")])
        assert change == CatalogChange(changed=("a", "b"))
        assert syncs(catalog) == {"a.yaml": ("in_force", "b"), "b.yaml": ("in_force", "a")}

    def test_second_file_of_a_name_does_not_stop_the_first(self):
        catalog, change = after([good("a", "z.yaml")], [good("a", "z.yaml"), good("a", "b.yaml")])
        assert change == CatalogChange(broken=("b.yaml",))
        assert syncs(catalog) == {"z.yaml": ("in_force", "a"), "b.yaml": ("invalid", None)}

    def test_two_new_files_of_one_name_are_both_refused(self):
        catalog, change = after([good("a", "x.yaml"), good("a", "y.yaml")])
        assert catalog.jobs == {}
        assert change.broken == ("x.yaml", "y.yaml")

    @pytest.mark.parametrize("intruder", ["b.yaml", "y.yaml"])
    def test_moved_and_claimed_by_another_file_at_once_goes_on_as_it_was(self, intruder):
        clash = [good("a", "x.yaml"), good("a", intruder, digest="other")]
        catalog, _ = after([good("a")], clash)
        assert {state for state, _ in syncs(catalog).values()} == {"invalid"}
        again, change = advance(catalog, [*clash, good("c")])
        assert change == CatalogChange(added=("c",))
        assert again.jobs["a"] == catalog.jobs["a"] == job_of("a", "a.yaml")
        restarted, _ = advance(restore({entry.path: entry.job for entry in again.entries if entry.job}), clash)
        assert restarted.jobs["a"] == again.jobs["a"]

    def test_edited_into_a_clash_keeps_the_last_good_version(self):
        catalog, _ = after([good("a"), good("b")], [good("a"), good("a", "b.yaml", digest="new")])
        assert syncs(catalog) == {"a.yaml": ("in_force", "a"), "b.yaml": ("invalid", "b")}

    def test_jobs_cannot_be_changed_from_outside(self):
        catalog, _ = after([good("a")])
        with pytest.raises(TypeError):
            catalog.jobs["b"] = catalog.jobs["a"]


class TestLinks:
    def test_a_job_after_others_is_in_force(self):
        catalog, change = after([good("a"), after_jobs("b", "a")])
        assert change == CatalogChange(added=("a", "b"))
        assert catalog.jobs["b"].after == ("a",)

    def test_an_unknown_name_keeps_the_last_good_version(self):
        files = [good("a"), after_jobs("b", "x", digest="new")]
        catalog, change = after([good("a"), good("b")], files, files)
        assert not change
        assert syncs(catalog)["b.yaml"] == ("invalid", "b")
        assert catalog.jobs["b"].schedule_time == "@daily"
        (finding,) = catalog.entries[1].diagnostics
        assert (finding.rule, finding.line, finding.column) == ("after-unknown-job", 3, 9)

    def test_a_file_that_broke_still_counts(self):
        catalog, change = after([good("a"), after_jobs("b", "a")], [bad("a.yaml"), after_jobs("b", "a")])
        assert change == CatalogChange(broken=("a.yaml",))
        assert syncs(catalog)["b.yaml"] == ("in_force", "b")

    def test_so_does_one_that_was_broken_from_the_start(self):
        catalog, _ = after([bad("a.yaml", job_name="a"), after_jobs("b", "a")])
        assert syncs(catalog) == {"a.yaml": ("invalid", None), "b.yaml": ("in_force", "b")}

    def test_and_one_whose_name_cannot_be_read(self):
        catalog, _ = after([bad("team/a.yaml"), after_jobs("b", "a")])
        assert syncs(catalog)["b.yaml"] == ("in_force", "b")

    def test_and_one_that_was_renamed_and_broke(self):
        catalog, _ = after([good("a"), after_jobs("b", "a")], [bad("z.yaml", job_name="a"), after_jobs("b", "a")])
        assert syncs(catalog) == {"b.yaml": ("in_force", "b"), "z.yaml": ("invalid", "a")}

    def test_a_removed_job_makes_those_after_it_invalid_once_it_is_gone(self):
        later = [after_jobs("b", "a"), after_jobs("c", "b")]
        catalog, change = after([good("a"), *later], later)
        assert not change
        assert syncs(catalog)["b.yaml"] == ("in_force", "b")
        catalog, change = advance(catalog, later)
        assert change == CatalogChange(removed=("a",), broken=("b.yaml",))
        assert syncs(catalog) == {"b.yaml": ("invalid", "b"), "c.yaml": ("in_force", "c")}
        catalog, change = advance(catalog, [good("a"), *later])
        assert change == CatalogChange(added=("a",), mended=("b.yaml",))

    def test_each_file_of_a_cycle_is_invalid(self):
        catalog, change = after([after_jobs("a", "b"), after_jobs("b", "a"), good("c")])
        assert change == CatalogChange(added=("c",), broken=("a.yaml", "b.yaml"))
        catalog, change = after([good("a"), after_jobs("b", "a")], [after_jobs("a", "b"), after_jobs("b", "a")])
        assert change == CatalogChange(broken=("a.yaml", "b.yaml"))
        assert (catalog.jobs["a"].after, catalog.jobs["b"].after) == ((), ("a",))

    def test_a_cycle_by_way_of_a_last_good_version(self):
        first = [after_jobs("a", "b"), good("b")]
        catalog, change = after(first, [bad("a.yaml"), after_jobs("b", "a")])
        assert change == CatalogChange(broken=("a.yaml", "b.yaml"))
        assert catalog.jobs["b"].schedule_time == "@daily"

    def test_a_job_that_may_be_gone_is_part_of_a_cycle(self):
        files = [after_jobs("y", "x"), after_jobs("z", "x")]
        catalog, change = after([after_jobs("x", "y"), good("y"), after_jobs("z", "x")], files)
        assert change == CatalogChange(broken=("y.yaml",))
        _, change = advance(catalog, files)
        assert change == CatalogChange(changed=(), removed=("x",), broken=("z.yaml",))

    @pytest.mark.parametrize("path", ["b.yaml", "team/b.yaml"])
    def test_a_version_after_a_job_that_is_removed_at_once_never_takes_the_place_of_the_good_one(self, path):
        first = [good("a"), good("b")]
        files = [after_jobs("b", "a", path=path, digest="new"), after_jobs("c", "a")]
        catalog, _ = after(first, files, files)
        assert syncs(catalog) == {path: ("invalid", "b"), "c.yaml": ("invalid", None)}
        assert catalog.jobs == {"b": first[1].job}

    def test_nor_does_it_where_the_job_is_called_otherwise_at_once(self):
        first = [good("a"), good("b")]
        files = [good("a2"), after_jobs("b", "a", digest="new")]
        catalog, _ = after(first, files, files, files)
        assert catalog.jobs == {"a2": files[0].job, "b": first[1].job}

    def test_such_a_version_is_in_force_once_the_job_is_seen_again(self):
        version = after_jobs("b", "a", digest="new")
        catalog, change = after([good("a"), good("b")], [version], [good("a"), version])
        assert change == CatalogChange(changed=("b",), mended=("b.yaml",))
        assert catalog.jobs["b"] == version.job

    def test_going_back_to_a_last_good_version_closes_no_cycle(self):
        first = [good("x"), after_jobs("y", "x"), good("v")]
        files = [after_jobs("x", "y"), after_jobs("y", "z"), after_jobs("z", "y"), good("v")]
        catalog, change = after(first, files)
        assert change.broken == ("x.yaml", "y.yaml", "z.yaml")
        assert (catalog.jobs["x"].after, catalog.jobs["y"].after) == ((), ("x",))

    def test_of_two_files_of_one_name_those_after_it_are_not_told(self):
        catalog, _ = after([good("a", "x.yaml"), good("a", "y.yaml"), after_jobs("b", "a")])
        assert syncs(catalog)["b.yaml"] == ("in_force", "b")

    def test_a_suspended_job_is_a_warning_that_goes_when_it_is_resumed(self):
        catalog, _ = after([good("a", suspend=True), after_jobs("b", "a")])
        assert [found.rule for found in catalog.entries[1].diagnostics] == ["after-suspended-job"]
        assert syncs(catalog)["b.yaml"] == ("in_force", "b")
        catalog, _ = advance(catalog, [good("a"), after_jobs("b", "a")])
        assert catalog.entries[1].diagnostics == ()


class TestFindBrokenLinks:
    def test_files_without_links_are_left_as_they_are(self):
        files = (good("a"), bad("b.yaml"))
        assert find_broken_links(files) is files

    def test_jobs_beside_those_of_the_files_count(self):
        file = after_jobs("b", "a")
        assert find_broken_links([file], others=[LinkedJob("a.yaml", "a")]) == (file,)
        assert find_broken_links([file])[0].job is None
        others = [LinkedJob("a.yaml", "a", after=(NamePlace("b", "a.yaml"),))]
        (found,) = find_broken_links([file], others=others)
        assert [one.rule for one in found.diagnostics] == ["after-cycle"]


class TestRestore:
    def test_broken_file_at_start_runs_the_job_an_earlier_service_knew(self):
        job = job_of("a", "a.yaml")
        catalog, change = advance(restore({"a.yaml": job}), [bad("a.yaml")])
        assert catalog.jobs == {"a": job}
        assert syncs(catalog) == {"a.yaml": ("invalid", "a")}
        assert change == CatalogChange(broken=("a.yaml",))

    def test_file_that_is_gone_must_be_missed_twice(self):
        catalog, change = advance(restore({"a.yaml": job_of("a", "a.yaml")}), [])
        assert (list(catalog.jobs), change) == (["a"], CatalogChange())
        catalog, change = advance(catalog, [])
        assert (list(catalog.jobs), change) == ([], CatalogChange(removed=("a",)))

    def test_good_file_wins(self):
        catalog, change = advance(
            restore({"a.yaml": job_of("a", "a.yaml", digest="old")}), [good("a", digest="new")]
        )
        assert catalog.jobs["a"].digest == "new"
        assert change == CatalogChange(changed=("a",))

    def test_of_two_files_of_one_name_the_restored_one_stays(self):
        files = [good("a", "x.yaml"), good("a", "y.yaml")]
        catalog, _ = advance(restore({"y.yaml": job_of("a", "y.yaml")}), files)
        assert syncs(catalog) == {"x.yaml": ("invalid", None), "y.yaml": ("in_force", "a")}


class TestMoved:
    def test_renamed_and_broken_at_once_goes_on_at_the_new_path(self):
        job = job_of("a", "old.yaml")
        files = [bad("new.yaml", job_name="a")]
        catalog, _ = advance(restore({"old.yaml": job}), files)
        assert syncs(catalog) == {"new.yaml": ("invalid", "a")}
        assert catalog.jobs == {"a": job}

    def test_of_two_files_that_claim_it_the_first_path_gets_it(self):
        files = [bad("x.yaml", job_name="a"), bad("y.yaml", job_name="a")]
        catalog, _ = advance(restore({"old.yaml": job_of("a", "old.yaml")}), files)
        assert [entry.job is not None for entry in catalog.entries] == [True, False]


class TestFindDuplicates:
    def test_each_names_the_other_place(self):
        one, other = find_duplicates([good("a", "x.yaml"), good("a", "y.yaml")])
        assert (one.job, other.job) == (None, None)
        (finding,) = one.diagnostics
        assert (finding.path, finding.line, finding.column, finding.end_column) == ("x.yaml", 2, 11, 12)
        assert finding.rule == "duplicate-job-name"
        assert finding.message == "job_name 'a' is taken by y.yaml:2"
        assert other.diagnostics[0].message == "job_name 'a' is taken by x.yaml:2"

    def test_all_others_name_the_one_in_force(self):
        files = [good("a", f"{letter}.yaml") for letter in "xyz"]
        found = find_duplicates(files, {"a": "y.yaml"})
        assert [file.job is not None for file in found] == [False, True, False]
        assert {file.diagnostics[0].message for file in found if file.job is None} == {
            "job_name 'a' is taken by y.yaml:2"
        }

    def test_bad_files_and_other_names_are_left_alone(self):
        files = (good("a"), good("b"), bad("c.yaml", job_name="a"))
        assert find_duplicates(files) == files

    def test_earlier_findings_are_kept(self):
        warning = Diagnostic(path="x.yaml", line=9, severity=Severity.WARNING, rule="unused", message="m")
        files = [replace(good("a", "x.yaml"), diagnostics=(warning,)), good("a", "y.yaml")]
        assert [found.rule for found in find_duplicates(files)[0].diagnostics] == [
            "duplicate-job-name",
            "unused",
        ]


linked_rescans = st.lists(
    st.dictionaries(
        st.sampled_from(["a", "b", "c", "d"]),
        st.none() | st.lists(st.sampled_from(["a", "b", "c", "d", "x"]), max_size=2, unique=True),
        max_size=4,
    ),
    max_size=6,
)


@given(linked_rescans)
def test_whatever_happens_no_job_in_force_comes_after_itself(steps):
    catalog = Catalog()
    for step in steps:
        files = [
            bad(f"{name}.yaml", job_name=name)
            if names is None
            else (after_jobs(name, *names, digest=str(names)) if names else good(name))
            for name, names in step.items()
        ]
        catalog, _ = advance(catalog, files)
        left = dict(catalog.jobs)
        while free := [name for name, job in left.items() if not set(job.after) & left.keys()]:
            for name in free:
                del left[name]
        assert not left
        for entry in catalog.entries:
            if entry.sync is SyncState.IN_FORCE:
                assert set(entry.job.after) <= {*catalog.jobs, *step}


rescans = st.lists(
    st.dictionaries(
        st.sampled_from(["u.yaml", "v.yaml", "w.yaml"]),
        st.none() | st.sampled_from(["a", "b", "c"]),
        max_size=3,
    ),
    max_size=6,
)


@given(rescans)
def test_whatever_happens_the_catalog_holds_together(steps):
    catalog = Catalog()
    for step in steps:
        files = [bad(path) if name is None else good(name, path) for path, name in step.items()]
        before = catalog
        catalog, change = advance(before, files)
        names = [entry.job.job_name for entry in catalog.entries if entry.job is not None]
        assert sorted(names) == sorted(catalog.jobs)
        assert [entry.path for entry in catalog.entries] == sorted(entry.path for entry in catalog.entries)
        assert set(step) <= {entry.path for entry in catalog.entries}
        assert set(change.added) == catalog.jobs.keys() - before.jobs.keys()
        assert set(change.removed) == before.jobs.keys() - catalog.jobs.keys()
        assert catalog.generation - before.generation == (catalog.entries != before.entries)
        assert isinstance(catalog.jobs, MappingProxyType)
        for entry in catalog.entries:
            if entry.sync is SyncState.IN_FORCE:
                assert entry.job is not None
            if entry.sync is SyncState.INVALID:
                assert entry.diagnostics
        # The same folder once more settles: nothing is left pending, and nothing but removals is told.
        settled, _ = advance(catalog, files)
        assert {entry.path for entry in settled.entries} == set(step)
        assert advance(settled, files) == (settled, CatalogChange())
