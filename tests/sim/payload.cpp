#include "tests/sim/payload.hpp"

#include <algorithm>

#include "common/base/bytes.hpp"
#include "common/base/prng.hpp"

namespace sim {
namespace {

void fill(std::span<std::byte> rest, const MessageId& message, std::size_t size) {
    base::Prng prng(message.number ^ (std::uint64_t{message.sender.node.value()} << 40u) ^
                    (std::uint64_t{message.sender.life} << 32u) ^ (std::uint64_t{size} << 12u));
    while (!rest.empty()) {
        const std::uint64_t word = prng.next();
        const std::size_t count = std::min(rest.size(), sizeof word);
        for (std::size_t i = 0; i < count; ++i)
            rest[i] = static_cast<std::byte>(word >> (8 * i));
        rest = rest.subspan(count);
    }
}

}  // namespace

base::Buffer make_payload(const MessageId& message, std::size_t size) {
    INVARIANT(size >= kPayloadBytesMin);
    base::MutableBuffer payload(size);
    base::ByteWriter writer(payload.bytes());
    writer.write(message.sender.node.value());
    writer.write(message.sender.life);
    writer.write(message.number);
    fill(payload.bytes().subspan(kPayloadBytesMin), message, size);
    return std::move(payload).freeze();
}

std::optional<MessageId> read_payload(const base::Buffer& payload) {
    base::ByteReader reader(payload.bytes());
    MessageId message;
    message.sender.node = base::NodeId{reader.read<std::uint32_t>()};
    message.sender.life = reader.read<std::uint32_t>();
    message.number = reader.read<std::uint64_t>();
    if (!reader.ok()) return std::nullopt;
    const base::Buffer expected = make_payload(message, payload.size());
    if (!std::ranges::equal(expected.bytes(), payload.bytes())) return std::nullopt;
    return message;
}

}  // namespace sim
