// Keys of the configuration (common/config/keys.hpp) as those that clients read.
#pragma once

#include <optional>

#include "cmapd/core/events.hpp"
#include "common/config/keys.hpp"

namespace cmapd {

[[nodiscard]] cmap::Value value_of(const config::KeyValue& value);

// Without those whose name or value no client could read: the file may have such.
[[nodiscard]] cmap::Values values_of(const config::Keys& keys);

// What the file says, and what is in force by it.
[[nodiscard]] cmap::Values configuration_keys(const config::Loaded& loaded);

}  // namespace cmapd
