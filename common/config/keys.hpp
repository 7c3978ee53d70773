// The configuration as typed keys, with the names and types that Corosync's clients know
// (cmap_keys_overview(8)): "totem.token" u32, "nodelist.node.0.ring0_addr" str.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/config/directive.hpp"
#include "common/config/load.hpp"

namespace config {

enum class KeyType : std::uint8_t { U8, U16, I32, U32, U64, Text };

// The alternatives stand in the order of KeyType.
using KeyValue = std::variant<std::uint8_t, std::uint16_t, std::int32_t, std::uint32_t,
                              std::uint64_t, std::string>;

using Keys = std::map<std::string, KeyValue, std::less<>>;

// The type that the key of that directive has; of one that is not known: text.
[[nodiscard]] KeyType key_type(std::string_view directive_path);

// "u32", as corosync-cmapctl writes it.
[[nodiscard]] std::string_view name_of(KeyType type);

// `text` as a value of that type: a switch is 1 or 0 where a number is wanted. Nothing when it is
// none, or too large.
[[nodiscard]] std::optional<KeyValue> parse_key(KeyType type, std::string_view text);

[[nodiscard]] std::string text_of(const KeyValue& value);

// What the file says: totem., nodelist., quorum., logging., uidgid.config., system., halo., … A
// node's place is that in the file, from 0 without gaps. Only what is written has a key, besides
// nodelist.local_node_pos and totem.interface.N.bindnetaddr, which say who this host is. totem.key
// has none: it is a secret.
[[nodiscard]] Keys keys_of(const Loaded& loaded);

// runtime.config.: the values in force, with defaults and what was computed.
[[nodiscard]] Keys keys_in_force(const ClusterConfig& cluster);

// The name of the directive's key, "totem.interface.N.mcastport"; empty when it has none.
[[nodiscard]] std::string key_name(const Directive& directive);

// From one set of keys to another, each list in the order of names.
struct KeyChanges {
    struct Change {
        std::string name;
        std::optional<KeyValue> before;  // Nothing: it is new.
        std::optional<KeyValue> after;   // Nothing: it goes.
    };
    std::vector<Change> all;
};
[[nodiscard]] KeyChanges changes_between(const Keys& before, const Keys& after);

}  // namespace config
