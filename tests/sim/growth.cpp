// halo_growth: how the ring grows with the number of nodes, counted on the protocol cores alone:
// all nodes started together, the token's rotation, one node killed. Time is logical, so that the
// figures are the same on every machine; only the last column is this machine's.
//
//     halo_growth [--processors K] [--start MS] [--types] [N ...]     default: 3 8 16 32 64 128
//
// --types: which packets these were.
//
// Exit code 1: some number of nodes did not come together, or too late, or with a storm of packets.
//
// The model: a datagram takes 50 us, and costs its sender 2 us and its receiver 4 us of the node's
// one processor; a ring id is durable after 200 us; packets are lost when 4 MiB wait at a node.
//
// With --processors all nodes share that many, as when they are processes on one machine: then a
// datagram costs 15 us at either end and a wake-up 25 us (system calls, encryption, switching),
// starting a node's programs takes 100 ms of processor time (--start), and who runs late finds out
// that it paused, as ringd's driver does.
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
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

// What things cost of a processor, and how many all nodes share; 0: each has its own.
struct Machine {
    std::size_t processors = 0;
    base::Duration send = microseconds(2);
    base::Duration receive = microseconds(4);
    base::Duration turn{};
    base::Duration start{};
};
// Measured with 16 real nodes on two cores; see docs/performance.md.
Machine shared_machine(std::size_t processors) {
    return {.processors = processors,
            .send = microseconds(15),
            .receive = microseconds(15),
            .turn = microseconds(25),
            .start = milliseconds(100)};
}
constexpr base::Duration kStartSlice = milliseconds(3);
// As ringd's driver: later than this behind a deadline is a pause.
constexpr base::Duration kPauseMin = milliseconds(100);
constexpr base::Duration kStoring = microseconds(200);
constexpr std::size_t kSocketBytes = std::size_t{4} << 20u;
constexpr base::Duration kGivenUp = seconds(60);
constexpr base::Duration kFormedMax = seconds(5);
constexpr double kMiB = 1024.0 * 1024.0;
// Presence, rows and proposals of each to each, some times over.
constexpr std::size_t kPacketsAPairMax = 10;
constexpr std::size_t kPacketsOneByOne = 5;

class Lab {
  public:
    Lab(std::size_t count, const Machine& machine)
        : machine_(machine), free_at_(machine.processors, now_) {
        for (std::size_t i = 0; i < count; ++i) {
            nodes_.push_back(
                {.ring = totem::Ring(config_of(i, count), {}, i, now_), .to_start = machine.start});
        }
        if (machine.processors > 0) {
            // One after the other, as many at a time as there are processors.
            for (; next_start_ < std::min(count, machine.processors); ++next_start_)
                start(next_start_, now_);
            return;
        }
        for (std::size_t i = 0; i < count; ++i) {
            // Not within one instant: nobody's machines start like that.
            start(i, now_ + microseconds(137) * static_cast<std::int64_t>(i));
        }
        next_start_ = count;
    }

    // Until all that run have installed one ring of them; none: it did not happen.
    std::optional<base::Duration> until_one_ring() {
        base::Instant begin = now_;
        while (now_ - begin < kGivenUp) {
            if (next_start_ < nodes_.size()) begin = now_;
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

    void print_gathers() const {
        std::printf("      node 1: %llu rings, gathers:",
                    static_cast<unsigned long long>(nodes_[0].ring.stats().rings_formed));
        for (std::size_t i = 0; i < totem::kGatherReasons; ++i) {
            std::printf(" %s %llu", totem::name_of(static_cast<totem::GatherReason>(i)).data(),
                        static_cast<unsigned long long>(nodes_[0].ring.stats().gathers[i]));
        }
        std::puts("");
    }

    struct Counts {
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
        std::uint64_t lost = 0;
        std::array<std::uint64_t, totem::kPacketTypes> of_type{};
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
    struct Answered {
        base::Duration used{};  // Of six seconds, which come back with time.
        base::Instant at{};
    };
    struct Node {
        totem::Ring ring;
        std::deque<Packet> inbox{};
        std::size_t inbox_bytes = 0;
        std::vector<base::NodeId> members{};
        base::Instant busy_until{};
        std::uint64_t submitted = 0;
        base::Duration to_start{};                // Of a processor's time, before it runs.
        std::optional<base::Instant> expected{};  // To be woken, at the latest.
        bool has_begun = false;
        std::deque<Refusal> refusals{};              // That it is told.
        std::map<std::size_t, Answered> answered{};  // By its kernel, to each peer.
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

    void start(std::size_t index, base::Instant at) {
        nodes_[index].has_begun = true;
        wake(index, at);
    }

    void wake(std::size_t index, base::Instant at) {
        Node& node = nodes_[index];
        if (!node.has_begun) return;
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
        if (machine_.processors == 0) {
            turn(wake_up.node);
            return true;
        }
        base::Instant& free_at = *std::ranges::min_element(free_at_);
        if (free_at > now_) {  // It keeps its place in the queue.
            node.woken_at = free_at;
            wakes_.push({.at = free_at, .number = wake_up.number, .node = wake_up.node});
            return true;
        }
        if (node.to_start > base::Duration{}) {
            go_on_starting(wake_up.node);
        } else {
            turn(wake_up.node);
        }
        free_at = node.busy_until;
        return true;
    }

    void go_on_starting(std::size_t index) {
        Node& node = nodes_[index];
        const base::Duration slice = std::min(kStartSlice, node.to_start);
        node.to_start -= slice;
        node.busy_until = now_ + slice;
        if (node.to_start == base::Duration{}) {
            node.ring = totem::Ring(config_of(index, nodes_.size()), {}, index, node.busy_until);
            if (next_start_ < nodes_.size()) start(next_start_++, node.busy_until);
        }
        wake(index, node.busy_until);
    }

    void turn(std::size_t index) {
        Node& node = nodes_[index];
        node.busy_until = now_ + machine_.turn;
        if (node.expected && now_ - *node.expected > kPauseMin)
            step(index, totem::Paused{now_ - *node.expected});
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
            node.busy_until += machine_.receive;
            step(index,
                 totem::PacketArrived{
                     .from = id_of(packet.from), .link = totem::LinkId{0}, .packet = packet.bytes});
        }
        if (is_sending_ && node.ring.status().queue_bytes == 0) submit(index);
        if (node.inbox.empty() || node.inbox.front().at > now_) step(index, totem::Drained{});
        if (const auto deadline = node.ring.next_deadline(); deadline && *deadline <= now_)
            step(index, totem::DeadlinePassed{});
        node.expected = node.ring.next_deadline();
        if (node.expected) wake(index, *node.expected);
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
        nodes_[from].busy_until += machine_.send;
        ++counts.packets;
        if (const auto type = totem::type_of(bytes.bytes()))
            ++counts.of_type[static_cast<std::size_t>(*type)];
        counts.bytes += bytes.size();
        const base::Instant arrives = nodes_[from].busy_until + kFlight;
        if (!node.runs || node.to_start > base::Duration{}) {
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
        base::Duration& used = nodes_[by].answered[to].used;
        base::Instant& since = nodes_[by].answered[to].at;
        used = std::max(base::Duration{}, used - (at - since));
        since = at;
        if (used > seconds(5)) return;
        used += seconds(1);
        nodes_[to].refusals.push_back({.by = by, .at = at});
        wake(to, at);
    }

    base::Instant now_{seconds(1)};
    Machine machine_;
    std::vector<base::Instant> free_at_;  // Of the processors.
    std::size_t next_start_ = 0;
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

void print_types(const char* what, const Lab::Counts& counts) {
    std::printf("      %s:", what);
    for (std::size_t type = 0; type < counts.of_type.size(); ++type) {
        if (counts.of_type[type] == 0) continue;
        std::printf(" %s %llu", totem::name_of(static_cast<totem::PacketType>(type)).data(),
                    static_cast<unsigned long long>(counts.of_type[type]));
    }
    std::puts("");
}

// False: no ring, or more packets than a start may cost.
bool print_row(std::size_t count, const Machine& machine, bool is_wordy) {
    const auto begin = RealClock::now();
    Lab lab(count, machine);
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
    if (is_wordy) {
        print_types("start", start);
        print_types("idle", idle);
        print_types("crash", crash);
        lab.print_gathers();
    }
    std::fflush(stdout);
    // One by one they make as many rings.
    const std::size_t times = machine.processors > 0 ? kPacketsOneByOne : 1;
    const bool is_storm = start.packets > times * kPacketsAPairMax * count * count;
    if (is_storm) {
        std::printf("a storm: more than %zu packets a pair of nodes at the start\n",
                    times * kPacketsAPairMax);
    }
    return formed && *formed < kFormedMax && recovered && !is_storm;
}

std::optional<std::size_t> count_of(std::string_view text, std::size_t least) {
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (value < least || value > totem::kNodesMax) return std::nullopt;
    return value;
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::size_t> counts;
    Machine machine;
    bool is_wordy = false;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--processors" && i + 1 < argc) {
            machine = shared_machine(count_of(argv[++i], 1).value_or(2));
            continue;
        }
        if (std::string_view(argv[i]) == "--start" && i + 1 < argc) {
            machine.start = milliseconds(std::atoi(argv[++i]));
            continue;
        }
        if (std::string_view(argv[i]) == "--types") {
            is_wordy = true;
            continue;
        }
        const auto count = count_of(argv[i], 2);
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
        is_fine = print_row(count, machine, is_wordy) && is_fine;
    return is_fine ? 0 : 1;
}
