# SPDX-License-Identifier: GPL-2.0-or-later
# format, format-check, tidy and coverage: each exists where its tool does. Other major versions of
# clang-format lay code out differently, so it is 14 or none.
find_program(CLANG_FORMAT clang-format-14)
find_program(CLANG_TIDY NAMES clang-tidy-14 clang-tidy)
find_program(RUN_CLANG_TIDY NAMES run-clang-tidy-14 run-clang-tidy)
find_program(GCOVR gcovr)

file(GLOB_RECURSE format_sources CONFIGURE_DEPENDS
	${CMAKE_SOURCE_DIR}/src/*.[ch] ${CMAKE_SOURCE_DIR}/include/*.h
	${CMAKE_SOURCE_DIR}/tests/*.[ch])

if(CLANG_FORMAT)
	add_custom_target(format COMMAND ${CLANG_FORMAT} -i ${format_sources} VERBATIM)
	add_custom_target(format-check
		COMMAND ${CLANG_FORMAT} --dry-run --Werror ${format_sources} VERBATIM)
endif()

if(CLANG_TIDY AND RUN_CLANG_TIDY)
	set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
	add_custom_target(tidy
		COMMAND ${RUN_CLANG_TIDY} -quiet -clang-tidy-binary ${CLANG_TIDY}
			-p ${CMAKE_BINARY_DIR} ${CMAKE_SOURCE_DIR}/src/ VERBATIM)
endif()

if(GCOVR AND JOBFENCE_COVERAGE)
	add_custom_target(coverage
		COMMAND ${CMAKE_CTEST_COMMAND} --output-on-failure
		COMMAND ${GCOVR} --root ${CMAKE_SOURCE_DIR} --filter ${CMAKE_SOURCE_DIR}/src/
			--html-details ${CMAKE_BINARY_DIR}/coverage.html --print-summary
			${CMAKE_BINARY_DIR}
		VERBATIM)
endif()
