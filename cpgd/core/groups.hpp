// The groups of the cluster and the sessions in them, as the ordered stream makes them: a
// deterministic fold, the same on all nodes that went through the same views.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cpgd/core/record.hpp"

namespace cpg {

// Who a member of a group is (cpg_address without the reason).
struct Address {
    base::NodeId node{};
    std::uint32_t pid = 0;

    friend auto operator<=>(const Address&, const Address&) = default;
};

struct SessionKey {
    base::NodeId node{};
    SessionId session{};

    friend auto operator<=>(const SessionKey&, const SessionKey&) = default;
};

using GroupIndex = base::Strong<struct GroupIndexTag, std::uint32_t>;  // Of this process alone.

// What every node knows of one session.
struct Session {
    std::uint32_t pid = 0;
    std::uint64_t number = 0;   // Of the last multicast in the order.
    std::uint32_t request = 0;  // Of the last join or leave in the order.
    std::map<GroupHandle, GroupIndex> handles;
};

// Where the events of a member go.
struct Seat {
    SessionId session{};
    GroupHandle handle{};
};

struct Group {
    std::string name;
    std::map<Address, Seat> members;
    std::set<base::NodeId> stopped_by;  // Nodes with a slow member.
};

// Members that one step took from a group or brought to it.
struct GroupChange {
    GroupIndex group{};
    std::vector<Address> members;  // Ascending.
};

class Groups {
  public:
    [[nodiscard]] Session* find(const SessionKey& key);
    [[nodiscard]] const Session* find(const SessionKey& key) const;
    [[nodiscard]] const Group& at(GroupIndex index) const { return slots_[index.value()]; }
    [[nodiscard]] std::optional<GroupIndex> index_of(const std::string& name) const;
    // All groups by name.
    [[nodiscard]] const std::map<std::string, GroupIndex>& by_name() const { return by_name_; }
    [[nodiscard]] const std::map<SessionKey, Session>& sessions() const { return sessions_; }

    // No effect when the session is known.
    void open(const SessionKey& key, std::uint32_t pid);

    // False: such a member is there already. Needs: the session is known and the handle unused.
    [[nodiscard]] bool join(const SessionKey& key, GroupHandle handle, const std::string& group);

    // Nothing when the handle has no group. The caller calls drop_if_empty() when done with it.
    std::optional<GroupChange> leave(const SessionKey& key, GroupHandle handle);

    // The session is forgotten; the changes come in order of the groups' names, the groups stay
    // until drop_if_empty().
    std::vector<GroupChange> end(const SessionKey& key);
    std::vector<GroupChange> remove_nodes(const std::set<base::NodeId>& nodes);

    // Takes over what a node brought to a view.
    std::vector<GroupChange> install(base::NodeId node, std::span<const SessionState> sessions,
                                     std::span<const std::string> stopped);

    // False: no such group, or no member of `node` in it.
    bool set_stopped(base::NodeId node, const std::string& group, bool stopped);

    void drop_if_empty(GroupIndex index);

    // What `node` would bring to a view.
    [[nodiscard]] std::vector<SessionState> sessions_of(base::NodeId node) const;
    [[nodiscard]] std::vector<std::string> stopped_by(base::NodeId node) const;

  private:
    GroupIndex group_named(const std::string& name);
    void unseat(Group& group, const Address& member);
    std::vector<GroupChange> by_group_name(std::map<GroupIndex, std::vector<Address>> taken) const;

    std::map<SessionKey, Session> sessions_;
    std::vector<Group> slots_;
    std::vector<GroupIndex> free_;
    std::map<std::string, GroupIndex> by_name_;
};

}  // namespace cpg
