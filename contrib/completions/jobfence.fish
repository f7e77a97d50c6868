# SPDX-License-Identifier: GPL-2.0-or-later
# Completion of jobfence(8) for fish: what "jobfence --help" lists, so that nothing here has to be kept in step.

function __jobfence_help
    set -l words (commandline -opc)
    $words[1] --help 2>/dev/null
end

# The command that was typed already, if any.
function __jobfence_command
    set -l words (commandline -opc)
    set -l commands (__jobfence_help | string match -r '^  [a-z]+' | string trim)
    for word in $words[2..-1]
        if contains -- $word $commands
            echo $word
            return 0
        end
    end
    return 1
end

# What follows the option that was typed last: FILE, N, …
function __jobfence_value
    set -l words (commandline -opc)
    string match -q -- '--*' $words[-1]; or return 1
    __jobfence_help | string match -rg -- "^  $words[-1] ([A-Z]+)"
end

# The names of running containers, where the engine can be asked without a password.
function __jobfence_containers
    set -q DOCKER_SOCKET; or set -l DOCKER_SOCKET /var/run/docker.sock
    test -w $DOCKER_SOCKET; and timeout 1 docker ps --format '{{.Names}}' 2>/dev/null
end

function __jobfence_words
    set -l words (commandline -opc)
    set -l help (__jobfence_help)
    set -l value (__jobfence_value)
    switch "$value"
        case ''
        case FILE
            __fish_complete_path (commandline -ct)
            return
        case CONTAINER NAME
            __jobfence_containers
            return
        case '*'
            test "$words[-1]" != --mode; or printf '%s\n' 1 2 3
            return
    end
    set -l command (__jobfence_command)
    if test -z "$command"
        string replace -rf '^  ([a-z]+)( [A-Z]+)? +(.*)' '$1\t$3' -- $help
        string match -q -- '-*' (commandline -ct); or return
    else if string match -qr "^  $command [A-Z]+ " -- $help
        __jobfence_containers
    end
    for line in $help
        set -l part (string match -rg '^  (--[a-z-]+)(?: [A-Z]+)? +(.*)' -- $line); or continue
        set -l only (string match -rg '^([a-z]+(?:, [a-z]+)*(?: and [a-z]+)?): ' -- $part[2])
        if test -z "$command" -o -z "$only"; or contains -- "$command" (string split ' ' -- (string replace -a , '' -- $only))
            printf '%s\t%s\n' $part[1] $part[2]
        end
    end
end

complete -c jobfence -f -a '(__jobfence_words)'
