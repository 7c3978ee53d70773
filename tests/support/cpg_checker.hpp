// The rules of closed process groups, held against what members saw. Knows the traces alone.
//
// Report each event of each member in its order, with the view in which its node was; then ask for
// the faults. The letters are the rules' names: G1 the lists add up, G2 the own join is first, G3
// messages come from members, G4 who is together sees the same, G6 a member goes once, G7 the
// totem confchg comes after the groups', E1 a message comes once, E2 in its sender's order, E3 to
// its sender.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/protocol/cpg_api.hpp"

namespace support {

using protocol::cpg::Member;
using protocol::cpg::Reason;

// The view of the channel that a node is in.
struct ViewTag {
    base::RingId ring{};
    std::uint64_t version = 0;

    friend auto operator<=>(const ViewTag&, const ViewTag&) = default;
};

class CpgChecker {
  public:
    // One stay of a process in a group: a process that joins again is a new one.
    struct MemberId {
        std::string group;
        base::NodeId node{};
        std::uint32_t pid = 0;
        std::uint64_t stay = 0;

        friend auto operator<=>(const MemberId&, const MemberId&) = default;
    };

    void confchg(const MemberId& who, const ViewTag& view, const protocol::cpg::Confchg& change) {
        Trace& trace = traces_[who];
        const auto address = std::pair(who.node, who.pid);
        const Addresses now = addresses(change.members);
        const Addresses left = addresses(change.left);
        const Addresses joined = addresses(change.joined);
        if (trace.events.empty()) {
            expect(joined == Addresses{address} && now.contains(address) && left.empty() &&
                       change.joined.front().reason == Reason::Join,
                   "G2 the first event is the own join", who);
            trace.first_members = now;
        } else {
            expect(now == united(without(trace.members, left), joined),
                   "G1 members are the ones before, less left, and joined", who);
            expect(included(left, trace.members), "G6 who left was there", who);
            expect(without(joined, trace.members) == joined, "G1 who joined was not there", who);
        }
        expect(without(left, now) == left, "G1 who left is no member", who);
        for (const Member& member : change.left) {
            expect(member.reason == Reason::Leave || member.reason == Reason::NodeDown ||
                       member.reason == Reason::ProcDown,
                   "G6 a reason to go", who);
        }
        bool is_of_view = false;
        for (const Member& member : change.joined) {
            expect(member.reason == Reason::Join || member.reason == Reason::NodeUp,
                   "G5 a reason to come", who);
            is_of_view = is_of_view || member.reason == Reason::NodeUp;
        }
        if (is_of_view) expect(!trace.totem_of.contains(view), "G7 the totem confchg is last", who);
        trace.members = now;
        trace.events.push_back({.view = view,
                                .what = text_of(change),
                                .left = left,
                                .joined = joined,
                                .is_merge = is_of_view});
    }

    // `message` names it in the whole run; `number` ascends with what its sender sent to the group.
    void delivered(const MemberId& who, const ViewTag& view, base::NodeId node, std::uint32_t pid,
                   std::uint64_t number, const std::string& message) {
        Trace& trace = traces_[who];
        expect(!trace.events.empty(), "G2 the first event is the own join", who);
        expect(trace.members.contains({node, pid}), "G3 messages come from members", who);
        expect(trace.seen.insert(message).second, "E1 a message comes once", who);
        auto& last = trace.last_of[{node, pid}];
        expect(number > last, "E2 messages come in their sender's order", who);
        last = number;
        trace.events.push_back({.view = view, .what = message});
    }

    void totem(const MemberId& who, const ViewTag& view, const base::RingId& ring) {
        Trace& trace = traces_[who];
        expect(!trace.events.empty(), "G2 the first event is the own join", who);
        expect(trace.ring <= ring && ring <= view.ring, "G7 totem confchgs name rings in order",
               who);
        trace.ring = ring;
        // The one of the own join may be of the view before: in an exchange that the next view
        // broke off, a join counts for those who were together before it.
        const bool is_initial = trace.events.size() == 1;
        if (ring == view.ring && !is_initial) trace.totem_of.insert(view);
    }

    // The member was told that its message is sent; it must come back unless the member goes.
    void sent(const MemberId& who, const std::string& message) {
        traces_[who].sent.push_back(message);
    }
    void gone(const MemberId& who) { traces_[who].is_gone = true; }

    // Everything has come to rest: what was sent is there, and members see the same.
    [[nodiscard]] std::vector<std::string> faults() {
        for (const auto& [who, trace] : traces_) {
            if (trace.is_gone) continue;
            for (const std::string& message : trace.sent) {
                expect(trace.seen.contains(message), "E3 a message comes to its sender", who);
            }
        }
        for (const auto& [a, trace] : traces_) {
            for (const auto& [b, other] : traces_) {
                if (a < b && a.group == b.group) compare(a, trace, b, other);
            }
        }
        return faults_;
    }

    // Members of the group as `who` knows them last.
    [[nodiscard]] std::set<std::pair<base::NodeId, std::uint32_t>> members(
        const MemberId& who) const {
        const auto trace = traces_.find(who);
        return trace == traces_.end() ? Addresses{} : trace->second.members;
    }
    [[nodiscard]] std::size_t event_count() const {
        std::size_t count = 0;
        for (const auto& [who, trace] : traces_) {
            count += trace.events.size();
        }
        return count;
    }

  private:
    using Addresses = std::set<std::pair<base::NodeId, std::uint32_t>>;

    using Begin = std::pair<ViewTag, std::string>;
    struct Seen {
        ViewTag view;
        std::string what;
        Addresses left{};
        Addresses joined{};
        bool is_merge = false;  // Of nodes: each side is told of the other.
    };
    struct Trace {
        std::vector<Seen> events;
        Addresses members;
        Addresses first_members;
        std::set<std::string> seen;
        std::map<std::pair<base::NodeId, std::uint32_t>, std::uint64_t> last_of;
        std::set<ViewTag> totem_of;
        base::RingId ring;
        std::vector<std::string> sent;
        bool is_gone = false;
    };
    // What one member saw while another was in its list.
    struct Interval {
        std::vector<std::string> events;
        bool is_cut = false;  // Ended by the other's going.
    };

    static Addresses addresses(const std::vector<Member>& members) {
        Addresses set;
        for (const Member& member : members) {
            set.emplace(member.node, member.pid);
        }
        return set;
    }
    static Addresses without(const Addresses& from, const Addresses& what) {
        Addresses rest;
        std::ranges::set_difference(from, what, std::inserter(rest, rest.end()));
        return rest;
    }
    static Addresses united(Addresses a, const Addresses& b) {
        a.insert(b.begin(), b.end());
        return a;
    }
    static bool included(const Addresses& part, const Addresses& whole) {
        return std::ranges::includes(whole, part);
    }
    static std::string text_of(const std::vector<Member>& members) {
        std::string text;
        for (const Member& member : members) {
            text += std::to_string(member.node.value()) + ":" + std::to_string(member.pid) + "/" +
                    std::to_string(static_cast<unsigned>(member.reason)) + " ";
        }
        return text;
    }
    static std::string text_of(const protocol::cpg::Confchg& change) {
        return "confchg " + text_of(change.members) + "left " + text_of(change.left) + "joined " +
               text_of(change.joined);
    }

    void expect(bool holds, const char* rule, const MemberId& who) {
        if (holds) return;
        faults_.push_back(std::string(rule) + ": " + name_of(who));
    }
    static std::string name_of(const MemberId& who) {
        return "group " + who.group + " member " + std::to_string(who.node.value()) + ":" +
               std::to_string(who.pid) + " stay " + std::to_string(who.stay);
    }

    // By the view and the event that began them. Where nodes merge, what each side is told differs,
    // so that event counts for nothing; and a process that joins twice may begin twice the same
    // way.
    static std::multimap<Begin, Interval> intervals_with(const Trace& trace,
                                                         const MemberId& other) {
        const auto address = std::pair(other.node, other.pid);
        std::multimap<Begin, Interval> intervals;
        std::map<std::string, int> repeats;
        Interval* open = nullptr;
        for (const Seen& seen : trace.events) {
            if (open != nullptr && seen.left.contains(address)) {
                open->is_cut = true;
                open = nullptr;
            }
            // At its own join a member meets all who are there.
            const bool is_first = &seen == &trace.events.front();
            const bool meets = seen.joined.contains(address) ||
                               (is_first && trace.first_members.contains(address));
            if (open == nullptr && meets) {
                repeats.clear();
                const std::string what = seen.is_merge ? "merge" : seen.what;
                open = &intervals.emplace(Begin{seen.view, what}, Interval{})->second;
                if (seen.is_merge) continue;
            }
            if (open == nullptr) continue;
            open->events.push_back(seen.what + " #" + std::to_string(repeats[seen.what]++));
        }
        return intervals;
    }

    // Together to the end: the same. Cut by a partition or a death: what both saw is in one order.
    void compare(const MemberId& a, const Trace& trace, const MemberId& b, const Trace& other) {
        if (trace.events.empty() || other.events.empty()) return;
        const auto of_a = intervals_with(trace, b);
        const auto of_b = intervals_with(other, a);
        for (const auto& [begin, theirs] : of_b) {
            const auto [first, last] = of_a.equal_range(begin);
            if (first == last) continue;
            const bool any_agrees = std::any_of(first, last, [&, &theirs = theirs](const auto& at) {
                const Interval& mine = at.second;
                const bool is_whole =
                    !mine.is_cut && !theirs.is_cut && !trace.is_gone && !other.is_gone;
                return is_whole ? mine.events == theirs.events
                                : in_one_order(mine.events, theirs.events);
            });
            expect(any_agrees, ("G4 who is together sees the same: " + name_of(b)).c_str(), a);
        }
    }

    static bool in_one_order(const std::vector<std::string>& a, const std::vector<std::string>& b) {
        const std::set<std::string> in_a(a.begin(), a.end());
        const std::set<std::string> in_b(b.begin(), b.end());
        const auto common = [](const auto& events, const auto& others) {
            std::vector<std::string> rest;
            std::ranges::copy_if(events, std::back_inserter(rest),
                                 [&](const auto& event) { return others.contains(event); });
            return rest;
        };
        return common(a, in_b) == common(b, in_a);
    }

    std::map<MemberId, Trace> traces_;
    std::vector<std::string> faults_;
};

}  // namespace support
