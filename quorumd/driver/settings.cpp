#include "quorumd/driver/settings.hpp"

#include "common/config/quorum_rules.hpp"

namespace quorumd {
namespace {

// What a renewal and its way may take, beside what the ring may need.
constexpr base::Duration kToSpare = std::chrono::seconds{2};

}  // namespace

base::Duration lease_of(const config::TotemTimes& times) {
    return times.token + times.consensus + kToSpare;
}

quorum::Config settings_of(const config::ClusterConfig& cluster) {
    const config::Quorum& configured = cluster.quorum;
    quorum::Config config;
    config.is_free = !configured.is_votequorum;
    if (const config::Node* self = cluster.local()) config.votes = self->votes;
    quorum::Options& options = config.options;
    options.config_version = cluster.config_version;
    options.expected_votes = configured.expected_votes;
    options.rules = config::rules_of(configured);
    config.tracks_expected_votes = configured.expected_votes_tracking;
    config.last_man_standing_window = configured.last_man_standing_window;
    if (configured.device) {
        options.device_votes = configured.device->votes;
        config.device_timeout = configured.device->timeout;
        config.device_sync_timeout = configured.device->sync_timeout;
    }
    config.lease = lease_of(cluster.times);
    config.renewal = quorum::renewal_of(config.lease);
    return config;
}

}  // namespace quorumd
