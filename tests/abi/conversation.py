#!/usr/bin/env python3
"""Runs conversation.c on our libcpg and compares what it prints with what it printed on Corosync.

usage: conversation.py COMPILER OUR_INCLUDE OUR_LIBRARIES DAEMON

The program is compiled from Corosync's headers and linked with Corosync's library where they are
installed: it then is a program as Debian would ship it. DAEMON names its run folder on its output
and ends with its input.
"""
import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def build(compiler, include, libraries, output):
    debian = os.path.exists("/usr/include/corosync/cpg.h")
    options = [] if debian else ["-I", include, "-L", libraries]
    subprocess.run([compiler, "-Wall", "-Wextra", "-Werror", HERE / "conversation.c", "-o", output,
                    *options, "-lcpg"], check=True)
    return "Corosync's" if debian else "our"


def main():
    compiler, include, libraries, daemon = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "conversation")
        headers = build(compiler, include, libraries, program)
        with subprocess.Popen([daemon], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True) as running:
            run_dir = running.stdout.readline().strip()
            environment = {**os.environ, "HALO_RUN_DIR": run_dir, "LD_LIBRARY_PATH": libraries}
            done = subprocess.run([program], env=environment, text=True, capture_output=True,
                                  timeout=120)
            running.stdin.close()
    expected = (HERE / "conversation.expected").read_text().splitlines()
    differences = list(difflib.unified_diff(expected, done.stdout.splitlines(), "Corosync 3.1.7",
                                            "Halo", lineterm=""))
    print("\n".join(differences) + done.stderr)
    print(f"compiled from {headers} headers: {len(expected)} lines, "
          f"{'as on Corosync' if not differences else 'with differences'}, exit {done.returncode}")
    return 1 if differences or done.returncode != 0 else 0


sys.exit(main())
