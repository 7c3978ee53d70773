// What the daemons' status says, as the keys that Corosync's clients read. Pure: JSON in, keys out.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/config/keys.hpp"
#include "common/protocol/cfg_api.hpp"
#include "common/protocol/cmap_value.hpp"

namespace cmapd {

// runtime.members.<id>.: who is or was in the ring. Told by the channel's views, so that trackers
// hear of it at once.
class Members {
  public:
    // What a former life has said, one key; others are left out.
    void restore(std::string_view key, const protocol::cmap::Value& value);
    // The nodes of the ring now. Gives the keys that are new or have changed.
    [[nodiscard]] config::Keys view(const std::vector<base::NodeId>& ring_members,
                                    const config::ClusterConfig& cluster);
    // A member says which version of the configuration it has.
    [[nodiscard]] config::Keys greeted(base::NodeId node, std::uint64_t config_version);

  private:
    struct Member {
        bool is_joined = false;
        std::uint32_t join_count = 0;
        std::uint64_t config_version = 0;
        std::string ip;
    };
    std::map<base::NodeId, Member> members_;
};

// runtime.votequorum., from {"get": "status"} of quorumd; those of options only where they are set,
// as in Corosync.
[[nodiscard]] config::Keys vote_keys(const nlohmann::json& quorumd_status);

// The answers of cluster control, from ringd's status.
[[nodiscard]] protocol::cfg::RingStatus ring_status_of(const nlohmann::json& ringd_status,
                                                       const config::ClusterConfig& cluster,
                                                       const std::vector<base::NodeId>& file_order);
// Needs: `node` is configured.
[[nodiscard]] protocol::cfg::NodeStatus node_status_of(const nlohmann::json& ringd_status,
                                                       const config::ClusterConfig& cluster,
                                                       base::NodeId node);
// The nodes in the order of the file, which clients count by.
[[nodiscard]] std::vector<base::NodeId> file_order(const config::Loaded& loaded);

}  // namespace cmapd
