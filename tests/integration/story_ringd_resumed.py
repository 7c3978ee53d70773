#!/usr/bin/python3
"""ringd is killed with -9 again and again (KILLS times, default 15), on one node after the other; every fifth time it is
asked to end and be started again instead, on node 2 as another build. All under load: it goes on as the same member. No node
sees a change of the ring, of the group or of quorum, clients keep their handles, nothing is lost, doubled or out of order. A
state that was damaged is refused, and that death is a crash which all are told of. With PACEMAKER=1 a resource runs on a
node, and stays, and no node is fenced. Prints the pauses."""
import os
import pathlib
import signal
import time

import lab
import own_programs
import pacemaker
import service_clients

KILLS = int(os.environ.get("KILLS", "15"))
WITH_PACEMAKER = os.environ.get("PACEMAKER") == "1"
PLANNED_EVERY = 5
UPGRADED = 2
# A machine that is busy with other things may hold a process back for longer than the others would wait: what is tested here
# is what is done in time, not whether the machine gives the time.
PATIENT = "totem {\n    token: 15000\n}\nhalo {\n    resume: yes\n    silence_min: 10000\n    silence_max: 15000\n}\n"


def ring_status(cluster, number):
    status = cluster.status(number)
    return (status or {}).get("ringd") or {}


def settled(cluster, number, resumed):
    """Its state is being kept, it was resumed so often, and a death is no sign of a bad state any more."""
    def state():
        resume = ring_status(cluster, number).get("resume", {})
        return resume.get("settled") and resume["ready"] and resume["resumed"] == resumed and resume
    return lab.wait_for(state, lab.SOON, f"node {number} keeps its state, resumed {resumed} times")


def log_of(cluster, number):
    return (cluster.hosts[number].folder / "daemon.log").read_text(errors="replace")


def percentiles(values):
    values = sorted(values)
    return " ".join(f"p{p} {values[min(len(values) - 1, len(values) * p // 100)]:.0f} ms" for p in (50, 90, 99, 100))


def changes(loads):
    """What members have seen of rings and groups."""
    seen = []
    for load in loads:
        with load.path.open() as file:
            seen.append([line for line in file if line[:2] in ("R ", "C ", "B ", "X ")])
    return seen


def end(cluster, number, how):
    pid = cluster.daemon_pid(number, "ringd")
    os.kill(pid, how)
    lab.wait_for(lambda: cluster.daemon_pid(number, "ringd", other_than=pid), lab.SOON, f"ringd of node {number} runs again")


def go_on_again_and_again(cluster, loads, programs):
    before, formed = changes(loads), [log_of(cluster, n).count("ring formed") for n in cluster.hosts]
    pauses = {signal.SIGKILL: [], signal.SIGUSR2: []}
    resumed = dict.fromkeys(cluster.hosts, 0)
    numbers, upgrades = list(cluster.hosts), 0
    for turn in range(KILLS):
        number = numbers[turn % len(numbers)]
        how = signal.SIGUSR2 if turn % PLANNED_EVERY == PLANNED_EVERY - 1 else signal.SIGKILL
        settled(cluster, number, resumed[number])
        cluster.wait_progress(loads, 50)
        if how == signal.SIGUSR2 and number == UPGRADED:
            programs.replace("ringd")
            upgrades += 1
        end(cluster, number, how)
        resumed[number] += 1
        pauses[how].append(settled(cluster, number, resumed[number])["last_pause_ms"])
        cluster.wait_progress(loads, 50)
    for how, name in ((signal.SIGKILL, "killed"), (signal.SIGUSR2, "asked to be started again")):
        if pauses[how]:
            print(f"{name} {len(pauses[how])} times: pause {percentiles(pauses[how])}", flush=True)
    print(f"resumed: {resumed}, {upgrades} times as another build", flush=True)
    assert changes(loads) == before, "a member saw a change"
    assert [log_of(cluster, n).count("ring formed") for n in cluster.hosts] == formed, "the ring changed"


def memory_of(cluster, number):
    """The memory file as ringd has it open."""
    pid = cluster.daemon_pid(number, "ringd")
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(entry).startswith("/memfd:ringd"):
            return entry
    raise AssertionError(f"ringd of node {number} has no memory file")


def damage(path):
    """All of the journal that was written, but for the fronts of pages, where its headers are: it is the sums that tell."""
    journal, page, front = 36 << 10, 4096, 256
    with open(path, "r+b", buffering=0) as file:
        offset = journal
        while True:
            try:
                offset = os.lseek(file.fileno(), offset, os.SEEK_DATA)
            except OSError:  # No more data.
                return
            os.pwrite(file.fileno(), b"damaged!" * ((page - front) // 8), offset + front)
            offset += page


def fall_back(cluster, loads):
    number = 2
    settled(cluster, number, ring_status(cluster, number)["resume"]["resumed"])
    others = [load for load in loads if load.host.number != number]
    path = memory_of(cluster, number)
    pid = cluster.daemon_pid(number, "ringd")
    os.kill(pid, signal.SIGSTOP)  # Nothing is written between the damage and the death.
    try:
        damage(path)
    finally:
        since = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
    lab.wait_for(lambda: "cannot go on as the process before" in log_of(cluster, number), lab.SOON, "the state is refused")
    lab.wait_for(lambda: all(load.seconds_until_without(number, since) is not None for load in others), lab.SOON,
                 "the others are told of the death")
    seen = max(load.seconds_until_without(number, since) for load in others)
    cluster.wait_members(loads, [1, 2, 3])
    refused = lab.wait_for(lambda: ring_status(cluster, number).get("resume", {}).get("refused"), lab.SOON, "the reason")
    assert refused == "damaged", refused
    print(f"refused: {refused}; the others saw the death after {seen * 1000:.0f} ms")
    cluster.wait_progress(loads, 100)


def story(cluster):
    cluster.engine.configure(PATIENT)
    programs = own_programs.OwnPrograms(cluster)
    cluster.engine.programs_of[cluster.hosts[UPGRADED].name] = programs.folder
    cluster.start()
    loads = cluster.load()
    cluster.wait_members(loads, [1, 2, 3])
    cluster.wait_progress(loads, 100)
    services = service_clients.ServiceLoad(cluster)
    with pacemaker.resource_stays(cluster, UPGRADED, WITH_PACEMAKER):
        go_on_again_and_again(cluster, loads, programs)
    services.judge()
    assert [load.key[2] for load in loads] == [1, 1, 1], f"sessions were lost: {[load.key for load in loads]}"
    if not WITH_PACEMAKER:  # It would fence who crashes.
        fall_back(cluster, loads)
    cluster.drain()
    cluster.judge(least_messages=1000)


if __name__ == "__main__":
    lab.main(story, nodes=3, missing=pacemaker.missing if WITH_PACEMAKER else lambda engine: None)
