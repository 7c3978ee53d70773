// Lifelines between addresses of the loopback interface.
#include "ringd/transport/lifelines.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>

#include "common/os/clock.hpp"

using base::NodeId;
using totem::LinkId;
using transport::Lifelines;
using transport::SocketAddress;
using Kind = totem::PeerEvidence::Kind;

namespace {

constexpr auto kPatience = std::chrono::seconds(20);

// A port that nobody listens on: below those that the kernel gives away, and others than another
// run of these tests takes at the same time.
std::uint16_t next_port() {
    static int next = 10'000 + ::getpid() % 200 * 100 + 50;
    return static_cast<std::uint16_t>(next++);
}

class Nodes {
  public:
    explicit Nodes(std::size_t count, std::size_t links = 1) : count_(count) {
        for (std::size_t link = 0; link < links; ++link)
            ports_.push_back(next_port());
        for (std::size_t node = 1; node <= count; ++node)
            start(node);
    }

    // As node 1 of link 0 is at 127.0.0.1, of link 1 at 127.0.1.1.
    [[nodiscard]] SocketAddress address(std::size_t node, std::size_t link = 0) const {
        return *SocketAddress::parse("127.0." + std::to_string(link) + "." + std::to_string(node),
                                     ports_[link]);
    }
    [[nodiscard]] std::vector<Lifelines::Own> own(std::size_t node) const {
        std::vector<Lifelines::Own> links;
        for (std::size_t link = 0; link < ports_.size(); ++link)
            links.push_back({LinkId{static_cast<std::uint8_t>(link)}, address(node, link)});
        return links;
    }
    [[nodiscard]] std::vector<Lifelines::Other> others(std::size_t node) const {
        std::vector<Lifelines::Other> peers;
        for (std::size_t other = 1; other <= count_; ++other) {
            if (other == node) continue;
            Lifelines::Other peer{.node = id(other), .addresses = {}};
            for (std::size_t link = 0; link < ports_.size(); ++link)
                peer.addresses[link] = address(other, link);
            peers.push_back(peer);
        }
        return peers;
    }
    void start(std::size_t node) {
        auto created = Lifelines::create(id(node));
        REQUIRE(created.has_value());
        nodes_.resize(std::max(nodes_.size(), node));
        nodes_[node - 1].emplace(std::move(*created));
        seen.resize(nodes_.size());
        nodes_[node - 1]->configure(os::now(), own(node), others(node), seen[node - 1]);
    }
    void keep(std::size_t node, const std::vector<NodeId>& peers) {
        nodes_[node - 1]->keep(os::now(), peers);
    }
    // As its kernel does when the process dies.
    void kill(std::size_t node) { nodes_[node - 1].reset(); }
    Lifelines& operator[](std::size_t node) { return *nodes_[node - 1]; }

    [[nodiscard]] bool wait(const std::function<bool()>& done) {
        const base::Instant end = os::now() + kPatience;
        while (!done()) {
            const base::Instant now = os::now();
            if (now >= end) return false;
            base::Instant next = end;
            std::vector<pollfd> polled;
            for (std::size_t i = 0; i < nodes_.size(); ++i) {
                if (!nodes_[i]) continue;
                std::vector<totem::Event> events;
                if (nodes_[i]->next_deadline() <= now) nodes_[i]->pass_deadline(now, events);
                nodes_[i]->receive(now, events);
                seen[i].insert(seen[i].end(), events.begin(), events.end());
                next = std::min(next, nodes_[i]->next_deadline());
                polled.push_back({.fd = nodes_[i]->fd(), .events = POLLIN, .revents = 0});
            }
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
            (void)::poll(polled.data(), polled.size(),
                         static_cast<int>(std::clamp<std::int64_t>(left, 0, 100)));
        }
        return true;
    }
    [[nodiscard]] std::ptrdiff_t count(std::size_t node, Kind kind, std::size_t about) const {
        return std::ranges::count_if(seen[node - 1], [&](const totem::Event& event) {
            const auto& evidence = std::get<totem::PeerEvidence>(event);
            return evidence.kind == kind && evidence.peer == id(about);
        });
    }
    [[nodiscard]] bool are_up(std::size_t one, std::size_t other) const {
        return count(one, Kind::LifelineUp, other) > 0 && count(other, Kind::LifelineUp, one) > 0;
    }
    static NodeId id(std::size_t node) { return NodeId{static_cast<std::uint32_t>(node)}; }

    std::vector<std::vector<totem::Event>> seen;

  private:
    std::size_t count_;
    std::vector<std::uint16_t> ports_;
    std::vector<std::optional<Lifelines>> nodes_;
};

// A TCP client of some address; none: it could not connect.
os::UniqueFd client(const SocketAddress& from, const SocketAddress& to) {
    os::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress own = from.with_port(0);
    const bool is_connected = ::bind(fd.get(), own.data(), own.size()) == 0 &&
                              ::connect(fd.get(), to.data(), to.size()) == 0;
    return is_connected ? std::move(fd) : os::UniqueFd();
}

}  // namespace

TEST_CASE("each pair has one lifeline, and all others hear of a death, and of nothing else") {
    Nodes nodes(3);
    for (std::size_t node = 1; node <= 3; ++node)
        nodes.keep(node, {NodeId{1}, NodeId{2}, NodeId{3}});
    REQUIRE(
        nodes.wait([&] { return nodes.are_up(1, 2) && nodes.are_up(1, 3) && nodes.are_up(2, 3); }));
    for (std::size_t node = 1; node <= 3; ++node)
        CHECK(nodes[node].counters().open == 2);
    nodes.kill(2);
    CHECK(nodes.wait([&] {
        return nodes.count(1, Kind::HungUp, 2) == 1 && nodes.count(3, Kind::HungUp, 2) == 1;
    }));
    CHECK(nodes.count(1, Kind::HungUp, 3) + nodes.count(3, Kind::HungUp, 1) == 0);
    // The next process is found again by who connects to it, and connects to the other one.
    nodes.start(2);
    nodes.keep(2, {NodeId{1}, NodeId{3}});
    CHECK(nodes.wait([&] {
        return nodes.count(1, Kind::LifelineUp, 2) == 2 && nodes.count(3, Kind::LifelineUp, 2) == 2;
    }));
}

TEST_CASE("who closes a lifeline and lives says so: that is no death") {
    Nodes nodes(2);
    nodes.keep(1, {NodeId{2}});
    REQUIRE(nodes.wait([&] { return nodes.are_up(1, 2); }));
    nodes.keep(1, {});
    CHECK(nodes.wait([&] { return nodes.count(2, Kind::LifelineDown, 1) == 1; }));
    CHECK(nodes.count(2, Kind::HungUp, 1) == 0);
    CHECK(nodes[1].counters().open == 0);
    CHECK(nodes[2].counters().open == 0);

    nodes.keep(1, {NodeId{2}});
    REQUIRE(nodes.wait([&] { return nodes.count(2, Kind::LifelineUp, 1) == 2; }));
    nodes[2].configure(os::now(), nodes.own(2), {}, nodes.seen[1]);
    CHECK(nodes.wait([&] { return nodes.count(1, Kind::LifelineDown, 2) == 1; }));
    CHECK(nodes.count(1, Kind::HungUp, 2) == 0);
    CHECK(nodes.count(2, Kind::LifelineDown, 1) == 2);
}

TEST_CASE("a lifeline follows the best link, and is made before the one before is closed") {
    Nodes nodes(2, 2);
    nodes.keep(1, {NodeId{2}});
    REQUIRE(nodes.wait([&] { return nodes.are_up(1, 2); }));
    nodes[1].use_link(NodeId{2}, LinkId{1});
    REQUIRE(nodes.wait([&] {
        return nodes.count(1, Kind::LifelineUp, 2) == 2 && nodes.count(2, Kind::LifelineUp, 1) == 3;
    }));
    CHECK(std::get<totem::PeerEvidence>(nodes.seen[0].back()).link == LinkId{1});
    CHECK(std::get<totem::PeerEvidence>(nodes.seen[1].back()).link == LinkId{1});
    CHECK(nodes.count(2, Kind::HungUp, 1) == 0);
    CHECK(nodes[1].counters().open == 1);
    CHECK(nodes[2].counters().open == 1);
}

TEST_CASE("a peer that does not listen is tried again and again, ever more rarely") {
    Nodes nodes(2);
    nodes.kill(2);
    nodes.keep(1, {NodeId{2}});
    const base::Instant began = os::now();
    REQUIRE(nodes.wait([&] { return nodes[1].counters().not_made == 3; }));
    CHECK(os::now() - began >= std::chrono::seconds(3));
    CHECK(nodes.seen[0].empty());
    CHECK(nodes[1].next_deadline() - os::now() > std::chrono::seconds(3));
}

TEST_CASE("among many nodes a ring must be stable before connections are made") {
    Nodes nodes(9);
    const base::Instant now = os::now();
    for (std::size_t node = 1; node <= 8; ++node) {
        nodes.keep(node, {NodeId{9}});
        CHECK(nodes[node].next_deadline() >= now + std::chrono::seconds(1));
        CHECK(nodes[node].next_deadline() <= os::now() + std::chrono::seconds(2));
    }
    nodes.keep(1, {});
    CHECK(nodes[1].next_deadline() == base::Instant::max());
}

TEST_CASE("strangers are refused, and so are more connections of a peer than it needs") {
    Nodes nodes(2);
    const os::UniqueFd stranger = client(*SocketAddress::parse("127.0.0.77", 0), nodes.address(2));
    REQUIRE(stranger.is_open());
    CHECK(nodes.wait([&] { return nodes[2].counters().refused == 1; }));
    // The higher id does not connect.
    const os::UniqueFd reverse = client(nodes.address(2), nodes.address(1));
    REQUIRE(reverse.is_open());
    CHECK(nodes.wait([&] { return nodes[1].counters().refused == 1; }));
    std::vector<os::UniqueFd> some;
    for (int i = 0; i < 10; ++i) {
        some.push_back(client(nodes.address(1), nodes.address(2)));
        REQUIRE(some.back().is_open());
        CHECK(nodes.wait([&] {
            const auto counters = nodes[2].counters();
            return counters.made + counters.refused == static_cast<std::uint64_t>(i) + 2;
        }));
    }
    CHECK(nodes[2].counters().made == 2);
    CHECK(nodes[2].counters().open == 2);
    CHECK(nodes.count(2, Kind::HungUp, 1) == 0);
}

TEST_CASE("bytes that come in are not taken: the connection is closed") {
    Nodes nodes(2);
    const os::UniqueFd talker = client(nodes.address(1), nodes.address(2));
    REQUIRE(talker.is_open());
    REQUIRE(nodes.wait([&] { return nodes.count(2, Kind::LifelineUp, 1) == 1; }));
    const std::string words(1000, 'x');
    REQUIRE(::send(talker.get(), words.data(), words.size(), MSG_NOSIGNAL) == 1000);
    CHECK(nodes.wait([&] { return nodes.count(2, Kind::LifelineDown, 1) == 1; }));
    CHECK(nodes.count(2, Kind::HungUp, 1) == 0);
    CHECK(nodes[2].counters().open == 0);
}

TEST_CASE("who connects and hangs up again and again is not believed each time") {
    Nodes nodes(2);
    const base::Instant began = os::now();
    for (std::uint64_t i = 1; i <= 50; ++i) {
        { const os::UniqueFd fd = client(nodes.address(1), nodes.address(2)); }
        REQUIRE(nodes.wait([&] { return nodes[2].counters().hung_up == i; }));
    }
    const auto tenths = (os::now() - began) / std::chrono::milliseconds(100);
    CHECK(nodes.count(2, Kind::HungUp, 1) <= tenths + 2);
    CHECK(nodes.count(2, Kind::HungUp, 1) + nodes.count(2, Kind::LifelineDown, 1) == 50);
}

TEST_CASE("a port that is taken is no error, and said") {
    Nodes nodes(1);
    auto second = std::move(*Lifelines::create(NodeId{1}));
    std::vector<totem::Event> events;
    second.configure(os::now(), nodes.own(1), {}, events);
    CHECK(second.counters().not_listening == std::vector{LinkId{0}});
    CHECK(second.next_deadline() < base::Instant::max());
    nodes.kill(1);
    second.pass_deadline(second.next_deadline(), events);
    CHECK(second.counters().not_listening.empty());
}
