#include "quorumd/driver/driver.hpp"

#include <algorithm>
#include <utility>

#include "common/os/clock.hpp"
#include "quorumd/driver/status_json.hpp"

namespace quorumd {

Driver::Driver(os::EventLoop& loop, logging::Log& log, Options options, Memory memory)
    : loop_(loop),
      log_(log),
      options_(std::move(options)),
      memory_(std::move(memory)),
      life_(os::epoch_ns()),
      core_(options_.core, life_, memory_.load_durable()),
      clients_(
          loop, options_.access, options_.core.is_free,
          {.step = [this](const quorum::Event& event) { step(event); },
           .status = [this] { return status(); },
           .may_register = [this] { return core_.may_register(); },
           .not_allowed =
               [this](const zmtp::PeerCredentials& peer) {
                   if (const auto suppressed = refusals_.admit(os::now(), peer.uid))
                       log_.info(
                           "client is not allowed, refusing",
                           {{"UID", peer.uid}, {"GID", peer.gid}, {"SUPPRESSED", *suppressed}});
               }}) {}

void Driver::start() {
    stream_ = std::make_unique<ring::StreamClient>(
        loop_,
        ring::StreamClient::Options{
            .path = options_.ring_path, .channel = "quorum", .resume = restore()},
        ring::StreamClient::Callbacks{
            .attached = [this](const auto& attached,
                               auto incarnation) { on_attached(attached, incarnation); },
            .event =
                [this](protocol::Event event) { step(quorum::RingHappened{std::move(event)}); },
            .room = [this] { send_submissions(); },
            .lost = [this](const std::string& reason) { on_lost(reason); }});
    loop_.set_deadline([this] { return core_.next_deadline(); },
                       [this] { step(quorum::TimePassed{}); });
    loop_.at_turn_end([this] { end_turn(); });
    stream_->start();
}

std::optional<ring::ResumePoint> Driver::restore() {
    const auto kept = memory_.load();
    if (!kept) {
        if (memory_.refusal() != nullptr)
            log_.warning("the state of the last life can't be used, starting afresh",
                         {{"REASON", memory_.refusal()}});
        return std::nullopt;
    }
    auto restored = quorum::Core::restore(options_.core, *kept, life_);
    if (!restored) {
        log_.warning("the state of the last life can't be used, starting afresh",
                     {{"REASON", restored.error() == protocol::FrameError::WrongVersion
                                     ? "it is of another version"
                                     : "it is damaged"}});
        return std::nullopt;
    }
    core_ = std::move(*restored);
    kept_ = core_.applied();
    log_.notice("going on from the last life's state",
                {{"APPLIED", core_.applied().value()}, {"QUORATE", status().is_quorate}});
    return ring::ResumePoint{.incarnation = core_.incarnation(), .applied = core_.applied()};
}

quorum::Status Driver::status() const {
    return core_.status(os::now());
}

// ---------------------------------------------------------------- the core

void Driver::step(const quorum::Event& event) {
    std::vector<quorum::Action> actions;
    core_.step(os::now(), event, actions);
    // Who comes after us must not claim what we are about to tell that it is over.
    const bool is_change = std::ranges::any_of(actions, [](const quorum::Action& action) {
        return std::holds_alternative<quorum::QuorumChanged>(action);
    });
    if (is_change) keep();
    for (const quorum::Action& action : actions) {
        carry_out(action);
    }
    if (is_change) log_change();
}

void Driver::carry_out(const quorum::Action& action) {
    if (const auto* submit = std::get_if<quorum::Submit>(&action)) {
        const auto before = submit->urgent
                                ? std::ranges::find(submissions_, false, &quorum::Submit::urgent)
                                : submissions_.end();
        submissions_.insert(before, *submit);
    } else if (const auto* answer = std::get_if<quorum::Answer>(&action)) {
        clients_.answer(*answer);
    } else if (const auto* members = std::get_if<quorum::MembersChanged>(&action)) {
        clients_.tell(*members);
    } else if (const auto* quorum = std::get_if<quorum::QuorumChanged>(&action)) {
        clients_.tell(*quorum);
    } else if (const auto* expected = std::get_if<quorum::ExpectedVotesChanged>(&action)) {
        clients_.tell(*expected);
    } else {
        const auto stored = memory_.store_durable(std::get<quorum::Store>(action).durable);
        if (!stored)
            log_.error("cannot store the expected votes", {{"ERROR", stored.error().text()}});
    }
}

void Driver::log_change() {
    const quorum::Status now = status();
    if (now.is_serving && said_quorate_ != now.holds) {
        said_quorate_ = now.holds;
        const std::string members = text_of(now.members);
        if (now.holds) {
            log_.notice("quorum", {{"RING", now.view.ring.seq},
                                   {"MEMBERS", members},
                                   {"VOTES", now.standing.total_votes},
                                   {"NEEDED", now.standing.threshold}});
        } else {
            log_.warning("no quorum", {{"REASON", text_of(now.reason)},
                                       {"RING", now.view.ring.seq},
                                       {"MEMBERS", members},
                                       {"VOTES", now.standing.total_votes},
                                       {"NEEDED", now.standing.threshold}});
        }
    }
    if (now.differing.size() != std::exchange(said_differing_, now.differing.size()) &&
        !now.differing.empty()) {
        log_.warning("nodes have other quorum options in their files",
                     {{"NODES", text_of(now.differing)}});
    }
}

void Driver::reconfigure(const quorum::Config& config) {
    options_.core = config;
    step(quorum::Reconfigure{.config = config});
}

// ringd keeps what is not acknowledged: so only what is in the snapshot is. Without a place for
// snapshots nothing can be resumed, and everything is done with at once.
void Driver::keep() {
    if (!core_.can_snapshot()) return;
    const bool could = memory_.can_keep();
    const auto kept = memory_.keep(core_.snapshot());
    if (could && !kept) {
        log_.error("cannot keep the state, a restart will be a fresh one",
                   {{"ERROR", kept.error().text()}});
    } else if (core_.is_serving() && !has_lived_) {
        memory_.lived();
        has_lived_ = true;
    }
    kept_ = core_.applied();
    if (stream_) stream_->acknowledge(kept_);
}

void Driver::end_turn() {
    send_submissions();
    if (core_.applied() != kept_) keep();
    if (core_.is_serving() && !clients_.server().is_serving()) {
        clients_.server().serve(status().self);
        if (serving_) serving_();
    }
    clients_.tell_leases();
    clients_.server().flush();
}

void Driver::send_submissions() {
    const auto fits = [this](const quorum::Submit& next) {
        const std::size_t bytes = next.payload.size();
        return next.urgent ? stream_->fits_urgent(bytes) : stream_->fits(bytes);
    };
    while (!submissions_.empty() && fits(submissions_.front())) {
        const quorum::Submit next = std::move(submissions_.front());
        submissions_.pop_front();
        (void)stream_->submit(next.payload, next.safe, next.urgent);
    }
}

// ---------------------------------------------------------------- the channel

void Driver::on_attached(const protocol::Attached& attached, protocol::Incarnation incarnation) {
    if (!attached.resumed) {
        submissions_.clear();  // Of the life before; the core says again what matters.
        kept_ = {};
    }
    is_ring_lost_ = false;
    log_.notice("attached to the ring", {{"NODE", attached.self.value()},
                                         {"RESUMED", attached.resumed},
                                         {"INCARNATION", incarnation.value()}});
    step(quorum::RingAttached{
        .self = attached.self, .resumed = attached.resumed, .incarnation = incarnation});
}

void Driver::on_lost(const std::string& reason) {
    if (std::exchange(is_ring_lost_, true)) return;  // One line, not one a try.
    log_.warning("no ring, trying again until there is one", {{"REASON", reason}});
}

}  // namespace quorumd
