// Messages between quorum daemons: what is encoded comes back, and nothing else is taken.
#include "quorumd/core/message.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "quorumd/core/core.hpp"

namespace {

using base::NodeId;
using namespace quorum;

Announcement some_announcement() {
    return {.votes = 3,
            .leaving = true,
            .options = {.config_version = 7,
                        .expected_votes = 9,
                        .device_votes = 2,
                        .rules = {.wait_for_all = true,
                                  .tie_breaker = FirstOf{{NodeId{4}, NodeId{2}}}}},
            .device = {.registered = true,
                       .alive = true,
                       .casts = true,
                       .polled = {.seq = 12, .representative = NodeId{1}}}};
}

std::vector<Message> some_messages() {
    std::vector<Message> messages;
    const auto add = [&](decltype(Message::what) what) {
        messages.push_back(
            {.life = 77,
             .number = messages.size() + 1,
             .view = {.ring = {.seq = 12, .representative = NodeId{1}}, .version = 2},
             .what = std::move(what)});
    };
    add(State{.own = some_announcement(),
              .standing = {.expected_votes = 9,
                           .threshold = 5,
                           .total_votes = 6,
                           .quorate = true,
                           .all_seen = true,
                           .last_quorate = {{NodeId{1}, 3}, {NodeId{2}, 1}},
                           .last_quorate_seq = 11,
                           .lowered = true},
              .others_left_ago_ms = 1500});
    add(Announce{.own = some_announcement()});
    Announcement plain;
    plain.options.rules.tie_breaker = HighestNode{};
    add(Announce{.own = plain});
    add(Renewal{});
    add(SetExpected{.expected_votes = 5});
    add(SetVotes{.node = NodeId{3}, .votes = 2});
    add(CancelWaitForAll{});
    add(Lower{});
    add(Skip{.nodes = {NodeId{2}, NodeId{5}}});
    add(Grant{});
    return messages;
}

// With HALO_WRITE_CORPUS=<folder> the fuzz targets' corpora are made anew.
void write_corpus(const std::string& kind, const std::string& name, const base::Buffer& bytes) {
    const char* folder = std::getenv("HALO_WRITE_CORPUS");
    if (folder == nullptr) return;
    std::ofstream file(std::string(folder) + "/" + kind + "/" + name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
}

}  // namespace

TEST_CASE("each message comes back as it was, and none of its truncations is one") {
    for (const Message& message : some_messages()) {
        const base::Buffer bytes = encode_message(message);
        write_corpus("quorum_message", std::to_string(message.number), bytes);
        const auto again = decode_message(bytes);
        REQUIRE(again.has_value());
        CHECK(again->number == message.number);
        CHECK(again->view == message.view);
        CHECK(again->what.index() == message.what.index());
        CHECK(std::ranges::equal(encode_message(*again).bytes(), bytes.bytes()));
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            CHECK_FALSE(decode_message(bytes.slice(0, length)).has_value());
        }
    }
}

TEST_CASE("what no quorumd sends is refused") {
    const auto refused = [](decltype(Message::what) what) {
        return !decode_message(encode_message({.what = std::move(what)})).has_value();
    };
    CHECK(refused(SetExpected{.expected_votes = kVotesMax + 1}));
    CHECK(refused(SetVotes{.node = NodeId{1}, .votes = kVotesMax + 1}));
    CHECK(refused(Skip{.nodes = {NodeId{2}, NodeId{2}}}));
    Announcement many;
    many.votes = kVotesMax + 1;
    CHECK(refused(Announce{.own = many}));
}

TEST_CASE("what is kept restores, and none of its truncations does") {
    Config config;
    config.options.expected_votes = 1;
    config.tracks_expected_votes = true;
    Core core(config, 1);
    std::vector<Action> actions;
    const base::Instant now{std::chrono::hours{1}};
    core.step(now, RingAttached{.self = NodeId{1}, .incarnation = protocol::Incarnation{5}},
              actions);
    protocol::View view{.ring = {.seq = 3, .representative = NodeId{1}},
                        .members = {{NodeId{1}, protocol::Incarnation{5}}},
                        .left = {},
                        .joined = {},
                        .ring_members = {NodeId{1}}};
    core.step(now, RingHappened{{.cursor = protocol::Cursor{1}, .what = view}}, actions);
    CHECK_FALSE(core.can_snapshot());
    const auto payload = std::get<Submit>(actions.back()).payload;
    core.step(now,
              RingHappened{
                  {.cursor = protocol::Cursor{2},
                   .what =
                       protocol::Batch{
                           .ring = view.ring, .seq = 1, .sender = NodeId{1}, .payload = payload}}},
              actions);
    REQUIRE(core.can_snapshot());
    CHECK(core.is_quorate(now));
    const base::Buffer kept = core.snapshot();
    write_corpus("quorum_snapshot", "one_node", kept);
    const auto restored = Core::restore(config, kept, 2);
    REQUIRE(restored.has_value());
    CHECK(restored->is_quorate(now));
    CHECK_FALSE(restored->is_quorate(now + config.lease));
    CHECK(std::ranges::equal(restored->snapshot().bytes(), kept.bytes()));
    for (std::size_t length = 0; length < kept.size(); ++length) {
        CHECK_FALSE(Core::restore(config, kept.slice(0, length), 2).has_value());
    }
}
