#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {
namespace {

// Where the libraries with Corosync's names are: HALO_LIBRARIES of the build, or beside a haloctl
// in a build folder.
std::string library_folder() {
    std::error_code failure;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", failure);
    const auto built = self.parent_path().parent_path() / "lib";
    if (!failure && ::access((built / "libcpg.so.4").c_str(), F_OK) == 0) return built.string();
    return HALO_LIBRARIES;
}

int run(const std::string& folder, const std::vector<std::string>& command) {
    if (::access((folder + "/libcpg.so.4").c_str(), F_OK) != 0) {
        std::fprintf(stderr, "haloctl run: no libraries in %s (package libhalo-corosync)\n",
                     folder.c_str());
        return kFailed;
    }
    const char* before = std::getenv("LD_LIBRARY_PATH");
    const std::string path = before == nullptr || *before == '\0' ? folder : folder + ":" + before;
    if (::setenv("LD_LIBRARY_PATH", path.c_str(), 1) != 0) return kFailed;
    std::vector<char*> arguments;
    for (const std::string& argument : command) {
        arguments.push_back(const_cast<char*>(argument.c_str()));  // execvp changes nothing.
    }
    arguments.push_back(nullptr);
    ::execvp(arguments[0], arguments.data());
    std::fprintf(stderr, "haloctl run: %s: %s\n", arguments[0], std::strerror(errno));
    return kFailed;
}

}  // namespace

void add_run(CLI::App& app, Context& context) {
    struct Options {
        std::string folder = library_folder();
        std::vector<std::string> command;
    };
    const auto options = std::make_shared<Options>();
    CLI::App* command = app.add_subcommand(
        "run", "run a program that was built for Corosync with Halo's libraries");
    command->add_option("--libraries", options->folder, "their folder")->capture_default_str();
    command->add_option("COMMAND", options->command, "the program and its arguments, after --")
        ->required();
    command->positionals_at_end();
    command->callback(
        [options, &context] { context.exit_code = run(options->folder, options->command); });
}

}  // namespace haloctl
