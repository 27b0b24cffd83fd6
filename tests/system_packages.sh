#!/bin/sh
# Installs the Debian packages of packages.txt where it may: as root, or by sudo without a password.
# Standard output: the names that are missing afterwards, which `make test` hands to the tests as
# MISSING_SYSTEM_PACKAGES; standard error says loudly what will not run.
set -u
cd "$(dirname "$0")/.."
missing() {
    for package in $(sed 's/#.*//' packages.txt); do
        case "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" in
            installed) ;;
            *) echo "$package" ;;
        esac
    done
}
wanted=$(missing | tr '\n' ' ')
[ -n "$wanted" ] || exit 0
if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo -n"; fi
if command -v apt-get >/dev/null 2>&1 && $sudo true 2>/dev/null; then
    echo "installing $wanted" >&2
    install="$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends"
    $install $wanted >/dev/null 2>&1 || { $sudo apt-get -qq update >/dev/null 2>&1; $install $wanted >/dev/null; } >&2
fi
left=$(missing | tr '\n' ' ')
if [ -n "$left" ]; then
    echo "NOT INSTALLED: ${left}- the tests that need it will be SKIPPED; install it, or run as root, to run them" >&2
    echo "$left"
fi
exit 0
