// A reload of the configuration on all nodes or on none: prepare, and commit at one place of the
// order. Pure: records, views and what this node's daemons say go in; what to do comes out.
//
// The node that was asked reads its own file first, and multicasts Begin with what all nodes must
// agree about. Each member of the view reads its own file, holds it against that, has its daemons
// prepare, and multicasts Ready or Refused. The place of the order where the last Ready stands is
// where all change; the first Refused, a GiveUp, or another view is where all drop it. As all
// members see the same order, all that stay together do the same.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/result.hpp"

namespace cmapd {

// Names one reload for all nodes, for ever: `life` is the incarnation of the service that began it.
struct ReloadId {
    base::NodeId node{};
    std::uint64_t life = 0;
    std::uint64_t number = 0;

    friend auto operator<=>(const ReloadId&, const ReloadId&) = default;
};

// ---------------------------------------------------------------- what the nodes say, in order

struct ReloadBegin {
    ReloadId id{};
    std::vector<std::string> agreed;  // config::cluster_wide() of the node that began it.
};
struct ReloadReady {
    ReloadId id{};
};
struct ReloadRefused {
    ReloadId id{};  // ReloadId{}: whichever is in progress; a cmapd was restarted in its midst.
    std::string why;
};
// The one that began it waits no longer.
struct ReloadGiveUp {
    ReloadId id{};
};
using ReloadRecord = std::variant<ReloadBegin, ReloadReady, ReloadRefused, ReloadGiveUp>;

// ---------------------------------------------------------------- what is to be done

struct SubmitReload {
    ReloadRecord record;
};
// Read the file, hold it against `agreed` if that is there, let the daemons prepare; then call
// prepared(). Until then nothing else is asked but a DropReload, which makes the answer void.
struct PrepareReload {
    ReloadId id{};
    std::optional<std::vector<std::string>> agreed;
};
// What was prepared is in force from here on.
struct CommitReload {
    ReloadId id{};
};
// As if it had never been: also what is still being prepared.
struct DropReload {
    ReloadId id{};
};
enum class ReloadOutcome : std::uint8_t { Done, Refused, Busy, TimedOut };
// To who asked on this node.
struct AnswerReload {
    ReloadOutcome outcome = ReloadOutcome::Done;
    std::string why;  // Of all but Done: for people, a line each.
};
using ReloadAction =
    std::variant<SubmitReload, PrepareReload, CommitReload, DropReload, AnswerReload>;
using ReloadActions = std::vector<ReloadAction>;

class Reload {
  public:
    explicit Reload(base::NodeId self) : self_(self) {}

    // Somebody on this node wants a reload; `life` as in ReloadId. Answered once, now or later.
    void request(std::uint64_t life, ReloadActions& actions);
    // What PrepareReload came to: the node's own cluster-wide lines, or why not.
    using Prepared = base::Expected<std::vector<std::string>, std::string>;
    void prepared(const ReloadId& id, const Prepared& result, ReloadActions& actions);
    // The time that one may take is over.
    void time_out(ReloadActions& actions);

    // In the order of the channel.
    void record(base::NodeId sender, const ReloadRecord& record, ReloadActions& actions);
    // `members`: nodes with this service. `ring_members`: all nodes of the ring.
    void view(const std::vector<base::NodeId>& members,
              const std::vector<base::NodeId>& ring_members, ReloadActions& actions);

    // Somebody on this node waits for an answer.
    [[nodiscard]] bool is_asked() const { return asked_.has_value(); }
    // A reload is in progress, whoever began it.
    [[nodiscard]] bool is_in_progress() const { return current_.has_value(); }

  private:
    // What this node was asked for.
    struct Asked {
        ReloadId id{};
        bool is_sent = false;  // Begin is submitted.
    };
    // The one that all are at.
    struct Current {
        ReloadId id{};
        std::set<base::NodeId> waiting;  // Whose word is out.
    };

    void on(base::NodeId sender, const ReloadBegin& begin, ReloadActions& actions);
    void on(base::NodeId sender, const ReloadReady& ready, ReloadActions& actions);
    void on(base::NodeId sender, const ReloadRefused& refused, ReloadActions& actions);
    void on(base::NodeId sender, const ReloadGiveUp& give_up, ReloadActions& actions);
    void end(ReloadOutcome outcome, const std::string& why, ReloadActions& actions);
    void answer(const ReloadId& id, ReloadOutcome outcome, const std::string& why,
                ReloadActions& actions);
    void drop_preparation(ReloadId id, ReloadActions& actions);

    base::NodeId self_;
    std::vector<base::NodeId> members_;
    std::vector<base::NodeId> ring_members_;
    std::uint64_t number_ = 0;
    std::optional<Asked> asked_;
    std::optional<Current> current_;
    std::optional<ReloadId> preparing_;  // Asked for or done, and neither committed nor dropped.
};

}  // namespace cmapd
