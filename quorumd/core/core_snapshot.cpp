// What the next life of this quorumd goes on from: kept in memory that outlives the process, not
// the machine.
#include "common/base/invariant.hpp"
#include "quorumd/core/codec.hpp"
#include "quorumd/core/core.hpp"

namespace quorum {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;

constexpr std::uint16_t kSnapshotVersion = 1;
constexpr std::size_t kUsualBytes = 1024;
constexpr std::size_t kNodeBytes = 4;
constexpr std::size_t kViewMemberBytes = 12;
constexpr std::size_t kSaidBytesMin = 40;

void write_time(FrameWriter& writer, const std::optional<base::Instant>& time) {
    writer.write_bool(time.has_value());
    if (time) writer.write(static_cast<std::uint64_t>(time->time_since_epoch().count()));
}

std::optional<base::Instant> read_time(FrameReader& reader) {
    if (!reader.read_bool()) return std::nullopt;
    const auto count = reader.read<std::uint64_t>();
    if (count > INT64_MAX / 2) reader.refuse(FrameError::OutOfRange);
    return base::Instant{base::Duration{static_cast<std::int64_t>(count)}};
}

void write_nodes(FrameWriter& writer, const std::vector<base::NodeId>& nodes) {
    writer.write_count(nodes.size());
    for (const base::NodeId node : nodes) {
        writer.write_node(node);
    }
}

std::vector<base::NodeId> read_nodes(FrameReader& reader) {
    std::vector<base::NodeId> nodes;
    const std::size_t count = reader.read_count(kNodeBytes);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        nodes.push_back(reader.read_node());
    }
    return nodes;
}

void write_view(FrameWriter& writer, const protocol::View& view) {
    write_view_id(writer, {view.ring, view.version});
    writer.write_count(view.members.size());
    for (const protocol::ViewMember& member : view.members) {
        writer.write_node(member.node);
        writer.write(member.incarnation.value());
    }
    write_nodes(writer, view.ring_members);
}

protocol::View read_view(FrameReader& reader) {
    protocol::View view;
    const ViewId id = read_view_id(reader);
    view.ring = id.ring;
    view.version = id.version;
    const std::size_t count = reader.read_count(kViewMemberBytes);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const base::NodeId node = reader.read_node();
        view.members.push_back(
            {.node = node, .incarnation = protocol::Incarnation{reader.read<std::uint64_t>()}});
    }
    view.ring_members = read_nodes(reader);
    return view;
}

}  // namespace

base::Buffer Core::snapshot() const {
    INVARIANT(can_snapshot());
    FrameWriter writer(kUsualBytes);
    writer.write(kSnapshotVersion);
    writer.write_node(self_);
    writer.write(incarnation_.value());
    writer.write(applied_.value());
    writer.write_bool(is_serving_);
    writer.write(config_.votes);
    write_announcement(writer, own_);
    writer.write_text(device_name_);
    write_time(writer, device_deadline_);
    write_view(writer, view_);
    writer.write_bool(is_transitional_);
    writer.write_count(said_.size());
    for (const auto& [node, said] : said_) {
        writer.write_node(node);
        write_announcement(writer, said);
    }
    write_nodes(writer, {skipped_.begin(), skipped_.end()});
    write_standing(writer, standing_);
    write_time(writer, others_left_at_);
    writer.write_bool(claims_);
    write_time(writer, proof_);
    write_time(writer, grant_at_);
    write_time(writer, lower_at_);
    writer.write_bool(was_quorate_);
    writer.write_bool(has_promised_);
    write_nodes(writer, {promised_.begin(), promised_.end()});
    writer.write(tracked_votes_);
    return std::move(writer).finish();
}

base::Expected<Core, protocol::FrameError> Core::restore(const Config& config,
                                                         const base::Buffer& snapshot,
                                                         std::uint64_t life) {
    FrameReader reader(snapshot);
    if (reader.read<std::uint16_t>() != kSnapshotVersion) reader.refuse(FrameError::WrongVersion);
    Core core(config, life);
    core.self_ = reader.read_node();
    core.incarnation_ = protocol::Incarnation{reader.read<std::uint64_t>()};
    core.applied_ = protocol::Cursor{reader.read<std::uint64_t>()};
    core.is_serving_ = reader.read_bool();
    const auto votes_configured = reader.read<std::uint32_t>();
    const Announcement own = read_announcement(reader);
    core.own_.device = own.device;
    // Votes that an administrator set hold until the file says something else.
    if (config.votes == votes_configured) core.own_.votes = own.votes;
    core.device_name_ = reader.read_text(kDeviceNameMax);
    core.device_deadline_ = read_time(reader);
    core.view_ = read_view(reader);
    core.is_transitional_ = reader.read_bool();
    const std::size_t count = reader.read_count(kSaidBytesMin);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const base::NodeId node = reader.read_node();
        core.said_[node] = read_announcement(reader);
    }
    for (const base::NodeId node : read_nodes(reader)) {
        core.skipped_.insert(node);
    }
    core.standing_ = read_standing(reader);
    core.others_left_at_ = read_time(reader);
    core.claims_ = reader.read_bool();
    core.proof_ = read_time(reader);
    core.grant_at_ = read_time(reader);
    core.lower_at_ = read_time(reader);
    core.was_quorate_ = reader.read_bool();
    core.has_promised_ = reader.read_bool();
    for (const base::NodeId node : read_nodes(reader)) {
        core.promised_.insert(node);
    }
    core.tracked_votes_ = reader.read<std::uint32_t>();
    core.is_restored_ = true;
    if (const auto error = reader.finish()) return base::fail(*error);
    return core;
}

}  // namespace quorum
