import pytest

from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA
from runner.jobfiles.wording import nearest as module
from runner.jobfiles.wording.nearest import closest, nearest, odd_letter, plain_letters, same, synonym

TOP = tuple(JOB_SCHEMA.data["properties"])


@pytest.mark.parametrize(
    "given",
    [
        "job_name", "jobName", "JobName", "job-name", "JOB_NAME", "job name", "jobname", "Job.Name", "\ufeffjob_name",
        "j\u043eb_name", "\uff4aob_name", "job\u200b_name",
    ],
)  # fmt: skip
def test_the_same_name_in_another_dress(given):
    assert same(given, TOP) == nearest(given, TOP) == "job_name"


@pytest.mark.parametrize(
    ("given", "known", "meant"),
    [
        ("Get", ("GET", "POST"), "GET"),
        ("fiel", ("api", "file"), "file"),
        (".csv", ("csv", "json"), "csv"),
        ("jsonl", ("csv", "json", "ndjson"), "ndjson"),
        ("REST", ("api", "file"), "api"),
        ("schedulle", TOP, "schedule_time"),
        ("tz", TOP, "timezone"),
        ("nextUrl", ("page", "next_link"), "next_link"),
        ("next", ("param", "link_path"), "link_path"),
        ("timeoutSec", TOP, "timeout_seconds"),
        ("timeout", tuple(POLICY_SCHEMA.data["properties"]), "max_timeout_seconds"),
        ("cpu", ("memory_mb", "cpu_seconds"), "cpu_seconds"),
        ("notify", ("on_empty", "notify_failures"), "notify_failures"),
        ("format", ("file_type", "response_format"), "file_type"),
        ("format", ("response_format",), "response_format"),
        ("query", ("params", "body"), "params"),
        ("", TOP, None),
        ("___", TOP, None),
        ("zzzz", TOP, None),
        (5, TOP, None),
        (True, ("send", "skip"), None),
    ],
)
def test_nearest(given, known, meant):
    assert nearest(given, known) == meant


def test_every_name_of_ours_that_has_others_is_one():
    ours = {name for name, _ in module._OTHER_NAMES}
    known = set()

    def collect(node):
        known.update(node.get("properties", {}), map(str, node.get("enum", [])))
        for child in (*node.get("properties", {}).values(), node.get("items"), node.get("additionalProperties")):
            if isinstance(child, dict):
                collect(child)

    for check in (JOB_SCHEMA, DEFAULTS_SCHEMA, POLICY_SCHEMA):
        collect(check.data)
    assert ours <= known


def test_likeness():
    name, likeness = closest("cpu_second", ("timeout_seconds", "cpu_seconds"))
    assert name == "cpu_seconds"
    assert 0.9 < likeness < 1
    assert closest("cpu_seconds", ("cpu_seconds",)) == ("cpu_seconds", 1.0)
    assert closest("zzz", ("cpu_seconds",)) == (None, 0.0)


@pytest.mark.parametrize("text", ["a" * 200_000, "job_name" * 20_000, "\u043e" * 200_000, "-" * 200_000])
def test_what_is_long_takes_no_time(cpu_seconds, text):
    answers, seconds = cpu_seconds(lambda: [look(text, TOP) for look in (nearest, same, synonym)])
    assert answers == [None, None, None]
    assert seconds < 0.2
    assert cpu_seconds(odd_letter, text)[1] < 0.2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("job_name", ""),
        ("verkäufe", ""),
        ("ключ_ж", "character 1 is U+043A (Cyrillic small letter ka)"),
        ("j\u043eb", "character 2 is U+043E (Cyrillic small letter o)"),
        ("\xa0timezone", "character 1 is U+00A0 (No-break space)"),
        ("time\u200bzone", "character 5 is U+200B (Zero width space)"),
        ("a\uff11", "character 2 is U+FF11 (Fullwidth digit one)"),
        ("a\x80", "character 2 is U+0080 (A control character)"),
    ],
)
def test_odd_letters_are_named(text, words):
    assert odd_letter(text) == words


def test_plain_letters():
    assert plain_letters("verk\u00e4ufe") == "verkaufe"
    assert plain_letters("\u0455\u0430l\u0435s \u2013 \uff13\u200b0") == "sales - 30"
