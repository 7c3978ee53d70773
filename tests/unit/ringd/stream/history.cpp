#include "tests/unit/ringd/stream/history.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "tests/unit/ringd/stream/toy_service.hpp"

namespace stream::test {
namespace {

using protocol::Batch;
using protocol::Transitional;
using protocol::View;

using ViewName = std::tuple<std::string, base::RingId, std::uint64_t>;
using ItemName =
    std::tuple<base::RingId, std::uint64_t, std::uint32_t, base::NodeId, std::uint64_t>;

ViewName name_of(const LifeRecord& life, const View& view) {
    return {life.channel, view.ring, view.version};
}

std::string place(const LifeRecord& life, const protocol::Event& event) {
    return " (node " + std::to_string(life.node.value()) + ", channel " + life.channel +
           ", incarnation " + std::to_string(life.incarnation.value()) + ", cursor " +
           std::to_string(event.cursor.value()) + ")";
}

class Judge {
  public:
    std::optional<std::string> judge(const LifeRecord& life) {
        view_ = nullptr;
        together_.clear();
        between_.clear();
        placed_.clear();
        own_.clear();
        std::uint64_t cursor = 0;
        for (const protocol::Event& event : life.events) {
            if (event.cursor.value() != ++cursor) return "cursor jumps" + place(life, event);
            const auto broken =
                std::visit([&](const auto& what) { return on(life, what); }, event.what);
            if (broken) return *broken + place(life, event);
        }
        if (life.is_over) return std::nullopt;
        for (std::uint64_t number = 1; number <= life.taken; ++number) {
            if (!own_.contains(number)) {
                return "taken and not delivered: " + std::to_string(number) + " of incarnation " +
                       std::to_string(life.incarnation.value());
            }
        }
        return std::nullopt;
    }

  private:
    using Broken = std::optional<std::string>;

    Broken on(const LifeRecord& life, const View& view) {
        const protocol::ViewMember self{.node = life.node, .incarnation = life.incarnation};
        if (!std::ranges::binary_search(view.members, self)) return "not in its own view";
        const auto [known, is_new] = views_.try_emplace(name_of(life, view), &view);
        if (!is_new && (known->second->members != view.members ||
                        known->second->ring_members != view.ring_members)) {
            return "one name, two views";
        }
        if (view_ != nullptr) {
            const Step step{name_of(life, *view_), name_of(life, view), together_};
            const auto [other, is_first] = steps_.try_emplace(step, between_);
            if (!is_first && other->second != between_)
                return "not the same items between two views";
            Broken broken = check_change(*view_, view);
            if (broken) return broken;
        }
        view_ = &view;
        between_.clear();
        // Who was elsewhere meanwhile, its items had their place there.
        std::erase_if(placed_, [&](const auto& of) {
            return !std::ranges::binary_search(view.members, of.first) ||
                   std::ranges::find(together_, of.first.node) == together_.end();
        });
        together_.clear();
        for (const protocol::ViewMember& member : view.members) {
            together_.push_back(member.node);
        }
        return std::nullopt;
    }

    static Broken check_change(const View& before, const View& view) {
        std::set<protocol::ViewMember> had(before.members.begin(), before.members.end());
        std::vector<base::NodeId> joined;
        for (const protocol::ViewMember& member : view.members) {
            if (!had.contains(member)) joined.push_back(member.node);
        }
        std::vector<base::NodeId> left;
        for (const protocol::ViewMember& member : before.members) {
            if (std::ranges::find(view.members, member.node, &protocol::ViewMember::node) ==
                view.members.end()) {
                left.push_back(member.node);
            }
        }
        if (joined != view.joined) return "joined is not what changed";
        if (left != view.left) return "left is not what changed";
        return std::nullopt;
    }

    Broken on(const LifeRecord& life, const Transitional& transitional) {
        if (view_ == nullptr) return "a transitional configuration before the first view";
        if (!std::ranges::binary_search(transitional.members, life.node)) {
            return "not in its own transitional configuration";
        }
        if (!std::ranges::includes(together_, transitional.members)) {
            return "a transitional configuration with others than those of before";
        }
        together_ = transitional.members;
        return std::nullopt;
    }

    Broken on(const LifeRecord& life, const Batch& batch) {
        if (view_ == nullptr) return "an item before the first view";
        between_.push_back({batch.ring, batch.seq, batch.index, batch.sender, batch.number});
        const auto member =
            std::ranges::find(view_->members, batch.sender, &protocol::ViewMember::node);
        if (member == view_->members.end()) return "an item of nobody in the view";
        const Payload payload = read_payload(batch.payload);
        if (payload.incarnation != member->incarnation || payload.number != batch.number) {
            return "not what its sender submitted";
        }
        const auto [place, is_first] = placed_.try_emplace(*member);
        std::optional<std::uint64_t>& placed = place->second[payload.urgent ? 1 : 0];
        if (placed && payload.after != *placed) return "an item left out, doubled or overtaken";
        placed = batch.number;
        if (batch.sender == life.node) own_.insert(batch.number);
        return std::nullopt;
    }

    std::map<ViewName, const View*> views_;
    // From one view to the next, with whom.
    using Step = std::tuple<ViewName, ViewName, std::vector<base::NodeId>>;
    std::map<Step, std::vector<ItemName>> steps_;

    // Of the life under judgement:
    const View* view_ = nullptr;
    std::vector<base::NodeId> together_;  // Of the view, as the last Transitional left them.
    std::vector<ItemName> between_;
    std::map<protocol::ViewMember, std::array<std::optional<std::uint64_t>, 2>> placed_;
    std::set<std::uint64_t> own_;
};

}  // namespace

std::optional<std::string> broken_rule(const std::vector<LifeRecord>& lives) {
    Judge judge;
    for (const LifeRecord& life : lives) {
        if (auto broken = judge.judge(life)) return broken;
    }
    return std::nullopt;
}

}  // namespace stream::test
