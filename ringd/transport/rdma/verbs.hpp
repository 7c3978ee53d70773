// Owners for what libibverbs and librdmacm hand out. Each is given back before what it was made
// from; when the device is gone both libraries forget it all the same.
#pragma once

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include <memory>

namespace transport::verbs {

// A destroyer's own error leaves nothing to do: the object is not usable any more either way.
template <auto Destroy>
struct Deleter {
    template <class T>
    void operator()(T* object) const {
        (void)Destroy(object);
    }
};

using EventChannel = std::unique_ptr<rdma_event_channel, Deleter<rdma_destroy_event_channel>>;
// Needs: all its events are acknowledged, or it waits for that for ever.
using Id = std::unique_ptr<rdma_cm_id, Deleter<rdma_destroy_id>>;
using Domain = std::unique_ptr<ibv_pd, Deleter<ibv_dealloc_pd>>;
using Region = std::unique_ptr<ibv_mr, Deleter<ibv_dereg_mr>>;
using Channel = std::unique_ptr<ibv_comp_channel, Deleter<ibv_destroy_comp_channel>>;
using Queue = std::unique_ptr<ibv_cq, Deleter<ibv_destroy_cq>>;
using Handle = std::unique_ptr<ibv_ah, Deleter<ibv_destroy_ah>>;
struct PairDeleter {
    void operator()(rdma_cm_id* id) const { rdma_destroy_qp(id); }
};
// The queue pair of an id, which outlives it.
using Pair = std::unique_ptr<rdma_cm_id, PairDeleter>;

}  // namespace transport::verbs
