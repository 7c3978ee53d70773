// Numbers and lists in the daemons' JSON, which may be anything: what is missing counts as nothing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>

namespace cmapd {

// 0: no number, or a negative one.
inline std::uint64_t count_of(const nlohmann::json& value) {
    if (value.is_number_unsigned()) return value.get<std::uint64_t>();
    if (!value.is_number_integer()) return 0;
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, value.get<std::int64_t>()));
}

// The value at the end of a path of names, or 0 where one of them is missing.
inline std::uint64_t number(const nlohmann::json& from, std::initializer_list<const char*> path) {
    const nlohmann::json* at = &from;
    for (const char* name : path) {
        if (!at->is_object()) return 0;
        const auto found = at->find(name);
        if (found == at->end()) return 0;
        at = &*found;
    }
    return count_of(*at);
}

inline std::uint64_t sum_of(const nlohmann::json& counters) {
    std::uint64_t sum = 0;
    if (!counters.is_object()) return 0;
    for (const auto& [name, value] : counters.items()) {
        sum += count_of(value);
    }
    return sum;
}

inline const nlohmann::json& list_of(const nlohmann::json& from, const char* name) {
    static const nlohmann::json kNone = nlohmann::json::array();
    if (!from.is_object()) return kNone;
    const auto found = from.find(name);
    return found != from.end() && found->is_array() ? *found : kNone;
}

inline std::uint32_t u32(std::uint64_t value) {
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(value, UINT32_MAX));
}

}  // namespace cmapd
