#include "quorumd/core/core.hpp"

#include <algorithm>
#include <utility>

#include "common/base/invariant.hpp"

namespace quorum {
namespace {

// Under way at once; more would only say again what these say.
constexpr std::size_t kRenewalsMax = 4;

}  // namespace

Core::Core(const Config& config, std::uint64_t life, const base::Buffer& durable)
    : config_(config), life_(life) {
    own_.votes = config.votes;
    own_.options = config.options;
    standing_.expected_votes = config.options.expected_votes;
    load_durable(durable);
}

void Core::step(base::Instant now, const Event& event, std::vector<Action>& actions) {
    Context context{.now = now, .actions = actions};
    // First of all: who was paused learns from the clock that it may not go on as before.
    watch_lease(context);
    if (!others_left_at_) others_left_at_ = now;
    std::visit([&](const auto& what) { on(context, what); }, event);
    look_at_deadlines(context);
    watch_lease(context);
}

bool Core::is_quorate(base::Instant now) const {
    return holds(now) && (config_.is_free || !is_open_to_device());
}

bool Core::holds(base::Instant now) const {
    if (config_.is_free) return true;
    return claims_ && proof_ && *proof_ <= now && now < *proof_ + config_.lease;
}

void Core::watch_lease(Context& context) {
    const bool is_now = holds(context.now);
    if (is_now == was_quorate_) return;
    was_quorate_ = is_now;
    if (!is_now) ++counters_.leases_expired;
    context.actions.emplace_back(QuorumChanged{});
}

// ---------------------------------------------------------------- the channel

void Core::on(Context& context, const RingAttached& attached) {
    is_attached_ = true;
    self_ = attached.self;
    const bool is_cold = is_restored_ && !attached.resumed;
    is_restored_ = false;
    if (attached.resumed) {
        announce_changes(context);
        return;
    }
    // The claim goes on while its lease lasts: the ring comes back in time, or it does not.
    incarnation_ = attached.incarnation;
    applied_ = {};
    view_ = {};
    exchange_.reset();
    is_transitional_ = false;
    skipped_.clear();
    grant_at_.reset();
    lower_at_.reset();
    forget_outstanding(context);
    if (!is_cold) return;
    // Both ringd and we were started: as after a boot.
    standing_.all_seen = false;
    claims_ = false;
}

void Core::on(Context& context, const RingHappened& happened) {
    const auto& [cursor, what] = happened.event;
    INVARIANT(cursor.value() == applied_.value() + 1);
    applied_ = cursor;
    if (const auto* batch = std::get_if<protocol::Batch>(&what)) {
        on_batch(context, *batch);
    } else if (const auto* view = std::get_if<protocol::View>(&what)) {
        on_view(context, *view);
    } else {
        is_transitional_ = true;
    }
}

std::uint64_t Core::submit(Context& context, decltype(Message::what) what, bool urgent) {
    const std::uint64_t number = ++last_number_;
    const Message message{
        .life = life_, .number = number, .view = view_id(), .what = std::move(what)};
    outstanding_.push_back({.number = number, .at = context.now, .token = std::nullopt});
    last_submission_ = context.now;
    context.actions.emplace_back(
        Submit{.payload = encode_message(message), .safe = true, .urgent = urgent});
    return number;
}

void Core::forget_outstanding(Context& context) {
    for (const Outstanding& sent : outstanding_) {
        if (sent.token) {
            context.actions.emplace_back(
                Answer{.token = *sent.token, .outcome = Outcome::TryAgain});
        }
    }
    outstanding_.clear();
    announcement_.reset();
}

// Says what is not said yet; one at a time, so that a device that flaps costs no more than that.
void Core::announce_changes(Context& context) {
    if (!is_attached_ || !is_decided() || announcement_) return;
    const auto said = said_.find(self_);
    if (said != said_.end() && said->second == own_) return;
    announcement_ = submit(context, Announce{.own = own_});
}

// ---------------------------------------------------------------- requests

void Core::on(Context& context, const Request& request) {
    if (!is_attached_ || !is_decided()) {
        context.actions.emplace_back(Answer{.token = request.token, .outcome = Outcome::TryAgain});
        return;
    }
    std::visit([&](const auto& what) { (void)submit(context, what); }, request.what);
    outstanding_.back().token = request.token;
}

void Core::on(Context& context, const Reconfigure& reconfigure) {
    const bool votes_changed = reconfigure.config.votes != config_.votes;
    config_ = reconfigure.config;
    own_.options = config_.options;
    // Unless an administrator set others meanwhile.
    if (votes_changed) own_.votes = config_.votes;
    announce_changes(context);
}

void Core::on(Context& context, const Leave&) {
    own_.leaving = true;
    announce_changes(context);
}

// ---------------------------------------------------------------- the device

Outcome Core::may_register() const {
    const Rules& rules = is_decided() ? options().rules : config_.options.rules;
    const bool is_excluded = rules.two_node || rules.last_man_standing || rules.allow_downscale ||
                             rules.tie_breaker.has_value();
    return is_excluded ? Outcome::NotAllowed : Outcome::Done;
}

void Core::on(Context& context, const DeviceRegister& device) {
    device_name_ = device.name;
    own_.device = {.registered = true};
    device_deadline_.reset();
    announce_changes(context);
}

void Core::on(Context& context, const DeviceUnregister&) {
    device_name_.clear();
    own_.device = {};
    device_deadline_.reset();
    announce_changes(context);
    settle(context);
}

void Core::on(Context&, const DeviceRename& device) {
    device_name_ = device.name;
}

void Core::on(Context& context, const DeviceLost&) {
    own_.device.alive = false;
    own_.device.casts = false;
    device_deadline_.reset();
    say_device(context);
}

void Core::on(Context& context, const DevicePoll& poll) {
    if (!own_.device.registered || poll.ring != view_.ring) return;
    own_.device.alive = true;
    own_.device.casts = poll.casts;
    own_.device.polled = poll.ring;
    device_deadline_ = context.now + config_.device_timeout;
    say_device(context);
}

void Core::on(Context& context, const DeviceMasterWins& device) {
    own_.device.master_wins = device.allowed;
    announce_changes(context);
}

// The exchange may be waiting for it: then it is said at once.
void Core::say_device(Context& context) {
    if (exchange_ && is_attached_ && !announcement_ && exchange_->said.contains(self_) &&
        exchange_->said.at(self_).own != own_) {
        announcement_ = submit(context, Announce{.own = own_});
    }
    announce_changes(context);
}

// ---------------------------------------------------------------- time

void Core::on(Context&, const TimePassed&) {}

void Core::look_at_deadlines(Context& context) {
    const auto passed = [&](const std::optional<base::Instant>& at) {
        return at && *at <= context.now;
    };
    if (passed(device_deadline_)) {
        device_deadline_.reset();
        ++counters_.device_timeouts;
        own_.device.alive = false;
        own_.device.casts = false;
        say_device(context);
    }
    if (!is_attached_ || !is_in_view()) return;
    if (exchange_) {
        const auto missing = awaited();
        if (!passed(exchange_->skip_at) || missing.empty() || is_skip_sent_) return;
        is_skip_sent_ = true;
        (void)submit(context, Skip{.nodes = missing}, true);
        return;
    }
    if (passed(grant_at_) && !is_grant_sent_) {
        is_grant_sent_ = true;
        (void)submit(context, Grant{}, true);
    }
    if (passed(lower_at_) && !is_lower_sent_) promise_to_lower(context);
    if (is_renewal_due(context.now, config_.renewal)) (void)submit(context, Renewal{}, true);
}

bool Core::is_renewal_due(base::Instant now, base::Duration after) const {
    if (config_.is_free || !is_attached_ || !is_decided() || is_transitional_) return false;
    if (outstanding_.size() >= kRenewalsMax) return false;
    return !last_submission_ || *last_submission_ + after <= now;
}

std::optional<base::Instant> Core::next_deadline() const {
    std::optional<base::Instant> next;
    const auto consider = [&next](const std::optional<base::Instant>& at) {
        if (at && (!next || *at < *next)) next = at;
    };
    consider(device_deadline_);
    if (was_quorate_ && !config_.is_free && proof_) consider(*proof_ + config_.lease);
    if (!is_attached_ || !is_in_view()) return next;
    if (exchange_) {
        if (!is_skip_sent_ && !awaited().empty()) consider(exchange_->skip_at);
        return next;
    }
    if (!is_grant_sent_) consider(grant_at_);
    if (!is_lower_sent_) consider(lower_at_);
    const bool may_renew =
        !config_.is_free && !is_transitional_ && outstanding_.size() < kRenewalsMax;
    if (may_renew && last_submission_) consider(*last_submission_ + config_.renewal);
    return next;
}

}  // namespace quorum
