#include "libclient/tools/cluster_files.hpp"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

namespace haloctl {

int check_absent(const char* command, const ClusterFiles& files, bool may_replace) {
    if (may_replace) return kOk;
    for (const std::string& file : {files.configuration(), files.key()}) {
        if (::access(file.c_str(), F_OK) != 0) continue;
        std::fprintf(
            stderr,
            "haloctl %s: %s exists already: this host has a cluster; to give it up, replace "
            "both files with --force\n",
            command, file.c_str());
        return kFailed;
    }
    return kOk;
}

int make_folder(const char* command, const std::string& folder) {
    std::error_code failure;
    std::filesystem::create_directories(folder, failure);
    if (!failure) return kOk;
    std::fprintf(stderr, "haloctl %s: cannot make the folder %s: %s\n", command, folder.c_str(),
                 failure.message().c_str());
    return failure == std::errc::permission_denied ? kNoPermission : kFailed;
}

std::optional<config::Loaded> check_configuration(const char* command, const std::string& text,
                                                  const ClusterFiles& files, bool needs_self) {
    config::LoadOptions options;
    if (needs_self) {
        auto host = config::this_host();
        if (!host) {
            std::fprintf(stderr, "haloctl %s: %s\n", command, host.error().text().c_str());
            return std::nullopt;
        }
        options.host = std::move(*host);
    }
    auto loaded = config::load_text(text, files.configuration(), options);
    std::fputs(config::problems_text(loaded ? loaded->warnings : loaded.error()).c_str(), stderr);
    if (!loaded) return std::nullopt;
    return std::move(*loaded);
}

bool ClusterFiles::is_where_units_look() const {
    return folder == ClusterFiles{}.folder;
}

std::string start_text(const ClusterFiles& files) {
    const bool has_systemd = ::access("/run/systemd/system", F_OK) == 0;
    const std::string start = files.is_where_units_look() && has_systemd
                                  ? "    systemctl enable --now halo.service\n"
                                  : "    haloctl node -c " + files.configuration() + "\n";
    return "Start this node, and see what it says:\n" + start + "    haloctl status\n";
}

}  // namespace haloctl
