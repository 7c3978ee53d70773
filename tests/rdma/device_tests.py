#!/usr/bin/python3
"""In the machine of vm.py: three hosts with a device each, and a command on them that needs no daemons.

    device_tests.py COMMAND...      such as build/release/bin/rdma_device_tests
    device_tests.py TESTS leaks     1,000 links that come and go, or HALO_RDMA_CYCLES; before that, leaks that are planted
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import rdma_network  # noqa: E402

PLANTED_CYCLES = 20


def environment(network):
    interface, address = network.interface(1), network.address(1)
    # An interface that was down has lost its routes.
    routes = "; ".join((f"ip route replace local {address} dev {interface} table 1008",
                        f"ip route replace 10.99.0.0/24 dev {interface} src {address} table 1008",
                        f"ip route replace 224.0.0.0/4 dev {interface} src {address} table 1008"))
    return {**os.environ, "HALO_RDMA_ADDRESSES": " ".join(network.address(n) for n in network.hosts),
            "HALO_RDMA_INTERFACE": interface, "HALO_RDMA_ADDRESS": address,
            "HALO_RDMA_DEVICE": network.device(1), "HALO_RDMA_ROUTES": routes}


def tests(command, variables):
    # A line for each case when it is over, so that one that hangs is known.
    code = subprocess.run(["stdbuf", "-oL", *command, "--duration=true", "--abort-after=1"], env=variables).returncode
    if code == 0 and "rdma_device_tests" in command[0]:
        # Whoever may lock memory without a limit does not notice that there is one.
        code = subprocess.run(["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock", command[0],
                               "--no-skip", "--test-case=too little locked memory*"], env=variables).returncode
    return code


def leaks(program, variables):
    """That of links which come and go nothing is left, and that it would be seen."""
    cycles = [program, "--test-case=links that come and go*"]
    has_sanitizer = b"__asan_init" in pathlib.Path(program).read_bytes()
    seen_by = ["CHECK( held_by_drivers() == held )"] + has_sanitizer * ["LeakSanitizer: detected memory leaks"]
    for leak in ("queue_pair", "memory_region"):
        found = subprocess.run(cycles, env={**variables, "HALO_RDMA_LEAK": leak, "HALO_RDMA_CYCLES": str(PLANTED_CYCLES)},
                               capture_output=True, text=True)
        output = found.stdout + found.stderr
        if found.returncode == 0 or any(words not in output for words in seen_by):
            print(output, f"a planted leak ({leak}) was not found by {seen_by}", sep="\n")
            return 1
        print(f"a planted leak ({leak}) is found by {seen_by}", flush=True)
    return subprocess.run(cycles, env={"HALO_RDMA_CYCLES": "1000", **variables}).returncode


def main():
    with rdma_network.RdmaNetwork(3) as network:
        variables = environment(network)
        command = sys.argv[1:]
        sys.exit(leaks(command[0], variables) if command[1:] == ["leaks"] else tests(command, variables))


if __name__ == "__main__":
    main()
