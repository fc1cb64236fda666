#include "threads.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <dlfcn.h>
#include <pthread.h>
#endif

namespace lookalike {
namespace {

using Team = void (*)(void (*)(void*), void*, unsigned, unsigned);

// The OpenMP runtime that torch has loaded, if it has loaded one. A pool of our own beside it would compete with its
// workers, which spin for a while after each parallel region: measured 1.5 times slower. Its workers do not survive
// a fork, so a forked child gets none.
#if !defined(_WIN32)
std::atomic<bool> forked{false};
// As the module is loaded: by the first call of a kernel a child may have been forked from a process whose workers
// torch had woken.
[[maybe_unused]] const int watched = pthread_atfork(nullptr, nullptr, [] { forked = true; });

Team find_team() {
  static const Team team = reinterpret_cast<Team>(dlsym(RTLD_DEFAULT, "GOMP_parallel"));
  return forked ? nullptr : team;
}
#else
Team find_team() { return nullptr; }
#endif

struct Work {
  int tasks;
  void (*run)(void*, int);
  void* context;
  std::atomic<int> next{0};

  void take_turns() {
    for (int task; (task = next++) < tasks;) run(context, task);
  }
};

}  // namespace

int threads_worth(double pixels, int threads) {
  constexpr double pixels_per_thread = 16384;  // below this, waking a thread costs more than it brings
  return std::max(1, std::min(threads, int(std::min(pixels / pixels_per_thread, 1e6))));
}

void run_tasks(int tasks, int threads, void (*run)(void*, int), void* context) {
  if (threads > tasks) threads = tasks;
  Work work{tasks, run, context};
  if (threads <= 1) return work.take_turns();
  if (const Team team = find_team()) {
    team([](void* shared) { static_cast<Work*>(shared)->take_turns(); }, &work, unsigned(threads), 0);
    return;
  }
  std::vector<std::thread> others;
  for (int i = 1; i < threads; i++) others.emplace_back([&work] { work.take_turns(); });
  work.take_turns();
  for (std::thread& other : others) other.join();
}

void* scratch_memory(unsigned long bytes) {
  struct Memory {
    void* start = nullptr;
    unsigned long size = 0;
    ~Memory() { release(); }
    void release() {
      if (start) ::operator delete(start, std::align_val_t(64));
    }
  };
  thread_local Memory memory;
  if (memory.size < bytes) {
    memory.release();
    memory.size = 0;
    memory.start = nullptr;
    memory.start = ::operator new(bytes, std::align_val_t(64));
    memory.size = bytes;
  }
  return memory.start;
}

}  // namespace lookalike
