// What a cpg_handle_t stands for: a session, at most one group in it, and the program's callbacks.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "corosync/cpg.h"
#include "libclient/src/cpg/session.hpp"

namespace client {

class CpgInstance {
  public:
    CpgInstance(std::unique_ptr<CpgSession> session, const cpg_model_v1_data_t& callbacks,
                void* context)
        : session_(std::move(session)), callbacks_(callbacks), context_(context) {}

    // The number under which the program knows us; set before anybody else can find us.
    void set_handle(cpg_handle_t handle) { handle_ = handle; }

    [[nodiscard]] CpgSession& session() { return *session_; }
    [[nodiscard]] void* context() const { return context_; }
    void set_context(void* context) { context_ = context; }

    cs_error_t dispatch(cs_dispatch_flags_t flags);
    cs_error_t join(const std::string& group);
    cs_error_t leave(const std::string& group);
    cs_error_t mcast(bool safe, std::span<const iovec> message);
    cs_error_t finalize();

  private:
    using GroupHandle = protocol::cpg::GroupHandle;

    void run_callback(CpgEvent& event);
    void run(const CpgEvent::Message& message, std::vector<std::byte>& bytes);
    void run(const protocol::cpg::Confchg& confchg);
    void run(const protocol::cpg::TotemConfchg& confchg);
    [[nodiscard]] cpg_name name_of(GroupHandle group);

    const std::unique_ptr<CpgSession> session_;
    const cpg_model_v1_data_t callbacks_;
    cpg_handle_t handle_ = 0;
    std::atomic<void*> context_;
    std::atomic<bool> finalized_ = false;

    std::mutex group_mutex_;
    std::optional<GroupHandle> joined_;
    // Of groups whose events may still come: joined, or left not long ago.
    std::map<GroupHandle, std::string> names_;
};

}  // namespace client
