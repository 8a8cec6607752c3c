"""The policy of a folder of jobs: bounds that no job of it may pass."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class RunBounds:
    """What of a policy is held against a run and its mails; the fields are those of `JobPolicy`."""

    allowed_hosts: tuple[str, ...] | None = None
    private_hosts: tuple[str, ...] = ()
    recipient_domains: tuple[str, ...] | None = None
    allowed_imports: tuple[str, ...] = ()
    data_roots: tuple[str, ...] | None = None

    def allows_host(self, host: str) -> bool:
        """Whether sources may be fetched from a host (a name or an address, without a port)."""
        return self.allowed_hosts is None or _is_among(host, self.allowed_hosts) or self.allows_private(host)

    def allows_private(self, host: str) -> bool:
        """Whether a host may lie at a private, loopback or link-local address: it is named by the policy."""
        return _is_among(host, (*self.private_hosts, *(self.allowed_hosts or ())))

    def allows_recipient(self, address: str) -> bool:
        """Whether mail may go to an address."""
        if self.recipient_domains is None:
            return True
        return _is_among(address.rpartition("@")[2], self.recipient_domains)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPolicy:
    """What `_policy.yaml` says. None: no bound.

    `allowed_hosts` and `recipient_domains` are names in small letters; one that starts with `*.` stands for
    every name below it, and not for itself. `private_hosts` are allowed too, and may lie at a private address,
    as those of `allowed_hosts` may; no other host may. `allowed_imports` are modules that scripts may import
    beside the usual ones; a module stands for what is in it too. `data_roots` are folders, relative ones below
    the project folder.
    """

    allowed_hosts: tuple[str, ...] | None = None
    private_hosts: tuple[str, ...] = ()
    recipient_domains: tuple[str, ...] | None = None
    allowed_imports: tuple[str, ...] = ()
    data_roots: tuple[str, ...] | None = None
    max_timeout_seconds: float | None = None
    max_memory_mb: int | None = None
    max_runs_per_hour: int | None = None
    require_owner: bool = False

    @property
    def run_bounds(self) -> RunBounds:
        """What of it is held against a run and its mails."""
        return RunBounds(
            allowed_hosts=self.allowed_hosts,
            private_hosts=self.private_hosts,
            recipient_domains=self.recipient_domains,
            allowed_imports=self.allowed_imports,
            data_roots=self.data_roots,
        )

    def allows_host(self, host: str) -> bool:
        """Whether sources may be fetched from a host (a name or an address, without a port)."""
        return self.run_bounds.allows_host(host)

    def allows_recipient(self, address: str) -> bool:
        """Whether mail may go to an address."""
        return self.run_bounds.allows_recipient(address)


def _is_among(name: str, patterns: tuple[str, ...]) -> bool:
    name = name.lower().rstrip(".")
    return any(
        name.endswith(pattern[1:]) and len(name) >= len(pattern) if pattern.startswith("*.") else name == pattern
        for pattern in patterns
    )
