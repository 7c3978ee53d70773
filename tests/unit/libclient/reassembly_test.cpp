#include "libclient/src/cpg/reassembly.hpp"

#include <doctest/doctest.h>

#include <string>

namespace {

using client::Reassembly;
using protocol::cpg::Delivered;
using protocol::cpg::GroupHandle;
using Part = protocol::cpg::Mcast::Part;

Delivered part(Part which, const std::string& text, std::uint64_t whole, std::uint32_t pid = 1) {
    return {.handle = GroupHandle{1},
            .node = base::NodeId{1},
            .pid = pid,
            .part = which,
            .message_bytes = whole,
            .payload = base::Buffer::copy_of(std::as_bytes(std::span(text)))};
}

std::optional<std::vector<std::byte>> add(Reassembly& parts, const Delivered& delivered) {
    return parts.add(delivered, delivered.payload.bytes());
}

std::string text_of(const std::optional<std::vector<std::byte>>& message) {
    REQUIRE(message.has_value());
    return {reinterpret_cast<const char*>(message->data()), message->size()};
}

TEST_CASE("parts of several senders do not mix") {
    Reassembly parts;
    CHECK_FALSE(add(parts, part(Part::First, "ab", 6, 1)));
    CHECK_FALSE(add(parts, part(Part::First, "xy", 4, 2)));
    CHECK_FALSE(add(parts, part(Part::Middle, "cd", 6, 1)));
    CHECK(text_of(add(parts, part(Part::Last, "z!", 4, 2))) == "xyz!");
    CHECK(text_of(add(parts, part(Part::Last, "ef", 6, 1))) == "abcdef");
    CHECK(parts.unfinished() == 0);
}

TEST_CASE("parts without a first, and after their sender is gone, are dropped") {
    Reassembly parts;
    CHECK_FALSE(add(parts, part(Part::Middle, "cd", 6)));
    CHECK_FALSE(add(parts, part(Part::Last, "ef", 6)));
    CHECK_FALSE(add(parts, part(Part::First, "ab", 4)));
    parts.drop(GroupHandle{1}, base::NodeId{1}, 1);
    CHECK_FALSE(add(parts, part(Part::Last, "cd", 4)));
    CHECK(parts.unfinished() == 0);
}

TEST_CASE("a new first part drops what was unfinished") {
    Reassembly parts;
    CHECK_FALSE(add(parts, part(Part::First, "old", 6)));
    CHECK_FALSE(add(parts, part(Part::First, "ne", 3)));
    CHECK(text_of(add(parts, part(Part::Last, "w", 3))) == "new");
}

TEST_CASE("a message that is not as long as it said is dropped") {
    Reassembly parts;
    CHECK_FALSE(add(parts, part(Part::First, "ab", 6)));
    CHECK_FALSE(add(parts, part(Part::Last, "cd", 6)));
    CHECK_FALSE(add(parts, part(Part::First, "abcd", 6)));
    CHECK_FALSE(add(parts, part(Part::Last, "efgh", 6)));
    CHECK_FALSE(add(parts, part(Part::First, "ab", client::kMessageBytesMax + 1)));
    CHECK(parts.unfinished() == 0);
}

TEST_CASE("a sender that changes its mind about the length does not make memory grow") {
    Reassembly parts;
    CHECK_FALSE(add(parts, part(Part::First, "abcdef", 10)));
    CHECK_FALSE(add(parts, part(Part::Middle, "", 3)));
    CHECK(parts.unfinished() == 0);
}

}  // namespace
