#include <array>

#include "common/config/directive.hpp"

namespace config {
namespace {

using namespace table;  // NOLINT: the names of the table's own lines.

constexpr std::uint64_t kU32Max = std::numeric_limits<std::uint32_t>::max();
// Corosync's floor, three ticks of a 100 Hz kernel; below it a busy host loses its own timers.
constexpr std::uint64_t kTimerMin = 30;
constexpr std::uint64_t kTimerMax = 3'600'000;  // An hour: more is a slip of the unit.

constexpr std::string_view kNoRotations =
    "counts token rotations in Corosync; Halo watches each peer and link by its own heartbeat";
constexpr std::string_view kFastestLink =
    "of the working links to a node the fastest carries its traffic, the others stand by";
constexpr std::string_view kOwnHeartbeats =
    "all links are watched alike: halo.heartbeat_interval, halo.silence_min, halo.silence_max";
constexpr std::string_view kNoCompression = "packets are not compressed";

constexpr auto kDirectives = std::to_array<Directive>({
    number("totem.version", "2", 2, 2, "", Reload::No, "Version of the file's meaning; always 2."),
    text("totem.cluster_name", "", Reload::No,
         "Name of the cluster, for people and tools. Without encryption it keeps clusters of "
         "different names apart."),
    number("totem.config_version", "0", 0, std::numeric_limits<std::uint64_t>::max(), "",
           Reload::Yes, "Version of this file, raised by whoever edits it."),
    choice("totem.transport", "knet", "knet|udpu|udp|rdma|iba", Reload::No,
           "knet and udpu: unicast UDP to each node over all links of the nodelist. udp: IP "
           "multicast on link 0. rdma, or iba: InfiniBand or RoCE devices for all links that don't "
           "say otherwise (knet_transport)."),
    no_effect("totem.link_mode", kFastestLink),
    choice("totem.ip_version", "ipv6-4", "ipv4|ipv6|ipv4-6|ipv6-4", Reload::No,
           "Which addresses of a host name are used, and which first."),
    text("totem.ip_dscp", "0", Reload::No,
         "Traffic class of all packets: 0 to 63, or a name: cs0 to cs7, af11 to af43, ef."),
    no_effect("totem.netmtu", "the size of each path is found out; totem.knet_mtu fixes it"),
    on_off("totem.block_unlisted_ips", "yes", Reload::Yes,
           "Drop packets from addresses that are not in the nodelist before looking into them."),
    number("totem.nodeid", "", 1, kU32Max, "", Reload::Start,
           "Which node of the nodelist this host is, when neither its name nor its addresses say "
           "so."),
    on_off("totem.clear_node_high_bit", "no", Reload::Start,
           "Clear bit 31 of a node id that is made from an IPv4 address (transport udp, udpu)."),

    on_off("totem.secauth", "on", Reload::Yes,
           "Encrypt and authenticate all packets. off is for tests on a network that nobody else "
           "can reach."),
    choice("totem.crypto_model", "openssl", "openssl|nss|gcrypt", Reload::Yes,
           "Taken for compatibility: Halo chooses the library itself."),
    choice("totem.crypto_cipher", "aes256", "aes256|aes192|aes128|3des|chacha20|none", Reload::Yes,
           "aes256 is AES-256-GCM, chacha20 is ChaCha20-Poly1305 (faster where the CPU has no AES "
           "instructions). aes192, aes128 and 3des are taken as aes256. none, with crypto_hash "
           "none: nothing is protected."),
    choice("totem.crypto_hash", "sha256", "sha256|sha384|sha512|sha1|md5|none", Reload::Yes,
           "Taken for compatibility: the cipher authenticates too. none only together with "
           "crypto_cipher none."),
    text("totem.keyfile", "authkey beside this file", Reload::Yes,
         "File with the cluster's key, 128 to 4096 bytes, the same on all nodes; made by haloctl "
         "keygen. Readable by its owner only."),
    text("totem.key", "", Reload::Yes,
         "The key itself, 128 characters or more. It wins over keyfile. Whoever may read this "
         "file then has the key."),

    number("totem.token", "3000", kTimerMin, kTimerMax, "ms", Reload::Yes,
           "Without a token for this long the ring is formed anew. Longer: an undetected loss of "
           "the token takes longer; shorter: a busy host is taken for a lost token. A node that "
           "dies is noticed much earlier, by heartbeats: see halo {}."),
    number("totem.token_coefficient", "650", 0, kTimerMax, "ms", Reload::Yes,
           "Added to token for each node of the nodelist above two."),
    no_effect("totem.token_warning",
              "the time of the last and of the longest rotation is in the counters"),
    number("totem.token_retransmit", "", kTimerMin, kTimerMax, "ms", Reload::Yes,
           "A token that was passed on is sent again after this time without a sign of progress. "
           "Default: token / (token_retransmits_before_loss_const + 0.2), at most 50 ms."),
    number("totem.token_retransmits_before_loss_const", "4", 1, 1000, "", Reload::Yes,
           "How often a token is sent again before it counts as lost; only to compute "
           "token_retransmit."),
    no_effect("totem.hold", "an idle token is parked at its last sender and waits for nothing"),
    number("totem.join", "50", kTimerMin, kTimerMax, "ms", Reload::Yes,
           "Join messages are repeated at this interval while the ring is formed."),
    no_effect("totem.send_join", "join messages carry digests, so that many at once do no harm"),
    number("totem.consensus", "", kTimerMin, kTimerMax, "ms", Reload::Yes,
           "Default: 1.2 x token. An upper bound for the default of halo.gather_timeout, which is "
           "what counts."),
    number("totem.merge", "200", kTimerMin, kTimerMax, "ms", Reload::Yes,
           "How often a ring tells nodes that are not in it that it exists."),
    no_effect("totem.downcheck", "interface changes are told by the kernel"),
    no_effect("totem.fail_recv_const", kNoRotations),
    no_effect("totem.seqno_unchanged_const", kNoRotations),
    no_effect("totem.heartbeat_failures_allowed", "heartbeats are always on: see halo {}"),
    no_effect("totem.max_network_delay", "delay and jitter of each path are measured"),
    no_effect("totem.window_size", "counts packets; Halo's window is in bytes: halo.window_bytes"),
    no_effect("totem.max_messages", "counts packets; Halo's share a visit is halo.visit_bytes"),
    no_effect("totem.miss_count_const", kNoRotations),
    no_effect("totem.cancel_token_hold_on_retransmit",
              "an idle token is asked for whenever it is needed"),

    number("totem.knet_mtu", "0", 0, 65535, "bytes", Reload::Yes,
           "Size of the path for all links; 0: it is discovered."),
    no_effect("totem.knet_pmtud_interval", "a larger size is tried every 30 seconds"),
    no_effect("totem.knet_compression_model", kNoCompression),
    no_effect("totem.knet_compression_threshold", kNoCompression),
    no_effect("totem.knet_compression_level", kNoCompression),

    obsolete("totem.threads", "remove it; encryption needs no threads of its own"),
    obsolete("totem.vsftype", "remove it; use quorum {} for the choice of a partition"),
    obsolete("totem.rrp_mode", "use several links (ring0_addr, ring1_addr) and link_mode"),
    obsolete("totem.rrp_*", "remove it; each link is watched and comes back by itself"),

    number("totem.interface.linknumber", "0", 0, 7, "", Reload::No,
           "Which ringN_addr of the nodelist the section is about."),
    obsolete("totem.interface.ringnumber", "write linknumber"),
    number("totem.interface.mcastport", "5405 + linknumber", 1, 65535, "", Reload::Yes,
           "UDP port of the link; of an RDMA link the port of its service."),
    no_effect("totem.interface.knet_link_priority", kFastestLink),
    no_effect("totem.interface.knet_ping_interval", kOwnHeartbeats),
    no_effect("totem.interface.knet_ping_timeout", kOwnHeartbeats),
    no_effect("totem.interface.knet_ping_precision", "delay and jitter are measured for each path"),
    no_effect("totem.interface.knet_pong_count",
              "a link that was down is used again after three heartbeats"),
    choice("totem.interface.knet_transport", "", "udp|sctp|rdma", Reload::No,
           "How this link sends: udp, or rdma through the InfiniBand or RoCE device that has the "
           "node's address. Without it what totem.transport says. sctp is taken as udp."),
    no_effect("totem.interface.bindnetaddr", "the interface is that of the node's own ringN_addr"),
    address("totem.interface.mcastaddr", Reload::No,
            "Transport udp: the multicast address. Without it each packet goes to each node by "
            "unicast. An RDMA link has one made from the cluster's name."),
    no_effect("totem.interface.broadcast",
              "without mcastaddr each packet goes to each node by unicast"),
    number("totem.interface.ttl", "1", 0, 255, "", Reload::No,
           "Transport udp: how many routers a multicast packet may pass."),
    obsolete("totem.interface.member.memberaddr", "list the nodes in nodelist {}"),
});

}  // namespace

std::span<const Directive> totem_directives() {
    return kDirectives;
}

}  // namespace config
