#!/bin/sh
# Give the worker's principal the least ACLs that it works with. Needs Kafka's own kafka-acls.sh on the PATH.
#
#   BOOTSTRAP_SERVER=kafka:9092 PRINCIPAL=User:mistudio-worker COMMAND_CONFIG=admin.properties sh kafka-acls.sh
#
# Topics and group are those of the worker's own variables. Read and Write let a principal describe as well.
set -eu

: "${BOOTSTRAP_SERVER:?host:port of a broker}"
: "${PRINCIPAL:=User:mistudio-worker}"

allow() {
    kafka-acls.sh --bootstrap-server "$BOOTSTRAP_SERVER" ${COMMAND_CONFIG:+--command-config "$COMMAND_CONFIG"} \
        --add --allow-principal "$PRINCIPAL" "$@"
}

allow --operation Read --topic "${MISTUDIO_KAFKA__TRAINING_COMPLETE_TOPIC:-training-complete}"
allow --operation Read --group "${MISTUDIO_KAFKA__GROUP_ID:-mistudio-worker}"
allow --operation Write --topic "${MISTUDIO_KAFKA__FIND_COMPLETE_TOPIC:-find-complete}" \
    --topic "${MISTUDIO_KAFKA__FIND_FAILED_TOPIC:-find-failed}" \
    --topic "${MISTUDIO_KAFKA__FIND_PROGRESS_TOPIC:-find-progress}" \
    --topic "${MISTUDIO_KAFKA__DEAD_LETTER_TOPIC:-training-complete.dead-letter}"
