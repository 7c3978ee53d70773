// A client of cmapd: what libcmap and libhalo both stand on. It knows requests, answers and
// trackers; what a program sees of them is the libraries' business.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/protocol/cmap_api.hpp"
#include "libclient/src/service/session.hpp"

namespace client {

// For several threads, as ServiceSession. Trackers go on when cmapd has been restarted: each change
// is told once.
class CmapClient {
  public:
    using Map = protocol::cmap::Map;
    using Value = protocol::cmap::Value;
    using TrackId = protocol::cmap::TrackId;

    struct Options {
        Map map = Map::Icmap;
        std::chrono::milliseconds resume{0};
    };
    static CsResult<std::unique_ptr<CmapClient>> open(const Options& options);

    [[nodiscard]] ServiceSession& session() { return *session_; }
    [[nodiscard]] Map map() const { return map_; }

    // How a key of the cluster is read. Cluster: with all that was answered on any node before;
    // CS_ERR_TRY_AGAIN where the cluster can't be asked. Own: as this node has it, at once.
    // Compatible: Cluster, and Own where the partition is not quorate, so that programs which know
    // Corosync alone see there what they can.
    enum class Read : std::uint8_t { Cluster, Own, Compatible };
    CsResult<Value> get(const std::string& key, Read read, std::string* why = nullptr);
    // `why`, when given, is what the daemon says about a refusal.
    cs_error_t set(const std::string& key, Value value, std::string* why = nullptr);
    cs_error_t erase(const std::string& key, std::string* why = nullptr);
    cs_error_t step(const std::string& key, std::int32_t by, std::string* why = nullptr);
    CsResult<protocol::cmap::Next> next(const std::string& prefix, const std::string& after);
    CsResult<protocol::cmap::Listed> list(const std::string& prefix, const std::string& after,
                                          Read read, std::string* why = nullptr);
    // CS_ERR_EXIST: the condition `failed` did not hold.
    cs_error_t transact(protocol::cmap::Transaction transaction, std::uint32_t& failed,
                        std::string* why = nullptr);

    // From now on; events may come before it returns.
    cs_error_t track(TrackId track, std::string key, bool prefix, std::uint8_t events);
    cs_error_t untrack(TrackId track);

    // The next change; nothing in it: the session goes on with a daemon that came back.
    cs_error_t next_change(std::optional<protocol::cmap::Changed>& change, Wait wait);

  private:
    // What has to be said again, and from where.
    struct Tracked {
        protocol::cmap::TrackAdd request;
        bool is_confirmed = false;
    };

    explicit CmapClient(Map map) : map_(map) {}
    CsResult<protocol::cmap::Answer> ask(const protocol::cmap::Request& request,
                                         std::string* why = nullptr);
    template <class Wanted>
    CsResult<Wanted> ask_for(const protocol::cmap::Request& request, std::string* why = nullptr);
    cs_error_t change(const protocol::cmap::Request& request, std::string* why);
    std::vector<base::Buffer> subscriptions();

    const Map map_;
    std::mutex tracks_mutex_;
    std::map<TrackId, Tracked> tracks_;
    protocol::cmap::Revision taken_{};  // Of the last change that was taken.

    std::unique_ptr<ServiceSession> session_;  // Last: its threads use what is above.
};

}  // namespace client
