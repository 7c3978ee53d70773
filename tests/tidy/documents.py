#!/usr/bin/python3
"""Documents and sources say the same: each log line, counter and exit code has its entry, and each entry its source.

    documents.py logs|counters|exits|man|functions|links [ROOT]

The rules are functions over texts, so that documents_test.py can show that each of them bites.
"""

import os
import pathlib
import re
import sys

DAEMONS = ("ringd", "cpgd", "quorumd", "cmapd")
LOGGING = DAEMONS + ("common", "libclient/tools")
OPERATIONS = "docs/operations.md"

_STRING = r'"((?:[^"\\]|\\.)*)"'
_LOG_CALL = re.compile(r"\blog_?\.(?:error|warning|notice|info|debug)\(\s*((?:" + _STRING + r"\s*)+)")
_FIELD = re.compile(r'\{"([a-z][a-z0-9_]*)",|\["([a-z][a-z0-9_]*)"\]')
_NAME = re.compile(r'return "([a-z][a-z ]*)";')
_SYSEXITS = {name: getattr(os, name) for name in dir(os) if name.startswith("EX_")}


def messages(source):
    """The constant texts of the log calls in a source."""
    return {"".join(re.findall(_STRING, call.group(1))) for call in _LOG_CALL.finditer(source)}


def entries(document, title):
    """What stands in backticks in the first cell of the tables below headings from `title` on, to the next of its level."""
    found, inside = set(), False
    for line in document.splitlines():
        if line.startswith("## "):
            inside = line == "## " + title
        if inside and line.startswith("| "):
            found.update(re.findall(r"`([^`]+)`", line.split(" | ")[0]))
    return found


def words(document):
    """Everything in backticks."""
    return set(re.findall(r"`([^`\n]+)`", document))


def check_logs(sources, document, others=""):
    """`sources`: {path: text}; `others`: further documents, in which a service explains its own lines."""
    said = {message: path for path, text in sources.items() for message in messages(text)}
    explained = entries(document, "Log lines")
    for message, path in sorted(said.items()):
        if message not in explained and message not in words(others):
            yield f"{path}: the log line '{message}' has no entry in {OPERATIONS}: say what it means and what to do"
    for message in sorted(explained - set(said)):
        if " " in message:
            yield f"{OPERATIONS}: nothing logs '{message}'; remove its entry"


def check_counters(sources, document, others=""):
    known = words(document) | words(others)
    for path, text in sorted(sources.items()):
        names = {a or b for a, b in _FIELD.findall(text)} | set(_NAME.findall(text))
        for name in sorted(names - known):
            yield f"{path}: '{name}' of the status has no entry in {OPERATIONS}"


def check_exits(sources, document):
    rows = set(re.findall(r"^\| (\d+) \|", document, re.MULTILINE))
    for path, text in sorted(sources.items()):
        codes = {(name, _SYSEXITS[name]) for name in re.findall(r"\bEX_[A-Z]+\b", text) if name in _SYSEXITS}
        codes |= {(name, int(code)) for name, code in re.findall(r"constexpr int (k\w+) = (\d+);", text)}
        for name, code in sorted(codes):
            if str(code) not in rows:
                yield f"{path}: exit code {code} ({name}) has no entry in {OPERATIONS}"


def check_man(sources, pages):
    """`pages`: {path: text}. haloctl's commands and options, and the daemons' options, are in their pages."""
    plain = {path: text.replace("\\-", "-") for path, text in pages.items()}
    for path, text in sorted(sources.items()):
        if path.startswith("libclient/tools/node/"):  # What it says to daemons is no option of its own.
            continue
        if path.startswith("libclient/tools/"):
            wanted = set(re.findall(r'"(?:-\w,)?(--[a-z][a-z-]*)"', text))
            wanted |= set(re.findall(r'\badd(?:_subcommand)?\(\s*"([a-z]+)"', text))
            names = ["docs/man/haloctl.1"]
        else:
            wanted = set(re.findall(r'name == "(-[a-z-]+)"', text))
            names = sorted(name for name in plain if re.search(r"/[a-z]+d\.8$", name))
        for name in names:
            for option in sorted(wanted):
                if not re.search(r"(?<![\w-])" + re.escape(option) + r"(?![\w-])", plain[name]):
                    yield f"{path}: '{option}' is not in {name}"


def check_functions(maps, pages):
    """`maps`: {path: text} of the C libraries' symbols. Each function is in the name and in the synopsis of one page."""
    for path, text in sorted(maps.items()):
        for function in sorted(set(re.findall(r"^\s+([a-z][a-z0-9_]+);", text, re.MULTILINE))):
            there = [name for name, page in pages.items() if name.endswith(".3") and
                     re.search(rf"^\.BI? \"?(?:cs_error_t |const char \*){function}\(", page, re.MULTILINE)]
            if not there:
                yield f"{path}: '{function}' is in no page of docs/man: give it a line in the synopsis of one"


def check_links(path, text, exists):
    """Relative links of a document lead somewhere."""
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if "://" not in target and not exists(os.path.normpath(os.path.join(os.path.dirname(path), target))):
            yield f"{path}: the link to '{target}' leads nowhere"


def _read(root, folders, pattern):
    found = {}
    for folder in folders:
        for path in sorted((root / folder).rglob(pattern)):
            found[str(path.relative_to(root))] = path.read_text()
    return found


def _complaints(kind, root):
    document = (root / OPERATIONS).read_text()
    other_documents = _read(root, ["docs"], "*.md")
    others = "\n".join(text for path, text in other_documents.items() if path != OPERATIONS)
    if kind == "logs":
        return check_logs(_read(root, LOGGING, "*.cpp"), document, others)
    if kind == "counters":
        sources = _read(root, DAEMONS, "*status*.cpp") | _read(root, ["ringd/totem"], "ring_stats.cpp")
        return check_counters(sources, document, others)
    if kind == "exits":
        return check_exits(_read(root, DAEMONS, "main.cpp") | _read(root, ["libclient/tools"], "exit_codes.hpp"),
                           document)
    if kind == "man":
        return check_man(_read(root, ["libclient/tools"], "*.cpp") | _read(root, ["common/config"], "daemon_options.cpp"),
                         _read(root, ["docs/man"], "*.[0-9]"))
    if kind == "functions":
        maps = _read(root, ["libclient/maps"], "*.map")
        return check_functions({path: text for path, text in maps.items() if "libhalo" not in path},
                               _read(root, ["docs/man"], "*.3"))
    if kind == "links":
        texts = other_documents | {"README.md": (root / "README.md").read_text()}
        return (complaint for path, text in texts.items()
                for complaint in check_links(path, text, lambda target: (root / target).exists()))
    raise SystemExit(__doc__)


def main():
    root = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else __file__).resolve()
    if root.is_file():
        root = root.parent.parent.parent
    complaints = list(_complaints(sys.argv[1] if len(sys.argv) > 1 else "", root))
    print(*complaints, sep="\n")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
