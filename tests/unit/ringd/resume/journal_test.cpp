#include "ringd/resume/journal.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <memory>

#include "ringd/resume/input.hpp"

namespace {

using resume::Journal;
using resume::Stamp;
using resume::Unusable;
using Bytes = std::vector<std::byte>;

constexpr Stamp kStamp{.build = 1, .boot = 2, .settings = 3};
constexpr base::Duration kAgeMax = std::chrono::seconds(1);

base::Instant at(int ms) {
    return base::Instant(std::chrono::milliseconds(1000 + ms));
}

// As a memory file is: aligned, and of zeros at first.
struct Memory {
    std::vector<std::uint64_t> words = std::vector<std::uint64_t>(resume::kMemoryBytesMin / 8, 0);

    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words)); }
};

Bytes bytes(std::size_t count, int first) {
    Bytes out(count);
    for (std::size_t i = 0; i < count; ++i)
        out[i] = static_cast<std::byte>(static_cast<std::size_t>(first) + i);
    return out;
}

bool checkpoint(Journal& journal, base::Instant now, const Bytes& state) {
    const auto room = journal.room_for_state();
    std::copy_n(state.begin(), std::min(state.size(), room.size()), room.begin());
    return journal.checkpoint(now, state.size());
}

// What a process that is killed now would leave.
base::Expected<Journal::Left, Unusable> left(Memory& memory, int ms = 10) {
    return Journal::read(memory.bytes(), kStamp, at(ms), kAgeMax);
}

}  // namespace

TEST_CASE("inputs count from commit on, and are done with from done on") {
    Memory memory;
    Journal journal(memory.bytes(), kStamp);
    CHECK(left(memory).error() == Unusable::Empty);
    REQUIRE(checkpoint(journal, at(0), bytes(100, 1)));

    REQUIRE(journal.append(bytes(5, 10)));
    REQUIRE(left(memory).has_value());
    CHECK(left(memory)->inputs.empty());
    journal.forget_tries();

    journal.commit(at(1));
    {
        const auto found = left(memory);
        REQUIRE(found.has_value());
        CHECK(std::ranges::equal(found->state, bytes(100, 1)));
        REQUIRE(found->inputs.size() == 1);
        CHECK(std::ranges::equal(found->inputs[0], bytes(5, 10)));
        CHECK(found->inputs_done == 0);
    }
    journal.done();
    REQUIRE(journal.append(bytes(0, 0)));
    REQUIRE(journal.append(bytes(9, 20)));
    journal.commit(at(2));
    journal.forget_tries();
    const auto found = left(memory);
    REQUIRE(found.has_value());
    CHECK(found->inputs.size() == 3);
    CHECK(found->inputs_done == 1);
}

TEST_CASE("an input in two parts is one, however they are cut") {
    for (std::size_t head = 0; head <= 300; head += 50) {
        for (std::size_t body = 0; body <= 300; body += 50) {
            CAPTURE(head);
            CAPTURE(body);
            Memory memory;
            Journal journal(memory.bytes(), kStamp);
            REQUIRE(checkpoint(journal, at(0), bytes(10, 1)));
            const auto whole = bytes(head + body, 3);
            REQUIRE(journal.append(std::span(whole).first(head), std::span(whole).subspan(head)));
            journal.commit(at(1));
            const auto found = left(memory);
            REQUIRE(found.has_value());
            REQUIRE(found->inputs.size() == 1);
            CHECK(std::ranges::equal(found->inputs[0], whole));
        }
    }
}

TEST_CASE("a full half asks for a checkpoint, and the other half takes it") {
    Memory memory;
    Journal journal(memory.bytes(), kStamp);
    for (int round = 0; round < 5; ++round) {
        CAPTURE(round);
        REQUIRE(checkpoint(journal, at(0), bytes(64, round)));
        std::size_t appended = 0;
        while (journal.append(bytes(1000, round))) {
            journal.commit(at(1));
            journal.done();
            ++appended;
        }
        CHECK(appended > 20);
        journal.forget_tries();
        const auto found = left(memory);
        REQUIRE(found.has_value());
        CHECK(std::ranges::equal(found->state, bytes(64, round)));
        CHECK(found->inputs.size() == appended);
        CHECK(found->inputs_done == appended);
    }
}

TEST_CASE("a state that does not fit leaves nothing to go on from") {
    Memory memory;
    Journal journal(memory.bytes(), kStamp);
    REQUIRE(checkpoint(journal, at(0), bytes(10, 1)));
    CHECK_FALSE(checkpoint(journal, at(0), bytes(resume::kMemoryBytesMin, 1)));
    CHECK_FALSE(journal.is_valid());
    CHECK(left(memory).error() == Unusable::NotMember);
    CHECK(checkpoint(journal, at(0), bytes(10, 1)));
    CHECK(left(memory).has_value());
}

TEST_CASE("what can't be proven to be ours and fresh is not used") {
    Memory memory;
    Journal journal(memory.bytes(), kStamp);
    REQUIRE(checkpoint(journal, at(0), bytes(10, 1)));
    SUBCASE("inputs of another build") {
        const Stamp other{.build = 9, .boot = 2, .settings = 3};
        CHECK(Journal::read(memory.bytes(), other, at(1), kAgeMax).has_value());
        REQUIRE(journal.append(bytes(3, 1)));
        CHECK(Journal::read(memory.bytes(), other, at(1), kAgeMax).has_value());
        journal.forget_tries();
        journal.commit(at(1));
        CHECK(Journal::read(memory.bytes(), other, at(1), kAgeMax).error() == Unusable::OtherBuild);
    }
    SUBCASE("other settings") {
        CHECK(Journal::read(memory.bytes(), {.build = 1, .boot = 2, .settings = 9}, at(1), kAgeMax)
                  .error() == Unusable::OtherStamp);
    }
    SUBCASE("too old") {
        CHECK(left(memory, 1001).error() == Unusable::TooOld);
    }
    SUBCASE("of the future: another boot's clock") {
        CHECK(left(memory, -1).error() == Unusable::TooOld);
    }
    SUBCASE("the member had left its ring") {
        journal.invalidate();
        CHECK(left(memory).error() == Unusable::NotMember);
    }
    SUBCASE("a crash loop") {
        CHECK(left(memory).has_value());
        CHECK(left(memory).has_value());
        CHECK(left(memory).error() == Unusable::TooManyTries);
        // Also when each of them made a new journal of it.
        Journal next(memory.bytes(), kStamp);
        REQUIRE(checkpoint(next, at(0), bytes(10, 1)));
        CHECK(left(memory).error() == Unusable::TooManyTries);
        next.forget_tries();
        CHECK(left(memory).has_value());
    }
    SUBCASE("a memory of another size") {
        CHECK(Journal::read(memory.bytes().first(1000), kStamp, at(1), kAgeMax).error() ==
              Unusable::OtherLayout);
    }
}

TEST_CASE("no flipped bit is taken for a state") {
    Memory memory;
    Journal journal(memory.bytes(), kStamp);
    const Bytes state = bytes(40, 1);
    REQUIRE(checkpoint(journal, at(0), state));
    for (int i = 0; i < 3; ++i)
        REQUIRE(journal.append(bytes(20, i)));
    journal.commit(at(1));
    const Memory good = memory;
    std::size_t refused = 0;
    for (std::size_t word = 0; word < memory.words.size(); ++word) {
        if (good.words[word] == 0 && word > 64 && word % 512 != 0) continue;  // Unused.
        for (unsigned bit = 0; bit < 64; ++bit) {
            memory = good;
            memory.words[word] ^= std::uint64_t{1} << bit;
            const auto found = left(memory);
            if (!found) {
                ++refused;
                continue;
            }
            // The times and counts alone are no content; less may count, but nothing else.
            CHECK(std::ranges::equal(found->state, state));
            REQUIRE(found->inputs.size() <= 3);
            for (std::size_t i = 0; i < found->inputs.size(); ++i)
                CHECK(std::ranges::equal(found->inputs[i], bytes(20, static_cast<int>(i))));
        }
    }
    CHECK(refused > 500);
}

TEST_CASE("an input survives the journal, and none of its beginnings does") {
    const resume::Input inputs[] = {
        {.now = at(1),
         .what = totem::Event{totem::PacketArrived{.from = base::NodeId{2},
                                                   .link = totem::LinkId{1},
                                                   .packet = base::Buffer::copy_of(bytes(9, 1))}}},
        {.now = at(2),
         .what = totem::Event{totem::PacketsArrived{.from = base::NodeId{2},
                                                    .link = totem::LinkId{1},
                                                    .bytes = base::Buffer::copy_of(bytes(9, 1)),
                                                    .lengths = {4, 0, 5}}}},
        {.now = at(2), .what = totem::Event{totem::Drained{}}},
        {.now = at(3),
         .what = totem::Event{totem::PeersConfigured{
             .peers = {{.node = base::NodeId{3}, .links = {totem::LinkId{0}}}}}}},
        {.now = at(4),
         .what = resume::ServiceFrame{.from = stream::ConnectionId{7},
                                      .frame = base::Buffer::copy_of(bytes(3, 1))}},
        {.now = at(5), .what = resume::TurnEnded{}},
    };
    for (const resume::Input& input : inputs) {
        base::ArchiveWriter writer;
        encode_input(input, writer);
        const auto found = resume::decode_input(writer.bytes());
        REQUIRE(found.has_value());
        base::ArchiveWriter again;
        encode_input(*found, again);
        CHECK(again.bytes() == writer.bytes());
        for (std::size_t length = 0; length < writer.bytes().size(); ++length)
            CHECK_FALSE(resume::decode_input(std::span(writer.bytes()).first(length)).has_value());
    }
}
