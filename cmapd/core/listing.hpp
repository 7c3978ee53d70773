// Walking a map of keys in their order: what an iteration and a list answer.
#pragma once

#include <string_view>

#include "cmapd/core/keys.hpp"

namespace cmap {

// Of one Listed: small enough for one frame, whatever the values.
inline constexpr std::size_t kListBytesMax = std::size_t{256} << 10u;

// The first entry of `all` that begins with `prefix` and is after `after`.
template <class Map>
auto next_in(const Map& all, std::string_view prefix, std::string_view after) {
    const auto found = after < prefix ? all.lower_bound(prefix) : all.upper_bound(after);
    const bool is_in = found != all.end() && std::string_view(found->first).starts_with(prefix);
    return is_in ? found : all.end();
}

inline const Value& value_of(const Entry& entry) {
    return entry.value;
}
inline const Value& value_of(const Value& value) {
    return value;
}

template <class Map>
protocol::cmap::Listed list_of(const Map& all, const protocol::cmap::List& list) {
    protocol::cmap::Listed listed;
    std::size_t bytes = 0;
    for (auto at = next_in(all, list.prefix, list.after);
         at != all.end() && std::string_view(at->first).starts_with(list.prefix); ++at) {
        if (bytes > kListBytesMax) {
            listed.more = true;
            break;
        }
        const Value& value = value_of(at->second);
        bytes += at->first.size() + value.bytes.size();
        listed.items.push_back({.key = at->first, .value = value});
    }
    return listed;
}

}  // namespace cmap
