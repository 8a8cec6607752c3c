"""Rules on who gets mail, and who answers for a job."""

from runner.jobfiles.rules.rule import Rule, files, job

_POLICY = "jobs.d/_policy.yaml"
_JOB = "jobs.d/daily_sales.yaml"

PEOPLE_RULES = (
    Rule(
        name="bad-address",
        summary="An address is not one that mail can be sent to.",
        reason=(
            "One address an entry, without a name around it, and no reference in it: who gets data is"
            " reviewed in git. Servers refuse the rest, and some refuse the whole mail for it."
        ),
        bad=job(consumers="consumer_emails:\n  - analyst@example\n"),
        good=job(),
    ),
    Rule(
        name="duplicate-address",
        summary="An address is listed twice.",
        reason=(
            "Each address gets one mail. Twice the same, in capitals or not, is most often the trace of a"
            " merge, or stands where another person was meant."
        ),
        bad=job(consumers="consumer_emails:\n  - analyst@example.com\n  - Analyst@example.com\n"),
        good=job(),
    ),
    Rule(
        name="owner-required",
        summary="The policy wants an owner, and the job names none.",
        reason=(
            "require_owner in _policy.yaml: someone must answer for each job and hear of its failures. One"
            " owner for a whole folder is named in its _defaults.yaml."
        ),
        bad=files({_POLICY: "require_owner: true\n", _JOB: job()}),
        good=files({_POLICY: "require_owner: true\n", _JOB: job("owner: data@example.com\n")}),
    ),
    Rule(
        name="recipient-not-allowed",
        summary="The policy does not allow mail to this address.",
        reason=(
            "recipient_domains of _policy.yaml lists where results may be mailed to, so that no slip sends"
            " data out of the house. A new domain is a change of policy, and is reviewed as one."
        ),
        bad=files(
            {
                _POLICY: "recipient_domains: [example.com]\n",
                _JOB: job(consumers="consumer_emails:\n  - analyst@example.org\n"),
            }
        ),
        good=files({_POLICY: "recipient_domains: [example.com]\n", _JOB: job()}),
    ),
)
