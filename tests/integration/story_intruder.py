#!/usr/bin/python3
"""A user of the machine who is nobody to Halo reads, changes and disturbs nothing: no daemon is root or has a
capability, only the public sockets can be connected to and say no, and whatever he does there harms only himself. So it is
with one who may use the services."""
import os
import pathlib
import re
import subprocess

import lab

HERE = pathlib.Path(__file__).parent
STRANGER, GUEST = 65534, 65533  # The guest is in uidgid {}.
PUBLIC = ("cpg", "quorum", "votequorum", "cmap", "cfg")
# Bytes that a daemon may grow by while it is attacked: what its bounds allow one user (1,024 connections with a block of
# 256 KiB touched in part, 64 MiB of messages begun), and as much again that the allocator does not give back.
GROWTH_MAX = 320 << 20
# How long each attack lasts at least, in messages that the members must still get.
MESSAGES = 300
ATTACKS = ("connections", "flood", "half-frames", "wrong-lengths")
# All attacks at all sockets take minutes. What stands before the session is one code in all daemons: in each run another
# attack at each status socket, and of the guest what he is let in for.
ALL = os.environ.get("ATTACKS") == "all"


def attacks(daemons):
    """Who does what to which socket."""
    for socket in PUBLIC:
        yield from ((STRANGER, kind, socket) for kind in ATTACKS)
        if socket == "cpg":
            yield GUEST, "areas", socket
        yield GUEST, "sessions", socket
        if ALL:
            yield from ((GUEST, kind, socket) for kind in ("flood", "half-frames"))
    for daemon, kind in zip(daemons, ATTACKS):
        for each in (*(ATTACKS if ALL else (kind,)), "ask-without-reading"):
            yield STRANGER, each, f"{daemon}.status"


def intruder(uid):
    """His Python, one that everybody may run."""
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--", "/usr/bin/python3", "-B",
            HERE / "intruder.py"]


def field(pid, name):
    return re.search(rf"^{name}:\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE).group(1)


def check_privileges(cluster, host):
    for name in cluster.engine.daemons:
        for pid in host.pids(name):
            uids = set(field(pid, "Uid").split())
            wanted = {str(cluster.engine.USERS[f"halo-{name}"])} if cluster.engine.runs_as_users() else {"0"}
            assert uids == wanted, f"{name} runs as {uids}, not as {wanted}"
            for sets in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(field(pid, sets), 16) == 0, f"{name}: {sets} {field(pid, sets)}"
            assert field(pid, "NoNewPrivs") == "1" and field(pid, "Seccomp") == "2", name
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                status = (task / "status").read_text()
                assert re.search(r"^CapEff:\s*0+$", status, re.MULTILINE), f"{name}: a thread kept capabilities"
                assert re.search(r"^Seccomp:\s*2$", status, re.MULTILINE), f"{name}: a thread has no filter"


def resident(pid):
    return int(field(pid, "VmRSS").split()[0]) << 10


def look(cluster, host):
    state, key = host.folder / "state", cluster.network.folder / "key"
    result = host.run([*intruder(STRANGER), "look", "/run/halo", state, key], seconds=60, check=True)
    found = result.stdout.split("\n")
    print(*found, sep="\n")
    sockets = {f"connected /run/halo/{name}" for name in (*PUBLIC, *(f"{d}.status" for d in cluster.engine.daemons))}
    unexpected = set(found) - sockets - {"looked", ""}
    if not cluster.engine.runs_as_users():
        unexpected.discard("connected /run/halo/ring")  # Refused by credentials alone.
    assert "looked" in found and not unexpected, f"the intruder got at: {unexpected}"
    for name in cluster.engine.daemons:
        if host.pids(name):
            answer = host.run([*intruder(STRANGER), "ask", f"/run/halo/{name}.status"], seconds=30)
            assert f"permission denied for uid {STRANGER}" in answer.stdout, f"{name} told him: {answer.stdout}{answer.stderr}"


def harm(cluster, host, loads, kind, socket, uid=STRANGER):
    pids = {name: host.pids(name) for name in cluster.engine.daemons}
    before = {pid: resident(pid) for found in pids.values() for pid in found}
    attack = host.start([*intruder(uid), "harm", kind, f"/run/halo/{socket}"],
                        stdout=subprocess.PIPE, log=host.folder / f"intruder.{uid}.{kind}.{socket}.err")
    line = attack.stdout.readline()
    assert line == b"begun\n", f"{kind} at {socket}: the intruder could not begin: {line}"
    cluster.wait_progress(loads, MESSAGES)
    # A client that comes meanwhile is served.
    shown = lab.wait_for(lambda: cluster.status(host.number), lab.SOON, f"status during {kind} at {socket}")
    assert shown, kind
    grown = {name: resident(pid) - before[pid] for name, found in pids.items() for pid in found}
    assert attack.alive(), f"{kind} at {socket}: the intruder ended by itself"
    attack.signal(9)
    attack.wait(10)
    assert {name: host.pids(name) for name in cluster.engine.daemons} == pids, f"{kind} at {socket}: a daemon died"
    print(f"{uid}: {kind} at {socket}: grown by", {name: f"{size >> 20} MiB" for name, size in grown.items()})
    assert all(size < GROWTH_MAX for size in grown.values()), f"{kind} at {socket}: grown by {grown}"


def story(cluster):
    cluster.engine.configure(f"uidgid {{\n    uid: {GUEST}\n}}\n")
    cluster.start()
    loads = cluster.load(rate=500)
    cluster.wait_members(loads, [1, 2])
    host = cluster.hosts[1]
    log = host.folder / "daemon.log"
    check_privileges(cluster, host)
    look(cluster, host)

    formed = log.read_text(errors="replace").count("ring formed")
    for uid, kind, socket in attacks(cluster.engine.daemons):
        harm(cluster, host, loads, kind, socket, uid)
    cluster.wait_members(loads, [1, 2])
    assert log.read_text(errors="replace").count("ring formed") == formed, "the ring was formed anew"
    check_privileges(cluster, host)
    cluster.drain()
    cluster.judge(least_messages=5000)


if __name__ == "__main__":
    lab.main(story, nodes=2)
