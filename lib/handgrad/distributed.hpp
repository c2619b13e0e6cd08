#pragma once
/// Training on several ranks: threads of one process here, processes with MPI.
#include "handgrad/distributed/communicator.hpp"
#include "handgrad/distributed/data_parallel.hpp"
#include "handgrad/distributed/in_process.hpp"
#include "handgrad/distributed/nccl.hpp"
#include "handgrad/distributed/sync_batch_norm.hpp"
