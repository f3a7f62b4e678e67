// Whose code it was, where this process crashes while plugins are at work in it.
#pragma once

namespace weft {

// While one lives, a crash of this process (a signal of crash_detail::signals; abort() and an exception that nobody catches
// end in one) first writes to standard error what the stack of the crashing thread says, a plugin's own thread or not:
//
//   weft: the process crashed in plugin executor/mine: SIGABRT (abort)
//   weft: the process crashed in libfoo.so.1, called by plugin communicator/mine: SIGSEGV (invalid memory)
//   weft: the process crashed in weft itself: SIGFPE (arithmetic)
//
// Then what was to happen happens: it changes no outcome. Silent where a CrashNote has spoken, and in forked children. What
// _exit() or SIGKILL ends says nothing. One at a time in a process.
class CrashBlame {
 public:
  CrashBlame();
  ~CrashBlame();
  CrashBlame(const CrashBlame&) = delete;
  CrashBlame& operator=(const CrashBlame&) = delete;
};

}  // namespace weft
