// The clients of quorumd: sessions of libquorum and libvotequorum, who tracks what, whose device is
// registered, and whose request waits for its place in the order.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "common/protocol/quorum_api.hpp"
#include "common/session/server.hpp"
#include "quorumd/core/core.hpp"

namespace quorumd {

class Clients {
  public:
    struct Callbacks {
        std::function<void(const quorum::Event&)> step;
        // As of now.
        std::function<quorum::Status()> status;
        std::function<quorum::Outcome()> may_register;
        std::function<void(const zmtp::PeerCredentials&)> not_allowed;
    };
    Clients(os::EventLoop& loop, session::Access access, bool is_free, Callbacks callbacks);

    [[nodiscard]] session::Server& server() { return server_; }
    [[nodiscard]] const session::Server& server() const { return server_; }

    // What the core said.
    void answer(const quorum::Answer& answer);
    void tell(const quorum::MembersChanged& changed);
    void tell(const quorum::QuorumChanged& changed);
    void tell(const quorum::ExpectedVotesChanged& changed);
    // Who acts within the lease is told where it has moved. Call it at the end of a turn.
    void tell_leases();

    [[nodiscard]] std::size_t tracking() const { return tracked_.size(); }

  private:
    using SessionId = session::SessionId;
    struct Asked {
        SessionId session{};
        std::uint64_t number = 0;
    };
    struct Told {
        bool quorate = false;
        base::RingId ring{};
        std::vector<protocol::quorum::NodeAndState> nodes;

        friend bool operator==(const Told&, const Told&) = default;
    };
    struct Lease {
        bool quorate = false;
        base::RingId ring{};
        std::uint64_t until_ns = 0;

        friend bool operator==(const Lease&, const Lease&) = default;
    };

    void on_request(SessionId session, std::uint64_t number, const base::Buffer& payload);
    void on_closed(SessionId session);
    void reply(const Asked& asked, std::uint32_t error);
    void reply(const Asked& asked, const protocol::quorum::Answer& answer);

    void serve(const Asked& asked, const protocol::quorum::GetQuorate& get);
    void serve(const Asked& asked, const protocol::quorum::Track& track);
    void serve(const Asked& asked, const protocol::quorum::TrackStop& stop);
    void serve(const Asked& asked, const protocol::quorum::TrackLease& track);
    void serve(const Asked& asked, const protocol::quorum::GetInfo& get);
    void serve(const Asked& asked, const protocol::quorum::SetExpected& set);
    void serve(const Asked& asked, const protocol::quorum::SetVotes& set);
    void serve(const Asked& asked, const protocol::quorum::DeviceRegister& device);
    void serve(const Asked& asked, const protocol::quorum::DeviceUnregister& device);
    void serve(const Asked& asked, const protocol::quorum::DeviceUpdate& device);
    void serve(const Asked& asked, const protocol::quorum::DevicePoll& poll);
    void serve(const Asked& asked, const protocol::quorum::DeviceMasterWins& device);
    // 1 (OK), or why the device of that name can't be spoken for.
    [[nodiscard]] std::uint32_t device_error(const std::string& name) const;
    void submit(const Asked& asked, decltype(quorum::Request::what) what);

    [[nodiscard]] Told state() const;
    [[nodiscard]] Lease lease() const;
    void tell_lease(SessionId session, const Lease& lease);
    [[nodiscard]] std::uint64_t until_ns(const quorum::Status& status) const;
    void send(SessionId session, const protocol::quorum::Answer& event);

    bool is_free_;
    Callbacks callbacks_;
    std::map<SessionId, std::uint64_t> tracked_;  // With the context of each.
    std::set<SessionId> leased_;
    std::optional<Lease> lease_told_;
    std::optional<SessionId> device_session_;
    std::map<quorum::Token, Asked> asked_;
    std::uint64_t last_token_ = 0;
    std::optional<Told> told_;
    session::Server server_;
};

}  // namespace quorumd
