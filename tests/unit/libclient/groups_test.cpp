#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <halo/groups.hpp>
#include <map>

#include "tests/unit/libclient/one_node_cpgd.hpp"

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::string text_of(const halo::Message& message) {
    return {reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size()};
}

TEST_CASE("one session joins several groups and hears each in order") {
    const OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    CHECK(groups->node() == 7);
    const auto a = groups->join("a");
    const auto b = groups->join("b");
    REQUIRE(a);
    REQUIRE(b);
    CHECK(groups->join("a").error() == halo::Error::Joined);
    for (int i = 0; i < 100; ++i) {
        REQUIRE(groups->send(i % 2 == 0 ? *a : *b, bytes_of(std::to_string(i))));
    }
    std::map<halo::Group, std::vector<std::string>> heard;
    std::map<halo::Group, int> memberships;
    while (heard[*a].size() + heard[*b].size() < 100) {
        const auto event = groups->next(halo::Wait::ForEvent);
        REQUIRE(event);
        if (const auto* message = std::get_if<halo::Message>(&*event)) {
            REQUIRE(memberships[message->group] == 1);
            CHECK(message->sender == halo::Member{.node = 7, .pid = std::uint32_t(::getpid())});
            heard[message->group].push_back(text_of(*message));
        } else if (const auto* change = std::get_if<halo::Membership>(&*event)) {
            ++memberships[change->group];
            CHECK(change->members.size() == 1);
            CHECK(change->joined.at(0).reason == halo::Reason::Join);
        }
    }
    for (std::size_t i = 0; i < 50; ++i) {
        CHECK(heard[*a].at(i) == std::to_string(2 * i));
        CHECK(heard[*b].at(i) == std::to_string(2 * i + 1));
    }
    CHECK(groups->next(halo::Wait::Never).error() == halo::Error::TryAgain);
    CHECK(groups->members("a")->size() == 1);
    CHECK(groups->all()->size() == 2);

    CHECK(groups->leave(*a));
    CHECK(groups->leave(*a).error() == halo::Error::NotJoined);
    CHECK(groups->send(*a, bytes_of("x")).error() == halo::Error::NotJoined);
    CHECK(groups->send(*b, bytes_of("x")));
}

TEST_CASE("a message of pieces is one message") {
    const OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect({.initial_ring = true});
    REQUIRE(groups);
    const auto group = groups->join("a");
    REQUIRE(group);
    const std::array pieces{bytes_of("one "), bytes_of(""), bytes_of("message")};
    REQUIRE(groups->send(*group, pieces, halo::Guarantee::Safe));
    CHECK(std::holds_alternative<halo::Membership>(*groups->next(halo::Wait::ForEvent)));
    CHECK(std::get<halo::Ring>(*groups->next(halo::Wait::ForEvent)).seq == 40);
    CHECK(text_of(std::get<halo::Message>(*groups->next(halo::Wait::ForEvent))) == "one message");
}

TEST_CASE("the end of a session is seen by the group, the daemon's end by the session") {
    OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    REQUIRE(groups->join("a"));
    {
        halo::Groups moved = *std::move(groups);
        CHECK(groups->next(halo::Wait::Never).error() == halo::Error::BadHandle);
        CHECK(moved.members("a")->size() == 1);
    }
    auto next = halo::Groups::connect();
    REQUIRE(next);
    CHECK(next->members("a")->empty());
    cpgd.die();
    CHECK(next->next(halo::Wait::ForEvent).error() == halo::Error::Lost);
    CHECK(halo::Groups::connect().error() == halo::Error::Lost);
}

TEST_CASE("a child does not end its parent's session") {
    const OneNodeCpgd cpgd;
    auto groups = halo::Groups::connect();
    REQUIRE(groups);
    const auto group = groups->join("a");
    REQUIRE(group);
    const pid_t child = ::fork();
    if (child == 0) {
        const bool refused = groups->send(*group, bytes_of("x")).error() == halo::Error::BadHandle;
        { const halo::Groups gone = *std::move(groups); }
        ::_exit(refused ? 42 : 1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(WEXITSTATUS(status) == 42);
    REQUIRE(groups->send(*group, bytes_of("after")));
    CHECK(std::holds_alternative<halo::Membership>(*groups->next(halo::Wait::ForEvent)));
    CHECK(text_of(std::get<halo::Message>(*groups->next(halo::Wait::ForEvent))) == "after");
}

}  // namespace
