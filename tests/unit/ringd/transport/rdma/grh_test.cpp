#include "ringd/transport/rdma/grh.hpp"

#include <doctest/doctest.h>

#include <array>

using transport::kGrhBytes;
using transport::source_of;

namespace {

using Header = std::array<std::byte, kGrhBytes>;

Header ipv4_header() {
    Header header{};
    header[20] = std::byte{0x45};
    const std::array<unsigned, 4> source{10, 77, 0, 3};
    for (std::size_t i = 0; i < source.size(); ++i) {
        header[32 + i] = static_cast<std::byte>(source[i]);
    }
    return header;
}

}  // namespace

TEST_CASE("over IPv4 the sender stands in the IP header behind twenty bytes of nothing") {
    CHECK(source_of(ipv4_header(), true).text() == "10.77.0.3:0");
}

TEST_CASE("over IPv6 the sender stands in the header that is all of it") {
    Header header{};
    header[0] = std::byte{0x60};
    header[8] = std::byte{0x20};
    header[9] = std::byte{0x01};
    header[23] = std::byte{0x07};
    CHECK(source_of(header, true).text() == "[2001::7]:0");
}

TEST_CASE("what is no IP header has no address, and nor has an InfiniBand GID") {
    CHECK(source_of(Header{}, true).family() == AF_UNSPEC);
    Header other = ipv4_header();
    other[20] = std::byte{0x55};
    CHECK(source_of(other, true).family() == AF_UNSPEC);
    CHECK(source_of(ipv4_header(), false).family() == AF_UNSPEC);
}

TEST_CASE("every first byte gives an answer") {
    for (unsigned value = 0; value < 256; ++value) {
        for (const std::size_t at : {std::size_t{0}, std::size_t{20}}) {
            Header header = ipv4_header();
            header[at] = static_cast<std::byte>(value);
            const auto source = source_of(header, true);
            const bool is_known = source.family() == AF_INET || source.family() == AF_INET6 ||
                                  source.family() == AF_UNSPEC;
            CHECK(is_known);
        }
    }
}
