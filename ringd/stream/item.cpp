#include "ringd/stream/item.hpp"

#include <algorithm>
#include <functional>

#include "common/base/invariant.hpp"
#include "common/protocol/codec.hpp"

namespace stream {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;
using protocol::Incarnation;

// Beside the types of protocol::ServiceFrame, with which they share the ring.
enum class Type : std::uint8_t { Attach = 0x21, Detach = 0x22, Sync = 0x23, Flow = 0x24 };
constexpr std::uint16_t kItemVersion = 1;
constexpr std::size_t kAttachmentBytesMin = 2 + 1 + 24;
constexpr std::size_t kUsualItemBytes = 128;

bool is_attachment(const std::string& channel, Incarnation incarnation) {
    return protocol::is_channel_name(channel) && incarnation != Incarnation{};
}

bool in_range(const SyncItem& sync) {
    const auto sane = [](const Attachment& attachment) {
        return is_attachment(attachment.channel, attachment.incarnation);
    };
    return sync.attachments.size() <= kChannelsMax && std::ranges::all_of(sync.attachments, sane) &&
           std::ranges::adjacent_find(sync.attachments, std::greater_equal{},
                                      &Attachment::channel) == sync.attachments.end();
}

void write_header(FrameWriter& writer, Type type) {
    writer.write_enum(type);
    writer.write(std::uint8_t{0});  // Flags.
    writer.write(kItemVersion);
}

base::Buffer encode_change(Type type, const std::string& channel, Incarnation incarnation) {
    INVARIANT(is_attachment(channel, incarnation));
    FrameWriter writer(kUsualItemBytes);
    write_header(writer, type);
    writer.write(incarnation.value());
    writer.write_text(channel);
    return std::move(writer).finish();
}

template <class T>
T read_change(FrameReader& reader) {
    T change;
    change.incarnation = Incarnation{reader.read<std::uint64_t>()};
    change.channel = reader.read_text(protocol::kChannelNameMax);
    if (!is_attachment(change.channel, change.incarnation)) reader.refuse(FrameError::OutOfRange);
    return change;
}

SyncItem read_sync(FrameReader& reader) {
    SyncItem sync;
    sync.ring = reader.read_ring();
    const std::size_t size = reader.read_count(kAttachmentBytesMin);
    if (size > kChannelsMax) reader.refuse(FrameError::OutOfRange);
    for (std::size_t i = 0; i < size && !reader.error(); ++i) {
        Attachment attachment;
        attachment.incarnation = Incarnation{reader.read<std::uint64_t>()};
        attachment.placed.ordinary = reader.read<std::uint64_t>();
        attachment.placed.urgent = reader.read<std::uint64_t>();
        attachment.channel = reader.read_text(protocol::kChannelNameMax);
        sync.attachments.push_back(std::move(attachment));
    }
    if (!in_range(sync)) reader.refuse(FrameError::OutOfRange);
    return sync;
}

FlowItem read_flow(FrameReader& reader) {
    FlowItem flow;
    const auto stopped = reader.read<std::uint8_t>();
    flow.stopped = stopped == 1;
    flow.channel = reader.read_text(protocol::kChannelNameMax);
    if (stopped > 1 || !protocol::is_channel_name(flow.channel)) {
        reader.refuse(FrameError::OutOfRange);
    }
    return flow;
}

base::Expected<Item, FrameError> finished(FrameReader& reader, Item item) {
    if (const auto error = reader.finish()) return base::fail(*error);
    return item;
}

base::Expected<Item, FrameError> decode_submit(const base::Buffer& bytes) {
    auto frame = protocol::decode_service_frame(bytes);
    if (!frame) return base::fail(frame.error());
    auto* submit = std::get_if<protocol::Submit>(&*frame);
    if (submit == nullptr) return base::fail(FrameError::UnknownType);
    return Item{std::move(*submit)};
}

}  // namespace

base::Expected<Item, FrameError> decode_item(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    const auto type = static_cast<Type>(reader.read<std::uint8_t>());
    if (type != Type::Attach && type != Type::Detach && type != Type::Sync && type != Type::Flow) {
        return decode_submit(bytes);
    }
    const auto flags = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint16_t>();
    if (const auto error = reader.error()) return base::fail(*error);
    if (version != kItemVersion) return base::fail(FrameError::WrongVersion);
    if (flags != 0) return base::fail(FrameError::OutOfRange);
    switch (type) {
        case Type::Attach:
            return finished(reader, read_change<AttachItem>(reader));
        case Type::Detach:
            return finished(reader, read_change<DetachItem>(reader));
        case Type::Flow:
            return finished(reader, read_flow(reader));
        case Type::Sync:
            break;
    }
    return finished(reader, read_sync(reader));
}

base::Buffer encode_item(const AttachItem& item) {
    return encode_change(Type::Attach, item.channel, item.incarnation);
}

base::Buffer encode_item(const DetachItem& item) {
    return encode_change(Type::Detach, item.channel, item.incarnation);
}

base::Buffer encode_item(const FlowItem& item) {
    INVARIANT(protocol::is_channel_name(item.channel));
    FrameWriter writer(kUsualItemBytes);
    write_header(writer, Type::Flow);
    writer.write(static_cast<std::uint8_t>(item.stopped ? 1 : 0));
    writer.write_text(item.channel);
    return std::move(writer).finish();
}

base::Buffer encode_item(const SyncItem& item) {
    INVARIANT(in_range(item));
    FrameWriter writer(kUsualItemBytes);
    write_header(writer, Type::Sync);
    writer.write_ring(item.ring);
    writer.write_count(item.attachments.size());
    for (const Attachment& attachment : item.attachments) {
        writer.write(attachment.incarnation.value());
        writer.write(attachment.placed.ordinary);
        writer.write(attachment.placed.urgent);
        writer.write_text(attachment.channel);
    }
    return std::move(writer).finish();
}

}  // namespace stream
