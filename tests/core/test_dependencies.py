"""Which jobs come after which: the findings about `after`, and who follows whom."""

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.dependencies import find_after_faults, followers, partners
from runner.core.diagnostic import Severity
from runner.core.names import LinkedJob, NamePlace

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def link(name, *after, schedule="0 9 * * *", **changes):
    """A job with the names it comes after on lines 3, 4, …; with none of these, one of a schedule."""
    path = f"{name}.yaml"
    places = tuple(NamePlace(one, path, 3 + number, 5) for number, one in enumerate(after))
    return LinkedJob(path, name, None if after else schedule, after=places, **changes)


def told(*jobs, known=frozenset(), now=None):
    found = find_after_faults(jobs, known=known, now=now)
    return {(path, one.rule): one for path, some in found.items() for one in some}


def ways(*jobs):
    """Path → the way shown, of every job that waits for itself."""
    return {path: one.message.partition(": ")[2] for (path, _), one in told(*jobs).items()}


def test_nothing_is_said_of_jobs_of_schedules():
    assert find_after_faults([link("a"), link("b", suspend=True)], now=NOW) == {}


def test_an_unknown_name_is_told_at_its_place_with_the_nearest():
    found = told(link("load_orders"), link("report", "load_orders", "lod_orders"))
    (finding,) = found.values()
    assert list(found) == [("report.yaml", "after-unknown-job")]
    assert (finding.line, finding.column, finding.end_column) == (4, 5, 15)
    assert finding.message == "report comes after lod_orders, and there is no such job"
    assert finding.hint == "Did you mean load_orders?"
    assert finding.severity is Severity.ERROR


def test_the_job_itself_is_not_what_was_meant():
    (finding,) = told(link("report", "reports")).values()
    assert "report" not in finding.hint.split()
    assert "renamed or removed" in finding.hint


def test_a_name_that_a_broken_file_has_is_known():
    assert told(link("report", "orders"), known={"orders"}, now=NOW) == {}


def test_a_cycle_is_told_in_each_of_its_files_and_in_no_other():
    jobs = [link("a", "b"), link("b", "z", "c"), link("c", "a"), link("z"), link("after_it", "a")]
    assert ways(*jobs) == {"a.yaml": "a → b → c → a", "b.yaml": "b → c → a → b", "c.yaml": "c → a → b → c"}
    assert told(*jobs)["b.yaml", "after-cycle"].line == 4


def test_each_is_shown_its_own_shortest_way():
    assert ways(link("a", "b"), link("b", "a", "c"), link("c", "b")) == {
        "a.yaml": "a → b → a",
        "b.yaml": "b → a → b",
        "c.yaml": "c → b → c",
    }


def test_a_job_after_itself():
    assert ways(link("a", "a")) == {"a.yaml": "a → a"}


def test_a_long_way_is_cut():
    names = [f"job_of_a_long_name_{number:02d}" for number in range(20)]
    jobs = [link(name, names[number - 1]) for number, name in enumerate(names)]
    assert ways(*jobs)["job_of_a_long_name_05.yaml"] == (
        "job_of_a_long_name_05 → job_of_a_long_name_04 → … → job_of_a_long_name_05, by way of 19 other jobs"
    )


def test_a_suspended_job_is_a_warning_for_those_after_it():
    jobs = [link("a", suspend=True), link("b", "a"), link("c", "b"), link("d", "a", suspend=True)]
    found = told(*jobs, now=NOW)
    assert list(found) == [("b.yaml", "after-suspended-job")]
    assert found["b.yaml", "after-suspended-job"].severity is Severity.WARNING


def test_schedules_that_never_meet_are_told_at_the_first_job_that_never_runs():
    jobs = [link("a"), link("b", schedule="0 10 * * *"), link("c", "a", "b"), link("d", "c"), link("e", "d", "a")]
    assert list(told(*jobs, now=NOW)) == [("c.yaml", "after-never-meets")]
    assert told(*jobs) == {}


def test_the_times_of_a_job_are_those_of_the_jobs_it_comes_after():
    jobs = [link("a"), link("b", "a"), link("c", schedule="0 10 * * *"), link("d", "b", "c")]
    assert list(told(*jobs, now=NOW)) == [("d.yaml", "after-never-meets")]
    jobs = [link("a"), link("b", "a"), link("c", schedule="0 * * * *"), link("d", "b", "c")]
    assert told(*jobs, now=NOW) == {}


def test_of_jobs_on_a_circle_or_after_unknown_ones_nothing_more_is_said():
    jobs = [
        link("a", "b"),
        link("b", "a"),
        link("c", schedule="0 1 * * *"),
        link("d", "a", "c"),
        link("e", "x", "c"),
    ]
    assert {rule for _, rule in told(*jobs, now=NOW)} == {"after-cycle", "after-unknown-job"}


@pytest.mark.long
def test_many_jobs_and_long_ways_take_no_time(lines_run):
    count = 5000
    chain = [link("j0"), *(link(f"j{number}", f"j{number - 1}") for number in range(1, count))]
    ring = [link(f"r{number}", f"r{(number + 1) % count}") for number in range(count)]
    wrong = [link(f"w{number}", f"no_such_job_{number}") for number in range(200)]
    jobs = [*reversed(chain), *ring, *wrong]
    found, lines = lines_run(lambda: find_after_faults(jobs, now=NOW))
    assert lines < 250 * len(jobs), "no way is gone twice"
    assert len(found) == count + 200
    assert found["r7.yaml"][0].message == "the job waits for itself: r7 → r8 → … → r7, by way of 4999 other jobs"


NAMES = [*"abcdef"]
GRAPHS = st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True))


@given(GRAPHS)
def test_a_job_is_told_of_a_cycle_exactly_if_it_can_be_reached_from_itself(graph):
    jobs = [link(name, *after) for name, after in graph.items()]
    cycles = {path[0]: one for (path, rule), one in told(*jobs, known=set(NAMES)).items() if rule == "after-cycle"}

    def reach(name):
        found, waiting = set(), [name]
        while waiting:
            for other in graph.get(waiting.pop(), []):
                if other not in found and other in graph:
                    found.add(other)
                    waiting.append(other)
        return found

    assert set(cycles) == {name for name in graph if name in reach(name)}
    for name, finding in cycles.items():
        way = finding.message.partition(": ")[2].split(" → ")
        assert way[0] == way[-1] == name
        assert all(after in graph[before] for before, after in itertools.pairwise(way))
        assert finding.line == 3 + graph[name].index(way[1])


@pytest.mark.parametrize("suspend", [False, True])
def test_followers(make_job, suspend):
    def job(name, *after):
        return make_job(name, schedule_time=None, after=after, suspend=suspend)

    jobs = {"a": make_job("a"), "c": job("c", "a", "b"), "b": job("b", "a"), "d": job("d", "gone")}
    assert followers(jobs) == {"a": ("b", "c"), "b": ("c",), "gone": ("d",)}
    assert followers({"a": make_job("a")}) == {}


def test_partners(make_job):
    after = {"c": ("a", "b"), "d": ("a", "e"), "f": ("g", "g"), "h": ()}
    jobs = {name: make_job(name, after=names) for name, names in after.items()}
    assert partners(jobs) == {"a": {"b", "e"}, "b": {"a"}, "e": {"a"}}
