#!/usr/bin/python3
"""The judge of histories catches each planted fault, and passes the history without it."""
import copy
import unittest

import history
from history import Life, Violation


def joined(node, members):
    return ("C", tuple(members), (), ((node, 100 + node, history.REASON_JOIN),))


def three_members():
    """Members 1 and 2 from the start, 3 comes in ring (1, 4), node 3 is lost in ring (1, 8)."""
    a, b, c = (1, 101), (2, 102), (3, 103)
    lives = [Life(f"node{n}", n, 100 + n, 1, 0) for n in (1, 2, 3)]
    one, two, three = lives
    def all_of(members, event):
        for member in members:
            member.events.append(event)
    one.events += [joined(1, [a]), ("R", (1, 4), (1, 2, 3))]
    all_of([one], joined(2, [a, b]))
    two.events += [joined(2, [a, b]), ("R", (1, 4), (1, 2, 3))]
    for seq in range(3):
        all_of([one, two], ("M", one.key, seq))
        all_of([one, two], ("M", two.key, seq))
    all_of([one, two], joined(3, [a, b, c]))
    three.events += [joined(3, [a, b, c]), ("R", (1, 4), (1, 2, 3))]
    for seq in range(3, 7):
        all_of(lives, ("M", one.key, seq))
        all_of(lives, ("M", three.key, seq - 3))
        all_of(lives, ("M", two.key, seq))
    all_of([one, two], ("C", (a, b), ((3, 103, 3),), ()))
    all_of([one, two], ("R", (1, 8), (1, 2)))
    for seq in range(7, 9):
        all_of([one, two], ("M", two.key, seq))
        all_of([one, two], ("M", one.key, seq))
    for life, accepted in ((one, 9), (two, 9), (three, 4)):
        life.accepted = accepted
        life.is_drained = life is not three
    return lives


def index_of(life, event):
    return life.events.index(event)


class HistoryTest(unittest.TestCase):
    def test_a_good_history_passes(self):
        counts = history.check(three_members())
        self.assertGreater(counts["together"], 10)
        self.assertGreater(counts["final"], 3)
        self.assertGreater(counts["common"], 20)

    def caught(self, rule, plant):
        lives = copy.deepcopy(three_members())
        plant(*lives)
        with self.assertRaises(Violation) as broken:
            history.check(lives)
        self.assertIn(rule, str(broken.exception))

    def test_a_lost_message(self):
        self.caught("gapless", lambda one, two, three: two.events.remove(("M", one.key, 4)))

    def test_a_lost_last_message(self):
        self.caught("same messages at the end", lambda one, two, three: one.events.remove(("M", two.key, 8)))

    def test_a_message_lost_before_the_ring_changes(self):
        self.caught("", lambda one, two, three: two.events.remove(("M", one.key, 6)))

    def test_a_message_twice(self):
        def plant(one, two, three):
            two.events.insert(index_of(two, ("M", one.key, 4)), ("M", one.key, 4))
        self.caught("gapless", plant)

    def test_a_newcomer_need_not_have_what_began_in_parts_before_it(self):
        one, two, three = three_members()
        one.in_parts.add(("M", one.key, 0))
        two.events.remove(("M", one.key, 0))
        history.check([one, two, three])

    def test_a_newcomer_must_have_the_message_after_that(self):
        def plant(one, two, three):
            for seq in (0, 1):
                one.in_parts.add(("M", one.key, seq))
                two.events.remove(("M", one.key, seq))
        self.caught("same events for who stays together", plant)

    def test_two_messages_swapped(self):
        def plant(one, two, three):
            at = index_of(two, ("M", one.key, 7))
            two.events[at], two.events[at + 1] = two.events[at + 1], two.events[at]
        self.caught("", plant)

    def test_two_messages_swapped_at_a_member_that_is_lost(self):
        def plant(one, two, three):
            at = index_of(three, ("M", one.key, 4))
            three.events[at], three.events[at + 1] = three.events[at + 1], three.events[at]
        self.caught("one order for all", plant)

    def test_a_message_on_the_wrong_side_of_a_membership_change(self):
        def plant(one, two, three):
            at = index_of(two, joined(3, [(1, 101), (2, 102), (3, 103)]))
            two.events[at], two.events[at - 1] = two.events[at - 1], two.events[at]
        self.caught("same events for who stays together", plant)

    def test_a_message_on_the_wrong_side_of_a_ring_change(self):
        def plant(one, two, three):
            at = index_of(two, ("R", (1, 8), (1, 2)))
            two.events[at], two.events[at + 1] = two.events[at + 1], two.events[at]
        self.caught("same events for who stays together", plant)

    def test_a_ring_installed_twice(self):
        def plant(one, two, three):
            two.events.append(next(event for event in two.events if event[0] == "R"))
        self.caught("a ring is installed once", plant)

    def test_a_message_of_a_stranger(self):
        def plant(one, two, three):
            for life in (one, two):
                life.events.append(("M", three.key, 4))
        self.caught("messages come from members", plant)

    def test_own_arrival_not_first(self):
        def plant(one, two, three):
            three.events.insert(0, ("M", one.key, 2))
        self.caught("own arrival first", plant)

    def test_an_accepted_message_that_never_comes_back(self):
        def plant(one, two, three):
            one.accepted = 10
        self.caught("nothing accepted is lost", plant)

    def test_a_message_that_nobody_sent(self):
        def plant(one, two, three):
            for life in (one, two):
                life.events.append(("M", one.key, 9))
        self.caught("only what was sent", plant)

    def test_a_member_without_itself(self):
        def plant(one, two, three):
            one.events.append(("C", ((2, 102),), ((1, 101, 3),), ()))
        self.caught("a member is in its own view", plant)

    def test_who_left_and_stays_in_the_list(self):
        def plant(one, two, three):
            at = index_of(one, ("C", ((1, 101), (2, 102)), ((3, 103, 3),), ()))
            one.events[at] = ("C", ((1, 101), (2, 102), (3, 103)), ((3, 103, 3),), ())
        self.caught("who left is no member", plant)


if __name__ == "__main__":
    unittest.main(verbosity=2)
