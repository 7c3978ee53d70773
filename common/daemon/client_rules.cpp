#include "common/daemon/client_rules.hpp"

#include <cstdint>
#include <limits>

namespace daemon_start {

void ClientRules::take(const config::UidGid& of_file) {
    for (const std::uint32_t uid : of_file_.uids)
        access_.uids.erase(uid);
    for (const std::uint32_t gid : of_file_.gids)
        access_.gids.erase(gid);
    of_file_ = of_file;
    access_.uids.insert(of_file_.uids.begin(), of_file_.uids.end());
    access_.gids.insert(of_file_.gids.begin(), of_file_.gids.end());
}

void ClientRules::serve(ipc::StatusServer& status) {
    status.on_do("allow", [this](const nlohmann::json& rule) { return change(rule, true); });
    status.on_do("disallow", [this](const nlohmann::json& rule) { return change(rule, false); });
}

ClientRules::Answer ClientRules::change(const nlohmann::json& rule, bool allow) {
    const bool is_rule = rule.is_object() && rule.size() == 1 &&
                         (rule.contains("uid") || rule.contains("gid")) &&
                         rule.begin()->is_number_unsigned() &&
                         *rule.begin() <= std::numeric_limits<std::uint32_t>::max();
    if (!is_rule)
        return base::fail(std::string(R"(value: needs {"uid": N} or {"gid": N}, N to 4294967295)"));
    auto& ids = rule.contains("uid") ? access_.uids : access_.gids;
    const auto id = rule.begin()->get<std::uint32_t>();
    if (allow) {
        ids.insert(id);
    } else {
        ids.erase(id);
    }
    return rule;
}

}  // namespace daemon_start
