/* Quorum: whether this node's partition of the cluster may act, and who is in it. Link with
 * -lquorum.
 *
 * Any function may be called from any thread, also from inside a callback. A child after fork()
 * gets CS_ERR_BAD_HANDLE for the handles of its parent, and may initialize its own. Without a
 * daemon each function that needs it gives CS_ERR_LIBRARY. Out-parameters are written with CS_OK
 * only. */
#ifndef COROSYNC_QUORUM_H_DEFINED
#define COROSYNC_QUORUM_H_DEFINED

#include <corosync/corotypes.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t quorum_handle_t;

/* Which callbacks a handle has. */
typedef enum { QUORUM_MODEL_V0 = 0, QUORUM_MODEL_V1 = 1 } quorum_model_t;

/* The configuration of the ring: the same as in cpg's totem callback. */
struct quorum_ring_id {
    uint32_t nodeid;
    uint64_t seq; /* Never goes back. */
};

/* Lists of nodes ascend, and are valid inside the callback. */
typedef void (*quorum_notification_fn_t)(quorum_handle_t handle, uint32_t quorate,
                                         uint64_t ring_seq, uint32_t view_list_entries,
                                         uint32_t* view_list);
/* After a change of members has been decided on, and whenever quorum is lost or found. */
typedef void (*quorum_v1_quorum_notification_fn_t)(quorum_handle_t handle, uint32_t quorate,
                                                   struct quorum_ring_id ring_id,
                                                   uint32_t member_list_entries,
                                                   const uint32_t* member_list);
/* At once when members change, before it is known whether they are quorate. */
typedef void (*quorum_v1_nodelist_notification_fn_t)(
    quorum_handle_t handle, struct quorum_ring_id ring_id, uint32_t member_list_entries,
    const uint32_t* member_list, uint32_t joined_list_entries, const uint32_t* joined_list,
    uint32_t left_list_entries, const uint32_t* left_list);

typedef struct {
    quorum_notification_fn_t quorum_notify_fn;
} quorum_callbacks_t;

typedef struct {
    quorum_model_t model;
} quorum_model_data_t;

typedef struct {
    quorum_model_t model;
    quorum_notification_fn_t quorum_notify_fn;
} quorum_model_v0_data_t;

typedef struct {
    quorum_model_t model;
    quorum_v1_quorum_notification_fn_t quorum_notify_fn;
    quorum_v1_nodelist_notification_fn_t nodelist_notify_fn;
} quorum_model_v1_data_t;

/* The type that initialize gives: without a provider in the configuration every partition is
 * quorate. */
#define QUORUM_FREE 0
#define QUORUM_SET 1

/* CS_ERR_TRY_AGAIN: the daemon has not yet decided anything since its start. CS_ERR_ACCESS: neither
 * root nor allowed by uidgid {}. */
cs_error_t quorum_initialize(quorum_handle_t* handle, quorum_callbacks_t* callbacks,
                             uint32_t* quorum_type);
/* `model_data` may be null: no callbacks. */
cs_error_t quorum_model_initialize(quorum_handle_t* handle, quorum_model_t model,
                                   quorum_model_data_t* model_data, uint32_t* quorum_type,
                                   void* context);
cs_error_t quorum_finalize(quorum_handle_t handle);

/* Readable exactly while a callback waits for quorum_dispatch. Owned by the handle. */
cs_error_t quorum_fd_get(quorum_handle_t handle, int* fd);
cs_error_t quorum_dispatch(quorum_handle_t handle, cs_dispatch_flags_t dispatch_types);

/* 1: this node may act. */
cs_error_t quorum_getquorate(quorum_handle_t handle, int* quorate);

/* CS_TRACK_CHANGES_ONLY: from the next change on; else what holds now comes first. CS_ERR_EXIST: it
 * is tracked already. */
cs_error_t quorum_trackstart(quorum_handle_t handle, unsigned int flags);
cs_error_t quorum_trackstop(quorum_handle_t handle);

cs_error_t quorum_context_set(quorum_handle_t handle, const void* context);
cs_error_t quorum_context_get(quorum_handle_t handle, const void** context);

#ifdef __cplusplus
}
#endif

#endif
