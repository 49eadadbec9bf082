#!/bin/sh
# Start Valkey (speaks Redis): Prefect's events on their way from the API server to the background services.
# The password goes into a file that nobody else can read: on the command line every process could see it.
set -eu
: "${QUEUE_PASSWORD:?expected a password for the queue}"
folder="${QUEUE_FOLDER:-/data}"
secret="${QUEUE_RUN:-/tmp}/queue.conf"
umask 077
cat > "$secret" <<CONFIGURATION
requirepass $QUEUE_PASSWORD
port ${QUEUE_PORT:-6379}
dir $folder
appendonly yes
maxmemory ${QUEUE_MEMORY:-256mb}
maxmemory-policy noeviction
CONFIGURATION
exec valkey-server "$secret"
