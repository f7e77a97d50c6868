#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What jobfence is compared with: the loop that one writes first. Docker's events, docker inspect for the
# address, nft for the element. Set inet shell jobs must exist.
export DOCKER_HOST=${DOCKER_HOST:-unix:///run/docker.sock}
declare -A address

docker events --filter type=container --format '{{.Action}} {{.ID}}' |
	while read -r action id; do
		case $action in
		start)
			address[$id]=$(docker inspect -f \
				'{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}' "$id")
			nft add element inet shell jobs "{ ${address[$id]} }"
			;;
		die | destroy)
			[ -z "${address[$id]-}" ] ||
				nft delete element inet shell jobs "{ ${address[$id]} }"
			unset "address[$id]"
			;;
		esac
	done
