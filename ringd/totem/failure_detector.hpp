// Who is heard, on which link, and how well: from heartbeats and every other sign of life, apart
// from the token. It convicts by silence, measured against each path's own jitter, and by direct
// evidence.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "ringd/totem/events.hpp"
#include "ringd/totem/heartbeat.hpp"
#include "ringd/totem/ring_config.hpp"

namespace totem {

// One path to one peer, as the status shows it.
struct LinkHealth {
    LinkId link{};
    bool up = false;
    std::optional<Instant> last_heard{};
    Duration rtt{};     // Smoothed; 0 before the first echo.
    Duration jitter{};  // Mean deviation of the time between heartbeats.

    template <class A>
    void archive(A& a) {
        a(link, up, last_heard, rtt, jitter);
    }
};

class FailureDetector {
  public:
    FailureDetector(const RingConfig& config, Instant now);

    void configure(const std::vector<Peer>& peers, Instant now);

    // Other times. The peers change theirs at another instant: until the longest silence of both
    // has passed we beat as often as the more impatient of both settings wants, and wait as long as
    // the more patient one.
    void retime(const RingSettings& settings, Instant now);

    // Any authentic packet.
    void packet_arrived(base::NodeId peer, LinkId link, Instant now);
    // Gives whether to believe it: a heartbeat of a run that is over, or of an earlier one than
    // that known, is most likely a late packet. One that keeps coming was wrongly thought to be
    // over.
    bool heartbeat_arrived(base::NodeId peer, LinkId link, const Heartbeat& heartbeat, Instant now);
    // Is this run of the peer over, as far as is known?
    [[nodiscard]] bool is_over(base::NodeId peer, const Incarnation& incarnation) const;

    void port_unreachable(base::NodeId peer, LinkId link, Instant now);
    void link_changed(LinkId link, bool has_carrier, Instant now);
    // The run is gone for certain.
    void convict(base::NodeId peer);
    // Somebody says that a run of the peer is gone, not which one. Gives whether it is convicted:
    // of a peer that has just been restarted this tells of the run before.
    bool obituary(base::NodeId peer, Instant now);
    // Somebody else does not hear the peer: half a silence is enough here as well.
    void accuse(base::NodeId peer, Instant now);
    // Not counted as heard before `until`, although it is: it does not come to an agreement.
    void shun(base::NodeId peer, Instant until);
    void paused(Duration length);
    // The own row changed, or a doubt came up: all peers are told at the next tick. That is now, or
    // after pace() where they were told less than that ago: what has changed by then goes together.
    void hurry(Instant now);
    // The least time between two words to all peers, so that news of n nodes is not n words to n.
    [[nodiscard]] Duration pace() const;

    // A heartbeat that is due.
    struct Beat {
        base::NodeId peer{};
        LinkId link{};
        bool reply_wanted = false;
        std::uint64_t echo_ns = 0;
        std::uint64_t echo_age_ns = 0;
    };
    void tick(Instant now, std::vector<Beat>& beats);
    [[nodiscard]] Instant next_tick() const { return next_tick_; }

    // Changes whenever what the queries below answer may have changed.
    [[nodiscard]] std::uint64_t generation() const { return generation_; }

    [[nodiscard]] bool hears(base::NodeId peer, Instant now) const;
    [[nodiscard]] bool ever_heard(base::NodeId peer) const;
    [[nodiscard]] std::optional<LinkId> best_link(base::NodeId peer) const;
    [[nodiscard]] std::vector<LinkHealth> health(base::NodeId peer) const;
    [[nodiscard]] const std::vector<base::NodeId>& peers() const { return nodes_; }

    // Grows with the number of nodes, so that all heartbeats together stay bounded.
    [[nodiscard]] Duration beat_interval() const;

    template <class A>
    void archive(A& a) {
        a(settings_, former_, nodes_, peers_, hurried_at_, hurry_due_, next_tick_, generation_);
    }

  private:
    struct Path {
        LinkHealth health{};
        Duration mean_gap{};  // Between two heartbeats.
        std::optional<Instant> last_beat{};
        std::uint64_t peer_sent_ns = 0;  // To be echoed.
        Instant peer_sent_at{};
        Instant beat_due{};
        bool reply_due = false;
        // None: it was never down, and the first heartbeat counts.
        std::optional<std::uint32_t> beats_since_down{};

        template <class A>
        void archive(A& a) {
            a(health, mean_gap, last_beat, peer_sent_ns, peer_sent_at, beat_due, reply_due,
              beats_since_down);
        }
    };
    struct PeerState {
        std::vector<Path> paths;
        std::optional<Incarnation> run{};  // The latest that was heard.
        bool run_over = false;
        Instant run_since{};
        bool had_run_before = false;
        Incarnation late_run{};  // Of which late heartbeats come.
        std::uint32_t late_beats = 0;
        std::optional<LinkId> best{};
        Instant shunned_until{};
        std::uint32_t unreachable = 0;  // Answers in a row that nobody listens.
        Instant probe_due{};
        bool probing = false;
        bool ever_heard = false;

        template <class A>
        void archive(A& a) {
            a(paths, run, run_over, run_since, had_run_before, late_run, late_beats, best,
              shunned_until, unreachable, probe_due, probing, ever_heard);
        }
    };

    [[nodiscard]] Duration heartbeat_interval() const;
    [[nodiscard]] Duration silence_min() const;
    [[nodiscard]] Duration silence_max() const;
    [[nodiscard]] Duration silence_limit(const Path& path) const;
    void take_down(PeerState& peer);
    static bool accept_run(PeerState& peer, const Incarnation& incarnation, Instant now);
    void choose_best(PeerState& peer);
    Path* path_of(base::NodeId peer, LinkId link);

    RingSettings settings_;
    // The settings before, while they still count.
    struct Former {
        Duration heartbeat_interval{};
        Duration silence_min{};
        Duration silence_max{};
        Instant until{};

        template <class A>
        void archive(A& a) {
            a(heartbeat_interval, silence_min, silence_max, until);
        }
    };
    std::optional<Former> former_{};
    std::vector<base::NodeId> nodes_;
    std::map<base::NodeId, PeerState> peers_;
    Instant hurried_at_{};  // When all peers were told last.
    std::optional<Instant> hurry_due_{};
    Instant next_tick_{};
    std::uint64_t generation_ = 1;
};

}  // namespace totem
