"""RunOrder → RunOutcome in a sandboxed child process."""
