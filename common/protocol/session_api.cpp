#include "common/protocol/session_api.hpp"

#include "common/protocol/codec.hpp"

namespace protocol::session {
namespace {

// The first byte of a frame; the second is kSessionApiVersion.
enum class FrameType : std::uint8_t {
    Hello = 0x01,
    EventsHere = 0x02,
    Request = 0x03,
    Goodbye = 0x04,
    Keep = 0x05,

    Welcome = 0x81,
    Refused = 0x82,
    Reply = 0x83,
    Event = 0x84
};

constexpr std::size_t kSmallFrameBytes = 32;

void write_start(FrameWriter& writer, FrameType type) {
    writer.write_enum(type);
    writer.write(static_cast<std::uint8_t>(kSessionApiVersion));
}

// The version is looked at before anything that it could have changed.
base::Expected<FrameType, FrameError> read_start(FrameReader& reader) {
    const auto type = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kSessionApiVersion) return base::fail(FrameError::WrongVersion);
    return static_cast<FrameType>(type);
}

Service read_service(FrameReader& reader) {
    const auto number = reader.read<std::uint8_t>();
    const auto service = static_cast<Service>(number);
    switch (service) {
        case Service::Cmap:
        case Service::Cfg:
        case Service::Cpg:
        case Service::Quorum:
        case Service::Votequorum:
            return service;
    }
    reader.refuse(FrameError::OutOfRange);
    return Service::Cmap;
}

SessionId read_session(FrameReader& reader) {
    return SessionId{reader.read<std::uint64_t>()};
}

SessionId read_known_session(FrameReader& reader) {
    const SessionId session = read_session(reader);
    if (session == SessionId{}) reader.refuse(FrameError::OutOfRange);
    return session;
}

base::Buffer read_payload(FrameReader& reader) {
    if (reader.remaining() > kPayloadBytesMax) reader.refuse(FrameError::OutOfRange);
    return reader.read_rest();
}

Hello read_hello(FrameReader& reader) {
    Hello hello;
    hello.service = read_service(reader);
    hello.session = read_session(reader);
    hello.pid = reader.read<std::uint32_t>();
    return hello;
}

Request read_request(FrameReader& reader) {
    Request request;
    request.number = reader.read<std::uint64_t>();
    request.payload = read_payload(reader);
    return request;
}

Welcome read_welcome(FrameReader& reader) {
    Welcome welcome;
    welcome.session = read_known_session(reader);
    welcome.self = reader.read_node();
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
    reply.number = reader.read<std::uint64_t>();
    reply.error = reader.read<std::uint32_t>();
    reply.payload = read_payload(reader);
    return reply;
}

ClientFrame read_client_frame(FrameReader& reader, FrameType type) {
    switch (type) {
        case FrameType::Hello:
            return read_hello(reader);
        case FrameType::EventsHere:
            return EventsHere{.session = read_known_session(reader)};
        case FrameType::Request:
            return read_request(reader);
        case FrameType::Goodbye:
            return Goodbye{.number = reader.read<std::uint64_t>()};
        case FrameType::Keep:
            return Keep{.number = reader.read<std::uint64_t>()};
        default:  // What a daemon sends, and what nobody sends.
            reader.refuse(FrameError::UnknownType);
            return Goodbye{};
    }
}

DaemonFrame read_daemon_frame(FrameReader& reader, FrameType type) {
    switch (type) {
        case FrameType::Welcome:
            return read_welcome(reader);
        case FrameType::Refused:
            return read_refused(reader);
        case FrameType::Reply:
            return read_reply(reader);
        case FrameType::Event:
            return Event{.payload = read_payload(reader)};
        default:  // What a client sends, and what nobody sends.
            reader.refuse(FrameError::UnknownType);
            return Event{};
    }
}

// ---------------------------------------------------------------- encoders, without the payload

void write(FrameWriter& writer, const Hello& hello) {
    write_start(writer, FrameType::Hello);
    writer.write_enum(hello.service);
    writer.write(hello.session.value());
    writer.write(hello.pid);
}

void write(FrameWriter& writer, const EventsHere& here) {
    INVARIANT(here.session != SessionId{});
    write_start(writer, FrameType::EventsHere);
    writer.write(here.session.value());
}

void write(FrameWriter& writer, const Request& request) {
    INVARIANT(request.payload.size() <= kPayloadBytesMax);
    write_start(writer, FrameType::Request);
    writer.write(request.number);
}

void write(FrameWriter& writer, const Goodbye& goodbye) {
    write_start(writer, FrameType::Goodbye);
    writer.write(goodbye.number);
}

void write(FrameWriter& writer, const Keep& keep) {
    write_start(writer, FrameType::Keep);
    writer.write(keep.number);
}

void write(FrameWriter& writer, const Welcome& welcome) {
    INVARIANT(welcome.session != SessionId{});
    write_start(writer, FrameType::Welcome);
    writer.write(welcome.session.value());
    writer.write_node(welcome.self);
}

void write(FrameWriter& writer, const Refused& refused) {
    INVARIANT(refused.reason.size() <= kReasonTextMax);
    write_start(writer, FrameType::Refused);
    writer.write(refused.error);
    writer.write_text(refused.reason);
}

void write(FrameWriter& writer, const Reply& reply) {
    INVARIANT(reply.payload.size() <= kPayloadBytesMax);
    write_start(writer, FrameType::Reply);
    writer.write(reply.number);
    writer.write(reply.error);
}

void write(FrameWriter& writer, const Event& event) {
    INVARIANT(event.payload.size() <= kPayloadBytesMax);
    write_start(writer, FrameType::Event);
}

template <class Frame>
base::Buffer header_of(const Frame& frame) {
    FrameWriter writer(kSmallFrameBytes);
    std::visit([&](const auto& what) { write(writer, what); }, frame);
    return std::move(writer).finish();
}

}  // namespace

base::Expected<ClientFrame, FrameError> decode_client_frame(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start(reader);
    if (!type) return base::fail(type.error());
    ClientFrame decoded = read_client_frame(reader, *type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return decoded;
}

base::Expected<DaemonFrame, FrameError> decode_daemon_frame(const base::Buffer& frame) {
    FrameReader reader(frame);
    const auto type = read_start(reader);
    if (!type) return base::fail(type.error());
    DaemonFrame decoded = read_daemon_frame(reader, *type);
    if (const auto error = reader.finish()) return base::fail(*error);
    return decoded;
}

base::Buffer encode_header(const DaemonFrame& frame) {
    return header_of(frame);
}

base::Buffer encode(const ClientFrame& frame) {
    const auto* request = std::get_if<Request>(&frame);
    return request == nullptr ? header_of(frame) : joined(header_of(frame), request->payload);
}

base::Buffer encode(const DaemonFrame& frame) {
    if (const auto* reply = std::get_if<Reply>(&frame)) {
        return joined(header_of(frame), reply->payload);
    }
    if (const auto* event = std::get_if<Event>(&frame)) {
        return joined(header_of(frame), event->payload);
    }
    return header_of(frame);
}

}  // namespace protocol::session
