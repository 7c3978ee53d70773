// The four states of a member (Totem sections 4 and 5), each with the data that exists only in it,
// and what each does with what happens. One file a state: gather.cpp, commit.cpp, recovery.cpp,
// operational.cpp.
#pragma once

#include <map>
#include <optional>
#include <variant>
#include <vector>

#include "ringd/totem/commit_token.hpp"
#include "ringd/totem/core.hpp"
#include "ringd/totem/data_packet.hpp"
#include "ringd/totem/join_message.hpp"
#include "ringd/totem/notices.hpp"
#include "ringd/totem/recovery_plan.hpp"
#include "ringd/totem/recovery_token.hpp"
#include "ringd/totem/token.hpp"

namespace totem {

// A token that was sent and of which no progress was seen yet: it is sent again until then.
struct SentToken {
    base::NodeId to{};
    base::Buffer packet{};
    TokenSeq token_seq{};
    std::optional<Instant> again_at{};  // None: progress was seen.

    template <class A>
    void archive(A& a) {
        a(to, packet, token_seq, again_at);
    }
};

struct Gather {
    // What a node said last while it gathered.
    struct Said {
        NodeSet proposal{};
        std::uint64_t ring_seq_max = 0;
        Incarnation incarnation{};
        Instant at{};
    };
    NodeSet proposal{};
    Instant proposed_at{};
    std::map<base::NodeId, Said> said{};
    std::uint32_t round = 0;
    Instant round_ends{};
    Instant entered_at{};
    Instant patient_until{};             // Rounds count from here on.
    Instant join_at{};                   // The proposal is repeated for who may have missed it.
    std::size_t repeats = 0;             // Since all were told the proposal.
    NodeSet possible{};                  // The ring that could be, as far as is known.
    Instant looked_at{};                 // When that was computed.
    Instant grew_at{};                   // And when somebody new was in it.
    std::optional<Instant> update_at{};  // More is known than the proposal regards.
    std::optional<Instant> word_at{};    // All are to be told of it.
    bool is_offered = false;             // All were told.
    std::optional<NodeSet> offer{};      // The representative's proposal for us, among many.
    bool is_row_told = false;            // Complete, to the representative.
    bool alone = false;  // Agreement failed too often: form a ring of one, merge later.
};

struct Commit {
    CommitToken token{};  // As it came, or as the representative began it.
    bool passed = false;  // The ring id is durable, our entry is in and the token went on.
    CommitEntry own{};
    SentToken sent{};
    Instant lost_at{};
};

struct Recovery {
    Configuration next{};  // Being formed; takes what members say that already installed it.
    RecoveryPlan plan{};
    std::uint64_t missing = 0;               // Of the old ring, to be received.
    std::size_t sent_count = 0;              // Of plan.to_send.
    std::uint64_t missing_before = 0;        // At the last visit.
    TokenSeq token_seq{};                    // Of the last visit.
    std::optional<RecoveryToken> waiting{};  // Arrived; the socket may hold more before it.
    std::optional<Token> regular{};          // The same of the first regular token.
    SentToken sent{};
    Instant lost_at{};
};

struct Operational {
    TokenSeq token_seq{};            // Of the last visit.
    std::optional<Token> waiting{};  // Arrived; the socket may hold more before it.
    std::optional<Token> parked{};   // Held: the ring is idle.
    // Parked before all know that it may be: it goes round once more then.
    std::optional<Instant> pass_on_at{};
    SentToken sent{};
    std::optional<Instant> lost_at{};  // None: the token is parked, here or elsewhere.
    bool idle_when_sent = false;       // After this visit the token may be parked anywhere.
    bool may_rest = false;             // It may rest at the last sender until pass_on_at.
    Seq known_safe{};                  // All members know that they hold all up to here.
    Seq previous_seq{};                // token.seq as it came the round before: what is asked for.
    Seq forwarded_aru{};               // token.aru as we sent it.
    std::uint32_t own_fcc = 0;
    std::uint32_t own_backlog = 0;
    std::optional<Instant> request_at{};  // Ask for the parked token (again).
    Instant request_gives_up{};
    std::optional<base::NodeId> wanted_by{};  // Asked us for the token before it was parked here.
    base::NodeId last_sender{};               // Where the token is parked, if it is.
    Instant visited_at{};
    std::size_t rotation_resent = 0;
    Instant installed_at{};
    Instant presence_at{};              // Rows told to nodes outside the ring.
    std::optional<Instant> check_at{};  // Does the partition still give this ring?
    std::size_t proposed_size = 0;      // Of the larger ring that is waited for, when it grew last.
    Instant grew_at{};
    Instant waits_since{};

    template <class A>
    void archive(A& a) {
        a(token_seq, waiting, parked, pass_on_at, sent, lost_at, idle_when_sent, may_rest,
          known_safe, previous_seq, forwarded_aru, own_fcc, own_backlog, request_at,
          request_gives_up, wanted_by, last_sender, visited_at, rotation_resent, installed_at,
          presence_at, check_at, proposed_size, grew_at, waits_since);
    }
    // The parked token, to be sent or visited.
    [[nodiscard]] Token take_parked() {
        pass_on_at.reset();
        return *std::exchange(parked, std::nullopt);
    }
};

using State = std::variant<Gather, Commit, Recovery, Operational>;
using Next = std::optional<State>;

// gather.cpp
[[nodiscard]] State enter_gather(Context& context, GatherReason reason);
[[nodiscard]] Next rows_changed(Context&, Gather&);
[[nodiscard]] Next join_arrived(Context&, Gather&, base::NodeId from, const JoinMessage&);
[[nodiscard]] Next on(Context&, Gather&, base::NodeId from, const CommitToken&);
[[nodiscard]] Next on_data(Context&, Gather&, DataPacket);
[[nodiscard]] Next on_time(Context&, Gather&);

// commit.cpp
[[nodiscard]] State enter_commit(Context& context, CommitToken token);
[[nodiscard]] Next rows_changed(Context&, Commit&);
[[nodiscard]] Next join_arrived(Context&, Commit&, base::NodeId from, const JoinMessage&);
[[nodiscard]] Next on(Context&, Commit&, base::NodeId from, const CommitToken&);
[[nodiscard]] Next on_stored(Context&, Commit&);
[[nodiscard]] Next on_time(Context&, Commit&);

// recovery.cpp
[[nodiscard]] State enter_recovery(Context& context, const CommitToken& token);
[[nodiscard]] Next rows_changed(Context&, Recovery&);
[[nodiscard]] Next join_arrived(Context&, Recovery&, base::NodeId from, const JoinMessage&);
[[nodiscard]] Next on(Context&, Recovery&, base::NodeId from, const CommitToken&);
[[nodiscard]] Next on(Context&, Recovery&, base::NodeId from, const RecoveryToken&);
[[nodiscard]] Next on(Context&, Recovery&, base::NodeId from, const Token&);
[[nodiscard]] Next on(Context&, Recovery&, base::NodeId from, const TokenSeen&);
[[nodiscard]] Next on_data(Context&, Recovery&, DataPacket);
[[nodiscard]] Next on_drained(Context&, Recovery&);
[[nodiscard]] Next on_time(Context&, Recovery&);

// operational.cpp
// Installs `next`: the rest of the old ring, the transitional and the regular configuration.
[[nodiscard]] Operational install(Context& context, Configuration next, const RecoveryPlan& plan);
// token_visit.cpp
// The token visits this member: it sends, asks, delivers, and passes it on or parks it.
void visit(Context& context, Operational& state, Token token);
void send_token(Context& context, Operational& state, base::NodeId to, const Token& token);
// operational.cpp, again
[[nodiscard]] Next rows_changed(Context&, Operational&);
[[nodiscard]] Next join_arrived(Context&, Operational&, base::NodeId from, const JoinMessage&);
[[nodiscard]] Next on(Context&, Operational&, base::NodeId from, const RecoveryToken&);
[[nodiscard]] Next on(Context&, Operational&, base::NodeId from, const Token&);
[[nodiscard]] Next on(Context&, Operational&, base::NodeId from, const TokenRequest&);
[[nodiscard]] Next on(Context&, Operational&, base::NodeId from, const TokenSeen&);
[[nodiscard]] Next on_data(Context&, Operational&, DataPacket);
[[nodiscard]] Next on_submitted(Context&, Operational&);
[[nodiscard]] Next on_drained(Context&, Operational&);
[[nodiscard]] Next on_time(Context&, Operational&);

// When something is due in the state; the failure detector's next tick is not in it.
[[nodiscard]] std::optional<Instant> deadline(const Gather&);
[[nodiscard]] std::optional<Instant> deadline(const Commit&);
[[nodiscard]] std::optional<Instant> deadline(const Recovery&);
[[nodiscard]] std::optional<Instant> deadline(const Operational&);

}  // namespace totem
