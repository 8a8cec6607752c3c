"""What to do instead of asking the endpoint to change something."""

from collections.abc import Callable

from runner.status.listing import ListingCache

_ADD = "Write the job as a YAML file in the jobs folder and commit it; the runner picks it up by itself."
_CHECK = "Check it first with: runner validate"


def make_remedy(cache: ListingCache) -> Callable[[str, str], tuple[str, str]]:
    """Method and path → (what is wrong, what to do instead); names the file of the job that is meant."""

    def remedy(method: str, path: str) -> tuple[str, str]:
        error = f"{method} is not taken here: jobs are changed in git, nothing through HTTP"
        parts = path.strip("/").split("/")
        if method == "POST" and parts == ["jobs", "create"]:
            return error, f"{_ADD} {_CHECK}"
        if len(parts) == 2 and parts[0] == "jobs":
            status = cache.current().by_name.get(parts[1])
            file = status.entry.path if status is not None else "the job's file"
            if method == "DELETE":
                return error, f"Remove {file} and commit; the runner drops the job by itself."
            return error, f"Edit {file} and commit; the runner picks the change up by itself. {_CHECK}"
        return (
            error,
            f"Jobs are changed in git: add, edit or remove a file in the jobs folder and commit. {_CHECK}",
        )

    return remedy
