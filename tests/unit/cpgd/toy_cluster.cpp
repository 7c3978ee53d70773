#include "tests/unit/cpgd/toy_cluster.hpp"

#include <algorithm>

namespace cpg_test {
namespace {

namespace api = protocol::cpg;

}  // namespace

ToyCluster::ToyCluster(std::vector<std::uint32_t> nodes, const cpg::Config& config)
    : config_(config) {
    for (const std::uint32_t id : nodes) {
        Node node{.core = cpg::Core(config, next_id_++)};
        node.incarnation = protocol::Incarnation{next_id_++};
        nodes_.emplace(NodeId{id}, std::move(node));
        step(NodeId{id}, cpg::RingAttached{.self = NodeId{id},
                                           .resumed = false,
                                           .incarnation = nodes_.at(NodeId{id}).incarnation});
    }
}

// ---------------------------------------------------------------- the channel

void ToyCluster::push(Node& node,
                      std::variant<protocol::Transitional, protocol::View, protocol::Batch> what) {
    node.events.push_back(
        {.cursor = protocol::Cursor{node.events.size() + 1}, .what = std::move(what)});
}

// An urgent one before all that are not.
ToyCluster::Submission ToyCluster::take(Node& node) {
    auto next = std::ranges::find(node.submissions, true, &Submission::urgent);
    if (next == node.submissions.end()) next = node.submissions.begin();
    Submission taken = *next;
    node.submissions.erase(next);
    return taken;
}

bool ToyCluster::has_submissions(std::uint32_t node) const {
    return !nodes_.at(NodeId{node}).submissions.empty();
}

void ToyCluster::order_one(std::uint32_t id) {
    Node& sender = nodes_.at(NodeId{id});
    if (sender.submissions.empty() || !sender.is_up || sender.view.members.empty()) return;
    const Submission item = take(sender);
    const bool is_attached = std::ranges::any_of(sender.view.members, [&](const auto& member) {
        return member == protocol::ViewMember{NodeId{id}, item.incarnation};
    });
    if (!is_attached) return;  // Of a former attachment.
    for (const protocol::ViewMember& member : protocol::View(sender.view).members) {
        push(nodes_.at(member.node),
             protocol::Batch{
                 .ring = sender.view.ring, .sender = NodeId{id}, .payload = item.payload});
    }
}

bool ToyCluster::deliver_one(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    if (node.delivered == node.events.size()) return false;
    const protocol::Event event = node.events[node.delivered++];
    if (const auto* view = std::get_if<protocol::View>(&event.what)) {
        node.tag = {.ring = view->ring, .version = view->version};
    }
    step(NodeId{id}, cpg::RingHappened{event});
    flush(NodeId{id});
    return true;
}

void ToyCluster::settle() {
    for (bool moves = true; moves;) {
        moves = false;
        for (auto& [id, node] : nodes_) {
            flush(id);
            if (node.is_up && !node.submissions.empty() && !node.view.members.empty()) {
                order_one(id.value());
                moves = true;
            }
        }
        for (auto& [id, node] : nodes_) {
            while (deliver_one(id.value())) {
                moves = true;
            }
        }
    }
}

void ToyCluster::partition(const std::vector<std::vector<std::uint32_t>>& sides) {
    base::Prng none(0);
    partition_with_late_items(sides, none, 0);
}

void ToyCluster::partition_with_late_items(const std::vector<std::vector<std::uint32_t>>& sides,
                                           base::Prng& random, std::uint64_t late) {
    std::map<NodeId, protocol::View> next;
    for (const auto& side : sides) {
        protocol::View view;
        view.ring = {.seq = next_ring_++, .representative = NodeId{side.front()}};
        for (const std::uint32_t id : side) {
            view.members.push_back({NodeId{id}, nodes_.at(NodeId{id}).incarnation});
            view.ring_members.push_back(NodeId{id});
        }
        std::ranges::sort(view.members);
        std::ranges::sort(view.ring_members);
        for (const std::uint32_t id : side) {
            next[NodeId{id}] = view;
        }
    }
    // Who comes along: the same view before and after.
    std::map<NodeId, std::vector<NodeId>> along;
    for (auto& [id, node] : nodes_) {
        node.is_up = next.contains(id);
        if (!node.is_up) continue;
        for (const auto& [other, view] : next) {
            const Node& with = nodes_.at(other);
            const bool same_before = with.view.ring == node.view.ring &&
                                     with.view.version == node.view.version &&
                                     !node.view.members.empty();
            if (other == id || (same_before && view.ring == next.at(id).ring))
                along[id].push_back(other);
        }
    }
    for (auto& [id, node] : nodes_) {
        if (!node.is_up || node.view.members.empty()) continue;
        push(node, protocol::Transitional{.next = next.at(id).ring, .members = along.at(id)});
    }
    for (std::uint64_t i = 0; i < late; ++i) {
        auto sender = nodes_.begin();
        std::advance(sender, static_cast<long>(random.below(nodes_.size())));
        auto& [id, node] = *sender;
        if (!node.is_up || node.submissions.empty() || node.view.members.empty()) continue;
        const Submission item = take(node);
        for (const NodeId with : along.at(id)) {
            push(nodes_.at(with),
                 protocol::Batch{.ring = node.view.ring, .sender = id, .payload = item.payload});
        }
    }
    for (auto& [id, node] : nodes_) {
        if (!node.is_up) {
            node.view = {};
            continue;
        }
        protocol::View view = next.at(id);
        for (const auto& member : node.view.members) {
            const bool stays = std::ranges::find(view.members, member) != view.members.end();
            if (!stays) view.left.push_back(member.node);
        }
        for (const auto& member : view.members) {
            const bool was = std::ranges::find(along.at(id), member.node) != along.at(id).end();
            if (!was || node.view.members.empty()) view.joined.push_back(member.node);
        }
        node.view = view;
        push(node, view);
    }
}

void ToyCluster::restart(std::uint32_t id, const std::optional<base::Buffer>& snapshot) {
    Node& node = nodes_.at(NodeId{id});
    for (ToyClient& client : clients_) {
        if (client.node != NodeId{id}) continue;
        client.connection = {};
        client.is_welcome = false;
    }
    node.core = cpg::Core(config_, next_id_++);
    if (snapshot) {
        auto restored = cpg::Core::restore(config_, *snapshot, now_, next_id_++);
        INVARIANT(restored.has_value());
        node.core = std::move(*restored);
    }
    if (snapshot && node.core.incarnation() == node.incarnation) {
        node.delivered = node.core.applied().value();
        step(NodeId{id}, cpg::RingAttached{
                             .self = NodeId{id}, .resumed = true, .incarnation = node.incarnation});
        return;
    }
    forget_later_tags(NodeId{id});
    // As ringd does when the attachment has ended: out of the view, and in again with another life.
    node.incarnation = protocol::Incarnation{next_id_++};
    node.events.clear();
    node.delivered = 0;
    node.submissions.clear();
    step(NodeId{id},
         cpg::RingAttached{.self = NodeId{id}, .resumed = false, .incarnation = node.incarnation});
    protocol::View view = node.view;
    ++view.version;
    view.left.clear();
    view.joined = {NodeId{id}};
    for (auto& member : view.members) {
        if (member.node == NodeId{id}) member.incarnation = node.incarnation;
    }
    for (const auto& member : view.members) {
        Node& other = nodes_.at(member.node);
        other.view = view;
        push(other, view);
    }
}

// The core has lost its place: what it had not made yet will be other events, also of sessions that
// it does not know yet.
void ToyCluster::forget_later_tags(NodeId id) {
    std::map<cpg::SessionId, std::uint64_t> made;
    for (const cpg::SessionStatus& session : nodes_.at(id).core.status().sessions) {
        made[session.session] = session.events;
    }
    for (auto& [whose, tags] : tags_) {
        if (whose.first == id) tags.erase(tags.upper_bound(made[whose.second]), tags.end());
    }
}

void ToyCluster::lose_ring(std::uint32_t id) {
    Node& node = nodes_.at(NodeId{id});
    node.view = {};
    std::map<base::RingId, std::vector<std::uint32_t>> sides;
    for (const auto& [other, at] : nodes_) {
        if (!at.view.members.empty()) sides[at.view.ring].push_back(other.value());
    }
    std::vector<std::vector<std::uint32_t>> rest;
    for (auto& [ring, side] : sides) {
        rest.push_back(std::move(side));
    }
    partition(rest);
    forget_later_tags(NodeId{id});
    node.incarnation = protocol::Incarnation{next_id_++};
    node.events.clear();
    node.delivered = 0;
    node.submissions.clear();
    step(NodeId{id},
         cpg::RingAttached{.self = NodeId{id}, .resumed = false, .incarnation = node.incarnation});
}

void ToyCluster::advance(base::Duration time) {
    now_ += time;
    for (auto& [id, node] : nodes_) {
        step(id, cpg::TimePassed{});
        flush(id);
    }
}

// ---------------------------------------------------------------- the driver

void ToyCluster::step(NodeId id, const cpg::Event& event) {
    std::vector<cpg::Action> actions;
    Node& node = nodes_.at(id);
    node.core.step(now_, event, actions);
    // A client may get an event much later than its node came to it.
    for (const cpg::SessionStatus& session : node.core.status().sessions) {
        auto& tags = tags_[{id, session.session}];
        const std::uint64_t tagged = tags.empty() ? 0 : tags.rbegin()->first;
        for (std::uint64_t made = tagged + 1; made <= session.events; ++made) {
            (void)tags.try_emplace(made, node.tag);
        }
    }
    carry_out(id, actions);
}

void ToyCluster::flush(NodeId id) {
    std::vector<cpg::Action> actions;
    nodes_.at(id).core.flush(now_, room, actions);
    carry_out(id, actions);
}

void ToyCluster::carry_out(NodeId id, std::vector<cpg::Action>& actions) {
    for (const cpg::Action& action : actions) {
        if (const auto* submit = std::get_if<cpg::Submit>(&action)) {
            Node& node = nodes_.at(id);
            node.submissions.push_back({.payload = submit->payload,
                                        .urgent = submit->urgent,
                                        .incarnation = node.incarnation});
        } else if (const auto* sent = std::get_if<cpg::SendToClient>(&action)) {
            to_client(sent->connection, sent->frame);
        } else {
            const auto& closed = std::get<cpg::CloseClient>(action);
            for (ToyClient& client : clients_) {
                if (client.connection != closed.connection) continue;
                client.connection = {};
                client.is_welcome = false;
            }
        }
    }
}

// ---------------------------------------------------------------- clients

ToyClient& ToyCluster::add_client(std::uint32_t node, std::uint32_t pid, std::uint32_t uid) {
    ToyClient& client = clients_.emplace_back();
    client.node = NodeId{node};
    client.pid = pid;
    client.uid = uid;
    client.takes_runs = pid % 2 == 1;
    connect(client);
    return client;
}

void ToyCluster::connect(ToyClient& client) {
    client.connection = cpg::ConnectionId{next_connection_++};
    step(client.node, cpg::ClientConnected{.connection = client.connection,
                                           .uid = client.uid,
                                           .kernel_pid = client.pid,
                                           .fresh_session = cpg::SessionId{1000 + next_id_++}});
    from_client(client, {client.hello()});
}

void ToyCluster::disconnect(ToyClient& client) {
    const auto connection = std::exchange(client.connection, {});
    client.is_welcome = false;
    if (connection != cpg::ConnectionId{})
        step(client.node, cpg::ClientGone{.connection = connection});
}

void ToyCluster::kill(ToyClient& client) {
    client.is_alive = false;
    client.gone(checker_);
    disconnect(client);
    step(client.node, cpg::ProcessDied{.kernel_pid = client.pid});
    flush(client.node);
}

void ToyCluster::from_client(ToyClient& client, const support::CpgClient::Frames& frames) {
    for (const api::ClientFrame& frame : client.as_written(frames)) {
        if (client.connection == cpg::ConnectionId{}) return;
        // Through the codec, as it will be.
        auto decoded = api::decode_client_frame(api::encode(frame));
        INVARIANT(decoded.has_value());
        step(client.node, cpg::ClientSent{.connection = client.connection,
                                          .frame = std::move(*decoded),
                                          .takes_runs = client.takes_runs});
    }
}

void ToyCluster::ask(ToyClient& client, api::ClientFrame frame) {
    support::CpgClient::Frames sent;
    client.ask(std::move(frame), sent);
    from_client(client, sent);
}

std::uint32_t ToyCluster::join(ToyClient& client, const std::string& group, std::uint32_t handle) {
    support::CpgClient::Frames sent;
    const std::uint32_t request = client.join(group, handle, sent);
    from_client(client, sent);
    return request;
}

std::uint32_t ToyCluster::leave(ToyClient& client, std::uint32_t handle) {
    support::CpgClient::Frames sent;
    const std::uint32_t request = client.leave(handle, checker_, sent);
    from_client(client, sent);
    return request;
}

void ToyCluster::send(ToyClient& client, const std::string& text, std::uint32_t handle) {
    support::CpgClient::Frames sent;
    client.send(text, handle, checker_, sent);
    from_client(client, sent);
}

void ToyCluster::send_all(ToyClient& client, const std::vector<std::string>& texts) {
    support::CpgClient::Frames sent;
    for (const std::string& text : texts) {
        client.send(text, 1, checker_, sent);
    }
    from_client(client, sent);
}

void ToyCluster::acknowledge(ToyClient& client) {
    from_client(client, {client.acknowledgement()});
}

void ToyCluster::to_client(cpg::ConnectionId connection, const api::CpgdFrame& sent) {
    const auto found = std::ranges::find(clients_, connection, &ToyClient::connection);
    if (found == clients_.end() || !found->is_alive) return;
    ToyClient& client = *found;
    auto frame = api::decode_cpgd_frame(api::encode(sent));
    INVARIANT(frame.has_value());
    support::CpgClient::Frames answers;
    client.take(
        *frame, checker_,
        // Of a session that ended in the same step there is no tag.
        [&](api::SessionId session, std::uint64_t event) {
            return tags_[{client.node, session}]
                .try_emplace(event, nodes_.at(client.node).tag)
                .first->second;
        },
        answers);
    from_client(client, answers);
}

std::map<std::string, std::vector<std::pair<std::uint32_t, std::uint32_t>>> ToyCluster::groups(
    std::uint32_t node) {
    std::map<std::string, std::vector<std::pair<std::uint32_t, std::uint32_t>>> all;
    for (const cpg::GroupStatus& group : core(node).status().groups) {
        for (const auto& member : group.members) {
            all[group.name].emplace_back(member.node.value(), member.pid);
        }
    }
    return all;
}

}  // namespace cpg_test
