#include "common/protocol/ring_api.hpp"

#include <algorithm>
#include <functional>

#include "common/base/invariant.hpp"
#include "common/protocol/codec.hpp"

namespace protocol {
namespace {

enum class Type : std::uint8_t {
    Attach = 0x01,
    Submit = 0x02,
    Ack = 0x03,
    Detach = 0x04,
    Received = 0x05,
    GivenBack = 0x06,
    Attached = 0x11,
    Refused = 0x12,
    Taken = 0x13,
    Transitional = 0x14,
    View = 0x15,
    Batch = 0x16,
    BatchInArea = 0x17,
};

constexpr std::uint8_t kObserverFlag = 1u << 0u;  // Attach
constexpr std::uint8_t kSafeFlag = 1u << 0u;      // Submit
constexpr std::uint8_t kUrgentFlag = 1u << 1u;    // Submit
constexpr std::uint8_t kResumedFlag = 1u << 0u;   // Attached
constexpr std::uint8_t kAfreshFlag = 1u << 0u;    // Refused

struct FrameHeader {
    std::uint8_t type = 0;
    std::uint8_t flags = 0;
};

constexpr std::size_t kReasonBytesMax = 1024;
constexpr std::size_t kViewMemberBytes = 12;
constexpr std::size_t kUsualHeaderBytes = 64;  // Enough for all frames but View.

// ---------------------------------------------------------------- what both ends agree on

// An observer has no life of its own that could be resumed.
bool in_range(const Attach& attach) {
    if (!is_channel_name(attach.channel)) return false;
    if (attach.role == Attach::Role::Service) return attach.incarnation != Incarnation{};
    return attach.incarnation == Incarnation{} && attach.applied == Cursor{} &&
           attach.submitted == 0;
}

bool in_range(const Submit& submit) {
    return submit.after < submit.number && submit.incarnation != Incarnation{} &&
           is_channel_name(submit.channel);
}

bool are_nodes(const std::vector<base::NodeId>& nodes) {
    const bool ascend = std::ranges::adjacent_find(nodes, std::greater_equal{}) == nodes.end();
    return ascend && nodes.size() <= kNodesMax && (nodes.empty() || nodes[0] != base::kNoNode);
}

bool are_members(const std::vector<ViewMember>& members) {
    const auto sane = [](const ViewMember& member) {
        return member.node != base::kNoNode && member.incarnation != Incarnation{};
    };
    return members.size() <= kNodesMax && std::ranges::all_of(members, sane) &&
           std::ranges::adjacent_find(members, std::greater_equal{}, &ViewMember::node) ==
               members.end();
}

bool in_range(const GivenBack& given) {
    return !given.events.empty() && given.events.size() <= kGivenBackMax;
}

// ---------------------------------------------------------------- decoding

template <class T>
base::Expected<T, FrameError> finished(FrameReader& reader, auto&& frame) {
    if (const auto error = reader.finish()) return base::fail(*error);
    return T{std::forward<decltype(frame)>(frame)};
}

void require(FrameReader& reader, bool in_range) {
    if (!in_range) reader.refuse(FrameError::OutOfRange);
}

FrameHeader read_header(FrameReader& reader) {
    FrameHeader header;
    header.type = reader.read<std::uint8_t>();
    header.flags = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint16_t>();
    if (!reader.error() && version != kRingApiVersion) reader.refuse(FrameError::WrongVersion);
    return header;
}

base::NodeId read_node(FrameReader& reader) {
    const base::NodeId node = reader.read_node();
    require(reader, node != base::kNoNode);
    return node;
}

std::vector<base::NodeId> read_nodes(FrameReader& reader) {
    const std::size_t size = reader.read_count(sizeof(std::uint32_t));
    require(reader, size <= kNodesMax);
    std::vector<base::NodeId> nodes;
    nodes.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        nodes.push_back(reader.read_node());
    }
    require(reader, are_nodes(nodes));
    return nodes;
}

// Bits that this version does not know must be 0.
void allow_flags(FrameReader& reader, const FrameHeader& header, unsigned allowed) {
    require(reader, (header.flags & ~allowed) == 0);
}

Attach read_attach(FrameReader& reader, const FrameHeader& header) {
    allow_flags(reader, header, kObserverFlag);
    Attach attach;
    attach.role =
        (header.flags & kObserverFlag) != 0 ? Attach::Role::Observer : Attach::Role::Service;
    attach.incarnation = Incarnation{reader.read<std::uint64_t>()};
    attach.applied = Cursor{reader.read<std::uint64_t>()};
    attach.submitted = reader.read<std::uint64_t>();
    attach.channel = reader.read_text(kChannelNameMax);
    require(reader, in_range(attach));
    return attach;
}

Submit read_submit(FrameReader& reader, const FrameHeader& header) {
    allow_flags(reader, header, kSafeFlag | kUrgentFlag);
    Submit submit;
    submit.safe = (header.flags & kSafeFlag) != 0;
    submit.urgent = (header.flags & kUrgentFlag) != 0;
    submit.number = reader.read<std::uint64_t>();
    submit.after = reader.read<std::uint64_t>();
    submit.incarnation = Incarnation{reader.read<std::uint64_t>()};
    submit.channel = reader.read_text(kChannelNameMax);
    require(reader, in_range(submit));
    submit.payload = reader.read_rest();
    return submit;
}

Attached read_attached(FrameReader& reader, const FrameHeader& header) {
    allow_flags(reader, header, kResumedFlag);
    Attached attached;
    attached.resumed = (header.flags & kResumedFlag) != 0;
    attached.self = read_node(reader);
    attached.taken = reader.read<std::uint64_t>();
    attached.window_bytes = reader.read<std::uint64_t>();
    attached.event_bytes = reader.read<std::uint64_t>();
    attached.last_ordinary = reader.read<std::uint64_t>();
    attached.last_urgent = reader.read<std::uint64_t>();
    return attached;
}

Transitional read_transitional(FrameReader& reader) {
    Transitional transitional;
    transitional.next = reader.read_ring();
    transitional.members = read_nodes(reader);
    return transitional;
}

View read_view(FrameReader& reader) {
    View view;
    view.ring = reader.read_ring();
    view.version = reader.read<std::uint64_t>();
    const std::size_t size = reader.read_count(kViewMemberBytes);
    view.members.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        const base::NodeId node{reader.read<std::uint32_t>()};
        const Incarnation incarnation{reader.read<std::uint64_t>()};
        view.members.push_back({.node = node, .incarnation = incarnation});
    }
    require(reader, are_members(view.members));
    view.left = read_nodes(reader);
    view.joined = read_nodes(reader);
    view.ring_members = read_nodes(reader);
    return view;
}

GivenBack read_given_back(FrameReader& reader, const FrameHeader& header) {
    allow_flags(reader, header, 0);
    GivenBack given;
    const std::size_t size = reader.read_count(sizeof(std::uint64_t));
    given.events.reserve(size);
    for (std::size_t i = 0; i < size; ++i) {
        given.events.push_back(reader.read<std::uint64_t>());
    }
    require(reader, in_range(given));
    return given;
}

// All but the payload.
Batch read_batch_head(FrameReader& reader) {
    Batch batch;
    batch.ring = reader.read_ring();
    batch.seq = reader.read<std::uint64_t>();
    batch.index = reader.read<std::uint32_t>();
    batch.sender = read_node(reader);
    batch.number = reader.read<std::uint64_t>();
    require(reader, batch.number > 0);
    return batch;
}

Batch read_batch(FrameReader& reader) {
    Batch batch = read_batch_head(reader);
    batch.payload = reader.read_rest();
    return batch;
}

BatchInArea read_batch_in_area(FrameReader& reader, const FrameHeader& header) {
    allow_flags(reader, header, 0);
    BatchInArea in_area;
    in_area.cursor = Cursor{reader.read<std::uint64_t>()};
    require(reader, in_area.cursor > Cursor{});
    in_area.batch = read_batch_head(reader);
    in_area.offset = reader.read<std::uint32_t>();
    in_area.payload_bytes = reader.read<std::uint32_t>();
    return in_area;
}

Event read_event(FrameReader& reader, const FrameHeader& header) {
    allow_flags(reader, header, 0);
    Event event;
    event.cursor = Cursor{reader.read<std::uint64_t>()};
    require(reader, event.cursor > Cursor{});
    switch (static_cast<Type>(header.type)) {
        case Type::Transitional:
            event.what = read_transitional(reader);
            break;
        case Type::View:
            event.what = read_view(reader);
            break;
        default:
            event.what = read_batch(reader);
            break;  // The caller looked at the type.
    }
    return event;
}

// ---------------------------------------------------------------- encoding

void write_header(FrameWriter& writer, Type type, unsigned flags = 0) {
    writer.write_enum(type);
    writer.write(static_cast<std::uint8_t>(flags));
    writer.write(kRingApiVersion);
}

void write_node(FrameWriter& writer, base::NodeId node) {
    INVARIANT(node != base::kNoNode);
    writer.write_node(node);
}

void write_nodes(FrameWriter& writer, const std::vector<base::NodeId>& nodes) {
    INVARIANT(are_nodes(nodes));
    writer.write_count(nodes.size());
    for (const base::NodeId node : nodes) {
        writer.write_node(node);
    }
}

unsigned flag_if(bool set, std::uint8_t flag) {
    return set ? flag : 0u;
}

void write(FrameWriter& writer, const Attach& attach) {
    INVARIANT(in_range(attach));
    write_header(writer, Type::Attach,
                 flag_if(attach.role == Attach::Role::Observer, kObserverFlag));
    writer.write(attach.incarnation.value());
    writer.write(attach.applied.value());
    writer.write(attach.submitted);
    INVARIANT(attach.channel.size() <= kChannelNameMax);
    writer.write_text(attach.channel);
}

void write(FrameWriter& writer, const Submit& submit) {
    INVARIANT(in_range(submit));
    write_header(writer, Type::Submit,
                 flag_if(submit.safe, kSafeFlag) | flag_if(submit.urgent, kUrgentFlag));
    writer.write(submit.number);
    writer.write(submit.after);
    writer.write(submit.incarnation.value());
    writer.write_text(submit.channel);
}

void write(FrameWriter& writer, const Ack& ack) {
    write_header(writer, Type::Ack);
    writer.write(ack.applied.value());
}

void write(FrameWriter& writer, const Received& received) {
    write_header(writer, Type::Received);
    writer.write(received.event.value());
}

void write(FrameWriter& writer, const Detach&) {
    write_header(writer, Type::Detach);
}

void write(FrameWriter& writer, const GivenBack& given) {
    INVARIANT(in_range(given));
    write_header(writer, Type::GivenBack);
    writer.write_count(given.events.size());
    for (const std::uint64_t event : given.events) {
        writer.write(event);
    }
}

void write(FrameWriter& writer, const Attached& attached) {
    write_header(writer, Type::Attached, flag_if(attached.resumed, kResumedFlag));
    write_node(writer, attached.self);
    writer.write(attached.taken);
    writer.write(attached.window_bytes);
    writer.write(attached.event_bytes);
    writer.write(attached.last_ordinary);
    writer.write(attached.last_urgent);
}

void write(FrameWriter& writer, const Refused& refused) {
    write_header(writer, Type::Refused, flag_if(refused.afresh, kAfreshFlag));
    INVARIANT(refused.reason.size() <= kReasonBytesMax);
    writer.write_text(refused.reason);
}

void write(FrameWriter& writer, const Taken& taken) {
    write_header(writer, Type::Taken);
    writer.write(taken.number);
    writer.write(taken.window_bytes);
}

void write_what(FrameWriter& writer, Cursor cursor, const Transitional& transitional) {
    write_header(writer, Type::Transitional);
    writer.write(cursor.value());
    writer.write_ring(transitional.next);
    write_nodes(writer, transitional.members);
}

void write_what(FrameWriter& writer, Cursor cursor, const View& view) {
    INVARIANT(are_members(view.members));
    write_header(writer, Type::View);
    writer.write(cursor.value());
    writer.write_ring(view.ring);
    writer.write(view.version);
    writer.write_count(view.members.size());
    for (const ViewMember& member : view.members) {
        write_node(writer, member.node);
        writer.write(member.incarnation.value());
    }
    write_nodes(writer, view.left);
    write_nodes(writer, view.joined);
    write_nodes(writer, view.ring_members);
}

void write_batch_head(FrameWriter& writer, Type type, Cursor cursor, const Batch& batch) {
    INVARIANT(batch.number > 0);
    write_header(writer, type);
    writer.write(cursor.value());
    writer.write_ring(batch.ring);
    writer.write(batch.seq);
    writer.write(batch.index);
    write_node(writer, batch.sender);
    writer.write(batch.number);
}

void write_what(FrameWriter& writer, Cursor cursor, const Batch& batch) {
    write_batch_head(writer, Type::Batch, cursor, batch);
}

void write(FrameWriter& writer, const BatchInArea& in_area) {
    INVARIANT(in_area.cursor > Cursor{});
    write_batch_head(writer, Type::BatchInArea, in_area.cursor, in_area.batch);
    writer.write(in_area.offset);
    writer.write(in_area.payload_bytes);
}

void write(FrameWriter& writer, const Event& event) {
    INVARIANT(event.cursor > Cursor{});
    std::visit([&](const auto& what) { write_what(writer, event.cursor, what); }, event.what);
}

base::Buffer payload_of(const ServiceFrame& frame) {
    const auto* submit = std::get_if<Submit>(&frame);
    return submit == nullptr ? base::Buffer{} : submit->payload;
}

base::Buffer payload_of(const RingFrame& frame) {
    const auto* event = std::get_if<Event>(&frame);
    const auto* batch = event == nullptr ? nullptr : std::get_if<Batch>(&event->what);
    return batch == nullptr ? base::Buffer{} : batch->payload;
}

base::Buffer header_bytes_of(const auto& frame) {
    FrameWriter writer(kUsualHeaderBytes);
    std::visit([&](const auto& what) { write(writer, what); }, frame);
    return std::move(writer).finish();
}

}  // namespace

bool is_channel_name(std::string_view name) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= kChannelNameMax && std::ranges::all_of(name, allowed);
}

base::Expected<ServiceFrame, FrameError> decode_service_frame(const base::Buffer& frame) {
    FrameReader reader(frame);
    const FrameHeader header = read_header(reader);
    if (const auto error = reader.error()) return base::fail(*error);
    switch (static_cast<Type>(header.type)) {
        case Type::Attach:
            return finished<ServiceFrame>(reader, read_attach(reader, header));
        case Type::Submit:
            return finished<ServiceFrame>(reader, read_submit(reader, header));
        case Type::Ack: {
            allow_flags(reader, header, 0);
            const Ack ack{.applied = Cursor{reader.read<std::uint64_t>()}};
            return finished<ServiceFrame>(reader, ack);
        }
        case Type::Received: {
            allow_flags(reader, header, 0);
            const Received received{.event = Cursor{reader.read<std::uint64_t>()}};
            return finished<ServiceFrame>(reader, received);
        }
        case Type::Detach:
            allow_flags(reader, header, 0);
            return finished<ServiceFrame>(reader, Detach{});
        case Type::GivenBack:
            return finished<ServiceFrame>(reader, read_given_back(reader, header));
        default:
            return base::fail(FrameError::UnknownType);
    }
}

base::Expected<RingFrame, FrameError> decode_ring_frame(const base::Buffer& frame) {
    FrameReader reader(frame);
    const FrameHeader header = read_header(reader);
    if (const auto error = reader.error()) return base::fail(*error);
    switch (static_cast<Type>(header.type)) {
        case Type::Attached:
            return finished<RingFrame>(reader, read_attached(reader, header));
        case Type::Refused: {
            allow_flags(reader, header, kAfreshFlag);
            Refused refused;
            refused.afresh = (header.flags & kAfreshFlag) != 0;
            refused.reason = reader.read_text(kReasonBytesMax);
            return finished<RingFrame>(reader, std::move(refused));
        }
        case Type::Taken: {
            allow_flags(reader, header, 0);
            Taken taken;
            taken.number = reader.read<std::uint64_t>();
            taken.window_bytes = reader.read<std::uint64_t>();
            return finished<RingFrame>(reader, taken);
        }
        case Type::Transitional:
        case Type::View:
        case Type::Batch:
            return finished<RingFrame>(reader, read_event(reader, header));
        case Type::BatchInArea:
            return finished<RingFrame>(reader, read_batch_in_area(reader, header));
        default:
            return base::fail(FrameError::UnknownType);
    }
}

base::Buffer encode_header(const ServiceFrame& frame) {
    return header_bytes_of(frame);
}
base::Buffer encode_header(const RingFrame& frame) {
    return header_bytes_of(frame);
}

bool is_given_back(const base::Buffer& frame) {
    return !frame.empty() && frame.bytes().front() == static_cast<std::byte>(Type::GivenBack);
}

base::Buffer encode(const ServiceFrame& frame) {
    return joined(header_bytes_of(frame), payload_of(frame));
}
base::Buffer encode(const RingFrame& frame) {
    return joined(header_bytes_of(frame), payload_of(frame));
}

}  // namespace protocol
