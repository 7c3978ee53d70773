// cpgd's status as JSON, for haloctl and whoever asks the status socket.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cpgd/core/status.hpp"

namespace cpgd {

// What lies in memory that is shared with others.
struct AreasStatus {
    struct Client {
        std::uint32_t kernel_pid = 0;
        std::size_t bytes = 0;
        std::size_t waiting_bytes = 0;
    };
    std::size_t from_ringd_bytes = 0;
    std::vector<Client> to_clients;
};

[[nodiscard]] nlohmann::json status_json(const cpg::Status& status);
[[nodiscard]] nlohmann::json areas_json(const AreasStatus& status);

// A group's name is any bytes; what is not printable ASCII reads \xNN, and a backslash \\.
[[nodiscard]] std::string printable(const std::string& name);

}  // namespace cpgd
