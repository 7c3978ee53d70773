#include "common/os/scheduling.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace {

// "/autogroup-25 nice 0"; empty: no such kernel, or it is switched off.
std::string session_now() {
    std::ifstream file("/proc/self/autogroup");
    std::string line;
    std::getline(file, line);
    return line;
}

// What a child's session is like after it asked, when it leads one and when it does not.
std::string session_of_child(bool leads) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        if (leads) (void)::setsid();
        os::prefer_own_session();
        const std::string found = session_now();
        ::_exit(::write(ends[1], found.data(), found.size()) < 0 ? 1 : 0);
    }
    ::close(ends[1]);
    std::string found(256, '\0');
    const ssize_t got = ::read(ends[0], found.data(), found.size());
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(got >= 0);
    found.resize(static_cast<std::size_t>(got));
    return found;
}

bool may_be_preferred() {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        (void)::setsid();
        std::ofstream file("/proc/self/autogroup");
        file << os::kDaemonNice << std::flush;
        ::_exit(file.good() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

TEST_CASE("a session is preferred by who leads it, and by nobody else") {
    const std::string before = session_now();
    CHECK(session_of_child(false) == before);
    CHECK(session_now() == before);
    if (before.empty() || !may_be_preferred()) return;  // Not here.
    CHECK(session_of_child(true).ends_with(" nice " + std::to_string(os::kDaemonNice)));
}
