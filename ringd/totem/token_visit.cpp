// One visit of the token (Totem section 3.2, accelerated as in Babay and Amir, ICDCS 2016): all
// that a member sends, asks for and delivers comes out of one call, so that a driver can make it
// durable as one.
#include <algorithm>
#include <utility>

#include "common/base/invariant.hpp"
#include "ringd/totem/states.hpp"

namespace totem {
namespace {

// Shorter than what any member waits for before it sends its token again.
constexpr Duration kHoldMax = std::chrono::milliseconds(20);

// What one visit has sent so far.
struct Visit {
    std::size_t resent_bytes = 0;
    std::size_t sent_bytes = 0;
    std::vector<base::Buffer> fresh;  // New packets, in order.
};

// A packet larger than what the paths carry now (the path MTU fell) goes in parts.
void resend(Context& context, base::NodeId requester, MessageStore::Message& message) {
    Core& core = context.core;
    ++core.stats.messages_resent;
    ++core.stats.resent_to[requester];
    // What one lacks, others may lack. Only who asks again is alone with it.
    if (message.times_resent++ == 0) {
        context.send_to_all(SendToAll::Audience::Members, message.packet);
    } else {
        context.send_to(requester, message.packet);
    }
}

// Re-sends what is here of one request and gives the rest back, to be served by others.
void serve_request(Context& context, const RetransmitRequest& request, std::size_t budget,
                   Visit& visit, std::vector<RetransmitRequest>& left) {
    MessageStore& store = context.core.installed->store;
    bool extends_last = false;
    for (Seq seq = request.range.first; seq <= request.range.last; seq = next(seq)) {
        MessageStore::Message* message = store.find(seq);
        // Released is stable: the requester has it by now, and its request is old.
        const bool is_old = seq <= store.released();
        const bool can_serve = message != nullptr && visit.resent_bytes < budget;
        if (is_old || can_serve) {
            extends_last = false;
            if (!is_old) {
                visit.resent_bytes += message->packet.size();
                resend(context, request.requester, *message);
            }
        } else if (extends_last) {
            left.back().range.last = seq;
        } else if (left.size() < kRequestsMax) {
            left.push_back({.range = {.first = seq, .last = seq}, .requester = request.requester});
            extends_last = true;
        }
    }
}

void serve_requests(Context& context, Token& token, std::size_t budget, Visit& visit) {
    std::vector<RetransmitRequest> left;
    for (const RetransmitRequest& request : token.requests) {
        if (request.requester == context.core.self) continue;  // Asked for anew below.
        serve_request(context, request, budget, visit, left);
    }
    // What is left of one request may lie behind the beginning of the next.
    std::ranges::sort(left);
    token.requests = std::move(left);
}

void ask_for_gaps(Core& core, Seq up_to, Token& token) {
    const MessageStore& store = core.installed->store;
    const std::size_t token_room =
        (core.installed->packet_bytes - kTokenHeaderBytes) / kRequestBytes;
    const std::size_t most = std::min(kRequestsMax, token_room);
    if (up_to <= store.aru() || token.requests.size() >= most) return;
    std::vector<SeqRange> gaps;
    // A member may take half of what is left, so that one that lacks everything leaves room.
    store.gaps(up_to, (most - token.requests.size() + 1) / 2, gaps);
    for (const SeqRange& gap : gaps) {
        core.stats.messages_requested += gap.count();
        token.requests.push_back({.range = gap, .requester = core.self});
    }
    std::ranges::sort(token.requests);
}

void send_new(Context& context, Operational& state, Token& token, std::size_t allowed,
              Visit& visit) {
    Core& core = context.core;
    Configuration& ring = *core.installed;
    // Half of what a store holds: members whose safe line lags by a rotation have room as well.
    const Seq seq_max{ring.safe_line.value() + kUnstableSeqsMax / 2};
    PacketMemory memory(std::min(allowed, core.queue.backlog_bytes()));
    while (!core.queue.empty()) {
        if (visit.sent_bytes >= allowed || token.seq >= seq_max) {
            ++core.stats.visits_without_room;
            break;
        }
        const Seq seq = next(token.seq);
        DataWriter writer(
            {.ring = ring.ring, .seq = seq, .sender = core.self, .visit = state.token_seq},
            std::min(ring.packet_bytes, core.config.packet_bytes_max), memory);
        core.queue.pack(writer);
        base::Buffer packet = std::move(writer).finish();
        visit.sent_bytes += packet.size();
        const bool inserted = ring.store.insert(seq, core.self, packet);
        INVARIANT(inserted);
        visit.fresh.push_back(std::move(packet));
        token.seq = seq;
    }
    if (visit.fresh.empty()) return;
    token.last_sender = core.self;
    core.stats.messages_sent += visit.fresh.size();
    core.stats.bytes_sent += visit.sent_bytes;
    if (core.queue.taken() > core.taken_told) {
        core.taken_told = core.queue.taken();
        context.actions.emplace_back(Taken{.number = core.taken_told});
    }
}

// Totem section 3.2: who lacks something lowers aru; who lowered it last raises it again.
void update_aru(const Core& core, Token& token) {
    const Seq own = core.installed->store.aru();
    const bool may_set =
        own < token.aru || token.aru_setter == core.self || token.aru_setter == base::kNoNode;
    if (!may_set) return;
    token.aru = std::min(own, token.seq);
    token.aru_setter = token.aru == token.seq ? base::kNoNode : core.self;
}

std::uint32_t clamped(std::size_t bytes) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(bytes, UINT32_MAX));
}

std::uint32_t replaced(std::uint32_t total, std::uint32_t before, std::uint32_t after) {
    const std::uint32_t others = total > before ? total - before : 0;
    return others > UINT32_MAX - after ? UINT32_MAX : others + after;
}

void release_stable(Core& core) {
    Configuration& ring = *core.installed;
    ring.store.release(std::min(ring.safe_line, ring.delivery.delivered()));
}

void measure_rotation(Core& core, Operational& state) {
    if (state.visited_at != Instant{}) {
        const Duration rotation = core.now - state.visited_at;
        core.stats.rotation_last = rotation;
        core.stats.rotation_max = std::max(core.stats.rotation_max, rotation);
        core.stats.rotation_mean += (rotation - core.stats.rotation_mean) / 16;
    }
    state.visited_at = core.now;
}

// Nobody has anything to send or to learn: the token stays here and makes no traffic.
void park(Context& context, Operational& state, Token token) {
    Core& core = context.core;
    ++core.stats.tokens_parked;
    context.trace(TraceEntry::What::TokenParked, token.ring, token.token_seq.value());
    state.visited_at = {};
    state.lost_at.reset();
    state.sent.again_at.reset();
    if (core.installed->members.size() > 1) {
        context.send_to_all(SendToAll::Audience::Members,
                            encode_token_seen({.ring = token.ring, .token_seq = token.token_seq}));
    }
    state.parked = std::move(token);
}

// All is held by all, but not all know: the token stays for a moment, since under a low rate the
// next message comes before that and makes the rest of the round needless.
void hold(Context& context, Operational& state, Token token) {
    Core& core = context.core;
    ++core.stats.tokens_held;
    context.trace(TraceEntry::What::TokenHeld, token.ring, token.token_seq.value());
    state.visited_at = {};
    state.pass_on_at = core.now + std::min(kHoldMax, core.config.token_retransmit / 2);
    state.parked = std::move(token);
}

bool is_parking_place(const Core& core, const Token& token) {
    const NodeSet& members = core.installed->members;
    if (members.contains(token.last_sender)) return token.last_sender == core.self;
    return members.front() == core.self;
}

void send_fresh(Context& context, std::vector<base::Buffer>::iterator from,
                std::vector<base::Buffer>::iterator to) {
    if (context.core.installed->members.size() == 1) return;
    for (; from != to; ++from) {
        context.actions.emplace_back(
            SendToAll{.audience = SendToAll::Audience::Members, .packet = std::move(*from)});
    }
}

// How many of the new packets go out before the token. A single one costs it less time than a
// member that reads the token first, and has to lower aru for a whole round.
std::size_t count_before_token(const Core& core, const Visit& visit) {
    if (!core.config.accelerated || visit.fresh.size() == 1) return visit.fresh.size();
    std::size_t bytes = 0;
    std::size_t before = visit.fresh.size();
    while (before > 0 && bytes + visit.fresh[before - 1].size() <= core.config.accelerated_bytes) {
        bytes += visit.fresh[--before].size();
    }
    return before;
}

}  // namespace

void send_token(Context& context, Operational& state, base::NodeId to, const Token& token) {
    const Core& core = context.core;
    const std::size_t members = core.installed->members.size();
    state.sent = {.to = to,
                  .packet = encode_token(token),
                  .token_seq = token.token_seq,
                  .again_at = core.now + core.config.token_retransmit};
    state.lost_at = core.now + core.config.token_timeout;
    state.idle_when_sent = token.idle_hops >= members;
    state.may_rest = token.idle_hops > 0;
    state.last_sender = token.last_sender;
    if (!core.installed->members.contains(state.last_sender)) {
        state.last_sender = core.installed->members.front();
    }
    state.forwarded_aru = token.aru;
    context.send_to(to, state.sent.packet);
}

void visit(Context& context, Operational& state, Token token) {
    Core& core = context.core;
    Configuration& ring = *core.installed;
    const std::size_t members = ring.members.size();
    Visit visit;

    ++core.stats.tokens_visited;
    measure_rotation(core, state);
    state.token_seq = token.token_seq;
    state.lost_at.reset();
    state.request_at.reset();
    state.sent.again_at.reset();

    // All members were visited in between, and none has lowered aru below either value: see
    // docs/protocol.md, "safe line".
    ring.safe_line = std::max(ring.safe_line, std::min(state.forwarded_aru, token.aru));
    ring.safe_line = std::min(ring.safe_line, ring.store.aru());

    const Seq seq_as_it_came = token.seq;
    const std::size_t own_backlog = core.queue.backlog_bytes();
    const std::size_t allowed = allowed_bytes({.window_bytes = core.window.bytes(),
                                               .visit_bytes = core.config.visit_bytes,
                                               .fcc_bytes = token.fcc_bytes,
                                               .own_fcc_bytes = state.own_fcc,
                                               .backlog_bytes = token.backlog_bytes,
                                               .own_backlog_before = state.own_backlog,
                                               .own_backlog = own_backlog});

    // Retransmissions first: others wait for them, and nothing later can be delivered without.
    serve_requests(context, token, std::max(allowed, ring.packet_bytes), visit);
    send_new(context, state, token, allowed > visit.resent_bytes ? allowed - visit.resent_bytes : 0,
             visit);
    core.window.rotation_ended(token.fcc_bytes, visit.resent_bytes);

    update_aru(core, token);
    // What was numbered in this rotation may still be on its way behind the token.
    ask_for_gaps(
        core,
        core.config.accelerated ? std::min(state.previous_seq, seq_as_it_came) : seq_as_it_came,
        token);
    state.previous_seq = seq_as_it_came;

    const std::uint32_t sent_now = clamped(visit.sent_bytes + visit.resent_bytes);
    const std::uint32_t backlog_now = clamped(core.queue.backlog_bytes());
    token.fcc_bytes = replaced(token.fcc_bytes, state.own_fcc, sent_now);
    token.backlog_bytes = replaced(token.backlog_bytes, state.own_backlog, backlog_now);
    state.own_fcc = sent_now;
    state.own_backlog = backlog_now;

    if (members == 1) ring.safe_line = ring.store.aru();
    const bool idle = visit.fresh.empty() && token.seq == ring.store.aru() &&
                      token.aru == token.seq && token.requests.empty() && core.queue.empty();
    token.idle_hops = idle ? token.idle_hops + 1 : 0;
    context.trace(TraceEntry::What::TokenVisited, token.ring, token.token_seq.value(),
                  token.seq.value());

    const std::size_t before_token = count_before_token(core, visit);
    const auto split = visit.fresh.begin() + static_cast<std::ptrdiff_t>(before_token);
    send_fresh(context, visit.fresh.begin(), split);
    // n idle visits in a row: all hold everything, so this member need not miss the token from now
    // on. n more, and each was told twice: all know that all is safe, and the token may stay.
    const bool all_know = members == 1 || token.idle_hops >= 2 * members;
    if (all_know) state.known_safe = token.seq;
    // Who has not delivered a safe item must hear of its being safe.
    const bool may_hold =
        token.idle_hops >= members && ring.delivery.last_safe() <= state.known_safe;
    const bool parks = members == 1 || ((all_know || may_hold) && is_parking_place(core, token));
    if (parks && state.wanted_by && ring.members.contains(*state.wanted_by)) {
        token.idle_hops = 0;
        token.token_seq = next(token.token_seq);
        send_token(context, state, *std::exchange(state.wanted_by, std::nullopt), token);
    } else if (parks) {
        state.forwarded_aru = token.aru;
        if (all_know) {
            park(context, state, std::move(token));
        } else {
            hold(context, state, std::move(token));
        }
    } else {
        token.token_seq = next(token.token_seq);
        send_token(context, state, ring.members.after(core.self), token);
        state.wanted_by.reset();  // It comes to all on its way.
    }
    send_fresh(context, split, visit.fresh.end());

    ring.delivery.deliver(ring.store, ring.safe_line, context.deliveries());
    release_stable(core);
    // Nobody brings the token back to a ring of one: what did not fit this visit goes with another.
    if (members == 1 && !visit.fresh.empty() && !core.queue.empty()) {
        Token again = state.take_parked();
        again.token_seq = next(again.token_seq);
        totem::visit(context, state, std::move(again));
    }
}

}  // namespace totem
