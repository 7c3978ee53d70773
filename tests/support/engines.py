"""How each engine is started in a host, and which processes are its daemons."""

import os
import pathlib
import shutil


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

    def prepare(self, network):
        """Writes configuration and key of all hosts."""

    def start(self, host):
        raise NotImplementedError

    def missing(self):
        """Why it cannot run here, or None."""

    def pids(self, host):
        return [pid for name in self.daemons for pid in host.pids(name)]


class Corosync(Engine):
    """Debian's corosync with knet. `totem` and `system` are extra lines of these sections."""

    daemons = ("corosync",)

    def __init__(self, name="corosync", totem="crypto_cipher: none\n    crypto_hash: none", system="sched_rr: yes"):
        self.name, self._totem, self._system = name, totem, system

    def missing(self):
        return None if shutil.which("corosync") else "Debian's package corosync is not installed"

    def prepare(self, network):
        self._file = network.folder / "corosync.conf"
        key = network.folder / "authkey"
        key.write_bytes(os.urandom(256))
        key.chmod(0o400)
        self._file.write_text(
            f"totem {{\n    version: 2\n    cluster_name: bench\n    transport: knet\n    keyfile: {key}\n"
            f"    {self._totem}\n}}\n" + _nodelist(network) +
            f"system {{\n    {self._system}\n}}\n"
            "logging {\n    to_stderr: yes\n    to_syslog: no\n    to_logfile: no\n}\n")

    def start(self, host):
        host.run(["sh", "-ec", "mkdir -p /var/lib/corosync; mount -t tmpfs tmpfs /var/lib/corosync"], check=True)
        return host.start(["corosync", "-f", "-c", self._file], log=host.folder / "daemon.log")


class Halo(Engine):
    """The programs of a build folder, run by `haloctl node` as on a machine without systemd."""

    daemons = ("ringd", "cpgd", "quorumd", "cmapd")

    def __init__(self, build, name="halo", totem=""):
        self.name, self._totem = name, totem
        self._build = pathlib.Path(build).resolve()
        self.environment = {"LD_LIBRARY_PATH": str(self._build / "lib")}

    def missing(self):
        for program in ("ringd", "cpgd", "haloctl"):
            if not (self._build / "bin" / program).exists():
                return f"{self._build}/bin/{program} is not built"
        return None

    def prepare(self, network):
        self._file = network.folder / "halo.conf"
        key = network.folder / "key"
        key.write_bytes(os.urandom(256))
        key.chmod(0o400)
        self._file.write_text(
            f"totem {{\n    version: 2\n    cluster_name: bench\n    keyfile: {key}\n{self._totem}}}\n"
            + _nodelist(network) +
            "logging {\n    to_stderr: yes\n    to_syslog: no\n}\n")

    def start(self, host):
        state = host.folder / "state"
        state.mkdir(exist_ok=True)
        return host.start([self._build / "bin" / "haloctl", "node", "-c", self._file, "--run", "/run/halo",
                           "--state", state], log=host.folder / "daemon.log")


def known(build):
    """The engines by name: Halo as it is, Corosync as Debian ships it, and what sets them apart."""
    return {engine.name: engine for engine in (
        Halo(build),
        Halo(build, "halo-plain", "    crypto_cipher: none\n    crypto_hash: none\n"),
        Corosync(),
        Corosync("corosync-norr", system="sched_rr: no"),
        Corosync("corosync-crypto", totem="crypto_cipher: aes256\n    crypto_hash: sha256"),
    )}
