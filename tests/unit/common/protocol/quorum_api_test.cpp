// Frames between quorumd and its clients: what is encoded comes back, and no truncation is taken.
#include "common/protocol/quorum_api.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace {

using base::NodeId;
using namespace protocol::quorum;

const base::RingId kRing{.seq = 17, .representative = NodeId{2}};

std::vector<Request> requests() {
    return {GetQuorate{},
            Track{.context = 9, .now = true},
            TrackStop{},
            GetInfo{.node = NodeId{3}},
            SetExpected{.votes = 4},
            SetVotes{.node = NodeId{1}, .votes = 2},
            DeviceRegister{.name = "Qdevice"},
            DeviceUnregister{.name = "Qdevice"},
            DeviceUpdate{.old_name = "a", .new_name = "b"},
            DevicePoll{.name = "Qdevice", .casts = true, .ring = kRing},
            DeviceMasterWins{.name = "Qdevice", .allowed = true}};
}

std::vector<Answer> answers() {
    return {Quorate{.quorate = true, .until_ns = 77},
            Info{.node = NodeId{1},
                 .state = NodeState::Member,
                 .votes = 1,
                 .expected_votes = 3,
                 .highest_expected = 3,
                 .total_votes = 2,
                 .quorum = 2,
                 .flags = 2,
                 .device_votes = 1,
                 .device_name = "Qdevice"},
            NodelistEvent{.context = 1,
                          .ring = kRing,
                          .members = {NodeId{1}, NodeId{2}},
                          .joined = {NodeId{2}},
                          .left = {NodeId{5}}},
            QuorumEvent{.context = 1,
                        .quorate = true,
                        .ring = kRing,
                        .until_ns = 5,
                        .nodes = {{NodeId{1}, NodeState::Member}, {NodeId{2}, NodeState::Dead}}},
            ExpectedVotesEvent{.context = 3, .votes = 8}};
}

// With HALO_WRITE_CORPUS=<folder> the fuzz targets' corpora are made anew.
void write_corpus(const std::string& kind, std::size_t number, const base::Buffer& bytes) {
    const char* folder = std::getenv("HALO_WRITE_CORPUS");
    if (folder == nullptr) return;
    std::ofstream file(std::string(folder) + "/" + kind + "/" + std::to_string(number),
                       std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<long>(bytes.size()));
}

template <class Frame, class Decode>
void check(const std::string& kind, const std::vector<Frame>& frames, Decode decode) {
    for (std::size_t i = 0; i < frames.size(); ++i) {
        const base::Buffer bytes = encode(frames[i]);
        write_corpus(kind, i, bytes);
        const auto again = decode(bytes);
        REQUIRE(again.has_value());
        CHECK(again->index() == frames[i].index());
        CHECK(std::ranges::equal(encode(*again).bytes(), bytes.bytes()));
        for (std::size_t length = 0; length < bytes.size(); ++length) {
            CHECK_FALSE(decode(bytes.slice(0, length)).has_value());
        }
    }
}

}  // namespace

TEST_CASE("each request to quorumd comes back as it was, and none of its truncations is one") {
    check("quorum_request", requests(), decode_request);
}

TEST_CASE("each answer of quorumd comes back as it was, and none of its truncations is one") {
    check("quorum_answer", answers(), decode_answer);
}

TEST_CASE("lists of nodes ascend, and states are those that are known") {
    CHECK_FALSE(decode_answer(encode(Answer{NodelistEvent{
                                  .members = {NodeId{2}, NodeId{2}}, .joined = {}, .left = {}}}))
                    .has_value());
    CHECK_FALSE(decode_answer(
                    encode(Answer{QuorumEvent{.nodes = {{NodeId{1}, static_cast<NodeState>(4)}}}}))
                    .has_value());
}
