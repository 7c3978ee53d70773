#include "ringd/transport/rdma/context_use.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "common/os/unique_fd.hpp"

namespace transport {
namespace {

struct Shared {
    unsigned uses = 0;
    bool is_removed = false;
};

std::map<const ibv_context*, Shared>& all() {
    static std::map<const ibv_context*, Shared> contexts;
    return contexts;
}

// A driver that cannot take a device from a process (rxe's, siw's) waits with its removal until the
// process has closed it, and librdmacm keeps what it opened until another device comes. So its
// descriptors get another file; the numbers stay librdmacm's.
void let_go(const ibv_context& removed) {
    const os::UniqueFd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!nothing.is_open()) return;
    (void)::dup3(nothing.get(), removed.async_fd, O_CLOEXEC);
    (void)::dup3(nothing.get(), removed.cmd_fd, O_CLOEXEC);
}

}  // namespace

ContextUse::ContextUse(ibv_context& opened) : opened_(&opened) {
    ++all()[opened_].uses;
}

ContextUse::ContextUse(ContextUse&& other) noexcept
    : opened_(std::exchange(other.opened_, nullptr)) {}

ContextUse& ContextUse::operator=(ContextUse&& other) noexcept {
    if (this != &other) {
        end();
        opened_ = std::exchange(other.opened_, nullptr);
    }
    return *this;
}

void ContextUse::set_removed() {
    if (opened_ != nullptr) all()[opened_].is_removed = true;
}

void ContextUse::end() {
    if (opened_ == nullptr) return;
    const auto at = all().find(opened_);
    if (--at->second.uses == 0) {
        if (at->second.is_removed) let_go(*opened_);
        all().erase(at);
    }
    opened_ = nullptr;
}

}  // namespace transport
