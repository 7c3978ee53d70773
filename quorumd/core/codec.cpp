#include "quorumd/core/codec.hpp"

#include <optional>

namespace quorum {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;

enum class Breaker : std::uint8_t { None = 0, Lowest = 1, Highest = 2, List = 3 };

constexpr std::size_t kNodeBytes = 4;
constexpr std::size_t kMemberBytes = 8;

std::uint32_t read_votes(FrameReader& reader) {
    const auto votes = reader.read<std::uint32_t>();
    if (votes > kVotesMax) reader.refuse(FrameError::OutOfRange);
    return votes;
}

// A sum of votes: of all nodes and the device.
constexpr std::uint32_t kSumMax = (kListMax + 1) * kVotesMax;

std::uint32_t read_sum(FrameReader& reader) {
    const auto sum = reader.read<std::uint32_t>();
    if (sum > kSumMax) reader.refuse(FrameError::OutOfRange);
    return sum;
}

void write_breaker(FrameWriter& writer, const std::optional<TieBreaker>& breaker) {
    if (!breaker) {
        writer.write_enum(Breaker::None);
    } else if (std::holds_alternative<LowestNode>(*breaker)) {
        writer.write_enum(Breaker::Lowest);
    } else if (std::holds_alternative<HighestNode>(*breaker)) {
        writer.write_enum(Breaker::Highest);
    } else {
        const auto& list = std::get<FirstOf>(*breaker).nodes;
        writer.write_enum(Breaker::List);
        writer.write_count(list.size());
        for (const base::NodeId node : list) {
            writer.write_node(node);
        }
    }
}

std::optional<TieBreaker> read_breaker(FrameReader& reader) {
    switch (reader.read_enum(Breaker::List)) {
        case Breaker::None:
            return std::nullopt;
        case Breaker::Lowest:
            return LowestNode{};
        case Breaker::Highest:
            return HighestNode{};
        case Breaker::List:
            break;
    }
    FirstOf list;
    const std::size_t count = reader.read_count(kNodeBytes);
    if (count > kListMax) reader.refuse(FrameError::OutOfRange);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        list.nodes.push_back(reader.read_node());
    }
    return list;
}

void write_rules(FrameWriter& writer, const Rules& rules) {
    writer.write_bool(rules.two_node);
    writer.write_bool(rules.wait_for_all);
    writer.write_bool(rules.last_man_standing);
    writer.write_bool(rules.allow_downscale);
    write_breaker(writer, rules.tie_breaker);
}

Rules read_rules(FrameReader& reader) {
    Rules rules;
    rules.two_node = reader.read_bool();
    rules.wait_for_all = reader.read_bool();
    rules.last_man_standing = reader.read_bool();
    rules.allow_downscale = reader.read_bool();
    rules.tie_breaker = read_breaker(reader);
    return rules;
}

}  // namespace

void write_standing(FrameWriter& writer, const Standing& standing) {
    writer.write(standing.expected_votes);
    writer.write(standing.threshold);
    writer.write(standing.total_votes);
    writer.write_bool(standing.quorate);
    writer.write_bool(standing.all_seen);
    writer.write_bool(standing.lowered);
    writer.write(standing.last_quorate_seq);
    writer.write_count(standing.last_quorate.size());
    for (const auto& [node, votes] : standing.last_quorate) {
        writer.write_node(node);
        writer.write(votes);
    }
}

Standing read_standing(FrameReader& reader) {
    Standing standing;
    standing.expected_votes = read_sum(reader);
    standing.threshold = read_sum(reader);
    standing.total_votes = read_sum(reader);
    standing.quorate = reader.read_bool();
    standing.all_seen = reader.read_bool();
    standing.lowered = reader.read_bool();
    standing.last_quorate_seq = reader.read<std::uint64_t>();
    const std::size_t count = reader.read_count(kMemberBytes);
    if (count > kListMax) reader.refuse(FrameError::OutOfRange);
    base::NodeId last{};
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const base::NodeId node = reader.read_node();
        if (node <= last) reader.refuse(FrameError::OutOfRange);
        last = node;
        standing.last_quorate.emplace(node, read_votes(reader));
    }
    return standing;
}

void write_announcement(FrameWriter& writer, const Announcement& announcement) {
    writer.write(announcement.votes);
    writer.write_bool(announcement.leaving);
    const Options& options = announcement.options;
    writer.write(options.config_version);
    writer.write(options.expected_votes);
    writer.write(options.device_votes);
    write_rules(writer, options.rules);
    const DeviceReport& device = announcement.device;
    writer.write_bool(device.registered);
    writer.write_bool(device.alive);
    writer.write_bool(device.casts);
    writer.write_bool(device.master_wins);
    writer.write_ring(device.polled);
}

Announcement read_announcement(FrameReader& reader) {
    Announcement announcement;
    announcement.votes = read_votes(reader);
    announcement.leaving = reader.read_bool();
    Options& options = announcement.options;
    options.config_version = reader.read<std::uint64_t>();
    options.expected_votes = read_sum(reader);
    options.device_votes = read_votes(reader);
    options.rules = read_rules(reader);
    DeviceReport& device = announcement.device;
    device.registered = reader.read_bool();
    device.alive = reader.read_bool();
    device.casts = reader.read_bool();
    device.master_wins = reader.read_bool();
    device.polled = reader.read_ring();
    return announcement;
}

void write_view_id(FrameWriter& writer, const ViewId& view) {
    writer.write_ring(view.ring);
    writer.write(view.version);
}

ViewId read_view_id(FrameReader& reader) {
    ViewId view;
    view.ring = reader.read_ring();
    view.version = reader.read<std::uint64_t>();
    return view;
}

}  // namespace quorum
