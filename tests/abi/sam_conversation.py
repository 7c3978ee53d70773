#!/usr/bin/env python3
"""Runs sam_conversation.c on our libsam and compares what it prints, and how it ends, with Corosync's.

usage: sam_conversation.py COMPILER OUR_INCLUDE OUR_LIBRARIES

Where Debian's libsam is installed, the same program runs on it too, which shows that the expected
output is Corosync's and not ours. `--write` in the place of COMPILER makes that output anew.
"""
import concurrent.futures
import difflib
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "sam_conversation.expected"
QUIT, RESTART, KILL = "1", "2", "9"
STORIES = [["states"]] + [[end, policy, "0"] for policy in (QUIT, RESTART) for end in (
    "exit-before", "exit", "exit-0", "exit-stopped", "exit-finalized", "abort", "abort-stopped", "abort-finalized")] + [
    ["silent", QUIT, "400"], ["silent", RESTART, "400"], ["silent", RESTART, "400", KILL], ["deaf", QUIT, "400"],
    ["deaf", RESTART, "400"],
    # Long enough that it has said that it started, before it is asked or ended, on a busy machine too.
    ["ill", QUIT, "2000"], ["ill-later", RESTART, "500"], ["silent-stopped", RESTART, "200"],
    # Long enough that a busy machine is not taken for a silent process.
    ["says-so", QUIT, "2000"], ["well", RESTART, "2000"]]


def tell(program, story, libraries):
    environment = {**os.environ, "LD_LIBRARY_PATH": libraries or ""}
    # The last line may come from a process that outlives the one that was started.
    with tempfile.TemporaryFile("w+") as output:
        ended = subprocess.run([program, *story], stdout=output, env=environment, timeout=60)
        output.seek(0)
        return [f"== {' '.join(story)}", *output.read().splitlines(), f"ended with {ended.returncode}"]


def tell_all(program, libraries):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return [line for lines in pool.map(lambda story: tell(program, story, libraries), STORIES) for line in lines]


def build(compiler, folder, *options):
    program = os.path.join(folder, "sam_conversation")
    subprocess.run([compiler, "-std=gnu11", "-Wall", "-Wextra", "-Werror", HERE / "sam_conversation.c", "-o", program,
                    *options, "-lsam"], check=True)
    return program


def compare(name, lines):
    expected = EXPECTED.read_text().splitlines()
    differences = list(difflib.unified_diff(expected, lines, "Corosync 3.1.7", name, lineterm=""))
    print(*differences, f"{name}: {len(lines)} lines, {'as' if not differences else 'not as'} Corosync's", sep="\n")
    return not differences


def main():
    debian = os.path.exists("/usr/include/corosync/sam.h")
    with tempfile.TemporaryDirectory() as folder:
        if sys.argv[1] == "--write":
            EXPECTED.write_text("\n".join(tell_all(build("cc", folder), None)) + "\n")
            return 0
        compiler, include, libraries = sys.argv[1:]
        program = build(compiler, folder) if debian else build(compiler, folder, "-I", include, "-L", libraries)
        good = compare("Halo", tell_all(program, libraries))
        if debian:
            good = compare("Debian's library", tell_all(program, None)) and good
    return 0 if good else 1


sys.exit(main())
