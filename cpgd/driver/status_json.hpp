// cpgd's status as JSON, for haloctl and whoever asks the status socket.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "cpgd/core/status.hpp"

namespace cpgd {

[[nodiscard]] nlohmann::json status_json(const cpg::Status& status);

// A group's name is any bytes; what is not printable ASCII reads \xNN, and a backslash \\.
[[nodiscard]] std::string printable(const std::string& name);

}  // namespace cpgd
