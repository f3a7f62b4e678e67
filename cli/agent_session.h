// What `weft agent` does between its input and its output: one rank started, watched, stopped, and nothing of it left.
#pragma once

namespace weft::cli {

// Reads the specification and then commands from `in`, writes events to `out`, and returns the process's exit code once
// the rank and all that came of it have ended:
//
//   {"event":"started","pid":4711}
//   {"event":"exit","cause":"code","value":3,"detail":""}      cause: code, signal (value: its number), unknown
//   {"event":"exit","cause":"never_started","value":0,"detail":"/bin/nothing: execve: No such file or directory"}
//   {"event":"error","detail":"..."}                           a line that is no command; the rank goes on
//
// A question what this node has is answered instead, and nothing started:
//
//   {"event":"node","host":"left","cpus":[0,1],"memory":8589934592}    memory in bytes; 0: unknown
//
// Otherwise exactly one exit is written, last. The calling thread must be the process's only one: it becomes the reaper of orphans
// and takes SIGCHLD, SIGTERM, SIGINT and SIGHUP, the latter three as the end of the input.
int run_agent(int in, int out);

}  // namespace weft::cli
