/* Simple availability manager: a process becomes two. One does the work, the other one watches it,
 * and ends or restarts it when it dies, does not say in time that it is well, or (where that is
 * asked for) the cluster loses quorum. Link with -lsam.
 *
 * Once a process and for its lifetime: after sam_finalize() nothing works again. CS_ERR_BAD_HANDLE
 * is a call in a wrong state. The functions are for one thread at a time. */
#ifndef COROSYNC_SAM_H_DEFINED
#define COROSYNC_SAM_H_DEFINED

#include <corosync/corotypes.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* QUIT or RESTART, with QUORUM and CMAP added as wanted. */
typedef enum {
    SAM_RECOVERY_POLICY_QUIT = 1,
    SAM_RECOVERY_POLICY_RESTART = 2,
    /* sam_start() waits for quorum, and its loss is a failure. */
    SAM_RECOVERY_POLICY_QUORUM = 0x08,
    SAM_RECOVERY_POLICY_QUORUM_QUIT = SAM_RECOVERY_POLICY_QUORUM | SAM_RECOVERY_POLICY_QUIT,
    SAM_RECOVERY_POLICY_QUORUM_RESTART = SAM_RECOVERY_POLICY_QUORUM | SAM_RECOVERY_POLICY_RESTART,
    /* State in the keys resources.process.<pid>.{recovery,poll_period,last_updated,state}. */
    SAM_RECOVERY_POLICY_CMAP = 0x10,
    SAM_RECOVERY_POLICY_CONFDB = 0x10
} sam_recovery_policy_t;

/* 0: healthy. */
typedef int (*sam_hc_callback_t)(void);

/* `time_interval` in ms within which the process says that it is well; 0: it need not, and only its
 * end is a failure. CS_ERR_INVALID_PARAM: neither QUIT nor RESTART. With QUORUM or CMAP, also the
 * errors of quorum_initialize() and cmap_initialize(). */
cs_error_t sam_initialize(int time_interval, sam_recovery_policy_t recovery_policy);

/* No failure counts any more; the data are gone. */
cs_error_t sam_finalize(void);

/* The process forks here. It returns in the one that works, with the number of its life (1 for the
 * first, one more for each restart) if `instance_id` is not null. The one that watches never
 * returns: it ends with the worker's exit status. CS_ERR_LIBRARY: no process or no socket; errno.
 */
cs_error_t sam_register(unsigned int* instance_id);

/* From here on the end of this process, or its silence, is a failure; until sam_stop(). */
cs_error_t sam_start(void);
cs_error_t sam_stop(void);

/* What a silent process is sent first; SIGKILL follows an interval later. SIGTERM by default. */
cs_error_t sam_warn_signal_set(int warn_signal);

/* "I am well." */
cs_error_t sam_hc_send(void);

/* The library asks by `cb`, four times an interval, in a thread of its own, instead. NULL: no
 * longer. Before sam_start(). */
cs_error_t sam_hc_callback_register(sam_hc_callback_t cb);

/* Bytes that survive a restart. NULL: none. CS_ERR_NO_MEMORY: too many. */
cs_error_t sam_data_store(const void* data, size_t size);
cs_error_t sam_data_getsize(size_t* size);
/* CS_ERR_INVALID_PARAM: `size` is less than what is stored. */
cs_error_t sam_data_restore(void* data, size_t size);

/* This process is beyond help: it is killed, and not restarted. Needs the policy CMAP, where its
 * state stays as "failed" (CS_ERR_INVALID_PARAM without it). */
cs_error_t sam_mark_failed(void);

#ifdef __cplusplus
}
#endif

#endif
