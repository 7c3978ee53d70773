#!/usr/bin/python3
"""The packages on machines that a real systemd has booted: installed, a cluster of two formed, each daemon confined and
restarted alone, killed with -9 without anybody's notice, all upgraded under load, ringd too; a node that is killed by the
other or shut down stops as a whole; removed and purged, and nothing is left."""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import machine  # noqa: E402
import netns  # noqa: E402

SOON = 180  # Two machines boot, and dpkg works, on two busy cores.
DAEMONS = ("ringd", "cpgd", "quorumd", "cmapd")
# A machine that is busy with other things may hold a process back for longer than the others would wait: what is tested here
# is what is done in time, not whether the machine gives the time.
PATIENT = "totem {\n    token: 15000\n}\nhalo {\n    resume: yes\n    silence_min: 10000\n    silence_max: 15000\n}\n"
# Requires the cluster, as Pacemaker's unit does.
DEPENDENT = """[Unit]
Requires=corosync.service
After=corosync.service
[Service]
ExecStart=/usr/bin/tail -f /dev/null
"""
SOCKETS = {"cpgd": ("cpg",), "quorumd": ("quorum", "votequorum"), "cmapd": ("cmap", "cfg")}


def build_packages(build, folder, ready):
    if not ready:
        done = subprocess.run(["cpack", "-G", "DEB", "-B", str(folder)], cwd=build, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    packages = sorted((ready or folder).glob("*.deb"))
    names = {subprocess.run(["dpkg-deb", "-f", p, "Package"], capture_output=True, text=True).stdout.strip()
             for p in packages}
    assert names == {"halo", "libhalo1", "libhalo-dev", "libhalo-corosync", "halo-corosync"}, names
    return packages


def newer(packages, folder):
    """The same packages as a later version: what apt would call an upgrade."""
    folder.mkdir()
    made = []
    for package in packages:
        tree = folder / package.stem
        subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
        control = tree / "DEBIAN" / "control"
        version = re.search(r"^Version: (.*)$", control.read_text(), re.MULTILINE).group(1)
        control.write_text(control.read_text().replace(version, version + "+next"))
        made.append(folder / f"{package.stem}.next.deb")
        subprocess.run(["dpkg-deb", "-b", tree, made[-1]], check=True, stdout=subprocess.DEVNULL)
    return made


def check_contents(packages):
    """What a package may not have, whoever installs it."""
    for package in packages:
        listing = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            mode, owner, _, _, _, path = line.split()[:6]
            assert owner == "root/root", f"{package.name}: {line}"
            assert mode[8] != "w" or mode[0] in "ld" and mode[0] == "l", f"{package.name}: writable by all: {line}"
            assert "s" not in mode[:10], f"{package.name}: setuid or setgid: {line}"
            assert not path.startswith(("./usr/local", "./home", "./tmp")), f"{package.name}: {line}"
            # Corosync's packages stay installed beside ours.
            assert not re.match(r"\./usr/(lib/[^/]+/libc(pg|map|fg)|include/corosync)", path), f"{package.name}: {line}"
        assert re.search(r"\./usr/share/doc/[^/]+/copyright$", listing, re.MULTILINE), f"{package.name}: no copyright"
        if "/halo/halo_rdma.so" in listing:
            assert "./usr/share/doc/halo/examples/ringd-rdma.conf" in listing, f"{package.name}: no drop-in for RDMA links"
        control = subprocess.run(["dpkg-deb", "-f", package], capture_output=True, text=True, check=True).stdout
        for key in ("Package", "Version", "Architecture", "Maintainer", "Description", "Section"):
            assert re.search(rf"^{key}: \S", control, re.MULTILINE), f"{package.name}: no {key}\n{control}"


def install(host, packages):
    for package in packages:
        shutil.copy(package, f"/proc/{host.init}/root/root/")
    done = host.run(["sh", "-c", "dpkg -i " + " ".join(f"/root/{p.name}" for p in packages)], seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def status(host):
    try:
        return json.loads(host.run(["haloctl", "status", "--json"], seconds=30).stdout)
    except json.JSONDecodeError:
        return {}


def wait_members(hosts, count):
    def all_see():
        return all(len(status(host).get("ringd", {}).get("members", [])) == count for host in hosts)
    netns.wait_for(all_see, SOON, f"{count} members on each host")


def pid_of(host, daemon):
    return int(host.property(f"{daemon}.service", "MainPID"))


def check_confined(host, daemon):
    text = host.run(["cat", f"/proc/{pid_of(host, daemon)}/status"], check=True).stdout
    uid = host.run(["id", "-u", f"halo-{daemon}"], check=True).stdout.strip()
    assert set(re.search(r"^Uid:(.*)$", text, re.MULTILINE).group(1).split()) == {uid}, text
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert re.search(rf"^{name}:\s*0+$", text, re.MULTILINE), f"{daemon}: {name}\n{text}"
    assert re.search(r"^NoNewPrivs:\s*1$", text, re.MULTILINE) and re.search(r"^Seccomp:\s*2$", text, re.MULTILINE)
    # A program that connects sees root at the other end: Pacemaker insists.
    for socket in SOCKETS.get(daemon, ()):
        peer = host.run(["python3", "-c", "import socket, struct; s = socket.socket(socket.AF_UNIX); "
                         f"s.connect('/run/halo/{socket}'); "
                         "print(struct.unpack('3i', s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:])"])
        assert peer.stdout.strip() == "(0, 0)", f"{socket}: {peer.stdout}{peer.stderr}"


def check_tools(host):
    """Corosync's own tools find Halo, as programs of the machine do."""
    for command in ("corosync-cfgtool -s", "corosync-cpgtool", "corosync-cmapctl totem.cluster_name",
                    "corosync-quorumtool -s"):
        told = host.run(command.split())
        assert told.returncode == 0 and told.stdout, f"{command}: {told.stdout}{told.stderr}"


class Load:
    """A member of a group on each host, told what the others say."""

    def __init__(self, hosts, build):
        sys.path.insert(0, str(HERE.parent / "integration"))
        self.paths = [host.folder.parent / f"load.{host.name}.log" for host in hosts]
        # The program is not installed; it finds the installed library.
        self.processes = [host.start(["haloctl", "run", "--", build / "bin" / "cpg_load", "load", "/root/load.log", "300",
                                      "64", "1000", "reconnect"], stdin=subprocess.PIPE,
                                     log=self.paths[i].with_suffix(".err")) for i, host in enumerate(hosts)]
        self.hosts = hosts

    def lines(self, index):
        return self.hosts[index].run(["cat", "/root/load.log"], seconds=60).stdout.splitlines(keepends=True)

    def wait_progress(self, messages):
        counts = [len(self.lines(i)) for i in range(len(self.hosts))]
        netns.wait_for(lambda: all(len(self.lines(i)) >= counts[i] + messages for i in range(len(self.hosts))),
                       SOON, f"{messages} lines more in each member's log")

    def judge(self):
        import history
        for process in self.processes:
            process.stdin.write(b"drain\n")
            process.stdin.flush()
        netns.wait_for(lambda: all(any(line.startswith("D ") or line == "D" for line in self.lines(i))
                                   for i in range(len(self.hosts))), SOON, "all messages are through")
        for process in self.processes:
            process.stdin.write(b"leave\n")
            process.stdin.flush()
            process.wait(SOON)
        lives = []
        for index, host in enumerate(self.hosts):
            lives += history.parse(host.name, self.lines(index))
        print("history:", dict(history.check(lives)))
        return lives


def form_cluster(hosts, network):
    one, two = hosts
    made = one.run(["haloctl", "init", "--name", "test", *(word for h in hosts for word in
                    ("--node", f"{h.name}={network.address(h.number)}"))])
    assert made.returncode == 0, made.stdout + made.stderr
    print(made.stdout)
    refused = one.run(["haloctl", "init", "--name", "test", "--node", "x=1.2.3.4"])
    assert refused.returncode == 1 and "exists already" in refused.stderr, refused
    (pathlib.Path(f"/proc/{one.init}/root/etc/halo/halo.conf")).open("a").write(PATIENT)
    one.run(["tar", "-C", "/etc/halo", "-cf", "/root/cluster.tar", "halo.conf", "authkey"], check=True)
    shutil.copy(f"/proc/{one.init}/root/root/cluster.tar", f"/proc/{two.init}/root/root/")
    joined = two.run(["haloctl", "join", "/root/cluster.tar"])
    assert joined.returncode == 0, joined.stdout + joined.stderr
    print(joined.stdout)
    for host in hosts:
        assert host.run(["stat", "-c", "%a %U", "/etc/halo/authkey"], check=True).stdout == "400 root\n"
        host.systemctl("enable", "--now", "--no-block", "halo.service")
    for host in hosts:
        host.wait_active("halo.service", SOON)
    wait_members(hosts, 2)


def restart_alone(hosts, daemons):
    host = hosts[0]
    ring = status(host)["ringd"]["ring"]
    ringd = pid_of(host, "ringd")
    began = host.property("halo.service", "ActiveEnterTimestampMonotonic")
    for daemon in daemons:
        old = pid_of(host, daemon)
        host.systemctl("restart", f"{daemon}.service")
        assert pid_of(host, daemon) != old
        host.systemctl("kill", "--signal=KILL", f"{daemon}.service")
        host.wait_active(f"{daemon}.service")
    assert pid_of(host, "ringd") == ringd and status(host)["ringd"]["ring"] == ring, "the ring noticed"
    assert host.property("halo.service", "ActiveEnterTimestampMonotonic") == began, "halo.service was restarted"


def watchdog(host):
    """A daemon that hangs is killed and started again, and its clients go on."""
    folder = "/etc/systemd/system/cpgd.service.d"
    host.run(["sh", "-ec", f"mkdir {folder}; printf '[Service]\\nWatchdogSec=1s\\n' > {folder}/watchdog.conf"], check=True)
    host.systemctl("daemon-reload")
    host.systemctl("restart", "cpgd.service")
    old = pid_of(host, "cpgd")
    host.systemctl("kill", "--signal=STOP", "cpgd.service")
    netns.wait_for(lambda: pid_of(host, "cpgd") not in (0, old), SOON, "the watchdog has had cpgd restarted")
    host.wait_active("cpgd.service")
    assert "Watchdog timeout" in host.journal("-u", "cpgd.service"), host.journal("-u", "cpgd.service")
    host.run(["rm", "-r", folder], check=True)
    host.systemctl("daemon-reload")


def settled(host, resumed=None):
    """ringd's state is kept, and it went on so often as the process before; how that is."""
    def state():
        resume = status(host).get("ringd", {}).get("resume", {})
        return resume.get("settled") and resume["ready"] and resumed in (None, resume["resumed"]) and resume
    return netns.wait_for(state, SOON, f"ringd of {host.name} keeps its state, resumed {resumed} times")


def start_dependent(host):
    pathlib.Path(f"/proc/{host.init}/root/etc/systemd/system/dependent.service").write_text(DEPENDENT)
    host.systemctl("daemon-reload")
    host.systemctl("start", "dependent.service")
    return pid_of(host, "dependent")


def go_on(host, end):
    """ringd is ended by `end`, and systemd starts it again: it is the same member. The pause in ms."""
    resumed = settled(host)["resumed"]
    old = pid_of(host, "ringd")
    end()
    netns.wait_for(lambda: pid_of(host, "ringd") not in (0, old), SOON, "ringd is started again")
    host.wait_active("ringd.service", SOON)
    return settled(host, resumed + 1)["last_pause_ms"]


def kill_ring(hosts, daemons):
    """kill -9 of ringd: nobody else ends, the ring is not formed anew, and what requires the cluster goes on."""
    host = hosts[1]
    dependent = start_dependent(host)
    ring = status(hosts[0])["ringd"]["ring"]
    others = {each: pid_of(host, each) for each in daemons if each != "ringd"}
    for _ in range(2):
        pause = go_on(host, lambda: host.systemctl("kill", "--signal=KILL", "ringd.service"))
        print(f"ringd killed under systemd: pause {pause:.0f} ms")
    assert {each: pid_of(host, each) for each in others} == others, "others than ringd ended"
    for each in hosts:
        assert status(each)["ringd"]["ring"] == ring, "the ring was formed anew"
    assert pid_of(host, "dependent") == dependent, "what requires corosync.service was stopped"


def give_up(host, daemon):
    """It is killed more often than systemd starts it."""
    folder = f"/etc/systemd/system/{daemon}.service.d"
    host.run(["sh", "-ec", f"mkdir {folder}; printf '[Unit]\\nStartLimitBurst=1\\n' > {folder}/limit.conf"], check=True)
    host.systemctl("daemon-reload")

    def killed():
        host.systemctl("kill", "--signal=KILL", f"{daemon}.service", check=False)
        return host.property("halo-end.target", "ActiveState") == "active"
    netns.wait_for(killed, SOON, f"{daemon} is given up")
    host.run(["rm", "-r", folder], check=True)
    host.systemctl("daemon-reload")


def check_ended(one, two, daemons, began):
    """All of it has stopped, and the other node has seen it go before it could have missed it."""
    wait_members([one], 1)
    print(f"gone for the other node after {time.monotonic() - began:.1f} s at most")
    for unit in ("dependent.service", "halo.service", *(f"{daemon}.service" for daemon in daemons)):
        netns.wait_for(lambda: two.property(unit, "ActiveState") in ("inactive", "failed"), SOON, f"{unit} has stopped")
    assert not [daemon for daemon in daemons if pid_of(two, daemon)], "a daemon goes on"


def end_by_order(hosts, daemons):
    """A node that another one kills, that a program shuts down, whose ringd cannot be started again, or one of whose daemons
    systemd gives up, stops as a whole and stays down."""
    one, two = hosts
    crash = "sed -i s/totem/totm/ /etc/halo/halo.conf; systemctl kill --signal=KILL ringd.service"

    def until_taken(host, *command):
        return lambda: netns.wait_for(lambda: host.run(command).returncode == 0, SOON, "the order is taken")
    for end in (until_taken(one, "haloctl", "node", "kill", "2", "--reason", "a test"),
                until_taken(two, "haloctl", "shutdown"), until_taken(two, "sh", "-ec", crash),
                lambda: give_up(two, "ringd"), lambda: give_up(two, "cpgd")):
        start_dependent(two)
        began = time.monotonic()
        end()
        check_ended(one, two, daemons, began)
        two.run(["sed", "-i", "s/totm/totem/", "/etc/halo/halo.conf"], check=True)
        two.systemctl("reset-failed")
        two.systemctl("start", "corosync.service")
        wait_members(hosts, 2)


def story(network, build, folder, ready):
    hosts = list(network.hosts.values())
    first, later = folder / "first", folder / "later"
    first.mkdir()
    later.mkdir()
    packages = build_packages(build, first, ready)
    check_contents(packages)
    for host in hosts:
        host.wait_booted()
        # One machine has had Corosync's daemon, which is started at boot; the other never had.
        if host is hosts[0]:
            host.systemctl("enable", "corosync.service")
        install(host, [p for p in packages if "dev" not in p.name])
        assert host.run(["systemctl", "is-system-running"]).stdout.strip() == "running"
    alias = hosts[0].property("corosync.service", "Id")
    assert alias == "halo.service", f"corosync.service is {alias}"
    form_cluster(hosts, network)
    daemons = [d for d in DAEMONS if (build / "bin" / d).exists()]
    for host in hosts:
        for daemon in daemons:
            check_confined(host, daemon)
        check_tools(host)
    found = hosts[0].run(["sh", "-c", "ldconfig -p | grep libcpg.so.4 | head -1"], check=True).stdout
    assert "/halo/libcpg.so.4" in found, found

    load = Load(hosts, build)
    load.wait_progress(500)
    restart_alone(hosts, [d for d in daemons if d != "ringd"])
    load.wait_progress(500)
    watchdog(hosts[1])
    load.wait_progress(500)
    kill_ring(hosts, daemons)
    load.wait_progress(500)
    ring = status(hosts[0])["ringd"]["ring"]
    for host in hosts:
        said = install(host, newer([p for p in packages if "dev" not in p.name], later / host.name))
        assert "former version" in said, said
    load.wait_progress(500)
    pause = go_on(hosts[0], lambda: hosts[0].systemctl("restart", "ringd.service"))
    print(f"ringd restarted after the upgrade: pause {pause:.0f} ms")
    assert status(hosts[0])["ringd"]["ring"] == ring, "the upgrade changed the ring"
    lives = load.judge()
    assert len(lives) == 2, f"a member lost its session: {len(lives)} lives"

    # What requires corosync.service stops with it, and so do all daemons.
    hosts[1].systemctl("stop", "corosync.service")
    wait_members(hosts[:1], 1)
    assert not [d for d in daemons if pid_of(hosts[1], d)], "a daemon goes on after the stop"
    hosts[1].systemctl("start", "corosync.service")
    wait_members(hosts, 2)

    end_by_order(hosts, daemons)

    for host in hosts:
        removed = host.run(["dpkg", "--remove", "halo-corosync", "halo", "libhalo-corosync", "libhalo1"], seconds=300)
        assert removed.returncode == 0, removed.stdout + removed.stderr
        assert not [name for d in DAEMONS for name in host.pids(d)], "a daemon outlives its package"
        assert host.run(["test", "-f", "/etc/halo/authkey"]).returncode == 0, "remove took the key"
        assert "/halo/" not in host.run(["sh", "-c", "ldconfig -p | grep libcpg || true"]).stdout
        purged = host.run(["dpkg", "--purge", "halo-corosync", "halo"], seconds=300)
        assert purged.returncode == 0, purged.stdout + purged.stderr
        left = host.run(["sh", "-c", "ls -d /etc/halo /var/lib/halo /var/log/halo /run/halo /usr/sbin/ringd "
                         "/usr/lib/*/halo /etc/systemd/system/*halo* /etc/systemd/system/corosync.service "
                         "/etc/systemd/system/*/halo* 2>/dev/null; true"]).stdout
        assert left == "", f"purge left {left}"
        assert host.property("corosync.service", "Id") == "corosync.service"
        enabled = host.run(["systemctl", "is-enabled", "corosync.service"]).stdout.strip()
        assert enabled == ("enabled" if host is hosts[0] else "disabled"), f"corosync.service is {enabled}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--packages", type=pathlib.Path, help="a folder of ready ones, else they are made")
    options = parser.parse_args()
    build = options.build.resolve()
    reason = machine.missing_rights()
    for program in ("dpkg", "cpack"):
        if not reason and shutil.which(program) is None:
            reason = f"needs {program}"
    if reason:
        print(f"SKIPPED: {reason}")
        return 77
    with tempfile.TemporaryDirectory() as folder, netns.Network(2, host_type=machine.Machine) as network:
        try:
            story(network, build, pathlib.Path(folder), options.packages)
        except Exception:
            traceback.print_exc()
            for host in network.hosts.values():
                print(f"--- {host.name}", host.journal("-n", "80"), sep="\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
