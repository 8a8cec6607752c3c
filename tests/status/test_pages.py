"""The pages as a person sees them: in a real browser where there is one, as HTML everywhere."""

import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.catalog import SyncState
from runner.core.check import Check, CheckKind, CheckResult
from runner.core.delivery import DeliveryState
from runner.core.diagnostic import Diagnostic
from runner.core.job import Chart, ChartKind, DeliveryOptions, Incremental, OnAmbiguous, OnEmpty, Retry
from runner.core.run import Attempt, FailureKind, RunFailure, RunState
from runner.core.source import DataSource, FileType, SourceType
from runner.status import pages
from runner.status.pages import relative_words, retry_words
from runner.status.snapshot import JobStatus

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
NOW = datetime(2025, 11, 9, 12, 30, tzinfo=UTC)
FAILED = f"01k9m{90:021d}"


def visible(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def test_another_style_sheet_has_another_address(tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "STATIC", tmp_path)
    addresses = set()
    for style in ("a { color: red }", "a { color: green }", "a { color: red }"):
        (tmp_path / "style.css").write_text(style)
        addresses.update(re.findall(r"/static/docs.js\?v=\w+", pages.Pages("1.0").docs()))
    assert len(addresses) == 2, "a browser keeps what it has for a day"


class TestIndex:
    def test_every_job_with_schedule_fires_and_state(self, get):
        text = visible(get("/").text)
        for words in (
            "daily_sales",
            "Sales per region and day",
            "0 9 * * MON-FRI",
            "2025-11-10 09:00 CET (+01:00)",
            "in 19 h",
            "4 h ago",
            "12 rows in 1.4 s",
            "KeyError: 'regoin'",
            "invalid file",
            "1 finding; the last good version is in force",
            "a step of 0",
            "suspended",
            "smtp.example.com:587",
        ):
            assert words.replace("'", "&#39;") in text, words

    def test_of_an_error_with_a_long_word_its_beginning_is_shown(self, get, source):
        status = source.state.jobs[0]
        failure = RunFailure(kind=FailureKind.FETCH, message=f"GET https://api.example.com/{'x' * 90}: HTTP 404")
        source.change(jobs=(replace(status, last_run=replace(status.last_run, failure=failure)),))
        text = visible(get("/").text)
        assert "GET https://api.example.com/xxxxx" in text
        assert "x" * 90 not in text

    @pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "My Report", "50%?#x", "Größe"])
    def test_every_link_to_a_job_leads_to_its_page(self, get, source, name):
        """An invalid file may say anything."""
        status = source.state.jobs[0]
        entry = replace(status.entry, job=None, job_name=name, sync=SyncState.INVALID)
        source.change(jobs=(JobStatus(entry=entry),))
        html = get("/").text
        assert name in visible(html)
        for link in re.findall(r'href="(/jobs/[^"]+)"', html):
            found = get(link, headers=BROWSER)
            assert (found.status_code, name in found.text) == (200, True), link

    def test_without_jobs_it_says_what_to_do(self, get, source):
        source.change(jobs=())
        text = visible(get("/").text)
        assert "No jobs yet" in text
        assert "runner init" in text

    def test_not_ready_with_the_reasons(self, get, source):
        assert "not ready" not in get("/").text
        source.change(ready=False, reasons=("The folder <jobs.d> has vanished",))
        text = get("/").text
        assert "not ready" in text
        assert "The folder &lt;jobs.d&gt; has vanished" in text

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("q=SALES region day", {"daily_sales"}),
            ("q=data@example.com", {"daily_sales", "broken_join", "inventory", "yearly_close"}),
            ("show=failed", {"broken_join"}),
            ("show=unsent", {"broken_join"}),
            ("show=invalid", {"inventory"}),
            ("show=suspended&q=yearly", {"yearly_close"}),
            ("show=nonsense&page=99999", {"daily_sales", "broken_join", "inventory", "yearly_close"}),
            ("q=<b>", set()),
        ],
    )
    def test_is_narrowed_down(self, get, query, names):
        html = get(f"/?{query}").text
        assert set(re.findall(r'<a href="/jobs/(\w+)"', html)) == names
        assert "<b>" not in html

    def test_whether_the_last_report_went_is_seen_without_another_page(self, get):
        html = get("/").text
        rows = {row.split('"')[0]: visible(row) for row in html.split('<a href="/jobs/')[1:]}
        assert "12 rows in 1.4 s 1 mail sent" in rows["daily_sales"]
        assert "1 mail dead 1 mail deferred 1 mail sent" in rows["broken_join"]
        assert "mail" not in rows["yearly_close"]
        assert "1 with mails not sent" in visible(html)

    def test_what_narrows_them_down_is_told_to_those_who_cannot_see_it(self, get):
        assert "aria-current" not in get("/").text
        (chosen,) = re.findall(r'<a [^>]*aria-current="true"[^>]*>([^<]*)</a>', get("/?show=failed").text)
        assert chosen == "1 failed last"

    def test_thousands_of_jobs_come_in_pages(self, get, source):
        status = source.state.jobs[1]
        jobs = tuple(
            JobStatus(entry=replace(status.entry, path=f"jobs.d/{n}.yaml", job_name=f"job{n:04d}"))
            for n in range(450)
        )
        source.change(jobs=jobs)
        last = get("/?page=3").text
        assert re.findall(r'href="/jobs/(job\d+)"', last)[0] == "job0400"
        assert "450 jobs, page 3 of 3" in visible(last)
        assert 'rel="prev"' in last
        assert 'rel="next"' not in last


class TestJobAndRun:
    def test_the_age_of_a_run_is_that_of_its_end(self, get, source):
        """A backfill runs for a time long ago; the pages say when it ran."""
        latest = source.state.jobs[1].last_run
        done = replace(
            latest,
            run_id="filled",
            scheduled_time=NOW - timedelta(days=506),
            queued_at=NOW - timedelta(hours=5),
            started_at=NOW - timedelta(seconds=90),
            finished_at=NOW - timedelta(seconds=30),
        )
        source.history.append(done)
        source.change(jobs=(replace(source.state.jobs[1], last_run=done),))
        for path in ("/", "/jobs/daily_sales", "/runs/filled"):
            text = visible(get(path, headers=BROWSER).text)
            assert "30 s ago" in text, path
            assert "506 d" not in text, path
        assert "2024-06-21" in visible(get("/runs/filled", headers=BROWSER).text)
        working = replace(done, state=RunState.RUNNING, finished_at=None)
        source.history[-1] = working
        assert "90 s ago" in visible(get("/jobs/daily_sales", headers=BROWSER).text)
        source.history[-1] = replace(working, state=RunState.QUEUED, started_at=None)
        for path in ("/jobs/daily_sales", "/runs/filled"):
            assert "5 h ago" in visible(get(path, headers=BROWSER).text), path

    def test_what_a_job_does_otherwise_than_most_is_shown(self, get, source):
        status = source.state.jobs[1]
        usual = visible(get("/jobs/daily_sales", headers=BROWSER).text)
        for label in ("Retries", "Empty results", "Failures mailed", "Mails in doubt"):
            assert label not in usual
        job = replace(
            status.entry.job,
            retry=Retry(limit=3, backoff_seconds=60),
            delivery=DeliveryOptions(notify_after=3, on_empty=OnEmpty.SKIP, on_ambiguous=OnAmbiguous.HOLD),
        )
        source.change(jobs=(replace(status, entry=replace(status.entry, job=job)),))
        text = visible(get("/jobs/daily_sales", headers=BROWSER).text)
        for words in (
            "Retries 3, after up to 1 min, the last after up to 4 min",
            "Empty results skip",
            "Failures mailed from 3 in a row on",
            "Mails in doubt hold",
        ):
            assert words in text

    def test_what_nobody_can_see_is_shown_as_an_escape(self, get, source):
        cursed, harmless = "\x1b]0;title\x07 \x9b\u202e<b>", r"\x1b]0;title\x07 \x9b\u202e&lt;b&gt;"
        status = source.state.jobs[0]
        run = status.last_run
        failure = RunFailure(
            kind=FailureKind.SCRIPT, message=f"m {cursed}", hint=f"h {cursed}", traceback=f"t {cursed}"
        )
        told = [replace(one, error=f"e {cursed}") for one in run.deliveries]
        attempt = Attempt(number=1, state=RunState.FAILED, started_at=NOW, finished_at=NOW, failure=failure)
        run = replace(
            run,
            failure=failure,
            note=f"n {cursed}",
            output=f"one\r\no\ttwo {cursed}",
            deliveries=tuple(told),
            attempts=(attempt,),
        )
        step = replace(status.entry.job.step, text=f"s {cursed}")
        job = replace(status.entry.job, description=f"d {cursed}", tags=(f"g {cursed}",), step=step)
        finding = Diagnostic(path=job.path, rule="r", message=f"f {cursed}", hint=f"i {cursed}")
        entry = replace(status.entry, job=job, diagnostics=(finding,))
        source.history = [run]
        source.change(jobs=(replace(status, entry=entry, last_run=run),), reasons=(f"r {cursed}",), ready=False)
        seen = ""
        for path in ("/", "/jobs/broken_join", f"/runs/{FAILED}", "/jobs/%1b%5b", "/?q=%1b%5b"):
            html = get(path, headers=BROWSER).text
            assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", html), path
            seen += html
        for letter in "mhtendgsfir":
            assert f"{letter} {harmless}" in seen, letter
        assert "one\no\ttwo" in seen

    def test_a_job_with_its_script_and_fifty_runs(self, get):
        html = get("/jobs/daily_sales", headers=BROWSER).text
        assert "by_region = data.groupby" in html
        assert "jobs.d/sales/daily_sales.yaml:12" in html
        assert "2048 MiB" in html
        assert html.count("/runs/01k9m") == 50
        assert f"/jobs/daily_sales/runs?before=01k9m{11:021d}" in html

    def test_a_mail_that_was_kept_as_a_file_is_not_called_sent(self, get, source):
        run = source.history[-3]
        kept = replace(run.deliveries[0], kept_as="/data/mail/a.eml")
        source.history = [replace(run, deliveries=(kept, kept))]
        assert " 2 kept " in visible(get(f"/jobs/{run.job_name}", headers=BROWSER).text)
        text = visible(get(f"/runs/{run.run_id}", headers=BROWSER).text)
        assert " kept " in text
        assert "/data/mail/a.eml , as no mail server was set" in text
        delivery = get(f"/runs/{run.run_id}").json()["deliveries"][0]
        assert (delivery["state"], delivery["kept_as"]) == ("sent", "/data/mail/a.eml")

    def test_the_mails_of_a_run_are_counted_by_state(self, get, source):
        sent = source.history[-3].deliveries[0]
        dead = replace(sent, state=DeliveryState.DEAD)
        source.history = [replace(source.history[-3], deliveries=(sent, dead, sent))]
        text = visible(get("/jobs/daily_sales", headers=BROWSER).text)
        assert " 12 dead 2 sent " in text  # after the 12 rows that came out

    def test_a_job_that_is_not_in_force_is_not_to_be_run(self, get, source):
        status, source.history = source.state.jobs[2], []
        path = f"/jobs/{status.entry.job_name}"
        assert "Run it now with runner run" in visible(get(path, headers=BROWSER).text)
        source.change(jobs=(replace(status, entry=replace(status.entry, job=None)),))
        text = visible(get(path, headers=BROWSER).text)
        assert "It has not run yet." in text
        assert "Run it now" not in text

    def test_a_failed_run_with_traceback_output_and_mails(self, get):
        html = get(f"/runs/{FAILED}", headers=BROWSER).text
        assert "Look at line 14." in html
        assert "merged = data.merge(regions" in html
        assert "&lt;script&gt;alert" in html
        assert "<script>" not in html
        text = visible(html)
        assert "451 4.7.1 Try again later" in text
        assert "next attempt in 4 min" in text
        assert "550 5.1.1 No such user" in text

    def test_each_cell_says_what_it_is_where_a_narrow_page_has_no_head_of_the_table(self, get, checked_run):
        for path in ("/", "/jobs/broken_join", f"/runs/{FAILED}", f"/runs/{checked_run.run_id}"):
            cells = re.findall(r"<td\b[^>]*>", get(path, headers=BROWSER).text)
            assert cells, path
            assert [cell for cell in cells if not re.search(r'data-label="[^"]', cell)] == [], path

    def test_a_run_with_checks_chart_and_cursor(self, get, checked_run):
        html = get(f"/runs/{checked_run.run_id}", headers=BROWSER).text
        text = visible(html)
        for words in (
            "Checks 2 of 3 checks failed",
            "✓ passed order_id is unique",
            "✗ failed amount is at least 0 341 rows are below 0 2 of 341 failing rows",
            "! failed does not block there are at least 10 rows there are 3 rows",
            "order &lt;id&gt; amount A-17 -3 &lt;b&gt;A-18&lt;/b&gt; -0.5",
            "Cursor 0",
        ):
            assert words in text
        assert f'src="/runs/{checked_run.run_id}/chart.png" alt="Chart of the result"' in html

    def test_a_job_with_sources_checks_chart_and_cursor(self, get, source):
        status = source.state.jobs[1]
        stock = DataSource(
            name="stock",
            source_type=SourceType.DATABASE,
            location="postgresql://reader:hunter2@db.example.com/shop",
            format=FileType.PARQUET,
        )
        job = replace(
            status.entry.job,
            more_sources=(stock,),
            incremental=Incremental(cursor="updated_at", initial_value=0),
            checks=(Check(kind=CheckKind.MIN, columns=("amount",), at_least=0, blocking=False),),
            chart=Chart(kind=ChartKind.BAR, x="day", y=("north", "south")),
        )
        source.change(jobs=(replace(status, entry=replace(status.entry, job=job)),))
        text = visible(get("/jobs/daily_sales", headers=BROWSER).text)
        for words in (
            "data api (json): https://api.example.com/sales?key=${env:KEY}",
            "stock database: postgresql://***@db.example.com/shop",
            "Incremental by updated_at starts at 0",
            "amount is at least 0 does not block",
            "Bar chart of north, south by day",
        ):
            assert words in text
        source.cursors["daily_sales"] = "2025-11-08"
        assert "delivered up to 2025-11-08" in visible(get("/jobs/daily_sales", headers=BROWSER).text)
        assert get("/jobs/daily_sales").json()["incremental"]["value"] == "2025-11-08"

    def test_unfinished_runs_refresh_themselves_and_finished_ones_do_not(self, get):
        refresh = '<meta http-equiv="refresh"'
        assert refresh in get(f"/runs/01k9m{95:021d}", headers=BROWSER).text
        assert refresh not in get(f"/runs/{FAILED}", headers=BROWSER).text
        assert refresh in get("/").text

    def test_a_run_of_a_job_that_is_gone_is_shown_in_utc(self, get, source):
        source.change(jobs=())
        assert "UTC" in get(f"/runs/{FAILED}", headers=BROWSER).text

    def test_what_is_not_there_is_a_page_too(self, get):
        answer = get("/jobs/daily_sale", headers=BROWSER)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "Did you mean &#39;daily_sales&#39;?" in answer.text
        assert "<title>There is no job &#39;daily_sale&#39; · runner</title>" in answer.text
        assert (
            "<title>limit=&#39;0&#39; cannot be used"
            in get("/jobs/daily_sales/runs?limit=0", headers=BROWSER).text
        )


@pytest.mark.parametrize(
    ("delta", "words"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=-1), "1 s ago"),
        (timedelta(seconds=59), "in 59 s"),
        (timedelta(seconds=119), "in 119 s"),
        (timedelta(minutes=119), "in 119 min"),
        (timedelta(minutes=179), "in 2 h"),
        (timedelta(hours=-47), "47 h ago"),
        (timedelta(hours=-71), "2 d ago"),
        (timedelta(days=400), "in 400 d"),
    ],
)
def test_relative_times(delta, words):
    assert relative_words(NOW + delta, NOW) == words


@pytest.mark.parametrize(
    ("limit", "backoff", "longest", "words"),
    [
        (1, 1, 3600, "1, after up to 1.0 s"),
        (3, 60, 60, "3, after up to 1 min"),
        (3, 600, 60, "3, after up to 1 min"),
        (100, 60, 3600, "100, after up to 1 min, the last after up to 1 h"),
    ],
)
def test_retries_in_words(limit, backoff, longest, words):
    assert retry_words(Retry(limit=limit, backoff_seconds=backoff, max_delay_seconds=longest)) == words


def test_nothing_is_loaded_from_elsewhere(get):
    for path in ("/", "/jobs/daily_sales", f"/runs/{FAILED}", "/docs", "/redoc", "/nowhere"):
        html = get(path, headers=BROWSER).text
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', html), path
        for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', html):
            assert get(asset).status_code == 200


@pytest.fixture(scope="module")
def browser():
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no Chromium here")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "window-size=1280,900",
    ):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as chrome:
        yield chrome


def complaints(browser):
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def wait_for(browser, selector):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 20).until(lambda page: page.find_elements(By.CSS_SELECTOR, selector))


def contrast(one, other):
    """As https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio has it, of two colours such as `rgb(1, 2, 3)`."""

    def luminance(colour):
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


class TestInTheBrowser:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_the_field_to_search_in_is_seen(self, browser, base, scheme):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        try:
            browser.get(f"{base}/")
            (field,) = wait_for(browser, "input[type=search]")
            edge, back = (field.value_of_css_property(name) for name in ("border-top-color", "background-color"))
        finally:
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        assert contrast(edge, back) >= 3

    def test_the_keyboard_comes_past_the_head_of_the_page_at_once(self, browser, base):
        from selenium.webdriver.common.keys import Keys

        def focused():
            return browser.switch_to.active_element

        browser.get(f"{base}/")
        (skip,) = wait_for(browser, ".skip")
        assert skip.size["height"] <= 1, "it takes no room until then"
        focused().send_keys(Keys.TAB)
        assert focused().text == "Skip to content"
        assert focused().size["height"] > 20, "it is seen as it has the focus"
        focused().send_keys(Keys.ENTER)
        focused().send_keys(Keys.TAB)
        assert focused().get_attribute("href").endswith("/?show=invalid")

    @pytest.mark.long
    def test_the_pages_show_and_lead_on(self, browser, base):
        browser.get(f"{base}/")
        rows = wait_for(browser, "table.jobs tbody tr")
        assert len(rows) == 4
        assert rows[0].value_of_css_property("display") == "table-row", "the style sheet was applied"
        (link,) = wait_for(browser, 'a[href="/jobs/broken_join"]')
        link.click()
        (run,) = wait_for(browser, "tbody th a")
        run.click()
        assert "KeyError" in wait_for(browser, "pre")[0].text
        assert complaints(browser) == []

    def test_the_chart_of_a_run_is_seen(self, browser, base, checked_run):
        browser.get(f"{base}/runs/{checked_run.run_id}")
        (image,) = wait_for(browser, ".chart img")
        assert browser.execute_script("return arguments[0].naturalWidth", image) == 1
        assert complaints(browser) == []

    @pytest.mark.long
    def test_on_a_phone_nothing_is_cut_off(self, browser, base, checked_run):
        browser.set_window_size(500, 900)
        try:
            for path in ("/", "/jobs/daily_sales", f"/runs/{FAILED}", f"/runs/{checked_run.run_id}"):
                browser.get(base + path)
                wait_for(browser, "main")
                assert browser.execute_script(
                    "return document.documentElement.scrollWidth <= window.innerWidth"
                ), path
        finally:
            browser.set_window_size(1280, 900)

    @pytest.mark.parametrize("width", [500, 1280])
    def test_long_texts_break_and_widen_nothing(self, browser, base, source, width):
        long = "very_long_without_a_blank_" * 12
        status = source.state.jobs[0]
        job = status.entry.job
        job = replace(job, description=long, step=replace(job.step, path=f"jobs.d/{long}.yaml"))
        failure = RunFailure(kind=FailureKind.CHECK, message=long, hint=f"It is kept at /srv/{long}")
        check = CheckResult(words=long, blocking=True, passed=False, found=long)
        attempt = Attempt(number=1, state=RunState.FAILED, started_at=NOW, finished_at=NOW, failure=failure)
        deliveries = tuple(replace(one, error=long) for one in status.last_run.deliveries)
        run = replace(
            status.last_run,
            failure=failure,
            checks=(check,),
            attempts=(attempt,),
            note=long,
            deliveries=deliveries,
        )
        source.history = [run]
        source.change(jobs=(replace(status, entry=replace(status.entry, job=job), last_run=run),))
        browser.set_window_size(width, 900)
        try:
            for path in ("/", "/jobs/broken_join", f"/runs/{FAILED}"):
                browser.get(base + path)
                wait_for(browser, "main")
                too_wide = browser.execute_script(
                    "return [document.documentElement, ...document.querySelectorAll('.wide')]"
                    ".filter(one => one.scrollWidth > one.clientWidth).map(one => one.innerText.slice(0, 80))"
                )
                assert too_wide == [], path
        finally:
            browser.set_window_size(1280, 900)

    def test_the_time_of_a_run_stands_on_one_line(self, browser, base, source):
        source.history = [replace(run, note="word " * 60) for run in source.history]
        browser.get(f"{base}/jobs/daily_sales")
        links = wait_for(browser, "table.runs th a")
        assert {link.size["height"] for link in links[:5]} == {links[0].size["height"]}
        assert links[0].size["height"] < 30

    @pytest.mark.long
    def test_swagger_ui_renders(self, browser, base):
        browser.get(f"{base}/docs")
        assert len(wait_for(browser, ".opblock")) == 9
        assert complaints(browser) == []

    @pytest.mark.long
    def test_redoc_renders(self, browser, base):
        browser.get(f"{base}/redoc")
        assert any("List all jobs" in title.text for title in wait_for(browser, "[data-section-id] h2"))
        # Its mark at the foot would come from elsewhere, which the policy keeps out.
        assert wait_for(browser, 'img[alt="redocly logo"]')[0].get_attribute("src") == f"{base}/static/icon.svg"
        assert complaints(browser) == []
