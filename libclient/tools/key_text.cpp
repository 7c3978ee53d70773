#include "libclient/tools/key_text.hpp"

#include <fmt/format.h>

#include <charconv>

namespace haloctl {
namespace {

using nlohmann::json;

std::string hex_of(const std::vector<std::byte>& bytes) {
    std::string text;
    for (const std::byte byte : bytes) {
        text += fmt::format("{:02x}", static_cast<unsigned>(byte));
    }
    return text;
}

std::optional<std::vector<std::byte>> bytes_in(std::string_view hex) {
    if (hex.size() % 2 != 0) return std::nullopt;
    std::vector<std::byte> bytes;
    for (std::size_t at = 0; at < hex.size(); at += 2) {
        unsigned value = 0;
        const auto [end, error] = std::from_chars(hex.data() + at, hex.data() + at + 2, value, 16);
        if (error != std::errc{} || end != hex.data() + at + 2) return std::nullopt;
        bytes.push_back(static_cast<std::byte>(value));
    }
    return bytes;
}

template <class Number>
std::optional<halo::KeyValue> number_in(std::string_view text) {
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return halo::KeyValue(number);
}

std::string one_value(const std::optional<halo::KeyValue>& value) {
    return value ? fmt::format("({}) {}", halo::type_name(*value), value_text(*value))
                 : std::string("(none)");
}

json value_json(const halo::KeyValue& value) {
    return std::visit(
        [](const auto& held) -> json {
            if constexpr (std::is_same_v<std::decay_t<decltype(held)>, std::vector<std::byte>>) {
                return hex_of(held);
            } else {
                return held;
            }
        },
        value);
}

}  // namespace

std::string value_text(const halo::KeyValue& value) {
    return std::visit(
        [](const auto& held) -> std::string {
            using Held = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<Held, std::string>) {
                return held;
            } else if constexpr (std::is_same_v<Held, std::vector<std::byte>>) {
                return hex_of(held);
            } else if constexpr (std::is_floating_point_v<Held>) {
                return fmt::format("{:f}", held);
            } else {
                return fmt::format("{}", +held);
            }
        },
        value);
}

std::string key_text(const halo::Key& key) {
    return fmt::format("{} ({}) = {}", key.name, halo::type_name(key.value), value_text(key.value));
}

std::string change_text(const halo::KeyChange& change) {
    const char* what = !change.after ? "deleted" : change.before ? "changed" : "added";
    return fmt::format("{} {}: {} -> {}", what, change.name, one_value(change.before),
                       one_value(change.after));
}

json key_json(const halo::Key& key) {
    return {
        {"name", key.name}, {"type", halo::type_name(key.value)}, {"value", value_json(key.value)}};
}

json change_json(const halo::KeyChange& change) {
    json result{{"name", change.name}, {"before", nullptr}, {"after", nullptr}};
    if (change.before) result["before"] = key_json({change.name, *change.before});
    if (change.after) result["after"] = key_json({change.name, *change.after});
    return result;
}

std::optional<halo::Key> key_in(const json& object, std::string& problem) {
    const bool is_key = object.is_object() && object.contains("name") &&
                        object["name"].is_string() && object.contains("type") &&
                        object["type"].is_string() && object.contains("value");
    if (!is_key) {
        problem = R"(needs {"name": "…", "type": "…", "value": …})";
        return std::nullopt;
    }
    const json& value = object["value"];
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    auto parsed = parse_value(object["type"].get<std::string>(), text);
    if (!parsed) {
        problem = object["name"].get<std::string>() + ": '" + text + "' is no " +
                  object["type"].get<std::string>() + " (types: " + kTypeNames + ")";
        return std::nullopt;
    }
    return halo::Key{.name = object["name"].get<std::string>(), .value = *std::move(parsed)};
}

std::optional<halo::KeyValue> parse_value(std::string_view type, std::string_view text) {
    if (type == "i8") return number_in<std::int8_t>(text);
    if (type == "u8") return number_in<std::uint8_t>(text);
    if (type == "i16") return number_in<std::int16_t>(text);
    if (type == "u16") return number_in<std::uint16_t>(text);
    if (type == "i32") return number_in<std::int32_t>(text);
    if (type == "u32") return number_in<std::uint32_t>(text);
    if (type == "i64") return number_in<std::int64_t>(text);
    if (type == "u64") return number_in<std::uint64_t>(text);
    if (type == "flt") return number_in<float>(text);
    if (type == "dbl") return number_in<double>(text);
    if (type == "str") return halo::KeyValue(std::string(text));
    if (type == "bin") {
        auto bytes = bytes_in(text);
        if (bytes) return halo::KeyValue(*std::move(bytes));
    }
    return std::nullopt;
}

}  // namespace haloctl
