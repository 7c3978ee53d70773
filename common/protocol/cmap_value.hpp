// A value of the configuration database: one of Corosync's twelve types and its bytes, as a client
// reads them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace protocol::cmap {

// Values of cmap_value_types_t (cmap.h).
enum class Type : std::uint8_t {
    Int8 = 1,
    Uint8 = 2,
    Int16 = 3,
    Uint16 = 4,
    Int32 = 5,
    Uint32 = 6,
    Int64 = 7,
    Uint64 = 8,
    Float = 9,
    Double = 10,
    String = 11,
    Binary = 12
};

inline constexpr std::size_t kKeyBytesMin = 3;
inline constexpr std::size_t kKeyBytesMax = 255;
inline constexpr std::size_t kValueBytesMax = std::size_t{16} << 10u;  // Without a string's NUL.

// Letters, digits and ".-_/:", as many as Corosync takes.
[[nodiscard]] bool is_key(std::string_view key);
[[nodiscard]] bool is_key_char(char c);

struct Value {
    Type type = Type::Binary;
    // In this machine's order; a string ends with its only NUL.
    std::string bytes;

    friend bool operator==(const Value&, const Value&) = default;
};

// How many bytes a value of the type has; 0: any.
[[nodiscard]] std::size_t size_of(Type type);
[[nodiscard]] bool is_integer(Type type);
// The right size, within the bound, a string with its NUL at the end and nowhere else.
[[nodiscard]] bool is_valid(const Value& value);

// What a client that names a type, memory and a length means, by Corosync's rules: a string ends at
// its first NUL, or at `bytes`. Nothing: the length is wrong for the type, or too long.
[[nodiscard]] std::optional<Value> value_of(Type type, std::string_view bytes);

template <class Number>
[[nodiscard]] Value number(Type type, Number value) {
    Value made{.type = type, .bytes = std::string(sizeof(value), '\0')};
    std::memcpy(made.bytes.data(), &value, sizeof(value));
    return made;
}
[[nodiscard]] inline Value u8(std::uint8_t value) {
    return number(Type::Uint8, value);
}
[[nodiscard]] inline Value u16(std::uint16_t value) {
    return number(Type::Uint16, value);
}
[[nodiscard]] inline Value u32(std::uint32_t value) {
    return number(Type::Uint32, value);
}
[[nodiscard]] inline Value u64(std::uint64_t value) {
    return number(Type::Uint64, value);
}
// Up to the first NUL, if there is one.
[[nodiscard]] Value text(std::string_view text);

// `value` as a number of `Number`'s size; nothing when it has another size.
template <class Number>
[[nodiscard]] std::optional<Number> as(const Value& value) {
    if (value.bytes.size() != sizeof(Number)) return std::nullopt;
    Number read{};
    std::memcpy(&read, value.bytes.data(), sizeof(read));
    return read;
}

// The integer plus `step`, in its own width: it wraps. Needs: is_integer.
[[nodiscard]] Value stepped(const Value& value, std::int32_t step);

}  // namespace protocol::cmap
