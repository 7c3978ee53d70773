#!/usr/bin/python3
"""Each rule between documents and sources complains of a planted breach, and of nothing in the corrected form."""
import unittest

import documents

SOURCE = {"ringd/a.cpp": 'log_.error("cannot start", {{"ERROR", text}});\nparts_.log.notice(\n    "ring "\n    "formed");'}
LOGS = "## Log lines\n\n### ringd\n\n| line | level | |\n|---|---|---|\n| `cannot start` | error | why `x y` |\n" \
       "| `ring formed` | notice | |\n\n## Exit codes\n\n| `not a line` | |\n"
STATUS = {"cpgd/driver/status_json.cpp": 'return {{"groups", 1}};\nresult["ring"] = 2;'}


def all_of(rule, *arguments):
    return list(rule(*arguments))


class DocumentsTest(unittest.TestCase):
    def test_log_lines(self):
        self.assertEqual(all_of(documents.check_logs, SOURCE, LOGS), [])
        self.assertIn("'ring formed' has no entry", all_of(documents.check_logs, SOURCE, LOGS.replace("formed", "gone"))[0])
        self.assertEqual(all_of(documents.check_logs, SOURCE, LOGS.replace("| `ring formed` | notice | |\n", ""),
                                "| `ring formed` | |"), [])
        self.assertIn("nothing logs 'ring formed'", all_of(documents.check_logs, {"a": 'log.error("cannot start");'}, LOGS)[0])

    def test_counters(self):
        self.assertEqual(all_of(documents.check_counters, STATUS, "| `ring`, `groups` | |"), [])
        self.assertIn("'groups'", all_of(documents.check_counters, STATUS, "| `ring` | groups |")[0])
        self.assertIn("'token lost'", all_of(documents.check_counters, {"a": 'return "token lost";'}, "")[0])

    def test_exit_codes(self):
        sources = {"ringd/main.cpp": "return EX_IOERR;", "exit_codes.hpp": "inline constexpr int kFailed = 1;"}
        self.assertEqual(all_of(documents.check_exits, sources, "| 1 | haloctl |\n| 74 | ringd |\n"), [])
        self.assertEqual(len(all_of(documents.check_exits, sources, "| 2 | |\n")), 2)

    def test_man_pages(self):
        tool = {"libclient/tools/a.cpp": 'app.add_subcommand("cpg", "x"); c.add_option("-c,--config", o); c.add_flag("--all");'}
        page = {"docs/man/haloctl.1": ".B haloctl cpg\n.B \\-\\-config\n.B \\-\\-all"}
        self.assertEqual(all_of(documents.check_man, tool, page), [])
        for missing in ("cpg", "\\-\\-config", "\\-\\-all"):
            text = {path: text.replace(missing, "") for path, text in page.items()}
            self.assertEqual(len(all_of(documents.check_man, tool, text)), 1)
        daemon = {"common/config/daemon_options.cpp": 'if (name == "-t" || name == "--test") {'}
        self.assertEqual(len(all_of(documents.check_man, daemon, {"docs/man/ringd.8": ".B \\-t"})), 1)

    def test_functions(self):
        symbols = {"libclient/maps/libcpg.map": "COROSYNC_CPG_1.0 {\n    global:\n        cpg_join;\n    local:\n        *;\n};"}
        page = {"docs/man/cpg.3": '.BI "cs_error_t cpg_join(cpg_handle_t " handle );'}
        self.assertEqual(all_of(documents.check_functions, symbols, page), [])
        self.assertEqual(len(all_of(documents.check_functions, symbols, {"docs/man/cpg.3": ".B cpg_join"})), 1)
        self.assertEqual(len(all_of(documents.check_functions, symbols, {"docs/man/cpg.8": page["docs/man/cpg.3"]})), 1)

    def test_links(self):
        self.assertEqual(all_of(documents.check_links, "docs/a.md", "[b](b.md#c) [d](https://e) [f](../g)",
                                {"docs/b.md", "g"}.__contains__), [])
        self.assertEqual(len(all_of(documents.check_links, "docs/a.md", "[b](b.md)", lambda _: False)), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
