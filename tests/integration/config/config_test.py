#!/usr/bin/python3
"""Wrong configuration gives one clear line that says what and where, before anything runs; and keys are made with
care."""
import argparse
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path("build/release")

GOOD = """totem {
    cluster_name: test
}
nodelist {
    node {
        nodeid: 1
        ring0_addr: 127.0.0.1
    }
}
"""

# What is wrong with a file, and the line that says so, without the file's name.
WRONG = [
    (GOOD.replace("cluster_name", "clustr_name"),
     ":2: error: unknown directive 'clustr_name' in totem {}; did you mean 'cluster_name'?"),
    (GOOD.replace("nodelist", "nodlist"),
     ":4: error: unknown section 'nodlist {}' outside of all sections; did you mean 'nodelist'?"),
    (GOOD.replace("cluster_name: test", "token: fast"),
     ":2: error: token: 'fast' is not allowed; it takes a number from 30 to 3600000 ms"),
    (GOOD.rstrip().removesuffix("}"), ":4: error: section 'nodelist' is never closed"),
    (GOOD.replace("    }\n", "    }\n    node {\n        nodeid: 1\n        ring0_addr: 127.0.0.2\n    }\n"),
     ":9: error: two nodes with nodeid 1; the other one is in line 5"),
    (GOOD.replace("127.0.0.1", "no-such-host.invalid"), ":7: error: ring0_addr: cannot resolve 'no-such-host.invalid'"),
]


def haloctl(*arguments):
    return subprocess.run([BUILD / "bin" / "haloctl", *map(str, arguments)], capture_output=True, text=True,
                          timeout=60, check=False)


class Configuration(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="halo-config-")
        self.addCleanup(self.folder.cleanup)
        self.file = pathlib.Path(self.folder.name) / "halo.conf"

    def node(self):
        return haloctl("node", "-c", self.file, "--run", self.folder.name + "/run", "--state",
                       self.folder.name + "/state")

    def test_wrong_files_are_told_with_line_and_reason(self):
        for text, line in WRONG:
            with self.subTest(line):
                self.file.write_text(text)
                for result in (haloctl("config", "check", self.file), self.node()):
                    self.assertEqual(result.returncode, 78, result.stderr)
                    self.assertTrue(result.stderr.startswith(f"{self.file}{line}"), result.stderr)
                    self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
                self.assertFalse(os.path.exists(self.folder.name + "/run"), "nothing is made before the file is good")

    def test_a_host_that_is_no_node_is_told(self):
        self.file.write_text(GOOD.replace("127.0.0.1", "192.0.2.77"))
        self.assertEqual(haloctl("config", "check", self.file).returncode, 0)
        for result in (haloctl("config", "check", self.file, "--host"), self.node()):
            self.assertEqual(result.returncode, 78)
            self.assertIn("own address missing", result.stderr)

    def test_a_good_file_is_good(self):
        self.file.write_text(GOOD)
        result = haloctl("config", "check", "--host", self.file)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertIn("1 nodes, 1 links, this host is node 1", result.stdout)

    def test_a_file_that_is_not_there_is_named(self):
        result = haloctl("config", "check", self.file)
        self.assertEqual(result.returncode, 78)
        self.assertEqual(result.stderr, f"{self.file}: error: cannot open: No such file or directory\n")

    def test_a_key_that_cannot_be_used_ends_the_node_with_its_name(self):
        self.file.write_text(GOOD)
        key = pathlib.Path(self.folder.name) / "authkey"
        for make, reason in (lambda: None, "No such file or directory"), \
                (lambda: (key.write_bytes(b"k" * 256), key.chmod(0o644)), "may be accessed by others (mode 0644)"), \
                (lambda: (key.write_bytes(b"k" * 7), key.chmod(0o600)), "has 7 bytes"):
            make()
            with self.subTest(reason):
                result = self.node()
                self.assertEqual(result.returncode, 78, result.stderr)
                told = [line for line in result.stderr.splitlines() if str(key) in line]
                self.assertEqual(len(told), 1, result.stderr)
                self.assertIn(reason, told[0])

    def test_explain_knows_directives_and_near_misses(self):
        self.assertIn("Default: 3000 ms", haloctl("config", "explain", "totem.token").stdout)
        result = haloctl("config", "explain", "tokn")
        self.assertEqual(result.returncode, 1)
        self.assertIn("did you mean 'token'?", result.stderr)


class Keys(unittest.TestCase):
    def test_a_key_is_made_once_and_shown(self):
        with tempfile.TemporaryDirectory(prefix="halo-key-") as folder:
            key = pathlib.Path(folder) / "authkey"
            made = haloctl("keygen", "-k", key)
            self.assertEqual(made.returncode, 0, made.stderr)
            content = key.read_bytes()
            self.assertEqual(len(content), 256)
            self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o400)
            again = haloctl("keygen", "-k", key)
            self.assertEqual(again.returncode, 1)
            self.assertIn("exists already", again.stderr)
            self.assertEqual(key.read_bytes(), content)
            shown = haloctl("keygen", "--show", "-k", key)
            self.assertIn(shown.stdout.split()[0], made.stdout)
            self.assertEqual(haloctl("keygen", "--force", "-k", key).returncode, 0)
            self.assertNotEqual(key.read_bytes(), content)


class CommandLine(unittest.TestCase):
    def test_mistakes_end_with_64_and_daemons_that_do_not_run_with_69(self):
        self.assertEqual(haloctl("nonsense").returncode, 64)
        self.assertEqual(haloctl("--help").returncode, 0)
        with tempfile.TemporaryDirectory() as folder:
            result = haloctl("status", "--run", folder)
            self.assertEqual(result.returncode, 69)
            self.assertIn("ringd: not running", result.stderr)
            self.assertEqual(haloctl("cpg", "list", "--run", folder).returncode, 69)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, default=BUILD)
    arguments, rest = parser.parse_known_args()
    BUILD = arguments.build
    unittest.main(argv=[sys.argv[0], *rest])
