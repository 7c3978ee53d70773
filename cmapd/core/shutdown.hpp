// May this node be shut down? Programs that track it are asked first. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <variant>
#include <vector>

#include "common/base/ids.hpp"
#include "common/base/strong.hpp"
#include "common/protocol/cfg_api.hpp"

namespace cmapd {

// A client's session, as session::Server numbers them.
using ClientId = base::Strong<struct ClientIdTag, std::uint64_t>;
using protocol::cfg::ShutdownKind;

struct AskTracker {
    ClientId tracker{};
    ShutdownKind kind = ShutdownKind::Request;
};
enum class ShutdownOutcome : std::uint8_t {
    Goes,       // The node ends now.
    Vetoed,     // Somebody said no, or did not answer in time.
    InProgress  // Another one is being decided.
};
struct AnswerShutdown {
    ClientId to{};
    ShutdownOutcome outcome = ShutdownOutcome::Goes;
};
struct EndNode {};
using ShutdownAction = std::variant<AskTracker, AnswerShutdown, EndNode>;
using ShutdownActions = std::vector<ShutdownAction>;

class Shutdown {
  public:
    // False: it does so already.
    bool start_tracking(ClientId client);
    void stop_tracking(ClientId client, ShutdownActions& actions);

    void request(ClientId from, ShutdownKind kind, ShutdownActions& actions);
    // What a tracker says. Without a question it means nothing.
    void answer(ClientId tracker, bool agrees, ShutdownActions& actions);
    // The client is gone: as a tracker it has nothing against it any more.
    void gone(ClientId client, ShutdownActions& actions);
    // Nobody waits for ever (cfg.shutdown_timeout): who did not answer vetoes.
    void time_out(ShutdownActions& actions);

    // A question is out.
    [[nodiscard]] bool is_undecided() const { return asked_.has_value(); }
    [[nodiscard]] const std::set<ClientId>& trackers() const { return trackers_; }

  private:
    struct Asked {
        ClientId from{};
        std::set<ClientId> waiting;
    };
    void decide(bool goes, ShutdownActions& actions);

    std::set<ClientId> trackers_;
    std::optional<Asked> asked_;
};

}  // namespace cmapd
