// cmapd's status as JSON, for haloctl and whoever asks the status socket.
#pragma once

#include <nlohmann/json.hpp>

#include "cmapd/driver/driver.hpp"

namespace cmapd {

// A number, a text, or hex digits.
[[nodiscard]] nlohmann::json value_json(const cmap::Value& value);

[[nodiscard]] nlohmann::json status_json(const Driver& driver);

}  // namespace cmapd
