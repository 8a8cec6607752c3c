import pytest

from runner.core.mounts import Mount, mount_of, mounts_in

LIST = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
23 22 0:21 / /proc rw,nosuid - proc proc rw
40 22 0:40 / /srv/share rw,relatime shared:7 master:3 - nfs4 files.example.com:/export rw,vers=4.2,addr=192.0.2.1
41 40 8:2 /sub /srv/share/local\040disk rw - xfs /dev/sdb1 rw
42 22 0:42 / /mnt/a rw - ext4 /dev/sdc1 rw
43 22 0:43 / /mnt/a rw - fuse.sshfs user@files.example.com:/ rw

nothing of the kind
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/runner", "ext4"),
        ("/srv/share", "nfs4"),
        ("/srv/share/runner/data", "nfs4"),
        ("/srv/shared", "ext4"),
        ("/srv/share/local disk/runner", "xfs"),
        ("/srv/share/local", "nfs4"),
        ("/", "ext4"),
        # The later of two at one point hides the other.
        ("/mnt/a/data", "fuse.sshfs"),
    ],
)
def test_a_path_lies_on_the_nearest_mount(path, kind):
    assert mount_of(path, mounts_in(LIST)).kind == kind


def test_lines_that_are_no_mounts_are_left_out():
    assert [mount.point for mount in mounts_in(LIST)] == [
        "/",
        "/proc",
        "/srv/share",
        "/srv/share/local disk",
        "/mnt/a",
        "/mnt/a",
    ]
    assert mount_of("/srv", ()) is None


@pytest.mark.parametrize(
    ("kind", "shared"),
    [
        *((kind, True) for kind in ("nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "fuse", "fuse.s3fs")),
        *((kind, False) for kind in ("ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk", "nfsd")),
        # Of a container that needs no root.
        ("fuse.fuse-overlayfs", False),
        # Disks of this machine, encrypted, or several as one.
        *((f"fuse.{program}", False) for program in ("gocryptfs", "encfs", "mergerfs", "bindfs")),
    ],
)
def test_what_other_machines_may_reach(kind, shared):
    assert Mount(point="/srv", kind=kind).may_be_shared is shared
