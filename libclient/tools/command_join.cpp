#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <tuple>

#include "common/config/key_file.hpp"
#include "common/os/durable_file.hpp"
#include "common/os/unique_fd.hpp"
#include "libclient/tools/cluster_files.hpp"
#include "libclient/tools/commands.hpp"

namespace haloctl {
namespace {

struct Options {
    std::string source;  // An archive, or a host for ssh.
    std::string source_folder = "/etc/halo";
    ClusterFiles files;
    bool replaces = false;
};

// A folder that only we can look into, gone with this object.
class PrivateFolder {
  public:
    explicit PrivateFolder(const std::string& beside) : path_(beside + "/.join-XXXXXX") {
        is_made_ = ::mkdtemp(path_.data()) != nullptr;
    }
    ~PrivateFolder() {
        std::error_code ignored;  // Nothing better can be done.
        if (is_made_) std::filesystem::remove_all(path_, ignored);
    }
    PrivateFolder(const PrivateFolder&) = delete;
    PrivateFolder& operator=(const PrivateFolder&) = delete;

    [[nodiscard]] bool is_made() const { return is_made_; }
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
    bool is_made_ = false;
};

// Runs a program and waits; its exit code, 127 when it can't be started.
int run(const std::vector<std::string>& arguments, int standard_output) {
    std::vector<char*> pointers;
    for (const std::string& argument : arguments) {
        pointers.push_back(const_cast<char*>(argument.c_str()));  // posix_spawn changes nothing.
    }
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    if (::posix_spawn_file_actions_init(&actions) != 0) return 127;
    (void)::posix_spawn_file_actions_adddup2(&actions, standard_output, STDOUT_FILENO);
    pid_t child = 0;
    const int failed =
        ::posix_spawnp(&child, pointers[0], &actions, nullptr, pointers.data(), environ);
    (void)::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        std::fprintf(stderr, "haloctl join: cannot run %s\n", pointers[0]);
        return 127;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// The archive of the source in `folder`; empty: it was said why there is none.
std::string fetch(const Options& options, const std::string& folder) {
    if (::access(options.source.c_str(), F_OK) == 0) return options.source;
    if (options.source.find('/') != std::string::npos || options.source.starts_with('-')) {
        std::fprintf(stderr, "haloctl join: there is no file %s\n", options.source.c_str());
        return {};
    }
    const std::string archive = folder + "/cluster.tar";
    const os::UniqueFd file(::open(archive.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!file.is_open()) {
        std::fprintf(stderr, "haloctl join: cannot write %s\n", archive.c_str());
        return {};
    }
    const int code = run({"ssh", "--", options.source, "tar", "-C", options.source_folder, "-cf",
                          "-", "halo.conf", "authkey"},
                         file.get());
    if (code == 0) return archive;
    std::fprintf(stderr,
                 "haloctl join: cannot fetch halo.conf and authkey from %s on %s (ssh ended with "
                 "%d). Is 'haloctl init' done there, and may you read the key?\n",
                 options.source_folder.c_str(), options.source.c_str(), code);
    return {};
}

std::optional<std::string> read_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return std::string(std::istreambuf_iterator<char>(file), {});
}

// Only these two, as plain files of ours, whatever else the archive has.
bool unpack(const std::string& archive, const std::string& folder) {
    const int code =
        run({"tar", "-C", folder, "-o", "-xf", archive, "halo.conf", "authkey"}, STDERR_FILENO);
    bool is_good = code == 0;
    for (const char* name : {"halo.conf", "authkey"}) {
        struct stat status {};
        const std::string path = folder + "/" + name;
        is_good = is_good && ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
                  ::chmod(path.c_str(), 0400) == 0;
    }
    if (!is_good)
        std::fprintf(stderr, "haloctl join: %s has no plain files halo.conf and authkey\n",
                     archive.c_str());
    return is_good;
}

int complain(const os::Error& error) {
    std::fprintf(stderr, "haloctl join: %s\n", error.text().c_str());
    return error.code == EACCES ? kNoPermission : kFailed;
}

int join(const Options& options) {
    if (const int failed = check_absent("join", options.files, options.replaces); failed != kOk)
        return failed;
    if (const int failed = make_folder("join", options.files.folder); failed != kOk) return failed;
    const PrivateFolder folder(options.files.folder);
    if (!folder.is_made())
        return complain(os::last_error("make a folder in " + options.files.folder).value());
    const std::string archive = fetch(options, folder.path());
    if (archive.empty() || !unpack(archive, folder.path())) return kFailed;

    const auto text = read_text(folder.path() + "/halo.conf");
    if (!text) return complain({.what = "cannot read the fetched halo.conf", .code = EIO});
    const auto loaded = check_configuration("join", *text, options.files, /*needs_self=*/true);
    if (!loaded) return kConfiguration;
    const auto key = config::read_key(folder.path() + "/authkey");
    if (!key) {
        std::fprintf(stderr, "haloctl join: %s\n", key.error().text().c_str());
        return kConfiguration;
    }
    const auto existing = options.replaces ? os::Existing::Replace : os::Existing::Keep;
    // The key first: a host with a configuration and without its key would try to start.
    for (const auto& [path, bytes, mode] :
         {std::tuple(options.files.key(), key->bytes(), mode_t{0400}),
          std::tuple(options.files.configuration(), std::as_bytes(std::span(*text)),
                     mode_t{0644})}) {
        if (const auto written = os::write_durably(path, bytes, mode, existing); !written)
            return complain(written.error());
    }
    const std::string which =
        options.files.is_where_units_look() ? "" : " --key-file " + options.files.key();
    std::printf(
        "Wrote %s and %s: this host is node %u (%s) of cluster %s. The key's fingerprint is "
        "%s: compare it with that of\n    haloctl keygen --show%s\non the other nodes.\n\n%s",
        options.files.configuration().c_str(), options.files.key().c_str(),
        loaded->cluster.self->value(), loaded->cluster.local()->name.c_str(),
        loaded->cluster.cluster_name.c_str(), key->fingerprint().c_str(), which.c_str(),
        start_text(options.files).c_str());
    return kOk;
}

}  // namespace

void add_join(CLI::App& app, Context& context) {
    const auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(
        "join",
        "get the configuration and the key from a node that has them (ssh), or from a file");
    command->add_option("SOURCE", options->source, "[USER@]HOST, or an archive with both (tar)")
        ->required();
    command->add_option("--from", options->source_folder, "folder of both files on that host")
        ->capture_default_str();
    command->add_option("--folder", options->files.folder, "where to write halo.conf and authkey")
        ->capture_default_str();
    command->add_flag("--force", options->replaces, "replace what is there");
    command->callback([options, &context] { context.exit_code = join(*options); });
}

}  // namespace haloctl
