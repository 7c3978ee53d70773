// Whatever comes from the network: no crash, no read past the end, and nothing that was not sealed
// with the key gets through. With a checksum in place of a tag the input is sealed here, so that
// what lies behind the seal is reached as well.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/invariant.hpp"
#include "ringd/transport/crc32c.hpp"
#include "ringd/transport/obituary.hpp"
#include "ringd/transport/path_size.hpp"
#include "ringd/transport/secure_channel.hpp"

using base::NodeId;
using transport::ClusterKey;
using transport::SecureChannel;
using transport::Suite;

namespace {

SecureChannel make_channel(Suite suite) {
    static const ClusterKey key =
        ClusterKey::derive(std::vector<std::byte>(transport::kKeyBytesMin, std::byte{7})).value();
    // Nothing here is random: one input does the same each time, but for our challenge.
    SecureChannel channel(NodeId{2}, suite, key, 1000, 5000);
    const std::array peers{NodeId{1}, NodeId{3}};
    channel.set_peers(peers);
    return channel;
}

void open(SecureChannel& channel, std::span<const std::byte> packet) {
    const auto header = channel.inspect(packet);
    if (!header) return;
    INVARIANT(header->payload_bytes <= packet.size() - transport::kOverheadBytes);

    std::array<std::byte, transport::kHeaderBytes> again{};
    transport::encode_header(*header, again);
    INVARIANT(std::ranges::equal(again, packet.first<transport::kHeaderBytes>()));

    std::vector<std::byte> out(packet.size() - transport::kOverheadBytes);
    const auto opened = channel.open(*header, 0, packet, out);
    if (!opened) return;
    INVARIANT(channel.suite() == Suite::None);
    INVARIANT(opened->payload_bytes <= out.size());
    if (opened->say_hello) {
        std::array<std::byte, transport::kHelloBytes + transport::kOverheadBytes> hello{};
        channel.seal_hello(opened->from, transport::kAnyLink, hello);
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = std::as_bytes(std::span(data, size));
    SecureChannel sealed = make_channel(Suite::Aes256Gcm);
    SecureChannel plain = make_channel(Suite::None);
    open(sealed, input);
    open(plain, input);
    if (size >= transport::kOverheadBytes) {
        std::vector<std::byte> packet(input.begin(), input.end());
        const std::uint32_t sum =
            transport::crc32c(0, std::span(packet).first(packet.size() - transport::kTagBytes));
        const auto tag = std::span(packet).last<transport::kTagBytes>();
        std::ranges::fill(tag, std::byte{0});
        for (std::size_t i = 0; i < sizeof sum; ++i) {
            tag[i] = static_cast<std::byte>(sum >> (8 * i));
        }
        open(plain, packet);
    }

    if (const auto probe = transport::decode_probe(input)) {
        std::array<std::byte, transport::kProbeBytes> again{};
        transport::encode_probe(*probe, again);
        INVARIANT(std::ranges::equal(again, input));
    }
    if (const auto hello = transport::decode_hello(input)) {
        std::array<std::byte, transport::kHelloBytes> again{};
        transport::encode_hello(*hello, again);
        INVARIANT(std::ranges::equal(again, input));
    }
    if (const auto obituary = transport::decode_obituary(input)) {
        INVARIANT(std::ranges::equal(transport::encode_obituary(*obituary), input));
    }
    return 0;
}
