#include "libclient/tools/node/folders.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace node {

os::Result<void> make_folder(const std::string& path) {
    std::error_code failure;
    std::filesystem::create_directories(path, failure);
    if (failure)
        return base::fail(os::Error{.what = "create folder " + path, .code = failure.value()});
    return {};
}

os::Result<void> empty_folder(const std::string& path) {
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(path, failure)) {
        if (entry.symlink_status().type() == std::filesystem::file_type::directory) continue;
        if (!std::filesystem::remove(entry.path(), failure)) break;
    }
    if (failure)
        return base::fail(os::Error{.what = "empty the folder " + path, .code = failure.value()});
    return {};
}

os::Result<void> give_folder(const std::string& path, const os::Identity& identity) {
    struct stat status {};
    if (::lstat(path.c_str(), &status) != 0) return os::last_error("stat " + path);
    if (!S_ISDIR(status.st_mode))
        return base::fail(os::Error{.what = path + " is no folder", .code = ENOTDIR});
    if (status.st_uid != identity.uid || status.st_gid != identity.gid) {
        std::error_code failure;
        for (const auto& entry : std::filesystem::directory_iterator(path, failure)) {
            if (::lchown(entry.path().c_str(), identity.uid, identity.gid) != 0)
                return os::last_error("chown " + entry.path().string());
        }
        if (failure) return base::fail(os::Error{.what = "read " + path, .code = failure.value()});
        if (::lchown(path.c_str(), identity.uid, identity.gid) != 0)
            return os::last_error("chown " + path);
    }
    if (::chmod(path.c_str(), 0700) != 0) return os::last_error("chmod " + path);
    return {};
}

}  // namespace node
