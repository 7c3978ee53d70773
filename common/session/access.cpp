#include "common/session/access.hpp"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

namespace session {

bool Access::allows(const zmtp::PeerCredentials& peer) const {
    return peer.uid == 0 || peer.gid == 0 || peer.uid == own_uid || peer.gid == daemons_gid ||
           uids.contains(peer.uid) || gids.contains(peer.gid);
}

// ---------------------------------------------------------------- the file
// A line a rule: "uid 1000" or "gid 189".

bool RulesFile::allows(const zmtp::PeerCredentials& peer) {
    if (path_.empty()) return false;
    struct ::stat now {};
    if (::stat(path_.c_str(), &now) != 0) return false;
    // A new file has another inode, or at least another time.
    const bool is_same = now.st_ino == last_.st_ino && now.st_size == last_.st_size &&
                         now.st_mtim.tv_sec == last_.st_mtim.tv_sec &&
                         now.st_mtim.tv_nsec == last_.st_mtim.tv_nsec;
    if (!is_same) {
        last_ = now;
        read();
    }
    return rules_.uids.contains(peer.uid) || rules_.gids.contains(peer.gid);
}

void RulesFile::read() {
    rules_ = {};
    std::ifstream file(path_);
    std::string kind;
    std::uint32_t id = 0;
    while (file >> kind >> id) {
        if (kind == "uid") rules_.uids.insert(id);
        if (kind == "gid") rules_.gids.insert(id);
    }
}

os::Result<void> write_rules(const std::string& path, const Access& access) {
    const std::string fresh = path + ".new";
    {
        std::ofstream file(fresh, std::ios::trunc);
        for (const std::uint32_t uid : access.uids) {
            file << "uid " << uid << '\n';
        }
        for (const std::uint32_t gid : access.gids) {
            file << "gid " << gid << '\n';
        }
        file.flush();
        if (!file) return os::last_error("write " + fresh);
    }
    if (::chmod(fresh.c_str(), 0644) != 0) return os::last_error("chmod " + fresh);
    if (std::rename(fresh.c_str(), path.c_str()) != 0) return os::last_error("rename to " + path);
    return {};
}

// NSpid of /proc/<pid>/status lists the numbers of a process, from our namespace to its own.
std::uint32_t member_pid(std::uint32_t kernel_pid, std::uint32_t claimed) {
    if (kernel_pid == 0 || claimed == kernel_pid) return claimed;
    std::ifstream status("/proc/" + std::to_string(kernel_pid) + "/status");
    if (!status) return claimed;
    for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("NSpid:")) continue;
        std::istringstream numbers(line.substr(6));
        for (std::uint32_t number = 0; numbers >> number;) {
            if (number == claimed) return claimed;
        }
    }
    return kernel_pid;
}

}  // namespace session
