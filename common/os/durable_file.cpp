#include "common/os/durable_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>

#include "common/os/unique_fd.hpp"

namespace os {
namespace {

Result<void> write_all(int fd, std::span<const std::byte> content, const std::string& name) {
    while (!content.empty()) {
        const ssize_t written = ::write(fd, content.data(), content.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return last_error("write " + name);
        content = content.subspan(static_cast<std::size_t>(written));
    }
    return {};
}

Result<void> fill(const std::string& name, std::span<const std::byte> content, mode_t mode) {
    const UniqueFd fd(::open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.is_open()) return last_error("create " + name);
    // The mode as asked for, whatever the umask.
    if (::fchmod(fd.get(), mode) != 0) return last_error("chmod " + name);
    if (auto written = write_all(fd.get(), content, name); !written) return written;
    if (::fsync(fd.get()) != 0) return last_error("fsync " + name);
    return {};
}

Result<void> give_name(const std::string& from, const std::string& to, Existing existing) {
    if (existing == Existing::Replace) {
        if (::rename(from.c_str(), to.c_str()) != 0) return last_error("rename to " + to);
        return {};
    }
    // Unlike rename, link refuses when the name is taken.
    if (::link(from.c_str(), to.c_str()) != 0) return last_error("create " + to);
    return {};
}

Result<void> sync_folder_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
    const UniqueFd fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd.is_open()) return last_error("open " + folder);
    if (::fsync(fd.get()) != 0) return last_error("fsync " + folder);
    return {};
}

}  // namespace

Result<void> write_durably(const std::string& path, std::span<const std::byte> content, mode_t mode,
                           Existing existing) {
    // Two writers of one path never share the new file; what a killed one left is in nobody's way.
    const std::string fresh = path + ".new." + std::to_string(::getpid());
    (void)::unlink(fresh.c_str());  // Of an earlier process with our id; usually it is not there.
    auto done = fill(fresh, content, mode);
    if (done) done = give_name(fresh, path, existing);
    // After rename the name is gone already; after link or an error it must go.
    (void)::unlink(fresh.c_str());
    if (!done) return done;
    return sync_folder_of(path);
}

}  // namespace os
