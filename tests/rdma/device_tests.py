#!/usr/bin/python3
"""In the machine of vm.py: three hosts with a device each, and a command on them that needs no daemons.

    device_tests.py COMMAND...      such as build/release/bin/rdma_device_tests
"""

import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import rdma_network  # noqa: E402


def main():
    with rdma_network.RdmaNetwork(3) as network:
        interface, address = network.interface(1), network.address(1)
        # An interface that was down has lost its routes.
        routes = "; ".join((f"ip route replace local {address} dev {interface} table 1008",
                            f"ip route replace 10.99.0.0/24 dev {interface} src {address} table 1008",
                            f"ip route replace 224.0.0.0/4 dev {interface} src {address} table 1008"))
        environment = {**os.environ, "HALO_RDMA_ADDRESSES": " ".join(network.address(n) for n in network.hosts),
                       "HALO_RDMA_INTERFACE": interface, "HALO_RDMA_DEVICE": network.device(1),
                       "HALO_RDMA_ROUTES": routes}
        # A line for each case when it is over, so that one that hangs is known.
        tests = ["stdbuf", "-oL", *sys.argv[1:], "--duration=true"]
        code = subprocess.run(tests, env=environment).returncode
        if code == 0 and "rdma_device_tests" in sys.argv[1]:
            # Whoever may lock memory without a limit does not notice that there is one.
            code = subprocess.run(["setpriv", "--bounding-set", "-ipc_lock", "--inh-caps", "-ipc_lock", sys.argv[1],
                                   "--no-skip", "--test-case=too little locked memory*"], env=environment).returncode
        sys.exit(code)


if __name__ == "__main__":
    main()
