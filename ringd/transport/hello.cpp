#include "ringd/transport/hello.hpp"

#include <algorithm>

#include "common/base/bytes.hpp"
#include "common/base/invariant.hpp"

namespace transport {

std::optional<Hello> decode_hello(std::span<const std::byte> bytes) {
    if (bytes.size() != kHelloBytes) return std::nullopt;
    base::ByteReader reader(bytes);
    Hello hello;
    hello.recipient = base::NodeId{reader.read<std::uint32_t>()};
    const auto flags = reader.read<std::uint32_t>();
    std::ranges::copy(bytes.subspan(8, 16), hello.challenge.begin());
    std::ranges::copy(bytes.subspan(24, 16), hello.echo.begin());
    if (flags > 1 || hello.challenge == Challenge{}) return std::nullopt;
    hello.wants_answer = flags == 1;
    return hello;
}

void encode_hello(const Hello& hello, std::span<std::byte, kHelloBytes> out) {
    INVARIANT(hello.challenge != Challenge{});
    base::ByteWriter writer(out);
    writer.write(hello.recipient.value());
    writer.write(std::uint32_t{hello.wants_answer ? 1u : 0u});
    std::ranges::copy(hello.challenge, out.subspan(8).begin());
    std::ranges::copy(hello.echo, out.subspan(24).begin());
}

}  // namespace transport
