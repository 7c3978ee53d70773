#include "common/protocol/cpg_frame.hpp"

namespace protocol::cpg {
namespace {

// type, version, event, handle, node, pid, part, message_bytes.
constexpr std::size_t kDeliveredHeaderBytes = 31;
constexpr std::size_t kSmallFrameBytes = 64;
constexpr std::size_t kGroupBytesMin = 6;

// Said once and used at both ends: the decoder refuses what the encoder must never send.
bool in_range(const Delivered& delivered) {
    return is_part(delivered.part, delivered.message_bytes, delivered.payload.size());
}
bool in_range(const DeliveredInArea& in_area) {
    const Delivered& delivered = in_area.delivered;
    return is_part(delivered.part, delivered.message_bytes, in_area.payload_bytes);
}

bool ascend(const std::vector<GroupMembers>& groups) {
    return std::ranges::adjacent_find(groups, std::greater_equal{}, &GroupMembers::group) ==
           groups.end();
}

bool ascend(const std::vector<base::NodeId>& nodes) {
    return std::ranges::adjacent_find(nodes, std::greater_equal{}) == nodes.end();
}

Welcome read_welcome(FrameReader& reader) {
    Welcome welcome;
    welcome.session = SessionId{reader.read<std::uint64_t>()};
    welcome.self = reader.read_node();
    welcome.resumed = reader.read_bool();
    welcome.taken = reader.read<std::uint64_t>();
    welcome.window_bytes = reader.read<std::uint64_t>();
    if (welcome.session == SessionId{}) reader.refuse(FrameError::OutOfRange);
    return welcome;
}

Refused read_refused(FrameReader& reader) {
    Refused refused;
    refused.error = reader.read<std::uint32_t>();
    refused.reason = reader.read_text(kReasonTextMax);
    return refused;
}

Reply read_reply(FrameReader& reader) {
    Reply reply;
    reply.request = reader.read<std::uint32_t>();
    reply.error = reader.read<std::uint32_t>();
    return reply;
}

MembershipReply read_membership_reply(FrameReader& reader) {
    MembershipReply reply;
    reply.request = reader.read<std::uint32_t>();
    reply.members = read_members(reader);
    return reply;
}

GroupsReply read_groups_reply(FrameReader& reader) {
    GroupsReply reply;
    reply.request = reader.read<std::uint32_t>();
    const std::size_t count = reader.read_count(kGroupBytesMin);
    reply.groups.reserve(count);
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        GroupMembers group;
        group.group = reader.read_text(kGroupNameMax);
        group.members = read_members(reader);
        reply.groups.push_back(std::move(group));
    }
    if (!ascend(reply.groups)) reader.refuse(FrameError::OutOfRange);
    return reply;
}

Credit read_credit(FrameReader& reader) {
    Credit credit;
    credit.taken = reader.read<std::uint64_t>();
    credit.window_bytes = reader.read<std::uint64_t>();
    return credit;
}

// All but the payload.
Delivered read_delivered_head(FrameReader& reader) {
    Delivered delivered;
    delivered.handle = GroupHandle{reader.read<std::uint32_t>()};
    delivered.node = reader.read_node();
    delivered.pid = reader.read<std::uint32_t>();
    delivered.part = reader.read_enum(Mcast::Part::Last);
    delivered.message_bytes = reader.read<std::uint64_t>();
    return delivered;
}

Delivered read_delivered(FrameReader& reader) {
    Delivered delivered = read_delivered_head(reader);
    delivered.payload = reader.read_rest();
    if (!in_range(delivered)) reader.refuse(FrameError::OutOfRange);
    return delivered;
}

DeliveredInArea read_delivered_in_area(FrameReader& reader) {
    DeliveredInArea delivered;
    delivered.event = reader.read<std::uint64_t>();
    delivered.delivered = read_delivered_head(reader);
    delivered.offset = reader.read<std::uint32_t>();
    delivered.payload_bytes = reader.read<std::uint32_t>();
    if (delivered.event == 0 || !in_range(delivered)) reader.refuse(FrameError::OutOfRange);
    return delivered;
}

DeliveredRun read_delivered_run(FrameReader& reader) {
    DeliveredRun run;
    run.handle = GroupHandle{reader.read<std::uint32_t>()};
    run.node = reader.read_node();
    run.pid = reader.read<std::uint32_t>();
    run.messages = read_run(reader);
    return run;
}

Confchg read_confchg(FrameReader& reader) {
    Confchg confchg;
    confchg.handle = GroupHandle{reader.read<std::uint32_t>()};
    confchg.members = read_members(reader);
    confchg.left = read_members(reader);
    confchg.joined = read_members(reader);
    return confchg;
}

TotemConfchg read_totem_confchg(FrameReader& reader) {
    TotemConfchg confchg;
    confchg.handle = GroupHandle{reader.read<std::uint32_t>()};
    confchg.ring = reader.read_ring();
    const std::size_t count = reader.read_count(sizeof(std::uint32_t));
    confchg.members.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        confchg.members.push_back(reader.read_node());
    }
    if (!ascend(confchg.members)) reader.refuse(FrameError::OutOfRange);
    return confchg;
}

template <class What>
SessionEvent read_event(FrameReader& reader, What (*read_what)(FrameReader&)) {
    SessionEvent event;
    event.event = reader.read<std::uint64_t>();
    if (event.event == 0) reader.refuse(FrameError::OutOfRange);
    event.what = read_what(reader);
    return event;
}

CpgdFrame read_frame(FrameReader& reader, FrameType type) {
    switch (type) {
        case FrameType::Welcome:
            return read_welcome(reader);
        case FrameType::Refused:
            return read_refused(reader);
        case FrameType::Reply:
            return read_reply(reader);
        case FrameType::MembershipReply:
            return read_membership_reply(reader);
        case FrameType::GroupsReply:
            return read_groups_reply(reader);
        case FrameType::Credit:
            return read_credit(reader);
        case FrameType::Delivered:
            return read_event(reader, read_delivered);
        case FrameType::DeliveredRun:
            return read_event(reader, read_delivered_run);
        case FrameType::Confchg:
            return read_event(reader, read_confchg);
        case FrameType::TotemConfchg:
            return read_event(reader, read_totem_confchg);
        case FrameType::DeliveredInArea:
            return read_delivered_in_area(reader);
        default:  // What a client sends, and what nobody sends.
            reader.refuse(FrameError::UnknownType);
            return Credit{};
    }
}

void write(FrameWriter& writer, const Welcome& welcome) {
    INVARIANT(welcome.session != SessionId{});
    write_start(writer, FrameType::Welcome);
    writer.write(welcome.session.value());
    writer.write_node(welcome.self);
    writer.write_bool(welcome.resumed);
    writer.write(welcome.taken);
    writer.write(welcome.window_bytes);
}

void write(FrameWriter& writer, const Refused& refused) {
    INVARIANT(refused.reason.size() <= kReasonTextMax);
    write_start(writer, FrameType::Refused);
    writer.write(refused.error);
    writer.write_text(refused.reason);
}

void write(FrameWriter& writer, const Reply& reply) {
    write_start(writer, FrameType::Reply);
    writer.write(reply.request);
    writer.write(reply.error);
}

void write(FrameWriter& writer, const MembershipReply& reply) {
    write_start(writer, FrameType::MembershipReply);
    writer.write(reply.request);
    write_members(writer, reply.members);
}

void write(FrameWriter& writer, const GroupsReply& reply) {
    INVARIANT(ascend(reply.groups));
    write_start(writer, FrameType::GroupsReply);
    writer.write(reply.request);
    writer.write_count(reply.groups.size());
    for (const GroupMembers& group : reply.groups) {
        INVARIANT(group.group.size() <= kGroupNameMax);
        writer.write_text(group.group);
        write_members(writer, group.members);
    }
}

void write(FrameWriter& writer, const Credit& credit) {
    write_start(writer, FrameType::Credit);
    writer.write(credit.taken);
    writer.write(credit.window_bytes);
}

void write_delivered_head(FrameWriter& writer, FrameType type, std::uint64_t event,
                          const Delivered& delivered) {
    write_start(writer, type);
    writer.write(event);
    writer.write(delivered.handle.value());
    writer.write_node(delivered.node);
    writer.write(delivered.pid);
    writer.write_enum(delivered.part);
    writer.write(delivered.message_bytes);
    INVARIANT(writer.written() == kDeliveredHeaderBytes);
}

void write_event(FrameWriter& writer, std::uint64_t event, const Delivered& delivered) {
    INVARIANT(in_range(delivered));
    write_delivered_head(writer, FrameType::Delivered, event, delivered);
}

void write(FrameWriter& writer, const DeliveredInArea& delivered) {
    INVARIANT(delivered.event > 0 && in_range(delivered));
    write_delivered_head(writer, FrameType::DeliveredInArea, delivered.event, delivered.delivered);
    writer.write(delivered.offset);
    writer.write(delivered.payload_bytes);
}

void write_event(FrameWriter& writer, std::uint64_t event, const DeliveredRun& run) {
    INVARIANT(run.messages.count() > 0);
    write_start(writer, FrameType::DeliveredRun);
    writer.write(event);
    writer.write(run.handle.value());
    writer.write_node(run.node);
    writer.write(run.pid);
    INVARIANT(writer.written() == kDeliveredRunHeaderBytes);
}

void write_event(FrameWriter& writer, std::uint64_t event, const Confchg& confchg) {
    write_start(writer, FrameType::Confchg);
    writer.write(event);
    writer.write(confchg.handle.value());
    write_members(writer, confchg.members);
    write_members(writer, confchg.left);
    write_members(writer, confchg.joined);
}

void write_event(FrameWriter& writer, std::uint64_t event, const TotemConfchg& confchg) {
    INVARIANT(ascend(confchg.members));
    write_start(writer, FrameType::TotemConfchg);
    writer.write(event);
    writer.write(confchg.handle.value());
    writer.write_ring(confchg.ring);
    writer.write_count(confchg.members.size());
    for (const base::NodeId node : confchg.members) {
        writer.write_node(node);
    }
}

void write(FrameWriter& writer, const SessionEvent& event) {
    INVARIANT(event.event > 0);
    std::visit([&](const auto& what) { write_event(writer, event.event, what); }, event.what);
}

}  // namespace

base::Expected<CpgdFrame, FrameError> decode_cpgd_frame(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = static_cast<FrameType>(reader.read<std::uint8_t>());
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kCpgApiVersion) return base::fail(FrameError::WrongVersion);
    CpgdFrame decoded = read_frame(reader, type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return decoded;
}

base::Buffer payload_of(const CpgdFrame& frame) {
    const auto* event = std::get_if<SessionEvent>(&frame);
    if (event == nullptr) return {};
    if (const auto* delivered = std::get_if<Delivered>(&event->what)) return delivered->payload;
    const auto* run = std::get_if<DeliveredRun>(&event->what);
    return run == nullptr ? base::Buffer{} : run->messages.bytes();
}

base::Buffer encode_header(const CpgdFrame& frame) {
    FrameWriter writer(kSmallFrameBytes);
    std::visit([&](const auto& what) { write(writer, what); }, frame);
    return std::move(writer).finish();
}

base::Buffer encode(const CpgdFrame& frame) {
    return joined(encode_header(frame), payload_of(frame));
}

bool begins_delivered_run(std::span<const std::byte> frame) {
    return frame.size() >= 2 && frame[0] == static_cast<std::byte>(FrameType::DeliveredRun) &&
           frame[1] == static_cast<std::byte>(kCpgApiVersion);
}

std::optional<DeliveredRunHeader> delivered_run_header(std::span<const std::byte> frame) {
    if (!begins_delivered_run(frame) || frame.size() < kDeliveredRunHeaderBytes)
        return std::nullopt;
    base::ByteReader reader(frame.subspan(2));
    DeliveredRunHeader header;
    header.event = reader.read<std::uint64_t>();
    header.handle = GroupHandle{reader.read<std::uint32_t>()};
    header.node = base::NodeId{reader.read<std::uint32_t>()};
    header.pid = reader.read<std::uint32_t>();
    return header;
}

}  // namespace protocol::cpg
