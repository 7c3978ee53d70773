// Keys as haloctl writes and reads them: "name (type) = value", as corosync-cmapctl does, and JSON.
#pragma once

#include <halo/keys.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace haloctl {

[[nodiscard]] std::string value_text(const halo::KeyValue& value);
[[nodiscard]] std::string key_text(const halo::Key& key);
[[nodiscard]] std::string change_text(const halo::KeyChange& change);

// {"name": …, "type": "u32", "value": …}; bytes are a text of two hex digits each.
[[nodiscard]] nlohmann::json key_json(const halo::Key& key);
[[nodiscard]] nlohmann::json change_json(const halo::KeyChange& change);
// Nothing: it is no key, `problem` says why.
[[nodiscard]] std::optional<halo::Key> key_in(const nlohmann::json& json, std::string& problem);

// `text` as a value of the type of that name ("u32", …). Nothing: there is no such type, or the
// text is no value of it.
[[nodiscard]] std::optional<halo::KeyValue> parse_value(std::string_view type,
                                                        std::string_view text);
inline constexpr const char* kTypeNames =
    "i8, u8, i16, u16, i32, u32, i64, u64, flt, dbl, str, bin";

}  // namespace haloctl
