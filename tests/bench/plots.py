"""Line plots as SVG, without a library."""

import math

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 170, 40, 60
COLOURS = ("#0b6e99", "#c0392b", "#7f8c8d", "#27ae60", "#8e44ad", "#d68910")


class _Axis:
    """A logarithmic axis from the power of ten (or two) below the least to the one above the most."""

    def __init__(self, values, begin, end, base):
        low = math.floor(math.log(min(values), base))
        high = max(low + 1, math.ceil(math.log(max(values), base)))
        self.ticks = [base ** power for power in range(low, high + 1)]
        self._low, self._span, self._begin, self._end, self._base = low, high - low, begin, end, base
        if len(self.ticks) > 12:
            self.ticks = self.ticks[::2]

    def at(self, value):
        share = (math.log(value, self._base) - self._low) / self._span
        return self._begin + share * (self._end - self._begin)


def _text(x, y, text, anchor="middle", extra=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{text}</text>'


def _short(value, base):
    """1,048,576 is 1 Mi on an axis of powers of two, and 1,000,000 is 1 M on one of ten."""
    for power, unit in ((3, "G"), (2, "M"), (1, "k")):
        size = (1024 if base == 2 else 1000) ** power
        if value >= size:
            return f"{value / size:g} {unit.upper() + 'i' if base == 2 else unit}"
    return f"{value:g}"


def lines_plot(title, x_label, y_label, series, x_base=2):
    """`series`: name -> [(x, y)], all above 0."""
    points = [p for line in series.values() for p in line]
    x_axis = _Axis([p[0] for p in points], LEFT, WIDTH - RIGHT, x_base)
    y_axis = _Axis([p[1] for p in points], HEIGHT - BOTTOM, TOP, 10)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
           'font-size="12">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
           _text((LEFT + WIDTH - RIGHT) / 2, 22, title, extra='font-size="15"'),
           _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 15, x_label),
           _text(18, HEIGHT / 2, y_label, extra=f'transform="rotate(-90 18 {HEIGHT / 2})"')]
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        out.append(f'<path d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        out.append(_text(x, HEIGHT - BOTTOM + 18, _short(tick, x_base)))
    for tick in y_axis.ticks:
        y = y_axis.at(tick)
        out.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        out.append(_text(LEFT - 8, y + 4, _short(tick, 10), "end"))
    for place, (name, line) in enumerate(series.items()):
        colour = COLOURS[place % len(COLOURS)]
        path = " ".join(f"{x_axis.at(x):.1f},{y_axis.at(y):.1f}" for x, y in sorted(line))
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        out += [f'<circle cx="{x_axis.at(x):.1f}" cy="{y_axis.at(y):.1f}" r="3" fill="{colour}"/>' for x, y in line]
        y = TOP + 20 + 20 * place
        out.append(f'<rect x="{WIDTH - RIGHT + 12}" y="{y - 9}" width="14" height="4" fill="{colour}"/>')
        out.append(_text(WIDTH - RIGHT + 32, y, name, "start"))
    return "\n".join(out + ["</svg>"]) + "\n"


def _series(rows, kind, field, x_of, chosen):
    """engine -> [(x, y)] of the rows that `chosen` takes."""
    series = {}
    for key, engines in rows.items():
        if key[0] != kind or not chosen(*key[1:]):
            continue
        for engine, fields in engines.items():
            if fields.get(field):
                series.setdefault(engine, []).append((x_of(key), fields[field]))
    return {name: line for name, line in sorted(series.items(), key=lambda item: item[0] != "halo")}


def _nodes(key):
    return key[1]


def _size(key):
    return key[3]


def _clients(key):
    return int(key[4].split()[0])  # "8 clients, 1 group"


PLOTS = [
    ("throughput_by_size", "Messages a second by size, 3 nodes, all sending", "bytes", "messages/s",
     lambda rows: _series(rows, "flood", "msg_s", _size, lambda n, s, z, c: n == 3 and s == 3 and not c)),
    ("bytes_by_size", "MB a second by size, 3 nodes, all sending", "bytes", "MB/s",
     lambda rows: _series(rows, "flood", "mb_s", _size, lambda n, s, z, c: n == 3 and s == 3 and not c)),
    ("throughput_by_nodes", "Messages of 64 B a second by nodes, all sending", "nodes", "messages/s",
     lambda rows: _series(rows, "flood", "msg_s", _nodes, lambda n, s, z, c: s == n and z == 64 and not c)),
    ("cpu_by_size", "CPU of all daemons a delivery, 3 nodes, all sending", "bytes", "us",
     lambda rows: _series(rows, "flood", "daemon_cpu_us", _size, lambda n, s, z, c: n == 3 and s == 3 and not c)),
    ("throughput_by_clients", "Messages of 64 B a second by clients a node, one group, 3 nodes, all sending",
     "clients a node", "messages/s",
     lambda rows: _series(rows, "flood", "msg_s", _clients, lambda n, s, z, c: n == 3 and z == 64 and "1 group" in c)),
    ("latency_by_clients", "Idle latency to own delivery, p50, by clients a node, 3 nodes", "clients a node", "us",
     lambda rows: _series(rows, "ping", "own_p50_us", _clients, lambda n, s, z, c: n == 3 and "1 group" in c)),
    ("latency_by_size", "Idle latency to own delivery, p50, 3 nodes", "bytes", "us",
     lambda rows: _series(rows, "ping", "own_p50_us", _size, lambda n, s, z, c: n == 3 and c == "agreed")),
    ("latency_by_nodes", "Idle latency to own delivery, p50", "nodes", "us",
     lambda rows: _series(rows, "ping", "own_p50_us", _nodes, lambda n, s, z, c: z == 64 and c == "agreed")),
    ("latency_by_load", "Latency p99 to another node by load, 1 KiB, 3 nodes", "messages/s", "us",
     lambda rows: _latency_by_load(rows)),
    ("formation_by_nodes", "Seconds until one ring", "nodes", "s",
     lambda rows: _series(rows, "formation", "formed_s", _nodes, lambda *_: True)),
    ("crash_by_nodes", "Milliseconds until the crash of a node is known", "nodes", "ms",
     lambda rows: _series(rows, "formation", "crash_known_ms", _nodes, lambda *_: True)),
    ("memory_by_nodes", "Memory of a node's daemons", "nodes", "MiB",
     lambda rows: _series(rows, "formation", "mib_a_node", _nodes, lambda *_: True)),
]


def _latency_by_load(rows):
    series = {}
    for (kind, nodes, _, _, _), engines in rows.items():
        if kind != "load" or nodes != 3:
            continue
        for engine, fields in engines.items():
            if fields.get("other_p99_us"):
                series.setdefault(engine, []).append((fields["messages_s"], fields["other_p99_us"]))
    return series


def draw(rows, folder):
    """Writes each plot for which there is anything; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, title, x_label, y_label, series_of in PLOTS:
        series = series_of(rows)
        if any(len(line) > 1 for line in series.values()):
            path = folder / f"{name}.svg"
            path.write_text(lines_plot(title, x_label, y_label, series, 10 if "load" in name else 2))
            written.append(path)
    return written
