# Installs handgrad, and the Python package against it (python.py).
cmake_minimum_required(VERSION 3.22)
set(here ${BUILD}/package/python)
file(REMOVE_RECURSE ${here})
execute_process(COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${here}/prefix RESULT_VARIABLE status OUTPUT_QUIET)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "cmake --install failed (${status})")
endif()
execute_process(COMMAND ${PYTHON} ${CMAKE_CURRENT_LIST_DIR}/python.py ${SOURCE} ${here}/environment ${here}/prefix ${COMPILER}
  RESULT_VARIABLE status)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "failed (${status}): python.py")
endif()
