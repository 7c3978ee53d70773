// The keys below "cluster.": the same on all nodes, changed in the order of the channel "cmap".
//
// Writes count in a ring that is quorate (or where nobody counts votes), if all of it or most of
// the node list is on the channel; so any two sets of nodes that write have a node in common. They
// are answered while the lease of quorum holds; else when it does again. A write and the exchange
// of states travel with safe delivery: what this node answered, and the state it was based on, all
// who were with it have, and deliver before they meet anybody else. And it is answered when all
// members of the view have stored it: then any set of nodes that may write later, also after all
// were killed, has one that knows it. Who can't store (its disk is full) counts as if it had.
//
// In a ring nothing is answered before a write of this ring: what is from an older one could yet be
// swept away by who made a write in a ring between the two, which nobody was answered. Where there
// is no other write, an empty one is made.
//
// A read sees each write that was answered, on any node, before it was asked: it waits for a mark
// of its node in the order, safe like a write; reads that wait share one. Who delivers it in an
// open view has what stands before it, and no younger ring can have answered a write that does not:
// a member of this one would be in that, and has received the mark in this one. It is answered, as
// it was at the mark, when all have stored what it saw.
//
// In a view with somebody new all say which version they have, the greatest goes on, who has it
// sends it, and the others take it. What is ordered meanwhile waits; should the view break before
// the state is there, nobody has taken what waited, and its nodes send it again.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cmapd/core/keys.hpp"
#include "cmapd/core/record.hpp"
#include "common/base/instant.hpp"

namespace cmap {

class Replica {
  public:
    using Values = std::map<std::string, Value, std::less<>>;

    struct Answered {
        SessionId session{};
        std::uint64_t number = 0;
        CsError error = CsError::Ok;
        base::Buffer payload;
    };
    // To be stored in one step, and then told; in order.
    struct Apply {
        std::vector<protocol::cmap::Write> writes;
        std::vector<Answered> answers;
    };
    struct Lost {
        base::NodeId winner{};
        std::vector<std::string> keys;  // The first kLostNamesMax.
        std::size_t count = 0;
    };
    struct Out {
        struct Submit {
            base::Buffer payload;
            bool urgent = false;
            bool safe = true;
        };
        std::vector<Submit> submits;
        std::vector<Apply> applies;
        std::optional<Lost> lost;
        bool is_changed = false;  // stored() gives something new.
    };
    static constexpr std::size_t kLostNamesMax = 8;

    // `stored` is what stored() gave; `keys` are those below "cluster.". `nodes`: of the node list;
    // 0: unknown.
    Replica(const std::optional<base::Buffer>& stored, Values keys, std::size_t nodes);

    void attached(base::NodeId self, bool resumed, protocol::Incarnation incarnation);
    void happened(const protocol::Event& event, Out& out);
    // `until`: when that ends without further word; nothing: it has no end.
    void quorum(base::RingId ring, bool is_quorate, std::optional<base::Instant> until, Out& out);
    void uncounted(Out& out);
    // What follows happens at this time.
    void pass_time(base::Instant now) { now_ = now; }
    // When the lease ends that holds now.
    [[nodiscard]] std::optional<base::Instant> lease_end() const;
    // The node list has changed.
    void set_nodes(std::size_t nodes, Out& out);

    // A client's write: its answer comes in an Apply, when is_open() again if it is not.
    void write(SessionId session, std::uint64_t number, protocol::cmap::Request request, Out& out);
    // Nobody waits for its answer any more. It may still take effect.
    void abandon(SessionId session, std::uint64_t number);
    // What the last write of the session was answered, if it has this number.
    [[nodiscard]] const ClusterAnswer* answered(SessionId session, std::uint64_t number) const;

    // A Get or List of the cluster: its answer comes in an Apply, with all writes that were
    // answered before now.
    void read(SessionId session, std::uint64_t number, protocol::cmap::Request request, Out& out);
    void abandon_read(SessionId session, std::uint64_t number);

    // Writes are taken, reads answered.
    [[nodiscard]] bool is_open() const;
    // They are not, and will not be in this view: quorumd says no, or too few nodes are here.
    [[nodiscard]] bool is_shut() const;
    // Why they are not, for people.
    [[nodiscard]] const char* why_closed() const;
    [[nodiscard]] bool is_synchronised() const { return is_synchronised_; }
    [[nodiscard]] const Version& version() const { return version_; }
    [[nodiscard]] const protocol::View& view() const { return view_; }
    [[nodiscard]] const Values& keys() const { return keys_; }
    [[nodiscard]] protocol::Incarnation incarnation() const { return incarnation_; }

    // Nothing while states are exchanged: then the last one counts.
    [[nodiscard]] std::optional<base::Buffer> stored() const;
    // The first `total` writes are in what was stored, or as good as that.
    void was_stored(std::uint64_t total, Out& out);
    // How many writes stored() has.
    [[nodiscard]] std::uint64_t total() const { return total_; }
    // The last event that is in stored().
    [[nodiscard]] protocol::Cursor applied() const { return applied_; }

  private:
    struct Pending {
        protocol::cmap::Request request;
        base::RingId submitted_in{};            // No ring: not yet.
        std::optional<ClusterAnswer> answer{};  // It is done; not answered yet.
    };
    struct Read {
        SessionId session{};
        std::uint64_t number = 0;
        protocol::cmap::Request request;
    };
    // Looked up at its mark, when there were so many writes.
    struct SeenRead {
        Read read;
        Answered answer;
        std::uint64_t total = 0;
    };
    struct Exchange {
        std::map<base::NodeId, Version> summaries;
        std::optional<base::NodeId> winner;
        State state;  // The parts so far.
        std::uint32_t parts = 0;
        std::vector<Op> held;
    };

    void on_view(const protocol::View& view, Out& out);
    // False: it changes nothing of stored() but how far it has come.
    bool on_batch(const protocol::Batch& batch, Out& out);
    void on_op(const Op& op, Out& out);
    void on_mark(const Mark& mark, Out& out);
    void on_stored(base::NodeId sender, const Stored& stored, Out& out);
    void on_summary(base::NodeId sender, const Summary& summary, Out& out);
    void on_state(base::NodeId sender, State state, Out& out);
    void begin_exchange(Out& out);
    void send_state(Out& out) const;
    void install(base::NodeId winner, State state, Out& out);
    void finish_exchange(Out& out);

    void apply(const Op& op, Out& out);
    // Changes keys_ and gives the answer.
    ClusterAnswer carry_out(const protocol::cmap::Request& request,
                            std::vector<protocol::cmap::Write>& writes);
    void put(const std::string& key, std::optional<Value> value,
             std::vector<protocol::cmap::Write>& writes);
    void remember(SessionId session, ClusterAnswer answer);
    // Answers and submits what waits for an open, synchronised view.
    void go_on(Out& out);
    void answer_writes(std::uint64_t stored, Apply& apply, Out& out);
    void answer_reads(std::uint64_t stored, Apply& apply);
    void begin_epoch(Out& out);
    void tell_stored(Out& out);
    // So many writes all members of the view have stored.
    [[nodiscard]] std::uint64_t stored_by_all() const;
    void send_mark(Out& out);
    void take_back_mark();
    // What was seen is of a state that does not go on, or may not.
    void read_all_again();
    [[nodiscard]] Answered look_up(const Read& read) const;
    [[nodiscard]] bool is_ancestor_of(const State& state) const;
    [[nodiscard]] bool is_quorate() const;
    [[nodiscard]] bool has_lease() const;
    [[nodiscard]] bool has_enough_members() const;

    std::size_t nodes_ = 0;
    base::NodeId self_{};
    protocol::Incarnation incarnation_{};
    protocol::Cursor applied_{};
    bool is_synchronised_ = false;
    protocol::View view_;
    // Since the last transitional configuration, until the view.
    std::optional<std::set<base::NodeId>> came_along_;
    std::optional<Exchange> exchange_;

    bool is_uncounted_ = false;
    std::optional<base::RingId> quorate_ring_;
    std::optional<base::RingId> inquorate_ring_;
    std::optional<base::Instant> quorate_until_;
    base::Instant now_{};

    Values keys_;
    Version version_;
    // What of it somebody may have been answered, as far as this node knows: what all have stored.
    // The nodes that agree on a state in a partition that may not write do not make it more.
    Version settled_;
    std::uint64_t total_ = 0;
    std::vector<Version> lineage_;
    std::map<SessionId, ClusterAnswer> answers_;

    std::map<std::pair<SessionId, std::uint64_t>, Pending> pending_;

    std::uint64_t own_stored_ = 0;
    std::map<base::NodeId, std::uint64_t> stored_;  // By the others of the view, as they say.
    std::uint64_t told_stored_ = 0;                 // In this view.
    bool asks_stored_ = false;
    base::RingId begun_in_{};  // An empty write was sent there.

    std::vector<Read> reads_;         // That no mark stands for yet.
    std::optional<Mark> mark_;        // On its way.
    std::vector<Read> marked_reads_;  // That it stands for.
    std::vector<SeenRead> seen_reads_;
    std::uint64_t last_mark_ = 0;
    std::size_t marks_unstored_ = 0;
};

}  // namespace cmap
