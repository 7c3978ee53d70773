// Asks a daemon's status socket one question and waits for the answer. For tools: it blocks.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "common/base/instant.hpp"
#include "common/base/result.hpp"

namespace ipc {

// Answers that a status server keeps for one client that does not read; it drops what is above, and
// an answer does not say which question it is for. (libzmq may count half of them twice.)
inline constexpr int kStatusQueuedMax = 16;

struct StatusError {
    enum class Cause : std::uint8_t {
        NotRunning,    // Nobody listens at the path.
        NoPermission,  // The socket or the daemon refuses this user.
        NoAnswer,      // The daemon took longer than the time-out.
        Refused,       // The daemon answered with an error.
        Failed,        // The system failed, or the answer is no JSON.
    };
    Cause cause = Cause::Failed;
    std::string text;  // One line for people, with the path.
};

// The "value" of what the daemon at `path` answered, or the error in it.
[[nodiscard]] base::Expected<nlohmann::json, StatusError> answer_value(const std::string& path,
                                                                       const std::string& text);

// Sends `request` to the socket at `path` (absolute). Gives the "value" of the answer.
[[nodiscard]] base::Expected<nlohmann::json, StatusError> ask_status(
    const std::string& path, const nlohmann::json& request,
    base::Duration timeout = std::chrono::seconds{5});

}  // namespace ipc
