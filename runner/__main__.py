"""Where the command begins, installed or as `python -m runner`: Ctrl-C ends it quietly from here on."""

import sys


def main() -> None:
    """Carry out the command line; the process ends with its exit code."""
    try:
        from runner.cli import main as command_line

        command_line(prog_name="runner")
    except KeyboardInterrupt:
        # While what a verb needs is imported: later the verbs themselves see to it.
        sys.exit(130)


if __name__ == "__main__":
    main()
