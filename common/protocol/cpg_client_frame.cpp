#include <array>

#include "common/protocol/cpg_frame.hpp"

namespace protocol::cpg {
namespace {

constexpr std::size_t kSmallFrameBytes = 64;

// Said once and used at both ends: the decoder refuses what the encoder must never send.
bool in_range(const Mcast& mcast, std::size_t payload_bytes) {
    return mcast.number > 0 && is_part(mcast.part, mcast.message_bytes, payload_bytes);
}
bool in_range(const GroupsGet& get) {
    return get.one_group || get.group.empty();
}

Hello read_hello(FrameReader& reader) {
    Hello hello;
    hello.session = SessionId{reader.read<std::uint64_t>()};
    hello.pid = reader.read<std::uint32_t>();
    hello.last_event = reader.read<std::uint64_t>();
    hello.totem_events = reader.read_bool();
    hello.initial_totem_event = reader.read_bool();
    hello.separate_events = reader.read_bool();
    return hello;
}

EventsHere read_events_here(FrameReader& reader) {
    EventsHere here;
    here.session = SessionId{reader.read<std::uint64_t>()};
    here.last_event = reader.read<std::uint64_t>();
    if (here.session == SessionId{}) reader.refuse(FrameError::OutOfRange);
    return here;
}

Join read_join(FrameReader& reader) {
    Join join;
    join.request = reader.read<std::uint32_t>();
    join.handle = GroupHandle{reader.read<std::uint32_t>()};
    join.group = reader.read_text(kGroupNameMax);
    return join;
}

Leave read_leave(FrameReader& reader) {
    Leave leave;
    leave.request = reader.read<std::uint32_t>();
    leave.handle = GroupHandle{reader.read<std::uint32_t>()};
    return leave;
}

MembershipGet read_membership_get(FrameReader& reader) {
    MembershipGet get;
    get.request = reader.read<std::uint32_t>();
    get.group = reader.read_text(kGroupNameMax);
    return get;
}

GroupsGet read_groups_get(FrameReader& reader) {
    GroupsGet get;
    get.request = reader.read<std::uint32_t>();
    get.one_group = reader.read_bool();
    get.group = reader.read_text(kGroupNameMax);
    if (!in_range(get)) reader.refuse(FrameError::OutOfRange);
    return get;
}

Mcast read_mcast(FrameReader& reader) {
    Mcast mcast;
    mcast.number = reader.read<std::uint64_t>();
    mcast.handle = GroupHandle{reader.read<std::uint32_t>()};
    mcast.safe = reader.read_bool();
    mcast.part = reader.read_enum(Mcast::Part::Last);
    mcast.message_bytes = reader.read<std::uint64_t>();
    mcast.payload = reader.read_rest();
    if (!in_range(mcast, mcast.payload.size())) reader.refuse(FrameError::OutOfRange);
    return mcast;
}

McastRun read_mcast_run(FrameReader& reader) {
    McastRun run;
    run.number = reader.read<std::uint64_t>();
    run.handle = GroupHandle{reader.read<std::uint32_t>()};
    run.safe = reader.read_bool();
    run.messages = read_run(reader);
    if (run.number == 0) reader.refuse(FrameError::OutOfRange);
    return run;
}

ClientFrame read_frame(FrameReader& reader, FrameType type) {
    switch (type) {
        case FrameType::Hello:
            return read_hello(reader);
        case FrameType::EventsHere:
            return read_events_here(reader);
        case FrameType::Join:
            return read_join(reader);
        case FrameType::Leave:
            return read_leave(reader);
        case FrameType::MembershipGet:
            return read_membership_get(reader);
        case FrameType::GroupsGet:
            return read_groups_get(reader);
        case FrameType::Mcast:
            return read_mcast(reader);
        case FrameType::McastRun:
            return read_mcast_run(reader);
        case FrameType::EventAck:
            return EventAck{.event = reader.read<std::uint64_t>()};
        case FrameType::Goodbye:
            return Goodbye{.request = reader.read<std::uint32_t>()};
        case FrameType::Keep:
            return Keep{.request = reader.read<std::uint32_t>()};
        default:  // What cpgd sends, and what nobody sends.
            reader.refuse(FrameError::UnknownType);
            return Goodbye{};
    }
}

void write(FrameWriter& writer, const Hello& hello) {
    write_start(writer, FrameType::Hello);
    writer.write(hello.session.value());
    writer.write(hello.pid);
    writer.write(hello.last_event);
    writer.write_bool(hello.totem_events);
    writer.write_bool(hello.initial_totem_event);
    writer.write_bool(hello.separate_events);
}

void write(FrameWriter& writer, const EventsHere& here) {
    INVARIANT(here.session != SessionId{});
    write_start(writer, FrameType::EventsHere);
    writer.write(here.session.value());
    writer.write(here.last_event);
}

void write(FrameWriter& writer, const Join& join) {
    INVARIANT(join.group.size() <= kGroupNameMax);
    write_start(writer, FrameType::Join);
    writer.write(join.request);
    writer.write(join.handle.value());
    writer.write_text(join.group);
}

void write(FrameWriter& writer, const Leave& leave) {
    write_start(writer, FrameType::Leave);
    writer.write(leave.request);
    writer.write(leave.handle.value());
}

void write(FrameWriter& writer, const MembershipGet& get) {
    INVARIANT(get.group.size() <= kGroupNameMax);
    write_start(writer, FrameType::MembershipGet);
    writer.write(get.request);
    writer.write_text(get.group);
}

void write(FrameWriter& writer, const GroupsGet& get) {
    INVARIANT(in_range(get));
    INVARIANT(get.group.size() <= kGroupNameMax);
    write_start(writer, FrameType::GroupsGet);
    writer.write(get.request);
    writer.write_bool(get.one_group);
    writer.write_text(get.group);
}

void write(FrameWriter& writer, const Mcast& mcast) {
    std::array<std::byte, kMcastHeaderBytes> header;
    encode_mcast_header(mcast, mcast.payload.size(), header);
    writer.write_bytes(header);
}

void write(FrameWriter& writer, const McastRun& run) {
    std::array<std::byte, kMcastRunHeaderBytes> header;
    encode_run_header(run.number, run.handle, run.safe, header);
    writer.write_bytes(header);
}

void write(FrameWriter& writer, const EventAck& ack) {
    write_start(writer, FrameType::EventAck);
    writer.write(ack.event);
}

void write(FrameWriter& writer, const Goodbye& goodbye) {
    write_start(writer, FrameType::Goodbye);
    writer.write(goodbye.request);
}

void write(FrameWriter& writer, const Keep& keep) {
    write_start(writer, FrameType::Keep);
    writer.write(keep.request);
}

}  // namespace

base::Expected<ClientFrame, FrameError> decode_client_frame(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = static_cast<FrameType>(reader.read<std::uint8_t>());
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kCpgApiVersion) return base::fail(FrameError::WrongVersion);
    ClientFrame decoded = read_frame(reader, type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return decoded;
}

void encode_mcast_header(const Mcast& mcast, std::size_t payload_bytes,
                         std::span<std::byte, kMcastHeaderBytes> out) {
    INVARIANT(in_range(mcast, payload_bytes));
    base::ByteWriter writer(out);
    writer.write(static_cast<std::uint8_t>(FrameType::Mcast));
    writer.write(static_cast<std::uint8_t>(kCpgApiVersion));
    writer.write(mcast.number);
    writer.write(mcast.handle.value());
    writer.write(static_cast<std::uint8_t>(mcast.safe ? 1 : 0));
    writer.write(static_cast<std::uint8_t>(mcast.part));
    writer.write(mcast.message_bytes);
    INVARIANT(writer.written() == kMcastHeaderBytes);
}

void encode_run_header(std::uint64_t number, GroupHandle handle, bool safe,
                       std::span<std::byte, kMcastRunHeaderBytes> out) {
    INVARIANT(number > 0);
    base::ByteWriter writer(out);
    writer.write(static_cast<std::uint8_t>(FrameType::McastRun));
    writer.write(static_cast<std::uint8_t>(kCpgApiVersion));
    writer.write(number);
    writer.write(handle.value());
    writer.write(static_cast<std::uint8_t>(safe ? 1 : 0));
    INVARIANT(writer.written() == kMcastRunHeaderBytes);
}

base::Buffer encode_header(const ClientFrame& frame) {
    const bool is_mcast = std::holds_alternative<Mcast>(frame);
    FrameWriter writer(is_mcast ? kMcastHeaderBytes : kSmallFrameBytes);
    std::visit([&](const auto& what) { write(writer, what); }, frame);
    return std::move(writer).finish();
}

base::Buffer encode(const ClientFrame& frame) {
    if (const auto* mcast = std::get_if<Mcast>(&frame))
        return joined(encode_header(frame), mcast->payload);
    if (const auto* run = std::get_if<McastRun>(&frame))
        return joined(encode_header(frame), run->messages.bytes());
    return encode_header(frame);
}

}  // namespace protocol::cpg
