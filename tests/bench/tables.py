"""Medians over the rounds, and Halo's ratio to each other engine."""

import statistics

import targets

# kind -> title, and the figures shown: (field, heading, is more better)
TABLES = {
    "raw": ("What the machine gives without an engine",
            [("mb_s", "MB/s", True), ("msg_s", "packets/s", True), ("round_trip_p50_us", "round trip p50 us", False),
             ("round_trip_p99_us", "round trip p99 us", False), ("copy_mb_s", "memory copy MB/s", True)]),
    "flood": ("Throughput (each message counted once; CPU of all daemons per delivery)",
              [("msg_s", "msg/s", True), ("mb_s", "MB/s", True), ("daemon_cpu_us", "daemon CPU us/delivery", False),
               ("client_cpu_us", "client CPU us/delivery", False)]),
    "ping": ("Latency idle, 64 B, one in flight, 1 ms pauses",
             [("own_p50_us", "own p50 us", False), ("own_p99_us", "own p99 us", False),
              ("own_p999_us", "own p99.9 us", False), ("other_p50_us", "other node p50 us", False),
              ("other_p99_us", "other node p99 us", False)]),
    "load": ("Latency under load, 1 KiB, all nodes sending",
             [("other_p50_us", "p50 us", False), ("other_p90_us", "p90 us", False), ("other_p99_us", "p99 us", False),
              ("other_p999_us", "p99.9 us", False), ("messages_s", "messages/s", True)]),
    "rate": ("A low steady rate of all nodes together, 64 B",
             [("cpu_percent", "CPU of a node's daemons, % of a core", False), ("own_p50_us", "own p50 us", False),
              ("own_p99_us", "own p99 us", False)]),
    "idle": ("An idle node",
             [("cpu_percent", "CPU, % of a core", False), ("wake_ups_s", "wake-ups/s", False),
              ("packets_s", "packets/s", False), ("mib_a_node", "memory MiB", False)]),
    "memory": ("Memory of a node's daemons after all floods (proportional share)", [("mib_a_node", "MiB", False)]),
    "connections": ("Sessions opened and closed a second", [("connections_s", "connections/s", True)]),
    "churn": ("Joins and leaves of one process while all send 1,000 messages/s in all",
              [("joins_s", "joins/s", True), ("other_p50_us", "p50 us", False), ("other_p99_us", "p99 us", False),
               ("longest_gap_ms", "longest gap ms", False)]),
    "failover": ("Faults, default settings, a message every 2 ms from each member",
                 [("known_ms", "ms until all members know", False), ("works_ms", "ms until it works again", False),
                  ("gap_ms", "longest gap ms", False), ("removals", "members that saw the node leave", False)]),
    "formation": ("All nodes started at once, then kill -9 of one",
                  [("formed_s", "s until one ring", False), ("after_last_start_s", "s after the last start", False),
                   ("packets", "packets sent", False), ("cpu_s", "CPU s", False),
                   ("crash_known_ms", "ms until the crash is known", False),
                   ("crash_works_ms", "ms until it works again", False), ("mib_a_node", "MiB a node", False)]),
    "removals": ("Both cores busy, random pauses of 50 to 500 ms of all daemons of a node",
                 [("removals", "nodes thrown out", False), ("pauses", "pauses", True), ("gap_ms", "longest gap ms", False)]),
}


def medians(results):
    """(kind, nodes, senders, size, case) -> engine -> field -> median."""
    gathered = {}
    for result in results:
        key = (result["kind"], result["nodes"], result["senders"], result["size"], result["case"])
        fields = gathered.setdefault(key, {}).setdefault(result["engine"], {})
        for field, value in result.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                fields.setdefault(field, []).append(value)
    return {key: {engine: {f: statistics.median(v) for f, v in fields.items()}
                  for engine, fields in by_engine.items()} for key, by_engine in gathered.items()}


def _number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _ratio(ours, theirs, more_is_better):
    if ours is None or theirs is None or not theirs:
        return "-"
    is_behind = (ours < theirs) == more_is_better and ours != theirs
    return f"{ours / theirs:.2f}" + (" !" if is_behind else "")


def _table(rows, keys, field, heading, more, engines):
    shown = [e for e in engines if any(field in rows[k].get(e, {}) for k in keys)]
    if not shown:
        return []
    others = [e for e in shown if e != "halo"] if "halo" in shown else []
    head = ["nodes", "senders", "size", "case", *shown, *(f"halo : {e}" for e in others)]
    lines = [f"### {heading} ({'more' if more else 'less'} is better)", "",
             "| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
    for key in keys:
        values = {e: rows[key].get(e, {}).get(field) for e in shown}
        if all(v is None for v in values.values()):
            continue
        _, nodes, senders, size, case = key
        cells = [nodes or "-", senders or "-", size or "-", case or "-", *(_number(values[e]) for e in shown),
                 *(_ratio(values["halo"], values[e], more) for e in others)]
        lines.append("| " + " | ".join(str(c) for c in cells) + " |")
    return lines + [""]


def tables(results):
    engines = sorted({r["engine"] for r in results} - {"machine"}, key=lambda e: (e != "halo", e)) + ["machine"]
    rows = medians(results)
    lines = []
    for kind, (title, figures) in TABLES.items():
        keys = sorted(key for key in rows if key[0] == kind)
        if keys:
            lines += ["", f"## {title}", ""]
            for field, heading, more in figures:
                lines += _table(rows, keys, field, heading, more, engines)
    lines.append("A ! marks where Halo is not ahead.")
    for lost in results:
        if lost.get("complete") is False or lost.get("out_of_order"):
            lines.append(f"NOT COMPLETE OR NOT IN ORDER: {lost}")
    return "\n".join(lines) + "\n" + targets.table(rows)
