// Two or three members of a ring as values, on one logical clock and with a line from each to each
// that keeps its order: what happens next is the caller's choice. A copy forks the execution.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ringd/totem/ring.hpp"
#include "ringd/totem/wire.hpp"
#include "tests/sim/trace.hpp"
#include "tests/sim/wire.hpp"

namespace model {

// Where the story goes; outlives all copies of a world, which share it.
struct Record {
    sim::Trace trace;
    sim::WireTap tap{trace};
};

struct Choice {
    enum class What : std::uint8_t {
        Arrive,   // The first packet of the line from `at` to `to`.
        Lose,     // The same is lost.
        Submit,   // `at` sends an item; `safe` or agreed.
        Wait,     // Time goes on to the next deadline of any member.
        Crash,    // `at` is gone; an obituary follows what it sent.
        Restart,  // `at` comes back with its disk.
        Cut,      // Nothing goes between `at` and the others any more; both sides learn of it.
        Mend,
    };
    What what = What::Arrive;
    std::size_t at = 0;
    std::size_t to = 0;
    bool safe = false;
};
[[nodiscard]] std::string to_text(const Choice& choice);

class World {
  public:
    static constexpr std::size_t kNodesMax = 3;

    World(std::size_t nodes, Record& record);

    // Carries it out. Needs: possible() gave it, or it is Submit, Wait or a fault that fits.
    void take(const Choice& choice);
    // Arrivals of all lines that hold something.
    [[nodiscard]] std::vector<Choice> arrivals() const;
    // What comes next on a line; none: nothing, or an obituary.
    [[nodiscard]] std::optional<totem::PacketType> first_on_line(std::size_t from,
                                                                 std::size_t to) const;
    [[nodiscard]] bool is_running(std::size_t node) const { return nodes_[node].ring.has_value(); }
    [[nodiscard]] const totem::Ring& ring(std::size_t node) const { return *nodes_[node].ring; }
    [[nodiscard]] std::size_t size() const { return nodes_.size(); }

    // From now on all arrives in turn and nothing fails, until the ring is at rest or the bound of
    // its settings has passed: the end of a story that the checkers can judge whole.
    void end_well();
    // The same without telling the checkers that it must.
    void let_settle();

  private:
    using Sent = std::variant<base::Buffer, totem::PeerEvidence>;
    struct Node {
        std::optional<totem::Ring> ring;
        sim::Process who;
        base::RingId durable{};
        std::uint64_t submitted = 0;
        std::vector<base::NodeId> audience;
    };

    void start(Node& node);
    void step(Node& node, const totem::Event& event);
    void act(Node& node, const totem::Action& action);
    void send(const Node& from, std::size_t to, const base::Buffer& packet);
    void arrive(std::size_t from, std::size_t to);
    void wait();
    void deliver_beats();
    [[nodiscard]] bool is_cut(std::size_t a, std::size_t b) const;
    [[nodiscard]] bool is_at_rest() const;
    [[nodiscard]] std::deque<Sent>& line(std::size_t from, std::size_t to) {
        return lines_[from * kNodesMax + to];
    }
    [[nodiscard]] std::size_t index_of(base::NodeId node) const { return node.value() - 1; }
    void note(const sim::Process& who, sim::What what);

    Record* record_;
    base::Instant now_{std::chrono::seconds(1)};
    std::vector<Node> nodes_;
    std::array<std::deque<Sent>, kNodesMax * kNodesMax> lines_;
    // Heartbeats are no choice: they arrive at once, so that only what is chosen looks like death.
    struct Beat {
        std::size_t from = 0;
        std::size_t to = 0;
        base::Buffer packet;
    };
    std::deque<Beat> beats_;
    std::optional<std::size_t> cut_off_;
};

}  // namespace model
