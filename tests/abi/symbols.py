#!/usr/bin/env python3
"""Compares what a library exports with the list that programs were linked against.

usage: symbols.py LIBRARY SONAME NODE|- FILE_VERSION SYMBOL...

Every function carries the version node (`-`: none): a reference with the node and one without it both
bind to it. Nothing else may be exported, and nothing but libc and libgcc_s be needed. Where Debian's
library of the same SONAME is installed, it must not export anything that ours lacks.
"""
import os
import re
import subprocess
import sys

SYSTEM_DIRS = ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib")
# The loader is named for thread-local storage.
MAY_NEED = re.compile(r"(libc\.so\.6|libgcc_s\.so\.1|ld-linux.*|libm\.so\.6)$")
# libsam stands on two others of the set, as Corosync's does.
ALSO = {"libsam.so.4": {"libquorum.so.5", "libcmap.so.4"}}


def exported(library):
    """{function: version node or None} of the dynamic symbols that the library defines."""
    text = subprocess.run(["readelf", "--dyn-syms", "-W", library], check=True, text=True,
                          capture_output=True).stdout
    functions = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[3] != "FUNC" or fields[6] == "UND":
            continue
        name, _, node = fields[7].partition("@@")
        functions[name] = node or None
    return functions


def dynamic(library, tag):
    text = subprocess.run(["readelf", "-d", "-W", library], check=True, text=True,
                          capture_output=True).stdout
    return re.findall(rf"\({tag}\).*\[(.*)\]", text)


def main():
    library, soname, node, file_version, *symbols = sys.argv[1:]
    node = None if node == "-" else node
    wrong = []

    ours = exported(library)
    for name in sorted(set(symbols) - set(ours)):
        wrong.append(f"{name} is not exported")
    for name in sorted(set(ours) - set(symbols)):
        wrong.append(f"{name} is exported, but is no part of the interface")
    for name, found in sorted(ours.items()):
        if found != node:
            wrong.append(f"{name} has the version {found}, not {node}")

    if dynamic(library, "SONAME") != [soname]:
        wrong.append(f"SONAME is {dynamic(library, 'SONAME')}, not {soname}")
    for needed in dynamic(library, "NEEDED"):
        if not MAY_NEED.match(needed) and needed not in ALSO.get(soname, ()):
            wrong.append(f"needs {needed}, which a program that loads us may not have")
    real = os.path.realpath(library)
    if not real.endswith(file_version):
        wrong.append(f"the file is {os.path.basename(real)}, not of version {file_version}")

    compared = "no original installed"
    for folder in SYSTEM_DIRS:
        original = os.path.join(folder, soname)
        if not os.path.exists(original):
            continue
        compared = f"compared with {original}"
        for name, found in sorted(exported(original).items()):
            if name not in ours:
                wrong.append(f"{original} exports {name}")
            elif found is not None and found != ours[name]:
                wrong.append(f"{original} exports {name}@{found}")
        break

    for line in wrong:
        print(f"{soname}: {line}")
    print(f"{soname}: {len(ours)} functions, {compared}, {len(wrong)} differences")
    return 1 if wrong else 0


sys.exit(main())
