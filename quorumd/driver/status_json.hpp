// The status of quorumd as the status socket and the log tell it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/session/server.hpp"
#include "quorumd/core/core.hpp"

namespace quorumd {

[[nodiscard]] std::string text_of(const std::vector<base::NodeId>& nodes);
[[nodiscard]] const char* text_of(quorum::Reason reason);

[[nodiscard]] nlohmann::json status_json(const quorum::Status& status, const quorum::Config& config,
                                         const session::Server& server, base::Instant now);

}  // namespace quorumd
