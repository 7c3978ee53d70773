"""Medians over the rounds, and Halo's ratio to each other engine."""

import statistics

# kind -> the figures shown: (field, heading, is more better)
FIGURES = {
    "flood": [("msg_s", "msg/s", True), ("mb_s", "MB/s", True), ("daemon_cpu_us", "daemon CPU us/msg", False)],
    "paced": [("other_p50_us", "p50 us", False), ("other_p99_us", "p99 us", False),
              ("own_p50_us", "own p50 us", False), ("daemon_cpu_us", "daemon CPU us/msg", False)],
    "ping": [("other_p50_us", "p50 us", False), ("other_p99_us", "p99 us", False),
             ("own_p50_us", "own p50 us", False), ("own_p99_us", "own p99 us", False)],
    "loss": [("known_ms", "ms until the other nodes' members know", False)],
    "memory": [("mib_a_node", "MiB a node", False)],
}
TITLES = {
    "flood": "Throughput (each message counted once; CPU of all daemons per delivery)",
    "paced": "Latency under a steady load of 1 KiB messages, sender to another node",
    "ping": "Latency idle, 64 B, one in flight, 1 ms pauses, sender to another node",
    "loss": "kill -9 of all daemons of one node of three, default settings",
    "memory": "Memory of the daemons of a node (proportional share)",
}


def _number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def medians(results):
    """(kind, nodes, senders, size, when) -> engine -> field -> median."""
    gathered = {}
    for result in results:
        key = (result["kind"], result["nodes"], result["senders"], result["size"], result.get("when", ""))
        fields = gathered.setdefault(key, {}).setdefault(result["engine"], {})
        for field, value in result.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                fields.setdefault(field, []).append(value)
    return {key: {engine: {f: statistics.median(v) for f, v in fields.items()}
                  for engine, fields in by_engine.items()} for key, by_engine in gathered.items()}


def table(results):
    engines = list(dict.fromkeys(r["engine"] for r in results))
    rows = medians(results)
    others = [e for e in engines if e != "halo"] if "halo" in engines else []
    lines = []
    for kind, figures in FIGURES.items():
        keys = sorted(key for key in rows if key[0] == kind)
        if not keys:
            continue
        lines += ["", f"## {TITLES[kind]}", ""]
        for field, heading, more_is_better in figures:
            if not any(field in fields for key in keys for fields in rows[key].values()):
                continue
            head = ["nodes", "senders", "size", *engines, *(f"halo : {e}" for e in others)]
            lines += [f"### {heading} ({'more' if more_is_better else 'less'} is better)", "",
                      "| " + " | ".join(head) + " |", "|" + "---:|" * len(head)]
            for key in keys:
                _, nodes, senders, size, when = key
                values = {e: rows[key].get(e, {}).get(field) for e in engines}
                if all(v is None for v in values.values()):
                    continue
                ratios = []
                for other in others:
                    ours, theirs = values["halo"], values[other]
                    ratios.append("-" if not ours or not theirs else f"{ours / theirs:.2f}"
                                  + (" !" if (ours < theirs) == more_is_better and ours != theirs else ""))
                cells = [nodes, senders or "-", when or size, *(_number(values[e]) for e in engines), *ratios]
                lines.append("| " + " | ".join(str(c) for c in cells) + " |")
            lines.append("")
    lines += ["A ! marks where Halo is not ahead."] if others else []
    lost = [r for r in results if r.get("complete") is False or r.get("out_of_order")]
    for result in lost:
        lines.append(f"NOT COMPLETE OR NOT IN ORDER: {result}")
    return "\n".join(lines)
