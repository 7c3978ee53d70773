#include "common/daemon/start.hpp"

#include <malloc.h>
#include <sys/stat.h>
#include <sysexits.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "common/os/descriptor_limit.hpp"
#include "common/os/scheduling.hpp"

namespace daemon_start {
namespace {

// A daemon of systemd writes to the journal, which its standard error is connected to; else to
// standard error; and to the file, if one is configured.
logging::Destinations destinations_of(const config::Logging& logging) {
    logging::Destinations destinations = logging::default_destinations();
    destinations.journal = destinations.journal && logging.to_journal;
    destinations.to_stderr = destinations.to_stderr && logging.to_stderr;
    if (logging.file) destinations.file = *logging.file;
    return destinations;
}

// Buffers of large messages come and go all the time. Given back to the kernel each time they would
// cost a page fault a page, which is more than what is done with them.
void keep_freed_memory() {
    constexpr int kMappedBytesMin = 8 << 20;
    constexpr int kKeptBytesMax = 128 << 20;
    constexpr int kGrownBytes = 4 << 20;
    (void)::mallopt(M_MMAP_THRESHOLD, kMappedBytesMin);
    (void)::mallopt(M_TRIM_THRESHOLD, kKeptBytesMax);
    (void)::mallopt(M_TOP_PAD, kGrownBytes);
}

void say(const std::string& text) {
    (void)std::fputs(text.c_str(), stderr);
}

}  // namespace

void apply_logging(logging::Log& log, const config::Logging& logging) {
    log.redirect(destinations_of(logging));
    log.set_level(logging.debug ? logging::Level::Debug : logging::Level::Info);
    if (const auto opened = log.reopen_file(); !opened) {
        log.warning("cannot open the log file, going on without",
                    {{"ERROR", opened.error().text()}});
    }
}

std::variant<Started, Ended> start(const std::string& name, int argc, const char* const* argv) {
    keep_freed_memory();
    auto options = config::parse_daemon_options(argc, argv);
    if (!options) {
        say(name + ": " + options.error() + "\n");
        return EX_USAGE;
    }
    if (options->wants_help) {
        std::fputs(config::daemon_usage(name).c_str(), stdout);
        return EX_OK;
    }
    if (options->wants_version) {
        std::printf("%s %s\n", name.c_str(), HALO_VERSION);
        return EX_OK;
    }
    const auto host = config::this_host();
    if (!host) {
        say(name + ": " + host.error().text() + "\n");
        return EX_OSERR;
    }
    auto loaded = config::load(config::find_file(options->config_file),
                               {.node_id = options->node_id, .host = *host});
    if (!loaded) {
        say(config::problems_text(loaded.error()));
        return config::kExitConfiguration;
    }
    say(config::problems_text(loaded->warnings));
    if (options->is_test) return EX_OK;
    os::prefer_own_session();

    Started started{.daemon = name,
                    .options = std::move(*options),
                    .loaded = std::move(*loaded),
                    .log = logging::Log(name)};
    apply_logging(started.log, started.loaded.cluster.logging);
    if (const auto raised = os::raise_descriptor_limit(); !raised) {
        started.log.warning("fewer clients can connect", {{"ERROR", raised.error().text()}});
    }
    // Who starts us as another user than himself has made it for us.
    const std::string folder = started.in_run(name);
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
        started.log.warning("cannot make the run folder, a restart will be a fresh one",
                            {{"FOLDER", folder}, {"ERROR", std::strerror(errno)}});
    }
    return started;
}

}  // namespace daemon_start
