import json
import re

import pytest
from markdown_it import MarkdownIt

from runner.core.plan import Comparison, InvalidState, Side
from runner.planning.markdown import LIMIT, MARKER, code
from runner.planning.render import FORMATS, render
from runner.planning.words import summary

HOSTILE = "</details><img src=x onerror=y> @octocat #1 | ```` [x](http://e.example.com) \x1b[31m\u202e"


def rendered(comparison):
    return {name: render(comparison, name) for name in FORMATS}


@pytest.fixture
def rich_change(branch):
    """A comparison with a bit of everything."""
    branch.job("old")
    branch.write("scripts/top.py", "result = data.head(1)\n")
    branch.job("one", more="processing_script_file: scripts/top.py\n")
    branch.write("jobs.d/emea/_defaults.yaml", "timezone: Europe/Berlin\n")
    for name in ("a", "b", "c"):
        branch.job(name, path=f"jobs.d/emea/{name}.yaml")
    branch.job("rest")
    branch.commit()
    branch.git("rm", "-q", "jobs.d/old.yaml")
    branch.write("scripts/top.py", "result = data.head(2)\n")
    branch.write("jobs.d/emea/_defaults.yaml", "timezone: Asia/Tokyo\n")
    branch.job("new", to="new@example.com")
    branch.job("rest", more="suspend: true\n")
    branch.write("jobs.d/two.yaml", "job_name: two\n")
    branch.commit()
    return branch.plan(base="HEAD~1")


def test_text_tells_everything(rich_change):
    text = render(rich_change, "text")
    for line in (
        "! jobs.d/two.yaml  newly invalid: a running service goes on with two as it was",
        "+ new  added  jobs.d/new.yaml",
        "- old  removed  jobs.d/old.yaml",
        "~ rest  suspended  jobs.d/rest.yaml",
        "      next fires: none, it is suspended",
        "~ 3 jobs  changed by jobs.d/emea/_defaults.yaml",
        "    - timezone: Europe/Berlin",
        "    + timezone: Asia/Tokyo",
        "      jobs: a, b, c",
        "    - result = data.head(1)",
        "    + result = data.head(2)",
        "  + new@example.com  (1 job: new)",
        "Plan: 1 added, 1 removed, 4 changed, 1 suspended, 1 newly invalid",
    ):
        assert line in text.split("\n"), f"{line!r} is not in\n{text}"
    assert "missing" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", ["80", "0"])
def test_text_is_coloured_when_asked_for(rich_change, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    coloured = render(rich_change, "text", colour=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(rich_change, "text")


def test_markdown_is_a_table_and_folded_details(rich_change):
    text = render(rich_change, "markdown")
    assert text.startswith(f"{MARKER}\n### Plan: 1 added")
    assert "| + | `new` | added | `jobs.d/new.yaml` |" in text
    assert "| ~ | 3 jobs | changed by `jobs.d/emea/_defaults.yaml` |  |" in text
    assert text.count("<details><summary>") == text.count("</details>") == 6
    assert text.count("```diff\n") == 6
    assert "\n- result = data.head(1)\n+ result = data.head(2)\n" in text


def test_json_is_what_the_document_says(rich_change):
    document = json.loads(render(rich_change, "json"))
    assert list(document) == [
        "base",
        "head",
        "notes",
        "changed",
        "jobs",
        "invalid",
        "warnings",
        "recipients_gained",
        "recipients_lost",
    ]
    assert [job["job_name"] for job in document["jobs"]] == ["a", "b", "c", "new", "old", "one", "rest"]
    assert document["recipients_gained"] == [{"address": "new@example.com", "jobs": ["new"]}]


def test_nothing_changed_is_said(branch):
    found = branch.plan()
    assert "No changes: every job of HEAD is as in main." in render(found, "text")
    assert "### Plan: no changes" in render(found, "markdown")
    assert json.loads(render(found, "json"))["changed"] is False


def test_no_job_file_writes_markup(branch):
    name = "jobs.d/`|<b>@octocat *x*.yaml"
    # Single quotes, so that YAML takes it as it is; the controls it refuses stand escaped in double quotes.
    escaped = json.dumps(HOSTILE)
    branch.job("one", path=name, more=f"description: {escaped}\n")
    script = "processing_script: |\n  # ``````` </details> @octocat\n  result = data\n"
    branch.job("two", more=f"{script}owner: owner@example.com\n")
    branch.write("jobs.d/@octocat<i>.yaml", f"job_name: {escaped}\n")
    branch.commit()
    texts = rendered(branch.plan())
    for text in texts.values():
        assert not set(text) & set("\x1b\u202e")
    markdown = texts["markdown"]
    # As GitHub's: tables, and HTML where it stands as such.
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    flat = [inner for token in tokens for inner in (token, *(token.children or ()))]
    tags = {tag for one in flat if one.type.startswith("html") for tag in re.findall(r"<[^>]*>", one.content)}
    assert tags == {MARKER, "<details>", "<summary>", "</summary>", "</details>", "<code>", "</code>"}
    assert not {one.type for one in flat} & {"link_open", "image", "em_open"}
    # Not a mention: it stands between <code> and </code>, or in a fence.
    outside = re.sub(r"<code>[^<]*</code>", "", "".join(one.content for one in flat if one.type == "inline"))
    assert "@octocat" not in re.sub(r"`[^`]*`", "", outside)
    assert [len(one.content.split("|")) for one in flat if one.type == "inline" and " | " in one.content] == []
    assert sum(one.type == "tr_open" for one in flat) == 4
    assert sum(one.type == "td_open" for one in flat) == 3 * 4
    assert sum(one.type == "fence" for one in flat) == 3


@pytest.mark.parametrize("text", [HOSTILE, "a\nb", "a\\|b", "`", "``x``", " x ", "", "*a*", "a_b_", "<!-- x"])
def test_code_holds_anything_on_one_line(text):
    shown = code(text)
    inner = re.fullmatch(r"`([^`\\|<>\n]+)`|<code>([^`\\|<>@*_\n]*)</code>", shown)
    assert inner, shown


def test_names_of_commits_are_not_markup(branch):
    branch.git("branch", "@octocat/<b>`x`")
    branch.job("one", schedule="0 8 * * *")
    branch.commit()
    text = render(branch.plan(base="@octocat/<b>`x`"), "markdown")
    assert "@octocat" not in text
    assert "<b>" not in text


@pytest.mark.long
def test_a_comment_is_never_too_long(branch):
    lines = "".join(f"  x{number} = '{'`' * 9}{number}'\n" for number in range(260))
    for number in range(40):
        script = f"processing_script: |\n{lines}  result = data\n"
        branch.job(f"job{number:03}", to=f"a{number}@example.com", more=script)
    branch.commit()
    found = branch.plan()
    text = render(found, "markdown")
    assert len(text) <= LIMIT
    shown = text.count("<details>")
    assert 1 < shown < 40
    assert f"The details of {40 - shown} of 40 entries do not fit" in text
    assert re.search(r"… \d+ more lines", text)
    assert "- and 20 more" in text
    assert text.count("<details>") == text.count("</details>")


@pytest.mark.long
def test_a_table_is_never_too_long(branch):
    for number in range(700):
        branch.job(f"a_rather_long_name_of_a_job_{number:03}", path=f"jobs.d/{'deep/' * 8}{number}.yaml")
    branch.commit()
    text = render(branch.plan(), "markdown")
    assert len(text) <= LIMIT
    assert re.search(r"\| \| and \d+ more \| \| \|", text)


def test_one_broken_shared_file_is_told_once(branch):
    branch.write("jobs.d/_defaults.yaml", "timezone: Moon\n")
    branch.commit()
    found = branch.plan()
    text, markdown = render(found, "text"), render(found, "markdown")
    assert text.count("Moon") == 1
    assert text.count("newly invalid: a running service") == 2
    assert "| ! | 2 files | newly invalid | `jobs.d/one.yaml, jobs.d/two.yaml` |" in markdown


def test_summary_counts_every_kind(rich_change):
    assert summary(rich_change.plan) == "1 added, 1 removed, 4 changed, 1 suspended, 1 newly invalid"
    side = Side(name="x", commit="1" * 40)
    still = [file for file in rich_change.plan.invalid if file.state is InvalidState.STILL_INVALID]
    assert not still
    empty = Comparison(base=side, head=side, plan=type(rich_change.plan)())
    assert summary(empty.plan) == "no changes"


def test_credentials_are_in_no_format(branch):
    branch.job("one", more="processing_script: |\n  token = 'hunter2hunter2'\n  result = data\n")
    branch.write(
        "jobs.d/two.yaml",
        (branch.path / "jobs.d/two.yaml").read_text().replace("https://", "https://me:hunter2@"),
    )
    branch.commit()
    assert "hunter2" not in "".join(rendered(branch.plan()).values())


def test_lists_and_long_values_are_told_shortly(branch):
    branch.job("one", more="tags: [p, q]\n")
    branch.job("two", more=f"owner: owner@example.com\ndescription: {'word ' * 100}\n")
    branch.commit()
    branch.job("one", more="tags: [q, p]\n")
    branch.commit()
    (order,) = branch.plan(base="HEAD~1").plan.jobs
    assert order.recipients_gained == ()
    text = render(branch.plan(base="HEAD~1"), "text")
    assert "    - tags: [p, q]\n    + tags: [q, p]\n" in text
    branch.job("one", more="tags: [r, p]\n")
    branch.commit()
    text = render(branch.plan(base="HEAD~1"), "text")
    assert "    - tags: q\n    + tags: r\n" in text
    assert "word… (499 characters)" in render(branch.plan(), "text").replace("word …", "word…")


def test_many_files_with_one_fault_are_counted(branch):
    for number in range(30):
        branch.job(f"job{number:02}")
    branch.commit()
    branch.write("jobs.d/_policy.yaml", "max_timeout: 1\n")
    branch.commit()
    text = render(branch.plan(base="HEAD~1"), "text")
    assert "! and 22 more files newly invalid\n" in text
    branch.write("jobs.d/_policy.yaml", "max_timeout_seconds: 100\n")
    branch.commit()
    found = branch.plan(base="HEAD~1")
    assert summary(found.plan) == "32 mended"
    branch.write("jobs.d/_policy.yaml", "max_timeout_seconds: 50\n")
    branch.commit()
    found = branch.plan(base="HEAD~1")
    assert "~ 32 jobs  changed by jobs.d/_policy.yaml\n" in render(found, "text")
    assert "and 22 more" in render(found, "text")


def test_edited_moved_and_new_warnings_are_told(branch):
    branch.git("mv", "jobs.d/one.yaml", "jobs.d/first.yaml")
    branch.job("two", more="owner: owner@example.com\n# why\n")
    branch.job("three", schedule="0 9 1 * 1")
    branch.commit()
    texts = rendered(branch.plan())
    assert "~ one  moved  jobs.d/first.yaml  (was in jobs.d/one.yaml)" in texts["text"]
    assert "every value is the same" in texts["text"]
    warnings = json.loads(texts["json"])["warnings"]
    assert warnings
    assert {found["path"] for found in warnings} == {"jobs.d/three.yaml"}
    assert warnings[0]["rule"] in texts["text"]
    assert f"**New warnings**: {len(warnings)}" in texts["markdown"]


def test_a_load_that_begins_anew_is_told(branch):
    load = "incremental: {cursor: id, initial_value: 0}\n"
    branch.job("old", path="jobs.d/a.yaml", more=load)
    branch.commit()
    branch.job("new", path="jobs.d/a.yaml", more=load)
    branch.commit()
    told = rendered(branch.plan(base="HEAD~1"))
    assert "    ! The incremental load begins anew, from its initial value.\n" in told["text"]
    assert "! The incremental load begins anew, from its initial value.\n" in told["markdown"]
    assert json.loads(told["json"])["jobs"][0]["loads_anew"] is True


def test_there_is_no_other_format(rich_change):
    with pytest.raises(ValueError, match="yaml"):
        render(rich_change, "yaml")
