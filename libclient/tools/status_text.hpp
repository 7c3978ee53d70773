// Turns a daemon's JSON status into text for people: scalars as "name: value", lists of objects as
// tables. What the daemons may add later is shown too.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace haloctl {

// Lines that end with a newline, indented by `indent` spaces. Control characters in strings (names
// of groups are what clients make them) are shown as '?'.
[[nodiscard]] std::string status_text(const nlohmann::json& status, std::size_t indent = 0);

}  // namespace haloctl
