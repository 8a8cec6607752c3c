"""The JSON of the endpoint: the contract, its description, and what a client is told when it errs."""

import re
from dataclasses import replace

import jsonschema
import msgspec
import pytest

from runner.core.catalog import CatalogEntry, SyncState
from runner.core.documents import job_document, run_document
from runner.status.snapshot import JobStatus

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
FAILED = f"01k9m{90:021d}"


class TestAnswers:
    def test_jobs_are_the_documents_of_the_contract(self, get, source):
        expected = [
            job_document(one.entry, next_fire=one.next_fire, last_run=one.last_run) for one in source.state.jobs
        ]
        assert get("/jobs").json() == {"jobs": expected}
        assert [job["sync"] for job in expected] == ["in_force", "in_force", "invalid", "in_force"]

    def test_one_job_with_details(self, get):
        job = get("/jobs/daily_sales").json()
        assert job["next_fire"] == "2025-11-10T08:00:00Z"
        assert job["data_source"]["location"].endswith("${env:KEY}"), "references stay unresolved"
        assert job["step"]["text"].startswith("by_region")

    def test_runs_newest_first_by_page(self, get, source):
        first = get("/jobs/daily_sales/runs").json()["runs"]
        assert len(first) == 50
        rest = get(f"/jobs/daily_sales/runs?limit=20&before={first[-1]['run_id']}").json()["runs"]
        assert len(rest) == 10
        ids = [run["run_id"] for run in first + rest]
        assert ids == sorted(ids, reverse=True)
        assert source.asked[0] == ("daily_sales", 50, None)

    def test_a_run_with_output_and_traceback(self, get, source):
        assert get(f"/runs/{FAILED}").json() == run_document(source.run(FAILED), details=True)
        assert "merge(regions" in get(f"/runs/{FAILED}").json()["traceback"]

    def test_a_chart_is_an_image_that_stays_private(self, get, source, checked_run):
        path = f"/runs/{checked_run.run_id}/chart.png"
        answer = get(path)
        assert (answer.status_code, answer.content) == (200, source.charts[checked_run.run_id])
        assert {
            key: answer.headers[key] for key in ("Content-Type", "X-Content-Type-Options", "Cache-Control")
        } == {
            "Content-Type": "image/png",
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "private, no-cache",
        }
        again = get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        for none in (f"/runs/{FAILED}/chart.png", "/runs/absent/chart.png", "/runs/..%2f..%2fx/chart.png"):
            assert get(none).status_code == 404

    def test_runs_of_a_job_that_is_gone_stay_readable(self, get, source):
        source.change(jobs=())
        assert len(get("/jobs/broken_join/runs").json()["runs"]) == 1
        assert get("/jobs/broken_join").status_code == 404
        assert get(f"/jobs/broken_join/runs?before={FAILED}").json() == {"runs": []}

    def test_a_job_without_runs_has_an_empty_list(self, get):
        assert get("/jobs/yearly_close/runs").json() == {"runs": []}

    def test_a_name_means_the_job_in_force(self, get, source):
        clash = CatalogEntry(
            path="jobs.d/a.yaml", job=None, sync=SyncState.INVALID, digest="d", job_name="daily_sales"
        )
        source.change(jobs=(JobStatus(entry=clash), *source.state.jobs))
        assert get("/jobs/daily_sales").json()["path"] == "jobs.d/sales/daily_sales.yaml"
        assert len(get("/jobs").json()["jobs"]) == 5

    def test_probes_and_version(self, get, source):
        assert get("/healthz").json() == {"status": "ok"}
        ready = get("/readyz")
        assert ready.status_code == 200
        assert ready.json() == {
            "ready": True,
            "reasons": [],
            "sandbox": "landlock, seccomp, namespaces",
            "jobs": 4,
            "generation": 7,
        }
        source.change(ready=False, reasons=("jobs.d cannot be read",))
        ready = get("/readyz")
        assert (ready.status_code, ready.json()["reasons"]) == (503, ["jobs.d cannot be read"])
        assert get("/version").json() == {"version": "1.2.3", "revision": "1a2b3c4d5e6f"}

    def test_head_answers_like_get_without_a_body(self, get):
        for path in ("/", "/jobs", "/jobs/daily_sales", f"/runs/{FAILED}", "/metrics", "/static/style.css"):
            head = get(path, "HEAD")
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(
                len(get(path, headers={"Accept-Encoding": "identity"}).content)
            )


class TestListing:
    def test_unchanged_is_304_and_changed_is_sent(self, get, source):
        first = get("/jobs")
        tag = {"If-None-Match": first.headers["ETag"]}
        again = get("/jobs", headers=tag)
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        assert get("/jobs", headers={"If-None-Match": f'"x", W/{first.headers["ETag"]}'}).status_code == 304
        source.change(jobs=source.state.jobs[:1])
        changed = get("/jobs", headers=tag)
        assert changed.status_code == 200
        assert len(changed.json()["jobs"]) == 1
        assert changed.headers["ETag"] != first.headers["ETag"]

    def test_the_same_content_keeps_its_tag(self, get, source):
        tag = get("/jobs").headers["ETag"]
        source.change(generation=8)
        assert get("/jobs").headers["ETag"] == tag

    def test_only_changed_jobs_are_encoded_anew(self, source, monkeypatch):
        from runner.status import listing

        encoded = []

        def counting(entry, **values):
            encoded.append(entry.job_name)
            return job_document(entry, **values)

        monkeypatch.setattr(listing, "job_document", counting)
        cache = listing.ListingCache(source)
        assert cache.current() is cache.current()
        assert len(encoded) == 4
        first, *others = source.state.jobs
        source.change(jobs=(replace(first, next_fire=None), *map(replace, others)))
        assert cache.fresh() is None
        cache.current()
        assert encoded[4:] == ["broken_join"]


class TestDescription:
    @pytest.fixture
    def described(self, get):
        return get("/openapi.json").json()

    @staticmethod
    def closed(schema):
        """The schema with no room for a key it does not name."""
        if isinstance(schema, dict):
            extra = {"additionalProperties": False} if schema.get("type") == "object" else {}
            return {key: TestDescription.closed(value) for key, value in schema.items()} | extra
        return [TestDescription.closed(item) for item in schema] if isinstance(schema, list) else schema

    @pytest.mark.parametrize(
        ("template", "path", "status"),
        [
            ("/jobs", "/jobs", 200),
            ("/jobs/{job_name}", "/jobs/daily_sales", 200),
            ("/jobs/{job_name}", "/jobs/inventory", 200),
            ("/jobs/{job_name}", "/jobs/unnamed_source", 200),
            ("/jobs/{job_name}", "/jobs/absent", 404),
            ("/jobs/{job_name}/runs", "/jobs/broken_join/runs", 200),
            ("/jobs/{job_name}/runs", "/jobs/daily_sales/runs?limit=0", 400),
            ("/runs/{run_id}", f"/runs/{FAILED}", 200),
            ("/runs/{run_id}", f"/runs/01k9m{97:021d}", 200),
            ("/runs/{run_id}", "/runs/absent", 404),
            ("/healthz", "/healthz", 200),
            ("/readyz", "/readyz", 200),
            ("/version", "/version", 200),
        ],
    )
    @pytest.mark.usefixtures("checked_run")
    def test_what_is_answered_is_what_is_described(self, get, source, described, template, path, status):
        never_good = CatalogEntry(
            path="jobs.d/n.yaml", job=None, sync=SyncState.INVALID, digest="d", job_name="unnamed_source"
        )
        nameless = replace(never_good, path="jobs.d/o.yaml", job_name=None)
        source.change(jobs=(*source.state.jobs, JobStatus(entry=never_good), JobStatus(entry=nameless)))
        answer = get(path)
        assert answer.status_code == status
        content = described["paths"][template]["get"]["responses"][str(status)]["content"]
        schema = {
            **content["application/json"]["schema"],
            "components": self.closed(described["components"]),
        }
        validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
        validator.validate(answer.json())

    def test_every_path_described_is_served_and_read_only(self, get, described, checked_run):
        assert described["openapi"].startswith("3.1")
        assert described["info"]["version"] == "1.2.3"
        assert all(list(operations) == ["get"] for operations in described["paths"].values())
        for path in described["paths"]:
            real = path.replace("{job_name}", "daily_sales").replace("{run_id}", checked_run.run_id)
            assert get(real).status_code == 200, path

    def test_every_schema_is_sound_and_every_reference_leads_somewhere(self, get, described):
        for schema in described["components"]["schemas"].values():
            jsonschema.Draft202012Validator.check_schema(schema)
        names = set(re.findall(r"#/components/schemas/(\w+)", get("/openapi.json").text))
        assert names <= described["components"]["schemas"].keys()


class TestFaults:
    @pytest.mark.parametrize(
        ("method", "path", "words"),
        [
            ("POST", "/jobs/create", ["YAML file", "commit", "runner validate"]),
            ("DELETE", "/jobs/daily_sales", ["Remove jobs.d/sales/daily_sales.yaml and commit"]),
            ("DELETE", "/jobs/absent", ["Remove the job's file and commit"]),
            ("PUT", "/jobs/daily_sales", ["Edit jobs.d/sales/daily_sales.yaml and commit"]),
            ("PATCH", "/", ["jobs folder", "commit"]),
            ("POST", "/nowhere", ["jobs folder", "commit"]),
            ("OPTIONS", "/jobs", ["commit"]),
            ("POST", "/static/style.css", ["commit"]),
        ],
    )
    def test_nothing_is_changed_through_http(self, get, method, path, words):
        answer = get(path, method, data=b"x" * 100_000)
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD"
        document = answer.json()
        assert "jobs are changed in git" in document["error"]
        assert all(word in document["hint"] for word in words)

    def test_an_unknown_job_names_the_nearest(self, get):
        answer = get("/jobs/daily_sale")
        assert answer.status_code == 404
        assert "'daily_sale'" in answer.json()["error"]
        assert "'daily_sales'" in answer.json()["hint"]
        assert get("/jobs/daily_sale/runs").json() == answer.json()

    @pytest.mark.parametrize(
        "path",
        [
            "/nowhere",
            "/jobs/",
            "/runs",
            "/static/",
            "/static/../app.py",
            "/static/%2e%2e/app.py",
            "/runs/%00",
            "/jobs/a%2Fb",
        ],
    )
    def test_unknown_paths(self, get, path):
        answer = get(path)
        assert answer.status_code == 404
        assert answer.json()["hint"]

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=1001", "limit=ten", "limit=-1", "limit=٣", "limit=", "before=a'b", "before="]
    )
    def test_bad_queries(self, get, query):
        answer = get(f"/jobs/daily_sales/runs?{query}")
        assert answer.status_code == 400
        assert query.partition("=")[0] in answer.json()["error"]

    def test_a_fault_of_ours_shows_no_internals(self, get, source, caplog):
        def broken(run_id):
            raise RuntimeError("password=hunter2")

        source.run = broken
        answer = get("/runs/some")
        assert answer.status_code == 500
        assert set(answer.json()) == {"error", "hint"}
        assert "hunter2" not in answer.text
        assert "hunter2" in caplog.text
        assert "API: GET /runs/some 500" in caplog.text or "API: GET /runs/some failed" in caplog.text
        assert get("/healthz").status_code == 200


def test_metrics_follow_the_text_format(get, source):
    source.change(ready=False)
    answer = get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = {}
    for line in answer.text.splitlines():
        if not line.startswith("#"):
            assert re.fullmatch(r'[a-z_]+(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? -?[0-9.e+]+', line), line
            name, _, value = line.rpartition(" ")
            samples[name] = float(value)
    assert samples["runner_ready"] == 0
    assert samples['runner_jobs{sync="in_force"}'] == 3
    assert samples['runner_jobs{sync="invalid"}'] == 1
    assert samples["runner_jobs_suspended"] == samples["runner_jobs_running"] == 1
    assert samples['runner_runs_total{state="succeeded"}'] == 60
    assert samples['runner_runs_total{state="lost"}'] == 0
    assert samples['runner_job_last_run_state{job_name="broken_join",state="failed"}'] == 1
    assert samples['runner_job_next_fire_timestamp_seconds{job_name="inventory"}'] == 1762692300
    assert samples['runner_job_last_run_duration_seconds{job_name="daily_sales"}'] == pytest.approx(1.44)


def test_json_is_sent_to_everyone_but_browsers(get):
    assert get("/jobs/daily_sales", headers=BROWSER).headers["Content-Type"].startswith("text/html")
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0", "", ";;q=x,"):
        answer = get("/jobs/daily_sales", headers={"Accept": accept})
        assert answer.headers["Content-Type"] == "application/json", accept
        assert answer.headers["Vary"] == "Accept"
    msgspec.json.decode(get("/jobs", headers=BROWSER).content)
