// The stats map: what the daemons count, with the names and types that Corosync's clients know
// (cmap_keys(7)), and stats.clear., which sets back what is shown. Pure: JSON in, keys out.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cmapd/core/events.hpp"
#include "common/config/keys.hpp"

namespace cmapd {

// {"get": "status"} and {"get": "counters"} of ringd, and {"get": "status"} of cpgd. Each may be
// null: that daemon does not answer.
struct DaemonNumbers {
    nlohmann::json ringd_status;
    nlohmann::json ringd_counters;
    nlohmann::json cpgd_status;
};

// stats.srp., stats.pg., stats.knet. and, of cpgd's clients, stats.ipcs.
[[nodiscard]] config::Keys stats_of(const DaemonNumbers& numbers);

// A session with one of our own services, for stats.ipcs.
struct IpcSession {
    std::uint32_t service = 0;
    std::uint32_t pid = 0;
    std::uint32_t kernel_pid = 0;  // Whose name is asked for; 0: unknown.
    std::uint64_t id = 0;          // Tells sessions of one process apart.
    std::uint64_t requests = 0;
    std::uint64_t events = 0;
    std::uint64_t queued_bytes = 0;
};
void add_ipc_keys(const IpcSession& session, config::Keys& keys);
// stats.ipcs.global.: sessions that are open, ours and cpgd's, and ours that were.
void add_ipc_totals(std::uint64_t opened_by_us, std::uint64_t open_at_us,
                    const DaemonNumbers& numbers, config::Keys& keys);

// stats.schedmiss.N.{timestamp,delay}: the last times that ringd did not run when it should have,
// the latest first. Leaves out those up to `cleared_ms` after the epoch.
[[nodiscard]] cmap::Values schedule_misses(const nlohmann::json& ringd_counters,
                                           std::uint64_t cleared_ms);

// What stats.clear. has set back. It is forgotten when cmapd is restarted.
class Cleared {
  public:
    // `which`: knet, ipc, totem, schedmiss or all. Takes effect with the next apply().
    void clear(std::string_view which);
    // Counters from here on count from the last clear; gauges, states and names stay. A counter
    // below what it was then is of a daemon that was restarted, and is shown as it is.
    void apply(config::Keys& keys);
    // The same for the times of schedule_misses().
    [[nodiscard]] std::uint64_t misses_cleared_ms(const nlohmann::json& ringd_counters);

  private:
    [[nodiscard]] bool takes(std::string_view key) const;

    std::map<std::string, std::uint64_t, std::less<>> base_;
    bool clears_knet_ = false;
    bool clears_ipc_ = false;
    bool clears_totem_ = false;
    bool clears_misses_ = false;
    std::uint64_t misses_cleared_ms_ = 0;
};

}  // namespace cmapd
