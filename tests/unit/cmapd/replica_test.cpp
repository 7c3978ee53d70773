// The keys of the cluster under partitions, kills and restarts, seeded. The oracle is a chain: each
// write says which one it found, so that what was done, and in which order, can be read from the
// keys themselves. Reads of the cluster too stand in it at a place that agrees with the times of
// question and answer, on whatever nodes. What a node reads of its own is a place of the chain,
// never goes back, and is not before a write that the node was answered.
#include "cmapd/core/replica.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/unit/cmapd/toy_ring.hpp"

namespace {

using namespace cmap;
using base::NodeId;
using cmap::test::ToyRing;
namespace api = protocol::cmap;

constexpr const char* kHead = "cluster.chain.head";
constexpr const char* kCount = "cluster.count";
constexpr SessionId kReader{UINT64_MAX - 1};

// A key of its own for each: plain writes, which no other write hides.
std::string mark_name(std::uint64_t id) {
    return "cluster.mark." + std::to_string(id);
}

std::string link_name(std::uint64_t id) {
    return "cluster.chain.link" + std::to_string(id);
}

// Clients that write to the chain and count, and what they were told.
class Clients {
  public:
    Clients(std::size_t nodes, std::uint64_t seed, bool counts_votes)
        : ring(nodes, seed, counts_votes,
               [this](NodeId node, const Replica::Answered& answer) { on_answer(node, answer); }) {}

    struct Asked {
        std::uint64_t number = 0;
        std::uint64_t link = 0;  // 0: it counts or marks.
        std::uint64_t mark = 0;  // 0: it counts or links.
        api::Request request;
        int asked_at = 0;
    };
    struct Link {
        int asked_at = 0;
        int answered_at = -1;  // Never.
    };
    struct Read {
        NodeId node{};
        int asked_at = 0;
        int answered_at = -1;
        std::uint64_t head = 0;
    };

    // A client of the node, one of several, reads the head of the chain from the cluster.
    void ask_read(NodeId node) {
        if (!ring.is_up(node)) return;
        reading[++last_ticket] = {.node = node, .asked_at = ++time};
        if (!reads_own) return ring.read(node, kReader, last_ticket, kHead);
        const auto& keys = ring.stored_keys(node);
        const auto head = keys.find(kHead);
        on_read(last_ticket, head == keys.end() ? 0 : *api::as<std::uint64_t>(head->second));
    }
    void on_read(std::uint64_t ticket, std::uint64_t head) {
        const auto found = reading.find(ticket);
        if (found == reading.end()) return;
        Read read = found->second;
        reading.erase(found);
        read.head = head;
        read.answered_at = ++time;
        cluster_reads.push_back(read);
    }

    // A client of the node asks for something, if it may and waits for nothing.
    void ask(NodeId node) {
        if (!ring.is_up(node) || waiting.contains(node) || !ring.replica(node).is_open()) return;
        Client& client = clients[node];
        if (client.session == SessionId{}) client.session = SessionId{++last_session};
        Asked asked{.number = ++client.number, .request = {}, .asked_at = ++time};
        const auto& keys = ring.replica(node).keys();
        const auto read = keys.find(kHead);
        heads[node].push_back(read == keys.end() ? 0 : *api::as<std::uint64_t>(read->second));
        const auto kind = ring.random.next() % 3;
        if (kind == 0) {
            asked.mark = ++last_mark;
            asked.request = api::Set{.key = mark_name(asked.mark), .value = api::u8(1)};
        } else if (kind == 1) {
            asked.link = ++last_link;
            links[asked.link].asked_at = time;
            const auto head = keys.find(kHead);
            const auto before =
                head == keys.end() ? std::nullopt : std::optional<Value>(head->second);
            asked.request = api::Transaction{
                .conditions = {{.key = kHead, .value = before}},
                .writes = {
                    {.key = kHead, .value = api::u64(asked.link)},
                    {.key = link_name(asked.link), .value = before ? *before : api::u64(0)}}};
        } else if (keys.contains(kCount)) {
            ++counts_asked;
            asked.request = api::Step{.key = kCount, .step = 1};
        } else {
            return;
        }
        waiting[node] = asked;
        ring.write(node, client.session, asked.number, asked.request);
    }

    // As the library: what was not answered is asked again under its number.
    void restart(NodeId node) {
        if (!ring.is_up(node)) return;
        ring.restart(node);
        again(node);
        read_again(node);
    }
    void again(NodeId node) {
        const auto found = waiting.find(node);
        if (found == waiting.end() || !ring.is_up(node)) return;
        const Asked asked = found->second;
        const SessionId session = clients[node].session;
        ring.write(node, session, asked.number, asked.request);
    }
    void read_again(NodeId node) {
        std::vector<std::uint64_t> tickets;
        for (const auto& [ticket, read] : reading) {
            if (read.node == node) tickets.push_back(ticket);
        }
        for (const std::uint64_t ticket : tickets) {
            ring.read(node, kReader, ticket, kHead);
        }
    }
    void kill(NodeId node) {
        if (!ring.is_up(node)) return;
        waiting.erase(node);  // Its clients died with it: whether it was done nobody was told.
        std::erase_if(reading, [&](const auto& each) { return each.second.node == node; });
        clients.erase(node);
        ring.kill(node);
    }

    void on_answer(NodeId node, const Replica::Answered& answer) {
        if (answer.session == kReader) {
            const auto got = api::decode_answer(answer.payload);
            const auto* value = std::get_if<api::Got>(&*got);
            return on_read(answer.number,
                           value == nullptr ? 0 : *api::as<std::uint64_t>(value->value));
        }
        const auto found = waiting.find(node);
        if (found == waiting.end() || clients[node].session != answer.session ||
            found->second.number != answer.number) {
            return;
        }
        const Asked asked = found->second;
        waiting.erase(found);
        ++time;
        if (answer.error != CsError::Ok) {
            ++refused;
            if (asked.link != 0) links.erase(asked.link);  // It must not be in the chain.
            return;
        }
        ++answered;
        if (asked.mark != 0) marks.insert(asked.mark);
        if (asked.link == 0 && asked.mark == 0) ++counts_answered;
        if (asked.link == 0) return;
        links[asked.link].answered_at = time;
        heads[node].push_back(asked.link);  // What it reads from here on is not older.
    }

    void set_up() {
        ring.settle();
        ring.write(NodeId{1}, SessionId{UINT64_MAX}, 1,
                   api::Set{.key = kCount, .value = api::u64(0)});
        ring.settle();
        for (std::uint32_t id = 1; id <= ring.size(); ++id) {
            REQUIRE(ring.replica(NodeId{id}).keys().contains(kCount));
        }
    }

    // All nodes are there and agree; and what they have is what was answered.
    void check() {
        for (std::uint32_t id = 1; id <= ring.size(); ++id) {
            if (!ring.is_up(NodeId{id})) ring.revive(NodeId{id});
        }
        ring.heal();
        ring.settle();
        for (std::uint32_t id = 1; id <= ring.size(); ++id) {
            again(NodeId{id});
        }
        ring.settle();
        const auto& keys = ring.replica(NodeId{1}).keys();
        for (std::uint32_t id = 1; id <= ring.size(); ++id) {
            REQUIRE(ring.replica(NodeId{id}).is_open());
            REQUIRE(ring.replica(NodeId{id}).keys() == keys);
            REQUIRE(ring.replica(NodeId{id}).version() == ring.replica(NodeId{1}).version());
        }
        CHECK(waiting.empty());
        CHECK(reading.empty());

        std::vector<std::uint64_t> chain;  // From the last write to the first.
        for (std::uint64_t at = keys.contains(kHead) ? *api::as<std::uint64_t>(keys.at(kHead)) : 0;
             at != 0; at = *api::as<std::uint64_t>(keys.at(link_name(at)))) {
            REQUIRE(chain.size() < last_link);  // Else it is a ring.
            chain.push_back(at);
        }
        std::set<std::uint64_t> in_chain(chain.begin(), chain.end());
        REQUIRE(in_chain.size() == chain.size());
        // Every answered write is there, and none that was refused.
        for (const auto& [id, link] : links) {
            if (link.answered_at >= 0) REQUIRE(in_chain.contains(id));
        }
        for (const std::uint64_t id : chain) {
            REQUIRE(links.contains(id));
        }
        for (const std::uint64_t mark : marks) {
            REQUIRE(keys.contains(mark_name(mark)));
        }
        // What was asked after another's answer comes after it.
        for (std::size_t later = 0; later < chain.size(); ++later) {
            for (std::size_t earlier = later + 1; earlier < chain.size(); ++earlier) {
                const Link& first = links.at(chain[earlier]);
                const Link& second = links.at(chain[later]);
                // `first` stands before `second`: so `second` had no answer when `first` was asked.
                if (second.answered_at >= 0) REQUIRE(second.answered_at > first.asked_at);
            }
        }
        check_reads(chain);
        stale = stale_reads(chain);
        const std::uint64_t count = *api::as<std::uint64_t>(keys.at(kCount));
        REQUIRE(count >= counts_answered);
        REQUIRE(count <= counts_asked);
    }

    // `chain` is from the last write to the first.
    void check_reads(const std::vector<std::uint64_t>& chain) {
        std::map<std::uint64_t, std::size_t> places{{0, 0}};
        for (const std::uint64_t id : chain) {
            places.emplace(id, chain.size() + 1 - places.size());
        }
        for (const auto& [node, read] : heads) {
            std::size_t last = 0;
            for (const std::uint64_t head : read) {
                REQUIRE(places.contains(head));  // Of a write that was undone.
                REQUIRE(places.at(head) >= last);
                last = places.at(head);
                ++reads;
            }
        }
    }

    // Reads of the cluster that miss what was known before they were asked, or know what was not
    // asked before they were answered.
    [[nodiscard]] std::size_t stale_reads(const std::vector<std::uint64_t>& chain) const {
        std::map<std::uint64_t, std::size_t> places{{0, 0}};
        for (const std::uint64_t id : chain) {
            places.emplace(id, chain.size() + 1 - places.size());
        }
        std::size_t count = 0;
        for (const Read& read : cluster_reads) {
            const auto place = places.find(read.head);
            if (place == places.end()) {  // Of a write that was undone.
                ++count;
                continue;
            }
            bool is_stale = read.head != 0 && links.at(read.head).asked_at > read.answered_at;
            for (const std::uint64_t id : chain) {
                const Link& link = links.at(id);
                const bool was_known = link.answered_at >= 0 && link.answered_at < read.asked_at;
                is_stale = is_stale || (was_known && place->second < places.at(id));
            }
            for (const Read& before : cluster_reads) {
                const bool was_known =
                    before.answered_at < read.asked_at && places.contains(before.head);
                is_stale = is_stale || (was_known && place->second < places.at(before.head));
            }
            count += is_stale ? 1 : 0;
        }
        return count;
    }

    struct Client {
        SessionId session{};
        std::uint64_t number = 0;
    };
    ToyRing ring;
    std::map<NodeId, Client> clients;
    std::map<NodeId, Asked> waiting;
    std::map<std::uint64_t, Link> links;
    std::set<std::uint64_t> marks;  // That were answered.
    // Of the chain as a node that may write read it, and of its writes that were answered.
    std::map<NodeId, std::vector<std::uint64_t>> heads;
    std::uint64_t reads = 0;
    std::uint64_t last_session = 0;
    bool reads_own = false;  // Breaks what reads of the cluster promise: for who tests the oracle.
    std::map<std::uint64_t, Read> reading;  // By ticket.
    std::vector<Read> cluster_reads;
    std::uint64_t last_ticket = 0;
    std::size_t stale = 0;
    std::uint64_t last_link = 0;
    std::uint64_t last_mark = 0;
    std::uint64_t counts_asked = 0;
    std::uint64_t counts_answered = 0;
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;
    int time = 0;
};

NodeId any_node(Clients& clients) {
    return NodeId{static_cast<std::uint32_t>(1 + clients.ring.random.next() % clients.ring.size())};
}

void one_run(Clients& clients, int rounds) {
    clients.set_up();
    for (int round = 0; round < rounds; ++round) {
        for (int i = 0; i < 6; ++i) {
            clients.ask(any_node(clients));
            clients.ask_read(any_node(clients));
            clients.ask_read(any_node(clients));
            clients.ring.run(30);
        }
        const NodeId node = any_node(clients);
        switch (clients.ring.random.next() % 9) {
            case 0:
                clients.ring.split_at_random();
                break;
            case 8:
                clients.ring.leave_some_behind();
                break;
            case 1:
                clients.ring.heal();
                break;
            case 2:
            case 3:
                clients.restart(node);
                break;
            case 4:
                clients.kill(node);
                break;
            case 5:
                if (!clients.ring.is_up(node)) clients.ring.revive(node);
                break;
            default:
                clients.again(node);
        }
    }
    clients.check();
}

// So many that what goes wrong seldom does: 2970 is the first in which a read is answered before
// all have stored what it saw, if nothing waits for that. More of them by hand:
// REPLICA_SEEDS=20000.
std::uint64_t seed_count() {
    const char* wanted = std::getenv("REPLICA_SEEDS");
    return wanted == nullptr ? 3'000 : std::strtoull(wanted, nullptr, 10);
}

TEST_CASE(
    "with votes no answered write is lost, none is done twice, and the order is that of time") {
    std::uint64_t answered = 0;
    std::uint64_t refused = 0;
    std::uint64_t reads = 0;
    std::uint64_t cluster_reads = 0;
    for (std::uint64_t seed = 1; seed <= seed_count(); ++seed) {
        CAPTURE(seed);
        Clients clients(3 + 2 * (seed % 2), seed, true);
        one_run(clients, 40);
        // And no node says that anything was lost.
        REQUIRE(clients.ring.losses() == 0);
        REQUIRE(clients.stale == 0);
        cluster_reads += clients.cluster_reads.size();
        answered += clients.answered;
        refused += clients.refused;
        reads += clients.reads;
    }
    // The runs were about something.
    CHECK(answered > 5'000);
    CHECK(refused > 300);
    CHECK(reads > 5'000);
    CHECK(cluster_reads > 5'000);
}

TEST_CASE("reads that wait for no mark are stale, and the oracle sees it") {
    std::size_t stale = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        CAPTURE(seed);
        Clients clients(3, seed, true);
        clients.reads_own = true;
        one_run(clients, 40);
        stale += clients.stale;
    }
    CHECK(stale > 0);
}

TEST_CASE(
    "without votes every partition goes on, one of them counts after the merge, and it is told") {
    std::size_t losses = 0;
    for (std::uint64_t seed = 1; seed <= 100; ++seed) {
        CAPTURE(seed);
        Clients clients(4, seed, false);
        clients.set_up();
        for (int round = 0; round < 20; ++round) {
            for (int i = 0; i < 6; ++i) {
                clients.ask(any_node(clients));
                clients.ring.run(12);
            }
            if (round % 3 == 1) clients.ring.split_at_random();
            if (round % 3 == 2) clients.ring.heal();
        }
        clients.ring.heal();
        clients.ring.settle();
        for (std::uint32_t id = 2; id <= 4; ++id) {
            REQUIRE(clients.ring.replica(NodeId{id}).keys() ==
                    clients.ring.replica(NodeId{1}).keys());
        }
        losses += clients.ring.losses();
    }
    CHECK(losses > 0);
}

TEST_CASE("a write is answered only while the lease of quorum holds") {
    std::vector<std::uint64_t> answered;
    ToyRing ring(3, 9, true, [&](NodeId, const Replica::Answered& answer) {
        answered.push_back(answer.number);
    });
    ring.settle();
    Replica& replica = ring.replica(NodeId{1});
    const base::Instant end{std::chrono::seconds{10}};
    ring.lease(NodeId{1}, end);
    CHECK(replica.lease_end() == end);
    const api::Set set{.key = kCount, .value = api::u64(0)};
    ring.write(NodeId{1}, SessionId{1}, 1, set);
    ring.pass_time(end);
    CHECK_FALSE(replica.is_open());
    CHECK_FALSE(replica.lease_end());
    CHECK(std::string(replica.why_closed()) == "the lease of quorum has ended");
    ring.settle();
    CHECK(ring.replica(NodeId{2}).keys().contains(kCount));  // It is done,
    CHECK(answered.empty());                                 // and nobody was told.
    ring.write(NodeId{1}, SessionId{2}, 2, set);
    ring.settle();
    CHECK(answered.empty());
    ring.lease(NodeId{1}, end + std::chrono::seconds{1});
    ring.settle();
    CHECK(answered == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("more nodes in the list need more nodes to write") {
    Clients clients(3, 10, false);
    clients.set_up();
    // cmapd runs on two nodes of a ring of three: most of the list, until it is longer.
    Replica::Out out;
    protocol::View view = clients.ring.replica(NodeId{1}).view();
    view.members.pop_back();
    view.joined.clear();
    Replica& replica = clients.ring.replica(NodeId{1});
    replica.happened({.cursor = protocol::Cursor{1000}, .what = view}, out);
    CHECK(replica.is_open());
    replica.set_nodes(5, out);
    CHECK_FALSE(replica.is_open());
    CHECK(std::string(replica.why_closed()) == "too few nodes of the ring run cmapd");
}

TEST_CASE("a partition that is not quorate refuses writes and goes on reading") {
    Clients clients(3, 7, true);
    clients.set_up();
    clients.ring.split({{NodeId{1}, NodeId{2}}, {NodeId{3}}});
    clients.ring.settle();
    CHECK(clients.ring.replica(NodeId{1}).is_open());
    Replica& minority = clients.ring.replica(NodeId{3});
    CHECK_FALSE(minority.is_open());
    CHECK(std::string(minority.why_closed()) == "this partition is not quorate");
    CHECK(minority.keys().contains(kCount));
}

TEST_CASE("a node that was away gets what was written without it, and loses nothing by that") {
    Clients clients(3, 8, true);
    clients.set_up();
    clients.kill(NodeId{3});
    clients.ring.settle();
    const std::string large(16'000, 'x');
    for (std::uint64_t i = 0; i < 40; ++i) {  // A state of several parts.
        clients.ring.write(
            NodeId{1}, SessionId{77}, i + 1,
            api::Set{.key = "cluster.big." + std::to_string(i), .value = api::text(large)});
        clients.ring.settle();
    }
    clients.ring.revive(NodeId{3});
    clients.ring.heal();
    clients.ring.settle();
    CHECK(clients.ring.replica(NodeId{3}).keys().size() == 41);
    CHECK(clients.ring.losses() == 0);
}

}  // namespace
