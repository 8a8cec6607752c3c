"""Charts and checks in mails."""

import email
import email.policy
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from runner.core.check import CheckResult
from runner.core.delivery import MailKind
from runner.core.job import Chart, ChartKind, DeliveryOptions, OnEmpty
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure, RunState, Trigger
from runner.delivery import attachment
from runner.delivery.attachment import attach
from runner.delivery.compose import compose, compose_checks

FROM = {"sender": "Reports <runner@example.com>", "message_domain": "example.com"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8
CHART = {"chart": Chart(kind=ChartKind.LINE, x="day", y=("revenue",), title='Revenue "by" day')}
OWNED = {"owner": "owner@example.com"}
ROWS = Preview(
    columns=("order_id", "amount"),
    numeric=(False, True),
    rows=tuple((f"A-{number}", f"-{number}.5") for number in range(50)),
    total_rows=50,
    total_columns=5,
)
UNIQUE = CheckResult(words="order_id is unique", blocking=True, passed=True)
BELOW = CheckResult(
    words="amount is at least 0",
    blocking=True,
    passed=False,
    found="341 rows are below 0",
    failed_rows=341,
    rows=ROWS,
)
FEW = CheckResult(words="there are at least 10 rows", blocking=False, passed=False, found="there are 3 rows.")


@pytest.fixture
def blocked(make_report):
    """A report on a run whose result a check keeps back."""

    def make(*checks, run=None, **options):
        failure = RunFailure(kind=FailureKind.CHECK, message="1 check failed", hint="Look.")
        values = {"failure": failure, "checks": checks, "rows_out": 12, **(run or {})}
        return make_report(failed=True, run=values, kept_at="/data/runs/01k9m/result.csv", **options)

    return make


def results(report):
    return compose(report, attached=attach(report, kept_at=None), **FROM)


def parsed(mail):
    return email.message_from_bytes(mail.message, policy=email.policy.default)


def text_of(mail):
    return parsed(mail).get_body(("plain",)).get_content().replace("\r\n", "\n")


def html_of(mail):
    return parsed(mail).get_body(("related", "html")).get_body(("html",)).get_content().replace("\r\n", "\n")


def both(mail):
    """The words of both parts, on one line each."""
    shown = re.sub(r"<(?!/?b>)[^>]+>", " ", html_of(mail))
    return [re.sub(r"\s+", " ", part) for part in (text_of(mail), shown)]


class TestChart:
    def test_stands_inside_the_html_part(self, make_report):
        mail = results(make_report(chart=PNG, job=CHART))
        message = parsed(mail)
        assert [part.get_content_type() for part in message.walk()] == [
            "multipart/mixed",
            "multipart/alternative",
            "text/plain",
            "multipart/related",
            "text/html",
            "image/png",
            "text/csv",
        ]
        related, image = (list(message.walk())[place] for place in (3, 5))
        assert related.get_param("type") == "text/html"
        assert image["Content-ID"] == "<chart.01k9mabcdefghjkmnpqrstvwxy.results@example.com>"
        assert image.get_content_disposition() == "inline"
        assert image.get_payload(decode=True) == PNG
        html = html_of(mail)
        assert f'src="cid:{image["Content-ID"][1:-1]}"' in html
        assert 'alt="Revenue &#34;by&#34; day"' in html
        assert 'Chart: Revenue "by" day. The HTML part of this mail shows it' in text_of(mail)
        assert mail == results(make_report(chart=PNG, job=CHART))

    def test_gives_way_to_the_result_where_both_are_too_large(self, make_report, monkeypatch):
        monkeypatch.setattr(attachment, "ENCODED_LIMIT", 3000)
        assert attach(make_report(chart=PNG), kept_at=None).attachment is not None
        fitting = results(make_report(chart=PNG, result=b"x" * 50))
        assert "image/png" in [part.get_content_type() for part in parsed(fitting).walk()]
        mail = results(make_report(chart=PNG, result=b"x" * 300))
        assert "image/png" not in [part.get_content_type() for part in parsed(mail).walk()]
        for words in both(mail):
            assert "The chart, 2.1 kB, is left out: the mail would be too large." in words
        assert next(parsed(mail).iter_attachments()).get_filename() == "daily_sales_2025-11-09.csv"

    def test_gives_way_to_a_preview_too(self, make_report):
        report = make_report(chart=PNG)
        room = attachment.encoded_size(len(report.result)) + attachment.encoded_size(len(PNG))
        for beside, there in (
            (attachment.ENCODED_LIMIT - room, True),
            (attachment.ENCODED_LIMIT - room + 1, False),
        ):
            mail = compose(report, attached=attach(report, kept_at=None, beside=beside), **FROM)
            assert ("image/png" in [part.get_content_type() for part in parsed(mail).walk()]) is there
            assert [file.get_filename() for file in parsed(mail).iter_attachments()][-1].endswith(".csv")

    @pytest.mark.parametrize("chart", [b"<svg onload=alert(1)>", None])
    def test_what_is_no_picture_is_left_out_and_the_mail_says_so(self, make_report, chart):
        mail = results(make_report(chart=chart, run={"chart_file": "chart.png"}))
        assert "multipart/related" not in [part.get_content_type() for part in parsed(mail).walk()]
        assert all("The chart is left out: it cannot be read" in words for words in both(mail))

    def test_its_title_steers_nothing(self, make_report):
        evil = 'x"\r\nBcc: all@example.com\n\n<script>'
        job = {"job_name": evil, "chart": replace(CHART["chart"], title=evil)}
        mail = results(make_report(chart=PNG, job=job))
        assert "<script>" not in html_of(mail)
        assert all("Bcc" not in part for part in parsed(mail).walk())


class TestResults:
    def test_checks_that_all_passed_are_one_line(self, make_report):
        mail = results(make_report(run={"checks": (UNIQUE, UNIQUE)}))
        for words in both(mail):
            assert "All 2 checks passed." in words
            assert "order_id" not in words

    def test_failed_checks_are_told_without_their_rows(self, make_report):
        soft = replace(BELOW, blocking=False)
        mail = results(make_report(run={"checks": (UNIQUE, soft, FEW)}))
        for words in both(mail):
            assert "2 of 3 checks failed." in words
            assert "Failed: amount is at least 0 341 rows are below 0" in words
            assert "Failed: there are at least 10 rows there are 3 rows" in words
            assert "1 other check passed." in words
            assert "A-1" not in words
        assert mail.recipients == ("anna@example.com", "bert@example.org")

    def test_the_number_of_rows_is_told_once(self, make_report):
        soft = replace(BELOW, blocking=False, found="some are below 0")
        assert "some are below 0 (341 rows)" in both(results(make_report(run={"checks": (soft,)})))[0]


class TestBlocked:
    def test_the_owner_alone_is_told_with_the_rows(self, blocked):
        mail = compose(blocked(UNIQUE, FEW, BELOW, job=OWNED), attached=None, **FROM)
        assert mail.recipients == ("owner@example.com",)
        assert mail.subject == "Job Failed: daily_sales - 2025-11-09 14:00:00"
        for words in both(mail):
            for said in (
                "A check of the run of 2025-11-09 14:00 CET (+01:00) failed, so its result is kept back.",
                "Nothing was sent to the 2 consumers.",
                "The result is kept at /data/runs/01k9m/result.csv.",
                "the check in jobs.d/daily_sales.yaml; then run it again:",
                "runner run daily_sales --at 2025-11-09T13:00:00Z",
                "20 of 341 failing rows, without 3 columns",
                "there are at least 10 rows (does not block) there are 3 rows",
                "1 other check passed: order_id is unique",
            ):
                assert said in words
            assert "A-19" in words
            assert "A-20" not in words
            assert words.index("amount is at least 0") < words.index("there are at least 10 rows")
        assert re.search(r'<td style="[^"]*text-align:right[^"]*">-1.5</td>', html_of(mail))

    def test_without_an_owner_it_goes_where_failures_go(self, blocked):
        mail = compose(blocked(BELOW), attached=None, **FROM)
        assert mail.recipients == ("anna@example.com", "bert@example.org")

    def test_a_run_by_hand_is_run_again_for_now(self, blocked):
        mail = compose(blocked(BELOW, run={"trigger": Trigger.MANUAL}), attached=None, **FROM)
        assert "--at" not in text_of(mail)

    def test_a_run_stopped_by_its_data_has_no_result(self, blocked):
        report = replace(blocked(BELOW, BELOW, run={"rows_out": None}), kept_at=None)
        text = both(compose(report, attached=None, **FROM))[0]
        assert "2 checks of the run of 2025-11-09 14:00 CET (+01:00) failed, so it has no result." in text
        assert "is kept" not in text

    def test_rows_of_any_shape_steer_nothing(self, blocked):
        evil = "<script>\x1b[2J</script>\r\nBcc: x@example.com"
        rows = Preview(columns=(evil,) * 40, numeric=(True,), rows=((), (evil,) * 99, ("y" * 10_000,)))
        check = replace(BELOW, words=evil, found=evil * 100, rows=rows)
        mail = compose(blocked(*(check,) * 50), attached=None, **FROM)
        tags = []
        parser = HTMLParser()
        parser.handle_starttag = lambda tag, attrs: tags.append(tag)
        parser.feed(html_of(mail))
        assert "script" not in tags
        assert tags.count("thead") == 10, "the rows of ten checks are enough for a mail"
        assert "\x1b" not in text_of(mail)
        assert "Bcc" not in parsed(mail)
        assert len(mail.message) < 500_000


class TestNotBlocked:
    def test_the_owner_is_told_with_the_rows(self, make_report):
        soft = replace(BELOW, blocking=False)
        report = make_report(run={"checks": (UNIQUE, soft)}, job=OWNED, kept_at="/data/result.csv")
        mail = compose_checks(report, recipients=["owner@example.com"], **FROM)
        assert (mail.kind, mail.recipients) == (MailKind.CHECKS, ("owner@example.com",))
        assert mail.subject == "Job Checks Failed: daily_sales - 2025-11-09 14:00:00"
        assert mail.message_id == "<01k9mabcdefghjkmnpqrstvwxy.checks@example.com>"
        for words in both(mail):
            assert "1 of 2 checks failed in the run of 2025-11-09 14:00 CET (+01:00)." in words
            assert "Nothing is kept back: the result goes to the 2 consumers all the same." in words
            assert "The result is kept at /data/result.csv." in words
            assert "20 of 341 failing rows" in words

    def test_nothing_goes_to_consumers_where_nothing_does(self, make_report):
        delivery = DeliveryOptions(on_empty=OnEmpty.SKIP)
        report = make_report(run={"checks": (FEW,), "rows_out": 0}, job={"delivery": delivery})
        assert "consumers" not in text_of(compose_checks(report, recipients=["o@example.com"], **FROM))


def test_another_failure_names_checks_without_rows(make_report):
    report = make_report(failed=True, run={"checks": (replace(BELOW, blocking=False),)})
    assert report.run.state is RunState.FAILED
    for words in both(compose(report, attached=None, **FROM)):
        assert "Failed: amount is at least 0" in words
        assert "A-1" not in words


def test_each_word_is_read_well_on_light_and_on_dark_grounds(make_report):
    """No colour has 4.5 : 1 on white and on #121212 (https://www.w3.org/TR/WCAG22/#contrast-minimum): words have
    that of the reader, lighter or not, and only a sign has its own."""
    report = make_report(run={"checks": (UNIQUE, replace(BELOW, blocking=False))}, job=OWNED)
    html = html_of(compose_checks(report, recipients=["owner@example.com"], **FROM))
    assert set(re.findall(r'style="[^"]*(?<!-)color:#[^"]*">([^<]*)<', html)) == {"&#10007;"}
    assert {float(part) for part in re.findall(r"opacity:([\d.]+)", html)} == {0.65}
