#!/usr/bin/python3
"""kill -9 of a node's daemons under load: the others go on and lose nothing; it comes back."""
import lab


def story(cluster):
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 1000)
    for victim in (3, 1, 2):
        others = [load for load in loads if load.host.number != victim]
        since = cluster.kill(victim)
        cluster.wait_members(others, {1, 2, 3} - {victim})
        seen = [load.seconds_until_without(victim, since) for load in others]
        print(f"node {victim} killed: the others' groups were without it after "
              + ", ".join(f"{s:.3f} s" for s in seen))
        cluster.wait_progress(others, 300)
        cluster.start(victim)
        cluster.wait_members(loads, [1, 2, 3])
        cluster.wait_progress(loads, 300)
    cluster.drain()
    cluster.judge(least_messages=3000)


if __name__ == "__main__":
    lab.main(story, nodes=3)
