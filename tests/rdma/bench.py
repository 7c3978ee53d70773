#!/usr/bin/python3
"""In the machine of vm.py: what three nodes order over RDMA devices and over UDP, and what a message costs each.

    bench.py BUILD [ROUNDS]

Each round runs both, one after the other, on the same hosts and MTU: a member on each node sends as fast as it may, in
messages of one size; then one member sends one message at a time. A line for each phase comes when it is over, the
table of medians at the end. Emulation makes everything 20 to 50 times slower than hardware and has software do a
card's work: what counts are the ratios and the counts.
"""

import json
import pathlib
import statistics
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / part) for part in ("support", "bench")]
import cluster as lab  # noqa: E402
import engines  # noqa: E402

ENGINES = {"UDP": "halo-udp-vm", "RDMA": "halo-rdma"}
ATTEMPTS = 3
SIZES = (64, 1000, 8000)
FLOOD_SECONDS = 3
PINGS, PING_BYTES, PING_PAUSE_US = 100, 64, 2000
# Of all nodes together, for each message. Packets count at each receiver.
COUNTS = ("packets_received", "system_calls_sent", "system_calls_received", "rdma.sends", "rdma.sends_inline",
          "rdma.sends_to_group", "rdma.doorbells_sent", "rdma.doorbells_received", "rdma.completions_sent",
          "rdma.completions_received", "rdma.wakeups")


def counters(cluster, haloctl):
    """Those of link 0, of all nodes together."""
    total = dict.fromkeys(COUNTS, 0)
    for host in cluster.hosts.values():
        answer = host.run([haloctl, "status", "--json", "--daemon", "ringd", "--get", "counters", "--timeout", "100"],
                          seconds=100, check=True)
        link = json.loads(answer.stdout)["ringd"]["links"]["0"]
        for name in COUNTS:
            found = link.get("rdma", {}).get(name.removeprefix("rdma.")) if name.startswith("rdma.") else link[name]
            total[name] += found or 0
    return total


def machine_seconds():
    """Processor time that all of the machine has used: a software device's work is the kernel's."""
    words = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return (sum(words) - words[3] - words[4]) / 100


def measured(cluster, haloctl, kind, senders, size, rest):
    for _ in range(ATTEMPTS):
        figures = measured_once(cluster, haloctl, kind, senders, size, rest)
        if figures["complete"] and not figures["out_of_order"]:
            return figures
        print("once more: a node stood still for so long that the others went on without it", flush=True)
    raise SystemExit(f"not all members got the same: {figures}")


def measured_once(cluster, haloctl, kind, senders, size, rest):
    before, busy = counters(cluster, haloctl), machine_seconds()
    ringds = [pid for host in cluster.hosts.values() for pid in host.pids("ringd")]
    used = lab.cpu_seconds(ringds)
    figures = cluster.phase(kind, senders, size, rest)
    figures["ringd_us"] = 1e6 * (lab.cpu_seconds(ringds) - used) / figures["sent"]
    figures["machine_us"] = 1e6 * (machine_seconds() - busy) / figures["sent"]
    after = counters(cluster, haloctl)
    figures["counts"] = {name: (after[name] - before[name]) / figures["sent"] for name in COUNTS}
    return figures


def one_round(name, engine, build, take):
    with lab.Cluster(engine, 3, build / "bin" / "cpg_bench") as cluster:
        haloctl = build / "bin" / "haloctl"
        cluster.start()
        cluster.add_members()
        for size in SIZES:
            figures = measured(cluster, haloctl, "flood", 3, size, FLOOD_SECONDS)
            take(f"{size} B", name, figures, f"{figures['msg_s']:.0f} messages/s")
        figures = measured(cluster, haloctl, "ping", 1, PING_BYTES, f"{PINGS} {PING_PAUSE_US}")
        take("latency", name, figures, f"half within {figures['own_p50_us'] / 1000:.1f} ms")


def print_table(results):
    def median(phase, name, value):
        return statistics.median(value(figures) for figures in results[phase, name])

    # The last is what is best: of the most, or the least.
    rows = [(phase, label, value, best) for phase in [f"{size} B" for size in SIZES] for label, value, best in (
        ("messages/s", lambda f: f["msg_s"], max), ("ringd, us a message", lambda f: f["ringd_us"], min),
        ("all of the machine, us a message", lambda f: f["machine_us"], min))]
    rows += [("latency", f"ms, {point}", lambda f, point=point: f[f"own_{point}_us"] / 1000, min)
             for point in ("p50", "p90", "p99")]
    print("\nOther work on the host only makes slower: the best of the rounds had the least of it.\n"
          "\n| | median: | UDP | RDMA | RDMA / UDP | best: UDP | RDMA | RDMA / UDP |\n|---|---|---|---|---|---|---|---|")
    for phase, label, value, best in rows:
        cells = [median(phase, name, value) for name in ENGINES]
        bests = [best(value(figures) for figures in results[phase, name]) for name in ENGINES]
        print(f"| {phase} | {label} | " + " | ".join(f"{udp:.4g} | {rdma:.4g} | {rdma / udp:.2f}"
                                                     for udp, rdma in (cells, bests)) + " |")
    phases = [f"{size} B" for size in SIZES]
    print(f"\n| for each message, of all nodes | {' | '.join(f'UDP {p} | RDMA {p}' for p in phases)} |")
    print("|---" * (1 + 2 * len(phases)) + "|")
    for count in COUNTS:
        cells = [f"{median(phase, name, lambda f: f['counts'][count]):.3f}" for phase in phases for name in ENGINES]
        print(f"| {count} | {' | '.join(cells)} |")


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    results = {}

    def take(phase, name, figures, text):
        results.setdefault((phase, name), []).append(figures)
        counts = {key: round(value, 3) for key, value in figures["counts"].items() if value}
        print(f"{phase}, {name}: {text}, ringd {figures['ringd_us']:.0f} us a message; {json.dumps(counts)}", flush=True)

    for number in range(rounds):
        print(f"round {number + 1}", flush=True)
        for name, engine in ENGINES.items():
            one_round(name, engines.known(build)[engine], build, take)
    print_table(results)


if __name__ == "__main__":
    main()
