// haloctl: looks at a Halo node and controls it.
#include "libclient/tools/commands.hpp"
#include "libclient/tools/exit_codes.hpp"

namespace haloctl {

void add_run_option(CLI::App& command, Context& context) {
    command.add_option("--run", context.run_folder, "folder of the daemons' sockets")
        ->envname("HALO_RUN_DIR")
        ->capture_default_str();
}

}  // namespace haloctl

int main(int argc, char** argv) {
    CLI::App app("Looks at a Halo node and controls it.", "haloctl");
    app.set_version_flag("-v,--version", std::string("haloctl ") + HALO_VERSION);
    app.require_subcommand(1);
    haloctl::Context context;
    haloctl::add_status(app, context);
    haloctl::add_cpg(app, context);
    haloctl::add_quorum(app, context);
    haloctl::add_cmap(app, context);
    haloctl::add_watch(app, context);
    haloctl::add_keygen(app, context);
    haloctl::add_config(app, context);
    haloctl::add_node(app, context);
    haloctl::add_init(app, context);
    haloctl::add_join(app, context);
    haloctl::add_run(app, context);
    haloctl::add_reload(app, context);
    haloctl::add_shutdown(app, context);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        // Help and version come this way too, with code 0.
        return app.exit(error) == 0 ? haloctl::kOk : haloctl::kUsage;
    }
    return context.exit_code;
}
