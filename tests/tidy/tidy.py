#!/usr/bin/python3
"""House rules that a compiler does not check. Each complaint names the rule and the way out.

    tidy.py includes|cores|sleep|kills|names|format [ROOT]

The rules are functions over (path, text), so that tidy_test.py can show that each of them bites.
"""

import pathlib
import re
import subprocess
import sys

SOURCES = (".cpp", ".hpp", ".c", ".h")
TOP_FOLDERS = ("common", "ringd", "cpgd", "quorumd", "cmapd", "libclient", "tests")
DAEMONS = ("ringd", "cpgd", "quorumd", "cmapd")

# What a folder may include besides itself: the longest matching prefix rules. docs/ARCHITECTURE.md
# has the same table with the reasons.
MAY_INCLUDE = {
    "common/base": [],
    "common/os": ["common/base"],
    "common/log": ["common/base", "common/os"],
    "common/quorum": ["common/base"],
    "common/config": ["common/base", "common/os", "common/quorum"],
    "common/protocol": ["common/base"],
    "common/zmtp": ["common/base", "common/os"],
    "common/session": ["common/base", "common/os", "common/protocol", "common/zmtp"],
    "common/ipc": ["common/base", "common/os", "common/protocol", "common/zmtp"],
    "common/ring_client": ["common/base", "common/os", "common/protocol", "common/zmtp", "common/ipc"],
    "ringd/totem": ["common/base"],
    "ringd/stream": ["common/base", "common/protocol", "ringd/totem"],
    "ringd/transport": ["common/base", "common/os", "common/config", "ringd/totem"],
    "ringd": ["common", "ringd"],
    "cpgd/core": ["common/base", "common/protocol"],
    "quorumd/core": ["common/base", "common/protocol", "common/quorum"],
    "cmapd/core": ["common/base", "common/protocol"],
    "cpgd": ["common", "cpgd"],
    "quorumd": ["common", "quorumd"],
    "cmapd": ["common", "cmapd"],
    "libclient": ["common/base", "common/protocol", "common/zmtp", "common/ipc", "common/os", "libclient"],
    "libclient/tools": ["common/base", "common/log", "common/config", "common/ipc", "common/os", "common/quorum",
                        "libclient/include", "libclient/tools"],
    "tests": ["common", *DAEMONS, "libclient", "tests"],
}

# Folders whose code decides: no clock, thread, stream, entropy or log (docs/STYLE.md 3).
CORES = ("common/base", "common/quorum", "ringd/totem", "ringd/stream", "cpgd/core", "quorumd/core", "cmapd/core")

BANNED_IN_CORES = [
    (re.compile(r"\bnow\s*\(\s*\)"), "asks a clock",
     "take the time as a parameter of step(); the driver reads the clock"),
    (re.compile(r"#include\s*<(thread|mutex|condition_variable|atomic|future|shared_mutex|semaphore)>"),
     "includes a threading header", "a core is one value stepped by one thread"),
    (re.compile(r"#include\s*<(iostream|fstream|cstdio|stdio\.h|print|syncstream)>"),
     "includes input or output", "return an Action, or fill the trace; the driver does the rest"),
    (re.compile(r"#include\s*<(sys/\w+\.h|unistd\.h|fcntl\.h|poll\.h|netinet/\w+\.h|arpa/\w+\.h)>"),
     "includes a system header", "what touches the kernel belongs in the driver or common/os"),
    (re.compile(r"\b(std::)?random_device\b|\bs?rand\s*\(|\bgetrandom\s*\(|\bstd::mt19937"),
     "draws randomness", "use base::Prng with a seed that came in from outside"),
    (re.compile(r"#include\s*<random>"), "includes <random>", "use base::Prng with a given seed"),
    (re.compile(r"\bstd::unordered_(map|set|multimap|multiset)\b"), "iterates in no defined order",
     "std::map, std::set or a sorted vector; its order may reach a packet"),
    (re.compile(r"\b(throw|dynamic_cast|typeid)\b"), "uses exceptions or RTTI",
     "return Expected; cores are compiled without both"),
    (re.compile(r"\bgetenv\s*\("), "reads the environment", "pass it in by the configuration"),
]
# common/base holds the two things that must end the process or count references across threads.
EXEMPT_FROM_CORES = {
    ("common/base/invariant.hpp", "includes input or output"),
    ("common/base/invariant.cpp", "includes input or output"),
    ("common/base/buffer.hpp", "includes a threading header"),
    ("common/base/flight_recorder.hpp", "includes input or output"),
    ("common/base/flight_recorder.cpp", "includes input or output"),
}


def without_comments(text):
    """Comments and string contents blanked, lines kept."""
    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        return found[0] + " " * (len(found) - 2) + found[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', blank, text, flags=re.DOTALL)


def folder_rule(path):
    """The entry of MAY_INCLUDE that rules a file."""
    matching = [f for f in MAY_INCLUDE if path == f or path.startswith(f + "/")]
    return max(matching, key=len) if matching else None


def check_includes(path, text):
    rule = folder_rule(path)
    if rule is None or not path.endswith(SOURCES):
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        if not target.startswith(TOP_FOLDERS):
            # Public headers of the libraries are named as their users name them.
            if target.startswith(("corosync/", "halo/")) and not path.startswith(("common", *DAEMONS)):
                continue
            yield number, "include rule", f'"{target}" is not named from the root: write "folder/file.hpp"'
            continue
        allowed = [rule, *MAY_INCLUDE[rule]]
        own = folder_rule(target)
        if not any(target.startswith(a + "/") for a in allowed):
            yield number, "include rule", (f"{rule} may not use {own}; it may use {', '.join(allowed)}. "
                                           "Move what both need to common/, or pass it in")
        elif path.startswith("libclient/tools") and target.startswith("libclient/src"):
            yield number, "include rule", "tools use the public headers only: they prove that these suffice"


def check_cores(path, text):
    if not path.startswith(tuple(c + "/" for c in CORES)) or not path.endswith(SOURCES):
        return
    clean = re.sub(r"(#include\s*)[<\"]([^>\"]*)[>\"]", r"\1<\2>", without_comments(text))
    for number, line in enumerate(clean.splitlines(), 1):
        for pattern, what, way_out in BANNED_IN_CORES:
            if pattern.search(line) and (path, what) not in EXEMPT_FROM_CORES:
                yield number, "pure core", f"{what}: {way_out}"


_SLEEP = re.compile(r"\b(usleep|nanosleep|sleep_for|sleep_until|time\.sleep|sleep)\s*\(|^\s*sleep\s+[0-9]")


def check_sleep(path, text):
    if not path.startswith("tests/") or path.startswith("tests/tidy/"):
        return
    clean = without_comments(text) if path.endswith(SOURCES) else re.sub(r"#[^\n]*", "", text)
    for number, line in enumerate(clean.splitlines(), 1):
        if _SLEEP.search(line):
            yield number, "no sleep in tests", "wait for the event with a deadline (wait_for, poll on a descriptor)"


_KILLS = re.compile(r"\b(pkill|killall|killall5)\b|kill\s+(-\w+\s+)?-1\b")


def check_kills(path, text):
    if path.startswith("tests/tidy/") or path.startswith("docs/"):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if _KILLS.search(line):
            yield number, "no broad kill", "end by its pid what you started; others' processes may have the same name"


_FUNCTION_NAME = re.compile(r"^[a-z0-9_.]+$")


def check_names(path, _):
    name = pathlib.PurePosixPath(path).name
    if path.startswith(TOP_FOLDERS) and name.endswith(SOURCES + (".py",)) and not _FUNCTION_NAME.match(name):
        yield 1, "file name", "snake_case, as the concept it holds"


def check_header_guard(path, text):
    if path.endswith(".hpp") and "#pragma once" not in text:
        yield 1, "header", "begins with a comment and #pragma once"


RULES = {
    "includes": [check_includes, check_header_guard],
    "cores": [check_cores],
    "sleep": [check_sleep],
    "kills": [check_kills],
    "names": [check_names],
}


def project_files(root):
    listed = subprocess.run(["git", "-C", str(root), "ls-files", "--cached"], capture_output=True, text=True)
    if listed.returncode == 0:
        return [p for p in listed.stdout.splitlines() if (root / p).is_file()]
    return [str(p.relative_to(root)) for p in root.rglob("*")
            if p.is_file() and not str(p.relative_to(root)).startswith(("build/", ".git/"))]


def read(path):
    try:
        return path.read_text()
    except (UnicodeDecodeError, FileNotFoundError):
        return None  # A corpus, or gone since it was listed.


def check_format(root, paths):
    sources = [str(root / p) for p in paths if p.endswith(SOURCES)]
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources], capture_output=True, text=True)
    if result.returncode == 0:
        return 0
    files = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})
    for file in files:
        print(f"{file}: [format] run ./dev format")
    return len(files) or 1


def main():
    kind = sys.argv[1]
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else pathlib.Path(__file__).parents[2]).resolve()
    paths = project_files(root)
    if kind == "format":
        complaints = check_format(root, paths)
    else:
        complaints = 0
        for path in paths:
            text = read(root / path)
            if text is None:
                continue
            for rule in RULES[kind]:
                for number, name, message in rule(path, text):
                    complaints += 1
                    print(f"{path}:{number}: [{name}] {message}")
    print(f"{len(paths)} files looked at, {complaints} complaints")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
