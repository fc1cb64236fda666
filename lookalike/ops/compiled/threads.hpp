// Run numbered tasks on several threads.
#pragma once

namespace lookalike {

// How many of `threads` threads are worth waking for so many pixels.
int threads_worth(double pixels, int threads);

// Calls run(context, task) for each task in [0, tasks), on up to `threads` threads, and waits for all of them. Which
// thread takes which task is left to chance, so tasks must not depend on it.
void run_tasks(int tasks, int threads, void (*run)(void* context, int task), void* context);

template <class Task>
void run_tasks(int tasks, int threads, Task&& task) {
  run_tasks(tasks, threads, [](void* context, int number) { (*static_cast<Task*>(context))(number); }, &task);
}

// This thread's piece of memory of at least so many bytes, aligned to a cache line; kept from call to call.
void* scratch_memory(unsigned long bytes);

}  // namespace lookalike
