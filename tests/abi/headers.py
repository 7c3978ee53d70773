#!/usr/bin/env python3
"""Compiles layout.c from our headers and from Corosync's, and compares what the two programs print.

usage: headers.py COMPILER LAYOUT_C OUR_INCLUDE OUR_LIBRARIES

Each program is linked with and runs on its own libraries, and the one that was compiled from
Corosync's headers also on ours. Skipped (77) where Corosync's headers are not installed; our own
half has been checked then.
"""
import os
import subprocess
import sys
import tempfile

SKIPPED = 77


def build(compiler, source, output, *options):
    subprocess.run([compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", source, "-o", output,
                    *options, "-lcpg", "-lcfg", "-lcmap", "-lcorosync_common"], check=True)


def output_of(program, libraries=None):
    environment = dict(os.environ)
    environment.pop("LD_LIBRARY_PATH", None)
    if libraries:
        environment["LD_LIBRARY_PATH"] = libraries
    return subprocess.run([program], check=True, text=True, capture_output=True,
                          env=environment).stdout


def main():
    compiler, source, include, libraries = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as folder:
        ours = os.path.join(folder, "ours")
        build(compiler, source, ours, "-I", include, "-L", libraries)
        expected = output_of(ours, libraries)
        # C++ programs include the headers too, each alone.
        for header in sorted(os.listdir(os.path.join(include, "corosync"))):
            for language, standard in (("c", "-std=c99"), ("c++", "-std=c++11")):
                subprocess.run([compiler, "-x", language, standard, "-Wall", "-Wextra", "-Wpedantic",
                                "-Werror", "-fsyntax-only", "-I", include, "-"],
                               input=f"#include <corosync/{header}>\n", text=True, check=True)
        if not all(os.path.exists(f"/usr/include/corosync/{name}.h") for name in ("cfg", "cmap", "cpg", "quorum", "votequorum", "sam")):
            print("Corosync's headers are not installed: only ours were checked")
            return SKIPPED
        theirs = os.path.join(folder, "theirs")
        build(compiler, source, theirs)
        for where, got in (("on its own libraries", output_of(theirs)),
                           ("on ours", output_of(theirs, libraries))):
            if got != expected:
                print(f"layout.c from Corosync's headers prints something else {where}")
                for mine, other in zip(expected.splitlines(), got.splitlines()):
                    if mine != other:
                        print(f"  ours: {mine}\n  theirs: {other}")
                return 1
    print("ours and Corosync's agree")
    return 0


sys.exit(main())
