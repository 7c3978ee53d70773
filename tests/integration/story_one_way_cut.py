#!/usr/bin/python3
"""Node 2 no longer hears node 1, while both exchange everything with node 3 (and 4): everybody has an
agreed membership again within a bound and can work in it. Then also the other way round; then all is healed."""
import lab


def agreed(loads):
    """Each member's view holds it, and everybody in it has the same view."""
    views = {load.host.number: tuple(load.member_nodes()) for load in loads}
    return views if all(n in view and all(views[m] == view for m in view) for n, view in views.items()) else None


def apart(loads, a, b):
    views = agreed(loads)
    return views if views and b not in views[a] else None


def story(cluster):
    cluster.start()
    loads = cluster.load()
    everyone = list(cluster.hosts)
    cluster.wait_members(loads, everyone)
    cluster.wait_progress(loads, 500)

    cluster.network.lose(1, 2, 100)
    print("2 does not hear 1:", lab.wait_for(lambda: apart(loads, 1, 2), lab.SOON, "agreed views, 1 and 2 apart"))
    cluster.wait_progress(loads, 300)
    print("still so:", lab.wait_for(lambda: apart(loads, 1, 2), lab.SOON, "agreed views"))

    cluster.network.cut(1, 2)
    print("1 and 2 cut:", lab.wait_for(lambda: apart(loads, 1, 2), lab.SOON, "agreed views, 1 and 2 apart"))
    cluster.wait_progress(loads, 300)

    cluster.network.heal()
    cluster.wait_members(loads, everyone)
    cluster.wait_progress(loads, 300)
    cluster.drain()
    cluster.judge(least_messages=4000)


if __name__ == "__main__":
    lab.main(story, nodes=4)
