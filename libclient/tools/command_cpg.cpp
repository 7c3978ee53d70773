// haloctl cpg: the groups of the cluster from the command line, by libhalo's public interface only.
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <halo/groups.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "common/os/clock.hpp"
#include "common/os/unique_fd.hpp"
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"
#include "libclient/tools/group_text.hpp"
#include "libclient/tools/halo_client.hpp"

namespace haloctl {
namespace {

struct Options {
    std::string group;
    std::string text;
    bool has_text = false;
    bool is_json = false;
    bool is_safe = false;
    std::size_t count = 0;  // Messages to watch before it ends; 0: until it is interrupted.
    double timeout_s = 10;
};

int fail(const char* what, halo::Error error) {
    std::fprintf(stderr, "haloctl cpg: %s: %s\n", what, halo::text(error));
    return exit_code_of(error);
}

enum class Woken { Event, Stop, TimeOut };

Woken wait_for_event(const halo::Groups& groups, const os::UniqueFd& stop, int timeout_ms) {
    std::array<pollfd, 2> watched{pollfd{.fd = groups.fd(), .events = POLLIN, .revents = 0},
                                  pollfd{.fd = stop.get(), .events = POLLIN, .revents = 0}};
    const int ready = ::poll(watched.data(), watched.size(), timeout_ms);
    if (watched[1].revents != 0) return Woken::Stop;
    return ready > 0 ? Woken::Event : Woken::TimeOut;
}

// A node that is just forming its ring says TryAgain: it is asked again until the time is up.
halo::Result<halo::Groups> connect(const Options& options, const os::UniqueFd& stop) {
    const auto end =
        os::now() + std::chrono::milliseconds(static_cast<long>(options.timeout_s * 1e3));
    for (;;) {
        auto groups = halo::Groups::connect();
        if (groups || groups.error() != halo::Error::TryAgain || os::now() >= end) return groups;
        pollfd watched{.fd = stop.get(), .events = POLLIN, .revents = 0};
        if (::poll(&watched, 1, 100) > 0) return groups;
    }
}

int list(const Options& options) {
    auto groups = connect(options, stop_signals());
    if (!groups) return fail("cannot reach cpgd", groups.error());
    const auto all = groups->all();
    if (!all) return fail("cannot list the groups", all.error());
    if (options.is_json) {
        nlohmann::json result = nlohmann::json::array();
        for (const halo::GroupMembers& group : *all) {
            nlohmann::json members = nlohmann::json::array();
            for (const halo::Member& member : group.members) {
                members.push_back({{"node", member.node}, {"pid", member.pid}});
            }
            result.push_back({{"group", group.name}, {"members", std::move(members)}});
        }
        using Handler = nlohmann::json::error_handler_t;
        std::printf("%s\n", result.dump(2, ' ', false, Handler::replace).c_str());
        return kOk;
    }
    for (const halo::GroupMembers& group : *all) {
        const auto name = payload_text(std::as_bytes(std::span(group.name)));
        std::printf("%s:", name.c_str());
        for (const halo::Member& member : group.members) {
            std::printf(" %s", member_text(member).c_str());
        }
        std::printf("\n");
    }
    return kOk;
}

int watch(const Options& options) {
    const os::UniqueFd stop = stop_signals();
    auto groups = connect(options, stop);
    if (!groups) return fail("cannot reach cpgd", groups.error());
    const auto group = groups->join(options.group);
    if (!group) return fail("cannot join the group", group.error());
    std::size_t messages = 0;
    while (options.count == 0 || messages < options.count) {
        if (wait_for_event(*groups, stop, -1) == Woken::Stop) break;
        const auto event = groups->next(halo::Wait::Never);
        if (!event && event.error() == halo::Error::TryAgain) continue;
        if (!event) return fail("the connection ended", event.error());
        if (std::holds_alternative<halo::Message>(*event)) ++messages;
        std::printf("%s\n", (options.is_json ? event_json(*event) : event_text(*event)).c_str());
        // Whoever reads a pipe wants each line when it happens.
        if (std::fflush(stdout) != 0) return kFailed;
    }
    const auto left = groups->leave(*group);
    return left ? kOk : fail("cannot leave the group", left.error());
}

// Sends, and waits until what was sent came back in its place in the order.
class Sender {
  public:
    Sender(const Options& options, halo::Groups& groups, halo::Group group, os::UniqueFd stop)
        : options_(options), groups_(groups), group_(group), stop_(std::move(stop)) {}

    halo::Result<void> send(const std::string& text) {
        const auto guarantee = options_.is_safe ? halo::Guarantee::Safe : halo::Guarantee::Agreed;
        begin();
        for (;;) {
            const auto sent = groups_.send(group_, std::as_bytes(std::span(text)), guarantee);
            if (sent) ++awaited_;
            if (sent || sent.error() != halo::Error::TryAgain) return sent;
            if (auto taken = take_events(); !taken) return taken;
        }
    }

    halo::Result<void> finish() {
        begin();
        while (awaited_ > 0) {
            if (auto taken = take_events(); !taken) return taken;
        }
        return {};
    }

  private:
    void begin() {
        const auto timeout = std::chrono::milliseconds(static_cast<long>(options_.timeout_s * 1e3));
        end_ = os::now() + timeout;
    }

    // Waits a little for events and takes them all. TryAgain: the time is up.
    halo::Result<void> take_events() {
        constexpr int kWaitMs = 20;
        const Woken woken = wait_for_event(groups_, stop_, kWaitMs);
        if (woken == Woken::Stop || os::now() >= end_) return tl::unexpected(halo::Error::TryAgain);
        for (;;) {
            const auto event = groups_.next(halo::Wait::Never);
            if (!event && event.error() == halo::Error::TryAgain) return {};
            if (!event) return tl::unexpected(event.error());
            const auto* message = std::get_if<halo::Message>(&*event);
            const halo::Member self{.node = groups_.node(),
                                    .pid = static_cast<std::uint32_t>(::getpid())};
            if (message != nullptr && message->sender == self && awaited_ > 0) --awaited_;
        }
    }

    const Options& options_;
    halo::Groups& groups_;
    halo::Group group_;
    os::UniqueFd stop_;
    std::size_t awaited_ = 0;  // Sent, and not yet delivered to us.
    base::Instant end_{};
};

halo::Result<void> send_all(Sender& sender, const Options& options) {
    if (options.has_text) {
        if (const auto sent = sender.send(options.text); !sent) return sent;
        return sender.finish();
    }
    for (std::string line; std::getline(std::cin, line);) {
        if (const auto sent = sender.send(line); !sent) return sent;
    }
    return sender.finish();
}

int send(const Options& options) {
    os::UniqueFd stop = stop_signals();
    auto groups = connect(options, stop);
    if (!groups) return fail("cannot reach cpgd", groups.error());
    const auto group = groups->join(options.group);
    if (!group) return fail("cannot join the group", group.error());
    Sender sender(options, *groups, *group, std::move(stop));
    if (const auto done = send_all(sender, options); !done)
        return fail("not all was sent", done.error());
    const auto left = groups->leave(*group);
    return left ? kOk : fail("cannot leave the group", left.error());
}

// libhalo finds its daemon in this folder; a command line's --run wins over the environment.
void use_run_folder(const Context& context) {
    (void)::setenv("HALO_RUN_DIR", context.run_folder.c_str(), 1);  // Fails without memory only.
}

}  // namespace

void add_cpg(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("cpg", "list, watch and send to groups");
    command->require_subcommand(1);
    const auto options = std::make_shared<Options>();
    const auto add = [&](const char* name, const char* help, int (*run)(const Options&)) {
        CLI::App* sub = command->add_subcommand(name, help);
        add_run_option(*sub, context);
        sub->add_option("--timeout", options->timeout_s, "seconds to wait for a busy node")
            ->check(CLI::Range(0.01, 3600.0))
            ->capture_default_str();
        sub->callback([options, run, &context] {
            use_run_folder(context);
            context.exit_code = run(*options);
        });
        return sub;
    };

    CLI::App* lister = add("list", "all groups and their members, as node/pid", list);
    lister->add_flag("--json", options->is_json, "for programs");

    CLI::App* watcher = add("watch", "join a group and print what happens in it", watch);
    watcher->add_option("GROUP", options->group)->required();
    watcher->add_flag("--json", options->is_json, "one JSON object a line");
    watcher->add_option("--count", options->count, "end after so many messages");

    CLI::App* sender = add("send", "send a message, or each line of standard input", send);
    sender->add_option("GROUP", options->group)->required();
    CLI::Option* text = sender->add_option("TEXT", options->text);
    text->each([options](const std::string&) { options->has_text = true; });
    sender->add_flag("--safe", options->is_safe, "delivered when all members' nodes hold it");
}

}  // namespace haloctl
