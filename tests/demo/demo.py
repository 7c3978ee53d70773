#!/usr/bin/python3
"""A cluster on this machine, to watch and to break.

Each node is a host of its own (network namespaces) with Halo's daemons and one member of a chat room.
All members talk at once; each column shows what one member has seen. However it is broken, the columns
agree on the order.
"""

import argparse
import collections
import os
import pathlib
import queue
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import engines  # noqa: E402
import netns  # noqa: E402

HELP = [
    ("kill N", "kill -9 of node N's daemons"), ("start N", "start them again"),
    ("stop N", "stop node N in order"), ("freeze N, thaw N", "suspend the whole host, resume"),
    ("cut A B", "cut the cable between two"), ("mute A B", "B does not hear A, A hears B"),
    ("loss A B 20", "B loses 20 % of what A sends"), ("split 1,2 3", "partition"),
    ("heal", "end all cuts and losses"), ("status N", "haloctl status on node N"),
    ("say N TEXT", "speak as node N"), ("quit", "end (or Ctrl-C)"),
]
PHRASES = ["hello all", "anybody there?", "yes, here", "same order everywhere?", "so it seems", "who sends next?",
           "me", "and me", "the ring goes round", "still counting", "nothing lost so far", "back to work"]


class OrderCheck:
    """Any two members got their common messages in the same order, each once."""

    def __init__(self, numbers):
        self._place = {n: {} for n in numbers}
        self._last = {(a, b): -1 for a in numbers for b in numbers}
        self.compared = 0
        self.violation = None

    def delivered(self, number, message):
        place = self._place[number]
        if message in place:
            self.violation = f"node {number} got twice: {message}"
            return
        place[message] = len(place)
        for other, its_place in self._place.items():
            if other == number or message not in its_place:
                continue
            if its_place[message] < self._last[(number, other)]:
                self.violation = f"nodes {number} and {other} disagree on the place of: {message}"
            self._last[(number, other)] = its_place[message]
            self._last[(other, number)] = max(self._last[(other, number)], place[message])
            self.compared += 1

    def has(self, number, message):
        return message in self._place[number]


class Node:
    """One host: its daemons and its chat member, whose events arrive in a queue shared by all."""

    def __init__(self, host, engine, build, events):
        self.host, self._engine, self._build, self._events = host, engine, build, events
        self.number = host.number
        self.state = "starting"
        self.members = ()
        self.lines = collections.deque(maxlen=200)
        self.said = 0
        self.supervisor = None
        self.chat = host.start([build / "bin" / "halo_chat", "demo"], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, env=engine.environment)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.chat.stdout:
            self._events.put((self.number, line.decode(errors="replace").rstrip("\n")))

    def start(self):
        if self.supervisor is None:
            self.supervisor = self._engine.start(self.host)
            self.state = "starting"

    def kill(self):
        if self.supervisor:
            self.supervisor.signal(signal.SIGKILL)
            self.host.signal_all(signal.SIGKILL, self._engine.daemons)
            self._is_gone()

    def stop(self):
        if self.supervisor:
            self.supervisor.stop(30)
            self._is_gone()

    def _is_gone(self):
        self.supervisor, self.state, self.members = None, "down", ()

    def say(self, text):
        try:
            self.chat.stdin.write(text.encode() + b"\n")
            self.chat.stdin.flush()
        except BrokenPipeError:
            pass

    def chatter(self, words=None):
        self.said += 1
        text = f"{self.number}.{self.said} {words or random.choice(PHRASES)}"
        self.say(text)
        return f"{self.number} {text}"


class Demo:
    def __init__(self, network, engine, build):
        self.network, self.engine, self.build = network, engine, build
        self._events = queue.SimpleQueue()
        engine.prepare(network)
        self.nodes = {n: Node(host, engine, build, self._events) for n, host in network.hosts.items()}
        self.order = OrderCheck(list(self.nodes))
        self.began = time.monotonic()
        self.note = "Try: kill 2, then start 2. Or: split 1 2,3 (watch both sides go on), then heal."
        self.cuts = []
        for node in self.nodes.values():
            node.start()

    def take_events(self, seen=None):
        while True:
            try:
                number, line = self._events.get_nowait()
            except queue.Empty:
                return
            node = self.nodes[number]
            kind, _, rest = line.partition(" ")
            if kind == "message":
                self.order.delivered(number, rest)
                node.lines.append(("message", rest.partition(" ")[2]))
            elif kind == "members":
                node.members = tuple(sorted(int(n) for n in rest.split()))
                node.state = "up"
                node.lines.append(("members", "members " + " ".join(map(str, node.members))))
            elif kind == "disconnected":
                node.members = ()
                node.lines.append(("lost", "no daemon"))
            if seen and kind != "message":
                seen(number, line)

    def whole(self):
        everyone = tuple(sorted(self.nodes))
        return all(node.members == everyone for node in self.nodes.values())

    def elapsed(self):
        return time.monotonic() - self.began

    # Commands: each returns what to tell the person.

    def command(self, line):
        words = line.split()
        name, rest = words[0], words[1:]
        action = getattr(self, f"do_{name}", None)
        if action is None:
            return f"no command {name}"
        try:
            return action(*rest)
        except (TypeError, ValueError, KeyError, IndexError):
            usage = [f"{c}: {what}" for c, what in HELP if c.split()[0] == name]
            return "usage: " + "; ".join(usage or [name])

    def _node(self, word):
        return self.nodes[int(word)]

    def do_kill(self, n):
        self._node(n).kill()
        return f"node {n}: daemons killed with -9"

    def do_start(self, n):
        self._node(n).start()
        return f"node {n}: started"

    def do_stop(self, n):
        self._node(n).stop()
        return f"node {n}: stopped in order"

    def do_freeze(self, n):
        self._node(n).host.signal_all(signal.SIGSTOP)
        self._node(n).state = "frozen"
        return f"host {n}: every process stopped"

    def do_thaw(self, n):
        self._node(n).host.signal_all(signal.SIGCONT)
        self._node(n).state = "up"
        return f"host {n}: goes on"

    def do_cut(self, a, b):
        self.network.cut(self._node(a).number, self._node(b).number)
        self.cuts.append(f"{a} x {b}")
        return f"nodes {a} and {b} no longer hear each other"

    def do_mute(self, a, b):
        self.network.lose(self._node(a).number, self._node(b).number, 100)
        self.cuts.append(f"{a} > {b}")
        return f"node {b} no longer hears node {a}"

    def do_loss(self, a, b, percent):
        self.network.lose(self._node(a).number, self._node(b).number, int(percent))
        self.cuts.append(f"{a} > {b} loses {percent} %")
        return f"node {b} loses {percent} % of what node {a} sends"

    def do_split(self, *sides):
        groups = [[self._node(n).number for n in side.split(",")] for side in sides]
        rest = [n for n in self.nodes if not any(n in g for g in groups)]
        groups += [rest] if rest else []
        if len(groups) < 2:
            raise ValueError
        self.network.partition(*groups)
        self.cuts.append(" | ".join(",".join(map(str, g)) for g in groups))
        return "split: " + " | ".join(",".join(map(str, g)) for g in groups)

    def do_heal(self):
        self.network.heal()
        self.cuts.clear()
        return "all nodes hear each other again"

    def do_say(self, n, *words):
        self._node(n).chatter(" ".join(words))
        return ""

    def do_status(self, n):
        result = self._node(n).host.run([self.build / "bin" / "haloctl", "status"],
                                        env=self.engine.environment)
        return (result.stdout + result.stderr).rstrip()


class Screen:
    """Paints the columns above the line where the person types."""

    BOLD, DIM, RED, GREEN, YELLOW, PLAIN = "\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m", "\033[0m"
    COLOR_OF = {"members": YELLOW, "lost": RED, "message": ""}

    def __init__(self, demo):
        self._demo = demo
        self._prompt_row = 0

    def paint(self, with_prompt=False):
        demo = self._demo
        columns, rows = shutil.get_terminal_size((100, 30))
        width = max(12, (columns - 1) // len(demo.nodes) - 2)
        help_rows = (len(HELP) + 1) // 2
        notes = demo.note.splitlines()[-max(1, rows // 3):] if demo.note else []
        body = max(3, rows - help_rows - len(notes) - 8)
        up = sum(node.state == "up" for node in demo.nodes.values())
        lines = [f"{self.BOLD}Halo: {len(demo.nodes)} hosts on this machine, one chat room, {up} up"
                 f"{self.PLAIN}   {demo.elapsed():.0f} s"
                 + (f"   {self.RED}network: {'; '.join(demo.cuts)}{self.PLAIN}" if demo.cuts else ""), ""]
        heads = []
        for node in demo.nodes.values():
            text = f"node {node.number}: " + (" ".join(map(str, node.members)) if node.state == "up" else node.state)
            color = self.GREEN if len(node.members) == len(demo.nodes) else self.RED if node.state == "down" \
                else self.YELLOW
            heads.append(self.BOLD + color + text[:width].ljust(width) + self.PLAIN)
        lines.append("  ".join(heads))
        shown = [list(node.lines)[-body:] for node in demo.nodes.values()]
        for row in range(body):
            cells = []
            for events in shown:
                kind, text = events[row] if row < len(events) else ("message", "")
                cells.append(self.COLOR_OF[kind] + text[:width].ljust(width) + self.PLAIN)
            lines.append("  ".join(cells))
        verdict = f"{self.RED}{demo.order.violation}{self.PLAIN}" if demo.order.violation else \
            f"{self.GREEN}one order everywhere{self.PLAIN} ({demo.order.compared} comparisons)"
        lines += [verdict, ""]
        for left, right in zip(HELP[::2], HELP[1::2]):
            lines.append("  ".join(f"{self.BOLD}{c:<18}{self.PLAIN} {what:<38}" for c, what in (left, right)))
        lines += notes
        self._prompt_row = len(lines) + 1
        text = "".join(f"\033[{row};1H{line}\033[K" for row, line in enumerate(lines, 1))
        if with_prompt:
            text += f"\033[{self._prompt_row};1H\033[J> "
            sys.stdout.write("\033[?25h" + text)
        else:
            sys.stdout.write("\0337\033[?25l" + text + "\0338\033[?25h")
        sys.stdout.flush()


def interactive(demo):
    """Until quit, end of input or Ctrl-C."""
    screen = Screen(demo)
    typed = queue.SimpleQueue()

    def read_lines():
        for line in sys.stdin:
            typed.put(line.strip())
        typed.put("quit")

    threading.Thread(target=read_lines, daemon=True).start()
    sys.stdout.write("\033[2J")
    screen.paint(with_prompt=True)
    next_chatter = time.monotonic()
    while not demo.order.violation:
        try:
            line = typed.get(timeout=0.25)
            if line in ("quit", "exit", "q"):
                break
            demo.note = demo.command(line) if line else ""
            sys.stdout.write("\033[2J")
            screen.paint(with_prompt=True)
        except queue.Empty:
            pass
        if time.monotonic() >= next_chatter:
            speaker = random.choice(list(demo.nodes.values()))
            if speaker.state == "up":
                speaker.chatter()
            next_chatter = time.monotonic() + 0.4
        demo.take_events()
        screen.paint()
    sys.stdout.write("\n")
    if demo.order.violation:
        print(f"WRONG: {demo.order.violation}")
        return 1
    return 0


def alone(demo, seconds):
    """Breaks the cluster by itself, checks the order throughout, and that it is whole at the end."""
    numbers = list(demo.nodes)
    last, first = numbers[-1], numbers[0]
    plan = [(0.15, f"kill {last}"), (0.35, f"start {last}")]
    if len(numbers) > 1:
        plan += [(0.5, f"split {first} " + ",".join(map(str, numbers[1:]))), (0.65, "heal")]
    if len(numbers) > 2:
        plan += [(0.75, f"mute {first} {numbers[1]}"), (0.9, "heal")]

    def tell(text):
        print(f"{demo.elapsed():7.2f} s  {text}", flush=True)

    def seen(number, line):
        tell(f"node {number}: {line}")

    def live(until, done=lambda: False, rate=20):
        """Chatter and events until a time or until done."""
        due = time.monotonic()
        while time.monotonic() < until and not done() and not demo.order.violation:
            demo.take_events(seen)
            if rate and time.monotonic() >= due:
                for node in demo.nodes.values():
                    if node.state == "up":
                        node.chatter()
                due = time.monotonic() + 1 / rate
            netns.pause(0.01)

    tell(f"{len(numbers)} hosts start")
    live(time.monotonic() + 60, demo.whole)
    if not demo.whole():
        tell("WRONG: the cluster did not become whole")
        return 1
    tell("the cluster is whole")
    start = time.monotonic()
    for share, command in plan:
        live(start + share * seconds)
        tell(demo.command(command))
    live(start + seconds)
    live(time.monotonic() + 60, demo.whole)
    # All that is said now must reach everybody.
    last_words = [node.chatter() for node in demo.nodes.values()]
    live(time.monotonic() + 30, rate=0,
         done=lambda: all(demo.order.has(n, m) for n in demo.nodes for m in last_words))
    missing = [f"node {n} misses: {m}" for n in demo.nodes for m in last_words if not demo.order.has(n, m)]
    wrong = demo.order.violation or (missing and missing[0]) or (not demo.whole() and "the cluster is not whole")
    if wrong:
        tell(f"WRONG: {wrong}")
        return 1
    tell(f"whole again, one order everywhere: {demo.order.compared} comparisons, no difference")
    return 0


def main():
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("nodes", nargs="?", type=int, default=3, help="how many hosts (default 3)")
    parser.add_argument("--seconds", type=float, help="run alone for that long, check, and exit 0 or 1")
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parent.parent / "build" / "release")
    parser.add_argument("--engine", default="halo", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not 1 <= options.nodes <= 32:
        parser.error("between 1 and 32 hosts")
    build = options.build.resolve()
    engine = engines.known(build)[options.engine]
    reason = netns.missing_rights() or engine.missing()
    if not reason and not (build / "bin" / "halo_chat").exists():
        reason = f"{build}/bin/halo_chat is not built"
    if reason:
        print(f"demo: {reason}", file=sys.stderr)
        return 77
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with netns.Network(options.nodes) as network:
        try:
            demo = Demo(network, engine, build)
            if options.seconds is not None:
                code = alone(demo, options.seconds)
            elif sys.stdin.isatty() and sys.stdout.isatty():
                code = interactive(demo)
            else:
                print("demo: no terminal; use --seconds T to let it run alone", file=sys.stderr)
                code = 2
            if code == 1:
                print_daemon_logs(network)
        except KeyboardInterrupt:
            print("\nended")
            code = 0
    return code


def print_daemon_logs(network):
    for host in network.hosts.values():
        log = host.folder / "daemon.log"
        if log.exists():
            print(f"--- {host.name}", *log.read_text(errors="replace").splitlines()[-30:], sep="\n")


if __name__ == "__main__":
    # The reading threads are daemons of this process: leave without waiting for them.
    code = main()
    sys.stdout.flush()
    os._exit(code)
