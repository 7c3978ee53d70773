#include "common/zmtp/incoming.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/unit/common/zmtp/support.hpp"

using namespace zmtp;
using test::pattern;
using test::same;

namespace {

void append(std::vector<std::byte>& stream, std::span<const std::byte> bytes) {
    stream.insert(stream.end(), bytes.begin(), bytes.end());
}

void append_message(std::vector<std::byte>& stream, const base::Buffer& message) {
    std::array<std::byte, kFrameHeadBytesMax> head{};
    append(stream, std::span(head).first(encode_message_head(message.size(), head.data())));
    append(stream, message.bytes());
}

std::vector<std::byte> handshake() {
    std::vector<std::byte> stream;
    append(stream, encode_greeting());
    append(stream, encode_ready(Side::Connecting));
    return stream;
}

struct Read {
    std::vector<base::Buffer> messages;
    std::optional<WireError> error;
    bool ready = false;
};

// Feeds the stream in pieces that `size_of` gives one after the other.
template <class SizeOf>
Read read(Incoming& incoming, std::span<const std::byte> stream, SizeOf size_of) {
    Read read;
    while (true) {
        base::Buffer body;
        const auto found = incoming.next(body);
        if (!found) {
            read.error = found.error();
            return read;
        }
        if (*found == Incoming::Found::PeerReady) read.ready = true;
        if (*found == Incoming::Found::Message) read.messages.push_back(body);
        if (*found != Incoming::Found::Nothing) continue;
        if (stream.empty()) return read;
        const auto room = incoming.room();
        REQUIRE(!room.empty());
        const std::size_t size = std::min({room.size(), stream.size(), size_of()});
        std::ranges::copy(stream.first(size), room.begin());
        incoming.filled(size);
        stream = stream.subspan(size);
    }
}

}  // namespace

TEST_CASE("messages come out whole wherever the stream is cut") {
    std::vector<std::byte> stream = handshake();
    std::vector<base::Buffer> sent;
    for (const std::size_t size : {0u, 1u, 2u, 255u, 256u, 300u, 5u}) {
        sent.push_back(pattern(size, size));
        append_message(stream, sent.back());
    }
    for (std::size_t cut = 1; cut < stream.size(); ++cut) {
        Incoming incoming(Side::Listening, 128, 1000);
        bool first = true;
        const Read got = read(incoming, stream,
                              [&] { return std::exchange(first, false) ? cut : stream.size(); });
        REQUIRE(!got.error);
        CHECK(got.ready);
        REQUIRE(got.messages.size() == sent.size());
        for (std::size_t i = 0; i < sent.size(); ++i) {
            CHECK(same(got.messages[i], sent[i]));
        }
    }
}

TEST_CASE("one byte at a time, in small blocks, while all messages are kept") {
    std::vector<std::byte> stream = handshake();
    std::vector<base::Buffer> sent;
    for (std::size_t i = 0; i < 500; ++i) {
        sent.push_back(pattern(i * 3 % 401, i));
        append_message(stream, sent.back());
    }
    Incoming incoming(Side::Listening, 200, 1000);
    const Read got = read(incoming, stream, [] { return std::size_t{1}; });
    REQUIRE(got.messages.size() == sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
        CHECK(same(got.messages[i], sent[i]));
    }
    CHECK(incoming.waiting_bytes() == 0);
}

TEST_CASE("messages of one read lie in one block of memory") {
    std::vector<std::byte> stream = handshake();
    append_message(stream, pattern(10));
    append_message(stream, pattern(20));
    Incoming incoming(Side::Listening, 4096, 1000);
    const Read got = read(incoming, stream, [&] { return stream.size(); });
    REQUIRE(got.messages.size() == 2);
    CHECK(got.messages[1].data() == got.messages[0].data() + 10 + 2);
}

TEST_CASE("who sends more than the first small block takes gets whole ones") {
    Incoming incoming(Side::Listening, 65'536, 1000);
    (void)read(incoming, handshake(), [] { return std::size_t{65'536}; });
    const std::size_t small = incoming.room().size();
    REQUIRE(small < 65'536);
    // The last message ends where the block does, and nobody holds one.
    std::vector<std::byte> stream;
    while (stream.size() < small) {
        append_message(stream, pattern(62));
    }
    REQUIRE(stream.size() == small);
    (void)read(incoming, stream, [] { return std::size_t{65'536}; });
    CHECK(incoming.room().size() > 60'000);
}

TEST_CASE("a block that nobody holds is written anew") {
    Incoming incoming(Side::Listening, 4096, 1000);
    const auto hello = handshake();
    (void)read(incoming, hello, [] { return std::size_t{4096}; });
    const auto* first = incoming.room().data();
    for (int i = 0; i < 100; ++i) {
        std::vector<std::byte> stream;
        append_message(stream, pattern(500));
        (void)read(incoming, stream, [] { return std::size_t{4096}; });
    }
    CHECK(incoming.room().data() == first);
}

TEST_CASE("the block of a long message is kept for the next, up to a bound and unless it is held") {
    const auto hello = handshake();
    const base::Buffer message = pattern(9000);
    std::vector<std::byte> stream;
    for (int i = 0; i < 20; ++i) {
        append_message(stream, message);
    }
    for (const std::size_t kept : {std::size_t{0}, std::size_t{20'000}}) {
        CAPTURE(kept);
        Incoming incoming(Side::Listening, 4096, 10'000, kept);
        (void)read(incoming, hello, [] { return std::size_t{4096}; });
        std::vector<base::MutableBuffer> others;  // Take what is freed, so that it shows.
        std::set<const std::byte*> places;
        std::size_t whole = 0;
        // Pieces that end anywhere in a message; who has a message lets go of it at once.
        for (std::span<const std::byte> rest = stream; !rest.empty();) {
            const auto room = incoming.room();
            const std::size_t size = std::min({room.size(), rest.size(), std::size_t{700}});
            std::ranges::copy(rest.first(size), room.begin());
            incoming.filled(size);
            rest = rest.subspan(size);
            base::Buffer body;
            while (*incoming.next(body) == Incoming::Found::Message) {
                CHECK(same(body, message));
                places.insert(body.data());
                ++whole;
                body = {};
            }
            others.emplace_back(4096);
            others.emplace_back(9009);
        }
        CHECK(whole == 20);
        CHECK((places.size() == 1) == (kept > 0));
        const auto held = read(incoming, stream, [] { return std::size_t{700}; }).messages;
        REQUIRE(held.size() == 20);
        CHECK(std::ranges::all_of(held, [&](const auto& each) { return same(each, message); }));
    }
}

TEST_CASE("a hostile length takes no memory, a message before READY ends it") {
    std::vector<std::byte> stream = handshake();
    std::array<std::byte, kFrameHeadBytesMax> head{};
    append(stream, std::span(head).first(encode_message_head(std::size_t{1} << 40u, head.data())));
    Incoming incoming(Side::Listening, 4096, 1000);
    CHECK(read(incoming, stream, [] { return std::size_t{4096}; }).error == WireError::TooLong);

    std::vector<std::byte> early;
    append(early, encode_greeting());
    append_message(early, pattern(3));
    Incoming other(Side::Listening, 4096, 1000);
    CHECK(read(other, early, [] { return std::size_t{4096}; }).error == WireError::Command);

    std::vector<std::byte> twice = handshake();
    append(twice, encode_ready(Side::Connecting));
    Incoming third(Side::Listening, 4096, 1000);
    CHECK(read(third, twice, [] { return std::size_t{4096}; }).error == WireError::Command);
}
