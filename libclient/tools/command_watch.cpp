// haloctl watch: groups, quorum and keys as one stream in one order, by libhalo's public interface
// only.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <halo/stream.hpp>
#include <memory>
#include <vector>

#include "common/os/clock.hpp"
#include "common/os/unique_fd.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"
#include "libclient/tools/halo_client.hpp"
#include "libclient/tools/stream_text.hpp"

namespace haloctl {
namespace {

struct Options {
    std::vector<std::string> groups;
    std::vector<std::string> keys;
    bool is_json = false;
    std::size_t count = 0;  // Events before it ends; 0: until it is interrupted.
    double timeout_s = 10;
};

int fail(const std::string& what, halo::Error error) {
    std::fprintf(stderr, "haloctl watch: %s: %s\n", what.c_str(), halo::text(error));
    return exit_code_of(error);
}

// A node that is just forming its ring says TryAgain: it is asked again until the time is up.
halo::Result<halo::Stream> connect(const Options& options, const os::UniqueFd& stop) {
    const auto end =
        os::now() + std::chrono::milliseconds(static_cast<long>(options.timeout_s * 1e3));
    for (;;) {
        auto stream = halo::Stream::connect();
        if (stream || stream.error() != halo::Error::TryAgain || os::now() >= end) return stream;
        pollfd watched{.fd = stop.get(), .events = POLLIN, .revents = 0};
        if (::poll(&watched, 1, 100) > 0) return stream;
    }
}

// False: it was stopped.
bool wait_for_event(const halo::Stream& stream, const os::UniqueFd& stop) {
    std::array<pollfd, 2> watched{pollfd{.fd = stream.fd(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = stop.get(), .events = POLLIN, .revents = 0}};
    (void)::poll(watched.data(), watched.size(), -1);  // Interrupted: it is looked again.
    return watched[1].revents == 0;
}

int watch(const Options& options) {
    const os::UniqueFd stop = stop_signals();
    auto stream = connect(options, stop);
    if (!stream) return fail("cannot reach cpgd, quorumd and cmapd", stream.error());
    for (const std::string& prefix : options.keys) {
        if (const auto watched = stream->keys().watch(prefix); !watched)
            return fail("cannot watch " + prefix, watched.error());
    }
    GroupNames groups;
    for (const std::string& name : options.groups) {
        const auto group = stream->groups().join(name);
        if (!group) return fail("cannot join " + name, group.error());
        groups.emplace(*group, name);
    }
    for (std::size_t events = 0; options.count == 0 || events < options.count;) {
        if (!wait_for_event(*stream, stop)) break;
        const auto event = stream->next(halo::Wait::Never);
        if (!event && event.error() == halo::Error::TryAgain) continue;
        if (!event) return fail("the connection ended", event.error());
        ++events;
        std::printf(
            "%s\n",
            (options.is_json ? stream_json(*event, groups) : stream_text(*event, groups)).c_str());
        // Whoever reads a pipe wants each line when it happens.
        if (std::fflush(stdout) != 0) return kFailed;
    }
    for (const auto& [group, name] : groups) {
        if (const auto left = stream->groups().leave(group); !left)
            return fail("cannot leave " + name, left.error());
    }
    return kOk;
}

}  // namespace

void add_watch(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("watch", "groups, quorum and keys in one order");
    const auto options = std::make_shared<Options>();
    add_run_option(*command, context);
    command->add_option("GROUP", options->groups, "groups to join");
    command->add_option("--keys", options->keys, "keys that begin so; may be given again");
    command->add_flag("--json", options->is_json, "one JSON object a line");
    command->add_option("--count", options->count, "end after so many events");
    command->add_option("--timeout", options->timeout_s, "seconds to wait for a busy node")
        ->check(CLI::Range(0.01, 3600.0))
        ->capture_default_str();
    command->callback([options, &context] {
        // libhalo finds its daemons in this folder. It fails without memory only.
        (void)::setenv("HALO_RUN_DIR", context.run_folder.c_str(), 1);
        context.exit_code = watch(*options);
    });
}

}  // namespace haloctl
