"""What is mounted where, as Linux lists it in `/proc/self/mountinfo`, and which of it machines may share."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# A space in a path is written `\040`, as proc(5) says.
_ESCAPED = re.compile(r"\\([0-7]{3})")
# Before this field there are as many optional ones as the kernel likes.
_SEPARATOR = " - "
_SHARED = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "vmhgfs", "afs", "coda", "ncpfs"),
        *("ceph", "glusterfs", "lustre", "beegfs", "gpfs", "orangefs", "pvfs2", "gfs2", "ocfs2"),
    }
)
# A program answers for these, such as sshfs, s3fs or davfs2: on its own disk, or on a server's.
_BY_PROGRAM = re.compile(r"fuse(\.|(?![\s\S]))")
# These show folders of this machine: the root of a container that needs no root, encrypted, several as one.
_OF_FOLDERS = frozenset(
    {"fuse.fuse-overlayfs", "fuse.gocryptfs", "fuse.encfs", "fuse.mergerfs", "fuse.bindfs"},
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Mount:
    """A mount point, as an absolute path, and the kind of its file system, such as `ext4` or `nfs4`."""

    point: str
    kind: str

    @property
    def may_be_shared(self) -> bool:
        """Whether other machines, or the host of a virtual one, may work on the same files, with locks and memory
        of their own."""
        return self.kind in _SHARED or (_BY_PROGRAM.match(self.kind) is not None and self.kind not in _OF_FOLDERS)


def mounts_in(text: str) -> tuple[Mount, ...]:
    """The mounts of such a list, in its order; lines that are none are left out."""
    return tuple(mount for mount in map(_mount_in, text.split("\n")) if mount is not None)


def mount_of(path: str, mounts: Sequence[Mount]) -> Mount | None:
    """The mount that an absolute path lies on, as it is written; of several at one point the last is seen."""
    holding = [one for one in mounts if f"{path}/".startswith(f"{one.point.rstrip('/')}/")]
    return max(reversed(holding), key=lambda one: len(one.point), default=None)


def _mount_in(line: str) -> Mount | None:
    before, _, after = line.partition(_SEPARATOR)
    fields = before.split(" ")
    kind = after.partition(" ")[0]
    if len(fields) < 5 or not kind:
        return None
    return Mount(point=_ESCAPED.sub(lambda found: chr(int(found[1], 8)), fields[4]), kind=kind)
