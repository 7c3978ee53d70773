// The order of libhalo's stream: which of the daemons' next events may be told.
#include "libclient/src/halo/stream_order.hpp"

#include <doctest/doctest.h>

namespace {

using halo::Change;
using halo::Event;
using halo::Group;
using halo::Member;
using halo::Membership;
using halo::Message;
using halo::NodesChange;
using halo::QuorumChange;
using halo::QuorumEvent;
using halo::Reason;
using halo::Ring;
using halo::StreamOrder;

const Member kSelf{.node = 1, .pid = 10};
const Member kOther{.node = 2, .pid = 20};
const Group kGroup{7};

Event message() {
    return Message{.group = kGroup, .sender = kOther, .bytes = {}};
}
Event ring(std::uint64_t seq) {
    return Ring{.group = kGroup, .seq = seq, .representative = 1, .nodes = {1, 2}};
}
Event joins(const Member& member, Reason reason = Reason::Join) {
    return Membership{.group = kGroup,
                      .members = {kSelf, kOther},
                      .left = {},
                      .joined = {Change{.member = member, .reason = reason}}};
}
Event leaves(const Member& member, Reason reason = Reason::Leave) {
    return Membership{.group = kGroup,
                      .members = {kSelf},
                      .left = {Change{.member = member, .reason = reason}},
                      .joined = {}};
}
QuorumEvent nodes(std::uint64_t seq) {
    return NodesChange{
        .ring_seq = seq, .representative = 1, .nodes = {1, 2}, .joined = {}, .left = {}};
}
QuorumEvent decided(std::uint64_t seq, bool quorate = true) {
    return QuorumChange{.quorate = quorate, .ring_seq = seq, .representative = 1, .nodes = {1, 2}};
}

// In a group, in a ring that is decided.
StreamOrder in_ring(std::uint64_t seq) {
    StreamOrder order(kSelf);
    order.passed(nodes(seq));
    order.passed(decided(seq));
    order.passed(joins(kSelf));
    order.passed(ring(seq));
    return order;
}

}  // namespace

TEST_CASE(
    "messages of a new ring wait for its decision, and what nodes did to the group does not") {
    StreamOrder order = in_ring(5);
    CHECK(order.may_pass(message()));
    CHECK(order.may_pass(leaves(kOther, Reason::NodeDown)));
    order.passed(leaves(kOther, Reason::NodeDown));
    order.passed(ring(6));
    CHECK_FALSE(order.may_pass(message()));
    CHECK_FALSE(order.may_pass(joins(kOther)));
    CHECK(order.may_pass(joins(kOther, Reason::NodeUp)));
    CHECK(order.may_pass(ring(6)));  // Of another group.
    order.passed(nodes(6));
    CHECK_FALSE(order.may_pass(message()));
    CHECK(order.may_pass(decided(6)));
    order.passed(decided(6));
    CHECK(order.may_pass(message()));
}

TEST_CASE("a yes waits for the groups, a no and the list of nodes don't") {
    StreamOrder order = in_ring(5);
    CHECK(order.may_pass(nodes(6)));
    order.passed(nodes(6));
    CHECK(order.may_pass(message()));  // Of ring 5.
    CHECK_FALSE(order.may_pass(decided(6)));
    CHECK(order.may_pass(decided(6, false)));
    order.passed(ring(6));
    CHECK(order.may_pass(decided(6)));
    // Decided again in the same ring.
    order.passed(decided(6));
    CHECK(order.may_pass(decided(6, false)));
    CHECK(order.may_pass(decided(6)));
}

TEST_CASE("a ring that ends before it was decided holds nothing back") {
    StreamOrder order = in_ring(5);
    order.passed(ring(6));
    order.passed(nodes(6));
    CHECK_FALSE(order.may_pass(message()));
    order.passed(nodes(7));
    CHECK(order.may_pass(message()));
    CHECK_FALSE(order.may_pass(decided(7)));
    order.passed(ring(7));
    CHECK_FALSE(order.may_pass(message()));
    CHECK(order.may_pass(decided(7)));
}

TEST_CASE("in no group quorum waits for nothing") {
    StreamOrder order(kSelf);
    CHECK(order.may_pass(decided(3)));
    order = in_ring(5);
    order.passed(leaves(kSelf));
    CHECK(order.may_pass(decided(9)));
}

TEST_CASE("keys wait from a change of the nodes to its decision") {
    StreamOrder order = in_ring(5);
    CHECK(order.may_pass_key());
    order.passed(nodes(6));
    CHECK_FALSE(order.may_pass_key());
    order.passed(decided(6, false));
    CHECK(order.may_pass_key());
}
