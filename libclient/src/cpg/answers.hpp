// What cpgd's answers mean to a session.
#pragma once

#include "common/protocol/cpg_api.hpp"
#include "libclient/src/ipc/connect.hpp"

namespace client {

// The cs_error_t of a frame, which a peer could have made anything.
inline cs_error_t error_of(std::uint32_t number) {
    const bool known = number >= CS_OK && number <= CS_ERR_SECURITY;
    return known ? static_cast<cs_error_t>(number) : CS_ERR_LIBRARY;
}

inline CsResult<protocol::cpg::Welcome> welcome_in(const base::Buffer& answer) {
    const auto frame = protocol::cpg::decode_cpgd_frame(answer);
    if (!frame) return base::fail(CS_ERR_LIBRARY);
    if (const auto* refused = std::get_if<protocol::cpg::Refused>(&*frame)) {
        const cs_error_t error = error_of(refused->error);
        return base::fail(error == CS_OK ? CS_ERR_LIBRARY : error);
    }
    if (const auto* welcome = std::get_if<protocol::cpg::Welcome>(&*frame)) return *welcome;
    return base::fail(CS_ERR_LIBRARY);
}

}  // namespace client
