#include "common/protocol/cmap_value.hpp"

#include <algorithm>

#include "common/base/invariant.hpp"

namespace protocol::cmap {

bool is_key_char(char c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_letter || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_' || c == '/' ||
           c == ':';
}

bool is_key(std::string_view key) {
    return key.size() >= kKeyBytesMin && key.size() <= kKeyBytesMax &&
           std::ranges::all_of(key, is_key_char);
}

std::size_t size_of(Type type) {
    switch (type) {
        case Type::Int8:
        case Type::Uint8:
            return 1;
        case Type::Int16:
        case Type::Uint16:
            return 2;
        case Type::Int32:
        case Type::Uint32:
        case Type::Float:
            return 4;
        case Type::Int64:
        case Type::Uint64:
        case Type::Double:
            return 8;
        case Type::String:
        case Type::Binary:
            return 0;
    }
    return 0;
}

bool is_integer(Type type) {
    return type >= Type::Int8 && type <= Type::Uint64;
}

bool is_valid(const Value& value) {
    const std::size_t size = size_of(value.type);
    if (size != 0) return value.bytes.size() == size;
    if (value.type == Type::Binary) return value.bytes.size() <= kValueBytesMax;
    return !value.bytes.empty() && value.bytes.size() <= kValueBytesMax + 1 &&
           value.bytes.find('\0') == value.bytes.size() - 1;
}

std::optional<Value> value_of(Type type, std::string_view bytes) {
    if (bytes.size() > kValueBytesMax) return std::nullopt;
    if (type != Type::String) {
        Value value{.type = type, .bytes = std::string(bytes)};
        if (!is_valid(value)) return std::nullopt;
        return value;
    }
    const std::size_t end = std::min(bytes.find('\0'), bytes.size());
    // Longer than the text and its NUL: the caller means other bytes than a text's.
    if (bytes.size() > end + 1) return std::nullopt;
    return text(bytes.substr(0, end));
}

Value text(std::string_view text) {
    Value value{.type = Type::String, .bytes = std::string(text.substr(0, text.find('\0')))};
    value.bytes.push_back('\0');
    return value;
}

namespace {

template <class Number>
Value stepped_as(const Value& value, std::int32_t step) {
    const auto old = as<Number>(value);
    INVARIANT(old.has_value());
    // Unsigned, where wrapping is defined.
    const auto sum =
        static_cast<std::uint64_t>(*old) + static_cast<std::uint64_t>(std::int64_t{step});
    return number(value.type, static_cast<Number>(sum));
}

}  // namespace

Value stepped(const Value& value, std::int32_t step) {
    switch (value.type) {
        case Type::Int8:
        case Type::Uint8:
            return stepped_as<std::uint8_t>(value, step);
        case Type::Int16:
        case Type::Uint16:
            return stepped_as<std::uint16_t>(value, step);
        case Type::Int32:
        case Type::Uint32:
            return stepped_as<std::uint32_t>(value, step);
        case Type::Int64:
        case Type::Uint64:
            return stepped_as<std::uint64_t>(value, step);
        case Type::Float:
        case Type::Double:
        case Type::String:
        case Type::Binary:
            break;
    }
    INVARIANT(!"an integer");
    return value;
}

}  // namespace protocol::cmap
