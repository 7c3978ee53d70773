"""How each engine is started in a host, and which processes are its daemons."""

import os
import pathlib
import re
import shutil

import netns
import rdma_network


def _nodelist(network):
    nodes = []
    for number, host in network.hosts.items():
        addresses = "".join(f"        ring{link}_addr: {network.address(number, link)}\n"
                            for link in range(network.links))
        nodes.append(f"    node {{\n{addresses}        name: {host.name}\n        nodeid: {number}\n    }}\n")
    return "nodelist {\n" + "".join(nodes) + "}\n"


class Engine:
    name = ""
    daemons = ()
    environment = {}

    def network(self, nodes, links):
        """The hosts it runs on."""
        return netns.Network(nodes, links)

    def prepare(self, network):
        """Writes configuration and key of all hosts."""

    def configure(self, text):
        """More sections of Halo's file, of which others know nothing."""

    def start(self, host):
        raise NotImplementedError

    def missing(self):
        """Why it cannot run here, or None."""

    def prefer_libraries(self, host):
        """Programs of the host find the engine's libraries without being told in their environment."""

    def formed(self, nodes):
        """What a daemon's log says when its ring has so many nodes."""
        raise NotImplementedError

    def pids(self, host):
        return [pid for name in self.daemons for pid in host.pids(name)]


class Corosync(Engine):
    """Debian's corosync with knet. `totem` and `system` are extra lines of these sections."""

    daemons = ("corosync",)

    def __init__(self, name="corosync", totem="crypto_cipher: none\n    crypto_hash: none", system="sched_rr: yes"):
        self.name, self._totem, self._system = name, totem, system
        self.files = {}  # Of hosts, by name, whose configuration is not that of all.

    def missing(self):
        return None if shutil.which("corosync") else "Debian's package corosync is not installed"

    def prepare(self, network):
        self.file = network.folder / "corosync.conf"
        key = network.folder / "authkey"
        key.write_bytes(os.urandom(256))
        key.chmod(0o400)
        self.file.write_text(
            f"totem {{\n    version: 2\n    cluster_name: bench\n    transport: knet\n    keyfile: {key}\n"
            f"    {self._totem}\n}}\n" + _nodelist(network) +
            f"system {{\n    {self._system}\n}}\n"
            "quorum {\n    provider: corosync_votequorum\n}\n"
            "logging {\n    to_stderr: yes\n    to_syslog: no\n    to_logfile: no\n}\n")

    def start(self, host):
        host.run(["sh", "-ec", "mkdir -p /var/lib/corosync; mount -t tmpfs tmpfs /var/lib/corosync"], check=True)
        return host.start(["corosync", "-f", "-c", self.files.get(host.name, self.file)], log=host.folder / "daemon.log")

    def formed(self, nodes):
        return re.compile(rf"Sync members\[{nodes}\]")


class Halo(Engine):
    """The programs of a build folder, run by `haloctl node` as on a machine without systemd."""

    daemons = ("ringd", "cpgd", "quorumd", "cmapd")
    GROUP, USERS = 64100, {"halo-ringd": 64101, "halo-cpgd": 64102, "halo-quorumd": 64103, "halo-cmapd": 64104}

    def __init__(self, build, name="halo", totem="", more=""):
        self.name, self._totem, self._more = name, totem, more
        self.files = {}  # Of hosts, by name, whose configuration is not that of all.
        self._build = pathlib.Path(build).resolve()
        self.programs_of = {}  # By host; else the build folder's.
        self.environment_of = {}  # Of a host's daemons, by host; more than all have.
        self.started_by = {}  # By host: a command that runs the one which follows it, such as prlimit.
        self.environment = {"LD_LIBRARY_PATH": str(self._build / "lib")}

    def missing(self):
        for file in ("bin/ringd", "bin/cpgd", "bin/haloctl", "lib/libcpg.so.4"):
            if not (self._build / file).exists():
                return f"{self._build}/{file} is not built"
        return None

    def prepare(self, network):
        self.file = network.folder / "halo.conf"
        key = network.folder / "key"
        key.write_bytes(os.urandom(256))
        key.chmod(0o400)
        self.file.write_text(
            f"totem {{\n    version: 2\n    cluster_name: bench\n    keyfile: {key}\n{self._totem}}}\n"
            + _nodelist(network) +
            "quorum {\n    provider: corosync_votequorum\n}\n"
            "logging {\n    to_stderr: yes\n    to_syslog: no\n}\n" + self._more)
        self._make_users(network)

    def configure(self, text):
        """More sections for the file of all hosts, before they start."""
        with self.file.open("a") as file:
            file.write(text)

    def runs_as_users(self):
        """Whether the daemons' users can reach the programs: a build folder below somebody's home may be closed to them."""
        return all(folder.stat().st_mode & 0o001 for folder in (self._build / "bin").resolve().parents)

    def _make_users(self, network):
        """Each host knows the users that the packages make, so that no daemon is root."""
        if not self.runs_as_users():
            print(f"{self._build} is closed to other users: the daemons stay root")
            return
        group = "".join(f"{line}\n" for line in pathlib.Path("/etc/group").read_text().splitlines()
                        if not line.startswith("halo:")) + f"halo:x:{self.GROUP}:\n"
        passwd = "".join(f"{line}\n" for line in pathlib.Path("/etc/passwd").read_text().splitlines()
                         if not line.startswith("halo-"))
        passwd += "".join(f"{name}:x:{uid}:{self.GROUP}::/:/usr/sbin/nologin\n" for name, uid in self.USERS.items())
        for name, text in (("group", group), ("passwd", passwd)):
            (network.folder / name).write_text(text)
            (network.folder / name).chmod(0o644)
            for host in network.hosts.values():
                host.run(["mount", "--bind", network.folder / name, f"/etc/{name}"], check=True)

    def prefer_libraries(self, host):
        # As the package halo-corosync has it, in a cache of the host's own.
        folder = host.folder / "loader"
        folder.mkdir()
        (folder / "conf").write_text(f"{self._build}/lib\ninclude /etc/ld.so.conf\n")
        host.run(["sh", "-ec", f"ldconfig -X -f {folder}/conf -C {folder}/cache; mount --bind {folder}/cache /etc/ld.so.cache"],
                 check=True)

    def start(self, host):
        state = host.folder / "state"
        state.mkdir(exist_ok=True)
        programs = self.programs_of.get(host.name, self._build / "bin")
        return host.start([*self.started_by.get(host.name, ()), programs / "haloctl", "node", "-c",
                           self.files.get(host.name, self.file), "--run", "/run/halo",
                           "--state", state], log=host.folder / "daemon.log",
                          # A system call that a daemon's list lacks ends it.
                          env={"HALO_SANDBOX": "kill", **self.environment_of.get(host.name, {})})

    def formed(self, nodes):
        members = " ".join(str(n) for n in range(1, nodes + 1))
        return re.compile(rf'ring formed.* MEMBERS="?{members}"?(\s|$)', re.MULTILINE | re.IGNORECASE)


class HaloInMachine(Halo):
    """Inside the virtual machine of tests/rdma/vm.py, which is slow: only the daemons that its stories need. UDP, to compare with.

    What is emulated, and perhaps on a busy machine, stands still for longer than a healthy node is silent. A link that is
    silent is given up before the token counts as lost.
    """

    PATIENCE = "    token: 30000\n"

    def __init__(self, build, name, totem=""):
        super().__init__(build, name, self.PATIENCE + totem)

    def missing(self):
        return super().missing() if os.environ.get("HALO_VM") else "run it in tests/rdma/vm.py"

    def network(self, nodes, links):
        return rdma_network.RdmaNetwork(nodes, links, rdma=())

    def prepare(self, network):
        super().prepare(network)
        with self.file.open("a") as file:
            file.write("system {\n    sched_rr: no\n}\n"  # Of two processors the tests need a share.
                       "halo {\n    silence_min: 3000\n    silence_max: 10000\n}\n")
        programs = network.folder / "programs"
        programs.mkdir()
        for program in ("haloctl", "ringd", "cpgd"):
            shutil.copy(self._build / "bin" / program, programs)  # haloctl starts what is beside it.
        self.programs_of = {host.name: programs for host in network.hosts.values()}


class HaloOverRdma(HaloInMachine):
    """All links have RDMA devices, or link 0 alone (`mixed`). More for the network: `hosts`."""

    def __init__(self, build, name, mixed=False, totem="", **hosts):
        how = "    interface {\n        linknumber: 0\n        knet_transport: rdma\n    }\n" if mixed else \
            "    transport: rdma\n"
        super().__init__(build, name, how + totem)
        self._hosts = {"rdma": (0,), **hosts} if mixed else hosts

    def network(self, nodes, links):
        return rdma_network.RdmaNetwork(nodes, links, **self._hosts)


def known(build):
    """The engines by name: Halo as it is, Corosync as Debian ships it, and what sets them apart."""
    return {engine.name: engine for engine in (
        Halo(build),
        Halo(build, "halo-plain", "    crypto_cipher: none\n    crypto_hash: none\n"),
        Halo(build, "halo-no-resume", more="halo {\n    resume: no\n}\n"),
        HaloOverRdma(build, "halo-rdma"),
        HaloOverRdma(build, "halo-mixed", mixed=True),
        HaloOverRdma(build, "halo-rdma-ipv6", ipv6=True),
        HaloOverRdma(build, "halo-rdma-one-device", one_device=True),
        HaloInMachine(build, "halo-udp-vm"),
        Corosync(),
        Corosync("corosync-norr", system="sched_rr: no"),
        Corosync("corosync-crypto", totem="crypto_cipher: aes256\n    crypto_hash: sha256"),
    )
}
