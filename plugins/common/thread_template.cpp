#include "plugins/common/thread_template.h"

#include <pthread.h>

namespace weft::plugins {

ThreadTemplate::ThreadTemplate(const char* name, std::span<const int> cpus) {
  pthread_getname_np(pthread_self(), name_.data(), name_.size());
  pthread_setname_np(pthread_self(), name);
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &signals_);
  if (cpus.empty() || pthread_getaffinity_np(pthread_self(), sizeof(cpus_), &cpus_) != 0) return;
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  for (const int cpu : cpus)
    if (cpu >= 0 && cpu < CPU_SETSIZE) CPU_SET(static_cast<std::size_t>(cpu), &wanted);
  restore_cpus_ = pthread_setaffinity_np(pthread_self(), sizeof(wanted), &wanted) == 0;
}

ThreadTemplate::~ThreadTemplate() {
  if (restore_cpus_) pthread_setaffinity_np(pthread_self(), sizeof(cpus_), &cpus_);
  pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
  pthread_setname_np(pthread_self(), name_.data());
}

}  // namespace weft::plugins
