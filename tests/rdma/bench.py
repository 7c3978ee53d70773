#!/usr/bin/python3
"""In the machine of vm.py: what three nodes order over RDMA devices and over UDP, and what a packet costs each.

    bench.py BUILD [ROUNDS]

Each round runs both, one after the other, on the same hosts and MTU: a member on each node sends as fast as it may, in
messages of one size. Emulation makes everything 20 to 50 times slower than hardware and has software do a card's work:
what counts are the ratios and the counts.
"""

import json
import os
import pathlib
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
sys.path.insert(0, str(HERE.parent / "integration"))
import engines  # noqa: E402
import lab  # noqa: E402

SLOW = 180
SIZES = (64, 1000, 8000)
SECONDS = 8


def link_counters(cluster):
    found = [cluster.counters(number, "ringd") for number in cluster.hosts]
    return [{**each["links"]["0"], "ring_messages": each["ring"]["messages_sent"], "turns": each["process"]["turns"]}
            for each in found]


def flat(counters):
    result = {}
    for name, value in counters.items():
        if isinstance(value, dict):
            if name == "rdma":
                result.update({f"rdma.{key}": inner for key, inner in value.items()})
        elif isinstance(value, (int, float)):
            result[name] = value
    return result


def cpu_seconds(cluster):
    total = 0.0
    for host in cluster.hosts.values():
        for pid in host.pids("ringd"):
            words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            total += (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return total


def measure(engine, size):
    network = engine.network(3, 1)
    try:
        cluster = lab.Cluster(network, engine, engine.build)
        cluster.start()
        loads = cluster.load(rate=100000, size=size)
        cluster.wait_members(loads, [1, 2, 3], SLOW)
        cluster.wait_progress(loads, 200, SLOW)
        before, cpu, began = [flat(c) for c in link_counters(cluster)], cpu_seconds(cluster), time.monotonic()
        start = [load.refresh().delivered for load in loads]
        lab.pause(SECONDS)
        end = [load.refresh().delivered for load in loads]
        took = time.monotonic() - began
        after, cpu = [flat(c) for c in link_counters(cluster)], cpu_seconds(cluster) - cpu
        messages = min(b - a for a, b in zip(start, end))
        spent = {name: sum(a[name] - b[name] for a, b in zip(after, before)) for name in after[0] if name in before[0]}
        status = cluster.status(1)["ringd"]
        return {"messages_s": messages / took, "cpu_us": cpu / max(messages, 1) * 1e6, "messages": messages,
                "rotation_us": status["token"]["rotation_mean_us"], "packet_bytes": status["packet_bytes"],
                "spent": spent}
    finally:
        network.close()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    known = engines.known(build)
    for size in SIZES:
        results = {}
        for _ in range(rounds):
            for name in ("halo-udp-vm", "halo-rdma"):
                engine = known[name]
                engine.build = build
                results.setdefault(name, []).append(measure(engine, size))
        line = {}
        for name, runs in results.items():
            line[name] = statistics.median(run["messages_s"] for run in runs)
            last = runs[-1]
            packets = max(last["spent"].get("packets_received", 0), 1)
            counts = {key: round(value / packets, 3) for key, value in sorted(last["spent"].items())
                      if key.startswith("rdma.") or key.startswith("system_calls")}
            print(f"{size} B {name}: {line[name]:.0f} messages/s, ringd {last['cpu_us']:.0f} us a message, rotation "
                  f"{last['rotation_us']} us, packets of {last['packet_bytes']} B; for each packet received: "
                  f"{json.dumps(counts)}", flush=True)
        print(f"{size} B: RDMA / UDP = {line['halo-rdma'] / line['halo-udp-vm']:.2f}", flush=True)


if __name__ == "__main__":
    main()
