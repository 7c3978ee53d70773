// halo_growth: how the ring grows with the number of nodes, counted on the protocol cores alone:
// all nodes started together, the token's rotation, one node killed. Time is logical, so that the
// figures are the same on every machine; only the last column is this machine's.
//
//     halo_growth [N ...]       default: 3 8 16 32 64 128
//
// Exit code 1: some number of nodes did not come together, or with a storm of packets.
//
// The model: a datagram takes 50 us, and costs its sender 2 us and its receiver 4 us of the node's
// one processor; a ring id is durable after 200 us; packets are lost when 4 MiB wait at a node.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ringd/totem/ring.hpp"

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;
using RealClock = std::chrono::steady_clock;

constexpr base::Duration kFlight = microseconds(50);
constexpr base::Duration kSendCost = microseconds(2);
constexpr base::Duration kReceiveCost = microseconds(4);
constexpr base::Duration kStoring = microseconds(200);
constexpr std::size_t kSocketBytes = std::size_t{4} << 20u;
constexpr base::Duration kGivenUp = seconds(60);
constexpr double kMiB = 1024.0 * 1024.0;
// Presence, rows and proposals of each to each, some times over.
constexpr std::size_t kPacketsAPairMax = 10;

class Lab {
  public:
    explicit Lab(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            nodes_.push_back({.ring = totem::Ring(config_of(i, count), {}, i, now_)});
        }
        for (std::size_t i = 0; i < count; ++i) {
            // Not within one instant: nobody's machines start like that.
            wake(i, now_ + microseconds(137) * static_cast<std::int64_t>(i));
        }
    }

    // Until all that run have installed one ring of them; none: it did not happen.
    std::optional<base::Duration> until_one_ring() {
        const base::Instant begin = now_;
        while (now_ - begin < kGivenUp) {
            if (is_one_ring()) return now_ - begin;
            if (!go_on()) break;
        }
        return std::nullopt;
    }
    void run(base::Duration length) {
        for (const base::Instant end = now_ + length; !wakes_.empty() && wakes_.top().at < end;) {
            go_on();
        }
    }
    // Its kernel answers for it.
    void kill(std::size_t index) {
        nodes_[index].runs = false;
        nodes_[index].inbox.clear();
    }
    // From now on every node has a message of 100 B to send at each visit of the token.
    void begin_sending() {
        is_sending_ = true;
        for (std::size_t i = 0; i < nodes_.size(); ++i)
            wake(i, now_);
    }
    [[nodiscard]] std::uint64_t token_visits(std::size_t index) const {
        return nodes_[index].ring.stats().tokens_visited;
    }
    // What one node keeps when it is archived, as ringd's journal does.
    [[nodiscard]] std::size_t state_bytes(std::size_t index) const {
        base::ArchiveWriter writer;
        nodes_[index].ring.archive_to(writer);
        return writer.bytes().size();
    }

    struct Counts {
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
        std::uint64_t lost = 0;
    };
    Counts counts;

  private:
    struct Packet {
        std::size_t from = 0;
        base::Instant at{};
        base::Buffer bytes;
    };
    struct Refusal {
        std::size_t by = 0;
        base::Instant at{};
    };
    struct Node {
        totem::Ring ring;
        std::deque<Packet> inbox{};
        std::size_t inbox_bytes = 0;
        std::vector<base::NodeId> members{};
        base::Instant busy_until{};
        std::uint64_t submitted = 0;
        std::deque<Refusal> refusals{};        // That it is told.
        std::map<std::size_t, int> refused{};  // By it, to each peer.
        bool runs = true;
        std::optional<base::Instant> woken_at{};
        std::optional<base::Instant> stored_at{};
        base::RingId storing{};
    };
    struct Wake {
        base::Instant at{};
        std::uint64_t number = 0;
        std::size_t node = 0;

        bool operator<(const Wake& other) const {  // The earliest is the greatest.
            return at != other.at ? at > other.at : number > other.number;
        }
    };

    static base::NodeId id_of(std::size_t index) {
        return base::NodeId{static_cast<std::uint32_t>(index + 1)};
    }
    static totem::RingConfig config_of(std::size_t self, std::size_t count) {
        totem::RingConfig config;
        config.self = id_of(self);
        config.packet_bytes_max = 1400;
        for (std::size_t i = 0; i < count; ++i) {
            if (i != self) config.peers.push_back({.node = id_of(i), .links = {totem::LinkId{0}}});
        }
        return config;
    }

    [[nodiscard]] bool is_one_ring() const {
        std::optional<base::RingId> ring;
        std::size_t running = 0;
        for (const Node& node : nodes_)
            running += node.runs ? 1 : 0;
        for (const Node& node : nodes_) {
            if (!node.runs) continue;
            if (!std::holds_alternative<totem::Operational>(node.ring.state())) return false;
            const totem::RingStatus status = node.ring.status();
            if (status.members.size() != running || (ring && *ring != status.ring)) return false;
            ring = status.ring;
        }
        return true;
    }

    void wake(std::size_t index, base::Instant at) {
        Node& node = nodes_[index];
        at = std::max(at, node.busy_until);
        if (node.woken_at && *node.woken_at <= at) return;
        node.woken_at = at;
        wakes_.push({.at = at, .number = ++wakes_made_, .node = index});
    }

    bool go_on() {
        if (wakes_.empty()) return false;
        const Wake wake_up = wakes_.top();
        wakes_.pop();
        Node& node = nodes_[wake_up.node];
        if (!node.runs || node.woken_at != wake_up.at) return true;
        now_ = wake_up.at;
        node.woken_at.reset();
        turn(wake_up.node);
        return true;
    }

    void turn(std::size_t index) {
        Node& node = nodes_[index];
        node.busy_until = now_;
        if (node.stored_at && *node.stored_at <= now_) {
            node.stored_at.reset();
            step(index, totem::RingStored{node.storing});
        }
        while (!node.refusals.empty() && node.refusals.front().at <= now_) {
            const std::size_t by = node.refusals.front().by;
            node.refusals.pop_front();
            step(index, totem::PeerEvidence{.peer = id_of(by),
                                            .link = totem::LinkId{0},
                                            .kind = totem::PeerEvidence::Kind::PortUnreachable});
        }
        for (int i = 0; i < 64 && !node.inbox.empty() && node.inbox.front().at <= now_; ++i) {
            const Packet packet = std::move(node.inbox.front());
            node.inbox.pop_front();
            node.inbox_bytes -= packet.bytes.size();
            node.busy_until += kReceiveCost;
            step(index,
                 totem::PacketArrived{
                     .from = id_of(packet.from), .link = totem::LinkId{0}, .packet = packet.bytes});
        }
        if (is_sending_ && node.ring.status().queue_bytes == 0) submit(index);
        if (node.inbox.empty() || node.inbox.front().at > now_) step(index, totem::Drained{});
        if (const auto deadline = node.ring.next_deadline(); deadline && *deadline <= now_)
            step(index, totem::DeadlinePassed{});
        if (const auto deadline = node.ring.next_deadline()) wake(index, *deadline);
        if (node.stored_at) wake(index, *node.stored_at);
        if (!node.inbox.empty()) wake(index, node.inbox.front().at);
        if (!node.refusals.empty()) wake(index, node.refusals.front().at);
    }

    void submit(std::size_t index) {
        step(index, totem::Submitted{.number = ++nodes_[index].submitted,
                                     .guarantee = totem::Guarantee::Agreed,
                                     .urgent = false,
                                     .payload = base::MutableBuffer(100).freeze()});
    }

    void step(std::size_t index, const totem::Event& event) {
        Node& node = nodes_[index];
        std::vector<totem::Action> actions;
        node.ring.step(now_, event, actions);
        for (const totem::Action& action : actions) {
            if (const auto* one = std::get_if<totem::SendTo>(&action)) {
                send(index, one->to, one->packet);
            } else if (const auto* all = std::get_if<totem::SendToAll>(&action)) {
                send_to_all(index, *all);
            } else if (const auto* audience = std::get_if<totem::SetAudience>(&action)) {
                node.members = audience->members;
            } else if (const auto* store = std::get_if<totem::StoreRing>(&action)) {
                node.storing = store->ring;
                node.stored_at = now_ + kStoring;
            }
        }
    }

    void send_to_all(std::size_t from, const totem::SendToAll& all) {
        if (all.audience == totem::SendToAll::Audience::Members) {
            for (const base::NodeId to : nodes_[from].members)
                send(from, to, all.packet);
            return;
        }
        for (std::size_t to = 0; to < nodes_.size(); ++to) {
            if (to != from) send(from, id_of(to), all.packet);
        }
    }

    void send(std::size_t from, base::NodeId to, const base::Buffer& bytes) {
        const std::size_t index = to.value() - 1;
        Node& node = nodes_[index];
        nodes_[from].busy_until += kSendCost;
        ++counts.packets;
        counts.bytes += bytes.size();
        const base::Instant arrives = nodes_[from].busy_until + kFlight;
        if (!node.runs) {
            refuse(from, index, arrives + kFlight);
            return;
        }
        if (node.inbox_bytes + bytes.size() > kSocketBytes) {
            ++counts.lost;
            return;
        }
        node.inbox_bytes += bytes.size();
        node.inbox.push_back({.from = from, .at = arrives, .bytes = bytes});
        wake(index, arrives);
    }

    // The kernel of a node whose ringd is gone answers each peer six times at once, and then once a
    // second (icmp_ratelimit).
    void refuse(std::size_t to, std::size_t by, base::Instant at) {
        if (++nodes_[by].refused[to] > 6) return;
        nodes_[to].refusals.push_back({.by = by, .at = at});
        wake(to, at);
    }

    base::Instant now_{seconds(1)};
    std::vector<Node> nodes_;
    std::priority_queue<Wake> wakes_;
    std::uint64_t wakes_made_ = 0;
    bool is_sending_ = false;
};

double ms_of(base::Duration length) {
    return std::chrono::duration<double, std::milli>(length).count();
}

std::string text_of(std::optional<base::Duration> length) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f", length ? ms_of(*length) : -1.0);
    return text;
}

// False: no ring, or more packets than a start may cost.
bool print_row(std::size_t count) {
    const auto begin = RealClock::now();
    Lab lab(count);
    const auto formed = lab.until_one_ring();
    const Lab::Counts start = std::exchange(lab.counts, {});
    lab.run(seconds(2));
    const Lab::Counts idle = std::exchange(lab.counts, {});
    const std::size_t state = formed ? lab.state_bytes(0) : 0;
    // A whole node, in the middle of the order.
    lab.kill(count / 2);
    const auto recovered = lab.until_one_ring();
    const Lab::Counts crash = std::exchange(lab.counts, {});
    lab.begin_sending();
    const std::uint64_t visits = lab.token_visits(0);
    lab.run(seconds(1));
    const auto rotations = static_cast<double>(lab.token_visits(0) - visits);
    const auto real = std::chrono::duration<double>(RealClock::now() - begin).count();
    std::printf("%5zu %9s %9llu %8.1f %6llu %9.0f %9s %9llu %9.2f %8zu %7.2f\n", count,
                text_of(formed).c_str(), static_cast<unsigned long long>(start.packets),
                static_cast<double>(start.bytes) / kMiB,
                static_cast<unsigned long long>(start.lost),
                static_cast<double>(idle.packets) / 2.0, text_of(recovered).c_str(),
                static_cast<unsigned long long>(crash.packets),
                rotations > 0 ? 1000.0 / rotations : -1.0, state >> 10u, real);
    std::fflush(stdout);
    const bool is_storm = start.packets > kPacketsAPairMax * count * count;
    if (is_storm) {
        std::printf("a storm: more than %zu packets a pair of nodes at the start\n",
                    kPacketsAPairMax);
    }
    return formed && recovered && !is_storm;
}

std::optional<std::size_t> count_of(std::string_view text) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (value < 2 || value > totem::kNodesMax) return std::nullopt;
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::size_t> counts;
    for (int i = 1; i < argc; ++i) {
        const auto count = count_of(argv[i]);
        if (!count) {
            std::fprintf(stderr, "halo_growth: %s: a number of nodes is 2 to %zu\n", argv[i],
                         totem::kNodesMax);
            return 2;
        }
        counts.push_back(*count);
    }
    if (counts.empty()) counts = {3, 8, 16, 32, 64, 128};
    std::puts(
        "nodes started to one ring:            idle      one killed:          rotation    state");
    std::puts(
        "             ms   packets      MiB   lost packets/s        ms   packets        ms      "
        "KiB  s here");
    bool is_fine = true;
    for (const std::size_t count : counts)
        is_fine = print_row(count) && is_fine;
    return is_fine ? 0 : 1;
}
