#include "cmapd/core/control_record.hpp"

#include "common/protocol/codec.hpp"

namespace cmapd {
namespace {

using protocol::FrameError;
using protocol::FrameReader;
using protocol::FrameWriter;

constexpr std::uint8_t kVersion = 1;

std::string_view cut(std::string_view text, std::size_t bytes_max) {
    return text.substr(0, bytes_max);
}

ReloadId read_id(FrameReader& reader) {
    ReloadId id;
    id.node = reader.read_node();
    id.life = reader.read<std::uint64_t>();
    id.number = reader.read<std::uint64_t>();
    return id;
}

void write_id(FrameWriter& writer, const ReloadId& id) {
    writer.write_node(id.node);
    writer.write(id.life);
    writer.write(id.number);
}

ReloadBegin read_begin(FrameReader& reader) {
    ReloadBegin begin;
    begin.id = read_id(reader);
    const std::size_t count = reader.read_count(2);
    if (count > kLinesMax) {
        reader.refuse(FrameError::OutOfRange);
        return begin;
    }
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        begin.agreed.push_back(reader.read_text(kLineBytesMax));
    }
    return begin;
}

ControlRecord read_record(FrameReader& reader, ControlType type) {
    switch (type) {
        case ControlType::Greeting: {
            Greeting greeting;
            greeting.config_version = reader.read<std::uint64_t>();
            greeting.digest = reader.read<std::uint64_t>();
            return greeting;
        }
        case ControlType::KillNode: {
            KillNode kill;
            kill.node = reader.read_node();
            kill.reason = reader.read_text(kReasonBytesMax);
            return kill;
        }
        case ControlType::ReloadBegin:
            return read_begin(reader);
        case ControlType::ReloadReady:
            return ReloadReady{.id = read_id(reader)};
        case ControlType::ReloadRefused: {
            ReloadRefused refused;
            refused.id = read_id(reader);
            refused.why = reader.read_text(kWhyBytesMax);
            return refused;
        }
        case ControlType::ReloadGiveUp:
            return ReloadGiveUp{.id = read_id(reader)};
    }
    reader.refuse(FrameError::UnknownType);
    return Greeting{};
}

void start(FrameWriter& writer, ControlType type) {
    writer.write_enum(type);
    writer.write(kVersion);
}

void write(FrameWriter& writer, const Greeting& greeting) {
    start(writer, ControlType::Greeting);
    writer.write(greeting.config_version);
    writer.write(greeting.digest);
}
void write(FrameWriter& writer, const KillNode& kill) {
    start(writer, ControlType::KillNode);
    writer.write_node(kill.node);
    writer.write_text(cut(kill.reason, kReasonBytesMax));
}
void write(FrameWriter& writer, const ReloadBegin& begin) {
    INVARIANT(begin.agreed.size() <= kLinesMax);
    start(writer, ControlType::ReloadBegin);
    write_id(writer, begin.id);
    writer.write_count(begin.agreed.size());
    for (const std::string& line : begin.agreed) {
        writer.write_text(cut(line, kLineBytesMax));
    }
}
void write(FrameWriter& writer, const ReloadReady& ready) {
    start(writer, ControlType::ReloadReady);
    write_id(writer, ready.id);
}
void write(FrameWriter& writer, const ReloadRefused& refused) {
    start(writer, ControlType::ReloadRefused);
    write_id(writer, refused.id);
    writer.write_text(cut(refused.why, kWhyBytesMax));
}
void write(FrameWriter& writer, const ReloadGiveUp& give_up) {
    start(writer, ControlType::ReloadGiveUp);
    write_id(writer, give_up.id);
}

}  // namespace

bool is_control_record(const base::Buffer& bytes) {
    if (bytes.empty()) return false;
    const auto first = std::to_integer<std::uint8_t>(bytes.bytes()[0]);
    return first >= static_cast<std::uint8_t>(ControlType::Greeting) &&
           first <= static_cast<std::uint8_t>(ControlType::ReloadGiveUp);
}

base::Expected<ControlRecord, FrameError> decode_control(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    const auto type = reader.read<std::uint8_t>();
    const auto version = reader.read<std::uint8_t>();
    if (reader.error()) return base::fail(FrameError::Truncated);
    if (version != kVersion) return base::fail(FrameError::WrongVersion);
    ControlRecord record = read_record(reader, static_cast<ControlType>(type));
    if (const auto error = reader.finish()) return base::fail(*error);
    return record;
}

base::Buffer encode_control(const ControlRecord& record) {
    FrameWriter writer(64);
    std::visit([&](const auto& what) { write(writer, what); }, record);
    return std::move(writer).finish();
}

std::uint64_t digest_of(const std::vector<std::string>& lines) {
    std::uint64_t hash = 0xcbf29ce484222325u;
    const auto add = [&hash](unsigned char byte) {
        hash ^= byte;
        hash *= 0x100000001b3u;
    };
    for (const std::string& line : lines) {
        for (const char c : line) {
            add(static_cast<unsigned char>(c));
        }
        add(0);
    }
    return hash;
}

}  // namespace cmapd
