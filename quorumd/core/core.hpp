// The deciding part of quorumd: votes and quorum over the ordered channel. Pure: what happens comes
// in with the time, what is to be done goes out. docs/quorum.md tells the whole.
//
// How to drive it: give each Event to step() with the time and carry out the Actions in order; wake
// up at next_deadline() and give TimePassed. is_quorate() is asked with the time of the question.
//
// A quorum device may be silent for long after a membership change, and then say yes to the other
// side. So with a device who asks is answered no from the change to the decision; who follows is
// told at the decision, or when the lease of what held before has ended.
//
// A decision is made at one point of the order from the same data at every member: in each view all
// say their State, and with the last of them (or a Skip) all decide. Changes in the view are
// messages, after which all decide again.
//
// The lease: a decision holds at a node for `lease` after the latest moment of which it knows that
// all members of the partition were reached afterwards. It knows that of a moment when it submitted
// a message that was delivered to it safe and in the regular configuration. So it counts from its
// own clock at its own submission: whatever delays the message on its way, in any process, makes
// the lease shorter. Members renew together, see Core::apply of a Renewal.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/instant.hpp"
#include "quorumd/core/events.hpp"
#include "quorumd/core/status.hpp"

namespace quorum {

class Core {
  public:
    // `life`: no other life on this node has the same. `durable`: the last Store, or nothing.
    Core(const Config& config, std::uint64_t life, const base::Buffer& durable = {});

    void step(base::Instant now, const Event& event, std::vector<Action>& actions);
    [[nodiscard]] std::optional<base::Instant> next_deadline() const;

    // Whether this node may act, at the time of the question.
    [[nodiscard]] bool is_quorate(base::Instant now) const;
    // Whether what was decided last says so, and its lease lasts: what followers were told.
    [[nodiscard]] bool holds(base::Instant now) const;
    [[nodiscard]] bool is_serving() const { return is_serving_; }
    [[nodiscard]] Status status(base::Instant now) const;

    // What the device may do now. Asked before the event.
    [[nodiscard]] Outcome may_register() const;
    [[nodiscard]] const std::string& device_name() const { return device_name_; }
    [[nodiscard]] ViewId view() const { return view_id(); }

    [[nodiscard]] protocol::Cursor applied() const { return applied_; }
    [[nodiscard]] protocol::Incarnation incarnation() const { return incarnation_; }
    // Only between exchanges: while one runs, take it later. Else it aborts.
    [[nodiscard]] bool can_snapshot() const { return !exchange_ && applied_ > protocol::Cursor{}; }
    [[nodiscard]] base::Buffer snapshot() const;
    static base::Expected<Core, protocol::FrameError> restore(const Config& config,
                                                              const base::Buffer& snapshot,
                                                              std::uint64_t life);

  private:
    struct Context {
        base::Instant now{};
        std::vector<Action>& actions;
    };
    // The start of a view, until it is decided.
    struct Exchange {
        std::map<base::NodeId, State> said;
        base::Instant skip_at{};
        bool is_merged = false;
        bool is_new_ring = false;            // Nothing was decided in this ring.
        std::optional<base::Instant> proof;  // As proof_, for the partition to be decided on.
    };
    struct Outstanding {
        std::uint64_t number = 0;
        base::Instant at{};
        std::optional<Token> token;
    };
    enum class Granted : std::uint8_t { No, Yes };

    // core.cpp
    void on(Context& context, const RingAttached& attached);
    void on(Context& context, const RingHappened& happened);
    void on(Context& context, const Request& request);
    void on(Context& context, const DeviceRegister& device);
    void on(Context& context, const DeviceUnregister& device);
    void on(Context& context, const DeviceRename& device);
    void on(Context& context, const DeviceLost& device);
    void on(Context& context, const DevicePoll& poll);
    void on(Context& context, const DeviceMasterWins& device);
    void on(Context& context, const Reconfigure& reconfigure);
    void on(Context& context, const Leave& leave);
    void on(Context& context, const TimePassed& passed);
    void watch_lease(Context& context);
    void look_at_deadlines(Context& context);
    std::uint64_t submit(Context& context, decltype(Message::what) what, bool urgent = false);
    void announce_changes(Context& context);
    void say_device(Context& context);
    [[nodiscard]] bool is_renewal_due(base::Instant now, base::Duration after) const;
    void forget_outstanding(Context& context);

    // core_view.cpp
    void on_view(Context& context, const protocol::View& view);
    void on_batch(Context& context, const protocol::Batch& batch);
    void begin_exchange(Context& context, bool is_new_ring);
    void settle(Context& context);
    void merge_states(Context& context);
    [[nodiscard]] std::vector<base::NodeId> awaited() const;
    [[nodiscard]] std::vector<base::NodeId> awaited_devices() const;
    [[nodiscard]] bool devices_decide() const;
    void prove(base::Instant at);

    // core_message.cpp: what the messages of this view do.
    void apply(Context& context, base::NodeId sender, const State& state);
    void apply(Context& context, base::NodeId sender, const Announce& announce);
    void apply(Context& context, base::NodeId sender, const Renewal& renewal);
    void apply(Context& context, base::NodeId sender, const Lower& lower);
    void apply(Context& context, base::NodeId sender, const Skip& skip);
    void apply(Context& context, base::NodeId sender, const Grant& grant);
    [[nodiscard]] Outcome change(Context& context, const SetExpected& set);
    [[nodiscard]] Outcome change(Context& context, const SetVotes& set);
    [[nodiscard]] Outcome change(Context& context, const CancelWaitForAll& cancel);
    std::optional<Outcome> dispatch(Context& context, base::NodeId sender, const Message& message);
    bool heed_configured_votes(Context& context, std::uint32_t configured);
    void applied_elsewhere(const Message& message, base::NodeId sender);

    // core_decide.cpp
    [[nodiscard]] const Options& options() const;
    [[nodiscard]] std::vector<Member> voters() const;
    [[nodiscard]] Device device() const;
    void decide(Context& context, Recount recount);
    [[nodiscard]] std::optional<base::Instant> begins_at(base::Instant now) const;
    void adopt(Context& context, const Standing& after, Granted granted = Granted::No);
    void watch_window(Context& context);
    void promise_to_lower(Context& context);
    void store_durable(Context& context);
    void load_durable(const base::Buffer& durable);
    [[nodiscard]] Standing as_claimed(base::Instant now) const;

    [[nodiscard]] ViewId view_id() const { return {view_.ring, view_.version}; }
    [[nodiscard]] bool is_in_view() const { return !view_.members.empty(); }
    // What was decided before is not what the device may decide now.
    [[nodiscard]] bool is_open_to_device() const {
        return exchange_ && exchange_->is_new_ring && options().device_votes > 0;
    }
    [[nodiscard]] bool is_decided() const { return is_in_view() && !exchange_; }
    [[nodiscard]] bool waits_for_all() const;
    [[nodiscard]] Reason reason(base::Instant now) const;

    Config config_;
    std::uint64_t life_ = 0;
    base::NodeId self_{};
    protocol::Incarnation incarnation_{};
    protocol::Cursor applied_{};
    bool is_attached_ = false;
    bool is_serving_ = false;
    bool is_restored_ = false;  // And has not come back to its place on the channel yet.

    Announcement own_{};
    std::string device_name_;
    std::optional<base::Instant> device_deadline_;

    protocol::View view_;                        // No members: none.
    bool is_transitional_ = false;               // What comes was ordered in the old ring.
    std::map<base::NodeId, Announcement> said_;  // All that were seen.
    std::set<base::NodeId> skipped_;             // Of the view, and not heard yet.
    std::optional<Exchange> exchange_;
    Standing standing_{};  // As decided last.
    // When somebody was last left behind who may have a lease; or our start.
    std::optional<base::Instant> others_left_at_;
    bool claims_ = false;                 // Decided quorate, and granted.
    std::optional<base::Instant> proof_;  // The lease counts from here.
    bool was_quorate_ = false;            // As told by the last QuorumChanged.
    std::optional<base::Instant> grant_at_;
    std::optional<base::Instant> lower_at_;

    std::uint64_t last_number_ = 0;
    std::deque<Outstanding> outstanding_;  // Submitted, not seen in the order yet.
    std::optional<base::Instant> last_submission_;
    std::optional<std::uint64_t> announcement_;  // The number of the last Announce under way.
    bool is_lower_sent_ = false;
    bool has_promised_ = false;        // Sent Lower, which may have taken effect elsewhere.
    std::set<base::NodeId> promised_;  // Who sent it in this view.
    bool is_grant_sent_ = false;
    bool is_skip_sent_ = false;
    std::uint32_t tracked_votes_ = 0;  // The most that were ever expected.
    base::Buffer stored_;              // The last Store.
    Counters counters_;
};

}  // namespace quorum
