// Reading and writing the values that messages and the kept state share.
#pragma once

#include "common/protocol/codec.hpp"
#include "quorumd/core/message.hpp"

namespace quorum {

void write_standing(protocol::FrameWriter& writer, const Standing& standing);
[[nodiscard]] Standing read_standing(protocol::FrameReader& reader);

void write_announcement(protocol::FrameWriter& writer, const Announcement& announcement);
[[nodiscard]] Announcement read_announcement(protocol::FrameReader& reader);

void write_view_id(protocol::FrameWriter& writer, const ViewId& view);
[[nodiscard]] ViewId read_view_id(protocol::FrameReader& reader);

}  // namespace quorum
