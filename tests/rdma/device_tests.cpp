// Links over real verbs: what they carry, and at what cost (ends.hpp).
#include "tests/rdma/ends.hpp"

using namespace ends;

TEST_CASE("two links find each other and exchange datagrams of all sizes in order") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    REQUIRE(reaches(pair.b, pair.one, pair.a, "hello yourself"));
    const std::size_t most = pair.a.device().packet_bytes;
    REQUIRE(most >= RdmaDevice::kDatagramBytesMin);
    for (const std::size_t size : {std::size_t{1}, std::size_t{256}, std::size_t{257}, most}) {
        pair.b.received.clear();
        std::vector<std::string> texts;
        for (char letter = 'a'; letter < 'a' + 20; ++letter) {
            texts.emplace_back(size, letter);
        }
        pair.a.send(&pair.two, texts);
        REQUIRE(wait_for({&pair.a, &pair.b}, [&] {
            // A greeting that was sent once more may still be under way.
            std::erase_if(pair.b.received,
                          [&](const Received& each) { return each.text.size() != size; });
            return pair.b.received.size() >= 20;
        }));
        for (std::size_t i = 0; i < texts.size(); ++i) {
            CHECK(pair.b.received[i].text == texts[i]);
        }
    }
}

TEST_CASE("a burst is one doorbell, and completions are few") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const auto before = pair.a.device();
    pair.a.send(&pair.two, std::vector<std::string>(64, std::string(1000, 'x')));
    REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.b.received.size() >= 65; }));
    (void)pair.a.link->held_from();
    const auto after = pair.a.device();
    CHECK(after.doorbells_sent - before.doorbells_sent == 1);
    CHECK(after.sends - before.sends == 64);
    CHECK(after.sends_inline == before.sends_inline);
    CHECK(after.completions_sent - before.completions_sent <= 4);
}

TEST_CASE("neither sender nor receiver copies a datagram") {
    if (!copies::are_counted()) return;
    {
        const copies::Counted counted;
        // Not by the compiler's own means.
        void* (*volatile copy)(void*, const void*, std::size_t) = std::memcpy;
        const std::string from(copies::kBytesMin, 'x');
        std::string to(copies::kBytesMin, ' ');
        copy(to.data(), from.data(), from.size());
        REQUIRE(to == from);
    }
    REQUIRE(copies::made() > 0);
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const std::size_t most = pair.a.device().packet_bytes;
    // The first time the list of requests, which is kept, grows.
    std::size_t before = 0;
    for (const char letter : {'a', 'b'}) {
        before = copies::made();
        pair.b.received.clear();
        pair.a.send(&pair.two, std::vector<std::string>(64, std::string(most, letter)));
        REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.b.received.size() >= 64; }));
    }
    CHECK(copies::made() == before);
}

TEST_CASE("small datagrams need no memory of the sender's") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const auto before = pair.a.device();
    pair.a.send(&pair.two, std::string(200, 'x'));
    CHECK(pair.a.device().sends_inline == before.sends_inline + 1);
    CHECK_FALSE(pair.a.link->held_from().has_value());
}

TEST_CASE("what goes to the group comes to all others, and not back") {
    Pair pair;
    End c(3);
    REQUIRE(wait_for({&pair.a, &pair.b, &c}, [&] {
        return pair.a.link->group() != nullptr && pair.b.link->group() != nullptr &&
               c.link->group() != nullptr;
    }));
    auto next = os::now();
    REQUIRE(wait_for({&pair.a, &pair.b, &c}, [&] {
        if (os::now() >= next) {
            pair.a.send(pair.a.link->group(), "to all");
            next = os::now() + std::chrono::milliseconds(200);
        }
        return pair.b.got("to all") && c.got("to all") && pair.a.device().echoes > 0;
    }));
    CHECK(pair.a.received.empty());
}

TEST_CASE("what is larger than the port carries is counted, and breaks nothing") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    pair.a.send(&pair.two, std::string(pair.a.device().packet_bytes + 1, 'x'));
    CHECK(pair.a.counters().too_large == 1);
    CHECK(reaches(pair.a, pair.two, pair.b, "again"));
    CHECK(pair.a.device().queue_pairs == 1);
}

TEST_CASE("a receive queue that runs empty loses packets and goes on") {
    Pair pair;
    const auto three = address_of(3);
    End small(3, 16);
    pair.a.link->set_peers(std::span(&three, 1));
    REQUIRE(reaches(pair.a, three, small, "hello"));
    for (int burst = 0; burst < 4; ++burst) {
        pair.a.send(&three, std::vector<std::string>(64, std::string(500, 'x')));
    }
    REQUIRE(reaches(pair.a, three, small, "still there"));
    CHECK(small.received.size() >= 16);
    CHECK(small.received.size() < 250);
    CHECK(small.device().queue_pairs == 1);
}

TEST_CASE("a send queue that is full waits, and each send is accounted for") {
    Pair pair;
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    const auto sends = pair.a.device().sends;
    const auto not_sent = pair.a.counters().not_sent;
    for (int burst = 0; burst < 40; ++burst) {
        pair.a.send(&pair.two, std::vector<std::string>(32, std::string(900, 'x')));
        pair.b.turn();
    }
    const auto given_up = pair.a.counters().not_sent - not_sent;
    MESSAGE(given_up, " of 1280 given up");  // The device was not run for all of the wait.
    CHECK(pair.a.device().sends - sends + given_up == 1280);
    CHECK(reaches(pair.a, pair.two, pair.b, "and goes on"));
    CHECK(pair.a.device().queue_pairs == 1);
}

TEST_CASE("a device that takes few requests does not wait for completions that nobody asked for") {
    REQUIRE(::setenv("HALO_RDMA_QUEUE_MAX", "16", 1) == 0);  // faults.cpp
    Pair pair;
    REQUIRE(::unsetenv("HALO_RDMA_QUEUE_MAX") == 0);
    REQUIRE(pair.a.device().receives == 16);
    REQUIRE(reaches(pair.a, pair.two, pair.b, "hello"));
    for (int i = 0; i < 10; ++i) {
        for (const std::size_t burst : {std::size_t{1}, std::size_t{7}, std::size_t{8}}) {
            const std::string text(600, static_cast<char>('a' + i));
            pair.b.received.clear();
            pair.a.send(&pair.two, std::vector<std::string>(burst, text));
            REQUIRE(wait_for({&pair.a, &pair.b}, [&] { return pair.b.got(text); }));
        }
    }
    CHECK(pair.a.device().queue_pairs == 1);
}
