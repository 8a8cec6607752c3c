"""Rules on YAML itself."""

from runner.jobfiles.rules.rule import Rule, job

YAML_RULES = (
    Rule(
        name="ambiguous-value",
        summary="A value means one thing to one YAML reader and another to the next.",
        reason=(
            "YAML 1.1 reads yes as true, 1:30 as 90 and 2025-11-09 as a date; YAML 1.2 reads text. Editors,"
            " reviewers and other tools would disagree on what the job does, so the value is quoted or written"
            " plainly."
        ),
        bad=job("suspend: no\n"),
        good=job("suspend: false\n"),
    ),
    Rule(
        name="bad-key",
        summary="A key is not plain text, or not one that its mapping can hold.",
        reason=(
            "Keys such as 1, on or [a] are read as a number, a truth value or a list, and would never be"
            " found under the name that was meant. Header names are those that HTTP allows."
        ),
        bad=job("1: first\n"),
        good=job("description: first\n"),
    ),
    Rule(
        name="duplicate-key",
        summary="A key stands twice in one mapping.",
        reason=(
            "Most YAML readers keep the last one and say nothing: half of what was reviewed would not count."
            " It happens when two branches are merged."
        ),
        bad=job("timeout_seconds: 60\ntimeout_seconds: 600\n"),
        good=job("timeout_seconds: 600\n"),
    ),
    Rule(
        name="empty-file",
        summary="The file holds no job.",
        reason=(
            "An empty file among the jobs is most often one that was never finished or was cut off. A file"
            " that is none is removed, or its name starts with _."
        ),
        bad="# job_name: daily_sales\n",
        good=job(),
    ),
    Rule(
        name="many-documents",
        summary="The file holds more than one YAML document.",
        reason=(
            "One file is one job: history, review and rollback go by the file. A second document after ---"
            " would be passed over by many readers."
        ),
        bad=job() + "---\njob_name: weekly_sales\n",
        good=job(),
    ),
    Rule(
        name="too-deep",
        summary="More than 32 levels are nested.",
        reason="A job needs four or five. Text nested beyond that is made to exhaust a parser, not to be read.",
        bad=job(f"tags: {'[' * 40}sales{']' * 40}\n"),
        good=job("tags: [sales]\n"),
    ),
    Rule(
        name="too-many-nodes",
        summary="The file holds more than 20,000 values.",
        reason=(
            "A job file holds the job alone. Data belongs in a data file, which is streamed and never parsed"
            " as YAML."
        ),
        no_example="It would be too long to show.",
    ),
    Rule(
        name="yaml-feature",
        summary="Anchors, aliases, tags, merge keys and directives are not taken.",
        reason=(
            "They let a few lines stand for millions of values, call constructors, or change a job from far"
            " away. A job says what it does where it says it; values for a whole folder go into its"
            " _defaults.yaml."
        ),
        bad=job(
            "owner: &team data@example.com\n",
            consumers="consumer_emails:\n  - *team\n",
        ),
        good=job(
            "owner: data@example.com\n",
            consumers="consumer_emails:\n  - data@example.com\n",
        ),
    ),
    Rule(
        name="yaml-syntax",
        summary="The file is not YAML.",
        reason=(
            "What a parser cannot read has no meaning that anybody could review. The usual causes are a"
            " missing quote, a tab, or a line that starts in the wrong column."
        ),
        bad=job("description: Sales: by category\n"),
        good=job('description: "Sales: by category"\n'),
    ),
)
