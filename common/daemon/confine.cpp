#include "common/daemon/confine.hpp"

#include <unistd.h>

#include <cstdlib>
#include <string_view>

#include "common/daemon/sanitized.hpp"
#include "common/os/sandbox.hpp"

namespace daemon_start {
namespace {

// Tests want to see a call that a list lacks; in the field a daemon gets EPERM and goes on.
bool kills_on_foreign_call() {
    const char* asked = std::getenv("HALO_SANDBOX");
    return asked != nullptr && std::string_view(asked) == "kill";
}

}  // namespace

bool confine(Started& started, const Needs& needs) {
    if (needs.secret) os::keep_memory_private();
    // What a sanitizer does at its end is not ours to list.
    const auto entered =
        os::enter_sandbox({.has_filter = started.loaded.cluster.system.sandbox && !kIsSanitized,
                           .may_be_real_time = needs.real_time,
                           .has_network = needs.network,
                           .calls = needs.calls,
                           .kills = kills_on_foreign_call()});
    if (!entered) {
        started.log.error("cannot give up privileges", {{"ERROR", entered.error().text()}});
        return false;
    }
    for (const std::string& what : entered->degraded) {
        started.log.warning("less confined than meant, going on", {{"REASON", what}});
    }
    started.log.info("confined",
                     {{"UID", ::geteuid()}, {"GID", ::getegid()}, {"FILTER", entered->has_filter}});
    return true;
}

}  // namespace daemon_start
