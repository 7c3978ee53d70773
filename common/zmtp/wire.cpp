#include "common/zmtp/wire.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <system_error>

#include "common/base/invariant.hpp"

namespace zmtp {
namespace {

constexpr std::size_t kSignatureBytes = 10;
constexpr std::size_t kMechanismAt = 12;
constexpr std::size_t kMechanismBytes = 20;
constexpr std::string_view kMechanism = "NULL";
constexpr std::string_view kFeatures = "X-Halo-Features";  // A decimal number.

constexpr unsigned kMoreFlag = 0x01;
constexpr unsigned kLongFlag = 0x02;
constexpr unsigned kCommandFlag = 0x04;

constexpr std::size_t kShortBodyMax = 255;

unsigned byte_at(std::span<const std::byte> bytes, std::size_t at) {
    return std::to_integer<unsigned>(bytes[at]);
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void append(std::vector<std::byte>& out, std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    out.insert(out.end(), bytes.begin(), bytes.end());
}

void append_name(std::vector<std::byte>& out, std::string_view name) {
    out.push_back(static_cast<std::byte>(name.size()));
    append(out, name);
}

// Big-endian, as all numbers of ZMTP.
void append_property(std::vector<std::byte>& out, std::string_view name, std::string_view value) {
    append_name(out, name);
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        out.push_back(static_cast<std::byte>(value.size() >> (shift - 8)));
    }
    append(out, value);
}

std::vector<std::byte> framed(std::vector<std::byte> body) {
    INVARIANT(body.size() <= kShortBodyMax);
    body.insert(body.begin(),
                {static_cast<std::byte>(kCommandFlag), static_cast<std::byte>(body.size())});
    return body;
}

bool same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
    return std::ranges::equal(a, b, {}, lower, lower);
}

// Takes `size` bytes off the front, or nothing when they aren't there.
std::optional<std::span<const std::byte>> take(std::span<const std::byte>& bytes,
                                               std::size_t size) {
    if (bytes.size() < size) return std::nullopt;
    const auto front = bytes.first(size);
    bytes = bytes.subspan(size);
    return front;
}

struct Property {
    std::string_view name;
    std::string_view value;
};

std::optional<Property> take_property(std::span<const std::byte>& bytes) {
    const auto name_size = take(bytes, 1);
    if (!name_size) return std::nullopt;
    const auto name = take(bytes, byte_at(*name_size, 0));
    const auto value_size = take(bytes, 4);
    if (!name || !value_size) return std::nullopt;
    std::size_t size = 0;
    for (const std::byte byte : *value_size) {
        size = size << 8u | std::to_integer<std::size_t>(byte);
    }
    const auto value = take(bytes, size);
    if (!value) return std::nullopt;
    return Property{.name = text_of(*name), .value = text_of(*value)};
}

// What is no number says nothing.
std::uint32_t number_in(std::string_view text) {
    std::uint32_t number = 0;
    const char* const end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, number);
    return read.ec == std::errc{} && read.ptr == end ? number : 0;
}

base::Expected<Command, WireError> decode_ready(std::span<const std::byte> properties, Side self) {
    const std::string_view expected = self == Side::Listening ? "DEALER" : "ROUTER";
    bool is_expected = false;
    Ready ready;
    while (!properties.empty()) {
        const auto property = take_property(properties);
        if (!property) return base::fail(WireError::Command);
        if (same_name(property->name, "Socket-Type")) is_expected = property->value == expected;
        if (same_name(property->name, kFeatures)) ready.features = number_in(property->value);
    }
    if (!is_expected) return base::fail(WireError::SocketType);
    return ready;
}

}  // namespace

const char* text(WireError error) {
    switch (error) {
        case WireError::NotZmtp:
            return "not ZMTP";
        case WireError::Version:
            return "ZMTP older than 3.0";
        case WireError::Mechanism:
            return "security mechanism is not NULL";
        case WireError::Flags:
            return "reserved bits of a frame are set";
        case WireError::SeveralParts:
            return "message of several parts";
        case WireError::TooLong:
            return "message too long";
        case WireError::Command:
            return "malformed command";
        case WireError::SocketType:
            return "socket type must be DEALER to a ROUTER";
    }
    return "";
}

std::array<std::byte, kGreetingBytes> encode_greeting() {
    std::array<std::byte, kGreetingBytes> greeting{};
    greeting[0] = std::byte{0xff};
    greeting[9] = std::byte{0x7f};
    greeting[10] = std::byte{3};
    greeting[11] = std::byte{1};
    std::ranges::copy(std::as_bytes(std::span(kMechanism)), greeting.begin() + kMechanismAt);
    return greeting;
}

base::Expected<void, WireError> check_greeting(std::span<const std::byte> bytes) {
    if (!bytes.empty() && byte_at(bytes, 0) != 0xff) return base::fail(WireError::NotZmtp);
    // Older peers have a length here; its lowest bit tells them from a signature.
    if (bytes.size() >= kSignatureBytes && (byte_at(bytes, kSignatureBytes - 1) & 1u) == 0) {
        return base::fail(WireError::NotZmtp);
    }
    if (bytes.size() > kSignatureBytes && byte_at(bytes, kSignatureBytes) < 3) {
        return base::fail(WireError::Version);
    }
    if (bytes.size() < kMechanismAt + kMechanismBytes) return {};
    std::array<std::byte, kMechanismBytes> expected{};
    std::ranges::copy(std::as_bytes(std::span(kMechanism)), expected.begin());
    if (!std::ranges::equal(bytes.subspan(kMechanismAt, kMechanismBytes), expected)) {
        return base::fail(WireError::Mechanism);
    }
    return {};
}

base::Expected<std::optional<FrameHead>, WireError> decode_frame_head(
    std::span<const std::byte> bytes, std::size_t message_bytes_max) {
    if (bytes.empty()) return std::nullopt;
    const unsigned flags = byte_at(bytes, 0);
    if ((flags & ~(kMoreFlag | kLongFlag | kCommandFlag)) != 0) return base::fail(WireError::Flags);
    if ((flags & kMoreFlag) != 0) return base::fail(WireError::SeveralParts);

    FrameHead head;
    head.is_command = (flags & kCommandFlag) != 0;
    head.head_bytes = (flags & kLongFlag) != 0 ? kFrameHeadBytesMax : 2;
    if (bytes.size() < head.head_bytes) return std::nullopt;
    std::uint64_t body_bytes = 0;
    for (const std::byte byte : bytes.first(head.head_bytes).subspan(1)) {
        body_bytes = body_bytes << 8u | std::to_integer<std::uint64_t>(byte);
    }
    if (body_bytes > (head.is_command ? kCommandBytesMax : message_bytes_max)) {
        return base::fail(WireError::TooLong);
    }
    head.body_bytes = static_cast<std::size_t>(body_bytes);
    return head;
}

std::size_t encode_message_head(std::size_t body_bytes, std::byte* out) {
    if (body_bytes <= kShortBodyMax) {
        out[0] = std::byte{0};
        out[1] = static_cast<std::byte>(body_bytes);
        return 2;
    }
    encode_long_message_head(body_bytes,
                             std::span<std::byte, kFrameHeadBytesMax>(out, kFrameHeadBytesMax));
    return kFrameHeadBytesMax;
}

void encode_long_message_head(std::size_t body_bytes,
                              std::span<std::byte, kFrameHeadBytesMax> out) {
    out[0] = static_cast<std::byte>(kLongFlag);
    for (std::size_t i = 0; i < 8; ++i) {
        out[8 - i] = static_cast<std::byte>(std::uint64_t{body_bytes} >> (8 * i));
    }
}

std::vector<std::byte> encode_ready(Side self, std::uint32_t features) {
    std::vector<std::byte> body;
    append_name(body, "READY");
    append_property(body, "Socket-Type", self == Side::Listening ? "ROUTER" : "DEALER");
    append_property(body, "Identity", "");
    if (features != 0) append_property(body, kFeatures, std::to_string(features));
    return framed(std::move(body));
}

std::vector<std::byte> encode_pong(std::span<const std::byte> context) {
    std::vector<std::byte> body;
    append_name(body, "PONG");
    body.insert(body.end(), context.begin(), context.end());
    return framed(std::move(body));
}

std::vector<std::byte> encode_error(std::string_view reason) {
    std::vector<std::byte> body;
    append_name(body, "ERROR");
    append_name(body, reason.substr(0, 200));  // Fits a short frame.
    return framed(std::move(body));
}

base::Expected<Command, WireError> decode_command(std::span<const std::byte> body, Side self) {
    const auto name_size = take(body, 1);
    const auto name_bytes = name_size ? take(body, byte_at(*name_size, 0)) : std::nullopt;
    if (!name_bytes) return base::fail(WireError::Command);
    const std::string_view name = text_of(*name_bytes);

    if (name == "READY") return decode_ready(body, self);
    if (name == "PING") {
        const auto ttl = take(body, 2);
        if (!ttl || body.size() > kPingContextMax) return base::fail(WireError::Command);
        return Ping{.context = body};
    }
    if (name == "ERROR") {
        const auto size = take(body, 1);
        const auto reason = size ? take(body, byte_at(*size, 0)) : std::nullopt;
        if (!reason) return base::fail(WireError::Command);
        return Error{.reason = std::string(text_of(*reason))};
    }
    return Other{};
}

}  // namespace zmtp
