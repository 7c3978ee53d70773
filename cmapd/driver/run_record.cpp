#include "cmapd/driver/run_record.hpp"

#include <algorithm>
#include <string_view>

#include "common/protocol/cmap_frame.hpp"

namespace cmapd {
namespace {

using protocol::FrameReader;
using protocol::FrameWriter;
namespace api = protocol::cmap;

constexpr std::size_t kChangeBytesMin = 8 + 2 + 1 + 1;
constexpr std::size_t kAnsweredBytesMin = 8 + 8 + 4 + 4;
constexpr std::size_t kSessionBytes = 8;
constexpr std::size_t kNameBytesMin = 2;

void write_changes(FrameWriter& writer, const std::vector<cmap::Change>& changes) {
    writer.write_count(changes.size());
    for (const cmap::Change& change : changes) {
        writer.write(change.revision.value());
        writer.write_text(change.key);
        api::write_optional_value(writer, change.old_value);
        api::write_optional_value(writer, change.new_value);
    }
}
std::vector<cmap::Change> read_changes(FrameReader& reader) {
    const std::size_t count = reader.read_count(kChangeBytesMin);
    std::vector<cmap::Change> changes;
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        cmap::Change& change = changes.emplace_back();
        change.revision = cmap::Revision{reader.read<std::uint64_t>()};
        change.key = reader.read_text(api::kKeyBytesMax);
        change.old_value = api::read_optional_value(reader);
        change.new_value = api::read_optional_value(reader);
    }
    return changes;
}

using Answers = std::map<cmap::SessionId, cmap::Answered>;

void write_answers(FrameWriter& writer, const Answers& answers) {
    writer.write_count(answers.size());
    for (const auto& [session, answered] : answers) {
        writer.write(session.value());
        writer.write(answered.number);
        writer.write(static_cast<std::uint32_t>(answered.error));
        writer.write_count(answered.payload.size());
        writer.write_bytes(answered.payload.bytes());
    }
}
Answers read_answers(FrameReader& reader) {
    const std::size_t count = reader.read_count(kAnsweredBytesMin);
    Answers answers;
    for (std::size_t i = 0; i < count && !reader.error(); ++i) {
        const cmap::SessionId session{reader.read<std::uint64_t>()};
        cmap::Answered& answered = answers[session];
        answered.number = reader.read<std::uint64_t>();
        answered.error = static_cast<cmap::CsError>(reader.read<std::uint32_t>());
        const base::Buffer payload = reader.read_bytes(reader.read_count(1));
        answered.payload = base::Buffer::copy_of(payload.bytes());
    }
    return answers;
}

}  // namespace

base::Buffer encode_run_record(const cmap::Commit& commit) {
    FrameWriter writer(256);
    write_changes(writer, commit.run_time.changes);
    write_answers(writer, commit.run_time.answered);
    writer.write_count(commit.forgotten.size());
    for (const cmap::SessionId session : commit.forgotten) {
        writer.write(session.value());
    }
    writer.write_bool(commit.configured.has_value());
    if (commit.configured) {
        writer.write_count(commit.configured->size());
        for (const std::string& name : *commit.configured) {
            writer.write_text(name);
        }
    }
    writer.write(commit.journal_floor.value());
    return std::move(writer).finish();
}

base::Expected<cmap::Commit, protocol::FrameError> decode_run_record(const base::Buffer& bytes) {
    FrameReader reader(bytes);
    cmap::Commit commit;
    commit.run_time.changes = read_changes(reader);
    commit.run_time.answered = read_answers(reader);
    for (std::size_t count = reader.read_count(kSessionBytes); count > 0 && !reader.error();
         --count) {
        commit.forgotten.emplace_back(reader.read<std::uint64_t>());
    }
    if (reader.read_bool()) {
        std::vector<std::string>& names = commit.configured.emplace();
        for (std::size_t count = reader.read_count(kNameBytesMin); count > 0 && !reader.error();
             --count) {
            names.push_back(reader.read_text(api::kKeyBytesMax));
        }
    }
    commit.journal_floor = cmap::Revision{reader.read<std::uint64_t>()};
    if (const auto error = reader.finish()) return base::fail(*error);
    return commit;
}

void add_run_record(cmap::Commit& all, cmap::Commit next) {
    std::ranges::move(next.run_time.changes, std::back_inserter(all.run_time.changes));
    for (auto& [session, answered] : next.run_time.answered) {
        std::erase(all.forgotten, session);
        all.run_time.answered.insert_or_assign(session, std::move(answered));
    }
    for (const cmap::SessionId session : next.forgotten) {
        all.run_time.answered.erase(session);
        all.forgotten.push_back(session);
    }
    if (next.configured) all.configured = std::move(next.configured);
    all.journal_floor = std::max(all.journal_floor, next.journal_floor);
}

}  // namespace cmapd
