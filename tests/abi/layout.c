/* Sizes, offsets and constants of the C interface, checked where the compiler sees them and
 * printed. Compiled from our headers and, where they are installed, from Corosync's: the two must
 * agree. */
#include <corosync/cfg.h>
#include <corosync/cmap.h>
#include <corosync/corodefs.h>
#include <corosync/corotypes.h>
#include <corosync/cpg.h>
#include <corosync/quorum.h>
#include <corosync/sam.h>
#include <corosync/votequorum.h>
#include <stddef.h>
#include <stdio.h>

#define RECORD(type, bytes, alignment)                         \
    _Static_assert(sizeof(type) == (bytes), "size of " #type); \
    _Static_assert(_Alignof(type) == (alignment), "alignment of " #type)
#define MEMBER(type, member, offset, bytes)                                             \
    _Static_assert(offsetof(type, member) == (offset), "offset of " #type "." #member); \
    _Static_assert(sizeof(((type*)0)->member) == (bytes), "size of " #type "." #member)
#define CONSTANT(name, value) _Static_assert((name) == (value), #name)

RECORD(cs_error_t, 4, 4);
RECORD(cs_dispatch_flags_t, 4, 4);
RECORD(cs_time_t, 8, 8);
RECORD(cs_name_t, 258, 2);
MEMBER(cs_name_t, length, 0, 2);
MEMBER(cs_name_t, value, 2, 256);
RECORD(cs_version_t, 3, 1);
MEMBER(cs_version_t, releaseCode, 0, 1);
MEMBER(cs_version_t, majorVersion, 1, 1);
MEMBER(cs_version_t, minorVersion, 2, 1);

RECORD(quorum_handle_t, 8, 8);
RECORD(quorum_model_t, 4, 4);
RECORD(struct quorum_ring_id, 16, 8);
MEMBER(struct quorum_ring_id, nodeid, 0, 4);
MEMBER(struct quorum_ring_id, seq, 8, 8);
RECORD(quorum_callbacks_t, 8, 8);
RECORD(quorum_model_data_t, 4, 4);
RECORD(quorum_model_v0_data_t, 16, 8);
MEMBER(quorum_model_v0_data_t, quorum_notify_fn, 8, 8);
RECORD(quorum_model_v1_data_t, 24, 8);
MEMBER(quorum_model_v1_data_t, quorum_notify_fn, 8, 8);
MEMBER(quorum_model_v1_data_t, nodelist_notify_fn, 16, 8);
CONSTANT(QUORUM_MODEL_V0, 0);
CONSTANT(QUORUM_MODEL_V1, 1);
CONSTANT(QUORUM_FREE, 0);
CONSTANT(QUORUM_SET, 1);
RECORD(votequorum_handle_t, 8, 8);
RECORD(struct votequorum_info, 292, 4);
MEMBER(struct votequorum_info, node_id, 0, 4);
MEMBER(struct votequorum_info, node_state, 4, 4);
MEMBER(struct votequorum_info, node_votes, 8, 4);
MEMBER(struct votequorum_info, node_expected_votes, 12, 4);
MEMBER(struct votequorum_info, highest_expected, 16, 4);
MEMBER(struct votequorum_info, total_votes, 20, 4);
MEMBER(struct votequorum_info, quorum, 24, 4);
MEMBER(struct votequorum_info, flags, 28, 4);
MEMBER(struct votequorum_info, qdevice_votes, 32, 4);
MEMBER(struct votequorum_info, qdevice_name, 36, 255);
RECORD(votequorum_node_t, 8, 4);
RECORD(votequorum_ring_id_t, 16, 8);
MEMBER(votequorum_ring_id_t, seq, 8, 8);
RECORD(votequorum_callbacks_t, 24, 8);
MEMBER(votequorum_callbacks_t, votequorum_quorum_notify_fn, 0, 8);
MEMBER(votequorum_callbacks_t, votequorum_expectedvotes_notify_fn, 8, 8);
MEMBER(votequorum_callbacks_t, votequorum_nodelist_notify_fn, 16, 8);
CONSTANT(VOTEQUORUM_INFO_TWONODE, 1);
CONSTANT(VOTEQUORUM_INFO_QUORATE, 2);
CONSTANT(VOTEQUORUM_INFO_WAIT_FOR_ALL, 4);
CONSTANT(VOTEQUORUM_INFO_LAST_MAN_STANDING, 8);
CONSTANT(VOTEQUORUM_INFO_AUTO_TIE_BREAKER, 16);
CONSTANT(VOTEQUORUM_INFO_ALLOW_DOWNSCALE, 32);
CONSTANT(VOTEQUORUM_INFO_QDEVICE_REGISTERED, 64);
CONSTANT(VOTEQUORUM_INFO_QDEVICE_ALIVE, 128);
CONSTANT(VOTEQUORUM_INFO_QDEVICE_CAST_VOTE, 256);
CONSTANT(VOTEQUORUM_INFO_QDEVICE_MASTER_WINS, 512);
CONSTANT(VOTEQUORUM_QDEVICE_NODEID, 0);
CONSTANT(VOTEQUORUM_QDEVICE_MAX_NAME_LEN, 255);
CONSTANT(VOTEQUORUM_QDEVICE_DEFAULT_TIMEOUT, 10000);
CONSTANT(VOTEQUORUM_QDEVICE_DEFAULT_SYNC_TIMEOUT, 30000);
CONSTANT(VOTEQUORUM_NODESTATE_MEMBER, 1);
CONSTANT(VOTEQUORUM_NODESTATE_DEAD, 2);
CONSTANT(VOTEQUORUM_NODESTATE_LEAVING, 3);
RECORD(cmap_handle_t, 8, 8);
RECORD(cmap_iter_handle_t, 8, 8);
RECORD(cmap_track_handle_t, 8, 8);
RECORD(cmap_value_types_t, 4, 4);
RECORD(cmap_map_t, 4, 4);
RECORD(struct cmap_notify_value, 24, 8);
MEMBER(struct cmap_notify_value, type, 0, 4);
MEMBER(struct cmap_notify_value, len, 8, 8);
MEMBER(struct cmap_notify_value, data, 16, 8);
CONSTANT(CMAP_KEYNAME_MAXLEN, 255);
CONSTANT(CMAP_KEYNAME_MINLEN, 3);
CONSTANT(CMAP_TRACK_ADD, 4);
CONSTANT(CMAP_TRACK_DELETE, 1);
CONSTANT(CMAP_TRACK_MODIFY, 2);
CONSTANT(CMAP_TRACK_PREFIX, 8);
CONSTANT(CMAP_VALUETYPE_INT8, 1);
CONSTANT(CMAP_VALUETYPE_UINT8, 2);
CONSTANT(CMAP_VALUETYPE_INT16, 3);
CONSTANT(CMAP_VALUETYPE_UINT16, 4);
CONSTANT(CMAP_VALUETYPE_INT32, 5);
CONSTANT(CMAP_VALUETYPE_UINT32, 6);
CONSTANT(CMAP_VALUETYPE_INT64, 7);
CONSTANT(CMAP_VALUETYPE_UINT64, 8);
CONSTANT(CMAP_VALUETYPE_FLOAT, 9);
CONSTANT(CMAP_VALUETYPE_DOUBLE, 10);
CONSTANT(CMAP_VALUETYPE_STRING, 11);
CONSTANT(CMAP_VALUETYPE_BINARY, 12);
CONSTANT(CMAP_MAP_DEFAULT, 0);
CONSTANT(CMAP_MAP_ICMAP, 0);
CONSTANT(CMAP_MAP_STATS, 1);

RECORD(cpg_handle_t, 8, 8);
RECORD(cpg_iteration_handle_t, 8, 8);
RECORD(cpg_guarantee_t, 4, 4);
RECORD(cpg_flow_control_state_t, 4, 4);
RECORD(cpg_reason_t, 4, 4);
RECORD(cpg_iteration_type_t, 4, 4);
RECORD(cpg_model_t, 4, 4);
RECORD(struct cpg_address, 12, 4);
MEMBER(struct cpg_address, nodeid, 0, 4);
MEMBER(struct cpg_address, pid, 4, 4);
MEMBER(struct cpg_address, reason, 8, 4);
RECORD(struct cpg_name, 132, 4);
MEMBER(struct cpg_name, length, 0, 4);
MEMBER(struct cpg_name, value, 4, 128);
RECORD(struct cpg_iteration_description_t, 140, 4);
MEMBER(struct cpg_iteration_description_t, group, 0, 132);
MEMBER(struct cpg_iteration_description_t, nodeid, 132, 4);
MEMBER(struct cpg_iteration_description_t, pid, 136, 4);
RECORD(struct cpg_ring_id, 16, 8);
MEMBER(struct cpg_ring_id, nodeid, 0, 4);
MEMBER(struct cpg_ring_id, seq, 8, 8);
RECORD(cpg_callbacks_t, 16, 8);
MEMBER(cpg_callbacks_t, cpg_deliver_fn, 0, 8);
MEMBER(cpg_callbacks_t, cpg_confchg_fn, 8, 8);
RECORD(cpg_model_data_t, 4, 4);
RECORD(cpg_model_v1_data_t, 40, 8);
MEMBER(cpg_model_v1_data_t, model, 0, 4);
MEMBER(cpg_model_v1_data_t, cpg_deliver_fn, 8, 8);
MEMBER(cpg_model_v1_data_t, cpg_confchg_fn, 16, 8);
MEMBER(cpg_model_v1_data_t, cpg_totem_confchg_fn, 24, 8);
MEMBER(cpg_model_v1_data_t, flags, 32, 4);

CONSTANT(CS_DISPATCH_ONE, 1);
CONSTANT(CS_DISPATCH_ALL, 2);
CONSTANT(CS_DISPATCH_BLOCKING, 3);
CONSTANT(CS_DISPATCH_ONE_NONBLOCKING, 4);
CONSTANT(CS_MAX_NAME_LENGTH, 256);
CONSTANT(CS_TRACK_CURRENT, 1);
CONSTANT(CS_TRACK_CHANGES, 2);
CONSTANT(CS_TRACK_CHANGES_ONLY, 4);
CONSTANT(CS_IPC_TIMEOUT_MS, -1);
CONSTANT(CS_FALSE, 0);
CONSTANT(CS_TRUE, 1);
CONSTANT(CS_TIME_END, 9223372036854775807);
CONSTANT(CPG_MAX_NAME_LENGTH, 128);
CONSTANT(CPG_MEMBERS_MAX, 128);
CONSTANT(CPG_MODEL_V1, 1);
CONSTANT(CPG_MODEL_V1_DELIVER_INITIAL_TOTEM_CONF, 1);
CONSTANT(CPG_TYPE_UNORDERED, 0);
CONSTANT(CPG_TYPE_FIFO, 1);
CONSTANT(CPG_TYPE_AGREED, 2);
CONSTANT(CPG_TYPE_SAFE, 3);
CONSTANT(CPG_FLOW_CONTROL_DISABLED, 0);
CONSTANT(CPG_FLOW_CONTROL_ENABLED, 1);
CONSTANT(CPG_REASON_UNDEFINED, 0);
CONSTANT(CPG_REASON_JOIN, 1);
CONSTANT(CPG_REASON_LEAVE, 2);
CONSTANT(CPG_REASON_NODEDOWN, 3);
CONSTANT(CPG_REASON_NODEUP, 4);
CONSTANT(CPG_REASON_PROCDOWN, 5);
CONSTANT(CPG_ITERATION_NAME_ONLY, 1);
CONSTANT(CPG_ITERATION_ONE_GROUP, 2);
CONSTANT(CPG_ITERATION_ALL, 3);
CONSTANT(PROCESSOR_COUNT_MAX, 384);
CONSTANT(TOTEMIP_ADDRLEN, 16);
CONSTANT(CPG_SERVICE, 2);
CONSTANT(WD_SERVICE, 7);

RECORD(corosync_cfg_handle_t, 8, 8);
RECORD(corosync_cfg_shutdown_flags_t, 4, 4);
RECORD(corosync_cfg_shutdown_reply_flags_t, 4, 4);
RECORD(corosync_cfg_node_status_version_t, 4, 4);
RECORD(corosync_cfg_callbacks_t, 8, 8);
MEMBER(corosync_cfg_callbacks_t, corosync_cfg_shutdown_callback, 0, 8);
RECORD(corosync_cfg_node_address_t, 32, 4);
MEMBER(corosync_cfg_node_address_t, address_length, 0, 4);
MEMBER(corosync_cfg_node_address_t, address, 4, 28);
RECORD(struct corosync_knet_link_status_v1, 520, 4);
MEMBER(struct corosync_knet_link_status_v1, enabled, 0, 1);
MEMBER(struct corosync_knet_link_status_v1, connected, 1, 1);
MEMBER(struct corosync_knet_link_status_v1, dynconnected, 2, 1);
MEMBER(struct corosync_knet_link_status_v1, mtu, 4, 4);
MEMBER(struct corosync_knet_link_status_v1, src_ipaddr, 8, 256);
MEMBER(struct corosync_knet_link_status_v1, dst_ipaddr, 264, 256);
RECORD(struct corosync_cfg_node_status_v1, 4176, 4);
MEMBER(struct corosync_cfg_node_status_v1, version, 0, 4);
MEMBER(struct corosync_cfg_node_status_v1, nodeid, 4, 4);
MEMBER(struct corosync_cfg_node_status_v1, reachable, 8, 1);
MEMBER(struct corosync_cfg_node_status_v1, remote, 9, 1);
MEMBER(struct corosync_cfg_node_status_v1, external, 10, 1);
MEMBER(struct corosync_cfg_node_status_v1, onwire_min, 11, 1);
MEMBER(struct corosync_cfg_node_status_v1, onwire_max, 12, 1);
MEMBER(struct corosync_cfg_node_status_v1, onwire_ver, 13, 1);
MEMBER(struct corosync_cfg_node_status_v1, link_status, 16, 4160);
CONSTANT(CFG_MAX_HOST_LEN, 256);
CONSTANT(CFG_MAX_LINKS, 8);
CONSTANT(COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST, 0);
CONSTANT(COROSYNC_CFG_SHUTDOWN_FLAG_REGARDLESS, 1);
CONSTANT(COROSYNC_CFG_SHUTDOWN_FLAG_IMMEDIATE, 2);
CONSTANT(COROSYNC_CFG_SHUTDOWN_FLAG_NO, 0);
CONSTANT(COROSYNC_CFG_SHUTDOWN_FLAG_YES, 1);
CONSTANT(CFG_NODE_STATUS_V1, 1);

/* Functions with the types that programs call them by. */
static cs_error_t (*const cfg_initialize)(corosync_cfg_handle_t*, const corosync_cfg_callbacks_t*) =
    corosync_cfg_initialize;
static cs_error_t (*const cfg_fd)(corosync_cfg_handle_t, int32_t*) = corosync_cfg_fd_get;
static cs_error_t (*const cfg_ring)(corosync_cfg_handle_t, char***, char***,
                                    unsigned int*) = corosync_cfg_ring_status_get;
static cs_error_t (*const cfg_node)(corosync_cfg_handle_t, unsigned int,
                                    corosync_cfg_node_status_version_t,
                                    void*) = corosync_cfg_node_status_get;
static cs_error_t (*const cfg_kill)(corosync_cfg_handle_t, unsigned int,
                                    const char*) = corosync_cfg_kill_node;
static cs_error_t (*const cfg_addresses)(corosync_cfg_handle_t, unsigned int, size_t, int*,
                                         corosync_cfg_node_address_t*) =
    corosync_cfg_get_node_addrs;
static cs_error_t (*const cfg_track)(corosync_cfg_handle_t, uint8_t) = corosync_cfg_trackstart;
static cs_error_t (*const initialize)(cpg_handle_t*, cpg_callbacks_t*) = cpg_initialize;
static cs_error_t (*const mcast)(cpg_handle_t, cpg_guarantee_t, const struct iovec*,
                                 unsigned int) = cpg_mcast_joined;
static cs_error_t (*const membership)(cpg_handle_t, struct cpg_name*, struct cpg_address*,
                                      int*) = cpg_membership_get;
static cs_error_t (*const local)(cpg_handle_t, unsigned int*) = cpg_local_get;
static cs_error_t (*const zcb)(cpg_handle_t, size_t, void**) = cpg_zcb_alloc;
static cs_error_t (*const get)(cmap_handle_t, const char*, void*, size_t*,
                               cmap_value_types_t*) = cmap_get;
static cs_error_t (*const track)(cmap_handle_t, const char*, int32_t, cmap_notify_fn_t, void*,
                                 cmap_track_handle_t*) = cmap_track_add;
static cs_error_t (*const iterate)(cmap_handle_t, cmap_iter_handle_t, char[], size_t*,
                                   cmap_value_types_t*) = cmap_iter_next;
static cs_error_t (*const context)(cmap_handle_t, const void**) = cmap_context_get;

/* What the common library says for every number: the table that the two must share. */
RECORD(sam_recovery_policy_t, 4, 4);
CONSTANT(SAM_RECOVERY_POLICY_QUIT, 1);
CONSTANT(SAM_RECOVERY_POLICY_RESTART, 2);
CONSTANT(SAM_RECOVERY_POLICY_QUORUM, 8);
CONSTANT(SAM_RECOVERY_POLICY_QUORUM_QUIT, 9);
CONSTANT(SAM_RECOVERY_POLICY_QUORUM_RESTART, 10);
CONSTANT(SAM_RECOVERY_POLICY_CMAP, 16);
CONSTANT(SAM_RECOVERY_POLICY_CONFDB, 16);

int main(void) {
    const int found = initialize != NULL && mcast != NULL && membership != NULL && local != NULL &&
                      zcb != NULL && cfg_initialize != NULL && cfg_fd != NULL && cfg_ring != NULL &&
                      cfg_node != NULL && cfg_kill != NULL && cfg_addresses != NULL &&
                      cfg_track != NULL;
    const int found_cmap = get != NULL && track != NULL && iterate != NULL && context != NULL;
    printf("functions %d %d\n", found, found_cmap);
    for (int number = -2; number <= 110; ++number) {
        const cs_error_t error = (cs_error_t)number;
        printf("cs_strerror(%d) %s\n", number, cs_strerror(error));
    }
    for (int number = -140; number <= 3; ++number) {
        printf("from %d: %d %d\n", number, (int)qb_to_cs_error(number),
               (int)hdb_error_to_cs(number));
    }
    return 0;
}
