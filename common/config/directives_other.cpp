#include <array>

#include "common/config/directive.hpp"

namespace config {
namespace {

using namespace table;  // NOLINT: the names of the table's own lines.

constexpr std::uint64_t kU32Max = std::numeric_limits<std::uint32_t>::max();
constexpr std::uint64_t kTimerMax = 3'600'000;
// What corosync-qdevice(8) accepts: heuristics_min_timeout and its kin.
constexpr std::uint64_t kHeuristicsMin = 1'000;
constexpr std::uint64_t kHeuristicsTimeoutMax = 120'000;
constexpr std::string_view kLevels =
    "lines up to the level info are written everywhere; logging.debug adds the details";
constexpr std::string_view kNoParts = "a daemon's log has no parts that are set apart";
constexpr std::string_view kNoWatchdog =
    "no daemon feeds a watchdog device; the service manager can, and watches the daemons";
constexpr std::string_view kNoMonitor =
    "there is no resource monitor; the service manager limits and monitors";
constexpr std::string_view kNoNozzle = "there is no tap device";
constexpr std::string_view kNoLoad = "there is no load generator in the daemon";
constexpr std::string_view kQdevice = "Read by the quorum device.";

constexpr auto kDirectives = std::to_array<Directive>({
    address("nodelist.node.ring0_addr", Reload::Yes, "Address of the node on link 0."),
    address("nodelist.node.ring1_addr", Reload::Yes, "Address of the node on link 1."),
    address("nodelist.node.ring2_addr", Reload::Yes, "Address of the node on link 2."),
    address("nodelist.node.ring3_addr", Reload::Yes, "Address of the node on link 3."),
    address("nodelist.node.ring4_addr", Reload::Yes, "Address of the node on link 4."),
    address("nodelist.node.ring5_addr", Reload::Yes, "Address of the node on link 5."),
    address("nodelist.node.ring6_addr", Reload::Yes, "Address of the node on link 6."),
    address("nodelist.node.ring7_addr", Reload::Yes, "Address of the node on link 7."),
    number("nodelist.node.nodeid", "", 1, kU32Max, "", Reload::No,
           "The node's number, for all time. Needed unless transport is udp or udpu with IPv4."),
    text("nodelist.node.name", "", Reload::Yes,
         "The node's name, as uname -n gives it. Needed when there are several links."),
    number("nodelist.node.quorum_votes", "1", 0, 65535, "", Reload::Yes, "Votes of the node."),

    choice("quorum.provider", "", "corosync_votequorum|corosync_ykd", Reload::No,
           "corosync_votequorum: a partition needs a majority. Without it every partition is "
           "quorate."),
    number("quorum.expected_votes", "the sum of quorum_votes", 1, 65535, "", Reload::Yes,
           "Votes of the whole cluster."),
    number("quorum.votes", "1", 0, 65535, "", Reload::Yes, "Votes of this node without nodelist."),
    on_off("quorum.two_node", "no", Reload::Yes,
           "Two nodes: one alone stays quorate. Turns wait_for_all on."),
    on_off("quorum.wait_for_all", "two_node", Reload::Start,
           "Not quorate before all nodes were seen once."),
    on_off("quorum.last_man_standing", "no", Reload::Start,
           "Lower the expected votes to those present, some time after nodes were lost."),
    number("quorum.last_man_standing_window", "10000", 1, kTimerMax, "ms", Reload::Start,
           "That time."),
    on_off("quorum.auto_tie_breaker", "no", Reload::Start,
           "Of two halves, the one with the node of auto_tie_breaker_node stays quorate."),
    text("quorum.auto_tie_breaker_node", "lowest", Reload::Start,
         "lowest, highest, or node ids in the order of preference."),
    on_off("quorum.allow_downscale", "no", Reload::Start,
           "A node that leaves cleanly lowers the expected votes."),
    on_off("quorum.expected_votes_tracking", "no", Reload::Start,
           "Remember the highest expected votes over restarts."),
    no_effect("quorum.leaving_timeout", "no version of Corosync ever used it"),
    choice("quorum.device.model", "", "net", Reload::Yes, "The kind of quorum device."),
    number("quorum.device.votes", "nodes - 1", 0, 65535, "", Reload::Yes, "Votes of the device."),
    number("quorum.device.timeout", "10000", 1, kTimerMax, "ms", Reload::Yes,
           "A device that does not vote for this long loses its votes."),
    number("quorum.device.sync_timeout", "30000", 1, kTimerMax, "ms", Reload::Yes,
           "The same while the membership changes."),
    on_off("quorum.device.master_wins", "no", Reload::Yes,
           "A partition with the device is quorate whatever its votes."),
    address("quorum.device.net.host", Reload::Yes, kQdevice),
    number("quorum.device.net.port", "5403", 1, 65535, "", Reload::Yes, kQdevice),
    choice("quorum.device.net.algorithm", "", "ffsplit|lms|test|2nodelms", Reload::Yes, kQdevice),
    choice("quorum.device.net.tls", "on", "on|off|required", Reload::Yes, kQdevice),
    text("quorum.device.net.tie_breaker", "lowest", Reload::Yes, kQdevice),
    number("quorum.device.net.connect_timeout", "0.8 x timeout", 1, kTimerMax, "ms", Reload::Yes,
           kQdevice),
    choice("quorum.device.net.force_ip_version", "0", "0|4|6", Reload::Yes, kQdevice),
    on_off("quorum.device.net.keep_active_partition_tie_breaker", "on", Reload::Yes, kQdevice),
    choice("quorum.device.heuristics.mode", "off", "off|sync|on", Reload::Yes, kQdevice),
    number("quorum.device.heuristics.timeout", "timeout / 2", kHeuristicsMin, kHeuristicsTimeoutMax,
           "ms", Reload::Yes, kQdevice),
    number("quorum.device.heuristics.sync_timeout", "sync_timeout / 2", kHeuristicsMin,
           kHeuristicsTimeoutMax, "ms", Reload::Yes, kQdevice),
    number("quorum.device.heuristics.interval", "3 x timeout", kHeuristicsMin, kTimerMax, "ms",
           Reload::Yes, kQdevice),
    text("quorum.device.heuristics.exec_*", "", Reload::Yes, kQdevice),

    on_off("logging.to_stderr", "yes", Reload::Yes, "Write the log to standard error."),
    on_off("logging.to_syslog", "yes", Reload::Yes, "Write the log to the journal."),
    on_off("logging.to_logfile", "no", Reload::Yes, "Write the log to logfile."),
    text("logging.logfile", "", Reload::Yes, "That file; opened anew on SIGHUP."),
    choice("logging.debug", "off", "on|off|trace", Reload::Yes, "Log details; trace: as on."),
    no_effect("logging.logfile_priority", kLevels),
    no_effect("logging.syslog_priority", kLevels),
    no_effect("logging.syslog_facility", "the journal tells lines apart by unit and fields"),
    no_effect("logging.timestamp", "each line has the time in microseconds"),
    no_effect("logging.fileline", "the journal has file and line of each message as fields"),
    no_effect("logging.function_name", "the journal has file and line of each message as fields"),
    no_effect("logging.blackbox", "the flight recorder is always on"),
    no_effect("logging.logger_subsys.subsys", kNoParts),
    no_effect("logging.logging_daemon.name", kNoParts),
    no_effect("logging.logging_daemon.subsys", kNoParts),
    obsolete("logging.to_file", "write to_logfile"),

    text("uidgid.uid", "", Reload::Yes, "A user, by name or number, who may use the services."),
    text("uidgid.gid", "", Reload::Yes, "A group, by name or number, whose members may."),

    on_off("system.sched_rr", "yes", Reload::No,
           "ringd may have real-time priority; halo.real_time says when."),
    no_effect("system.priority",
              "ringd needs no more than real-time priority 1 to run before all ordinary processes"),
    text("system.state_dir", "/var/lib/halo", Reload::No,
         "Folder for what must outlive a restart, absolute."),
    no_effect("system.qb_ipc_type", "local sockets are always UNIX stream sockets"),
    no_effect("system.move_to_root_cgroup", "real-time priority is given by the service manager"),
    no_effect("system.allow_knet_handle_fallback", "no privilege is needed"),
    obsolete("system.run_dir", "start the daemons with --run"),

    number("halo.heartbeat_interval", "100", 10, 10'000, "ms", Reload::Yes,
           "How often each node tells each other one on each link that it lives; members of a "
           "ring of 3 to 8 take turns, and do so in every other of these times, members of one of "
           "2 to 8 that have lifelines in 3.5 of them. Shorter: failures are seen sooner, at more "
           "packets."),
    number("halo.silence_min", "600", 50, 60'000, "ms", Reload::Yes,
           "A peer that was silent on all links for this long counts as failed; 200 ms "
           "more in a ring of 3 to 8, where it takes turns, 300 ms more in one of 2 to 8 with "
           "lifelines, and more where measured jitter asks for it."),
    number("halo.silence_max", "2000", 50, 600'000, "ms", Reload::Yes,
           "Upper bound of that, whatever was measured."),
    number("halo.probes_to_convict", "3", 1, 100, "", Reload::Yes,
           "'Port unreachable' answers in a row that say that a peer's ringd is gone."),
    number("halo.gather_timeout", "200", 30, 60'000, "ms", Reload::Yes,
           "Bound of one attempt to agree on the members."),
    number("halo.window_bytes", "524288", 16'384, 268'435'456, "bytes", Reload::Yes,
           "Packets that may be on their way on the whole ring. More: throughput on long paths; "
           "less: a slow receiver loses less."),
    number("halo.visit_bytes", "393216", 8'192, 268'435'456, "bytes", Reload::Yes,
           "What one node may send a visit of the token."),
    on_off("halo.accelerated", "yes", Reload::Yes,
           "Pass the token on before the last packets of a burst are sent."),
    number("halo.accelerated_bytes", "98304", 0, 268'435'456, "bytes", Reload::Yes,
           "How much may be sent after the token."),
    number("halo.queue_bytes_max", "4194304", 65'536, 1'073'741'824, "bytes", Reload::Yes,
           "What services may submit before they must wait."),
    number("halo.service_grace", "10000", 0, 600'000, "ms", Reload::Yes,
           "How long ringd keeps the stream of a service that is gone, until it is back."),
    number("halo.retained_bytes_max", "67108864", 1'048'576, 4'294'967'296, "bytes", Reload::Yes,
           "How much of a stream it keeps."),
    text("halo.user", "halo", Reload::Start,
         "Beginning of the names of the daemons' users: halo-ringd and so on, which haloctl node "
         "makes them when root runs it. Where there is no such user, root."),
    text("halo.group", "halo", Reload::Start, "The group that the daemons have in common."),
    on_off("halo.sandbox", "yes", Reload::Start,
           "Daemons refuse themselves the system calls that they have no need for."),
    on_off("halo.resume", "yes", Reload::Start,
           "A ringd that was killed, or ended to be started again, goes on as the same member: the "
           "ring does not notice. Off: its death is a crash, and costs nothing before."),
    on_off("halo.lifelines", "yes", Reload::Start,
           "Members of a ring keep a silent TCP connection with each other, to the port of the "
           "same number: who dies is known at once, and an idle cluster needs fewer heartbeats. "
           "What it says is a hint, and checked."),

    choice("halo.real_time", "when_late", "when_late|always", Reload::Start,
           "When ringd has real-time priority: from the moment that it runs more than 50 ms late, "
           "until it has run in time for 10 s (600 s at most, when it happens again and again); or "
           "always, which costs a third of the throughput. Never: system.sched_rr: no."),

    no_effect("resources.watchdog_device", kNoWatchdog),
    no_effect("resources.watchdog_timeout", kNoWatchdog),
    no_effect("resources.system.memory_used.max", kNoMonitor),
    no_effect("resources.system.memory_used.poll_period", kNoMonitor),
    no_effect("resources.system.memory_used.recovery", kNoMonitor),
    no_effect("resources.system.load_15min.max", kNoMonitor),
    no_effect("resources.system.load_15min.poll_period", kNoMonitor),
    no_effect("resources.system.load_15min.recovery", kNoMonitor),
    no_effect("resources.process.*", kNoMonitor),
    no_effect("nozzle.name", kNoNozzle),
    no_effect("nozzle.ipaddr", kNoNozzle),
    no_effect("nozzle.ipprefix", kNoNozzle),
    no_effect("nozzle.macaddr", kNoNozzle),
    no_effect("pload.count", kNoLoad),
    no_effect("pload.size", kNoLoad),
    obsolete("service.*", "remove the section; nothing is loaded into the daemon"),
    obsolete("aisexec.*", "remove the section; each daemon has a user of its own"),
    obsolete("amf.*", "remove the section"),
});

}  // namespace

std::span<const Directive> other_directives() {
    return kDirectives;
}

}  // namespace config
