// What every decoder of the ring must do with damaged packets.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

#include "common/base/buffer.hpp"
#include "ringd/totem/wire.hpp"

using Bytes = std::vector<std::byte>;

inline Bytes bytes_of(const base::Buffer& packet) {
    return {packet.data(), packet.data() + packet.size()};
}

inline Bytes with_byte(Bytes packet, std::size_t at, unsigned value) {
    packet.at(at) = static_cast<std::byte>(value);
    return packet;
}

// `decode` takes bytes; `encode` what it gives.
template <class Decode, class Encode>
void check_damage(const base::Buffer& packet, Decode decode, Encode encode) {
    const Bytes good = bytes_of(packet);
    for (std::size_t length = 0; length < good.size(); ++length) {
        CAPTURE(length);
        const Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
        CHECK_FALSE(decode(cut).has_value());
    }
    CHECK(decode(with_byte(good, 0, 0x7f)).error() == totem::WireError::WrongType);
    CHECK(decode(with_byte(good, 1, 9)).error() == totem::WireError::WrongType);
    // One value, one form: what still decodes after a flipped bit encodes to just these bytes.
    for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
        CAPTURE(bit);
        Bytes flipped = good;
        flipped[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
        const auto decoded = decode(flipped);
        if (decoded) CHECK(bytes_of(encode(*decoded)) == flipped);
    }
}
