// The program `weft`: its subcommands, one file each.
#pragma once

namespace weft::cli {

// Parses the command line, runs what it asks for and gives the process's exit code.
int run_app(int argc, char** argv);

}  // namespace weft::cli
