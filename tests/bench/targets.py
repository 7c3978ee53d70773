"""What Halo wants to reach, and whether it does: one line a figure, over all rows that it names."""

import dataclasses
import typing

CRASH_LIMITS = {3: 100, 16: 150, 32: 250}  # Milliseconds.


@dataclasses.dataclass
class Target:
    text: str
    kind: str
    field: str
    # Which rows: (nodes, senders, size, case) -> bool.
    rows: typing.Callable
    # At least (more is better) or at most this; to Corosync's default, and to the better of its settings.
    ratio: float | None = None
    ratio_to_best: float | None = None
    more: bool = False
    # At most this, by row; without a comparison.
    absolute: typing.Callable | None = None
    other: str = "corosync"


def _sizes(low, high):
    return lambda nodes, senders, size, case: low <= size <= high and not case and nodes <= 3


TARGETS = [
    Target("messages/s, 1 to 256 B, 1-3 nodes, one and all sending", "flood", "msg_s", _sizes(1, 256), 30, 10, True),
    Target("messages/s, 1 KiB", "flood", "msg_s", _sizes(1024, 1024), 15, 10, True),
    Target("messages/s, 4 and 16 KiB", "flood", "msg_s", _sizes(4096, 16384), 6, 6, True),
    Target("MB/s, 64 KiB, 256 KiB and 1,000,000 B", "flood", "mb_s", _sizes(65536, 1_000_000), 4, 4, True),
    Target("MB/s, 1 MiB", "flood", "mb_s", _sizes(1 << 20, 1 << 20), 10, 10, True),
    Target("idle latency to own delivery, p50, 2-5 nodes", "ping", "own_p50_us",
           lambda n, s, z, case: n > 1 and z == 64 and case == "agreed", 0.5, 0.5),
    Target("idle latency to own delivery, p99, 2-5 nodes", "ping", "own_p99_us",
           lambda n, s, z, case: n > 1 and z == 64 and case == "agreed", 0.5, 0.5),
    Target("latency at the load that Corosync can just carry, p50", "load", "other_p50_us",
           lambda n, s, z, case: case == "90 % of corosync", 0.1),
    Target("latency at the load that Corosync can just carry, p99", "load", "other_p99_us",
           lambda n, s, z, case: case == "90 % of corosync", 0.1),
    Target("CPU of all daemons per delivered message", "flood", "daemon_cpu_us",
           lambda n, s, z, case: not case and n <= 3, 0.1, 0.1),
    Target("CPU at 300 and 3,000 messages/s", "rate", "cpu_percent", lambda n, s, z, case: n > 1, 0.1, 0.1),
    Target("idle CPU of a node", "idle", "cpu_percent", lambda n, s, z, case: True, 0.5, 0.5),
    Target("memory of a node, idle", "idle", "mib_a_node", lambda n, s, z, case: True, 0.5, 0.5),
    Target("connections/s", "connections", "connections_s", lambda n, s, z, case: True, 50, 50, True),
    Target("kill -9 of all daemons of a node -> new configuration, ms", "failover", "known_ms",
           lambda n, s, z, case: case == "kill -9 of all daemons", absolute=lambda nodes: 100),
    Target("the same, n = 3 / 16 / 32, ms", "formation", "crash_known_ms",
           lambda n, s, z, case: n in CRASH_LIMITS, absolute=CRASH_LIMITS.get),
    Target("silent cut of a node -> new configuration, ms", "failover", "known_ms",
           lambda n, s, z, case: case == "silent cut", absolute=lambda nodes: 1000),
    Target("false removals, both cores busy and random pauses up to 500 ms", "removals", "removals",
           lambda n, s, z, case: True, absolute=lambda nodes: 0),
    Target("64 nodes started together -> one ring, s", "formation", "formed_s",
           lambda n, s, z, case: n == 64, absolute=lambda nodes: 5),
    Target("encryption on against off, messages/s", "flood", "msg_s",
           lambda n, s, z, case: not case, 0.8, None, True, other="halo-plain"),
]


def _shown(value):
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _row_name(key):
    _, nodes, senders, size, case = key
    words = [f"{nodes} nodes"] + ([f"{senders} sending"] if senders else []) + ([f"{size} B"] if size else [])
    return ", ".join(words + ([case] if case else []))


def _judge(target, key, engines):
    """(reached, text) of one row; None when it was not measured."""
    ours = engines.get("halo", {}).get(target.field)
    if ours is None:
        return None
    if target.absolute:
        return ours <= target.absolute(key[1]), f"{_shown(ours)} (at most {_shown(target.absolute(key[1]))})"
    reached, texts = True, []
    better = max if target.more else min
    compared = [(target.ratio, engines.get(target.other, {}).get(target.field))]
    both = [engines[e][target.field] for e in ("corosync", "corosync-norr")
            if engines.get(e, {}).get(target.field) is not None]
    if target.ratio_to_best and both:
        compared.append((target.ratio_to_best, better(both)))
    for limit, theirs in compared:
        if not theirs:
            return None
        ratio = ours / theirs
        reached = reached and (ratio >= limit if target.more else ratio <= limit)
        texts.append(f"{_shown(ratio)}x")
    return reached, " / ".join(texts)


def table(rows):
    """`rows`: (kind, nodes, senders, size, case) -> engine -> field -> median."""
    lines = ["", "## Targets", "", "| figure | at least | rows reached | not reached |", "|---|---|---:|---|"]
    for target in TARGETS:
        keys = sorted(k for k in rows if k[0] == target.kind and target.rows(*k[1:]))
        judged = [(k, _judge(target, k, rows[k])) for k in keys]
        judged = [(k, j) for k, j in judged if j is not None]
        sign = ">=" if target.more else "<="
        if target.absolute:
            wanted = "absolute"
        else:
            wanted = f"{sign} {target.ratio:g}x" + (
                f" and {target.ratio_to_best:g}x of the better" if target.ratio_to_best else "")
        missed = [f"{_row_name(k)}: {text}" for k, (reached, text) in judged if not reached]
        count = f"{len(judged) - len(missed)} of {len(judged)}" if judged else "not measured"
        lines.append(f"| {target.text} | {wanted} | {count} | {'; '.join(missed) or '-'} |")
    return "\n".join(lines)
