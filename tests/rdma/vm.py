#!/usr/bin/python3
"""Runs a command in a small virtual machine whose kernel has RDMA devices in software (rxe: RoCE v2).

    tests/rdma/vm.py [--timeout S] [--memory MIB] -- COMMAND...

The machine sees this machine's files; what it writes is gone at its end, but for /run/job. The command gets this
environment and folder, and its output and exit code are ours: 77 when no machine can be had, 124 when the time is up,
125 when the machine died. The time is what the machine has had of a processor: beside other work it has more by the
clock. Nothing leaves it: it has no network card.

QEMU emulates the processor where there is no KVM, or one that does not start a machine, and boots Debian's own kernel package, which is fetched with apt once
and kept in ~/.cache/halo-vm.
"""

import argparse
import contextlib
import ctypes
import hashlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

SKIP, TIMED_OUT, DIED = 77, 124, 125
FETCH_SECONDS = 240
# A machine of KVM starts within 3 s, or never.
KVM_SECONDS = 30
KVM = ("-accel", "kvm", "-cpu", "host")
# Emulated, rxe's checksum is faster without carry-less multiplication, everything without a fifth page table.
EMULATED = ("-accel", "tcg,thread=multi", "-cpu", "max,-pclmulqdq,-la57")
# A command may take as long as so many starts of its machine, 5 s each on a processor of today, emulated.
SLOW_STARTS = 30
LAST_WORDS_SECONDS = 60
HERE = pathlib.Path(__file__).resolve().parent
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "halo-vm"
KERNEL = "linux-image-amd64"
PROGRAMS = ("qemu-system-x86_64", "busybox", "cpio", "depmod", "modprobe", "xz", "apt-get", "dpkg")
# What the kernel needs for its files, the hosts' network, its faults, and the devices.
MODULES = """virtio_pci virtio_console 9pnet_virtio 9p overlay veth bridge sch_netem sch_ingress cls_matchall act_gact
nf_tables nft_numgen nft_counter nft_ct crc32_generic crc32c_generic libcrc32c ib_uverbs rdma_ucm rdma_rxe""".split()

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
files() { mount -t 9p -o "trans=virtio,version=9p2000.L,msize=262144,$2" "$1" "$3"; }
mkdir /below /above; files all cache=loose,ro /below
mount -t tmpfs above /above; mkdir /above/new /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/new,workdir=/above/work all /all
for each in proc sys dev; do mount --move /$each /all/$each; done
ln -sf /proc/self/fd /all/dev/fd
mount -t tmpfs run /all/run; mkdir /all/run/job /all/dev/shm /all/dev/pts
mount -t tmpfs shm /all/dev/shm; mount -t devpts pts /all/dev/pts
files job cache=none /all/run/job
# Not chroot: whoever enters a mount namespace stands at its root.
exec switch_root /all /bin/sh /run/job/start
"""

START = """touch /run/job/started
for port in /dev/vport*p1; do exec >"$port" 2>&1 </dev/null; done
. /run/job/environment
ip link set lo up
hostname vm
sh /run/job/command
echo $? > /run/job/status.new; mv /run/job/status.new /run/job/status
busybox poweroff -f
"""


class NoMachine(Exception):
    """Why there can be none here."""


class Clock:
    """The seconds in which the machine could run: those in which it waited for a processor of the host do not count."""

    def __init__(self, process):
        self._tasks = pathlib.Path(f"/proc/{process.pid}/task")
        self._began, self._stolen_before = time.monotonic(), self._stolen()
        self.is_known = False  # A kernel may have been built without it, and a sandbox lack it.
        self._waited = {}
        self._waited_before = self._longest_wait()

    @staticmethod
    def _stolen():
        """What other machines had of the host's processors, a processor."""
        words = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()
        return int(words[8]) / os.sysconf("SC_CLK_TCK") / os.cpu_count()

    def wall(self):
        return time.monotonic() - self._began

    def _longest_wait(self):
        # proc(5): time on the processor, time waiting for it (ns), and how often.
        for task in self._tasks.glob("*/schedstat"):
            with contextlib.suppress(OSError, ValueError):
                ran, waited, _ = map(int, task.read_text().split())
                self.is_known = self.is_known or ran > 0
                self._waited[task.parent.name] = waited / 1e9
        return max(self._waited.values(), default=0)

    def given(self):
        return self.wall() - (self._longest_wait() - self._waited_before) - (self._stolen() - self._stolen_before)


def die_with_parent():
    """In QEMU's process: none is left behind by who is killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def run(*argv, **options):
    return subprocess.run([str(a) for a in argv], check=True, text=True, capture_output=True, **options).stdout


def fetch_kernel(work):
    """Debian's kernel package, unpacked into `work`."""
    try:
        depends = run("apt-cache", "depends", KERNEL, timeout=FETCH_SECONDS)
        package = re.findall(r"Depends: (linux-image-[0-9]\S*)", depends)[-1]
        print(f"vm: fetching {package}", file=sys.stderr, flush=True)
        run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, cwd=work,
            timeout=FETCH_SECONDS)
    except (subprocess.SubprocessError, IndexError) as error:
        detail = getattr(error, "stderr", "") or str(error)
        raise NoMachine(f"the package {KERNEL} cannot be fetched: {detail.strip()[-200:]}") from None
    for deb in work.glob("*.deb"):
        run("dpkg", "-x", deb, work)
        deb.unlink()


def unpacked(image):
    """The kernel without its compression, which costs an emulated processor seconds; or None."""
    data = image.read_bytes()
    at = data.find(b"\xfd7zXZ\x00")
    if at < 0:
        return None
    # What follows the compressed kernel makes xz complain at the end, when all is written.
    out = subprocess.run(["xz", "-dcq"], input=data[at:], capture_output=True).stdout
    return out if out[:4] == b"\x7fELF" else None


def make_machine(folder):
    """Kernel and first file system, as `kernel` and `initrd` in the folder."""
    with tempfile.TemporaryDirectory(dir=CACHE) as name:
        work = pathlib.Path(name)
        fetch_kernel(work)
        image = next(work.glob("boot/vmlinuz-*"))
        version = image.name.split("-", 1)[1]
        kernel = unpacked(image) or image.read_bytes()
        run("depmod", "-b", work, version)
        root = work / "initrd"
        for each in ("bin", "proc", "sys", "dev", "all", "modules"):
            (root / each).mkdir(parents=True)
        wanted, seen = [], set()
        for module in MODULES:
            shown = subprocess.run(["modprobe", "-d", work, "-S", version, "--show-depends", module],
                                   capture_output=True, text=True).stdout
            for line in shown.splitlines():
                words = line.split()
                if words and words[0] == "insmod" and words[1] not in seen:
                    seen.add(words[1])
                    wanted.append(pathlib.Path(words[1]))
        if not any(path.name.startswith("rdma_rxe") for path in wanted):
            raise NoMachine(f"kernel {version} has no driver rdma_rxe")
        for number, path in enumerate(wanted):
            shutil.copy(path, root / "modules" / f"{number:02}-{path.name}")
        for packed in root.glob("modules/*.xz"):
            run("xz", "-d", packed)
        shutil.copy(shutil.which("busybox"), root / "bin" / "busybox")
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(root)) for path in [root, *sorted(root.rglob("*"))])
        archive = subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=root, input=names.encode(),
                                 capture_output=True, check=True).stdout
        folder.mkdir(exist_ok=True)
        (folder / "initrd").write_bytes(archive)
        (folder / "kernel").write_bytes(kernel)


def machine():
    """The folder with kernel and initrd, made when it is missing."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NoMachine(f"no {', '.join(missing)} (packages: the line vm of tests/support/packages.txt)")
    if os.uname().machine != "x86_64":
        raise NoMachine("the machine is an x86-64 one")
    CACHE.mkdir(parents=True, exist_ok=True)
    folder = CACHE / KERNEL
    # Of what it is made: a machine made of something else is made again.
    recipe = hashlib.sha256(repr((INIT, MODULES)).encode()).hexdigest()
    made = folder / "recipe"
    if not made.exists() or made.read_text() != recipe:
        make_machine(folder)
        made.write_text(recipe)
    return folder


def qemu(folder, job, memory, processor):
    def share(tag, path, more=""):
        return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{more}",
                "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return ["qemu-system-x86_64", "-M", "pc", *processor, "-smp", "2", "-m", str(memory), "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot", "-kernel", folder / "kernel", "-initrd",
            folder / "initrd", "-append",
            # An emulated timer that comes late, as the machine is busy, must not count as a broken one.
            "console=ttyS0 quiet panic=-1 mitigations=off nokaslr no_timer_check",
            "-serial", f"file:{job}/console", "-chardev", "stdio,id=output,signal=off", "-device", "virtio-serial",
            "-device", "virtserialport,chardev=output",
            *share("all", "/", ",readonly=on"), *share("job", job)]


def wait_for_start(process, job, seconds):
    deadline = time.monotonic() + seconds
    while not (job / "started").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            console = job / "console"
            tail = console.read_text(errors="replace")[-300:] if console.exists() else ""
            raise NoMachine(f"QEMU does not start one within {seconds} s here: {(job / 'qemu').read_text()}{tail}")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.1)


def wait_for_end(process, job, seconds, patience):
    """False when the time is up. What a slow processor needs for its start tells how slow it is."""
    clock = Clock(process)
    start = patience["start"] if patience else 0
    while process.poll() is None:
        given, wall = clock.given(), clock.wall()
        is_hung = given > max(seconds, SLOW_STARTS * start) and (clock.is_known or not patience)
        if is_hung or patience and wall > patience["wall"]:
            if (job / "failed").exists():
                # It is about to say why.
                process.wait(LAST_WORDS_SECONDS)
            elif is_hung:
                print(f"vm: no result after {given:.0f} s", file=sys.stderr)
                return False
            else:
                raise NoMachine(f"too slow here: of {wall:.0f} s it had {given:.0f}, and had started within {start:.0f} s")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)
    return True


def run_in_machine(command, seconds, memory, boot_seconds=None, wall_seconds=None):
    """The command's exit code; its output goes to ours. There is no machine if it takes longer than boot_seconds to start,
    or the command longer than wall_seconds by the clock and not `seconds` of the machine's."""
    folder = machine()
    with tempfile.TemporaryDirectory(prefix="halo-vm.") as name:
        job = pathlib.Path(name)
        (job / "start").write_text(START)
        keep = {k: v for k, v in os.environ.items() if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", k)}
        keep["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        keep["HALO_VM"] = "1"
        (job / "environment").write_text("".join(f"export {k}={shlex.quote(v)}\n" for k, v in keep.items()))
        (job / "command").write_text(f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(command)}\n")
        errors = job / "qemu"
        processors = [KVM, EMULATED] if os.access("/dev/kvm", os.W_OK) else [EMULATED]
        process = None
        try:
            for processor in processors:
                with errors.open("wb") as stderr:
                    # With an end of its input QEMU would take the port for closed, and hold all output back.
                    process = subprocess.Popen([str(a) for a in qemu(folder, job, memory, processor)],
                                               stdin=subprocess.PIPE, stderr=stderr, preexec_fn=die_with_parent)
                starting = Clock(process)
                is_last = processor is processors[-1]
                patient = boot_seconds if is_last else KVM_SECONDS
                try:
                    if patient is not None:
                        wait_for_start(process, job, patient)
                    break
                except NoMachine:
                    if is_last:
                        raise
                    process.kill()
                    process.wait()
            patience = {"start": starting.given(), "wall": wall_seconds} if wall_seconds else None
            if not wait_for_end(process, job, seconds, patience):
                return TIMED_OUT
        except subprocess.TimeoutExpired:
            return TIMED_OUT
        finally:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        status = job / "status"
        if status.exists():
            return int(status.read_text())
        console = job / "console"
        tail = console.read_text(errors="replace")[-2000:] if console.exists() else ""
        print(f"vm: the machine died: {errors.read_text(errors='replace')}{tail}", file=sys.stderr)
        return DIED


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=float, default=300)
    parser.add_argument("--memory", type=int, default=1024)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    try:
        sys.exit(run_in_machine(options.command, options.timeout, options.memory))
    except NoMachine as reason:
        print(f"SKIPPED: {reason}")
        sys.exit(SKIP)


if __name__ == "__main__":
    main()
