// Reads of the cluster's keys, which wait for a place in the order (cmapd/core/replica.hpp).
#include "cmapd/core/core.hpp"

namespace cmap {

void Core::enqueue_cluster_read(Context& context, const Asked& asked,
                                protocol::cmap::Request request) {
    if (replica_.is_shut()) {
        return refuse(context, asked, CsError::TryAgain, replica_.why_closed());
    }
    ++counters_.cluster_reads;
    cluster_reads_.push_back({.session = asked.session,
                              .number = asked.number,
                              .give_up_at = context.now + kClusterReadTime});
    Replica::Out out;
    replica_.read(asked.session, asked.number, std::move(request), out);
    take(context, std::move(out));
}

// Those that waited too long, and all where this partition may not read.
void Core::refuse_cluster_reads(Context& context) {
    const bool is_shut = replica_.is_shut();
    while (!cluster_reads_.empty()) {
        const ClusterRead read = cluster_reads_.front();
        if (!is_shut && read.give_up_at > context.now) return;
        cluster_reads_.pop_front();
        replica_.abandon_read(read.session, read.number);
        const Asked asked{.session = read.session, .number = read.number, .payload = {}};
        if (is_shut) {
            refuse(context, asked, CsError::TryAgain, replica_.why_closed());
        } else {
            refuse(context, asked, CsError::Timeout, "no place in the cluster's order in time");
        }
    }
}

}  // namespace cmap
