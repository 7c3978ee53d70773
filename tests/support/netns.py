"""Hosts on one machine: each has its own network, mount, process, IPC and host-name namespace.

Nothing is made in the machine's own network namespace, and every namespace is held by a process that
dies with the program that made it (parent-death signals down to the PID namespace's init). So a
run that is killed with -9 leaves no interface, no process and no mount behind; a left-over scratch
folder in /tmp is removed by the next run.
"""

import ctypes
import os
import pathlib
import select
import shutil
import signal
import subprocess
import tempfile
import time

SCRATCH_PREFIX = "halo-lab."
# In an emulated machine (tests/rdma/vm.py) a program's start alone can take many seconds.
SLOWNESS = float(os.environ.get("HALO_VM_SLOWNESS", 6)) if os.environ.get("HALO_VM") else 1
# With more the neighbours of all hosts are too many for the machine to learn them.
HOSTS_THAT_LEARN = 24
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The lab itself could not be made or did not answer; says nothing about Halo."""


class Timeout(AssertionError):
    """What a test waited for did not happen before its deadline."""


def missing_rights():
    """Why no lab can be made here, or None."""
    if os.geteuid() != 0:
        return "needs root, to make network namespaces"
    for program in ("unshare", "nsenter", "ip", "nft"):
        if shutil.which(program) is None:
            return f"needs the program {program}"
    probe = subprocess.run(
        ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "true"],
        capture_output=True, text=True)
    if probe.returncode != 0:
        return f"may not make namespaces here: {probe.stderr.strip()}"
    return None


def wait_for(condition, seconds, what):
    """The first true value of condition(), which is asked again until the deadline."""
    deadline = time.monotonic() + seconds * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Timeout(f"not within {seconds} s: {what}")
        pause(0.01)


def pause(seconds):
    """Gives the processor away. Only for polling loops with a deadline, and for load phases."""
    select.select([], [], [], seconds)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def scratch_folder():
    """A new folder in /tmp, named after this process; those of dead processes are removed."""
    for old in pathlib.Path("/tmp").glob(SCRATCH_PREFIX + "*"):
        owner = old.name.split(".")[1]
        if owner.isdigit() and not pathlib.Path(f"/proc/{owner}").exists():
            shutil.rmtree(old, ignore_errors=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{SCRATCH_PREFIX}{os.getpid()}."))
    # Daemons that dropped their privileges must be able to reach their own folders below it.
    folder.chmod(0o755)
    return folder


class Process:
    """A program that runs inside a host; `pid` is the program's, as seen from outside."""

    def __init__(self, host, argv, log=None, stdin=subprocess.DEVNULL, stdout=None, env=None):
        self.host = host
        self.argv = [str(a) for a in argv]
        self.log = log
        out = open(log, "ab") if log else None
        self._popen = subprocess.Popen(
            host.enter() + self.argv, stdin=stdin, stdout=stdout or out or subprocess.DEVNULL,
            stderr=out or None, env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent,
            start_new_session=True)
        if out:
            out.close()
        self.stdin, self.stdout = self._popen.stdin, self._popen.stdout
        self._pid = None
        host.processes.append(self)

    @property
    def pid(self):
        if self._pid is None:
            # nsenter forks so that the program is inside the PID namespace.
            found = wait_for(lambda: _children(self._popen.pid) or self._popen.poll() is not None,
                             5, f"start of {self.argv[0]}")
            self._pid = found[0] if found is not True else self._popen.pid
        return self._pid

    def alive(self):
        return self._popen.poll() is None

    def signal(self, number):
        try:
            os.kill(self.pid, number)
            if number in (signal.SIGCONT, signal.SIGKILL):
                # nsenter stops itself when its child stops, and would not notice its end.
                os.kill(self._popen.pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def wait(self, seconds):
        """Exit code; negative signal number when killed."""
        try:
            code = self._popen.wait(seconds * SLOWNESS)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.argv[0]} did not end within {seconds} s") from None
        return code if code < 128 else 128 - code

    def stop(self, seconds=10):
        """Ends it in order; kills it when it does not end."""
        if self.alive():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
            try:
                return self.wait(seconds)
            except Timeout:
                self.signal(signal.SIGKILL)
                raise
        return self.wait(1)


class Host:
    """Namespaces held by one sleeping process; joined to the links of its network."""

    namespaces = ("--net", "--mount", "--uts", "--ipc", "--pid")

    _INIT = """set -e
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
hostname "$1"
ip link set lo up
trap '' CHLD
echo ready
exec sleep infinity
"""

    def __init__(self, name, number, folder):
        self.name, self.number = name, number
        self.folder = folder
        self.folder.mkdir()
        self.processes = []
        self._holder = subprocess.Popen(
            ["unshare", *self.namespaces, "--fork", "--kill-child=KILL",
             "--mount-proc", "--propagation", "private",
             "sh", "-c", self._INIT, "sh", name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=_die_with_parent)
        if self._holder.stdout.readline() != b"ready\n":
            raise LabError(f"host {name} could not be made")
        self.init = _children(self._holder.pid)[0]
        self._namespace = os.readlink(f"/proc/{self.init}/ns/pid")

    def enter(self):
        return ["nsenter", "--target", str(self.init), *self.namespaces, "--"]

    def run(self, argv, seconds=20, check=False, env=None, text_in=None):
        """Runs a program to its end; its output as text."""
        result = subprocess.run(self.enter() + [str(a) for a in argv], capture_output=True, text=True,
                                input=text_in, timeout=seconds * SLOWNESS, env={**os.environ, **(env or {})})
        if check and result.returncode != 0:
            raise LabError(f"{self.name}: {argv}: {result.stdout}{result.stderr}")
        return result

    def start(self, argv, **options):
        return Process(self, argv, **options)

    def pids(self, program=None):
        """Processes inside (outer pids), the holder left out; only those of that name when given."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self.init:
                continue
            try:
                if os.readlink(f"/proc/{entry}/ns/pid") != self._namespace:
                    continue
                if program is None or pathlib.Path(f"/proc/{entry}/comm").read_text().strip() == program:
                    found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return sorted(found)

    def signal_all(self, number, programs=None):
        """A signal to all processes of the host, or to those of the named programs."""
        targets = self.pids() if programs is None else [p for n in programs for p in self.pids(n)]
        for pid in targets:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        if number == signal.SIGCONT:
            for process in self.processes:
                if process.alive():
                    process.signal(signal.SIGCONT)
        return targets

    def close(self):
        """Ends everything inside at once."""
        self._holder.kill()
        self._holder.wait()
        self._holder.stdout.close()
        for process in self.processes:
            try:
                process.wait(5)
            except Timeout:
                pass
            for stream in (process.stdin, process.stdout):
                if stream:
                    stream.close()


class Network:
    """Hosts 1..n joined by one bridge a link; host i has 10.99.LINK.i and fd99:LINK::i on ethLINK.

    Drops are made where packets come in, so that a sender notices nothing, as on a real network.
    """

    def __init__(self, hosts, links=1, mtu=1500, host_type=Host):
        self.folder = scratch_folder()
        self.links = links
        self.hosts = {}
        self._drops = {}  # (receiver, sender, link) -> percent
        self._switch = None
        try:
            self._switch = Host("switch", 0, self.folder / "switch")
            for number in range(1, hosts + 1):
                self.hosts[number] = host_type(f"node{number}", number, self.folder / f"node{number}")
            self._wire(mtu)
        except BaseException:
            self.close()
            raise

    def _in_network_of(self, host, argv, text):
        subprocess.run(["nsenter", "--target", str(host.init), "--net", "--"] + argv, input=text,
                       text=True, check=True, stdout=subprocess.DEVNULL)

    def _wire(self, mtu):
        switch = []
        for link in range(self.links):
            switch.append(f"link add br{link} mtu {mtu} type bridge mcast_snooping 0")
            switch.append(f"link set br{link} up")
            for number, host in self.hosts.items():
                port = self._port(number, link)
                switch.append(f"link add {port} mtu {mtu} type veth peer name eth{link} netns {host.init}")
                switch.append(f"link set {port} master br{link} up")
        self._in_network_of(self._switch, ["ip", "-batch", "-"], "\n".join(switch) + "\n")
        for number, host in self.hosts.items():
            lines = []
            for link in range(self.links):
                if len(self.hosts) > HOSTS_THAT_LEARN:
                    lines += self._neighbours(number, link)
                lines.append(f"addr add {self.address(number, link)}/24 dev eth{link}")
                lines.append(f"addr add fd99:{link}::{number}/64 dev eth{link} nodad")
                lines.append(f"link set eth{link} mtu {mtu} up")
            lines.sort(key=lambda line: line.startswith("neigh"))  # Only a link that is up has some.
            self._in_network_of(host, ["ip", "-batch", "-"], "\n".join(lines) + "\n")

    def _neighbours(self, number, link):
        """Its own hardware address, and those of the others for good: what a machine learns of them
        is bounded for all its namespaces together (net.ipv4.neigh.default.gc_thresh3, 1,024)."""
        def hardware(of):
            return f"02:00:00:{link:02x}:{of >> 8:02x}:{of & 255:02x}"
        return [f"link set eth{link} address {hardware(number)}"] + [
            f"neigh add {self.address(other, link)} lladdr {hardware(other)} dev eth{link} nud permanent"
            for other in self.hosts if other != number]

    @staticmethod
    def _port(number, link):
        return f"h{number}l{link}"

    @staticmethod
    def address(number, link=0):
        return f"10.99.{link}.{number}"

    def _apply(self, receiver):
        rules = []
        for (to, sender, link), percent in sorted(self._drops.items()):
            if to != receiver:
                continue
            chance = "" if percent >= 100 else f"numgen random mod 100 < {percent} "
            rules.append(f'iifname "eth{link}" ip saddr {self.address(sender, link)} {chance}counter drop')
            rules.append(f'iifname "eth{link}" ip6 saddr fd99:{link}::{sender} {chance}counter drop')
        table = ("table inet lab\ndelete table inet lab\ntable inet lab { chain in { "
                 "type filter hook input priority 0; policy accept;\n" + "\n".join(rules) + "\n}\n}\n")
        self._in_network_of(self.hosts[receiver], ["nft", "-f", "-"], table)

    def lose(self, sender, receiver, percent, link=None):
        """Of what sender sends, receiver loses this share; 0 ends it. One way, one link or all."""
        for each in range(self.links) if link is None else [link]:
            if percent:
                self._drops[(receiver, sender, each)] = percent
            else:
                self._drops.pop((receiver, sender, each), None)
        self._apply(receiver)

    def cut(self, a, b, link=None):
        """Both ways between two hosts."""
        self.lose(a, b, 100, link)
        self.lose(b, a, 100, link)

    def isolate(self, number, link=None):
        for other in self.hosts:
            if other != number:
                self.cut(number, other, link)

    def silence(self, number):
        """Nothing comes in or goes out any more, by one command: for who measures the time since."""
        self._in_network_of(self.hosts[number], ["nft", "-f", "-"],
                            'table inet silence {\n'
                            'chain in { type filter hook input priority -1; policy accept; iifname "eth*" drop; }\n'
                            'chain out { type filter hook output priority -1; policy accept; oifname "eth*" drop; }\n'
                            '}\n')

    def partition(self, *sides):
        """Hosts of different sides no longer hear each other."""
        for i, side in enumerate(sides):
            for other in sides[i + 1:]:
                for a in side:
                    for b in other:
                        self.cut(a, b)

    def heal(self):
        """Ends all cuts and losses (not a missing carrier)."""
        touched = {receiver for receiver, _, _ in self._drops}
        self._drops.clear()
        for receiver in touched:
            self._apply(receiver)

    def carrier(self, number, up, link=0):
        """Plugs the cable of a host out of the switch, or back in."""
        state = "up" if up else "down"
        self._in_network_of(self._switch, ["ip", "-batch", "-"],
                            f"link set {self._port(number, link)} {state}\n")

    def close(self):
        for host in self.hosts.values():
            host.close()
        if self._switch:
            self._switch.close()
        if not os.environ.get("HALO_LAB_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
