#!/bin/sh
# Creates the namespace, sets its retention and registers the search attributes. Safe to run again at every start.
#
# Environment: TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE (read by the temporal command), NAMESPACE_RETENTION (such as 30d),
# KEYWORD_SEARCH_ATTRIBUTES (names separated by spaces).
set -eu

: "${TEMPORAL_ADDRESS:?}" "${TEMPORAL_NAMESPACE:?}" "${NAMESPACE_RETENTION:?}" "${KEYWORD_SEARCH_ATTRIBUTES:?}"

attempts_max=${SETUP_ATTEMPTS_MAX:-30}
pause_s=${SETUP_PAUSE_S:-2}

# The server answers before it is fully up, so a failure in the first minute means "not yet". The last attempt shows its
# output, so that the log says what is wrong.
retried() {
    attempt=1
    while [ "$attempt" -lt "$attempts_max" ]; do
        if "$@" >/dev/null 2>&1; then return 0; fi
        attempt=$((attempt + 1))
        sleep "$pause_s"
    done
    "$@"
}

namespace_exists() {
    temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE"
}

make_namespace() {
    if namespace_exists >/dev/null 2>&1; then
        temporal operator namespace update --namespace "$TEMPORAL_NAMESPACE" --retention "$NAMESPACE_RETENTION"
    else
        temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention "$NAMESPACE_RETENTION"
    fi
}

# One call per name: with several names the command (1.9.1) registers only the first and still reports success.
# Registering a name again succeeds; with another type it fails.
register_attributes() {
    for name in $KEYWORD_SEARCH_ATTRIBUTES; do
        temporal operator search-attribute create --namespace "$TEMPORAL_NAMESPACE" --type Keyword --name "$name" || return 1
    done
}

retried temporal operator cluster health
retried make_namespace
retried register_attributes
temporal operator search-attribute list --namespace "$TEMPORAL_NAMESPACE"
