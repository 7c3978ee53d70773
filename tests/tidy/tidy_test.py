#!/usr/bin/python3
"""Each house rule complains of a planted breach, and of nothing in the corrected form."""
import unittest

import tidy

# rule, file, breach, corrected
CASES = [
    (tidy.check_includes, "common/base/a.hpp", '#include "common/os/clock.hpp"', '#include "common/base/ids.hpp"'),
    (tidy.check_includes, "ringd/totem/a.cpp", '#include "common/protocol/ring_api.hpp"',
     '#include "common/base/ids.hpp"'),
    (tidy.check_includes, "cpgd/core/a.cpp", '#include "cpgd/driver.hpp"', '#include "common/protocol/cpg_api.hpp"'),
    (tidy.check_includes, "cpgd/driver.cpp", '#include "ringd/driver.hpp"', '#include "cpgd/core/core.hpp"'),
    (tidy.check_includes, "common/ipc/a.cpp", '#include "ringd/totem/ring.hpp"', '#include "common/os/clock.hpp"'),
    (tidy.check_includes, "libclient/tools/a.cpp", '#include "libclient/src/base/session.hpp"',
     '#include <corosync/cpg.h>'),
    (tidy.check_includes, "libclient/src/a.cpp", '#include "common/ring_client/stream.hpp"',
     '#include "common/zmtp/connection.hpp"'),
    (tidy.check_includes, "ringd/a.cpp", '#include "driver.hpp"', '#include "ringd/driver.hpp"'),
    (tidy.check_header_guard, "ringd/a.hpp", "struct A {};", "#pragma once\nstruct A {};"),
    (tidy.check_cores, "ringd/totem/a.cpp", "auto t = Clock::now();", "auto t = context.now;"),
    (tidy.check_cores, "cpgd/core/a.cpp", "#include <thread>", "#include <vector>"),
    (tidy.check_cores, "cpgd/core/a.cpp", "#include <iostream>", "// #include <iostream>"),
    (tidy.check_cores, "ringd/totem/a.cpp", "std::random_device device;", 'Text t = "random_device";'),
    (tidy.check_cores, "ringd/totem/a.cpp", "#include <sys/socket.h>", "#include <span>"),
    (tidy.check_cores, "ringd/stream/a.cpp", "std::unordered_map<int, int> m;", "std::map<int, int> m;"),
    (tidy.check_cores, "ringd/totem/a.cpp", "throw 1;", "return fail(Error::Truncated);"),
    (tidy.check_sleep, "tests/unit/a_test.cpp", "std::this_thread::sleep_for(1s);", "poll(&fd, 1, 1000);"),
    (tidy.check_sleep, "tests/integration/a.py", "time.sleep(1)", "wait_for(ready, 10, 'ready')"),
    (tidy.check_sleep, "tests/integration/a.sh", "sleep 1", "# sleep 1"),
    (tidy.check_kills, "dev", "pkill -f ringd", "kill $pid"),
    (tidy.check_kills, "tests/a.sh", "kill -9 -1", "kill -9 $pid"),
    (tidy.check_names, "ringd/CommitToken.cpp", "", None),
]


class TidyTest(unittest.TestCase):
    def test_each_rule_bites_and_lets_the_corrected_form_pass(self):
        for rule, path, breach, corrected in CASES:
            with self.subTest(path=path, breach=breach):
                self.assertTrue(list(rule(path, breach)))
                if corrected is not None:
                    self.assertEqual(list(rule(path, corrected)), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
