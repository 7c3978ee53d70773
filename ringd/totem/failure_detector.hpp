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
    // A lifeline with the peer is there on this link: if its process dies, its kernel says so.
    void lifeline_up(base::NodeId peer, LinkId link, Instant now);
    // It is not, which says nothing of the peer. kNoNode: nobody's is.
    void lifeline_down(base::NodeId peer, Instant now);
    // It ended without a word: whether the peer is dead is asked at once.
    void hung_up(base::NodeId peer, Instant now);
    // Nobody else has one any more.
    void keep_lifelines(const NodeSet& peers, Instant now);
    [[nodiscard]] std::optional<LinkId> lifeline(base::NodeId peer) const;
    void link_changed(LinkId link, bool has_carrier, Instant now);
    // The run is gone for certain.
    void convict(base::NodeId peer);
    // Somebody says that a run of the peer is gone, not which one. Gives whether it is convicted:
    // of a peer that has just been restarted this tells of the run before.
    bool obituary(base::NodeId peer, Instant now);
    // Somebody else does not hear the peer: half a silence is enough here as well.
    void accuse(base::NodeId peer, Instant now);
    // A ring is installed: `near` are beaten often, the other members rarely, and all are told how
    // often. Where all members but ourselves are near they take turns, and beat more rarely as long
    // as we have a lifeline with each. Empty: all members at the full rate, and nobody is told.
    void watch(base::NodeId self, const NodeSet& members, const NodeSet& near, Instant now);
    // All are to say something now, in a gather: who beats rarely and does not is missed soon.
    void expect_all(Instant now);
    // Not counted as heard before `until`, although it is: it does not come to an agreement.
    void shun(base::NodeId peer, Instant until);
    void paused(Duration length);
    // The own row changed, or a doubt came up: all peers are told at the next tick. That is now, or
    // at next_word(): what has changed by then goes together.
    void hurry(Instant now);
    // The same for good news, which can wait for more of its kind.
    void hurry_later(Instant now);
    // All were told in another way, by a join.
    void told_all(Instant now);
    // All are to be told now.
    [[nodiscard]] bool has_a_word(Instant now) const { return hurry_due_ && *hurry_due_ <= now; }
    // The least time between two words to all, so that what comes with a burst goes together.
    [[nodiscard]] Duration pace() const;
    // When all may be told again: some words can follow each other closely, but many nodes that
    // have much to say must not drown each other.
    [[nodiscard]] Instant next_word() const;
    // A word to all, in the long run, takes this long.
    [[nodiscard]] Duration word_cost() const;
    // How long nodes that come are waited for before one is taken in, after the last of them.
    [[nodiscard]] Duration settling() const;

    // A heartbeat that is due.
    struct Beat {
        base::NodeId peer{};
        LinkId link{};
        bool reply_wanted = false;
        std::uint16_t promise = 0;  // As Heartbeat has it.
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

    // So many peers that what all say together has to be bounded; up to there all is said at once.
    [[nodiscard]] bool are_many() const;

    // Grows with the number of nodes, so that all heartbeats together stay bounded.
    [[nodiscard]] Duration beat_interval() const;
    // To a peer that is not heard. One that starts tells all, so this only makes up for losses.
    [[nodiscard]] Duration call_interval() const;

    template <class A>
    void archive(A& a) {
        a(settings_, former_, nodes_, peers_, turns_, hurried_at_, words_until_, hurry_due_,
          next_tick_, generation_);
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
        Duration promised{};  // By the peer: its next heartbeat comes within this. 0: the usual.
        // It has been silent for too long, or somebody misses it: it is asked until then.
        std::optional<Instant> doubted_until{};
        // None: it was never down, and the first heartbeat counts.
        std::optional<std::uint32_t> beats_since_down{};

        template <class A>
        void archive(A& a) {
            a(health, mean_gap, last_beat, peer_sent_ns, peer_sent_at, beat_due, reply_due,
              promised, doubted_until, beats_since_down);
        }
    };
    // Few members take turns: each has its time after the beat of the first of them.
    struct Turns {
        base::NodeId first{};
        std::uint32_t place = 0;  // Ours among the members.
        std::uint32_t members = 0;
        Instant next_at{};  // Our turn.
        Instant told_at{};  // When we beat last.
        bool all_have_lifelines = false;

        template <class A>
        void archive(A& a) {
            a(first, place, members, next_at, told_at, all_have_lifelines);
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
        std::uint32_t probes = 0;  // In a row.
        bool probing = false;
        // Its kernel answers for it. Such answers are few: they are saved up.
        bool refuses = false;
        bool ever_heard = false;
        Instant accused_at{};
        std::optional<LinkId> lifeline{};
        bool has_hung_up = false;      // And nothing came since.
        bool is_near = false;          // Beaten often, however many nodes there are.
        bool is_far = false;           // Beaten rarely.
        std::uint32_t told_beats = 0;  // That told it how often we beat.

        template <class A>
        void archive(A& a) {
            a(paths, run, run_over, run_since, had_run_before, late_run, late_beats, best,
              shunned_until, unreachable, probe_due, probes, probing, refuses, ever_heard,
              accused_at, lifeline, has_hung_up, is_near, is_far, told_beats);
        }
    };

    [[nodiscard]] Duration heartbeat_interval() const;
    [[nodiscard]] Duration far_interval() const;
    [[nodiscard]] Duration near_interval() const;
    [[nodiscard]] Duration silence_min() const;
    [[nodiscard]] Duration silence_max() const;
    [[nodiscard]] Duration rare_min() const;
    [[nodiscard]] Duration silence_limit(const Path& path) const;
    [[nodiscard]] bool is_rare(const Path& path) const;
    [[nodiscard]] bool is_asked(const Path& path) const;
    [[nodiscard]] Instant missed_at(const Path& path) const;
    // Until when it counts as up although nothing comes.
    [[nodiscard]] Instant borne_until(const Path& path) const;
    void doubt(Path& path, Instant first_ask, Duration patience, Instant now);
    void look_at_silence(Path& path, Instant now);
    [[nodiscard]] Beat beat_to(base::NodeId node, PeerState& peer, Path& path, bool probe,
                               Instant now);
    void take_down(PeerState& peer);
    void begin_probing(PeerState& peer, Instant now);
    void judge_refusals(PeerState& peer, Instant now);
    [[nodiscard]] std::uint32_t refusals_to_convict(const PeerState& peer, Instant now) const;
    static void gave_a_sign(PeerState& peer);
    [[nodiscard]] Duration interval_to(const PeerState& peer, const Path& path) const;
    [[nodiscard]] static bool knows_our_rate(const PeerState& peer);
    [[nodiscard]] bool takes_turns(const PeerState& peer, const Path& path) const;
    [[nodiscard]] bool are_turns_taken() const;
    [[nodiscard]] static bool has_lifeline(const PeerState& peer);
    void look_at_lifelines(Instant now);
    void tell_rate_anew(PeerState& peer, Instant now);
    void keep_step(base::NodeId from, Instant beat_due, Instant now);
    [[nodiscard]] bool turn_has_come(Instant now) const;
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
    std::optional<Turns> turns_{};
    Instant hurried_at_{};   // When all peers were told last.
    Instant words_until_{};  // What was said would have taken until then at the lasting rate.
    std::optional<Instant> hurry_due_{};
    Instant next_tick_{};
    std::uint64_t generation_ = 1;
};

}  // namespace totem
