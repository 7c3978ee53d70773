#!/usr/bin/python3
"""Five hosts under load, one trouble after the other: a node loses a fifth of what another sends, one stops and goes
on, one is killed with -9 and comes back, one leaves in order and comes back. Nothing is lost to those that stay."""
import lab

ALL = [1, 2, 3, 4, 5]


def story(cluster):
    cluster.start()
    loads = cluster.load(rate=100)
    cluster.wait_members(loads, ALL)
    cluster.wait_progress(loads, 200)

    cluster.network.lose(1, 4, 20)
    cluster.wait_progress(loads, 300, seconds=90)
    cluster.network.heal()

    def without(victim, end, back):
        others = [load for load in loads if load.host.number != victim]
        end(victim)
        cluster.wait_members(others, [n for n in ALL if n != victim])
        cluster.wait_progress(others, 200)
        back(victim)
        cluster.wait_members(loads, ALL)
        cluster.wait_progress(loads, 200)

    without(2, cluster.freeze, cluster.thaw)
    without(5, cluster.kill, cluster.start)
    without(1, cluster.stop, cluster.start)
    cluster.drain()
    cluster.judge(least_messages=5 * 900)


if __name__ == "__main__":
    lab.main(story, nodes=5)
