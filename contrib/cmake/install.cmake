# SPDX-License-Identifier: GPL-2.0-or-later
# What "cmake --install" puts where. The prefix is only known when it runs (--prefix), so what depends
# on it is decided there.
install(TARGETS jobfence RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
# gzipped(FILE NAME DESTINATION): compressed as distributions have it, where there is gzip
find_program(GZIP gzip)
add_custom_target(package_files ALL)
function(gzipped file name destination)
	if(NOT GZIP)
		install(FILES ${file} DESTINATION ${destination} RENAME ${name})
		return()
	endif()
	set(result ${CMAKE_BINARY_DIR}/compressed/${name}.gz)
	add_custom_command(OUTPUT ${result}
		COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/compressed
		COMMAND sh -c "${GZIP} -9nc \"$1\" >\"$2\"" gzip ${file} ${result}
		DEPENDS ${file} VERBATIM)
	add_custom_target(compressed_${name} DEPENDS ${result})
	add_dependencies(package_files compressed_${name})
	install(FILES ${result} DESTINATION ${destination})
endfunction()

foreach(page jobfence.conf.5 jobfence-rulesets.7 jobfence.8)
	string(REGEX MATCH "[0-9]$" section ${page})
	gzipped(${CMAKE_SOURCE_DIR}/contrib/man/${page} ${page} ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
install(FILES contrib/jobfence.catalog DESTINATION lib/systemd/catalog)
install(DIRECTORY contrib/schema DESTINATION ${CMAKE_INSTALL_DATADIR}/jobfence)
install(DIRECTORY contrib/prometheus contrib/grafana DESTINATION ${CMAKE_INSTALL_DATADIR}/jobfence)
install(DIRECTORY rulesets DESTINATION ${CMAKE_INSTALL_DATADIR}/jobfence
	FILES_MATCHING PATTERN "*.nft")
install(PROGRAMS contrib/docker-gate DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/jobfence)
install(DIRECTORY contrib/ansible contrib/apparmor contrib/cloud-init
	DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/jobfence/examples)
install(FILES contrib/doc/COEXISTENCE.md contrib/doc/TROUBLESHOOTING.md DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/jobfence)
install(FILES contrib/completions/jobfence.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
	RENAME jobfence)
install(FILES contrib/completions/jobfence.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(CODE "
	set(contrib \"${CMAKE_SOURCE_DIR}/contrib\")
	set(sbin \"${CMAKE_INSTALL_SBINDIR}\")
	set(libexec \"${CMAKE_INSTALL_LIBEXECDIR}\")
	set(share \"${CMAKE_INSTALL_DATADIR}\")
	set(scratch \"${CMAKE_BINARY_DIR}\")")
install(CODE [[
	# The daemon reads /etc/jobfence whatever its prefix; an installation into a prefix of one's own
	# stays inside it. The operator's own configuration is never overwritten.
	set(config_dir "${CMAKE_INSTALL_PREFIX}/etc/jobfence")
	if(CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$")
		set(config_dir /etc/jobfence)
	endif()
	cmake_path(GET config_dir PARENT_PATH etc)
	foreach(file jobfence.conf:${config_dir}/jobfence.conf jobfence.default:${etc}/default/jobfence)
		string(REPLACE : ";" file ${file})
		list(GET file 0 from)
		list(GET file 1 to)
		cmake_path(GET to PARENT_PATH folder)
		cmake_path(GET to FILENAME name)
		if(EXISTS "$ENV{DESTDIR}${to}")
			message(STATUS "Kept: $ENV{DESTDIR}${to}")
		else()
			file(INSTALL "${contrib}/${from}" DESTINATION "${folder}" RENAME "${name}")
		endif()
	endforeach()

	# systemd looks below /usr/lib and /usr/local/lib.
	function(install_unit file name folder)
		file(READ "${contrib}/${file}" unit)
		string(REPLACE /usr/sbin/ "${CMAKE_INSTALL_PREFIX}/${sbin}/" unit "${unit}")
		string(REPLACE /usr/libexec/ "${CMAKE_INSTALL_PREFIX}/${libexec}/" unit "${unit}")
		file(WRITE "${scratch}/${name}" "${unit}")
		file(INSTALL "${scratch}/${name}" DESTINATION "${CMAKE_INSTALL_PREFIX}/lib/systemd/system${folder}")
	endfunction()
	install_unit(jobfence.service jobfence.service "")
	install_unit(docker-jobfence.conf 50-jobfence.conf /docker.service.d)
	install_unit(jobfence-metrics.service jobfence-metrics.service "")
	install_unit(jobfence-metrics.timer jobfence-metrics.timer "")

	# Debian's zsh looks below /usr in a folder of its own.
	set(zsh site-functions)
	if(CMAKE_INSTALL_PREFIX MATCHES "^/usr/?$" AND EXISTS /etc/debian_version)
		set(zsh vendor-completions)
	endif()
	file(INSTALL "${contrib}/completions/_jobfence" DESTINATION "${CMAKE_INSTALL_PREFIX}/${share}/zsh/${zsh}")

	if(NOT CMAKE_INSTALL_PREFIX MATCHES "^/usr(/local)?/?$" AND NOT "$ENV{DESTDIR}")
		message(STATUS "jobfence reads /etc/jobfence and /etc/default/jobfence, whatever its prefix; samples: ${etc}")
		message(STATUS "systemd does not look here; to use the unit: systemctl link"
			" ${CMAKE_INSTALL_PREFIX}/lib/systemd/system/jobfence.service")
	endif()
]])
