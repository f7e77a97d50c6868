# SPDX-License-Identifier: GPL-2.0-or-later
# "cpack -G DEB" in a build directory makes jobfence_VERSION_ARCH.deb: what "cmake --install --prefix
# /usr" installs, and contrib/debian. It depends on the run-time libraries that the binary was linked
# with, so build it on the release that it is for.
set(deb_files ${CMAKE_SOURCE_DIR}/contrib/debian)

if(EXISTS /etc/debian_version)
	gzipped(${deb_files}/changelog changelog share/doc/jobfence)
	install(FILES ${deb_files}/copyright DESTINATION share/doc/jobfence)
	install(FILES ${deb_files}/jobfence.lintian DESTINATION share/lintian/overrides RENAME jobfence)
endif()

set(CPACK_PACKAGE_NAME jobfence)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "The jobfence developers <jobfence@localhost>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# nft tells whether the fence stands when Docker starts (docker-gate), and takes it down at "apt purge",
# when jobfence itself is gone already.
set(CPACK_DEBIAN_PACKAGE_DEPENDS nftables)
# Not a dependency: a host with another build of Docker is as welcome.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS docker.io)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "network fence for dstack jobs in Docker")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "\
Keeps the jobs of dstack, a GPU orchestrator, apart on a host: from each
other, from the host, from internal networks, and from dstack's own APIs,
which ask for no password.
.
One daemon watches Docker and keeps one nftables ruleset, for IPv4 and IPv6.
The ruleset denies before any container exists and stays in the kernel when
the daemon is gone.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
	${deb_files}/conffiles ${deb_files}/postinst ${deb_files}/prerm ${deb_files}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
