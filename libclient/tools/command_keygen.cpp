#include <unistd.h>

#include <cstdio>
#include <memory>

#include "common/config/key_file.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {
namespace {

struct Options {
    std::string path = "/etc/halo/authkey";
    bool replaces = false;
    bool shows = false;
};

int show(const std::string& path) {
    const auto key = config::read_key(path);
    if (!key) {
        std::fprintf(stderr, "haloctl keygen: %s\n", key.error().text().c_str());
        return key.error().code == EACCES ? kNoPermission : kConfiguration;
    }
    std::printf("%s  %s\n", key->fingerprint().c_str(), path.c_str());
    return kOk;
}

int generate(const Options& options) {
    const auto existing = options.replaces ? os::Existing::Replace : os::Existing::Keep;
    const auto key = config::generate_key(options.path, existing);
    if (!key && key.error().code == EEXIST) {
        std::fprintf(stderr,
                     "haloctl keygen: %s exists already; keep it, or replace it with --force\n",
                     options.path.c_str());
        return kFailed;
    }
    if (!key) {
        std::fprintf(stderr, "haloctl keygen: %s\n", key.error().text().c_str());
        return key.error().code == EACCES ? kNoPermission : kFailed;
    }
    std::printf(
        "Wrote %s (%zu bytes, mode 0400, fingerprint %s).\n"
        "Next: copy it to the same place on every other node, for example\n"
        "    scp -p %s root@NODE:%s\n"
        "and compare there: haloctl keygen --show -k %s\n",
        options.path.c_str(), key->bytes().size(), key->fingerprint().c_str(), options.path.c_str(),
        options.path.c_str(), options.path.c_str());
    return kOk;
}

}  // namespace

void add_keygen(CLI::App& app, Context& context) {
    const auto options = std::make_shared<Options>();
    CLI::App* command =
        app.add_subcommand("keygen", "make the secret key that all nodes of a cluster share");
    command->add_option("-k,--key-file", options->path, "file to write")->capture_default_str();
    command->add_flag("--force", options->replaces, "replace an existing key");
    command->add_flag("--show", options->shows, "print the fingerprint of an existing key");
    command->callback([options, &context] {
        context.exit_code = options->shows ? show(options->path) : generate(*options);
    });
}

}  // namespace haloctl
