// Which of the next events of the three daemons may be told: the order that halo/stream.hpp
// promises. Pure.
#pragma once

#include <algorithm>
#include <halo/groups.hpp>
#include <halo/quorum.hpp>
#include <set>

namespace halo {

class StreamOrder {
  public:
    explicit StreamOrder(Member self) : self_(self) {}

    [[nodiscard]] bool may_pass(const Event& event) const {
        if (const auto* membership = std::get_if<Membership>(&event))
            return is_decided() || is_of_nodes(*membership);
        return !std::holds_alternative<Message>(event) || is_decided();
    }
    [[nodiscard]] bool may_pass(const QuorumEvent& event) const {
        const auto* change = std::get_if<QuorumChange>(&event);
        return change == nullptr || !change->quorate || groups_ring_ >= change->ring_seq ||
               groups_ring_ == 0;
    }
    [[nodiscard]] bool may_pass_key() const { return decided_ring_ >= nodes_ring_; }

    void passed(const Event& event) {
        if (const auto* ring = std::get_if<Ring>(&event))
            groups_ring_ = std::max(groups_ring_, ring->seq);
        const auto* membership = std::get_if<Membership>(&event);
        if (membership == nullptr) return;
        const bool is_over =
            std::ranges::find(membership->left, self_, &Change::member) != membership->left.end();
        if (is_over) {
            joined_.erase(membership->group);
        } else {
            joined_.insert(membership->group);
        }
        // In no group nothing tells how far they are.
        if (joined_.empty()) groups_ring_ = 0;
    }
    void passed(const QuorumEvent& event) {
        if (const auto* change = std::get_if<QuorumChange>(&event))
            decided_ring_ = std::max(decided_ring_, change->ring_seq);
        if (const auto* nodes = std::get_if<NodesChange>(&event))
            nodes_ring_ = std::max(nodes_ring_, nodes->ring_seq);
    }

  private:
    // The ring that groups are in; or it is over, and will not be.
    [[nodiscard]] bool is_decided() const {
        return decided_ring_ >= groups_ring_ || nodes_ring_ > groups_ring_;
    }
    static bool is_of_nodes(const Membership& membership) {
        const auto of_node = [](const Change& change) {
            return change.reason == Reason::NodeDown || change.reason == Reason::NodeUp;
        };
        return std::ranges::all_of(membership.left, of_node) &&
               std::ranges::all_of(membership.joined, of_node);
    }

    Member self_;
    std::set<Group> joined_;
    // Seqs of rings. 0: none yet.
    std::uint64_t groups_ring_ = 0;
    std::uint64_t nodes_ring_ = 0;
    std::uint64_t decided_ring_ = 0;
};

}  // namespace halo
