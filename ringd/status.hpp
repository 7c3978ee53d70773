// What ringd answers on its status socket. Times are in milliseconds or microseconds as the key
// says. docs/operations.md has what each number means and what to do about it.
#pragma once

#include <nlohmann/json.hpp>

#include "common/config/cluster_config.hpp"
#include "ringd/continuation.hpp"
#include "ringd/driver.hpp"
#include "ringd/priority.hpp"
#include "ringd/stream/status.hpp"
#include "ringd/totem/ring.hpp"
#include "ringd/transport/transport.hpp"

namespace ringd {

// {"get": "status"}: the ring, its members and links, the token, the queue.
[[nodiscard]] nlohmann::json status_json(const totem::Ring& ring,
                                         const transport::Transport& transport,
                                         const Driver& driver, const config::ClusterConfig& config,
                                         base::Instant now);

// {"get": "counters"}: everything that only grows, by name.
[[nodiscard]] nlohmann::json counters_json(const totem::Ring& ring,
                                           const transport::Transport& transport,
                                           const Driver& driver,
                                           const config::ClusterConfig& config);

// {"get": "trace"}: the last events of the protocol, oldest first.
[[nodiscard]] nlohmann::json trace_json(const totem::Ring& ring, base::Instant now);

// The channels of the stream and the services on them, for the status.
[[nodiscard]] nlohmann::json channels_json(const stream::Status& status);
[[nodiscard]] nlohmann::json stream_counters_json(const stream::Status& status);

// Whether a death would be noticed, and how often it was not.
[[nodiscard]] nlohmann::json priority_json(const Priority::Status& status);
[[nodiscard]] nlohmann::json resume_json(const ContinuationStatus& status);
[[nodiscard]] nlohmann::json journal_counters_json(const resume::RecorderCounters& counters);

}  // namespace ringd
