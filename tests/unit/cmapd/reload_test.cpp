// Nodes on one totally ordered channel, some ahead of others; what they commit must be the same.
#include "cmapd/core/reload.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <deque>

#include "common/base/prng.hpp"

namespace {

using base::NodeId;
using cmapd::ReloadId;
using cmapd::ReloadOutcome;

struct Node {
    explicit Node(NodeId node) : id(node), reload(node) {}

    NodeId id;
    cmapd::Reload reload;
    std::size_t next = 0;               // In the order.
    std::optional<ReloadId> preparing;  // Asked of the daemons, and not done.
    std::optional<std::vector<std::string>> agreed;
    std::optional<ReloadId> prepared;
    std::map<ReloadId, std::size_t> committed;  // And where in the order.
    std::vector<cmapd::AnswerReload> answers;
    std::size_t requests = 0;
};

struct View {
    std::vector<NodeId> members;
    std::vector<NodeId> ring_members;
};
struct Said {
    NodeId by;
    cmapd::ReloadRecord record;
};

struct World {
    explicit World(std::uint32_t count) {
        for (std::uint32_t i = 1; i <= count; ++i) {
            nodes.emplace_back(NodeId{i});
            everybody.emplace_back(i);
        }
        view(everybody, everybody);
    }

    void view(std::vector<NodeId> members, std::vector<NodeId> ring) {
        order.emplace_back(View{.members = std::move(members), .ring_members = std::move(ring)});
    }

    void carry_out(Node& node, const cmapd::ReloadActions& actions) {
        for (const auto& action : actions) {
            if (const auto* submit = std::get_if<cmapd::SubmitReload>(&action)) {
                order.emplace_back(Said{.by = node.id, .record = submit->record});
            } else if (const auto* prepare = std::get_if<cmapd::PrepareReload>(&action)) {
                REQUIRE_FALSE(node.preparing);
                REQUIRE_FALSE(node.prepared);
                node.preparing = prepare->id;
                node.agreed = prepare->agreed;
            } else if (const auto* commit = std::get_if<cmapd::CommitReload>(&action)) {
                REQUIRE(node.prepared == commit->id);
                node.prepared.reset();
                node.committed[commit->id] = node.next;
            } else if (const auto* drop = std::get_if<cmapd::DropReload>(&action)) {
                REQUIRE((node.preparing == drop->id || node.prepared == drop->id));
                node.preparing.reset();
                node.prepared.reset();
            } else {
                node.answers.push_back(std::get<cmapd::AnswerReload>(action));
            }
        }
    }

    void request(Node& node) {
        cmapd::ReloadActions actions;
        ++node.requests;
        node.reload.request(7, actions);
        carry_out(node, actions);
    }
    void finish_preparation(Node& node, const cmapd::Reload::Prepared& result) {
        cmapd::ReloadActions actions;
        const ReloadId id = *node.preparing;
        node.preparing.reset();
        if (result) node.prepared = id;
        node.reload.prepared(id, result, actions);
        carry_out(node, actions);
    }
    bool take(Node& node) {
        if (node.next == order.size()) return false;
        const auto what = order[node.next];
        cmapd::ReloadActions actions;
        if (const auto* said = std::get_if<Said>(&what)) {
            node.reload.record(said->by, said->record, actions);
        } else {
            const auto& now = std::get<View>(what);
            node.reload.view(now.members, now.ring_members, actions);
        }
        carry_out(node, actions);
        ++node.next;
        return true;
    }
    // Until nobody has anything to do; who must prepare is good at it.
    void settle() {
        for (bool moved = true; moved;) {
            moved = false;
            for (Node& node : nodes) {
                while (take(node))
                    moved = true;
                if (!node.preparing) continue;
                finish_preparation(node, std::vector<std::string>{"totem.token 3000"});
                moved = true;
            }
        }
    }

    std::deque<Node> nodes;
    std::vector<NodeId> everybody;
    std::deque<std::variant<View, Said>> order;
};

const cmapd::AnswerReload& last_answer(const Node& node) {
    REQUIRE_FALSE(node.answers.empty());
    return node.answers.back();
}

}  // namespace

TEST_CASE("a reload that all can do is done at one place of the order on all") {
    World world(3);
    world.settle();
    world.request(world.nodes[1]);
    world.settle();
    CHECK(last_answer(world.nodes[1]).outcome == ReloadOutcome::Done);
    REQUIRE(world.nodes[0].committed.size() == 1);
    for (const Node& node : world.nodes)
        CHECK(node.committed == world.nodes[0].committed);
    CHECK(world.nodes[0].agreed == std::vector<std::string>{"totem.token 3000"});
}

TEST_CASE("a mistake in the own file bothers nobody else") {
    World world(3);
    world.settle();
    world.request(world.nodes[0]);
    const std::size_t before = world.order.size();
    world.finish_preparation(world.nodes[0], base::fail(std::string("halo.conf:3: no\nnor that")));
    CHECK(world.order.size() == before);
    CHECK(last_answer(world.nodes[0]).outcome == ReloadOutcome::Refused);
    CHECK(last_answer(world.nodes[0]).why == "node 1: halo.conf:3: no\nnode 1: nor that");
}

TEST_CASE("one node that can't do it keeps all from it, and is named with its reason") {
    World world(3);
    world.settle();
    world.request(world.nodes[0]);
    world.finish_preparation(world.nodes[0], std::vector<std::string>{});
    for (Node& node : world.nodes) {
        while (world.take(node)) {
        }
    }
    world.finish_preparation(world.nodes[2], base::fail(std::string("no such address")));
    world.settle();
    CHECK(last_answer(world.nodes[0]).why == "node 3: no such address");
    for (const Node& node : world.nodes) {
        CHECK(node.committed.empty());
        CHECK_FALSE(node.prepared);
    }
    world.request(world.nodes[2]);  // And the next one goes as if there had been none.
    world.settle();
    CHECK(last_answer(world.nodes[2]).outcome == ReloadOutcome::Done);
}

TEST_CASE("a node of the ring without the service is named, and nothing begins") {
    World world(3);
    world.view({NodeId{1}, NodeId{2}}, world.everybody);
    world.settle();
    world.request(world.nodes[0]);
    world.settle();
    CHECK(last_answer(world.nodes[0]).outcome == ReloadOutcome::Refused);
    CHECK(last_answer(world.nodes[0]).why.starts_with("node 3: runs no cmapd"));
    CHECK_FALSE(world.nodes[0].prepared);
}

TEST_CASE("another membership ends it everywhere, and the next request goes") {
    World world(3);
    world.settle();
    world.request(world.nodes[0]);
    world.finish_preparation(world.nodes[0], std::vector<std::string>{});
    world.view({NodeId{1}, NodeId{2}}, {NodeId{1}, NodeId{2}});
    world.settle();
    CHECK(last_answer(world.nodes[0]).outcome == ReloadOutcome::Busy);
    world.request(world.nodes[0]);
    for (int i = 0; i < 2; ++i) {  // Node 3 is gone.
        Node& node = world.nodes[static_cast<std::size_t>(i)];
        while (world.take(node) || node.preparing) {
            if (node.preparing) world.finish_preparation(node, std::vector<std::string>{});
        }
        while (world.take(world.nodes[0])) {
        }
    }
    CHECK(last_answer(world.nodes[0]).outcome == ReloadOutcome::Done);
}

TEST_CASE("a cmapd that was restarted ends whatever is in progress") {
    World world(3);
    world.settle();
    world.request(world.nodes[0]);
    world.finish_preparation(world.nodes[0], std::vector<std::string>{});
    while (world.take(world.nodes[0])) {
    }
    world.order.emplace_back(
        Said{.by = NodeId{3},
             .record = cmapd::ReloadRefused{.id = {}, .why = "its cmapd was restarted"}});
    world.settle();
    CHECK(last_answer(world.nodes[0]).why == "node 3: its cmapd was restarted");
    for (const Node& node : world.nodes)
        CHECK(node.committed.empty());
    world.order.emplace_back(Said{.by = NodeId{3}, .record = cmapd::ReloadRefused{}});
    world.settle();  // Nothing is in progress: it means nothing.
    world.request(world.nodes[0]);
    world.settle();
    CHECK(last_answer(world.nodes[0]).outcome == ReloadOutcome::Done);
}

TEST_CASE("who waits too long is answered, and what was begun is given up in order") {
    World world(2);
    world.settle();
    world.request(world.nodes[0]);
    world.finish_preparation(world.nodes[0], std::vector<std::string>{});
    for (Node& node : world.nodes) {
        while (world.take(node)) {
        }
    }
    cmapd::ReloadActions actions;
    world.nodes[0].reload.time_out(actions);
    world.carry_out(world.nodes[0], actions);
    CHECK(last_answer(world.nodes[0]).outcome == ReloadOutcome::TimedOut);
    CHECK(last_answer(world.nodes[0]).why.find("node 2") != std::string::npos);
    for (Node& node : world.nodes) {
        while (world.take(node)) {
        }
    }
    CHECK_FALSE(world.nodes[1].preparing);
    CHECK_FALSE(world.nodes[0].reload.is_in_progress());
}

TEST_CASE("whatever the order of events, all commit the same at the same places") {
    std::size_t done = 0;
    std::size_t refused = 0;
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        CAPTURE(seed);
        base::Prng random(seed);
        World world(static_cast<std::uint32_t>(2 + random.below(4)));
        std::uint64_t bad = random.below(3) == 0 ? 300 : 50;  // A thousandth each.
        for (int step = 0; step < 300; ++step) {
            Node& node = world.nodes[random.below(world.nodes.size())];
            const std::uint64_t what = random.below(100);
            if (what < 5) {
                world.request(node);
            } else if (what < 7) {
                // Somebody leaves and is back at once: the others see two views.
                std::vector<NodeId> rest = world.everybody;
                rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(random.below(rest.size())));
                world.view(rest, rest);
                world.view(world.everybody, world.everybody);
            } else if (what < 9) {
                cmapd::ReloadActions actions;
                node.reload.time_out(actions);
                world.carry_out(node, actions);
            } else if (what < 40 && node.preparing) {
                if (random.below(1000) < bad) {
                    world.finish_preparation(node, base::fail(std::string("no")));
                } else {
                    world.finish_preparation(node, std::vector<std::string>{"a"});
                }
            } else {
                world.take(node);
            }
        }
        world.settle();
        for (Node& node : world.nodes) {
            cmapd::ReloadActions actions;
            node.reload.time_out(actions);  // What was never ordered is answered so.
            world.carry_out(node, actions);
        }
        world.settle();
        for (const Node& node : world.nodes) {
            CHECK(node.committed == world.nodes[0].committed);
            CHECK(node.answers.size() == node.requests);
            CHECK_FALSE(node.preparing);
            CHECK_FALSE(node.prepared);
            for (const auto& answer : node.answers) {
                if (answer.outcome == ReloadOutcome::Done) ++done;
                if (answer.outcome == ReloadOutcome::Refused) ++refused;
            }
        }
    }
    CHECK(done > 1000);
    CHECK(refused > 100);
}
