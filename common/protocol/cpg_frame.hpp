// What the two codecs of cpg_api.hpp share: the types on the wire and the rules that the encoder
// asserts and the decoder refuses. Only for cpg_*.cpp of this folder.
#pragma once

#include <algorithm>
#include <functional>

#include "common/protocol/codec.hpp"
#include "common/protocol/cpg_api.hpp"

namespace protocol::cpg {

// The first byte of a frame; the second is kCpgApiVersion.
enum class FrameType : std::uint8_t {
    Hello = 0x01,
    Join = 0x02,
    Leave = 0x03,
    MembershipGet = 0x04,
    GroupsGet = 0x05,
    Mcast = 0x06,
    EventAck = 0x07,
    Goodbye = 0x08,
    EventsHere = 0x09,
    McastRun = 0x0a,
    Keep = 0x0b,

    Welcome = 0x81,
    Refused = 0x82,
    Reply = 0x83,
    MembershipReply = 0x84,
    GroupsReply = 0x85,
    Credit = 0x86,
    Delivered = 0x87,
    Confchg = 0x88,
    TotemConfchg = 0x89,
    DeliveredRun = 0x8a,
    DeliveredInArea = 0x8b
};

inline constexpr std::size_t kMemberBytes = 9;
inline constexpr std::size_t kReasonTextMax = 1024;

inline void write_start(FrameWriter& writer, FrameType type) {
    writer.write_enum(type);
    writer.write(static_cast<std::uint8_t>(kCpgApiVersion));
}

// A part is not longer than its message, and a whole message is its only part.
inline bool is_part(Mcast::Part part, std::uint64_t message_bytes, std::size_t payload_bytes) {
    if (payload_bytes > kPartBytesMax || payload_bytes > message_bytes) return false;
    return part != Mcast::Part::Whole || message_bytes == payload_bytes;
}

inline MessageRun read_run(FrameReader& reader) {
    auto run = MessageRun::parse(reader.read_rest());
    if (run) return *std::move(run);
    reader.refuse(run.error());
    return {};
}

inline bool ascend(const std::vector<Member>& members) {
    const auto out_of_order = [](const Member& a, const Member& b) {
        return std::pair(a.node, a.pid) >= std::pair(b.node, b.pid);
    };
    return std::ranges::adjacent_find(members, out_of_order) == members.end();
}

inline void write_members(FrameWriter& writer, const std::vector<Member>& members) {
    INVARIANT(ascend(members));
    writer.write_count(members.size());
    for (const Member& member : members) {
        writer.write_node(member.node);
        writer.write(member.pid);
        writer.write_enum(member.reason);
    }
}

inline std::vector<Member> read_members(FrameReader& reader) {
    const std::size_t count = reader.read_count(kMemberBytes);
    std::vector<Member> members;
    members.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        Member member;
        member.node = reader.read_node();
        member.pid = reader.read<std::uint32_t>();
        member.reason = reader.read_enum(Reason::ProcDown);
        members.push_back(member);
    }
    if (!ascend(members)) reader.refuse(FrameError::OutOfRange);
    return members;
}

}  // namespace protocol::cpg
