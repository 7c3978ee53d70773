// What a daemon exchanges with its service manager: descriptors, notices, signals.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <vector>

#include "common/os/durable_file.hpp"
#include "common/os/handed_down.hpp"
#include "common/os/notify.hpp"
#include "common/os/signal_fd.hpp"
#include "tests/unit/common/os/manager.hpp"

namespace {

os::EventLoop make_loop() {
    auto loop = os::EventLoop::create();
    REQUIRE(loop);
    return std::move(*loop);
}

}  // namespace

TEST_CASE("the manager is told what happens, and where there is none nothing does") {
    os::notify_ready();
    Manager manager;
    os::notify_ready();
    CHECK(manager.next() == "READY=1");
    os::notify_status("operational");
    CHECK(manager.next() == "STATUS=operational");
    os::notify_stopping();
    CHECK(manager.next() == "STOPPING=1");
    REQUIRE(os::store_descriptor("ring", STDERR_FILENO));
    CHECK(manager.next() == "FDSTOREREMOVE=1\nFDNAME=ring");
    CHECK(manager.next() == "FDSTORE=1\nFDPOLL=0\nFDNAME=ring");
    CHECK(manager.next().empty());
}

TEST_CASE("connections are given to the manager in messages that it takes") {
    Manager manager;
    const std::size_t count = os::kDescriptorsAMessageMax + 1;
    os::keep_connections("client", std::vector<int>(count, STDERR_FILENO));
    CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
    CHECK(manager.descriptors() == os::kDescriptorsAMessageMax);
    CHECK(manager.next() == "FDSTORE=1\nFDNAME=client");
    CHECK(manager.descriptors() == 1);
    os::keep_connections("client", {});
    CHECK(manager.next().empty());
}

TEST_CASE("a descriptor that nobody keeps is an error") {
    CHECK_FALSE(os::store_descriptor("ring", STDERR_FILENO));
}

TEST_CASE("the watchdog is fed by the loop itself") {
    Manager manager;
    REQUIRE(::setenv("WATCHDOG_USEC", "2000", 1) == 0);
    os::EventLoop loop = make_loop();
    os::feed_watchdog(loop);
    CHECK(manager.next().empty());
    REQUIRE(loop.turn(std::chrono::seconds{1}));
    CHECK(manager.next() == "WATCHDOG=1");
    REQUIRE(loop.turn(std::chrono::seconds{1}));
    CHECK(manager.next() == "WATCHDOG=1");
    REQUIRE(::unsetenv("WATCHDOG_USEC") == 0);
}

TEST_CASE("descriptors are taken by name, once, and don't reach our children") {
    // In a child, which has descriptors 3 and 4 for itself.
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::array<int, 2> ends{};
        bool good = ::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0;
        const int first = ::fcntl(ends[0], F_DUPFD, 100);
        const int second = ::fcntl(ends[1], F_DUPFD, 100);
        good = good && ::dup2(first, 3) == 3 && ::dup2(second, 4) == 4;
        good = good && ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1) == 0 &&
               ::setenv("LISTEN_FDS", "2", 1) == 0 &&
               ::setenv("LISTEN_FDNAMES", "ring:ringd.status", 1) == 0;
        auto handed_down = os::HandedDown::take_all();
        good = good && handed_down.count() == 2 && ::getenv("LISTEN_FDS") == nullptr;
        const auto status = handed_down.take("ringd.status");
        good = good && status && status->get() == 4 && !handed_down.take("ringd.status");
        good = good && status && (::fcntl(status->get(), F_GETFD) & FD_CLOEXEC) != 0;
        good = good && !handed_down.take("other") && handed_down.count() == 1;
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
}

TEST_CASE("a signal is a callback in a turn of the loop") {
    os::EventLoop loop = make_loop();
    std::vector<int> seen;
    auto signals = os::SignalFd::create(loop, {SIGUSR1, SIGUSR2},
                                        [&seen](int signal) { seen.push_back(signal); });
    REQUIRE(signals);
    REQUIRE(::raise(SIGUSR2) == 0);
    CHECK(seen.empty());
    REQUIRE(loop.turn(std::chrono::seconds{1}));
    CHECK(seen == std::vector<int>{SIGUSR2});
}

TEST_CASE("a file that cannot be written leaves the old one, and nothing else") {
    std::string folder = "/tmp/halo-os-XXXXXX";
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const std::string path = folder + "/file";
    const auto text = std::as_bytes(std::span("content", 7));
    REQUIRE(os::write_durably(path, text, 0600, os::Existing::Keep));
    const auto again = os::write_durably(path, text, 0600, os::Existing::Keep);
    REQUIRE_FALSE(again);
    CHECK(again.error().code == EEXIST);
    CHECK(os::write_durably(path, text, 0600, os::Existing::Replace));
    const auto nowhere = os::write_durably(folder + "/none/file", text, 0600, os::Existing::Keep);
    REQUIRE_FALSE(nowhere);
    CHECK(nowhere.error().code == ENOENT);
    REQUIRE(::unlink(path.c_str()) == 0);
    CHECK(::rmdir(folder.c_str()) == 0);  // Empty: no rest of an attempt.
}
