"""Rules on reading a file at all."""

from runner.core.diagnostic import Severity
from runner.jobfiles.rules.rule import Rule, files, job

_WITH_STEP_FILE = job("processing_script_file: steps/clean.py\n")

FILE_RULES = (
    Rule(
        name="bad-character",
        summary="The file holds a character that a job file cannot hold.",
        reason=(
            "Control characters, NUL and a carriage return alone are invisible in a review, and YAML readers"
            " do not agree on them; what turns the direction of text shows a script in another order than it"
            " runs. What was approved need not be what runs."
        ),
        no_example="The character could not be seen here. It is written as an escape in double quotes instead.",
    ),
    Rule(
        name="internal-error",
        summary="Checking the file failed.",
        reason=(
            "This is a fault of runner, not of the file. The other files are checked all the same; please"
            " report it with the file."
        ),
        no_example="No file should ever give it.",
    ),
    Rule(
        name="more-findings",
        summary="A file has more findings than are shown.",
        reason=(
            "The first hundred findings of a file are shown, errors before warnings: most likely they have few"
            " causes. What is left is shown once these are mended."
        ),
        no_example="A file with a hundred faults is too long to be read here.",
    ),
    Rule(
        name="missing-file",
        summary="A file that the job names is not there, is no file, or may not be looked at.",
        reason=(
            "A script or query file is a part of the job: without it the job cannot run, which is an error. A"
            " data file may come later, so that one is a warning, as is one, or the folder of a pattern, that"
            " the user who validates may not look at. Relative paths start at the folder that holds the folder"
            " of jobs."
        ),
        bad=_WITH_STEP_FILE,
        good=files(
            {
                "jobs.d/daily_sales.yaml": _WITH_STEP_FILE,
                "steps/clean.py": "result = data.dropna()\n",
            }
        ),
    ),
    Rule(
        name="no-answer",
        severity=Severity.WARNING,
        summary="Where a data file lies gives no answer.",
        reason=(
            "A network mount whose server is away lets whoever looks at it wait for ever. It was waited for five"
            " seconds: whether the file is there, and inside the data roots, is not known. The job is in force,"
            " and its runs fail while nothing answers."
        ),
        no_example="It is not a matter of text: the file system does not answer.",
    ),
    Rule(
        name="not-a-file",
        summary="A path leads to a folder, a pipe or a device.",
        reason=(
            "A job is one plain file in git. Anything else could block the reader, or answer differently each"
            " time."
        ),
        no_example="It is not a matter of text: the path is no regular file.",
    ),
    Rule(
        name="not-formatted",
        summary="runner fmt could not bring the file into canonical form.",
        reason=(
            "What it would write is read again, and must mean the same; where it does not, the file is left"
            " as it is. This is a fault of runner, not of the file: please report it with the file."
        ),
        no_example="No file should ever give it.",
    ),
    Rule(
        name="not-utf8",
        summary="The file, or its name, is not UTF-8.",
        reason=(
            "YAML in git is UTF-8. In another encoding the letters of a name or a filter would be guessed,"
            " and a wrong guess changes the result in silence. A name of a file that is not UTF-8 can be neither"
            " shown nor typed, and two of them look the same."
        ),
        no_example="Bytes that are not UTF-8 cannot be shown. Save the file as UTF-8.",
    ),
    Rule(
        name="too-large",
        summary="The file is larger than 256 KiB.",
        reason=(
            "A job file holds the job alone, a few hundred lines at most. Data belongs in a data file, which"
            " is streamed and never parsed as YAML."
        ),
        no_example="It would be too long to show.",
    ),
    Rule(
        name="unreadable",
        summary="The file cannot be read.",
        reason=(
            "Its permissions forbid it, it is a link that leads nowhere or in a circle, or it changed while"
            " it was read. A job that nobody can read is never put in force by guessing."
        ),
        no_example="It is not a matter of text: the system refuses to read the file.",
    ),
    Rule(
        name="unwritable",
        summary="runner fmt cannot write the file.",
        reason=(
            "Its permissions or those of its folder forbid it, the disk is full, or somebody changed it in the"
            " meantime. It is left as it is."
        ),
        no_example="It is not a matter of text: the system refuses to write the file.",
    ),
)
