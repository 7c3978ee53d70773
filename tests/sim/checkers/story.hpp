// Writes traces by hand: the story of a few processes, one line a step, for tests of the checkers.
#pragma once

#include <map>
#include <vector>

#include "tests/sim/trace.hpp"

namespace sim {

class Story {
  public:
    using Nodes = std::vector<std::uint32_t>;
    using Guarantee = totem::Guarantee;

    static base::RingId ring(std::uint64_t seq) {
        return {.seq = seq, .representative = base::NodeId{1}};
    }

    // All of `nodes` start and install ring `seq` together.
    void form(std::uint64_t seq, const Nodes& nodes) {
        for (const std::uint32_t node : nodes)
            start(node);
        for (const std::uint32_t node : nodes)
            add(node, Stored{ring(seq)});
        for (const std::uint32_t node : nodes)
            install(node, seq, 0, nodes);
    }
    // `coming` go from one ring to the next together; `all` are the members of the next.
    void move(std::uint64_t from, std::uint64_t to, const Nodes& coming, const Nodes& all) {
        for (const std::uint32_t node : coming) {
            add(node, Stored{ring(to)});
            transit(node, to, from, coming);
            install(node, to, from, all);
        }
    }
    void start(std::uint32_t node, std::uint64_t durable = 0) {
        ++lives_[node];
        add(node, Started{durable == 0 ? base::RingId{} : ring(durable)});
    }
    void crash(std::uint32_t node) { add(node, Ended{Ended::How::Crashed}); }

    void transit(std::uint32_t node, std::uint64_t to, std::uint64_t from, const Nodes& nodes) {
        configure(node, totem::InstallConfiguration::Kind::Transitional, to, from, nodes);
    }
    void install(std::uint32_t node, std::uint64_t to, std::uint64_t from, const Nodes& nodes) {
        configure(node, totem::InstallConfiguration::Kind::Regular, to, from, nodes);
    }

    // The next message of a node; gives its number.
    std::uint64_t send(std::uint32_t node, Guarantee guarantee = Guarantee::Agreed,
                       bool urgent = false) {
        const std::uint64_t number = ++sent_[who(node)];
        add(node, Sent{.number = number, .guarantee = guarantee, .urgent = urgent, .size = 16});
        return number;
    }
    struct Item {
        std::uint64_t ring = 0;
        std::uint64_t seq = 0;
        std::uint32_t sender = 0;
        std::uint64_t number = 0;
        Guarantee guarantee = Guarantee::Agreed;
    };
    void deliver(const Nodes& nodes, const Item& item) {
        for (const std::uint32_t node : nodes) {
            add(node, Delivered{.ring = ring(item.ring),
                                .seq = totem::Seq{item.seq},
                                .sender = base::NodeId{item.sender},
                                .guarantee = item.guarantee,
                                .message = {.sender = who(item.sender), .number = item.number},
                                .intact = true,
                                .size = 16});
        }
    }
    void phase(const Nodes& running,
               std::vector<std::pair<std::uint32_t, std::uint32_t>> cut = {}) {
        PhaseBegan began{.running = ids(running), .cut = {}, .bound = std::chrono::seconds(1)};
        for (const auto& [from, to] : cut) {
            began.cut.emplace_back(base::NodeId{from}, base::NodeId{to});
        }
        trace_.push_back({now_, {}, began});
    }
    void end_phase() { trace_.push_back({now_, {}, PhaseEnded{}}); }
    void wait(base::Duration duration) { now_ += duration; }

    void add(std::uint32_t node, What what) {
        now_ += std::chrono::microseconds(1);
        trace_.push_back({now_, who(node), std::move(what)});
    }
    [[nodiscard]] const Trace& trace() const { return trace_; }

  private:
    static std::vector<base::NodeId> ids(const Nodes& nodes) {
        std::vector<base::NodeId> ids;
        for (const std::uint32_t node : nodes)
            ids.emplace_back(node);
        return ids;
    }
    Process who(std::uint32_t node) { return {.node = base::NodeId{node}, .life = lives_[node]}; }
    void configure(std::uint32_t node, totem::InstallConfiguration::Kind kind, std::uint64_t to,
                   std::uint64_t from, const Nodes& nodes) {
        add(node, Installed{{.kind = kind,
                             .ring = ring(to),
                             .previous = from == 0 ? base::RingId{} : ring(from),
                             .members = ids(nodes)}});
    }

    Trace trace_;
    base::Instant now_{};
    std::map<std::uint32_t, std::uint32_t> lives_;
    std::map<Process, std::uint64_t> sent_;
};

}  // namespace sim
