#include "common/zmtp/listener.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <vector>

#include "tests/unit/common/zmtp/support.hpp"

using namespace zmtp;

namespace {

bool is_readable(int fd, std::chrono::milliseconds patience) {
    pollfd poll{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&poll, 1, static_cast<int>(patience.count())) == 1;
}

}  // namespace

TEST_CASE("who connects is what the kernel says") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("socket"));
    REQUIRE(listener);
    CHECK(!*listener->accept());
    const auto client = connect_to(folder.file("socket"));
    REQUIRE(client);
    auto accepted = listener->accept();
    REQUIRE(accepted);
    REQUIRE(*accepted);
    CHECK((*accepted)->peer.uid == ::getuid());
    CHECK((*accepted)->peer.gid == ::getgid());
    CHECK((*accepted)->peer.pid == ::getpid());
    const int socket = (*accepted)->socket.get();
    const os::UniqueFd process = process_of_peer(socket, (*accepted)->peer.pid);
    CHECK(process.is_open());
    CHECK(!is_readable(process.get(), std::chrono::milliseconds(0)));

    std::vector<gid_t> groups(static_cast<std::size_t>(::getgroups(0, nullptr)));
    REQUIRE(::getgroups(static_cast<int>(groups.size()), groups.data()) >= 0);
    CHECK(groups_of_peer(socket) == std::vector<std::uint32_t>(groups.begin(), groups.end()));
}

TEST_CASE("a dead listener's socket file is replaced, a living one's is not") {
    const test::TemporaryFolder folder;
    { const auto dead = Listener::listen(folder.file("socket")); }
    const auto living = Listener::listen(folder.file("socket"));
    REQUIRE(living);
    const auto second = Listener::listen(folder.file("socket"));
    REQUIRE(!second);
    CHECK(second.error().code == EADDRINUSE);
    CHECK(connect_to(folder.file("socket")));
}

TEST_CASE("an inherited listener serves who connected before, and nothing else is taken for one") {
    const test::TemporaryFolder folder;
    auto first = Listener::listen(folder.file("socket"));
    REQUIRE(first);
    const auto client = connect_to(folder.file("socket"));
    REQUIRE(client);
    auto second = Listener::inherit(std::move(*first).release());
    REQUIRE(second);
    CHECK((*second->accept()).has_value());

    CHECK(!Listener::inherit(std::move(test::socket_pair().one)));
    CHECK(!Listener::inherit(os::UniqueFd(::open("/dev/null", O_RDONLY))));
}

TEST_CASE("the end of a process is seen although its child holds the socket open") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("socket"));
    REQUIRE(listener);
    const test::SocketPair gate = test::socket_pair();
    const pid_t client = ::fork();
    if (client == 0) {
        const auto socket = connect_to(folder.file("socket"));
        const pid_t child = ::fork();
        std::byte byte{};
        if (child == 0) {  // Lives until the test is over.
            (void)::send(gate.other.get(), &byte, 1, MSG_NOSIGNAL);
            (void)is_readable(gate.other.get(), std::chrono::seconds(20));
            ::_exit(0);
        }
        (void)is_readable(gate.other.get(), std::chrono::seconds(20));
        (void)::recv(gate.other.get(), &byte, 1, 0);
        ::_exit(socket ? 0 : 1);
    }
    REQUIRE(client > 0);
    REQUIRE(is_readable(listener->fd(), std::chrono::seconds(20)));
    auto accepted = listener->accept();
    REQUIRE(accepted);
    REQUIRE(*accepted);
    CHECK((*accepted)->peer.pid == client);
    const os::UniqueFd process = process_of_peer((*accepted)->socket.get(), (*accepted)->peer.pid);
    REQUIRE(process.is_open());
    REQUIRE(is_readable(gate.one.get(), std::chrono::seconds(20)));  // The child has it too.
    REQUIRE(::kill(client, SIGKILL) == 0);
    CHECK(is_readable(process.get(), std::chrono::seconds(20)));
    CHECK(!is_readable((*accepted)->socket.get(), std::chrono::milliseconds(0)));
    (void)::waitpid(client, nullptr, 0);
}

TEST_CASE("without descriptors the waiting peer is closed, not left alone") {
    const test::TemporaryFolder folder;
    auto listener = Listener::listen(folder.file("socket"));
    REQUIRE(listener);
    const auto client = connect_to(folder.file("socket"));
    REQUIRE(client);

    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const os::UniqueFd next_free(::open("/dev/null", O_RDONLY));
    rlimit tight = before;
    tight.rlim_cur = static_cast<rlim_t>(next_free.get());
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &tight) == 0);
    const auto accepted = listener->accept();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    REQUIRE(!accepted);
    CHECK(accepted.error().code == EMFILE);
    std::byte byte{};
    CHECK(is_readable(client->get(), std::chrono::seconds(20)));
    CHECK(::recv(client->get(), &byte, 1, 0) == 0);
    CHECK(!*listener->accept());
}
