#!/bin/sh
# The browser tests drive Debian's chromium. Where this user may install it, it is installed; elsewhere the tests that
# need it are named and left out.
set -eu
command -v chromium >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
else
    echo "chromium is not installed: the tests in tests/browser are left out (install it with: apt-get install chromium)"
fi
