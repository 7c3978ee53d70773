"""Hosts that have booted: a real systemd as process 1, in a copy of this machine's root that is kept in memory.

A Machine is a netns.Host, so that a netns.Network can be made of them (host_type=Machine), and what holds for hosts holds
here: nothing of it outlives the test. The copy is an overlay: what is installed or changed inside is seen inside only.
"""

import os
import pathlib
import subprocess
import time

import netns

SYSTEMD = pathlib.Path("/lib/systemd/systemd")
BOOT_SECONDS = 120
# In version 2 of control groups; beside version 1 it has a folder of its own.
_GROUPS = next((path for path in map(pathlib.Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"))
                if (path / "cgroup.procs").exists() and (path / "cgroup.controllers").exists()), None)


def missing_rights():
    """Why no machine can be booted here, or None."""
    reason = netns.missing_rights()
    if reason:
        return reason
    if not SYSTEMD.exists():
        return f"needs {SYSTEMD}"
    if _GROUPS is None:
        return "needs control groups of version 2"
    probe = _GROUPS / f"halo-lab-probe.{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"may not make control groups: {error}"
    return None


def _remove_groups(path):
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            os.rmdir(folder)
        except OSError:
            pass


class Machine(netns.Host):
    # $1: name; $2: its folder; $3: lower layers of the root, joined by colons.
    _INIT = """set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/root"
mount -t overlay overlay -o "lowerdir=$3,upperdir=$2/upper,workdir=$2/work" "$2/root"
cd "$2/root"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null zero full random urandom tty; do
    touch dev/$device
    mount --bind /dev/$device dev/$device
done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# None of this machine's own services.
rm -rf etc/systemd/system
mkdir -p etc/systemd/system var/log/journal
ln -s /lib/systemd/system/multi-user.target etc/systemd/system/default.target
for unit in getty.target console-getty.service systemd-logind.service systemd-networkd.service e2scrub_reap.service \
    systemd-timesyncd.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer; do
    ln -s /dev/null etc/systemd/system/$unit
done
rm -f var/lib/man-db/auto-update
: > etc/fstab
echo "$1" > etc/hostname
hostname "$1"
ip link set lo up
mkdir old
pivot_root . old
umount -l old
rmdir old
# In a container systemd leaves propagation as it finds it. It mounts credentials in a namespace of their own, and the
# services see them because mounts come through to the machine's.
mount --make-rshared /
echo ready
exec env -i container=halo-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 /lib/systemd/systemd --system --log-target=journal
"""

    def __init__(self, name, number, folder, lower="/"):
        self.name, self.number, self.folder, self.processes = name, number, folder, []
        self.folder.mkdir()
        self._group = _GROUPS / f"halo-lab.{os.getpid()}.{name}"
        for old in _GROUPS.glob("halo-lab.*"):
            if not pathlib.Path(f"/proc/{old.name.split('.')[1]}").exists():
                _remove_groups(old)
        self._group.mkdir()

        def enter_group():
            netns._die_with_parent()
            (self._group / "cgroup.procs").write_text(str(os.getpid()))

        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--fork", "--kill-child=KILL",
             "--propagation", "private", "sh", "-c", self._INIT, "sh", name, folder, lower],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=enter_group)
        if self._holder.stdout.readline() != b"ready\n":
            raise netns.LabError(f"machine {name} could not be made")
        self.init = netns._children(self._holder.pid)[0]
        self._namespace = os.readlink(f"/proc/{self.init}/ns/pid")

    def wait_booted(self):
        def is_up():
            state = self.run(["systemctl", "is-system-running"]).stdout.strip()
            return state in ("running", "degraded") and state
        return netns.wait_for(is_up, BOOT_SECONDS, f"{self.name} has booted")

    def enter(self):
        return super().enter()[:-1] + ["--cgroup", "--"]

    def systemctl(self, *arguments, check=True, seconds=60):
        return self.run(["systemctl", "--no-pager", *arguments], seconds=seconds, check=check)

    def property(self, unit, name):
        return self.systemctl("show", "--value", "-p", name, unit).stdout.strip()

    def journal(self, *arguments):
        return self.run(["journalctl", "--no-pager", "-o", "short-monotonic", *arguments], seconds=60).stdout

    def wait_active(self, unit, seconds=60):
        try:
            netns.wait_for(lambda: self.property(unit, "ActiveState") == "active", seconds, f"{unit} is active")
        except netns.Timeout:
            print(self.systemctl("status", unit, check=False).stdout, self.journal("-n", "60"), sep="\n")
            raise

    def close(self):
        # Process 1 is in a namespace of ours: its end is that of all inside.
        super().close()
        deadline = time.monotonic() + 5
        while self._group.exists() and time.monotonic() < deadline:
            _remove_groups(self._group)
            netns.pause(0.05)
