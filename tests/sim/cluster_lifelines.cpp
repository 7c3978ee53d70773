// Silent connections between simulated processes: made some time after both want one, ended by the
// kernel of a process that dies, unless it went with its host or is cut off; and now and then for
// nothing, as by a forged reset.
#include "tests/sim/cluster.hpp"

namespace sim {
namespace {

using std::chrono::milliseconds;
using Kind = totem::PeerEvidence::Kind;

constexpr base::Duration kMadeWithin = milliseconds(300);
constexpr base::Duration kHeardWithin = milliseconds(2);
constexpr base::Duration kForgedWithin = milliseconds(3000);
constexpr Ppm kForged = 100'000;

}  // namespace

void Cluster::make_lifelines(const Host& host) {
    for (NodeIndex other = 0; other < hosts_.size(); ++other) {
        if (!host.wants_lifeline[other]) continue;
        const auto pair = std::minmax(host.index, other);
        const NodeIndex one = pair.first;
        const NodeIndex second = pair.second;
        schedule_.at(now_ + lifeliner_.between(base::Duration{}, kMadeWithin),
                     Call{[this, one, second] { make_lifeline(one, second); }});
    }
}

void Cluster::make_lifeline(NodeIndex one, NodeIndex other) {
    Host& first = hosts_[one];
    Host& second = hosts_[other];
    const bool is_possible = first.is_running() && second.is_running() &&
                             first.wants_lifeline[other] && second.wants_lifeline[one] &&
                             !network_.is_cut(one, other) && !network_.is_cut(other, one);
    if (!is_possible || !lifelines_.emplace(one, other).second) return;
    const totem::LinkId link{static_cast<std::uint8_t>(lifeliner_.index(plan_.links))};
    for (const auto& [host, about] : {std::pair(&first, &second), std::pair(&second, &first)}) {
        schedule_.at(now_ + lifeliner_.between(base::Duration{}, kHeardWithin),
                     Tell{.node = host->index,
                          .life = host->who.life,
                          .event = totem::PeerEvidence{
                              .peer = about->node, .link = link, .kind = Kind::LifelineUp}});
    }
    if (!lifeliner_.chance(kForged)) return;
    schedule_.at(now_ + lifeliner_.between(base::Duration{}, kForgedWithin),
                 Call{[this, one, other] {
                     if (lifelines_.erase({one, other}) == 0) return;
                     hang_up(hosts_[one], hosts_[other]);
                     hang_up(hosts_[other], hosts_[one]);
                     if (hosts_[one].is_running()) make_lifelines(hosts_[one]);
                 }});
}

void Cluster::end_lifelines(Host& host) {
    host.wants_lifeline.assign(hosts_.size(), false);
    for (NodeIndex other = 0; other < hosts_.size(); ++other) {
        if (lifelines_.erase(std::minmax(host.index, other)) == 0) continue;
        if (host.host_down == 0 && !network_.is_cut(host.index, other))
            hang_up(hosts_[other], host);
    }
}

// One of `host` with `about` has ended without a word.
void Cluster::hang_up(Host& host, Host& about) {
    if (!host.is_running()) return;
    schedule_.at(
        now_ + lifeliner_.between(base::Duration{}, kHeardWithin),
        Tell{.node = host.index,
             .life = host.who.life,
             .event = totem::PeerEvidence{.peer = about.node, .link = {}, .kind = Kind::HungUp}});
}

}  // namespace sim
