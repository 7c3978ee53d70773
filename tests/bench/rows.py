"""What is measured. Each row is a function over a running cluster, or one that makes its own.

A row yields results: dictionaries with `kind`, `senders`, `size`, `case` where they apply, and the
figures. `Plan` says which sizes, lengths and numbers; run.py adds engine, nodes and round.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time

import cluster as lab
import netns

SIZES = (1, 64, 256, 1024, 4096, 16384, 65536, 262144, 1_000_000, 1 << 20)
QUICK_SIZES = (64, 1024, 16384, 65536, 1 << 20)
LATENCY_SIZES = (64, 1024, 16384, 65536)
CLIENTS = (1, 2, 4, 8)  # A node.
LOADS = (10, 50, 90)  # Percent.


def result(kind, figures, senders=0, size=0, case=""):
    return {"kind": kind, "senders": senders, "size": size, "case": case, **figures}


# ---------------------------------------------------------------- on a running cluster with members

def idle(cluster, plan):
    daemons = cluster.daemons()
    cpu, wakes = lab.cpu_seconds(daemons), lab.wake_ups(daemons)
    packets = sum(lab.packets_sent(host) for host in cluster.hosts.values())
    began = time.monotonic()
    netns.pause(plan.idle_seconds)
    took = (time.monotonic() - began) * cluster.nodes
    yield result("idle", {
        "cpu_percent": 100 * (lab.cpu_seconds(daemons) - cpu) / took,
        "wake_ups_s": (lab.wake_ups(daemons) - wakes) / took,
        "packets_s": (sum(lab.packets_sent(h) for h in cluster.hosts.values()) - packets) / took,
        "mib_a_node": lab.memory_mib(daemons) / cluster.nodes})


def latency(cluster, plan):
    for size in LATENCY_SIZES if plan.is_full else (64,):
        figures = cluster.phase("ping", 1, size, f"{plan.pings} 1000")
        yield result("ping", figures, 1, size, "agreed")
    if plan.is_full:
        yield result("ping", cluster.phase("ping", 1, 64, f"{plan.pings} 1000", safe=True), 1, 64, "safe")


def rate(cluster, plan):
    """CPU at a fixed low rate of all senders together."""
    for messages in (300, 3000):
        figures = cluster.phase("paced", cluster.nodes, 64, f"{plan.rate_seconds} {messages / cluster.nodes}")
        figures["cpu_percent"] = 100 * figures["daemon_cpu_s"] / plan.rate_seconds / cluster.nodes
        yield result("rate", figures, cluster.nodes, 64, f"{messages}/s")


def throughput(cluster, plan):
    for senders in sorted({1, cluster.nodes}):
        for size in plan.sizes:
            figures = cluster.phase("flood", senders, size, plan.seconds)
            yield result("flood", figures, senders, size)
            plan.learn(cluster, senders, size, figures)
    yield result("memory", {"mib_a_node": lab.memory_mib(cluster.daemons()) / cluster.nodes}, case="loaded")


def load(cluster, plan):
    """Latency at a share of what Corosync carries (in this run), and of what the engine itself does."""
    loads = [("of corosync", plan.capacity.get(("corosync", cluster.nodes)))]
    if cluster.engine.name not in ("corosync", "corosync-norr"):
        loads.append(("of its own", plan.capacity.get((cluster.engine.name, cluster.nodes))))
    for whose, most in loads:
        for percent in LOADS if most else ():
            rate_each = most * percent / 100 / cluster.nodes
            figures = cluster.phase("paced", cluster.nodes, 1024, f"{plan.load_seconds} {rate_each}")
            yield result("load", {**figures, "messages_s": most * percent / 100}, cluster.nodes, 1024,
                         f"{percent} % {whose}")


def safe(cluster, plan):
    for size in (64, 16384):
        yield result("flood", cluster.phase("flood", cluster.nodes, size, plan.seconds, safe=True),
                     cluster.nodes, size, "safe")


def many(cluster, plan):
    """Several clients a node in one group, and each in a group of its own."""
    for clients in CLIENTS if plan.is_full else CLIENTS[-1:]:
        with _clients(cluster, ["many"] * clients) as extra:
            case = f"{clients} clients, 1 group"
            for size in (64, 4096):
                figures = cluster.phase("flood", len(extra), size, plan.seconds, members=extra)
                yield result("flood", figures, len(extra), size, case)
            figures = cluster.phase("ping", 1, 64, f"{plan.pings // 2} 1000", members=extra)
            yield result("ping", figures, 1, 64, case)
    clients = CLIENTS[-1]
    with _clients(cluster, [f"many{i}" for i in range(clients)]) as extra:
        for size in (64, 4096):
            figures = cluster.phase("flood", cluster.nodes, size, plan.seconds, members=extra)
            yield result("flood", figures, len(extra), size, f"{clients} clients, {clients} groups")


@contextlib.contextmanager
def _clients(cluster, groups):
    """On each node one client for each of `groups`, in it; every group is whole."""
    extra = []
    for group in groups:
        extra += cluster.add_members(group, wait=False)
    for member in extra:
        member.tell(f"members {sum(m.group == member.group for m in extra)}")
    for member in extra:
        member.answer(60)
    yield extra
    cluster.quit_members(extra)


def connections(cluster, plan):
    member = cluster.members[0]
    answer = member.ask(f"connect {plan.seconds}", 60)
    yield result("connections", {"connections_s": answer["connections"] / answer["seconds"]}, 1)
    extra = cluster.add_members("aside", [1] * 4, wait=False)
    for each in extra:
        each.tell(f"connect {plan.seconds}")
    answers = [each.answer(60) for each in extra]
    yield result("connections", {"connections_s": sum(a["connections"] / a["seconds"] for a in answers)}, 4)
    cluster.quit_members(extra)


def churn(cluster, plan):
    """Joins and leaves of one process while all members send 1,000 messages a second in all."""
    extra = cluster.add_members("aside", [1], wait=False)
    seconds = plan.load_seconds
    extra[0].tell(f"churn {seconds} {lab.GROUP}")
    members = [m for m in cluster.members if m.group == lab.GROUP]
    figures = cluster.phase("paced", len(members), 64, f"{seconds} {1000 / len(members)}", members=members)
    joins = extra[0].answer(60)["joins"]
    cluster.quit_members(extra)
    yield result("churn", {**figures, "joins_s": joins / seconds}, len(members), 64)


RUNNING = {"idle": idle, "latency": latency, "rate": rate, "throughput": throughput, "load": load,
           "safe": safe, "many": many, "connections": connections, "churn": churn}
# Rows with these numbers of nodes only.
NODES_OF = {"safe": (3,), "many": (1, 3), "connections": (1, 3), "churn": (3,), "load": (3,)}


# ---------------------------------------------------------------- rows that break something

def _pulsed(cluster, survivors, fault, until):
    """Members send a message every 2 ms through a fault; when the last of them knew, and worked again."""
    for member in survivors:
        member.ask("pulse 2000")
    since = time.monotonic_ns()
    fault()
    for member in survivors:
        member.tell(f"until {until}")
    answers = [member.answer(90) for member in survivors]
    return {"known_ms": (max(a["since_ns"] for a in answers) - since) / 1e6,
            "works_ms": (max(a["works_ns"] for a in answers) - since) / 1e6,
            "gap_ms": max(a["longest_gap_ms"] for a in answers)}


# Packets to a node that does not run yet use up what its kernel says of refused ports (six answers, and
# one more a second, icmp_ratelimit), which is what its death is noticed by.
UP_SECONDS = 8


def failover(engine, nodes, plan):
    """Each fault in a cluster of its own, up for a while; the last node is the one that is hit."""
    cases = ["kill -9 of all daemons", "silent cut", "no carrier", "pause of 2 s"]
    if "ringd" in engine.daemons:
        cases.insert(0, "kill -9 of ringd")
    for case in cases:
        with lab.Cluster(engine, nodes, plan.client) as cluster:
            cluster.start()
            # With many nodes a few members see enough, and leave the processors to the daemons.
            watchers = cluster.hosts if nodes <= 5 else (1, 2, nodes // 2, nodes - 1)
            members = cluster.add_members(numbers=watchers)
            _await_ring(members, nodes)
            netns.pause(UP_SECONDS)
            victim = cluster.hosts[nodes]
            others = [m for m in members if m.host is not victim]
            figures = _hit(cluster, case, others, victim)
        yield result("failover", figures, case=case)


def _await_ring(members, nodes):
    for member in members:
        member.ask("pulse 20000")
        member.tell(f"until {nodes}")
    for member in members:
        member.answer(90)


def _hit(cluster, case, others, victim):
    number = cluster.nodes
    if case == "kill -9 of all daemons":
        # What would restart them first, and looked up before: only the kill itself takes time.
        pids = [cluster.supervisors[number].pid, *cluster.daemons(number)]
        return _pulsed(cluster, others, lambda: [_signal(pid, signal.SIGKILL) for pid in pids], number - 1)
    if case == "kill -9 of ringd":
        # It is started again at once: a ring without it, or none at all if it resumes in time.
        for member in others:
            member.ask("pulse 2000")
        victim.signal_all(signal.SIGKILL, ["ringd"])
        netns.pause(3)
        for member in others:
            member.tell("stop")
        answers = [member.answer(60) for member in others]
        return {"gap_ms": max(a["longest_gap_ms"] for a in answers),
                "removals": sum(a["ring_smallest"] < number for a in answers)}
    if case == "silent cut":
        return _pulsed(cluster, others, lambda: cluster.network.silence(number), number - 1)
    if case == "no carrier":
        return _pulsed(cluster, others, lambda: cluster.network.carrier(number, False), number - 1)
    for member in others:
        member.ask("pulse 2000")
    victim.signal_all(signal.SIGSTOP)
    netns.pause(2)
    victim.signal_all(signal.SIGCONT)
    for member in others:
        member.tell(f"until {number}")
    answers = [member.answer(90) for member in others]
    return {"gap_ms": max(a["longest_gap_ms"] for a in answers),
            "removals": sum(a["ring_smallest"] < number for a in answers)}


# A kernel refuses packets to a dead port six times at once, then once a second: those that were sent
# to nodes before they were up use that up.
SETTLED_SECONDS = 8


def formation(engine, nodes, plan):
    """All nodes started at once until all are in one ring, by their logs; then one dies."""
    whole = engine.formed(nodes)
    with lab.Cluster(engine, nodes, plan.client) as cluster:
        packets = sum(lab.packets_sent(host) for host in cluster.hosts.values())
        began = time.monotonic()
        cluster.start()
        started = time.monotonic() - began
        netns.wait_for(lambda: cluster.logs_with(whole) == nodes, plan.formation_limit, f"a ring of {nodes}")
        took = time.monotonic() - began
        sent = sum(lab.packets_sent(host) for host in cluster.hosts.values()) - packets
        daemons = cluster.daemons()
        figures = {"formed_s": took, "after_last_start_s": took - started, "packets": sent,
                   "cpu_s": lab.cpu_seconds(daemons), "mib_a_node": lab.memory_mib(daemons) / nodes}
        if nodes > 2:
            watchers = cluster.add_members(numbers=sorted({1, 2, nodes // 2, nodes - 1}))
            _await_ring(watchers, nodes)
            netns.pause(SETTLED_SECONDS)
            hit = _hit(cluster, "kill -9 of all daemons", watchers, cluster.hosts[nodes])
            figures.update({f"crash_{name}": value for name, value in hit.items()})
        yield result("formation", figures)


def removals(engine, nodes, plan):
    """Both cores busy, and at random all daemons of a node stopped for 50 to 500 ms: who is thrown out?"""
    chance = random.Random(plan.round)
    with lab.Cluster(engine, nodes, plan.client) as cluster:
        cluster.start()
        members = cluster.add_members()
        _await_ring(members, nodes)
        busy = [cluster.hosts[1].start(["sh", "-c", "while :; do :; done"]) for _ in range(4)]
        for member in members:
            member.ask("pulse 10000")
        until = time.monotonic() + plan.removal_seconds
        pauses = 0
        while time.monotonic() < until:
            stopped = cluster.daemons(chance.choice(list(cluster.hosts)))
            for pid in stopped:
                _signal(pid, signal.SIGSTOP)
            netns.pause(chance.uniform(0.05, 0.5))
            for pid in stopped:
                _signal(pid, signal.SIGCONT)
            pauses += 1
            netns.pause(chance.uniform(0.05, 0.5))
        for member in members:
            member.tell("stop")
        answers = [member.answer(60) for member in members]
        for process in busy:
            process.signal(signal.SIGKILL)
        yield result("removals", {
            "removals": max(a["ring_changes"] for a in answers) / 2, "pauses": pauses,
            "seconds": plan.removal_seconds, "gap_ms": max(a["longest_gap_ms"] for a in answers)})


def _signal(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


# ---------------------------------------------------------------- without an engine

def raw(plan):
    """What the machine gives at all: to compare with, in the same run."""
    program = plan.client.parent / "raw_limits"
    with netns.Network(2) as network:
        for size in (64, 1400):
            receiver = network.hosts[2].start([program, "udp-receive", "9999"], stdout=subprocess.PIPE)
            receiver.stdout.readline()
            network.hosts[1].run([program, "udp-send", network.address(2), "9999", size, plan.seconds])
            line = receiver.stdout.readline()
            figures = json.loads(line)
            receiver.wait(10)
            per_second = figures["bytes"] / max(figures["seconds"], 1e-9)
            yield result("raw", {"mb_s": per_second / 1e6, "msg_s": per_second / size}, 1, size, "UDP, segmented")
        output = network.hosts[1].run([program, "local", plan.seconds]).stdout
        figures = {}
        for line in output.splitlines():
            figures.update(json.loads(line))
        yield result("raw", figures, 1, 64, "local")


BREAKING = {"failover": failover, "removals": removals, "formation": formation}
