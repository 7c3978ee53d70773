#include "common/zmtp/wire.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace zmtp;

namespace {

std::vector<std::byte> bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

std::span<const std::byte> body_of(const std::vector<std::byte>& command) {
    return std::span(command).subspan(2);
}

}  // namespace

TEST_CASE("our greeting is that of the RFC") {
    const auto greeting = encode_greeting();
    std::string expected("\xff\0\0\0\0\0\0\0\0\x7f\3\1NULL", 16);
    expected.resize(kGreetingBytes, '\0');
    CHECK(std::ranges::equal(greeting, bytes_of(expected)));
    for (std::size_t length = 0; length <= greeting.size(); ++length) {
        CHECK(check_greeting(std::span(greeting).first(length)));
    }
}

TEST_CASE("a stranger is refused at the first byte that tells") {
    CHECK(check_greeting(bytes_of("G")).error() == WireError::NotZmtp);
    auto greeting = encode_greeting();
    greeting[9] = std::byte{0};
    CHECK(check_greeting(std::span(greeting).first(10)).error() == WireError::NotZmtp);

    greeting = encode_greeting();
    greeting[10] = std::byte{1};
    CHECK(check_greeting(std::span(greeting).first(11)).error() == WireError::Version);

    greeting = encode_greeting();
    std::ranges::copy(bytes_of("CURVE"), greeting.begin() + 12);
    CHECK(check_greeting(greeting).error() == WireError::Mechanism);
}

TEST_CASE("frame heads") {
    const auto head = [](std::string_view bytes) {
        return decode_frame_head(bytes_of(bytes), 1000);
    };
    CHECK(!*head(""));
    CHECK(!*head(std::string_view("\0", 1)));
    CHECK((*head(std::string_view("\0\x05", 2)))->body_bytes == 5);
    CHECK(!*head(std::string_view("\2\0\0\0\0\0\0\0", 8)));
    CHECK((*head(std::string_view("\2\0\0\0\0\0\0\1\2", 9)))->body_bytes == 258);
    CHECK((*head("\4\5"))->is_command);
    CHECK(head(std::string_view("\1\5", 2)).error() == WireError::SeveralParts);
    CHECK(head("\x08\5").error() == WireError::Flags);
    CHECK(head(std::string_view("\2\0\0\0\0\0\0\3\xe9", 9)).error() == WireError::TooLong);
    CHECK(head("\2\xff\xff\xff\xff\xff\xff\xff\xff").error() == WireError::TooLong);
    CHECK(head(std::string_view("\6\0\0\0\0\0\1\0\0", 9)).error() == WireError::TooLong);
}

TEST_CASE("a message head is read back for every length form") {
    for (const std::size_t size : {0u, 1u, 255u, 256u, 65536u, 8u << 20u}) {
        std::array<std::byte, kFrameHeadBytesMax> bytes{};
        const std::size_t length = encode_message_head(size, bytes.data());
        const auto head = decode_frame_head(std::span(bytes).first(length), 8u << 20u);
        REQUIRE(head);
        REQUIRE(*head);
        CHECK((*head)->body_bytes == size);
        CHECK((*head)->head_bytes == length);
        CHECK(!(*head)->is_command);
    }
}

TEST_CASE("READY names the socket, and only the counterpart is taken") {
    const auto dealer = encode_ready(Side::Connecting);
    const auto router = encode_ready(Side::Listening);
    CHECK(std::holds_alternative<Ready>(*decode_command(body_of(dealer), Side::Listening)));
    CHECK(std::holds_alternative<Ready>(*decode_command(body_of(router), Side::Connecting)));
    CHECK(decode_command(body_of(dealer), Side::Connecting).error() == WireError::SocketType);
    CHECK(decode_command(body_of(router), Side::Listening).error() == WireError::SocketType);
    CHECK(decode_command(bytes_of("\5READY"), Side::Listening).error() == WireError::SocketType);
}

TEST_CASE("READY says what its sender takes, and one without it says nothing") {
    const auto features_of = [](const std::vector<std::byte>& frame) {
        return std::get<Ready>(*decode_command(body_of(frame), Side::Listening)).features;
    };
    CHECK(features_of(encode_ready(Side::Connecting, 5)) == 5);
    CHECK(features_of(encode_ready(Side::Connecting, UINT32_MAX)) == UINT32_MAX);
    CHECK(features_of(encode_ready(Side::Connecting)) == 0);
    // No number, and one that is too large.
    for (const char* value : {"5x", "", "4294967296", "-1"}) {
        CAPTURE(value);
        std::string text("\5READY\x0bSocket-Type\0\0\0\6DEALER\x0fx-halo-features\0\0\0", 47);
        text += static_cast<char>(std::string_view(value).size());
        text += value;
        const auto command = decode_command(bytes_of(text), Side::Listening);
        REQUIRE(command);
        CHECK(std::get<Ready>(*command).features == 0);
    }
}

TEST_CASE("every truncation of READY is refused") {
    const auto ready = encode_ready(Side::Connecting);
    for (std::size_t length = 0; length < body_of(ready).size(); ++length) {
        const auto command = decode_command(body_of(ready).first(length), Side::Listening);
        // Cut between two properties it is a shorter, complete READY: 6 bytes of name and 22 of
        // Socket-Type.
        if (length == 28) {
            CHECK(command);
        } else {
            CHECK(!command);
        }
    }
}

TEST_CASE("PING carries a context, ERROR a reason, and what is unknown is passed over") {
    const auto bytes = bytes_of(std::string_view("\4PING\0\0ctx", 10));
    const auto ping = decode_command(bytes, Side::Listening);
    REQUIRE(ping);
    CHECK(std::ranges::equal(std::get<Ping>(*ping).context, bytes_of("ctx")));
    CHECK(!decode_command(bytes_of("\4PING"), Side::Listening));
    CHECK(!decode_command(bytes_of(std::string_view("\4PING\0\0 seventeen bytes ", 24)),
                          Side::Listening));

    const auto error = decode_command(body_of(encode_error("go away")), Side::Connecting);
    REQUIRE(error);
    CHECK(std::get<Error>(*error).reason == "go away");
    CHECK(std::holds_alternative<Other>(*decode_command(bytes_of("\7UNKNOWN"), Side::Listening)));
    CHECK(!decode_command({}, Side::Listening));
}
