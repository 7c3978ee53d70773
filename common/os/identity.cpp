#include "common/os/identity.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace os {

std::optional<uid_t> user_id(const std::string& name) {
    const passwd* user = ::getpwnam(name.c_str());
    return user == nullptr ? std::nullopt : std::optional(user->pw_uid);
}

std::optional<gid_t> group_id(const std::string& name) {
    const ::group* group = ::getgrnam(name.c_str());
    return group == nullptr ? std::nullopt : std::optional(group->gr_gid);
}

Result<void> become(const Identity& identity) {
    // A change of user forgets the signal at the parent's death; who set it still wants it.
    int death_signal = 0;
    (void)::prctl(PR_GET_PDEATHSIG, &death_signal);  // The pointer is good: no failure.
    if (::setgroups(0, nullptr) != 0) return last_error("drop supplementary groups");
    if (::setresgid(identity.gid, identity.gid, identity.gid) != 0) return last_error("setresgid");
    if (::setresuid(identity.uid, identity.uid, identity.uid) != 0) return last_error("setresuid");
    if (identity.uid != 0 && ::setresuid(0, 0, 0) == 0)
        return base::fail(Error{.what = "could become root again"});
    if (::prctl(PR_SET_PDEATHSIG, death_signal) != 0) return last_error("PR_SET_PDEATHSIG");
    return {};
}

}  // namespace os
