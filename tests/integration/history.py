"""Judges what the members of a group wrote down (the log format is in cpg_load.cpp).

It knows only what extended virtual synchrony promises, not how an engine works:

* a member's first event in a group is its own arrival, and it hears only of senders that are members;
* of each sender, what arrives while it stays is gapless and in order, nothing twice;
* members that move together from one ring to the next have had the very same events in between,
  and who comes in the middle has had the rest of them;
* any two messages that two members both got, they got in the same order;
* whoever drained got back all that a send had accepted; nobody got what was never sent.
"""

import collections
import itertools

REASON_JOIN = 1
REASON_NODEUP = 4
ATOMIC_BYTES_MAX = 1047552  # A longer message travels in parts.


class Violation(AssertionError):
    """A rule is broken: the text names the rule, the members and the place."""


class Life:
    """A member from its connection to the end of it."""

    def __init__(self, log, node, pid, number, begin):
        self.log, self.node, self.pid, self.number, self.begin = log, node, pid, number, begin
        self.events = []       # ("M", sender, seq) | ("C", members, left, joined) | ("R", ring, nodes)
        self.times = []        # time in ns of each C and R, in order of the events
        self.accepted = 0      # seqs below it were sent with OK
        self.in_parts = set()  # Those of the messages that came in parts.
        self.is_drained = False
        self.lost = None       # error that ended the connection
        self.has_left = False

    @property
    def key(self):
        return (self.node, self.pid, self.number)

    def __str__(self):
        return f"{self.log} ({self.node}:{self.pid} life {self.number})"


def _addresses(text, parts):
    return [] if text == "-" else [tuple(int(x) for x in a.split(":"))[:parts] for a in text.split(",")]


def parse(name, lines):
    """The lives in one member's log. An unfinished last line, of a killed member, is left out."""
    lives = []
    for line in lines:
        if not line.endswith("\n"):
            break
        kind, *words = line.split()
        if kind == "V":
            raise Violation(f"{name}: {line.strip()}")
        if kind == "B":
            lives.append(Life(name, int(words[1]), int(words[2]), int(words[3]), int(words[0])))
            continue
        if not lives:
            continue
        life = lives[-1]
        if kind == "M":
            event = ("M", (int(words[0]), int(words[1]), int(words[2])), int(words[3]))
            life.events.append(event)
            if int(words[4]) > ATOMIC_BYTES_MAX:
                life.in_parts.add(event)
        elif kind == "C":
            life.events.append(("C", tuple(_addresses(words[1], 2)), tuple(_addresses(words[2], 3)),
                                tuple(_addresses(words[3], 3))))
            life.times.append(int(words[0]))
        elif kind == "R":
            nodes = tuple(int(n) for n in words[3].split(",")) if len(words) > 3 else ()
            life.events.append(("R", (int(words[1]), int(words[2])), nodes))
            life.times.append(int(words[0]))
        elif kind == "S":
            life.accepted = int(words[0]) + 1
            life.is_drained = False
        elif kind == "D":
            life.is_drained = True
        elif kind == "X":
            life.lost = int(words[1])
        elif kind == "L":
            life.has_left = True
    return lives


def check_own_view(life):
    """Rules that one member can judge alone."""
    if not life.events:
        return
    first = next(event for event in life.events + [("none",)] if event[0] != "R")
    if first[0] != "C" or (life.node, life.pid) not in [a[:2] for a in first[3]]:
        raise Violation(f"own arrival first: {life} begins with {first}")
    members, expected, own = (), {}, 0
    for index, event in enumerate(life.events):
        if event[0] == "C":
            members = event[1]
            present = set(members)
            for node, pid, _ in event[2]:
                if (node, pid) in present:
                    raise Violation(f"who left is no member: {life} at {index}: {event}")
                for sender in [s for s in expected if s[:2] == (node, pid)]:
                    expected[sender] = None
            if (life.node, life.pid) not in present and not life.has_left:
                raise Violation(f"a member is in its own view: {life} at {index}: {event}")
        elif event[0] == "M":
            _, sender, seq = event
            if sender[:2] not in members:
                raise Violation(f"messages come from members: {life} at {index}: {event}")
            awaited = expected.get(sender)
            if awaited is not None and seq != awaited:
                raise Violation(f"gapless and in order of a sender: {life} at {index}: {event}, "
                                f"seq {awaited} was due")
            expected[sender] = seq + 1
            if sender == life.key:
                if seq != own:
                    raise Violation(f"own messages all come back: {life} got {seq}, {own} was due")
                own += 1
    if life.is_drained and own < life.accepted:
        raise Violation(f"nothing accepted is lost: {life} got back {own} of {life.accepted}")


def segments(life):
    """(ring, events in it, next ring or None, was it there when the ring began). A ring that is said again (cpgd of
    a member came or went within it) begins a piece of its own."""
    # The ring of the own arrival is announced before or right after it.
    arrival = next((i for i, event in enumerate(life.events) if event[0] != "R"), len(life.events))
    before = [event[1] for event in life.events[:arrival]]
    ring = before[-1] if before else None
    begins_whole, events, found = False, [], []
    for index, event in enumerate(life.events[arrival:]):
        if event[0] != "R":
            events.append(event)
        elif ring is None or (event[1] == ring and index == 1):
            ring = event[1]
        elif event[1] != ring and any(event[1] == earlier[0] for earlier in found):
            raise Violation(f"a ring is installed once: {life}: {event}")
        else:
            found.append((ring, events, event[1], begins_whole))
            ring, begins_whole, events = event[1], True, []
    if ring is not None:
        found.append((ring, events, None, begins_whole))
    return found


def _comparable(events):
    return [event if event[0] == "M" else ("C", event[1]) for event in events]


def _without_begun_before(events, life, of_newcomer):
    """Without the one message of each sender that may have begun, in parts, before a newcomer came: it cannot
    have it whole. It is the last before the first that the newcomer has of this sender."""
    first_of, last_of = {}, {}
    for event in of_newcomer:
        if event[0] == "M":
            first_of.setdefault(event[1], event[2])
    for event in events:
        if event[0] == "M":
            last_of[event[1]] = event[2]
    return [event for event in events
            if event not in life.in_parts or event[2] != first_of.get(event[1], last_of[event[1]] + 1) - 1]


def _first_difference(a, b):
    for index, (x, y) in enumerate(itertools.zip_longest(a, b)):
        if x != y:
            return f"at {index}: {x} against {y}"
    return "none"


def _keeps(before, events, other):
    """Whether the other stays once it is there; `before`: who was at the beginning. When the ringd of a node is killed and comes back
    within one ring change, its members and the others leave each other in the midst of a ring that both go on from."""
    configurations = [before] * (before is not None) + [event[1] for event in events if event[0] == "C"]
    is_there = [(other.node, other.pid) in members for members in configurations]
    return is_there == sorted(is_there) and is_there[-1:] != [False]


def _pieces_by_end(life):
    """((ring, next ring, how many pieces of the same ring follow), members before, events, whole): what is the same for all that went on
    together. The pieces of the ring in which the life ended can't be named so; check_order has them."""
    found = segments(life)
    members = None
    for index, (ring, events, following, whole) in enumerate(found):
        before = members
        members = next((event[1] for event in reversed(events) if event[0] == "C"), before)
        last = index
        while found[last][2] == ring:
            last += 1
        if found[last][2] is not None:
            yield (ring, found[last][2], last - index), before, _comparable(events), whole


def check_together(lives):
    """Members that lived in one ring and went on to the next together: the same events. Returns how many events were
    compared."""
    by_place = collections.defaultdict(list)
    for life in lives:
        for place, before, events, whole in _pieces_by_end(life):
            by_place[place].append((life, before, events, whole))
    compared = 0
    for (ring, following, _), parts in sorted(by_place.items()):
        for (a, a_before, a_events, a_whole), (b, b_before, b_events, b_whole) in itertools.combinations(parts, 2):
            if not (_keeps(a_before, a_events, b) and _keeps(b_before, b_events, a)):
                continue
            if a_whole and b_whole:
                same = a_events == b_events
            else:
                if not b_whole:
                    a_events = _without_begun_before(a_events, a, b_events)
                if not a_whole:
                    b_events = _without_begun_before(b_events, b, a_events)
                length = min(len(a_events), len(b_events))
                is_suffix = a_events[len(a_events) - length:] == b_events[len(b_events) - length:]
                # Who was there from the beginning has at least as much as who came later.
                same = is_suffix and not (a_whole and len(a_events) < len(b_events)) \
                    and not (b_whole and len(b_events) < len(a_events))
            if not same:
                raise Violation(f"same events for who stays together, ring {ring} to {following}: {a} and {b}, "
                                f"{len(a_events)} and {len(b_events)} events, "
                                f"first difference {_first_difference(a_events, b_events)}")
            compared += min(len(a_events), len(b_events))
    return compared


def check_final(lives):
    """Members that stayed to the end, in one ring, with nothing under way: the same last events."""
    last = collections.defaultdict(list)
    for life in lives:
        found = segments(life)
        if found and life.lost is None and life.is_drained:
            ring, events, _, whole = found[-1]
            last[ring].append((life, [e for e in _comparable(events) if e[0] == "M"], whole))
    compared = 0
    for ring, parts in last.items():
        for (a, a_events, a_whole), (b, b_events, b_whole) in itertools.combinations(parts, 2):
            if not b_whole:
                a_events = _without_begun_before(a_events, a, b_events)
            if not a_whole:
                b_events = _without_begun_before(b_events, b, a_events)
            length = min(len(a_events), len(b_events))
            if (a_whole and b_whole and len(a_events) != len(b_events)) or \
                    a_events[len(a_events) - length:] != b_events[len(b_events) - length:]:
                raise Violation(f"same messages at the end, ring {ring}: {a} and {b}, {len(a_events)} and "
                                f"{len(b_events)}, first difference {_first_difference(a_events, b_events)}")
            compared += length
    return compared


def check_order(lives):
    """Common messages of any two members in the same order, also across partitions and deaths."""
    compared = 0
    sequences = [(life, [event[1:] for event in life.events if event[0] == "M"]) for life in lives]
    for (a, a_messages), (b, b_messages) in itertools.combinations(sequences, 2):
        place = {message: index for index, message in enumerate(b_messages)}
        if len(place) != len(b_messages):
            raise Violation(f"nothing twice: {b}")
        previous = -1
        for message in a_messages:
            index = place.get(message)
            if index is None:
                continue
            if index < previous:
                raise Violation(f"one order for all: {a} and {b} disagree on {message} and {b_messages[previous]}")
            previous = index
            compared += 1
    return compared


def _sent_at_most(life):
    """The seq that cannot have been sent, as far as the sender's own log can tell."""
    if life.is_drained or life.has_left:
        return life.accepted
    if life.lost is not None:
        return life.accepted + 1  # The send that failed may have got through.
    return life.accepted + 4096  # Killed: the end of its log is missing.


def check_sent(lives):
    """Nobody got what a known sender never sent."""
    bound = {life.key: _sent_at_most(life) for life in lives}
    for life in lives:
        for event in life.events:
            if event[0] == "M" and event[2] >= bound.get(event[1], event[2] + 1):
                raise Violation(f"only what was sent: {life} got {event}, {bound[event[1]]} were sent")


def check(lives):
    """All rules. Returns counts of what was compared, so that a test can demand that it was much."""
    for life in lives:
        check_own_view(life)
    check_sent(lives)
    return {"lives": len(lives), "messages": sum(1 for l in lives for e in l.events if e[0] == "M"),
            "together": check_together(lives), "final": check_final(lives), "common": check_order(lives)}
