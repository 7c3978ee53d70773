#include "common/session/access.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "common/os/unique_fd.hpp"

using session::Access;
using session::member_pid;

TEST_CASE(
    "root, root's group, the daemon itself and who is listed may be clients, and nobody else") {
    const Access access{.own_uid = 500, .uids = {1000, 1001}, .gids = {2000}};
    struct Case {
        std::uint32_t uid;
        std::uint32_t gid;
        bool allowed;
    };
    for (const Case& peer :
         {Case{0, 9, true}, Case{9, 0, true}, Case{500, 9, true}, Case{1000, 9, true},
          Case{1001, 9, true}, Case{9, 2000, true}, Case{2000, 9, false}, Case{9, 1000, false},
          Case{9, 500, false}, Case{999, 1999, false}, Case{UINT32_MAX, UINT32_MAX, false}}) {
        CAPTURE(peer.uid);
        CAPTURE(peer.gid);
        CHECK(access.allows({.uid = peer.uid, .gid = peer.gid, .pid = 1, .groups = {}}) ==
              peer.allowed);
    }
}

// As in Corosync: only the primary group counts.
TEST_CASE("a supplementary group opens nothing") {
    const Access access{.own_uid = 500, .uids = {}, .gids = {2000}};
    CHECK_FALSE(access.allows({.uid = 9, .gid = 9, .pid = 1, .groups = {0, 2000}}));
}

TEST_CASE("without rules only root and the daemon itself may") {
    const Access access{.own_uid = 500, .uids = {}, .gids = {}};
    CHECK(access.allows({.uid = 0, .gid = 0, .pid = 1, .groups = {}}));
    CHECK(access.allows({.uid = 500, .gid = 500, .pid = 1, .groups = {}}));
    CHECK_FALSE(access.allows({.uid = 501, .gid = 500, .pid = 1, .groups = {}}));
}

TEST_CASE("the node's other daemons are clients where their group is known") {
    const Access access{.own_uid = 500, .daemons_gid = 700, .uids = {}, .gids = {}};
    CHECK(access.allows({.uid = 501, .gid = 700, .pid = 1, .groups = {}}));
    CHECK_FALSE(access.allows({.uid = 501, .gid = 500, .pid = 1, .groups = {700}}));
}

TEST_CASE("who claims to be another process is a member under the number that the kernel says") {
    const auto self = static_cast<std::uint32_t>(::getpid());
    const auto parent = static_cast<std::uint32_t>(::getppid());
    CHECK(member_pid(self, self) == self);
    CHECK(member_pid(self, parent) == self);
    CHECK(member_pid(self, 0) == self);
}

TEST_CASE("who can't be looked at is believed") {
    CHECK(member_pid(0, 77) == 77);           // Of a pid namespace that we don't see.
    CHECK(member_pid(UINT32_MAX, 77) == 77);  // Ended meanwhile.
}

TEST_CASE("a process in a pid namespace of its own is known by its number there") {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    os::UniqueFd from(pipe[0]);
    os::UniqueFd to(pipe[1]);
    // The middle one makes the namespace: its child is the first process of it.
    const pid_t middle = ::fork();
    REQUIRE(middle >= 0);
    if (middle == 0) {
        from.reset();
        if (::unshare(CLONE_NEWPID) != 0) ::_exit(0);
        const pid_t inner = ::fork();
        if (inner < 0) ::_exit(1);
        if (inner == 0) {
            to.reset();
            for (;;)
                ::pause();
        }
        (void)!::write(to.get(), &inner, sizeof(inner));
        to.reset();
        ::_exit(::waitpid(inner, nullptr, 0) == inner ? 0 : 1);
    }
    to.reset();
    pid_t inner = 0;
    if (::read(from.get(), &inner, sizeof(inner)) == sizeof(inner)) {
        const auto outside = static_cast<std::uint32_t>(inner);
        CHECK(member_pid(outside, 1) == 1);
        CHECK(member_pid(outside, 2) == outside);
        REQUIRE(::kill(inner, SIGKILL) == 0);
    } else {
        MESSAGE("skipped: this user may not make a pid namespace");
    }
    int status = 0;
    REQUIRE(::waitpid(middle, &status, 0) == middle);
    CHECK(WIFEXITED(status));
}
