#include "common/ranks.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "handgrad/base/threads.hpp"
#include "handgrad/distributed/in_process.hpp"

namespace handgrad::labs {

constinit FindRanks ranks_of_processes = nullptr;

std::string start_with_mpirun(int ranks, char** arguments) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::string program = (self.parent_path() / "handgrad-labs-mpi").string();
  if (error || !std::filesystem::exists(program, error)) return "handgrad-labs-mpi was not built (there was no MPI)";

  // More ranks than processors are no mistake in a lab; nor is root, in a container. What the user has set stays.
  const auto set = [](const char* name, const std::string& value) { ::setenv(name, value.c_str(), 0); };
  const int processors = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  set("HANDGRAD_NUM_THREADS", std::to_string(std::max(1, processors / ranks)));
  set("OMPI_MCA_rmaps_base_oversubscribe", "1");                   // Open MPI 4
  set("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe");  // Open MPI 5
  set("OMPI_MCA_hwloc_base_binding_policy", "none");
  set("OMPI_MCA_btl_vader_single_copy_mechanism", "none");
  set("OMPI_MCA_mpi_yield_when_idle", "1");
  if (::geteuid() == 0) {
    set("OMPI_ALLOW_RUN_AS_ROOT", "1");
    set("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
  }
  std::vector<std::string> words{"mpirun", "-n", std::to_string(ranks), program};
  for (char** argument = arguments + 1; *argument; ++argument) words.emplace_back(*argument);
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  return std::string("mpirun: ") + std::strerror(errno);
}

void on_ranks(int ranks, const std::function<void(Communicator&)>& work) {
  if (ranks_of_processes) return work(*ranks_of_processes());
  const int threads = num_threads();
  set_num_threads(std::max(1, threads / ranks));
  try {
    run_ranks(ranks, work);
  } catch (...) {
    set_num_threads(threads);
    throw;
  }
  set_num_threads(threads);
}

}  // namespace handgrad::labs
