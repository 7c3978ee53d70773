// Who may be a client of a daemon, as its configuration file and its status socket say.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "common/base/result.hpp"
#include "common/config/cluster_config.hpp"
#include "common/ipc/status_server.hpp"
#include "common/session/access.hpp"

namespace daemon_start {

class ClientRules {
  public:
    // `access` outlives it.
    explicit ClientRules(session::Access& access) : access_(access) {}

    // What uidgid {} says now. What "allow" and "disallow" said stays, unless the file said it too.
    void take(const config::UidGid& of_file);

    // {"do": "allow", "value": {"uid": 1000}} and "disallow", also with "gid": what uidgid {} says,
    // until the next start.
    void serve(ipc::StatusServer& status);

    using Answer = base::Expected<nlohmann::json, std::string>;
    [[nodiscard]] Answer change(const nlohmann::json& rule, bool allow);

  private:
    session::Access& access_;
    config::UidGid of_file_;
};

}  // namespace daemon_start
