/* Cluster control: the state of links and nodes, kill, shutdown with a vote, reload. Link with
 * -lcfg.
 *
 * Any function may be called from any thread, also from inside the callback. A child after fork()
 * gets CS_ERR_BAD_HANDLE for the handles of its parent, and may initialize its own. Without a
 * daemon each function that needs it gives CS_ERR_LIBRARY. Out-parameters are written with CS_OK
 * only. */
#ifndef COROSYNC_CFG_H_DEFINED
#define COROSYNC_CFG_H_DEFINED

#include <corosync/corotypes.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t corosync_cfg_handle_t;

typedef enum {
    COROSYNC_CFG_SHUTDOWN_FLAG_REQUEST = 0,    /* Each tracker may veto. */
    COROSYNC_CFG_SHUTDOWN_FLAG_REGARDLESS = 1, /* Trackers are told and may not. */
    COROSYNC_CFG_SHUTDOWN_FLAG_IMMEDIATE = 2   /* Nobody is told. */
} corosync_cfg_shutdown_flags_t;

typedef enum {
    COROSYNC_CFG_SHUTDOWN_FLAG_NO = 0,
    COROSYNC_CFG_SHUTDOWN_FLAG_YES = 1
} corosync_cfg_shutdown_reply_flags_t;

/* The node is to be shut down. For a REQUEST corosync_cfg_replyto_shutdown is due. */
typedef void (*corosync_cfg_shutdown_callback_t)(corosync_cfg_handle_t cfg_handle,
                                                 corosync_cfg_shutdown_flags_t flags);

typedef struct {
    corosync_cfg_shutdown_callback_t corosync_cfg_shutdown_callback;
} corosync_cfg_callbacks_t;

typedef struct {
    int address_length;
    char address[sizeof(struct sockaddr_in6)]; /* A sockaddr_in or sockaddr_in6. */
} corosync_cfg_node_address_t;

#define CFG_MAX_HOST_LEN 256
#define CFG_MAX_LINKS 8

typedef enum { CFG_NODE_STATUS_V1 = 1 } corosync_cfg_node_status_version_t;

struct corosync_knet_link_status_v1 {
    uint8_t enabled;      /* It is configured. */
    uint8_t connected;    /* Heartbeats come through. */
    uint8_t dynconnected; /* Always 0: addresses are those of the configuration. */
    unsigned int mtu;     /* Bytes of the largest packet. */
    char src_ipaddr[CFG_MAX_HOST_LEN];
    char dst_ipaddr[CFG_MAX_HOST_LEN];
};

struct corosync_cfg_node_status_v1 {
    corosync_cfg_node_status_version_t version;
    unsigned int nodeid;
    uint8_t reachable;
    uint8_t remote;
    uint8_t external;
    uint8_t onwire_min;
    uint8_t onwire_max;
    uint8_t onwire_ver;
    struct corosync_knet_link_status_v1 link_status[CFG_MAX_LINKS];
};

/* CS_ERR_TRY_AGAIN: the daemon has not found its cluster yet; CS_ERR_ACCESS: see uidgid {} in
 * halo.conf(5). `cfg_callbacks` may be null. */
cs_error_t corosync_cfg_initialize(corosync_cfg_handle_t* cfg_handle,
                                   const corosync_cfg_callbacks_t* cfg_callbacks);
/* A descriptor that is readable exactly while corosync_cfg_dispatch has something to do. */
cs_error_t corosync_cfg_fd_get(corosync_cfg_handle_t cfg_handle, int32_t* selection_fd);
cs_error_t corosync_cfg_dispatch(corosync_cfg_handle_t cfg_handle,
                                 cs_dispatch_flags_t dispatch_flags);
cs_error_t corosync_cfg_finalize(corosync_cfg_handle_t cfg_handle);

/* Each link of this node: "0 10.0.0.1", and a character a node in the order of the node list: 'n'
 * this node, else a digit: 1 the link is enabled, 3 it is connected, too. The caller frees each
 * text and both arrays. */
cs_error_t corosync_cfg_ring_status_get(corosync_cfg_handle_t cfg_handle, char*** interface_names,
                                        char*** status, unsigned int* interface_count);
/* `node_status`: a corosync_cfg_node_status_v1. CS_ERR_FAILED_OPERATION: no such node. */
cs_error_t corosync_cfg_node_status_get(corosync_cfg_handle_t cfg_handle, unsigned int nodeid,
                                        corosync_cfg_node_status_version_t version,
                                        void* node_status);

/* The node ends, wherever it is in the ring. CS_ERR_NOT_EXIST: it is not configured. */
cs_error_t corosync_cfg_kill_node(corosync_cfg_handle_t cfg_handle, unsigned int nodeid,
                                  const char* reason);

/* The callback is called from here on. */
cs_error_t corosync_cfg_trackstart(corosync_cfg_handle_t cfg_handle, uint8_t track_flags);
cs_error_t corosync_cfg_trackstop(corosync_cfg_handle_t cfg_handle);

/* Waits for the votes. CS_ERR_BUSY: vetoed; CS_ERR_EXIST: another one is being decided. */
cs_error_t corosync_cfg_try_shutdown(corosync_cfg_handle_t cfg_handle,
                                     corosync_cfg_shutdown_flags_t flags);
cs_error_t corosync_cfg_replyto_shutdown(corosync_cfg_handle_t cfg_handle,
                                         corosync_cfg_shutdown_reply_flags_t flags);

/* At most `max_addrs` addresses, one a link. `nodeid` 0: this node. */
cs_error_t corosync_cfg_get_node_addrs(corosync_cfg_handle_t cfg_handle, unsigned int nodeid,
                                       size_t max_addrs, int* num_addrs,
                                       corosync_cfg_node_address_t* addrs);
cs_error_t corosync_cfg_local_get(corosync_cfg_handle_t handle, unsigned int* local_nodeid);

/* All nodes read their configuration files, and change to them on all or on none.
 * CS_ERR_INVALID_PARAM: some node can't; cmap key config.reload_error_message names it and why.
 * CS_ERR_TRY_AGAIN: the membership changed meanwhile, or another reload is in progress. */
cs_error_t corosync_cfg_reload_config(corosync_cfg_handle_t handle);
/* On this node. */
cs_error_t corosync_cfg_reopen_log_files(corosync_cfg_handle_t handle);

#ifdef __cplusplus
}
#endif

#endif /* COROSYNC_CFG_H_DEFINED */
